//! A world for one test: simulator, inbox, a temporary ledger and archive, a clock by hand.

use std::path::{Path, PathBuf};
use std::time::Duration;

use invoice_mailer::app::{self, Tuning};
use invoice_mailer::azure::Limits;
use invoice_mailer::clock::Clock;
use invoice_mailer::config::Config;
use invoice_mailer::domain::document::Sha256Hash;
use invoice_mailer::domain::invoice::utc_day;
use invoice_mailer::jobs::{self, Environment, Summary};
use invoice_mailer::ledger::{DeliveryFilter, DeliveryRow, InvoiceFilter, InvoiceRow};
use invoice_mailer::mail::relay::Deadlines;
use invoice_mailer::simulator::accounts::{BillingAccount, mca_account};
use invoice_mailer::simulator::azure::{Download, Options};
use invoice_mailer::simulator::inbox::{self, Received};
use invoice_mailer::simulator::{Inbox, Simulator};
use jiff::{SignedDuration, Timestamp};
use mailparse::{MailHeaderMap as _, ParsedMail};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// When every test begins.
pub(crate) const NOW: &str = "2026-11-23T12:00:00Z";

pub(crate) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A Microsoft Customer Agreement with one profile and its `invoices` newest invoices.
pub(crate) fn contoso(invoices: usize) -> BillingAccount {
    let mut account = mca_account("Contoso", &["Contoso Engineering"], now());
    let older = account.invoices.len() - invoices;
    account.invoices.drain(..older);
    account
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) simulator: Simulator,
    pub(crate) inbox: Inbox,
    pub(crate) clock: Clock,
    /// The `members` of the list `accounting`, as TOML.
    pub(crate) members: Vec<String>,
    /// Lines to put into `[smtp]`, `[delivery]` …, and `[[profiles]]` entries.
    pub(crate) profiles: Vec<String>,
    pub(crate) smtp: String,
    pub(crate) per_minute: u32,
    pub(crate) delivery: String,
    pub(crate) tuning: Tuning,
}

/// Short deadlines, since nothing here is far away.
fn tuning() -> Tuning {
    let quick = Duration::from_millis(600);
    Tuning {
        azure: Limits {
            wait_floor: Duration::from_millis(5),
            wait_ceiling: Duration::from_millis(50),
            request_timeout: Duration::from_millis(700),
            longest_wait: Duration::from_secs(2),
            poll_wait: Duration::from_millis(20),
            longest_poll: Duration::from_secs(2),
            ..Limits::default()
        },
        smtp: Deadlines {
            connect: quick,
            greeting: quick,
            command: quick,
            data: quick,
            block: quick,
            final_dot: quick,
        },
    }
}

impl World {
    /// One profile with its `invoices` newest invoices, mailed to `ap@contoso.example`.
    pub(crate) async fn new(invoices: usize) -> Self {
        Self::with(vec![contoso(invoices)]).await
    }

    pub(crate) async fn with(accounts: Vec<BillingAccount>) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let dir = tempfile::tempdir().unwrap();
        let profiles = accounts.iter().flat_map(entries).collect();
        let options = Options::new(now(), accounts);
        let download = Download { polls: 0, retry_after_s: 0, ..options.download };
        let simulator = Simulator::start(Options { download, ..options }).await.unwrap();
        let inbox = Inbox::start(inbox::Options::default()).await.unwrap();
        let mut world = Self {
            dir,
            simulator,
            inbox,
            clock: Clock::standing_at(now()),
            members: Vec::new(),
            profiles,
            smtp: String::new(),
            per_minute: 100_000,
            delivery: String::new(),
            tuning: tuning(),
        };
        world.to(&["ap@contoso.example"]);
        world
    }

    /// Makes these the members of the list `accounting`.
    pub(crate) fn to(&mut self, addresses: &[&str]) {
        let member = |address: &&str| format!("{{ address = \"{address}\", opted_in_on = 2025-01-01 }}");
        self.members = addresses.iter().map(member).collect();
    }

    pub(crate) fn config_text(&self) -> String {
        let dir = self.dir.path().display();
        format!(
            "instance = \"test\"\n\
             [azure]\nmanagement_endpoint = \"{}\"\ndocument_hosts = [\"{}\"]\n\
             credential = {{ kind = \"static_token\", token = \"{}\" }}\n\
             [lists.accounting]\nmembers = [{}]\n\
             [smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"Invoices <invoices@contoso.example>\"\n\
             per_minute = {}\n{}\n\
             [delivery]\n{}\n\
             [ledger]\nurl = \"sqlite://{dir}/ledger.db\"\n[archive]\nurl = \"file://{dir}/archive\"\n{}",
            self.simulator.endpoint().as_str().trim_end_matches('/'),
            self.simulator.blob_host(),
            self.simulator.token(),
            self.members.join(", "),
            self.inbox.addr().port(),
            self.per_minute,
            self.smtp,
            self.delivery,
            self.profiles.join("\n"),
        )
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        let path = self.dir.path().join("config.toml");
        std::fs::write(&path, self.config_text()).unwrap();
        path
    }

    pub(crate) fn config(&self) -> Config {
        invoice_mailer::config::load(&[self.config_file()], [], utc_day(now())).unwrap_or_else(|e| panic!("{e}"))
    }

    pub(crate) async fn open(&self) -> Environment {
        app::open(self.config(), self.clock.clone(), self.tuning.clone()).await.unwrap()
    }

    /// One pass over all profiles, as `once` does it.
    pub(crate) async fn once(&self) -> Summary {
        let env = self.open().await;
        let profiles: Vec<_> = env.config.profiles.iter().collect();
        let summary = jobs::pass(&env, &profiles, &CancellationToken::new()).await.unwrap();
        env.ledger.close().await;
        summary
    }

    pub(crate) fn step(&self, by: SignedDuration) {
        self.clock.step(by);
    }

    pub(crate) async fn deliveries(&self) -> Vec<DeliveryRow> {
        let env = self.open().await;
        let rows = env.ledger.deliveries(&DeliveryFilter::default()).await.unwrap();
        env.ledger.close().await;
        rows
    }

    pub(crate) async fn invoices(&self) -> Vec<InvoiceRow> {
        let env = self.open().await;
        let rows = env.ledger.invoices(&InvoiceFilter::default()).await.unwrap();
        env.ledger.close().await;
        rows
    }

    /// `recipient state` of every delivery, sorted.
    pub(crate) async fn states(&self) -> Vec<String> {
        let rows = self.deliveries().await;
        let mut states: Vec<String> = rows.iter().map(|row| format!("{} {}", row.recipient, row.state)).collect();
        states.sort();
        states
    }

    /// Sees that nothing is left over that no test wants.
    pub(crate) async fn finish(self) {
        assert_eq!(self.simulator.leaked_tokens(), 0, "the document host saw a token");
        assert_eq!(self.simulator.faults(), [], "faults that never struck");
        let sending = self.deliveries().await.into_iter().filter(|row| row.state == "sending").count();
        assert_eq!(sending, 0, "deliveries left in `sending`");
        let listed: Vec<String> =
            self.members.iter().map(|member| member.split('"').nth(1).unwrap().to_owned()).collect();
        for asked in self.inbox.asked() {
            assert!(listed.contains(&asked), "{asked} was never on the list");
        }
        for mail in self.inbox.messages() {
            check(&mail);
        }
    }
}

/// One `[[profiles]]` entry per profile of an account, or per subscription where there are no profiles.
pub(crate) fn entries(account: &BillingAccount) -> Vec<String> {
    let entry = |name: &str, scope: String| {
        let alias = name.to_lowercase().replace(' ', "-");
        format!("[[profiles]]\nname = \"{alias}\"\n{scope}\nlists = [\"accounting\"]\ndeliver_since = 2025-01-01")
    };
    if account.profiles.is_empty() {
        let scope = |id: &str| format!("agreement = \"mosp\"\nsubscription = \"{id}\"");
        return account.subscriptions.iter().map(|s| entry(&s.display_name, scope(&s.id))).collect();
    }
    let scope = |profile: &str| {
        format!("agreement = \"mca\"\nbilling_account = \"{}\"\nbilling_profile = \"{profile}\"", account.name)
    };
    account.profiles.iter().map(|p| entry(&p.display_name, scope(&p.name))).collect()
}

/// What holds for every mail of every test.
fn check(mail: &Received) {
    assert_eq!(mail.to.len(), 1, "one recipient a mail");
    assert!(mail.data.is_ascii());
    let text = String::from_utf8(mail.data.clone()).unwrap();
    assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
    let parsed = mailparse::parse_mail(&mail.data).unwrap();
    for name in ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Auto-Submitted"] {
        assert_eq!(parsed.headers.get_all_values(name).len(), 1, "{name}");
    }
    let [alternative, documents @ ..] = parsed.subparts.as_slice() else { panic!("no parts") };
    let kinds: Vec<_> = alternative.subparts.iter().map(|part| part.ctype.mimetype.as_str()).collect();
    assert_eq!(kinds, ["text/plain", "text/html"]);
    assert!(!documents.is_empty() && documents.iter().all(|part| part.ctype.mimetype == "application/pdf"));
}

/// A header of a received mail.
pub(crate) fn header(mail: &Received, name: &str) -> Option<String> {
    mailparse::parse_mail(&mail.data).unwrap().headers.get_first_value(name)
}

/// The hashes of the PDFs in a received mail.
pub(crate) fn pdfs(mail: &Received) -> Vec<Sha256Hash> {
    let parsed: ParsedMail<'_> = mailparse::parse_mail(&mail.data).unwrap();
    let documents = parsed.subparts.iter().filter(|part| part.ctype.mimetype == "application/pdf");
    documents.map(|part| Sha256Hash::of(&part.get_body_raw().unwrap())).collect()
}

/// The program itself.
pub(crate) fn program(config: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_invoice-mailer"));
    command.arg("--config").arg(config).env_remove("RUST_LOG");
    command
}

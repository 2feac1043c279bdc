//! One simulated billing profile, a folder for one run of the program, and the program itself.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use invoice_mailer::clock::Clock;
use invoice_mailer::simulator::Simulator;
use invoice_mailer::simulator::accounts::mca_account;
use invoice_mailer::simulator::azure::{Download, Options};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use uuid::Uuid;

/// The password of sender@invoice.test.
pub(crate) const PASSWORD: &str = "s3cret";

/// How the program is told to reach the relay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelayAs<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) tls: &'a str,
    pub(crate) ca: &'a Path,
    pub(crate) password: &'a str,
}

#[derive(Debug)]
pub(crate) struct Setup {
    folder: TempDir,
    simulator: Simulator,
    recipients: String,
    scope: String,
    /// In `From:` and the envelope; of this test alone, so that its mails can be told from all others.
    pub(crate) sender: String,
    /// The sorted SHA-256 of the PDFs of each invoice.
    pub(crate) served: BTreeMap<String, Vec<String>>,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    /// The objects on stdout, one a line.
    pub(crate) rows: Vec<Value>,
    /// stderr
    pub(crate) logs: String,
}

impl Setup {
    /// An account with one profile and its newest `invoices`, for these recipients.
    pub(crate) async fn new(invoices: usize, recipients: &[&str]) -> Self {
        let now = Clock::System.now();
        let mut account = mca_account("Contoso", &["Engineering"], now);
        let older = account.invoices.len() - invoices;
        account.invoices.drain(..older);
        let scope =
            format!("billing_account = \"{}\"\nbilling_profile = \"{}\"\n", account.name, account.profiles[0].name);
        let options = Options::new(now, vec![account]);
        let download = Download { retry_after_s: 1, ..options.download };
        let simulator = Simulator::start(Options { download, ..options }).await.unwrap();
        let members = recipients.iter().map(|to| format!("{{ address = \"{to}\", opted_in_on = 2020-01-01 }}"));
        Self {
            folder: TempDir::new().unwrap(),
            recipients: members.collect::<Vec<_>>().join(", "),
            scope,
            sender: format!("{}@invoice.test", Uuid::new_v4().simple()),
            served: served(&simulator),
            simulator,
        }
    }

    /// Writes the configuration that reaches the relay in this way.
    pub(crate) fn configure(&self, relay: &RelayAs<'_>) {
        fs::write(self.folder.path().join("password"), relay.password).unwrap();
        fs::write(self.config_file(), self.config(relay)).unwrap();
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn config(&self, relay: &RelayAs<'_>) -> String {
        let Self { recipients, scope, sender, simulator, .. } = self;
        let RelayAs { host, port, tls, ca, .. } = relay;
        format!(
            r#"
[azure]
management_endpoint = "{endpoint}"
document_hosts = ["{documents}"]
credential = {{ kind = "static_token", token = "{token}" }}

[[profiles]]
name = "engineering"
agreement = "mca"
{scope}
lists = ["accounting"]
deliver_since = 2000-01-01

[lists.accounting]
members = [{recipients}]

[smtp]
host = "{host}"
port = {port}
tls = "{tls}"
ca_file = "{ca}"
from = "Azure invoices <{sender}>"
auth = {{ kind = "password", username = "sender@invoice.test", password = {{ env = "RELAY_PASSWORD" }} }}
per_minute = 1000

[ledger]
url = "sqlite://{folder}/ledger.db"

[archive]
url = "file://{folder}/archive"
"#,
            endpoint = simulator.endpoint().as_str().trim_end_matches('/'),
            documents = simulator.blob_host(),
            token = simulator.token(),
            ca = ca.display(),
            folder = self.folder.path().display(),
        )
    }

    /// Runs the program with the configuration.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Run {
        let mut program = Command::new(env!("CARGO_BIN_EXE_invoice-mailer"));
        program.arg("--config").arg(self.config_file()).args(arguments).env_clear();
        program.env("RELAY_PASSWORD", fs::read_to_string(self.folder.path().join("password")).unwrap());
        let output = program.output().await.unwrap();
        let logs = String::from_utf8(output.stderr).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let rows = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}\n{logs}")));
        Run { code: output.status.code().unwrap_or(-1), rows: rows.collect(), logs }
    }

    /// Recipient and state of every delivery.
    pub(crate) async fn states(&self) -> BTreeSet<(String, String)> {
        let run = self.run(&["deliveries", "--json"]).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        run.rows.iter().map(|row| (text(&row["recipient"]), text(&row["state"]))).collect()
    }
}

fn served(simulator: &Simulator) -> BTreeMap<String, Vec<String>> {
    let accounts = simulator.accounts();
    let invoices = accounts.iter().flat_map(|account| &account.invoices);
    invoices
        .map(|invoice| {
            let hash = |name: &str| simulator.sha256(&invoice.name, name).unwrap().to_string();
            let mut hashes: Vec<_> = invoice.documents.iter().map(|document| hash(&document.name)).collect();
            hashes.sort();
            (invoice.name.clone(), hashes)
        })
        .collect()
}

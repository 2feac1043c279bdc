//! `demo`: the main job with nothing to set up.

use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{Span, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::app::{self, Tuning};
use crate::clock::Clock;
use crate::domain::invoice::utc_day;
use crate::jobs::{self, Environment, Summary};
use crate::ledger::DeliveryFilter;
use crate::simulator::azure::{Download, Options};
use crate::simulator::{Inbox, Simulator, inbox};
use crate::{config, daemon, telemetry};

use super::simulate::sample_accounts;
use super::table::{cell, table};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where everything is kept; default: a new temporary folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// End when all is delivered, instead of staying until Ctrl-C
    #[arg(long)]
    exit: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    let dir = folder(args.dir, now)?;
    let stage = Stage::set(&dir, now).await?;
    let config_file = dir.join("config.toml");
    std::fs::write(&config_file, stage.config(&dir, now)?).context("cannot write the demo's configuration")?;
    let config = config::load(std::slice::from_ref(&config_file), [], utc_day(now))?;
    telemetry::start(config.log.format, "error");
    let env = app::open(config, Clock::System, Tuning::default()).await?;
    let stop = CancellationToken::new();
    let summary = daemon::until_signalled(&stop, watched_pass(&env, &stop)).await?;
    let all_accepted = finish(&env, &summary, &dir, &config_file).await?;
    if !args.exit && !stop.is_cancelled() {
        super::put("The daemon goes on until Ctrl-C.")?;
        daemon::until_signalled(&stop, daemon::run(&env, &stop)).await?;
    }
    env.ledger.close().await;
    Ok(if all_accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn folder(dir: Option<PathBuf>, now: Timestamp) -> anyhow::Result<PathBuf> {
    let dir = dir.unwrap_or_else(|| std::env::temp_dir().join(format!("invoice-mailer-demo-{}", now.as_millisecond())));
    if dir.join("config.toml").exists() {
        bail!("`{}` holds an earlier demo: name another folder", dir.display());
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make the folder `{}`", dir.display()))?;
    std::path::absolute(&dir).context("the folder has no absolute path")
}

/// The simulated outside world.
struct Stage {
    simulator: Simulator,
    inbox: Inbox,
}

impl Stage {
    async fn set(dir: &Path, now: Timestamp) -> anyhow::Result<Self> {
        let options = Options::new(now, sample_accounts(now));
        let download = Download { retry_after_s: 1, ..options.download };
        let simulator =
            Simulator::start(Options { download, ..options }).await.context("cannot start the simulator")?;
        let options = inbox::Options { folder: Some(dir.join("inbox")), ..inbox::Options::default() };
        let inbox = Inbox::start(options).await.context("cannot start the inbox")?;
        let served: Vec<String> = simulator
            .accounts()
            .iter()
            .flat_map(|account| &account.invoices)
            .flat_map(|invoice| invoice.documents.iter().map(|document| (&invoice.name, &document.name)))
            .filter_map(|(invoice, document)| {
                Some(format!("{}  {invoice}_{document}.pdf\n", simulator.sha256(invoice, document)?))
            })
            .collect();
        std::fs::write(dir.join("served.sha256"), served.concat()).context("cannot write into the demo's folder")?;
        Ok(Self { simulator, inbox })
    }

    /// The configuration that an operator would write for what is on the stage.
    fn config(&self, dir: &Path, now: Timestamp) -> anyhow::Result<String> {
        let since = utc_day(now).saturating_sub(Span::new().months(13));
        let dir = dir.to_str().context("the folder's name is not valid UTF-8")?;
        let mut text = format!(
            r#"# Written by `invoice-mailer demo`.
instance = "demo"

[azure]
management_endpoint = "{endpoint}"
document_hosts = ["{blobs}"]
credential = {{ kind = "static_token", token = "{token}" }}

[lists.accounting]
members = [
  {{ address = "ap@contoso.example", name = "Accounts payable", opted_in_on = {since} }},
  {{ address = "erp-import@contoso.example", opted_in_on = {since}, kind = "erp" }},
]
allowed_domains = ["contoso.example"]

[lists.cloud-team]
members = [{{ address = "cloud-team@fabrikam.example", name = "Cloud team", opted_in_on = {since} }}]

[smtp]
host = "{host}"
port = {port}
tls = "none"
from = "Azure invoices <azure-invoices@billing.contoso.example>"
reply_to = "cloud-team@fabrikam.example"
per_minute = 100000

[ledger]
url = "sqlite://{dir}/ledger.db"

[archive]
url = "file://{dir}/archive"
"#,
            endpoint = self.simulator.endpoint().as_str().trim_end_matches('/'),
            blobs = self.simulator.blob_host(),
            token = self.simulator.token(),
            host = self.inbox.addr().ip(),
            port = self.inbox.addr().port(),
        );
        for account in self.simulator.accounts() {
            for profile in &account.profiles {
                let scope = format!("billing_account = \"{}\"\nbilling_profile = \"{}\"", account.name, profile.name);
                text += &entry(&profile.display_name, "mca", &scope, r#""accounting""#, since);
            }
            for subscription in account.subscriptions.iter().filter(|subscription| subscription.profile.is_none()) {
                let scope = format!("subscription = \"{}\"", subscription.id);
                text += &entry(&subscription.display_name, "mosp", &scope, r#""accounting", "cloud-team""#, since);
            }
        }
        Ok(text)
    }
}

/// One `[[profiles]]` entry.
fn entry(name: &str, agreement: &str, scope: &str, lists: &str, since: jiff::civil::Date) -> String {
    let alias: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!(
        "\n[[profiles]]\nname = \"{alias}\"\nagreement = \"{agreement}\"\n{scope}\nlists = [{lists}]\n\
         documents = [\"invoice\", \"credit_note\", \"tax_receipt\", \"void_note\"]\ndeliver_since = {since}\n"
    )
}

/// One pass with a progress bar on a terminal, with lines elsewhere.
async fn watched_pass(env: &Environment, stop: &CancellationToken) -> anyhow::Result<Summary> {
    let bar = if stderr().is_terminal() { ProgressBar::new(1) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len} mails")?);
    bar.set_message("listing and fetching");
    let profiles: Vec<_> = env.config.profiles.iter().collect();
    let watch = async {
        let mut shown = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let counts = env.ledger.counts().await.unwrap_or_default();
            let (accepted, all) = (counts.get("accepted").copied().unwrap_or(0), counts.values().sum::<i64>());
            bar.set_length(u64::try_from(all).unwrap_or(0).max(1));
            bar.set_position(u64::try_from(accepted).unwrap_or(0));
            bar.set_message(if accepted == 0 { "listing and fetching" } else { "mailing" });
            if bar.is_hidden() && (all, accepted) != (0, 0) && all + accepted >= shown + 25 {
                shown = all + accepted;
                eprintln!("{all} mails recorded, {accepted} accepted");
            }
        }
    };
    let summary = tokio::select! {
        summary = jobs::pass(env, &profiles, stop) => summary?,
        () = watch => bail!("the watch never ends"),
    };
    bar.finish_and_clear();
    Ok(summary)
}

/// Prints what was mailed and where to look; whether everything was accepted.
async fn finish(env: &Environment, summary: &Summary, dir: &Path, config_file: &Path) -> anyhow::Result<bool> {
    let mut table = table(["profile", "invoice", "document", "amount", "recipient", "state"]);
    let mut rows = env.ledger.deliveries(&DeliveryFilter::default()).await?;
    rows.sort_by_key(|row| (row.profile.clone(), row.invoice.clone()));
    for row in &rows {
        let mail = env.ledger.mail(&row.id).await?;
        let kinds: Vec<&str> = mail.documents.iter().map(|document| document.kind.words()).collect();
        table.add_row([
            mail.profile,
            mail.invoice.number().to_string(),
            kinds.join(", "),
            cell(mail.invoice.headline_amount()),
            row.recipient.clone(),
            row.state.clone(),
        ]);
    }
    super::put(&table)?;
    summary.errors.iter().for_each(|error| eprintln!("error: {error}"));
    let accepted = rows.iter().filter(|row| row.state == "accepted").count();
    super::put(format_args!("\n{} invoices, {accepted} of {} mails accepted", summary.invoices_new, rows.len()))?;
    super::put(format_args!("Mails:          {}/*.eml", dir.join("inbox").display()))?;
    super::put(format_args!("Configuration:  {}", config_file.display()))?;
    super::put(format_args!("Look around:    invoice-mailer --config '{}' deliveries", config_file.display()))?;
    Ok(summary.errors.is_empty() && accepted == rows.len() && !rows.is_empty())
}

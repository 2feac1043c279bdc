//! `simulate`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::clock::Clock;
use crate::daemon::until_stopped;
use crate::simulator::Simulator;
use crate::simulator::accounts::{BillingAccount, mca_account, mosp_account};
use crate::simulator::azure::Options;

use super::Usage;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the Billing API listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the documents are served
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    blob_listen: SocketAddr,
    /// The accounts to serve, a JSON array; default: one Microsoft Customer Agreement and one subscription
    #[arg(long, value_name = "FILE")]
    accounts: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if !args.listen.ip().is_loopback() || !args.blob_listen.ip().is_loopback() {
        return Err(Usage("it is for loopback only: give addresses such as 127.0.0.1:8080".into()).into());
    }
    let now = Clock::System.now();
    let accounts = match &args.accounts {
        Some(path) => read(path)?,
        None => sample_accounts(now),
    };
    let options = Options { listen: args.listen, blob_listen: args.blob_listen, ..Options::new(now, accounts) };
    let simulator = Simulator::start(options)
        .await
        .with_context(|| format!("cannot listen on {} and {}", args.listen, args.blob_listen))?;
    super::put(format_args!("management_endpoint = \"{}\"", simulator.endpoint().as_str().trim_end_matches('/')))?;
    super::put(format_args!("document_hosts = [\"{}\"]", simulator.blob_host()))?;
    super::put(format_args!("credential = {{ kind = \"static_token\", token = \"{}\" }}", simulator.token()))?;
    for account in simulator.accounts() {
        super::put(format_args!("# {}: billing account {}", account.display_name, account.name))?;
        for profile in &account.profiles {
            super::put(format_args!("#   billing profile {} ({})", profile.name, profile.display_name))?;
        }
        for subscription in &account.subscriptions {
            super::put(format_args!("#   subscription {} ({})", subscription.id, subscription.display_name))?;
        }
    }
    eprintln!("the simulated Billing API answers until Ctrl-C");
    until_stopped().await;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<Vec<BillingAccount>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("`{}` does not hold billing accounts", path.display()))
}

/// What `demo` and a bare `simulate` serve: a year of invoices of two agreements.
pub(super) fn sample_accounts(now: jiff::Timestamp) -> Vec<BillingAccount> {
    vec![mca_account("Contoso", &["Contoso Engineering", "Contoso Research"], now), mosp_account("Fabrikam", 9, now)]
}

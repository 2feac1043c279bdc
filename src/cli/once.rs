//! `once`

use std::path::PathBuf;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::app::{self, Tuning};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::billing::Profile;
use crate::jobs::{self, Summary};
use crate::{daemon, telemetry};

use super::{Usage, code};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Fetch only this profile; may be repeated. Deliveries of all profiles go out
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(files: &[PathBuf], args: Args) -> anyhow::Result<ExitCode> {
    let config = super::load(files)?;
    telemetry::start(config.log.format, "warn");
    let env = app::open(config, Clock::System, Tuning::default()).await?;
    let profiles = named(&env.config, &args.profiles)?;
    let stop = CancellationToken::new();
    let summary = daemon::until_signalled(&stop, jobs::pass(&env, &profiles, &stop)).await?;
    env.ledger.close().await;
    print(&summary, args.json)?;
    Ok(exit_code(&summary))
}

fn named<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a Profile>, Usage> {
    if names.is_empty() {
        return Ok(config.profiles.iter().collect());
    }
    let find = |name: &String| config.profiles.iter().find(|profile| profile.name == *name);
    let known: Vec<&str> = config.profiles.iter().map(|profile| profile.name.as_str()).collect();
    let unknown = |name: &String| Usage(format!("there is no profile `{name}`; there are: {}", known.join(", ")));
    names.iter().map(|name| find(name).ok_or_else(|| unknown(name))).collect()
}

fn print(summary: &Summary, json: bool) -> anyhow::Result<()> {
    if json {
        return super::put(serde_json::json!(summary));
    }
    let Summary {
        profiles,
        invoices_new,
        deliveries_created,
        accepted,
        deferred,
        refused,
        in_doubt,
        held,
        waiting,
        ..
    } = summary;
    super::put(format_args!(
        "profiles {profiles}, new invoices {invoices_new}, new deliveries {deliveries_created}\n\
         accepted {accepted}, deferred {deferred}, refused {refused}, in doubt {in_doubt}, held {held}; \
         still waiting {waiting}"
    ))?;
    for error in &summary.errors {
        eprintln!("error: {error}");
    }
    Ok(())
}

fn exit_code(summary: &Summary) -> ExitCode {
    ExitCode::from(match summary {
        Summary { is_pending: true, .. } => code::TRY_AGAIN,
        Summary { errors, .. } if errors.is_empty() => return ExitCode::SUCCESS,
        Summary { is_transient: true, .. } => code::UNAVAILABLE,
        Summary { .. } => code::FAILED,
    })
}

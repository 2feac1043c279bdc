//! `run`

use std::path::PathBuf;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::app::{self, Tuning};
use crate::clock::Clock;
use crate::{daemon, telemetry};

pub(super) async fn run(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let config = super::load(files)?;
    telemetry::start(config.log.format, "info");
    let env = app::open(config, Clock::System, Tuning::default()).await?;
    tracing::info!(profiles = env.config.profiles.len(), "started");
    let stop = CancellationToken::new();
    daemon::until_signalled(&stop, daemon::run(&env, &stop)).await?;
    env.ledger.close().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

//! Time and lifecycle: when to wake, what to do then, how to stop.
//!
//! The scheduler decides when, the ledger decides what. Only one pass runs at a time.

mod schedule;
mod signals;
mod task;

use std::pin::pin;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::jobs::Environment;

pub use signals::until_stopped;

/// Runs until `stop` is set, then brings what is under way to its end.
///
/// # Errors
/// If the scheduler cannot start or the ledger fails.
pub async fn run(env: &Environment, stop: &CancellationToken) -> anyhow::Result<()> {
    let wake = Arc::new(Notify::new());
    let mut scheduler = schedule::start(Arc::clone(&wake)).await.context("cannot start the scheduler")?;
    let ended = task::run(env, &wake, stop).await;
    scheduler.shutdown().await.context("cannot stop the scheduler")?;
    Ok(ended?)
}

/// Runs `work`, and sets `stop` when the process is asked to end; then waits for the work to end.
pub async fn until_signalled<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        ended = &mut work => return ended,
        () = until_stopped() => {}
    }
    tracing::info!("asked to stop: nothing new is begun, a mail whose end is on its way is waited for");
    stop.cancel();
    work.await
}

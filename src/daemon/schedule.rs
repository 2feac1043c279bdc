//! The tick: one UTC job whose callback only wakes the loop.
//!
//! The scheduler loses jobs when many fall due together, overlaps a job with itself and freezes the offset of a time
//! zone; so it carries a single job in UTC, and the dates are the calendar's.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// At second 0 and 30 of every minute.
const TICK: &str = "0,30 * * * * *";

pub(super) async fn start(wake: Arc<Notify>) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    let job = Job::new(TICK, move |_, _| wake.notify_one())?;
    scheduler.add(job).await?;
    scheduler.start().await?;
    Ok(scheduler)
}

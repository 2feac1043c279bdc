//! The loop: at each wake, look at the profiles that are due, then deliver what is due.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::domain::retry::{after, relay_pause};
use crate::jobs::{self, Environment, deliver, fetch};
use crate::ledger;

/// How often the ledger is asked for deliveries that fell due, so that what a verb wrote is seen soon.
const POLL: Duration = Duration::from_secs(5);

/// How long the relay is left alone.
#[derive(Default)]
struct RelayPause {
    troubles: u32,
    until: Option<Timestamp>,
}

impl RelayPause {
    fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    fn note(&mut self, trouble: bool, now: Timestamp) {
        self.troubles = if trouble { self.troubles.saturating_add(1) } else { 0 };
        self.until = trouble.then(|| after(now, relay_pause(self.troubles)));
    }
}

pub(super) async fn run(env: &Environment, wake: &Notify, stop: &CancellationToken) -> Result<(), ledger::Error> {
    let mut relay = RelayPause::default();
    let mut at_start = true;
    loop {
        look(env, at_start, stop).await?;
        at_start = false;
        loop {
            let now = env.clock.now();
            if relay.is_over(now) && env.ledger.is_any_due(now).await? {
                let delivered = deliver(env, now, stop).await?;
                // A relay that takes other mails is not in trouble.
                let trouble = delivered.relay_trouble.is_some() && delivered.accepted == 0;
                relay.note(trouble, env.clock.now());
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = wake.notified() => break,
                () = sleep(POLL) => {}
            }
        }
    }
}

/// Fetches every profile whose next look is due; at the start also those that a look left something open of, since
/// whoever starts the program again may have mended it.
async fn look(env: &Environment, at_start: bool, stop: &CancellationToken) -> Result<(), ledger::Error> {
    for profile in &env.config.profiles {
        let now = env.clock.now();
        let look = env.ledger.look(&profile.name, now).await?;
        if look.next_look_at() > now && !(at_start && look.problem.is_some()) {
            if at_start {
                tracing::info!(profile = %profile.name, next_look_at = %look.next_look_at(), "looked before");
            }
            continue;
        }
        let fetched = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            fetched = fetch(env, profile) => fetched,
        };
        match fetched {
            Ok(fetched) => {
                for problem in fetched.problems {
                    tracing::warn!(profile = %profile.name, problem, "the look left something open");
                }
                let (invoices, deliveries) = (fetched.invoices_new, fetched.deliveries_created);
                tracing::info!(profile = %profile.name, invoices, deliveries, "looked");
            }
            Err(jobs::Error::Ledger(error)) => return Err(error),
            Err(error) => {
                tracing::error!(profile = %profile.name, error = error.told(), "the look failed");
            }
        }
    }
    Ok(())
}

//! One pass: fetch the given profiles, deliver everything due, say what it came to.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::domain::billing::Profile;
use crate::domain::delivery::State;
use crate::ledger;

use super::{Environment, Error, deliver, fetch};

/// What a pass came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Profiles looked at.
    pub profiles: usize,
    /// Invoices that the ledger did not hold before.
    pub invoices_new: usize,
    /// Mails recorded.
    pub deliveries_created: usize,
    /// Mails accepted in this pass.
    pub accepted: usize,
    /// Mails to be tried again.
    pub deferred: usize,
    /// Mails refused for good in this pass.
    pub refused: usize,
    /// Mails that came into doubt in this pass.
    pub in_doubt: usize,
    /// Mails that came to need a person in this pass.
    pub held: usize,
    /// What failed, a sentence each.
    pub errors: Vec<String>,
    /// Whether everything that failed may go well later by itself.
    #[serde(skip)]
    pub is_transient: bool,
    /// Mails that wait for another pass.
    #[serde(skip)]
    pub waiting: i64,
    /// Whether mails or documents wait for another pass.
    #[serde(skip)]
    pub is_pending: bool,
}

/// Fetches `profiles`, one after the other, then delivers. A profile that fails does not stop the others.
///
/// # Errors
/// If the ledger fails.
pub async fn pass(
    env: &Environment,
    profiles: &[&Profile],
    stop: &CancellationToken,
) -> Result<Summary, ledger::Error> {
    let mut summary = Summary { is_transient: true, ..Summary::default() };
    // A document that was not ready waits for another pass like a mail that was put off.
    let mut waits = false;
    for profile in profiles {
        summary.profiles += 1;
        let fetched = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            fetched = fetch(env, profile) => fetched,
        };
        match fetched {
            Ok(fetched) => {
                waits |= fetched.is_transient && !fetched.problems.is_empty();
                summary.is_transient &= fetched.is_transient;
                summary.invoices_new += fetched.invoices_new;
                summary.deliveries_created += fetched.deliveries_created;
                summary.held += fetched.held;
                let named = |problem| format!("profile `{}`: {problem}", profile.name);
                summary.errors.extend(fetched.problems.into_iter().map(named));
            }
            Err(Error::Ledger(error)) => return Err(error),
            Err(error) => {
                summary.is_transient &= error.is_transient();
                summary.errors.push(error.told());
            }
        }
    }
    let delivered = deliver(env, env.clock.now(), stop).await?;
    summary.accepted = delivered.accepted;
    summary.deferred = delivered.deferred;
    summary.refused = delivered.refused;
    summary.in_doubt = delivered.in_doubt;
    summary.held += delivered.held;
    summary.errors.extend(delivered.relay_trouble);
    summary.errors.extend(delivered.archive_trouble);
    for (count, state) in
        [(summary.refused, State::Refused), (summary.held, State::Held), (delivered.expired, State::Expired)]
    {
        if count > 0 {
            let state = state.as_str();
            summary.is_transient = false;
            summary.errors.push(format!("{count} {state} in this pass: see `deliveries --state {state}`"));
        }
    }
    let counts = env.ledger.counts().await?;
    let count = |state: State| counts.get(state.as_str()).copied().unwrap_or(0);
    summary.waiting = count(State::Pending) + count(State::Sending) + count(State::InDoubt);
    summary.is_pending = waits || stop.is_cancelled() || summary.waiting > 0;
    Ok(summary)
}

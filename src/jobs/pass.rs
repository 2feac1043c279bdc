//! One pass: fetch the given profiles, deliver everything due, say what it came to.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::domain::billing::Profile;
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
    summary.held = delivered.held;
    summary.errors.extend(delivered.relay_trouble);
    summary.errors.extend(delivered.archive_trouble);
    if delivered.expired > 0 {
        summary.is_transient = false;
        summary.errors.push(format!("{} mails expired: see `deliveries --state expired`", delivered.expired));
    }
    let counts = env.ledger.counts().await?;
    summary.is_pending = waits
        || stop.is_cancelled()
        || ["pending", "sending", "in_doubt"].iter().any(|state| counts.contains_key(*state));
    Ok(summary)
}

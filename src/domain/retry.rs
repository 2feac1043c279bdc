//! When to try again, as arithmetic.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What to do with a delivery whose final dot left without a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInDoubt {
    /// Send the identical bytes once more after [`RetryPolicy::in_doubt_wait`], then hold.
    Resend,
    /// Hold at once: a person decides.
    Hold,
}

/// `[delivery]`: waits, and when to give up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The waits after the first, second … charged failure; the last one repeats. Never empty.
    pub retry: Vec<Duration>,
    /// The age at which a delivery expires.
    pub give_up_after: Duration,
    /// What to do in doubt.
    pub on_in_doubt: OnInDoubt,
    /// How long to wait before a re-send in doubt.
    pub in_doubt_wait: Duration,
}

impl RetryPolicy {
    /// The wait after the `failures`th charged failure (counted from 1), spread by a fifth either way.
    ///
    /// `jitter` is any number that differs between deliveries; the same number gives the same wait.
    #[must_use]
    pub fn wait(&self, failures: u32, jitter: u64) -> Duration {
        let index = (failures.max(1) as usize - 1).min(self.retry.len().saturating_sub(1));
        let base = self.retry.get(index).copied().unwrap_or(Duration::from_mins(5));
        let permille = u32::try_from(800 + jitter % 401).unwrap_or(1000);
        base / 1000 * permille
    }
}

/// How long the relay is left alone after `troubles` failures in a row (counted from 1).
#[must_use]
pub fn relay_pause(troubles: u32) -> Duration {
    let minutes = [1, 2, 5, 10, 15, 30];
    let index = (troubles.max(1) as usize - 1).min(minutes.len() - 1);
    Duration::from_mins(minutes[index])
}

/// `at + wait`, saturating at the end of time.
#[must_use]
pub fn after(at: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_follow_the_list_and_stay_within_a_fifth() {
        let minutes = |m: u64| Duration::from_secs(m * 60);
        let policy = RetryPolicy {
            retry: vec![minutes(5), minutes(15), minutes(240)],
            give_up_after: minutes(7200),
            on_in_doubt: OnInDoubt::Resend,
            in_doubt_wait: minutes(15),
        };
        for (failures, base) in [(0, 5), (1, 5), (2, 15), (3, 240), (4, 240), (u32::MAX, 240)] {
            for jitter in [0, 200, 400, 401, u64::MAX] {
                let wait = policy.wait(failures, jitter);
                assert!(wait >= minutes(base) * 4 / 5 && wait <= minutes(base) * 6 / 5, "{failures} {wait:?}");
            }
        }
        assert_eq!(policy.wait(1, 200), minutes(5));
    }

    #[test]
    fn the_relay_is_probed_at_growing_intervals() {
        let pauses = [0, 1, 2, 3, 6, u32::MAX].map(|troubles| relay_pause(troubles).as_secs() / 60);
        assert_eq!(pauses, [1, 1, 2, 5, 30, 30]);
    }
}

//! Waiting: what Azure asks for, what we do when it asks for nothing, and how long one call waits in sum.

use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::time::sleep;

use super::Limits;
use super::cause::Cause;

/// The longest wait that Resource Manager asks for between two looks (azure-resource-manager-rpc,
/// async-api-reference): given up sooner, such an operation would never end.
const LONGEST_POLL_ASKED: Duration = Duration::from_mins(10);

/// The waits of one call.
pub(super) struct Patience<'a> {
    limits: &'a Limits,
    waited: Duration,
    polled: Duration,
}

impl<'a> Patience<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self { limits, waited: Duration::ZERO, polled: Duration::ZERO }
    }

    /// Waits before the request that failed with `cause` is sent again.
    ///
    /// # Errors
    /// The cause, if a repeat is no use, the attempts are used up or the wait would be too long.
    pub(super) async fn before_repeat(&mut self, cause: Cause, attempt: u32) -> Result<(), Cause> {
        if !cause.is_worth_repeating() {
            return Err(cause);
        }
        let asked = cause.asked_wait();
        let wait = asked.unwrap_or_else(|| self.backoff(attempt));
        if attempt < self.limits.attempts && self.waited + wait <= self.limits.longest_wait {
            let reason = cause.root();
            tracing::warn!(attempt, wait_ms = millis(wait), %reason, "Azure request failed, will be repeated");
            self.waited += wait;
            sleep(wait).await;
            return Ok(());
        }
        Err(match asked {
            Some(wait) => Cause::Throttled { wait, source: Box::new(cause) },
            None => cause,
        })
    }

    /// Waits for a document, or returns `false` at once if the call would then have waited too long.
    pub(super) async fn poll(&mut self, wait: Duration) -> bool {
        let limit = self.limits.longest_poll;
        let limit = if self.polled.is_zero() { limit.max(LONGEST_POLL_ASKED) } else { limit };
        if self.polled + wait > limit {
            return false;
        }
        self.polled += wait;
        sleep(wait).await;
        true
    }

    /// How long the call has waited for a document.
    pub(super) fn polled(&self) -> Duration {
        self.polled
    }

    /// Doubles from the floor, spread by a fifth either way.
    fn backoff(&self, attempt: u32) -> Duration {
        let base = self.limits.wait_floor.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let spread = base.mul_f64(rand::random_range(0.8..=1.2));
        spread.clamp(self.limits.wait_floor, self.limits.wait_ceiling)
    }
}

/// The wait that an answer asks for, within the limits; `None` if it asks for none or unreadably.
///
/// `Retry-After` is seconds or an HTTP date (RFC 9110, 10.2.3), which counts from the answer's own `Date`: the
/// server's clock decides, not ours. Azure also sends milliseconds in `retry-after-ms` and `x-ms-retry-after-ms`.
pub(super) fn asked_wait(headers: &HeaderMap, limits: &Limits) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name| text(name)?.parse::<f64>().ok().filter(|number| number.is_finite());
    let millis = || number("retry-after-ms").or_else(|| number("x-ms-retry-after-ms"));
    let until_date = || {
        let date = |name| rfc2822::parse(text(name)?).ok();
        let wait = date(RETRY_AFTER.as_str())?.timestamp().duration_since(date(DATE.as_str())?.timestamp());
        Some(wait.as_secs_f64())
    };
    let seconds =
        millis().map(|millis| millis / 1000.0).or_else(|| number(RETRY_AFTER.as_str())).or_else(until_date)?;
    let wait = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    Some(wait.clamp(limits.wait_floor, limits.wait_ceiling))
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

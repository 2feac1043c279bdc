//! When to look: which span of invoices to list, and when the next look is due. Days are UTC days.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::invoice::utc_day;
use super::retry::after;

/// How long after a look that failed the next one follows.
const AFTER_FAILURE: Duration = Duration::from_mins(15);

/// The days a sweep lists: twelve months back, since corrections come months later, and one month ahead, since
/// Azure's filter may mean the billing period instead of the day of issue.
#[must_use]
pub fn sweep_span(now: Timestamp) -> (Date, Date) {
    let today = utc_day(now);
    (today.saturating_sub(Span::new().months(12)), today.saturating_add(Span::new().months(1)))
}

/// The next daily sweep after `now`: 06:00 UTC, when Azure's day has settled.
#[must_use]
pub fn next_sweep(now: Timestamp) -> Timestamp {
    let today = sweep_of(utc_day(now));
    if today > now { today } else { sweep_of(utc_day(now).saturating_add(Span::new().days(1))) }
}

/// The next look after one that failed, `asked` being how long Azure wants to be left alone.
#[must_use]
pub fn next_try(now: Timestamp, asked: Option<Duration>) -> Timestamp {
    after(now, asked.unwrap_or_default().max(AFTER_FAILURE))
}

fn sweep_of(day: Date) -> Timestamp {
    day.at(6, 0, 0, 0).to_zoned_datetime(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_come_daily_at_six_utc() {
        for (now, next) in [
            ("2026-11-23T05:59:59Z", "2026-11-23T06:00:00Z"),
            ("2026-11-23T06:00:00Z", "2026-11-24T06:00:00Z"),
            ("2026-12-31T23:00:00Z", "2027-01-01T06:00:00Z"),
        ] {
            assert_eq!(next_sweep(now.parse().unwrap()), next.parse::<Timestamp>().unwrap());
        }
    }

    #[test]
    fn azure_may_ask_for_more_patience_than_we_have() {
        let now: Timestamp = "2026-11-23T06:00:00Z".parse().unwrap();
        let minutes = |asked| after(now, Duration::from_mins(asked));
        for (asked, next) in [(None, 15), (Some(10), 15), (Some(60), 60)] {
            assert_eq!(next_try(now, asked.map(Duration::from_mins)), minutes(next));
        }
    }

    #[test]
    fn a_sweep_lists_a_year_and_a_month() {
        let (from, to) = sweep_span("2028-02-29T12:00:00Z".parse().unwrap());
        assert_eq!((from.to_string(), to.to_string()), ("2027-02-28".into(), "2028-03-29".into()));
    }
}

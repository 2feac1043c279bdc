//! The parameters of lists: the span of time and the page.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::reply::Reply;
use crate::simulator::accounts::Invoice;

const PAGE: usize = 50;

/// The query's parameters, decoded.
pub(super) type Query = HashMap<String, String>;

/// The span asked for. Azure does not say whether it means the day of issue or the billing period: either counts.
pub(super) struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Window {
    pub(super) fn of(query: &Query) -> Result<Self, Reply> {
        let given = |name: &str, default: &str| query.get(name).map_or(default, String::as_str).to_owned();
        let from = Self::edge(&given("periodStartDate", "2000-01-01"), false);
        let to = Self::edge(&given("periodEndDate", "2100-01-01"), true);
        match (from, to) {
            (Some(from), Some(to)) => Ok(Self { from, to }),
            _ => Err(bad_request("periodStartDate and periodEndDate must be dates such as 2026-01-31.")),
        }
    }

    fn edge(text: &str, end: bool) -> Option<Timestamp> {
        if text.len() > 10 {
            return text.replacen(' ', "T", 1).parse().ok();
        }
        let day: Date = text.parse().ok()?;
        let time = if end { day.at(23, 59, 59, 0) } else { day.at(0, 0, 0, 0) };
        Some(time.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
    }

    pub(super) fn holds(&self, invoice: &Invoice) -> bool {
        let issued = self.from <= invoice.invoice_at && invoice.invoice_at <= self.to;
        issued || (invoice.period_start <= self.to && self.from <= invoice.period_end)
    }
}

/// Which part of a list is wanted.
pub(super) struct Slice {
    pub skip: usize,
    pub top: usize,
}

impl Slice {
    pub(super) fn of(query: &Query) -> Result<Self, Reply> {
        let number = |name: &str, default| match query.get(name).map(|text| text.parse::<usize>()) {
            None => Ok(default),
            Some(Ok(number)) => Ok(number),
            Some(Err(_)) => Err(bad_request(&format!("{name} must be a number."))),
        };
        let Some(token) = query.get("$skiptoken") else {
            let (skip, top) = (number("skip", 0)?, number("top", PAGE)?);
            return if (1..=PAGE).contains(&top) {
                Ok(Self { skip, top })
            } else {
                Err(bad_request("top must lie between 1 and 50."))
            };
        };
        let decoded = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let skip = decoded.and_then(|text| text.parse().ok());
        let skip = skip.ok_or_else(|| bad_request("The $skiptoken is not valid."))?;
        Ok(Self { skip, top: number("$top", PAGE)?.clamp(1, PAGE) })
    }

    /// The end of the next link, if a list of so many goes on behind this page.
    pub(super) fn next(&self, count: usize) -> Option<String> {
        let next = self.skip.saturating_add(self.top);
        let token = STANDARD.encode(format!("{next:07}")).replace('=', "%3D");
        (next < count).then(|| format!("$skiptoken={token}&$top={}", self.top))
    }
}

fn bad_request(message: &str) -> Reply {
    Reply::error(400, "BadRequest", message)
}

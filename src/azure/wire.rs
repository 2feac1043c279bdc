//! The shapes of Azure's JSON, and what they become in the domain.
//!
//! Every property is optional, every enumeration open. What describes an invoice and cannot be read is left out;
//! what identifies it or its documents and cannot be read refuses that one entry.

mod invoice;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::domain::label::Label;
use crate::domain::money::Money;

pub(super) use invoice::invoice;

/// A page of a list; its entries are read one by one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    pub(super) value: Option<Vec<Box<RawValue>>>,
    pub(super) next_link: Option<String>,
}

/// A resource's envelope.
#[derive(Debug, Deserialize)]
pub(super) struct Resource<P> {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) properties: Option<P>,
}

/// `BillingProperty`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BillingProperty {
    pub(super) billing_account_id: Option<String>,
}

/// The part of `BillingAccount` and `BillingProfile` that says whether we may read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Access {
    pub(super) has_read_access: Option<bool>,
}

/// `DocumentDownloadResult`. Its `expiryTime` is of no use: the address is fetched at once.
#[derive(Deserialize)]
pub(super) struct DownloadResult {
    pub(super) url: Option<String>,
}

/// What Resource Manager says of an error; empty if the body is none of its own.
#[derive(Debug, Default)]
pub(super) struct ErrorWords {
    pub(super) code: Option<Label>,
    pub(super) message: Option<Label>,
}

/// Reads `{"error": {"code", "message"}}`, or the same without the envelope.
pub(super) fn error_of(body: &[u8]) -> ErrorWords {
    let Ok(mut body) = serde_json::from_slice::<serde_json::Value>(body) else { return ErrorWords::default() };
    let error = body.get_mut("error").map(serde_json::Value::take).unwrap_or(body);
    let word = |key| error.get(key).and_then(serde_json::Value::as_str).and_then(Label::non_empty);
    ErrorWords { code: word("code"), message: word("message") }
}

/// The last part of a resource id.
pub(super) fn last_segment(id: &str) -> Option<String> {
    let last = id.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    (!last.is_empty()).then(|| last.to_owned())
}

/// Reads a property that may be of another type than promised: then it is left out.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    let raw = Option::<Box<RawValue>>::deserialize(from)?;
    Ok(raw.and_then(|raw| serde_json::from_str(raw.get()).ok()))
}

/// An instant: RFC 3339; without an offset UTC is meant. Year 1 is .NET's word for none.
#[derive(Debug)]
struct Time(Option<Timestamp>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let without_offset = || text.parse::<DateTime>().ok()?.to_zoned_datetime(TimeZone::UTC).ok();
        let time = text.parse().ok().or_else(|| without_offset().map(|zoned| zoned.timestamp()));
        Ok(Self(time.filter(|time: &Timestamp| time.to_zoned_datetime(TimeZone::UTC).year() > 1)))
    }
}

/// `Amount`: the number's own text, since a binary fraction would not be exact.
#[derive(Debug, Deserialize)]
struct Amount {
    currency: Option<String>,
    value: Option<Box<RawValue>>,
}

impl Amount {
    fn money(self) -> Option<Money> {
        let text = self.value?;
        let text = text.get().trim_matches('"');
        let amount = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()?;
        let currency = Label::non_empty(&self.currency?)?.as_str().to_owned();
        Some(Money { amount, currency })
    }
}

#[cfg(test)]
mod tests;

//! What the reading verbs have in common: which rows, and in what form.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Only this invoice: number, `account/number` or id
    #[arg(long, value_name = "INVOICE")]
    pub(super) invoice: Option<String>,
    /// Only this profile's
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Only those recorded on this UTC day or later
    #[arg(long, value_name = "DAY")]
    since: Option<Date>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

impl Filter {
    /// The first instant of `--since`.
    pub(super) fn since(&self) -> anyhow::Result<Option<Timestamp>> {
        let start = |day: Date| Ok(day.to_zoned_datetime(TimeZone::UTC)?.timestamp());
        self.since.map(start).transpose()
    }
}

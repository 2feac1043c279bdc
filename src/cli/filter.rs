//! What the reading verbs have in common: which rows, and in what form.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::Config;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Filter {
    /// Only this invoice: number, `account/number` or id
    #[arg(long, value_name = "INVOICE")]
    pub(super) invoice: Option<String>,
    /// Only this profile's
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Only those recorded on this UTC day or later
    #[arg(long, value_name = "DAY", value_parser = day)]
    since: Option<Date>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

fn day(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| "write it as 2026-11-01".to_owned())
}

impl Filter {
    /// Tells on stderr that nothing matches, and the profiles there are if the one asked for is none of them.
    pub(super) fn tell_nothing(&self, config: &Config) {
        let profiles: Vec<&str> = config.profiles.iter().map(|profile| profile.name.as_str()).collect();
        match &self.profile {
            Some(name) if !profiles.contains(&name.as_str()) => {
                eprintln!("nothing matches: there is no profile `{name}`; there are: {}", profiles.join(", "));
            }
            _ => eprintln!("nothing matches"),
        }
    }

    /// The first instant of `--since`.
    pub(super) fn since(&self) -> anyhow::Result<Option<Timestamp>> {
        let start = |day: Date| Ok(day.to_zoned_datetime(TimeZone::UTC)?.timestamp());
        self.since.map(start).transpose()
    }
}

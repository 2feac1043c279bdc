//! From files and environment to the checked configuration, or to every problem at once.

use std::path::PathBuf;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::layers::{BUILT_IN, Layers};
use super::problems::{KeyPath, Problem, Problems, Report, hint, quoted};
use super::raw::{self, Raw};
use super::{Config, Log, LogFormat, azure, parse, people, smtp};

/// Reads the compiled-in defaults, then `files` in order, then `INVOICE_MAILER__SECTION__KEY` from `env`; the last one
/// wins. `today` is the day against which opt-ins are checked. Secrets are tried, not kept.
///
/// # Errors
/// Everything that is wrong, with its place and the remedy.
pub fn load(
    files: &[PathBuf],
    env: impl IntoIterator<Item = (String, String)>,
    today: Date,
) -> Result<Config, Problems> {
    read(files, env, today, true)
}

/// Like [`load`], for who only reads the ledger: secrets are not tried, since this user may have none of them.
///
/// # Errors
/// Everything else that is wrong, with its place and the remedy.
pub fn load_for_reading(
    files: &[PathBuf],
    env: impl IntoIterator<Item = (String, String)>,
    today: Date,
) -> Result<Config, Problems> {
    read(files, env, today, false)
}

fn read(
    files: &[PathBuf],
    env: impl IntoIterator<Item = (String, String)>,
    today: Date,
    tries_secrets: bool,
) -> Result<Config, Problems> {
    let mut layers = Layers::read(files, env, &raw::schema());
    let found = std::mem::take(&mut layers.problems);
    if !layers.whole {
        return Err(Problems::new(found));
    }
    let internal = |error: config::ConfigError| {
        let message = format!("the layers do not fit together: {error}");
        Problems::new(vec![Problem::new(BUILT_IN, &KeyPath::default(), message)])
    };
    let tree = layers.merged().map_err(internal)?;
    let raw: Raw = tree.clone().try_deserialize().map_err(internal)?;
    let mut report = Report::new(&layers.all, &tree, found, tries_secrets);
    let config = config(&mut report, raw, today);
    let problems = report.finish();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(Problems::new(problems)),
    }
}

fn config(report: &mut Report<'_>, raw: Raw, today: Date) -> Option<Config> {
    let instance = report.required(raw.instance, &KeyPath::of("instance"), "a name for this installation");
    let instance = instance.and_then(|name| report.note(&KeyPath::of("instance"), parse::alias(&name)));
    let time_zone = report.required(raw.time_zone, &KeyPath::of("time_zone"), "an IANA name such as `UTC`");
    let time_zone = time_zone.and_then(|name| report.note(&KeyPath::of("time_zone"), zone(&name)));
    let azure = azure::azure(report, raw.azure);
    let lists = people::lists(report, raw.lists, today);
    let profiles = people::profiles(report, raw.profiles, &lists);
    let relay = raw.smtp.host.clone();
    let smtp = smtp::smtp(report, raw.smtp);
    let delivery = smtp::delivery(report, raw.delivery, relay.as_deref());
    let (ledger_at, archive_at) = (KeyPath::of("ledger").key("url"), KeyPath::of("archive").key("url"));
    let ledger = report.required(raw.ledger.url, &ledger_at, "where the state is kept");
    let ledger = ledger.and_then(|url| report.note(&ledger_at, parse::sqlite_path(&url)));
    let archive = report.required(raw.archive.url, &archive_at, "where the PDFs are kept");
    let archive = archive.and_then(|url| report.note(&archive_at, parse::folder(&url)));
    let format = report.required(raw.log.format, &KeyPath::of("log").key("format"), "`auto`, `pretty` or `json`");
    let format = match format? {
        raw::LogFormat::Auto => LogFormat::Auto,
        raw::LogFormat::Pretty => LogFormat::Pretty,
        raw::LogFormat::Json => LogFormat::Json,
    };
    let (delivery, max_backfill) = delivery?;
    Some(Config {
        instance: instance?,
        time_zone: time_zone?,
        azure: azure?,
        profiles: profiles?,
        lists,
        smtp: smtp?,
        delivery,
        max_backfill,
        ledger: ledger?,
        archive: archive?,
        log: Log { format },
    })
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
        let hint = if known.is_empty() { String::new() } else { near(name, &known) };
        format!("{} is not an IANA time zone such as `Europe/Amsterdam`{hint}", quoted(name))
    })
}

/// The nearest zone, but never the list of all.
fn near(name: &str, known: &[String]) -> String {
    let hint = hint(name, known.iter().map(String::as_str));
    if hint.contains("did you mean") { hint } else { String::new() }
}

//! The verbs, one a file: parse, call, print. Data goes to stdout, everything else to stderr.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this module is for")]

mod check;
mod config;
mod deliveries;
mod demo;
mod filter;
mod invoices;
mod once;
mod preview;
mod run;
mod simulate;
mod table;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::clock::Clock;
use crate::config::{Config, Problems};
use crate::domain::invoice::utc_day;
use crate::ledger::{self, Ledger};
use crate::report;

/// Mails every new Azure invoice, once, to the recipients that opted in.
#[derive(Debug, Parser)]
#[command(name = "invoice-mailer", version, max_term_width = 100)]
#[command(after_help = "Try `invoice-mailer demo`: it needs nothing but itself.")]
struct Cli {
    /// A configuration file; may be repeated, later files win
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/invoice-mailer/config.toml")]
    config: Vec<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The daemon: fetches and mails until SIGTERM
    ///
    /// Looks at each profile when it is due: the first time at once, then daily, within 15 minutes (and at the start)
    /// where a look left something open. Tries again what was put off, and brings a mail that is under way to its end
    /// before it stops.
    Run,
    /// One pass now: fetch, deliver everything due, exit
    ///
    /// Exits with 75 while mails or documents wait for another pass, else 69 if Azure could not be reached, else 1 if
    /// something failed that will not mend by itself or a mail came to need a person, else 0.
    Once(once::Args),
    /// The whole way with nothing to set up: a simulated Azure, a built-in inbox
    Demo(demo::Args),
    /// The simulated Azure Billing API alone, on loopback
    Simulate(simulate::Args),
    /// Checks the whole configuration, offline: every problem at once
    Check,
    /// Shows the effective configuration or its schema
    #[command(subcommand)]
    Config(config::Verb),
    /// The invoices in the ledger
    Invoices(filter::Filter),
    /// The deliveries in the ledger: who was mailed what, when, and what the relay said
    Deliveries(deliveries::Args),
    /// The exact mail that goes out next, or went out last, as `.eml`
    Preview(preview::Args),
}

/// The exit codes (sysexits.h where there is one).
mod code {
    pub(super) const FAILED: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    pub(super) const UNAVAILABLE: u8 = 69;
    pub(super) const TRY_AGAIN: u8 = 75;
    pub(super) const CONFIG: u8 = 78;
}

/// Parses the command line, does what it says, gives the exit code.
pub async fn main() -> ExitCode {
    // Without it reqwest panics at its first client. It fails only if it was done before.
    drop(rustls::crypto::ring::default_provider().install_default());
    let cli = Cli::parse();
    match run_verb(cli).await {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

async fn run_verb(cli: Cli) -> anyhow::Result<ExitCode> {
    let files = cli.config;
    match cli.verb {
        Verb::Run => run::run(&files).await,
        Verb::Once(args) => once::run(&files, args).await,
        Verb::Demo(args) => demo::run(args).await,
        Verb::Simulate(args) => simulate::run(args).await,
        Verb::Check => check::run(&files),
        Verb::Config(verb) => config::run(&files, &verb),
        Verb::Invoices(args) => invoices::run(&files, args).await,
        Verb::Deliveries(args) => deliveries::run(&files, args).await,
        Verb::Preview(args) => preview::run(&files, args).await,
    }
}

/// A mistake on the command line that only the verb can see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

fn fail(error: &anyhow::Error) -> ExitCode {
    if let Some(problems) = error.downcast_ref::<Problems>() {
        for problem in problems.as_slice() {
            eprintln!("{problem}");
        }
        return ExitCode::from(code::CONFIG);
    }
    eprintln!("error: {}", report::chain(error.as_ref()));
    let ledger = error.downcast_ref::<ledger::Error>();
    ExitCode::from(match ledger {
        Some(error) if error.is_transient() => code::TRY_AGAIN,
        Some(ledger::Error::OtherInstance { .. }) => code::CONFIG,
        _ if error.is::<Usage>() => code::USAGE,
        _ => code::FAILED,
    })
}

/// Writes a line to stdout; a reader that has seen enough (`| head`) is no failure.
fn put(line: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}

fn load(files: &[PathBuf]) -> Result<Config, Problems> {
    crate::config::load(files, environment(), utc_day(Clock::System.now()))
}

/// For verbs that only read the ledger, beside its daemon.
fn load_for_reading(files: &[PathBuf]) -> Result<Config, Problems> {
    crate::config::load_for_reading(files, environment(), utc_day(Clock::System.now()))
}

/// The environment. Bytes that are not UTF-8 become U+FFFD: most variables are none of our business.
fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

/// The ledger that the configuration names, for reading beside its daemon.
async fn join_ledger(config: &Config) -> anyhow::Result<Ledger> {
    Ok(Ledger::join(&config.ledger, &config.instance).await?)
}

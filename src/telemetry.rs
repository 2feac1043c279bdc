//! Log lines, on stderr.

use std::env;
use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;

/// Starts logging: this program's lines from `level` on, those of its libraries from `warn` on. A level in `RUST_LOG`
/// (`debug`) is for all, a target with its level (`lettre=debug`) comes on top. Only the first call of a process has an
/// effect.
pub fn start(format: LogFormat, level: &str) {
    let usual: Targets = format!("warn,invoice_mailer={level}").parse().unwrap_or_default();
    let targets = match env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok()) {
        Some(asked) if asked.default_level().is_some() => asked,
        Some(asked) => usual.with_targets(asked),
        None => usual,
    };
    let is_pretty = match format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    let lines = fmt::layer().with_writer(stderr).with_target(false);
    let lines = if is_pretty { lines.with_ansi(stderr().is_terminal()).boxed() } else { lines.json().boxed() };
    drop(registry().with(lines.with_filter(targets)).try_init());
}

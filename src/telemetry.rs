//! Log lines, on stderr.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::LogFormat;

/// Starts logging: this program's lines from `level` on, those of its libraries from `warn` on; `RUST_LOG` overrides
/// both. Only the first call of a process has an effect.
pub fn start(format: LogFormat, level: &str) {
    let default = || EnvFilter::new(format!("warn,invoice_mailer={level}"));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| default());
    let lines = fmt().with_env_filter(filter).with_writer(stderr).with_target(false);
    let is_pretty = match format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    let started = if is_pretty { lines.with_ansi(stderr().is_terminal()).try_init() } else { lines.json().try_init() };
    drop(started);
}

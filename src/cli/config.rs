//! `config show`, `config schema`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::config;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Every key in effect with the source it comes from; secrets are redacted
    Show,
    /// The JSON Schema of the configuration, for editors
    Schema,
}

pub(super) fn run(files: &[PathBuf], verb: &Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Show => super::put(config::show(files, super::environment())?.trim_end())?,
        Verb::Schema => super::put(format_args!("{:#}", config::schema()))?,
    }
    Ok(ExitCode::SUCCESS)
}

//! `check`

use std::path::PathBuf;
use std::process::ExitCode;

use super::code;

pub(super) fn run(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    match super::load(files) {
        Ok(config) => {
            let members: usize = config.lists.iter().map(|list| list.members.len()).sum();
            let (profiles, lists) = (config.profiles.len(), config.lists.len());
            super::put(format_args!(
                "the configuration is good: profiles {profiles}, lists {lists}, members {members}"
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            super::put(&problems)?;
            let count = problems.as_slice().len();
            eprintln!("{count} {} found", if count == 1 { "problem" } else { "problems" });
            Ok(ExitCode::from(code::CONFIG))
        }
    }
}

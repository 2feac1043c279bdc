//! `check`

use std::path::PathBuf;
use std::process::ExitCode;

use super::code;

pub(super) fn run(files: &[PathBuf]) -> ExitCode {
    match super::load(files) {
        Ok(config) => {
            let members: usize = config.lists.iter().map(|list| list.members.len()).sum();
            let (profiles, lists) = (config.profiles.len(), config.lists.len());
            println!("the configuration is good: profiles {profiles}, lists {lists}, members {members}");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            println!("{problems}");
            let count = problems.as_slice().len();
            eprintln!("{count} {} found", if count == 1 { "problem" } else { "problems" });
            ExitCode::from(code::CONFIG)
        }
    }
}

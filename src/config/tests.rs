//! The configuration as an operator meets it: files in, a configuration or problems out.

mod consistency;
mod hostile;
mod recipients;
mod rules;
mod sources;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use jiff::civil::{Date, date};
use tempfile::TempDir;

use super::*;

const TODAY: Date = date(2026, 11, 20);

const BASE: &str = r#"
[azure]
tenant_id = "tenant-1"
credential = { kind = "managed_identity" }

[[profiles]]
name = "engineering"
agreement = "mca"
billing_account = "account-1"
billing_profile = "profile-1"
lists = ["Accounting"]

[lists.Accounting]
members = [
  { address = "ap@contoso.example", opted_in_on = 2026-01-15 },
]

[smtp]
host = "smtp.contoso.example"
from = "Invoices <invoices@contoso.example>"
"#;

/// A folder with configuration files and secrets.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("secret", "hunter2\n", 0o600);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Loads the texts as `config.toml`, `config2.toml` …; `FOLDER` stands for the folder, in messages too.
    fn load(&self, texts: &[&str], env: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let loaded = load(&self.files(texts), variables(env), TODAY);
        loaded.map_err(|problems| self.lines(&problems.to_string()))
    }

    fn show(&self, texts: &[&str], env: &[(&str, &str)]) -> Result<Vec<String>, Vec<String>> {
        let shown = show(&self.files(texts), variables(env));
        shown.map(|text| self.lines(&text)).map_err(|problems| self.lines(&problems.to_string()))
    }

    fn files(&self, texts: &[&str]) -> Vec<PathBuf> {
        let name = |i: usize| if i == 0 { "config.toml".to_owned() } else { format!("config{}.toml", i + 1) };
        let folder = self.0.path().display().to_string();
        let file = |(i, text): (usize, &&str)| self.write(&name(i), &text.replace("FOLDER", &folder), 0o644);
        texts.iter().enumerate().map(file).collect()
    }

    fn lines(&self, text: &str) -> Vec<String> {
        let folder = self.0.path().display().to_string();
        text.lines().map(|line| line.replace(&format!("{folder}/"), "").replace(&folder, "FOLDER")).collect()
    }
}

fn variables(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

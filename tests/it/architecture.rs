//! Who may import whom.

use std::fs;
use std::path::{Path, PathBuf};

/// A module, and what of the crate it may name. `domain < config < {azure, ledger, archive, mail} < jobs < daemon`,
/// `{daemon, simulator} < app < cli < main`; the edges never name one another.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &[]),
    ("report", &[]),
    ("config", &["domain"]),
    ("telemetry", &["config"]),
    ("azure", &["domain", "config"]),
    ("ledger", &["domain", "config"]),
    ("archive", &["domain", "config"]),
    ("mail", &["domain", "config"]),
    ("simulator", &["domain"]),
    ("jobs", &["domain", "config", "clock", "report", "azure", "ledger", "archive", "mail"]),
    ("daemon", &["domain", "config", "clock", "report", "jobs", "ledger"]),
    ("app", &["domain", "config", "clock", "azure", "ledger", "archive", "mail", "jobs", "daemon"]),
    (
        "cli",
        &[
            "domain",
            "config",
            "clock",
            "report",
            "telemetry",
            "ledger",
            "archive",
            "mail",
            "jobs",
            "daemon",
            "simulator",
            "app",
        ],
    ),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The module a file belongs to, its path and its text without line comments.
fn modules() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let without_comments = |text: String| {
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
    };
    sources(&root)
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).unwrap();
            let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
            let text = without_comments(fs::read_to_string(&path).unwrap());
            (module, path, text)
        })
        .collect()
}

#[test]
fn imports_go_one_way() {
    let modules = modules();
    assert!(modules.len() > 50, "the source was not found");
    for (module, path, text) in &modules {
        if ["main", "lib"].contains(&module.as_str()) {
            continue;
        }
        let allowed = ALLOWED.iter().find(|(name, _)| name == module);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{module} has no place in the table"));
        for named in text.split("crate::").skip(1) {
            let named: Vec<String> = match named.strip_prefix('{') {
                Some(group) => first_names(group),
                None => vec![first_name(named)],
            };
            for name in named {
                assert!(
                    name == *module || allowed.contains(&name.as_str()),
                    "{} names crate::{name}, which {module} may not",
                    path.display()
                );
            }
        }
    }
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first names of `a::b, c::{d, e}, f}`.
fn first_names(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut expects_name) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expects_name = true,
            c if c.is_alphabetic() && depth == 0 && expects_name => {
                names.push(first_name(&group[at..]));
                expects_name = false;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn each_protocol_has_one_home() {
    for (module, path, text) in modules() {
        let path_text = path.display().to_string();
        if path_text.contains("/tests") {
            continue;
        }
        let may = |home: &[&str], what: &str| {
            let word = text.contains(what) && !home.contains(&module.as_str());
            assert!(!word, "{} uses {what}, whose home is {home:?}", path.display());
        };
        may(&["ledger"], "sqlx::");
        may(&["azure", "simulator"], "Microsoft.Billing");
        may(&["azure", "simulator"], "reqwest::");
        may(&["mail"], "lettre::");
        may(&["archive"], "object_store::");
        may(&["daemon"], "tokio_cron_scheduler");
        may(&["simulator"], "axum::");
    }
}

#[test]
fn the_domain_is_synchronous_and_total() {
    for (module, path, text) in modules() {
        if module == "domain" {
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for word in [
                "async ",
                ".await",
                "std::fs",
                "std::net",
                "std::env",
                "Timestamp::now",
                "tokio::",
                ".unwrap()",
                "panic!",
            ] {
                assert!(!text.contains(word), "{} says `{word}`", path.display());
            }
        }
    }
}

#[test]
fn tests_run_the_program_that_users_run() {
    for (_, path, text) in modules() {
        let switches = text.lines().filter(|line| line.contains("cfg(not(test))")).count();
        assert_eq!(switches, 0, "{} behaves differently under test", path.display());
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]") {
            let next = pair[1];
            assert!(
                next.starts_with("mod ") || next.starts_with("#[path"),
                "{}: #[cfg(test)] on `{next}`",
                path.display()
            );
        }
    }
}

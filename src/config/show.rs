//! The effective configuration with the source of each value, without secrets.

use std::path::PathBuf;

use config::{Value, ValueKind};

use super::layers::Layers;
use super::problems::{KeyPath, Problem, Problems};
use super::raw;

const SECRETS: [&str; 3] = ["client_secret", "password", "token"];

/// One `key = value  # source` a line, sorted; secrets are redacted, their places are shown. Problems inside the files
/// follow as comments.
///
/// # Errors
/// When a file cannot be read or is not TOML.
pub fn show(files: &[PathBuf], env: impl IntoIterator<Item = (String, String)>) -> Result<String, Problems> {
    let layers = Layers::read(files, env, &raw::schema());
    if !layers.whole {
        return Err(Problems::new(layers.problems));
    }
    let tree = layers
        .merged()
        .map_err(|error| Problems::new(vec![Problem::new("configuration", &KeyPath::default(), error.to_string())]))?;
    let mut lines = Vec::new();
    flatten(&tree, &KeyPath::default(), false, &mut lines);
    lines.sort();
    let problems = Problems::new(layers.problems);
    lines.extend(problems.as_slice().iter().map(|problem| format!("# {problem}")));
    Ok(lines.join("\n") + "\n")
}

fn flatten(value: &Value, at: &KeyPath, secret: bool, lines: &mut Vec<String>) {
    match &value.kind {
        ValueKind::Table(table) => {
            for (key, value) in table {
                flatten(value, &at.key(key), SECRETS.contains(&key.as_str()), lines);
            }
        }
        ValueKind::Array(items) if items.iter().any(|item| matches!(item.kind, ValueKind::Table(_))) => {
            for (index, item) in items.iter().enumerate() {
                flatten(item, &at.index(index), false, lines);
            }
        }
        _ => {
            let text = if secret { "\"(redacted)\"".to_owned() } else { written(value) };
            lines.push(format!("{at} = {text}  # {}", value.origin().unwrap_or_default()));
        }
    }
}

/// Whether an address may hold a secret: a user, or a query such as that of a database or a signed link.
fn holds_secret(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    rest.contains(['@', '?'])
}

/// The value as TOML writes it; an address that may hold a secret is one.
fn written(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) if holds_secret(text) => "\"(redacted)\"".to_owned(),
        ValueKind::String(text) => serde_json::Value::from(text.as_str()).to_string(),
        ValueKind::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

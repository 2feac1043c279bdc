//! The schema, the default file, the example and the reference say the same.

use serde_json::Value as Json;

use super::*;
use crate::domain::document::DocumentKind;

const DEFAULTS: &str = include_str!("../../../config/default.toml");
const REFERENCE: &str = include_str!("../../../docs/CONFIGURATION.md");

/// Every key below `schema`, as `smtp.auth.kind`, with its schema; entries of arrays and of tables by name count as one.
fn keys(schema: &Json, at: &str, found: &mut Vec<(String, Json)>) {
    let branches = schema["anyOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    for branch in &branches {
        for (key, field) in branch["properties"].as_object().into_iter().flatten() {
            let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            found.push((path.clone(), field.clone()));
            keys(field, &path, found);
        }
        for inner in ["items", "additionalProperties"] {
            if branch[inner].is_object() {
                keys(&branch[inner], at, found);
            }
        }
    }
}

fn all_keys() -> Vec<(String, Json)> {
    let mut found = Vec::new();
    keys(&schema(), "", &mut found);
    found
}

#[test]
fn every_key_is_described_and_no_other_is_allowed() {
    let all = all_keys();
    assert!(all.len() > 50, "{}", all.len());
    for (key, field) in &all {
        assert!(field["description"].as_str().is_some_and(|text| text.len() > 5), "{key}: {field}");
        let text = field.to_string();
        assert!(!text.contains("null") && !text.contains("$ref"), "{key}: {text}");
        if field["properties"].is_object() {
            assert_eq!(field["additionalProperties"], false, "{key}");
        }
    }
    insta::assert_snapshot!(all.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_key_stands_in_the_default_file() {
    for (key, _) in all_keys() {
        let name = key.rsplit('.').next().unwrap();
        let written = [format!("{name} = "), format!("[{key}]"), format!("[[{key}]]"), format!("[{key}.")];
        assert!(written.iter().any(|text| DEFAULTS.contains(text)), "{key} is not in config/default.toml");
    }
}

#[test]
fn the_reference_has_a_row_for_every_key_and_only_for_keys() {
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in REFERENCE.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.trim_matches(['`', '[', ']']).replace(".NAME", "");
        }
        if let Some((key, _)) = line.strip_prefix("| `").and_then(|rest| rest.split_once('`')) {
            rows.push(if section == "Top level" { key.to_owned() } else { format!("{section}.{key}") });
        }
    }
    let leaf = |(_, field): &(String, Json)| {
        field["properties"].is_null()
            && field["additionalProperties"].is_null()
            && field["items"]["properties"].is_null()
    };
    let place = |key: &str| ["client_secret.", "token.", "password."].iter().any(|secret| key.contains(secret));
    let mut wanted: Vec<String> =
        all_keys().into_iter().filter(leaf).map(|(key, _)| key).filter(|key| !place(key)).collect();
    wanted.sort();
    rows.sort();
    assert_eq!(rows, wanted);
}

#[test]
fn the_defaults_alone_lack_only_what_has_no_default() {
    let problems = load(&[], [], TODAY).unwrap_err();
    let keys: Vec<&str> = problems.as_slice().iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["azure.credential", "profiles", "smtp.from", "smtp.host"]);
    assert!(problems.as_slice().iter().all(|p| p.message.starts_with("required: ")), "{problems}");
}

#[test]
fn the_commented_values_of_the_default_file_are_accepted() {
    let folder = Folder::new();
    let is_sample = |line: &str| {
        line.contains(" = ") && line.split_once(" = ").unwrap().0.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            || line.starts_with('[') && line.contains(']')
            || line.starts_with("  {")
            || line == "]"
    };
    let uncommented = |line: &str| match line.strip_prefix("# ") {
        Some(sample) if is_sample(sample) => sample.to_owned(),
        _ => line.to_owned(),
    };
    let text: Vec<String> = DEFAULTS.lines().map(uncommented).collect();
    let problems = folder.load(&[&text.join("\n")], &[]).unwrap_err();
    let unknown = |line: &&String| ["unknown", "must be", "not valid", "not a"].iter().any(|word| line.contains(word));
    assert_eq!(problems.iter().filter(unknown).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(problems.iter().any(|line| line.contains("profiles[0].subscription")), "{problems:#?}");
}

#[test]
fn the_schema_names_the_documents_that_the_domain_knows() {
    let all = all_keys();
    let (_, documents) = all.iter().find(|(key, _)| key == "profiles.documents").unwrap();
    for choice in documents["items"]["oneOf"].as_array().unwrap() {
        assert!(DocumentKind::from_config(choice["const"].as_str().unwrap()).is_some(), "{choice}");
    }
}

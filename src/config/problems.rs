//! What is wrong with the configuration: where, and what to do. Knows no key and no rule.

use std::fmt;

use config::{Value, ValueKind};

use super::layers::{BUILT_IN, ENVIRONMENT, Layer};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as it was named on the command line, or `environment`.
    pub file: String,
    /// The line in that file, counted from 1, where one is known.
    pub line: Option<usize>,
    /// The key, such as `smtp.port` or `lists.accounting.members[2].address`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// A problem at `key`; `origin` is a file with or without `:line`.
    pub(super) fn new(origin: &str, key: &KeyPath, message: impl Into<String>) -> Self {
        let (file, line) = match origin.rsplit_once(':').map(|(file, line)| (file, line.parse())) {
            Some((file, Ok(line))) => (file, Some(line)),
            _ => (origin, None),
        };
        Self { file: one_line(file), line, key: key.to_string(), message: one_line(&message.into()) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that is wrong, in the order of files, lines and keys; one a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Sorts, and drops what is said twice.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self(problems)
    }

    /// The problems, at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

/// The way to a value in the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// The way to `[section]`.
    pub(super) fn of(section: &str) -> Self {
        Self::default().key(section)
    }

    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// The values from `tree` to the end of the way, as far as they exist, with their depth.
    fn walk<'a>(&'a self, tree: &'a Value) -> impl Iterator<Item = (usize, &'a Value)> {
        let mut here = Some(tree);
        self.0.iter().enumerate().map_while(move |(depth, step)| {
            here = match (&here?.kind, step) {
                (ValueKind::Table(table), Step::Key(key)) => table.get(key),
                (ValueKind::Array(array), Step::Index(index)) => array.get(*index),
                _ => None,
            };
            Some((depth, here?))
        })
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        for (depth, step) in self.0.iter().enumerate() {
            let dot = if depth > 0 { "." } else { "" };
            match step {
                Step::Key(key) if bare(key) => write!(f, "{dot}{key}")?,
                Step::Key(key) => write!(f, "{dot}\"{}\"", shortened(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// `text` in backticks, on one line and not endless.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shortened(text))
}

/// `text` with its control characters escaped: a path or a library's error may hold any.
fn one_line(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

fn shortened(text: &str) -> String {
    let escaped: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() { escaped + "…" } else { escaped }
}

/// The names in backticks, separated by commas.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// `, did you mean …?`, or else the names there are.
pub(super) fn hint<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let given = given.to_lowercase();
    let likeness = |name: &str| strsim::jaro_winkler(&given, &name.to_lowercase());
    let nearest = names.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|name| likeness(name) >= 0.8) {
        Some(name) => format!(", did you mean {}?", quoted(name)),
        None if names.is_empty() => String::new(),
        None => format!(", possible here: {}", listed(names)),
    }
}

/// Collects problems against the merged tree, and knows where each value came from.
pub(super) struct Report<'a> {
    layers: &'a [Layer],
    tree: &'a Value,
    problems: Vec<Problem>,
    /// Whether every secret is to be read once, to see that it can be.
    pub(super) tries_secrets: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(layers: &'a [Layer], tree: &'a Value, problems: Vec<Problem>, tries_secrets: bool) -> Self {
        Self { layers, tree, problems, tries_secrets }
    }

    /// Notes that the value at `at`, or the lack of it, is wrong.
    pub(super) fn push(&mut self, at: &KeyPath, message: impl Into<String>) {
        let problem = Problem::new(&self.origin(at), at, message);
        self.problems.push(problem);
    }

    /// Notes that the value at `at` is needed, unless it was given and already found wrong.
    pub(super) fn missing(&mut self, at: &KeyPath, remedy: &str) {
        if !self.is_faulty(at) {
            self.push(at, format!("required: {remedy}"));
        }
    }

    /// Hands `value` through, noting its absence.
    pub(super) fn required<T>(&mut self, value: Option<T>, at: &KeyPath, remedy: &str) -> Option<T> {
        if value.is_none() {
            self.missing(at, remedy);
        }
        value
    }

    /// Hands a result's value through, noting its error at `at`.
    pub(super) fn note<T>(&mut self, at: &KeyPath, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.push(at, message)).ok()
    }

    /// Parses every text, noting the errors at their places.
    pub(super) fn each<T>(
        &mut self,
        texts: &[String],
        at: &KeyPath,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let one = |(index, text): (usize, &String)| self.note(&at.index(index), parse(text));
        let parsed: Vec<Option<T>> = texts.iter().enumerate().map(one).collect();
        parsed.into_iter().collect()
    }

    /// Whether something at, above or below `at` is known to be wrong.
    pub(super) fn is_faulty(&self, at: &KeyPath) -> bool {
        let at = at.to_string();
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.problems.iter().any(|p| within(&p.key, &at) || within(&at, &p.key))
    }

    pub(super) fn finish(self) -> Vec<Problem> {
        self.problems
    }

    /// Where the value at `at` was given; for a missing one, where it should be: the innermost table around it that
    /// the operator wrote, or the last file.
    fn origin(&self, at: &KeyPath) -> String {
        let written = |tree: &'a Value| {
            let origins = at.walk(tree).filter_map(|(depth, value)| Some((depth, value.origin()?.to_owned())));
            origins.filter(|(_, origin)| !origin.starts_with(BUILT_IN)).last()
        };
        let files = || self.layers.iter().filter(|layer| layer.name != BUILT_IN && layer.name != ENVIRONMENT);
        let fallback = || files().next_back().map_or(BUILT_IN, |layer| &layer.name).to_owned();
        let in_files = || files().filter_map(|layer| written(&layer.tree)).max_by_key(|(depth, _)| *depth);
        written(self.tree).or_else(in_files).map_or_else(fallback, |(_, origin)| origin)
    }
}

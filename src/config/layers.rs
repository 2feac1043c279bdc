//! Where values come from: the compiled-in defaults, files in order, the environment. Each value keeps its origin
//! (file and line); each layer is checked against the schema by itself, so that a wrong value spoils no other.

use std::path::PathBuf;

use config::{ConfigError, Map, Source, Value, ValueKind};
use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problems::{KeyPath, Problem, hint, quoted};
use super::structure::{self, Shape};

/// The origin of defaults.
pub(super) const BUILT_IN: &str = "built-in default.toml";
/// The origin of environment variables.
pub(super) const ENVIRONMENT: &str = "environment";

const DEFAULTS: &str = include_str!("../../config/default.toml");
const PREFIX: &str = "INVOICE_MAILER__";

/// One source's values.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// The file's name, [`BUILT_IN`] or [`ENVIRONMENT`].
    pub name: String,
    /// A table.
    pub tree: Value,
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        self.tree.clone().into_table()
    }
}

/// All layers, checked, with what was wrong in them; `whole` is false if a file could not be read at all.
pub(super) struct Layers {
    pub all: Vec<Layer>,
    pub problems: Vec<Problem>,
    pub whole: bool,
}

impl Layers {
    pub(super) fn read(files: &[PathBuf], env: impl IntoIterator<Item = (String, String)>, schema: &Json) -> Self {
        let mut layers = Self { all: Vec::new(), problems: Vec::new(), whole: true };
        layers.add_text(BUILT_IN.into(), DEFAULTS);
        for file in files {
            let name = file.display().to_string();
            match std::fs::read_to_string(file) {
                Ok(text) => layers.add_text(name, &text),
                Err(error) => {
                    let message = if error.kind() == std::io::ErrorKind::InvalidData {
                        "cannot be read: save it as UTF-8".to_owned()
                    } else {
                        format!(
                            "cannot be read ({error}): name an existing file with `--config`, readable by this user"
                        )
                    };
                    layers.problems.push(Problem::new(&name, &KeyPath::default(), message));
                    layers.whole = false;
                }
            }
        }
        let tree = from_environment(env, schema, &mut layers.problems);
        layers.all.push(Layer { name: ENVIRONMENT.into(), tree });
        for layer in &mut layers.all {
            structure::check(&mut layer.tree, schema, &KeyPath::default(), &mut layers.problems);
        }
        layers
    }

    fn add_text(&mut self, name: String, text: &str) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let lines = Lines::new(&name, text);
        // What follows the first mistake in syntax is mostly its echo.
        for error in errors.iter().take(1) {
            let origin = lines.origin(error.span().map_or(0, |span| span.start));
            let message = format!("not valid TOML: {}", error.message().replace('\n', ", "));
            self.problems.push(Problem::new(&origin, &KeyPath::default(), message));
        }
        if errors.is_empty() {
            let tree = lines.table(table.into_inner(), &name);
            self.all.push(Layer { name, tree });
        } else {
            self.whole = false;
        }
    }

    /// One tree: what a later layer says wins, tables are joined, arrays are not.
    pub(super) fn merged(&self) -> Result<Value, ConfigError> {
        let mut layers = self.all.clone();
        for later in 1..layers.len() {
            let (earlier, rest) = layers.split_at_mut(later);
            for layer in earlier {
                supersede(&mut layer.tree, &rest[0].tree);
            }
        }
        let mut builder = config::Config::builder();
        for layer in layers {
            builder = builder.add_source(layer);
        }
        Ok(builder.build()?.cache)
    }
}

/// Drops from `earlier` the tables that `later` does not add to but replaces: a secret that is elsewhere now, and the
/// keys of another `kind`.
fn supersede(earlier: &mut Value, later: &Value) {
    let (ValueKind::Table(old), ValueKind::Table(new)) = (&mut earlier.kind, &later.kind) else { return };
    let text = |value: Option<&Value>| value.and_then(|v| v.clone().into_string().ok());
    let is_place = text(new.get("file")).or_else(|| text(new.get("env"))).is_some();
    let kinds = (text(old.get("kind")), text(new.get("kind")));
    if is_place || matches!(kinds, (Some(old), Some(new)) if old != new) {
        old.clear();
    }
    for (key, value) in new {
        if let Some(old) = old.get_mut(key) {
            supersede(old, value);
        }
    }
}

/// A text whose values are to remember their lines.
struct Lines<'a> {
    name: &'a str,
    /// Where the line breaks are.
    breaks: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(name: &'a str, text: &str) -> Self {
        Self { name, breaks: text.match_indices('\n').map(|(at, _)| at).collect() }
    }

    fn origin(&self, offset: usize) -> String {
        format!("{}:{}", self.name, 1 + self.breaks.partition_point(|&at| at < offset))
    }

    fn table(&self, table: DeTable<'_>, origin: &str) -> Value {
        let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
            let line = self.origin(key.span().start);
            let key: std::borrow::Cow<'_, str> = key.into_inner();
            (key.into_owned(), self.value(value.into_inner(), &line))
        };
        let entries: Map<String, Value> = table.into_iter().map(entry).collect();
        Value::new(Some(&origin.to_owned()), ValueKind::Table(entries))
    }

    fn value(&self, value: DeValue<'_>, origin: &str) -> Value {
        let kind = match value {
            DeValue::String(text) => ValueKind::String(text.into_owned()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => ValueKind::I64(number),
                Err(_) => ValueKind::Float(f64::INFINITY),
            },
            DeValue::Float(number) => ValueKind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => ValueKind::Boolean(flag),
            DeValue::Datetime(day) => ValueKind::String(day.to_string()),
            DeValue::Array(items) => {
                let item = |item: Spanned<DeValue<'_>>| {
                    let line = self.origin(item.span().start);
                    self.value(item.into_inner(), &line)
                };
                ValueKind::Array(items.into_iter().map(item).collect())
            }
            DeValue::Table(table) => return self.table(table, origin),
        };
        Value::new(Some(&origin.to_owned()), kind)
    }
}

/// `INVOICE_MAILER__SECTION__KEY` for every key outside `profiles` and `lists`.
fn from_environment(
    env: impl IntoIterator<Item = (String, String)>,
    schema: &Json,
    problems: &mut Vec<Problem>,
) -> Value {
    let mut tree = empty_table();
    let mut variables: Vec<_> = env.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, text) in variables {
        let path = name[PREFIX.len()..].to_ascii_lowercase();
        let keys: Vec<&str> = path.split("__").collect();
        let at = keys.iter().fold(KeyPath::default(), |at, key| at.key(key));
        match from_variable(&keys, &text, schema) {
            Ok(value) => insert(&mut tree, &keys, value),
            Err(message) => problems.push(Problem::new(ENVIRONMENT, &at, format!("{message} (in {})", quoted(&name)))),
        }
    }
    tree
}

fn from_variable(keys: &[&str], text: &str, schema: &Json) -> Result<Value, String> {
    if matches!(keys, ["profiles" | "lists", ..]) {
        return Err("who gets which invoices cannot be set by environment: write it into a file".into());
    }
    let mut shape = Shape(schema);
    for key in keys {
        shape = shape.field(key).ok_or_else(|| format!("unknown key{}", hint(key, shape.fields())))?;
    }
    if shape.is_text() {
        return Ok(Value::new(Some(&ENVIRONMENT.to_owned()), text));
    }
    if shape.fields().next().is_some() {
        return Err("is a table: set one of its keys".into());
    }
    let document = format!("value = {text}");
    let table = DeTable::parse(&document).map(Spanned::into_inner);
    let value = table.ok().filter(|table| table.len() == 1).and_then(|table| table.into_iter().next());
    let (_, value) = value.ok_or_else(|| format!("{}, written as in TOML", shape.expected()))?;
    let lines = Lines::new(ENVIRONMENT, "");
    Ok(without_line(lines.value(value.into_inner(), ENVIRONMENT)))
}

/// The same value with the environment as a whole for the origin of its parts.
fn without_line(value: Value) -> Value {
    let kind = match value.kind {
        ValueKind::Array(items) => ValueKind::Array(items.into_iter().map(without_line).collect()),
        other => other,
    };
    Value::new(Some(&ENVIRONMENT.to_owned()), kind)
}

fn insert(tree: &mut Value, keys: &[&str], value: Value) {
    let Some((first, rest)) = keys.split_first() else {
        *tree = value;
        return;
    };
    if !matches!(tree.kind, ValueKind::Table(_)) {
        *tree = empty_table();
    }
    if let ValueKind::Table(table) = &mut tree.kind {
        insert(table.entry((*first).to_owned()).or_insert_with(empty_table), rest, value);
    }
}

fn empty_table() -> Value {
    Value::new(Some(&ENVIRONMENT.to_owned()), ValueKind::Table(Map::new()))
}

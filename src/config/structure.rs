//! Keys, types, ranges and enumerations, checked against the JSON Schema; no rule that needs two values.

use config::{Map, Value, ValueKind};
use serde_json::Value as Json;

use super::problems::{KeyPath, Problem, hint, listed, quoted};

/// Values that other versions know or will know, by key.
const OTHER_VERSIONS: [(&str, &str); 7] = [
    ("cloud", "us_government"),
    ("cloud", "china"),
    ("kind", "client_certificate"),
    ("kind", "xoauth2"),
    ("agreement", "mpa"),
    ("agreement", "ea"),
    ("format", "journald"),
];

/// A place in the schema.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a>(pub &'a Json);

impl<'a> Shape<'a> {
    /// The alternatives: more than one where a text or a table may stand.
    fn branches(self) -> impl Iterator<Item = Self> {
        let many = self.0.get("anyOf").and_then(Json::as_array);
        let one = many.is_none().then_some(self);
        many.into_iter().flatten().map(Shape).chain(one)
    }

    fn kind(self) -> Option<&'a str> {
        self.0.get("type").and_then(Json::as_str)
    }

    fn branch(self, kind: &str) -> Option<Self> {
        self.branches().find(|branch| branch.kind() == Some(kind))
    }

    /// The names of the fields of a table.
    pub(super) fn fields(self) -> impl Iterator<Item = &'a str> {
        let properties = self.branch("object").and_then(|shape| shape.0.get("properties")).and_then(Json::as_object);
        properties.into_iter().flat_map(|fields| fields.keys().map(String::as_str))
    }

    /// The field of that name; in a table by name, every entry.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        let object = self.branch("object")?.0;
        let field = object.get("properties").and_then(|fields| fields.get(name));
        field.or_else(|| object.get("additionalProperties").filter(|entry| entry.is_object())).map(Shape)
    }

    /// Whether a text may stand here.
    pub(super) fn is_text(self) -> bool {
        self.branch("string").is_some() || self.choices().is_some()
    }

    /// The values of an enumeration.
    fn choices(self) -> Option<Vec<&'a str>> {
        let described = |one: &'a Json| one.get("const").and_then(Json::as_str);
        let choices =
            self.0.get("oneOf").and_then(Json::as_array).map(|all| all.iter().filter_map(described).collect());
        let plain = self.0.get("enum").and_then(Json::as_array);
        choices.or_else(|| plain.map(|all| all.iter().filter_map(Json::as_str).collect()))
    }

    /// The range of a number.
    fn range(self) -> (i64, i64) {
        let bound = |name| self.0.get(name).and_then(Json::as_i64);
        (bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX))
    }

    /// What must stand here, in words.
    pub(super) fn expected(self) -> String {
        if let Some(choices) = self.choices() {
            return format!("must be one of {}", listed(choices));
        }
        if self.branches().count() > 1 {
            return "must be `{ file = \"…\" }` or `{ env = \"…\" }`".into();
        }
        match self.kind() {
            Some("string") => "must be a text in quotes".into(),
            Some("integer") => {
                let (least, most) = self.range();
                format!("must be a whole number from {least} to {most}")
            }
            Some("array") => "must be a list in square brackets".into(),
            _ => "must be a table".into(),
        }
    }
}

/// Notes everything in `value` that the schema does not know and takes it out of the tree.
///
/// False: the value itself is wrong and is of no use.
pub(super) fn check(value: &mut Value, schema: &Json, at: &KeyPath, problems: &mut Vec<Problem>) -> bool {
    let shape = Shape(schema);
    let origin = value.origin().unwrap_or_default().to_owned();
    if let Some(choices) = shape.choices() {
        return check_choice(value, &choices, at, problems);
    }
    let kind = match &mut value.kind {
        ValueKind::Table(table) if shape.branch("object").is_some() => {
            check_table(table, shape, at, problems);
            return true;
        }
        ValueKind::Array(items) if shape.branch("array").is_some() => {
            return check_array(items, &shape.0["items"], at, problems);
        }
        ValueKind::String(_) => "string",
        ValueKind::I64(number) if (shape.range().0..=shape.range().1).contains(number) => "integer",
        _ => "",
    };
    let fits = shape.branch(kind).is_some();
    if !fits {
        problems.push(Problem::new(&origin, at, shape.expected()));
    }
    fits
}

fn check_choice(value: &Value, choices: &[&str], at: &KeyPath, problems: &mut Vec<Problem>) -> bool {
    let key = at.to_string();
    let key = key.rsplit('.').next().unwrap_or_default();
    let message = match &value.kind {
        ValueKind::String(text) if choices.contains(&text.as_str()) => return true,
        ValueKind::String(text) if OTHER_VERSIONS.contains(&(key, text.as_str())) => {
            format!("{} is not supported by this version: use {}", quoted(text), listed(choices.iter().copied()))
        }
        ValueKind::String(text) => format!("unknown value {}{}", quoted(text), hint(text, choices.iter().copied())),
        _ => format!("must be one of {}", listed(choices.iter().copied())),
    };
    problems.push(Problem::new(value.origin().unwrap_or_default(), at, message));
    false
}

fn check_table(table: &mut Map<String, Value>, shape: Shape<'_>, at: &KeyPath, problems: &mut Vec<Problem>) {
    table.retain(|key, value| {
        let at = at.key(key);
        if let Some(field) = shape.field(key) {
            return check(value, field.0, &at, problems);
        }
        let message = format!("unknown key{}", hint(key, shape.fields()));
        problems.push(Problem::new(value.origin().unwrap_or_default(), &at, message));
        false
    });
}

/// A wrong table in an array becomes an empty one, so that the others keep their places; any other wrong item makes
/// the array useless.
fn check_array(items: &mut [Value], schema: &Json, at: &KeyPath, problems: &mut Vec<Problem>) -> bool {
    let tables = Shape(schema).branch("object").is_some();
    let mut useful = true;
    for (index, item) in items.iter_mut().enumerate() {
        if !check(item, schema, &at.index(index), problems) {
            useful = tables;
            item.kind = ValueKind::Table(Map::new());
        }
    }
    useful
}

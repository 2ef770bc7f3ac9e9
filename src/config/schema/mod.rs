//! The JSON Schema of a configuration file, for editors and validators.
//!
//! The reader walks TOML by hand, so that it can point at every mistake; the structs here mirror it for the schema alone.
//! The tests hold the two against each other, key by key.

mod tables;
mod values;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use tables::File;

/// The name of the schema's file beside `rollcall.toml`.
pub const SCHEMA_NAME: &str = "rollcall.schema.json";

/// The schema of `rollcall.toml` and the files that it includes: JSON Schema draft 7, which TOML editors know, indented,
/// with a line end.
pub fn schema() -> String {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(fit_for_toml));
    let mut schema = settings.into_generator().into_root_schema_for::<File>();
    let version = env!("CARGO_PKG_VERSION");
    let comment =
        format!("of rollcall {version}; after an update: rollcall schema > {SCHEMA_NAME}");
    schema.insert("$comment".to_owned(), comment.into());
    format!("{:#}\n", schema.to_value())
}

/// Takes out what comes of Rust and means nothing in TOML: there is no null, a number has no size, and a comment's lines
/// are one text.
fn fit_for_toml(schema: &mut Schema) {
    let is_null = |value: &Value| *value == "null" || value["type"] == "null";
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|value| !is_null(value));
        if let [only] = types.as_mut_slice() {
            let only = only.take();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|value| !is_null(value));
        match choices.as_mut_slice() {
            // Draft 7 sees nothing beside a `$ref`.
            [only] if only.get("$ref").is_some() => {
                let only = only.take();
                schema.remove("anyOf");
                schema.insert("allOf".to_owned(), Value::Array(vec![only]));
            }
            [only] => {
                let only = only.take();
                schema.remove("anyOf");
                for (key, value) in only.as_object().into_iter().flatten() {
                    if schema.get(key).is_none() {
                        schema.insert(key.clone(), value.clone());
                    }
                }
            }
            _ => {}
        }
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    schema.remove("format");
}

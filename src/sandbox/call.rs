//! A request's method, path and body → the call that it makes, or the answer that says why it makes none.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::Answer;

/// The path below which the API lies, besides the root.
pub(super) const BASE_PATH: &str = "/integrationservice-1.1.0";

/// The same without a version, which is in use as well.
const UNVERSIONED_PATH: &str = "/integrationservice";

/// What a call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// `POST automation/trigger/{code}`
    Trigger {
        code: String,
        contact: String,
        fields: Fields,
    },
    /// `POST automation/stop/{code}`
    Stop { code: String, contact: String },
    /// `POST automation/stop/{code}/{id}`
    StopOne {
        code: String,
        contact: String,
        id: String,
    },
    /// `GET automation/list`
    List,
    /// `GET contact/{contact}`
    Contact { contact: String },
}

/// The kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A trigger.
    Trigger,
    /// A stop of all participations of a contact.
    Stop,
    /// A stop of one participation.
    StopOne,
    /// The list of automations.
    List,
    /// A look at a contact.
    Contact,
}

/// What is kept of personalisation fields: their types by name, and a digest of everything in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fields {
    pub types: BTreeMap<String, String>,
    pub digest: Option<String>,
}

impl Call {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Call::Trigger { .. } => Kind::Trigger,
            Call::Stop { .. } => Kind::Stop,
            Call::StopOne { .. } => Kind::StopOne,
            Call::List => Kind::List,
            Call::Contact { .. } => Kind::Contact,
        }
    }

    /// The trigger code; empty where the call names none.
    pub fn code(&self) -> &str {
        match self {
            Call::Trigger { code, .. } | Call::Stop { code, .. } | Call::StopOne { code, .. } => {
                code
            }
            Call::List | Call::Contact { .. } => "",
        }
    }

    /// The contact; empty where the call names none.
    pub fn contact(&self) -> &str {
        match self {
            Call::Trigger { contact, .. }
            | Call::Stop { contact, .. }
            | Call::StopOne { contact, .. }
            | Call::Contact { contact } => contact,
            Call::List => "",
        }
    }
}

/// A request, as far as it decides which call it makes.
pub(super) struct Asked<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path, still encoded.
    pub path: &'a str,
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The `Accept` header.
    pub accept: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// Reads a request.
///
/// # Errors
/// The answer to a request that makes no call: 400, 404, 405, 406 or 415 with the plain error body.
pub(super) fn read(asked: &Asked<'_>) -> Result<Call, Answer> {
    let not_found = || Answer::error(404, "RESOURCE_NOT_FOUND", "There is nothing at this path.");
    let mut bases = [BASE_PATH, UNVERSIONED_PATH].into_iter();
    let below = bases.find_map(|base| asked.path.strip_prefix(base));
    let below = below.unwrap_or(asked.path);
    let segments: Vec<String> = below
        .trim_matches('/')
        .split('/')
        .map(|segment| Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned()))
        .collect::<Option<_>>()
        .ok_or_else(not_found)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let wanted = match segments[..] {
        ["automation", "list"] | ["contact", _] => "GET",
        ["automation", "trigger", _] | ["automation", "stop", _] | ["automation", "stop", _, _] => {
            "POST"
        }
        _ => return Err(not_found()),
    };
    if asked.method != wanted {
        let message = format!("This path takes {wanted} only.");
        return Err(Answer::error(405, "INVALID_PARAMS", &message));
    }
    if !asked.accept.is_none_or(accepts_json) {
        let message = "Only application/json can be answered; the Accept header excludes it.";
        return Err(Answer::error(406, "INVALID_PARAMS", message));
    }
    if wanted == "POST" && !asked.content_type.is_none_or(is_json) {
        let message = "The body must be application/json; the Content-Type header says otherwise.";
        return Err(Answer::error(415, "INVALID_PARAMS", message));
    }
    let owned = str::to_owned;
    Ok(match segments[..] {
        ["automation", "trigger", code] => {
            let mut body = read_body(asked.body, &["externalContactId", "automationFields"])?;
            Call::Trigger {
                code: owned(code),
                contact: contact(&mut body)?,
                fields: fields(body.remove("automationFields"))?,
            }
        }
        ["automation", "stop", code] => Call::Stop {
            code: owned(code),
            contact: contact(&mut read_body(asked.body, &["externalContactId"])?)?,
        },
        ["automation", "stop", code, id] => Call::StopOne {
            code: owned(code),
            contact: contact(&mut read_body(asked.body, &["externalContactId"])?)?,
            id: owned(id),
        },
        ["contact", contact] => Call::Contact {
            contact: owned(contact),
        },
        _ => Call::List,
    })
}

fn media_type(header: &str) -> String {
    let bare = header.split(';').next().unwrap_or_default();
    bare.trim().to_ascii_lowercase()
}

fn is_json(content_type: &str) -> bool {
    media_type(content_type) == "application/json"
}

fn accepts_json(accept: &str) -> bool {
    accept.split(',').any(|one| {
        matches!(
            &*media_type(one),
            "*/*" | "application/*" | "application/json"
        )
    })
}

fn invalid(message: &str) -> Answer {
    Answer::error(400, "INVALID_PARAMS", message)
}

/// The body as an object that holds no other keys than these.
fn read_body(body: &[u8], keys: &[&str]) -> Result<Map<String, Value>, Answer> {
    let value = serde_json::from_slice(body).map_err(|_| invalid("The body is not JSON."))?;
    let Value::Object(object) = value else {
        return Err(invalid("The body is not a JSON object."));
    };
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(invalid(&format!("Unrecognized field \"{key}\"."))),
        None => Ok(object),
    }
}

fn contact(body: &mut Map<String, Value>) -> Result<String, Answer> {
    match body.remove("externalContactId") {
        Some(Value::String(contact)) if !contact.is_empty() => Ok(contact),
        Some(Value::String(_)) => Err(invalid("The externalContactId is empty.")),
        None | Some(Value::Null) => Err(invalid("The externalContactId is missing.")),
        Some(_) => Err(invalid("The externalContactId is not a string.")),
    }
}

fn fields(value: Option<Value>) -> Result<Fields, Answer> {
    let list = match value {
        None | Some(Value::Null) => return Ok(Fields::default()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(invalid("The automationFields are not a list.")),
    };
    if list.is_empty() {
        return Ok(Fields::default());
    }
    let mut types = BTreeMap::new();
    for field in &list {
        let (name, kind) = check_field(field).map_err(|message| invalid(&message))?;
        if types.insert(name.to_owned(), kind.to_owned()).is_some() {
            return Err(invalid(&format!(
                "The name of an automationField must be unique: \"{name}\"."
            )));
        }
    }
    // Keys are sorted in a parsed object, so that their order in the body does not count.
    let text = Value::Array(list).to_string();
    Ok(Fields {
        types,
        digest: Some(blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()),
    })
}

/// The name and type of a field that is as it should be, or what is wrong with it.
fn check_field(field: &Value) -> Result<(&str, &str), String> {
    let Value::Object(field) = field else {
        return Err("An automationField is not an object.".to_owned());
    };
    if let Some(key) = field
        .keys()
        .find(|key| !matches!(key.as_str(), "name" | "type" | "value" | "values"))
    {
        return Err(format!(
            "Unrecognized field \"{key}\" in an automationField."
        ));
    }
    let name = match field.get("name") {
        Some(Value::String(name)) if !name.is_empty() => name.as_str(),
        _ => return Err("The name of an automationField is missing.".to_owned()),
    };
    if name.contains(char::is_whitespace) {
        return Err(format!(
            "The name of an automationField must not hold spaces: \"{name}\"."
        ));
    }
    let kind = match field.get("type") {
        None | Some(Value::Null) => "STRING",
        Some(Value::String(kind)) => kind.as_str(),
        Some(_) => return Err(format!("The type of \"{name}\" is not a string.")),
    };
    let products = match kind {
        "STRING" | "URL" => false,
        "PRODUCTLIST" => true,
        _ => {
            return Err(format!(
                "The type of \"{name}\" is none of STRING, PRODUCTLIST and URL."
            ));
        }
    };
    match (products, field.get("value"), field.get("values")) {
        (false, Some(Value::String(_)), None) => Ok((name, kind)),
        (false, _, _) => Err(format!(
            "\"{name}\" is a {kind}: it needs a value, which is a string."
        )),
        (true, None, Some(Value::Array(values)))
            if !values.is_empty()
                && values
                    .iter()
                    .all(|v| v.as_str().is_some_and(|v| !v.is_empty())) =>
        {
            Ok((name, kind))
        }
        (true, _, _) => Err(format!(
            "\"{name}\" is a PRODUCTLIST: it needs values, which are a list of strings."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &str, body: &str) -> Result<Call, Answer> {
        read(&Asked {
            method,
            path,
            content_type: Some("application/json; charset=UTF-8"),
            accept: Some("text/html, application/json;q=0.9"),
            body: body.as_bytes(),
        })
    }

    fn trigger(body: &str) -> Result<Call, Answer> {
        ask("POST", "/automation/trigger/abc", body)
    }

    #[test]
    fn every_route_is_there_at_the_root_and_below_the_base_path() {
        let body = r#"{"externalContactId":"crm-1"}"#;
        for base in ["", BASE_PATH, UNVERSIONED_PATH] {
            for (method, path, kind) in [
                ("POST", "/automation/trigger/abc", Kind::Trigger),
                ("POST", "/automation/stop/abc", Kind::Stop),
                ("POST", "/automation/stop/abc/17", Kind::StopOne),
                ("GET", "/automation/list", Kind::List),
                ("GET", "/contact/crm%2F1", Kind::Contact),
            ] {
                let call = ask(method, &format!("{base}{path}"), body).unwrap();
                assert_eq!(call.kind(), kind);
            }
        }
        let contact = ask("GET", "/contact/crm%2F%C3%93", "").unwrap();
        assert_eq!(contact.contact(), "crm/Ó");
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        for path in [
            "/",
            "/automation",
            "/automation/trigger",
            "/contact/a/b",
            "/contact/%ff",
        ] {
            assert_eq!(ask("GET", path, "").unwrap_err().status, 404, "{path}");
        }
        assert_eq!(
            ask("GET", "/automation/stop/a", "").unwrap_err().status,
            405
        );
        assert_eq!(ask("POST", "/automation/list", "").unwrap_err().status, 405);
    }

    #[test]
    fn media_types_are_read_as_leniently_as_a_java_service_reads_them() {
        let status = |content_type, accept| {
            let asked = Asked {
                method: "POST",
                path: "/automation/stop/abc",
                content_type,
                accept,
                body: br#"{"externalContactId":"crm-1"}"#,
            };
            read(&asked).map_or_else(|answer| answer.status, |_| 200)
        };
        assert_eq!(status(None, None), 200);
        assert_eq!(status(Some("Application/JSON"), Some("*/*")), 200);
        assert_eq!(status(Some("text/plain"), None), 415);
        assert_eq!(status(None, Some("application/xml")), 406);
    }

    #[test]
    fn a_body_that_is_not_as_documented_is_refused() {
        for body in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"externalContactId":""}"#,
            r#"{"externalContactId":null}"#,
            r#"{"externalContactId":17}"#,
            r#"{"externalContactId":"a","campaignFields":[]}"#,
            r#"{"externalContactId":"a","automationFields":{}}"#,
            r#"{"externalContactId":"a","automationFields":["b"]}"#,
        ] {
            let answer = trigger(body).unwrap_err();
            assert_eq!(answer.status, 400, "{body}");
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(body["errorType"], "INVALID_PARAMS");
        }
    }

    #[test]
    fn a_field_that_is_not_as_documented_is_refused() {
        for fields in [
            r#"{"value":"x"}"#,
            r#"{"name":"a b","value":"x"}"#,
            r#"{"name":"a"}"#,
            r#"{"name":"a","value":5}"#,
            r#"{"name":"a","type":"string","value":"x"}"#,
            r#"{"name":"a","type":"STRING","values":["x"]}"#,
            r#"{"name":"a","type":"PRODUCTLIST","value":"x"}"#,
            r#"{"name":"a","type":"PRODUCTLIST","values":[]}"#,
            r#"{"name":"a","type":"PRODUCTLIST","values":[1]}"#,
            r#"{"name":"a","value":"x","extra":1}"#,
            r#"{"name":"a","value":"x"},{"name":"a","value":"y"}"#,
        ] {
            let body = format!(r#"{{"externalContactId":"c","automationFields":[{fields}]}}"#);
            assert_eq!(trigger(&body).unwrap_err().status, 400, "{fields}");
        }
    }

    #[test]
    fn of_fields_only_names_types_and_a_digest_are_kept() {
        let call = trigger(
            r#"{"externalContactId":"c","automationFields":[
                {"name":"Company","value":"De Vries"}, {"name":"company","type":"URL","value":"x"},
                {"name":"productlist","type":"PRODUCTLIST","values":["sku-1"]}]}"#,
        )
        .unwrap();
        let Call::Trigger { fields, .. } = &call else {
            panic!("a trigger");
        };
        let types: Vec<&str> = fields.types.values().map(String::as_str).collect();
        assert_eq!(types, ["STRING", "URL", "PRODUCTLIST"]);
        assert!(!format!("{call:?}").contains("De Vries"));
    }
}

//! The bodies that the sandbox answers with, right and wrong.

use serde_json::{Value, json};

use super::fault::Fault;
use super::world::{Entry, Stopped, Trigger, Triggered};

/// An answer before it is sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub content_type: &'static str,
    pub retry_after: Option<String>,
    /// Send only half of the body, and then break off.
    pub is_cut: bool,
}

impl Answer {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self {
            status,
            body: value.to_string().into_bytes(),
            content_type: "application/json",
            retry_after: None,
            is_cut: false,
        }
    }

    /// The plain error body.
    pub(super) fn error(status: u16, error_type: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({ "errorType": error_type, "message": message }),
        )
    }

    pub(super) fn html(status: u16) -> Self {
        Self {
            body: b"<html><body><h1>Something went wrong</h1></body></html>".to_vec(),
            content_type: "text/html",
            ..Self::json(status, &Value::Null)
        }
    }

    pub(super) fn limited(status: u16, retry_after: Option<String>) -> Self {
        Self {
            retry_after,
            ..Self::html(status)
        }
    }

    /// The same answer, gone wrong.
    pub(super) fn spoilt(mut self, fault: &Fault) -> Self {
        match fault {
            Fault::Html => Self::html(self.status),
            Fault::Truncated => {
                self.body.truncate(self.body.len() / 2);
                self
            }
            Fault::Cut => {
                self.is_cut = true;
                self
            }
            Fault::Enormous => {
                self.body = vec![b' '; 8 << 20];
                self
            }
            Fault::WrongTypes => Self::json(
                self.status,
                &json!({ "result": 17, "publishedAutomationResults": "none" }),
            ),
            Fault::UnknownResult => Self::json(self.status, &json!({ "result": "DEFERRED" })),
            Fault::NumberId => {
                if let Ok(mut value) = serde_json::from_slice::<Value>(&self.body) {
                    numbers(&mut value);
                    self.body = value.to_string().into_bytes();
                }
                self
            }
            _ => self,
        }
    }
}

/// Makes the ids of an answer to a trigger numbers.
fn numbers(value: &mut Value) {
    let Some(Value::Array(entries)) = value.get_mut("publishedAutomationResults") else {
        return;
    };
    for entry in entries {
        let id = entry.get("automationContactId").and_then(Value::as_str);
        if let Some(id) = id.and_then(|id| id.parse::<u64>().ok()) {
            entry["automationContactId"] = id.into();
        }
    }
}

pub(super) fn of_trigger(triggered: &Triggered) -> Answer {
    let entries = match triggered {
        Triggered::UnknownTrigger => {
            return Answer::json(404, &json!({ "result": "TRIGGER_NOTFOUND" }));
        }
        Triggered::UnknownContact => {
            return Answer::json(404, &json!({ "result": "CONTACT_NOTFOUND" }));
        }
        Triggered::Entries(entries) => entries,
    };
    let list: Vec<Value> = entries
        .iter()
        .map(|entry| match entry {
            Entry::Started { id, publication } => {
                json!({ "automationContactId": id, "automationId": publication, "result": "OK" })
            }
            Entry::Inactive { publication } => {
                json!({ "automationId": publication, "result": "AUTOMATION_INACTIVE" })
            }
            Entry::LimitReached { publication } => {
                json!({ "automationId": publication, "result": "PARTICIPATION_LIMIT_REACHED" })
            }
        })
        .collect();
    let started = entries.iter().any(|e| matches!(e, Entry::Started { .. }));
    let (status, result) = if started {
        (200, "OK")
    } else {
        (417, "NOT_TRIGGERED")
    };
    Answer::json(
        status,
        &json!({ "result": result, "publishedAutomationResults": list }),
    )
}

pub(super) fn of_stop(stopped: &Stopped) -> Answer {
    match stopped {
        Stopped::Done => Answer::json(200, &json!({ "result": "OK" })),
        Stopped::UnknownTrigger => {
            Answer::error(404, "TRIGGER_NOTFOUND", "There is no such trigger")
        }
        Stopped::UnknownParticipation => {
            Answer::error(404, "CAMPAIGN_NOTFOUND", "There is no such participation")
        }
        Stopped::UnknownContact => {
            Answer::error(400, "CONTACT_NOT_FOUND", "There is no such contact")
        }
        Stopped::NotRunning => Answer::error(
            400,
            "INVALID_STATE",
            "It was finished already, or never triggered",
        ),
    }
}

pub(super) fn of_list(triggers: &[&Trigger]) -> Answer {
    let list: Vec<Value> = triggers
        .iter()
        .enumerate()
        .map(|(index, trigger)| {
            json!({
                "id": (index + 1).to_string(),
                "name": trigger.name,
                "active": trigger.publications.iter().any(|p| p.active),
                "triggers": [{ "triggerCode": trigger.code, "name": trigger.name }],
            })
        })
        .collect();
    Answer::json(200, &Value::from(list))
}

/// What the body of a call says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub contact: String,
    /// Names and types of the fields; never their values.
    pub fields: Vec<String>,
}

/// Reads the body of a trigger or a stop.
pub(super) fn read_body(body: &[u8]) -> Result<Asked, Box<Answer>> {
    let invalid = |message: &str| Box::new(Answer::error(400, "INVALID_PARAMS", message));
    let value: Value = serde_json::from_slice(body).map_err(|_| invalid("The body is not JSON"))?;
    let contact = value
        .get("externalContactId")
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty())
        .ok_or_else(|| invalid("externalContactId is missing"))?;
    let mut fields: Vec<String> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    if let Some(list) = value.get("automationFields") {
        let list = list
            .as_array()
            .ok_or_else(|| invalid("automationFields is no list"))?;
        for field in list {
            let name = field
                .get("name")
                .and_then(Value::as_str)
                .filter(|name| !name.is_empty() && !name.contains(char::is_whitespace))
                .ok_or_else(|| invalid("A field's name is missing or holds a space"))?;
            if names.contains(&name) {
                return Err(invalid("A field's name is not unique"));
            }
            names.push(name);
            let kind = field.get("type").map_or(Some("STRING"), Value::as_str);
            let is_right = match kind {
                Some("STRING" | "URL") => field.get("value").is_some_and(Value::is_string),
                Some("PRODUCTLIST") => field
                    .get("values")
                    .and_then(Value::as_array)
                    .is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string)),
                _ => false,
            };
            if !is_right {
                return Err(invalid("A field's type or value is not right"));
            }
            fields.push(format!("{name}: {}", kind.unwrap_or("STRING")));
        }
    }
    Ok(Asked {
        contact: contact.to_owned(),
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_checked_as_the_help_page_says() {
        let good = br#"{"externalContactId":"c","automationFields":[{"name":"a","value":"x"},
            {"name":"p","type":"PRODUCTLIST","values":["1"]},{"name":"u","type":"URL","value":"https://x"}]}"#;
        let asked = read_body(good).unwrap();
        assert_eq!(asked.fields, ["a: STRING", "p: PRODUCTLIST", "u: URL"]);
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"externalContactId":""}"#,
            r#"{"externalContactId":7}"#,
            r#"{"externalContactId":"c","automationFields":{}}"#,
            r#"{"externalContactId":"c","automationFields":[{"value":"x"}]}"#,
            r#"{"externalContactId":"c","automationFields":[{"name":"a b","value":"x"}]}"#,
            r#"{"externalContactId":"c","automationFields":[{"name":"a","value":1}]}"#,
            r#"{"externalContactId":"c","automationFields":[{"name":"a","value":"x"},{"name":"a","value":"y"}]}"#,
            r#"{"externalContactId":"c","automationFields":[{"name":"a","type":"PRODUCTLIST","value":"x"}]}"#,
            r#"{"externalContactId":"c","automationFields":[{"name":"a","type":"PRODUCTLIST","values":[]}]}"#,
            r#"{"externalContactId":"c","automationFields":[{"name":"a","type":"IMAGE","value":"x"}]}"#,
        ] {
            assert_eq!(read_body(bad.as_bytes()).unwrap_err().status, 400, "{bad}");
        }
    }
}

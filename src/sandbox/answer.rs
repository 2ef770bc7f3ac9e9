//! The answers that Spotler documents.

use serde::Serialize;

/// A status and a JSON body, which is empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a body.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        Self {
            status,
            body: serde_json::to_vec(body).expect("the answers hold nothing that JSON lacks"),
        }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            body: Vec::new(),
        }
    }

    /// The plain error body.
    pub fn error(status: u16, error_type: &str, message: &str) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            error_type: &'a str,
            message: &'a str,
        }
        Self::json(
            status,
            &Body {
                error_type,
                message,
            },
        )
    }

    /// A trigger's answer without a list.
    pub fn result(status: u16, result: &'static str) -> Self {
        Self::json(
            status,
            &TriggerBody {
                result,
                published_automation_results: None,
            },
        )
    }
}

/// The body of a trigger's answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TriggerBody<'a> {
    pub result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_automation_results: Option<Vec<PublicationResult<'a>>>,
}

/// What came of a trigger in one published automation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublicationResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automation_contact_id: Option<Id>,
    pub automation_id: &'a str,
    pub result: &'static str,
}

/// An `automationContactId`, which may come as a string or as a number.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Id {
    Text(String),
    Number(u64),
}

/// An entry of the list of automations. Ids have both of the names that clients of the API read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedAutomation<'a> {
    pub encrypted_id: &'a str,
    pub id: &'a str,
    pub name: &'a str,
    pub active: bool,
    pub triggers: Vec<ListedTrigger<'a>>,
}

/// An external trigger in the list of automations.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedTrigger<'a> {
    pub encrypted_id: &'a str,
    pub trigger_code: &'a str,
    pub name: &'a str,
}

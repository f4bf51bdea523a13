//! Directory audit records: what every write leaves behind and how it is shown.
//!
//! The shape is that of Graph's resource `directoryAudit` with `auditActivityInitiator`
//! and `targetResource`; names of activities, services and categories are those of
//! Microsoft's "Audit log activities"; values are JSON text in JSON strings as in
//! "Troubleshoot policy changes with the audit log". Which records are shown, and
//! when, is decided where they are read.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::catalog::Kind;
use crate::record::Object;
use crate::state::State;
use crate::tenant::Actor;

/// How many records a tenant keeps; older ones fall out.
const KEPT: usize = 200_000;

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    /// Place in the tenant's history, for paging.
    pub seq: u64,
    pub id: String,
    pub at: String,
    pub activity: String,
    pub category: &'static str,
    pub service: &'static str,
    pub operation: &'static str,
    pub actor: Value,
    pub correlation: String,
    pub targets: Vec<Value>,
}

/// A change of one property, by name: before and after.
pub(crate) type Modified = (String, Value, Value);

/// Appends a record about `object` (and a second target, for links).
pub(crate) fn record(
    state: &mut State,
    now: &str,
    actor: &Actor,
    activity: &str,
    object: &Object,
    modified: &[Modified],
    second: Option<&Object>,
) {
    let (service, category) = match object.kind {
        Kind::User => ("Core Directory", "UserManagement"),
        Kind::Group => ("Core Directory", "GroupManagement"),
        Kind::Application | Kind::ServicePrincipal | Kind::Grant => {
            ("Core Directory", "ApplicationManagement")
        }
        Kind::AdministrativeUnit => ("Core Directory", "AdministrativeUnit"),
        Kind::Policy | Kind::Location => ("Conditional Access", "Policy"),
    };
    let mut targets = Vec::new();
    if let Some(second) = second {
        targets.push(target(second, &[]));
    }
    targets.push(target(object, modified));
    append(state, now, actor, activity, (service, category), targets);
}

/// What a record is about when that is no object of the directory.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub service: &'static str,
    pub category: &'static str,
    /// The type as records name it.
    pub kind: &'static str,
    pub id: String,
    pub name: String,
}

/// Appends a record about a document (and a second target, for what joins it to an object).
pub(crate) fn record_document(
    state: &mut State,
    now: &str,
    actor: &Actor,
    activity: &str,
    about: &Target,
    modified: &[Modified],
    second: Option<&Object>,
) {
    let modified: Vec<Value> = modified
        .iter()
        .map(|(name, old, new)| {
            json!({ "displayName": name, "oldValue": plain(old), "newValue": plain(new) })
        })
        .collect();
    let mut targets: Vec<Value> = second
        .map(|second| target(second, &[]))
        .into_iter()
        .collect();
    targets.push(json!({
        "id": about.id,
        "displayName": about.name,
        "type": about.kind,
        "userPrincipalName": null,
        "groupType": null,
        "modifiedProperties": modified,
    }));
    let place = (about.service, about.category);
    append(state, now, actor, activity, place, targets);
}

fn append(
    state: &mut State,
    now: &str,
    actor: &Actor,
    activity: &str,
    (service, category): (&'static str, &'static str),
    targets: Vec<Value>,
) {
    let operation = match activity.split(' ').next() {
        Some("Add") => "Add",
        Some("Delete" | "Remove" | "Hard") => "Delete",
        _ => "Update",
    };
    let id = state.ids.guid();
    let entry = Audit {
        seq: state.audits.back().map_or(0, |last| last.seq + 1),
        id: format!("Directory_{id}"),
        at: now.to_owned(),
        activity: activity.to_owned(),
        category,
        service,
        operation,
        actor: initiated_by(state, actor, id),
        correlation: state.ids.guid().to_string(),
        targets,
    };
    state.audits.push_back(entry);
    if state.audits.len() > KEPT {
        state.audits.pop_front();
    }
}

impl Audit {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "category": self.category,
            "correlationId": self.correlation,
            "result": "success",
            "resultReason": "",
            "activityDisplayName": self.activity,
            "activityDateTime": self.at,
            "loggedByService": self.service,
            "operationType": self.operation,
            "initiatedBy": self.actor,
            "targetResources": self.targets,
            "additionalDetails": [],
        })
    }
}

/// Who did it. Of an application that has a service principal here, about every other
/// record, as its id has it, names that alone.
fn initiated_by(state: &State, actor: &Actor, id: Uuid) -> Value {
    let client_id = &actor.app.client_id;
    let principal = state
        .by_app_id(Kind::ServicePrincipal, client_id)
        .filter(|_| id.as_u128() % 2 == 1)
        .map(|principal| principal.to_string());
    match &actor.app.acts_as {
        Some(user) => json!({
            "app": null,
            "user": {
                "id": user.id,
                "displayName": user.display_name,
                "userPrincipalName": user.user_principal_name,
                "ipAddress": "203.0.113.77",
                "userType": null,
                "homeTenantId": null,
                "homeTenantName": null,
            },
        }),
        None => json!({
            "user": null,
            "app": {
                "appId": principal.is_none().then_some(client_id),
                "displayName": actor.app.display_name,
                "servicePrincipalId": principal,
                "servicePrincipalName": null,
            },
        }),
    }
}

fn target(object: &Object, modified: &[Modified]) -> Value {
    let mut target = Map::new();
    target.insert("id".into(), object.id.to_string().into());
    target.insert("displayName".into(), object.value("displayName"));
    target.insert("type".into(), object.kind.service_name().into());
    target.insert(
        "userPrincipalName".into(),
        if object.kind == Kind::User {
            object.value("userPrincipalName")
        } else {
            Value::Null
        },
    );
    let group_type = (object.kind == Kind::Group).then(|| {
        if object.has_item("groupTypes", "Unified") {
            "unifiedGroups"
        } else {
            "azureAD"
        }
    });
    target.insert("groupType".into(), group_type.into());
    let modified = modified
        .iter()
        .map(|(name, old, new)| {
            json!({
                "displayName": name,
                "oldValue": encoded(object.kind, old),
                "newValue": encoded(object.kind, new),
            })
        })
        .collect();
    target.insert("modifiedProperties".into(), Value::Array(modified));
    Value::Object(target)
}

/// JSON text inside a JSON string. The directory wraps values in a list; policies stand alone.
fn encoded(kind: Kind, value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        _ if !kind.is_directory_object() => plain(value),
        Value::Array(_) => Value::String(value.to_string()),
        _ => Value::String(json!([value]).to_string()),
    }
}

/// JSON text in a string, unwrapped.
fn plain(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        _ => Value::String(value.to_string()),
    }
}

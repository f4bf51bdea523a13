//! Policies, contexts, assignments and credentials on their way in.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Content, LoadReport};
use crate::catalog::Kind;
use crate::state::State;
use crate::state::roles::RoleAssignment;
use crate::write::{contexts, federated, roles};

/// One checked document.
pub(super) enum Document {
    Role(RoleAssignment),
    Credential(Uuid, Map<String, Value>),
    Strength(String, Value),
    Context(u8, Value),
    Methods(Map<String, Value>),
    Authorization(Map<String, Value>),
    Organization(Map<String, Value>),
}

/// Checks one item of a file.
pub(super) fn document(content: Content, map: &Map<String, Value>) -> Result<Document, String> {
    let text = |name: &str| {
        map.get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("property '{name}' is missing"))
    };
    Ok(match content {
        Content::Roles => Document::Role(roles::parse(map).map_err(|error| error.message)?),
        Content::Federated => {
            let application = Uuid::parse_str(text("applicationId")?)
                .map_err(|_| "property 'applicationId' is not a GUID".to_owned())?;
            Document::Credential(application, credential(map.clone())?)
        }
        Content::Strengths => {
            text("displayName")?;
            Document::Strength(text("id")?.to_owned(), whole(map))
        }
        Content::Contexts => {
            text("displayName")?;
            let number = contexts::number(text("id")?).map_err(|error| error.message)?;
            Document::Context(number, whole(map))
        }
        Content::Methods => Document::Methods(map.clone()),
        Content::Authorization => Document::Authorization(map.clone()),
        Content::Organization => Document::Organization(map.clone()),
        Content::Objects(_) | Content::Grants | Content::Assignments => {
            return Err("not a document".to_owned());
        }
    })
}

/// The document without annotations, but with what says its type.
fn whole(map: &Map<String, Value>) -> Value {
    let kept = |name: &str| !name.contains("@odata.") || name == "@odata.type";
    let members = map.iter().filter(|(name, _)| kept(name));
    Value::Object(
        members
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// The credentials that came along with an application.
pub(super) fn credentials(value: Value) -> Result<Vec<Map<String, Value>>, String> {
    let Value::Array(items) = value else {
        return Err("federatedIdentityCredentials is no list".to_owned());
    };
    let one = |item| match item {
        Value::Object(map) => credential(map),
        _ => Err("a federated identity credential is not an object".to_owned()),
    };
    items.into_iter().map(one).collect()
}

fn credential(mut map: Map<String, Value>) -> Result<Map<String, Value>, String> {
    map.remove("applicationId");
    let id = map.remove("id");
    map.retain(|name, _| !name.starts_with("@odata."));
    federated::check(&map).map_err(|error| error.message)?;
    if let Some(id) = id {
        map.insert("id".into(), id);
    }
    Ok(map)
}

/// Gives an application a credential, under its own id if it has one.
pub(super) fn insert_credential(
    state: &mut State,
    application: Uuid,
    credential: &Map<String, Value>,
) {
    let given = credential.get("id").and_then(Value::as_str);
    let id = given
        .and_then(|id| Uuid::parse_str(id).ok())
        .unwrap_or_else(|| state.ids.guid());
    let held = federated::whole(id, credential);
    state.federated.put(application, id, held);
}

impl Document {
    fn name(&self) -> &'static str {
        match self {
            Self::Role(_) => "roleAssignment",
            Self::Credential(..) => "federatedIdentityCredential",
            Self::Strength(..) => "authenticationStrengthPolicy",
            Self::Context(..) => "authenticationContextClassReference",
            Self::Methods(_) => "authenticationMethodsPolicy",
            Self::Authorization(_) => "authorizationPolicy",
            Self::Organization(_) => "organization",
        }
    }

    /// Puts the document into the state; what a tenant has one of is overlaid.
    pub(super) fn insert(self, state: &mut State, report: &mut LoadReport) {
        let name = self.name();
        let fresh = match self {
            Self::Role(assignment) => state.roles.assign(assignment),
            Self::Credential(application, credential) => {
                let there = state.object(Kind::Application, application).is_some();
                if there {
                    insert_credential(state, application, &credential);
                } else {
                    report.notes.push(format!(
                        "{name} of {application}: the application is not there, left out"
                    ));
                    return;
                }
                there
            }
            Self::Strength(id, strength) => {
                let fresh = !state.strengths.contains_key(&id);
                state.strengths.entry(id).or_insert(strength);
                fresh
            }
            Self::Context(number, context) => {
                let fresh = !state.settings.contexts.contains_key(&number);
                state.settings.contexts.entry(number).or_insert(context);
                fresh
            }
            Self::Methods(map) => overlay(&mut state.settings.methods, map),
            Self::Authorization(map) => overlay(&mut state.settings.authorization, map),
            Self::Organization(mut map) => {
                // A tenant keeps its own id.
                map.remove("id");
                overlay(&mut state.settings.organization, map)
            }
        };
        if fresh {
            *report.loaded.entry(name.to_owned()).or_default() += 1;
        } else {
            report.duplicates += 1;
        }
    }
}

fn overlay(held: &mut Value, map: Map<String, Value>) -> bool {
    if let Value::Object(new) = whole(&map) {
        for (name, value) in new {
            held[name] = value;
        }
    }
    true
}

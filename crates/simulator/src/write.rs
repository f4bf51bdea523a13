//! Writing: validation as the service does it, then one change of state with its audit record.
//!
//! Every handler validates before it changes anything, so a refused request leaves no trace.

pub(crate) mod actions;
pub(crate) mod administrative_units;
pub(crate) mod applications;
pub(crate) mod check;
pub(crate) mod contexts;
pub(crate) mod credentials;
pub(crate) mod federated;
pub(crate) mod grants;
pub(crate) mod groups;
pub(crate) mod lifecycle;
pub(crate) mod locations;
pub(crate) mod policies;
pub(crate) mod relations;
pub(crate) mod roles;
pub(crate) mod service_principals;
pub(crate) mod strengths;
pub(crate) mod tenant_policies;
pub(crate) mod users;

use serde_json::{Map, Value};

use crate::audit::{self, Modified, Target};
use crate::catalog::Kind;
use crate::clock::Clock;
use crate::http::Call;
use crate::http::reply::GraphError;
use crate::record::Object;
use crate::state::State;
use crate::tenant::{Actor, Tenant};

/// Everything that a write depends on.
pub(crate) struct Writer<'a> {
    pub tenant: &'a Tenant,
    pub actor: &'a Actor,
    pub call: &'a Call,
    pub clock: &'a Clock,
}

impl Writer<'_> {
    pub(crate) fn audit(
        &self,
        state: &mut State,
        activity: &str,
        object: &Object,
        modified: &[Modified],
        second: Option<&Object>,
    ) {
        let now = self.clock.now_precise();
        audit::record(state, &now, self.actor, activity, object, modified, second);
    }

    pub(crate) fn audit_document(
        &self,
        state: &mut State,
        activity: &str,
        target: &Target,
        modified: &[Modified],
        second: Option<&Object>,
    ) {
        let now = self.clock.now_precise();
        audit::record_document(state, &now, self.actor, activity, target, modified, second);
    }
}

/// Properties of a body, and links to make along with it.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub properties: Map<String, Value>,
    pub members: Vec<String>,
    pub owners: Vec<String>,
    pub manager: Option<String>,
    /// Whether a Conditional Access location said what it is.
    pub odata_type: Option<String>,
}

impl Body {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.properties.get(name).and_then(Value::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.properties.contains_key(name)
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.properties.insert(name.to_owned(), value.into());
    }

    /// Sets a property that the caller left out.
    pub(crate) fn fill(&mut self, name: &str, value: impl Into<Value>) {
        if !self.has(name) {
            self.set(name, value);
        }
    }

    /// # Errors
    /// 400 when a required property is missing or null.
    pub(crate) fn require(&self, kind: Kind, names: &[&str]) -> Result<(), GraphError> {
        for name in names {
            match self.properties.get(*name) {
                None | Some(Value::Null) => {
                    return Err(GraphError::request(format!(
                        "A value is required for property '{name}' of resource '{}'.",
                        kind.service_name()
                    )));
                }
                Some(Value::String(text)) if text.is_empty() => {
                    return Err(GraphError::request(format!(
                        "Invalid value specified for property '{name}' of resource '{}'.",
                        kind.service_name()
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// The refusal of any write to what Active Directory masters.
pub(crate) fn on_premises() -> GraphError {
    GraphError::request(
        "Unable to update the specified properties for on-premises mastered Directory Sync objects \
         or objects currently undergoing migration.",
    )
}

pub(crate) fn duplicate(property: &str) -> GraphError {
    GraphError::request(format!(
        "Another object with the same value for property {property} already exists."
    ))
}

pub(crate) fn invalid_value(kind: Kind, name: &str) -> GraphError {
    GraphError::request(format!(
        "Invalid value specified for property '{name}' of resource '{}'.",
        kind.service_name()
    ))
}

//! Directory roles and the actions that they allow, as Graph tells them.
//!
//! Source: the resource pages of `unifiedRoleDefinition` and
//! `unifiedRbacResourceAction`. The latter documents the actions for `/beta` alone; the
//! metadata of v1.0 has them too, so that is asked first.

use model::ObjectId;
use model::posture::{Action, Role};
use serde::Deserialize;
use serde_json::Value;

use crate::error::GraphError;

/// The actions. What protects them comes only where it is selected. That Graph filters by
/// it is not documented, so that all are read: some hundreds, on pages of 100.
pub(crate) const ACTIONS: &str = "/roleManagement/directory/resourceNamespaces/microsoft.directory/resourceActions?$select=id,name,authenticationContextId,isAuthenticationContextSettable";
/// The roles with what each allows.
pub(crate) const ROLES: &str = "/roleManagement/directory/roleDefinitions";

/// Whether a path is that of one action.
pub(crate) fn is_action(path: &str) -> bool {
    let list = ACTIONS.split('?').next().unwrap_or(ACTIONS);
    let below = path.strip_prefix(list);
    below.is_some_and(|rest| rest.starts_with('/'))
}

/// Whether v1.0 does not know what was asked for, so that beta may.
pub(crate) fn is_unknown(error: &GraphError) -> bool {
    matches!(
        error,
        GraphError::BadRequest { .. } | GraphError::NotFound { .. }
    )
}

/// Where the same is asked of beta; `None` where the root is no version that has one.
pub(crate) fn in_beta(root: &str, below: &str) -> Option<String> {
    let root = root.strip_suffix("/v1.0")?;
    Some(format!("{root}/beta{below}"))
}

/// An action as Graph tells it; `None` where Graph does not tell what protects it.
pub(crate) fn action(item: &Value) -> Option<Action> {
    let name = item.get("name").and_then(Value::as_str)?.to_owned();
    let (settable, context) = (
        item.get("isAuthenticationContextSettable"),
        item.get("authenticationContextId"),
    );
    // Without the selection neither is there.
    if settable.is_none() && context.is_none() {
        return None;
    }
    let context = context.and_then(Value::as_str).unwrap_or_default();
    let id = item.get("id").and_then(Value::as_str);
    Some(Action {
        id: id.unwrap_or_default().to_owned(),
        name,
        settable: settable == Some(&Value::Bool(true)),
        context: Some(context.to_owned()).filter(|context| !context.is_empty()),
    })
}

/// A role as Graph sends it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Definition {
    id: String,
    template_id: Option<String>,
    display_name: Option<String>,
    is_enabled: Option<bool>,
    role_permissions: Option<Vec<Permission>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Permission {
    allowed_resource_actions: Option<Vec<Option<String>>>,
}

impl Definition {
    pub(crate) fn into_role(self) -> Result<Role, GraphError> {
        let parse = |id: &str| {
            ObjectId::parse(id).map_err(|error| GraphError::Malformed {
                what: error.to_string(),
                path: "roleDefinitions".to_owned(),
            })
        };
        let id = parse(&self.id)?;
        let template = self.template_id.filter(|template| !template.is_empty());
        let permissions = self.role_permissions.unwrap_or_default().into_iter();
        let actions = permissions.flat_map(|one| one.allowed_resource_actions.unwrap_or_default());
        Ok(Role {
            template: template.map_or_else(|| Ok(id.clone()), |it| parse(&it))?,
            name: self.display_name.unwrap_or(self.id),
            // Whatever does not say that it is off is on.
            enabled: self.is_enabled != Some(false),
            actions: actions.flatten().collect(),
            id,
        })
    }
}

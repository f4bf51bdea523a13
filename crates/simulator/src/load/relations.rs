//! Grants and app role assignments on their way in.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Content, LoadReport};
use crate::state::State;
use crate::state::grants::{Assignment, Grant};

pub(super) struct RelationItem {
    from: Uuid,
    to: Uuid,
    third: Option<Uuid>,
    text: String,
}

pub(super) fn relation(content: Content, map: &Map<String, Value>) -> Result<RelationItem, String> {
    let id = |name: &str| {
        map.get(name)
            .and_then(Value::as_str)
            .and_then(|id| Uuid::parse_str(id).ok())
    };
    let need = |name: &str| id(name).ok_or_else(|| format!("property '{name}' is not a GUID"));
    let text = |name: &str| {
        map.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(match content {
        Content::Grants => RelationItem {
            from: need("clientId")?,
            to: need("resourceId")?,
            third: id("principalId"),
            text: text("scope"),
        },
        _ => RelationItem {
            from: need("principalId")?,
            to: need("resourceId")?,
            third: Some(need("appRoleId")?),
            text: text("createdDateTime"),
        },
    })
}

pub(super) fn insert_relation(
    state: &mut State,
    content: Content,
    item: RelationItem,
    report: &mut LoadReport,
) {
    let name = if content == Content::Grants {
        "oAuth2PermissionGrant"
    } else {
        "appRoleAssignment"
    };
    if content == Content::Grants {
        let made = state.grant(&Grant {
            client: item.from,
            resource: item.to,
            principal: item.third,
            scope: item.text,
        });
        if made.is_none() {
            report.duplicates += 1;
            return;
        }
    } else {
        let own = state.ids.guid();
        state.grants.assign(
            own,
            Assignment {
                principal: item.from,
                resource: item.to,
                role: item.third.unwrap_or_default(),
                created: item.text,
            },
        );
    }
    *report.loaded.entry(name.to_owned()).or_default() += 1;
}

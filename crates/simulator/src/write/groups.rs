//! What is special about writing groups.

use serde_json::{Value, json};

use crate::catalog::Kind;
use crate::http::permission;
use crate::http::reply::GraphError;
use crate::record::Object;
use crate::state::State;
use crate::write::{Body, Writer, duplicate, invalid_value, on_premises};

/// Properties that live in the mail system: each needs a request of its own.
const ALONE: &[&str] = &[
    "allowExternalSenders",
    "autoSubscribeNewMembers",
    "hideFromAddressLists",
    "hideFromOutlookClients",
    "isSubscribedByMail",
    "accessType",
    "isFavorite",
];

const NICKNAME_FORBIDS: &str = "@()\\[]\";:.<>, ";

/// Groups that leave no deleted item: mail-enabled ones that are not Microsoft 365 groups.
pub(crate) fn is_hard_deleted(group: &Object) -> bool {
    group.flag("mailEnabled") && !group.has_item("groupTypes", "Unified")
}

pub(crate) fn is_dynamic(group: &Object) -> bool {
    group.has_item("groupTypes", "DynamicMembership")
}

fn body_types(body: &Body) -> Vec<String> {
    body.properties
        .get("groupTypes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

pub(crate) fn prepare(
    writer: &Writer<'_>,
    state: &mut State,
    body: &mut Body,
) -> Result<(), GraphError> {
    body.require(
        Kind::Group,
        &[
            "displayName",
            "mailEnabled",
            "mailNickname",
            "securityEnabled",
        ],
    )?;
    let nickname = body.text("mailNickname").unwrap_or_default().to_owned();
    check_nickname(&nickname)?;
    let types = body_types(body);
    let unified = types.iter().any(|name| name == "Unified");
    let dynamic = types.iter().any(|name| name == "DynamicMembership");
    let mail_enabled = body.properties["mailEnabled"] == true;
    if mail_enabled && !unified {
        return Err(GraphError::request(
            "The service does not currently support writes of mail-enabled groups. Please ensure \
             that the mail-enablement property is unset and the security-enablement property is set.",
        ));
    }
    if unified && !mail_enabled {
        return Err(invalid_value(Kind::Group, "mailEnabled"));
    }
    if unified {
        check_unique(state, &nickname)?;
    }
    if !unified && body.properties["securityEnabled"] != true {
        return Err(invalid_value(Kind::Group, "securityEnabled"));
    }
    if dynamic {
        if body.text("membershipRule").is_none() {
            return Err(GraphError::request(
                "A value is required for property 'membershipRule' of resource 'Group'.",
            ));
        }
        if !body.members.is_empty() {
            return Err(dynamic_members());
        }
        body.fill("membershipRuleProcessingState", "On");
    }
    if body.properties.get("isAssignableToRole") == Some(&json!(true)) {
        permission::any(writer.actor, &["RoleManagement.ReadWrite.Directory"])?;
        if dynamic || body.properties["securityEnabled"] != true {
            return Err(invalid_value(Kind::Group, "isAssignableToRole"));
        }
        body.fill("visibility", "Private");
    }
    if unified {
        let address = format!("{nickname}@{}", writer.tenant.domain);
        body.set("mail", address.clone());
        body.set("proxyAddresses", json!([format!("SMTP:{address}")]));
        body.fill("visibility", "Public");
    }
    let now = writer.clock.now_seconds();
    body.set("createdDateTime", now.clone());
    body.set("renewedDateTime", now);
    Ok(())
}

fn check_nickname(nickname: &str) -> Result<(), GraphError> {
    let valid = !nickname.is_empty()
        && nickname.len() <= 64
        && nickname.is_ascii()
        && !nickname.contains(|c| NICKNAME_FORBIDS.contains(c));
    if valid {
        Ok(())
    } else {
        Err(invalid_value(Kind::Group, "mailNickname"))
    }
}

fn check_unique(state: &State, nickname: &str) -> Result<(), GraphError> {
    let taken = state.all(Kind::Group).values().any(|group| {
        group.has_item("groupTypes", "Unified")
            && group
                .text("mailNickname")
                .is_some_and(|held| held.eq_ignore_ascii_case(nickname))
    });
    if taken {
        Err(duplicate("mailNickname"))
    } else {
        Ok(())
    }
}

pub(crate) fn dynamic_members() -> GraphError {
    GraphError::request(
        "Insufficient privileges to complete the operation: the members of a group with dynamic \
         membership cannot be changed.",
    )
}

/// Returns the status of the answer.
pub(crate) fn revise(
    writer: &Writer<'_>,
    state: &State,
    object: &Object,
    body: &mut Body,
) -> Result<u16, GraphError> {
    if object.flag("onPremisesSyncEnabled") {
        return Err(on_premises());
    }
    if object.flag("isAssignableToRole") {
        permission::any(writer.actor, &["RoleManagement.ReadWrite.Directory"])?;
    }
    if body
        .properties
        .keys()
        .any(|name| ALONE.contains(&name.as_str()))
    {
        if body.properties.len() > 1 {
            return Err(GraphError::request(
                "Properties of the mail system must be updated in a request of their own.",
            ));
        }
        return Ok(200);
    }
    for name in ["displayName", "mailNickname", "securityEnabled"] {
        if body.has(name) {
            body.require(Kind::Group, &[name])?;
        }
    }
    let unified = object.has_item("groupTypes", "Unified");
    if let Some(nickname) = body.text("mailNickname") {
        check_nickname(nickname)?;
        let held = object.text("mailNickname").unwrap_or_default();
        if unified && !held.eq_ignore_ascii_case(nickname) {
            check_unique(state, nickname)?;
        }
    }
    if body.text("visibility") == Some("HiddenMembership")
        && object.text("visibility").as_deref() != Some("HiddenMembership")
    {
        return Err(invalid_value(Kind::Group, "visibility"));
    }
    if body.has("uniqueName") && !object.value("uniqueName").is_null() {
        return Err(GraphError::request(
            "Property 'uniqueName' is immutable once set.",
        ));
    }
    let mut dynamic = is_dynamic(object);
    if body.has("groupTypes") {
        let types = body_types(body);
        if types.iter().any(|name| name == "Unified") != unified {
            return Err(invalid_value(Kind::Group, "groupTypes"));
        }
        dynamic = types.iter().any(|name| name == "DynamicMembership");
        let rule = body
            .text("membershipRule")
            .map(str::to_owned)
            .or_else(|| object.text("membershipRule"));
        if dynamic && rule.is_none() {
            return Err(GraphError::request(
                "A value is required for property 'membershipRule' of resource 'Group'.",
            ));
        }
    }
    if dynamic && body.properties.get("membershipRule") == Some(&Value::Null) {
        return Err(invalid_value(Kind::Group, "membershipRule"));
    }
    Ok(204)
}

//! What is special about writing administrative units.

use serde_json::Value;

use crate::catalog::Kind;
use crate::http::reply::GraphError;
use crate::record::Object;
use crate::write::{Body, invalid_value};

pub(crate) fn prepare(body: &mut Body) -> Result<(), GraphError> {
    body.require(Kind::AdministrativeUnit, &["displayName"])?;
    check(body)?;
    if body.text("membershipType") == Some("Dynamic") {
        if body.text("membershipRule").is_none() {
            return Err(invalid_value(Kind::AdministrativeUnit, "membershipRule"));
        }
        body.fill("membershipRuleProcessingState", "On");
    }
    Ok(())
}

pub(crate) fn revise(object: &Object, body: &Body) -> Result<(), GraphError> {
    if body.has("displayName") {
        body.require(Kind::AdministrativeUnit, &["displayName"])?;
    }
    check(body)?;
    let rule = body
        .properties
        .get("membershipRule")
        .cloned()
        .unwrap_or_else(|| object.value("membershipRule"));
    let becomes_dynamic = body.text("membershipType") == Some("Dynamic");
    if (becomes_dynamic || (is_dynamic(object) && !body.has("membershipType"))) && rule.is_null() {
        return Err(invalid_value(Kind::AdministrativeUnit, "membershipRule"));
    }
    Ok(())
}

/// Whether the members follow from a rule.
pub(crate) fn is_dynamic(unit: &Object) -> bool {
    unit.text("membershipType").as_deref() == Some("Dynamic")
}

fn check(body: &Body) -> Result<(), GraphError> {
    let known: [(&str, &[&str]); 3] = [
        ("membershipType", &["Assigned", "Dynamic"]),
        ("membershipRuleProcessingState", &["On", "Paused"]),
        ("visibility", &["Public", "HiddenMembership"]),
    ];
    for (name, values) in known {
        let value = body.properties.get(name).and_then(Value::as_str);
        if value.is_some_and(|value| !values.contains(&value)) {
            return Err(invalid_value(Kind::AdministrativeUnit, name));
        }
    }
    Ok(())
}

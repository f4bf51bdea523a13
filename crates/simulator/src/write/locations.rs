//! What is special about writing named locations: bodies must say what they are.

use std::net::IpAddr;

use serde_json::Value;

use crate::http::reply::GraphError;
use crate::record::Object;
use crate::write::{Body, Writer};

const IP: &str = "#microsoft.graph.ipNamedLocation";
const COUNTRY: &str = "#microsoft.graph.countryNamedLocation";
const IP_ONLY: &[&str] = &["ipRanges", "isTrusted"];
const COUNTRY_ONLY: &[&str] = &[
    "countriesAndRegions",
    "includeUnknownCountriesAndRegions",
    "countryLookupMethod",
];

pub(crate) fn prepare(writer: &Writer<'_>, body: &mut Body) -> Result<(), GraphError> {
    let kind = declared(body)?;
    if body.text("displayName").is_none_or(str::is_empty) {
        return Err(GraphError::policy(1003, "displayName is required."));
    }
    let needed = if kind == IP {
        "ipRanges"
    } else {
        "countriesAndRegions"
    };
    if !body.has(needed) {
        return Err(GraphError::policy(1002, format!("{needed} is required.")));
    }
    check(kind, body)?;
    body.set("@odata.type", kind);
    let now = writer.clock.now_precise();
    body.set("createdDateTime", now.clone());
    body.set("modifiedDateTime", now);
    Ok(())
}

pub(crate) fn revise(
    writer: &Writer<'_>,
    object: &Object,
    body: &mut Body,
) -> Result<(), GraphError> {
    let kind = declared(body)?;
    if object.text("@odata.type").as_deref() != Some(kind) {
        return Err(GraphError::policy(
            1030,
            "The type of a named location cannot be changed.",
        ));
    }
    check(kind, body)?;
    body.set("modifiedDateTime", writer.clock.now_precise());
    Ok(())
}

fn declared(body: &Body) -> Result<&'static str, GraphError> {
    match body.odata_type.as_deref() {
        Some(IP) => Ok(IP),
        Some(COUNTRY) => Ok(COUNTRY),
        _ => Err(GraphError::bad(
            "BadRequest",
            "1033: The '@odata.type' of the named location is missing or not supported.",
        )),
    }
}

fn check(kind: &str, body: &Body) -> Result<(), GraphError> {
    let foreign = if kind == IP { COUNTRY_ONLY } else { IP_ONLY };
    if let Some(name) = foreign.iter().find(|name| body.has(name)) {
        return Err(GraphError::bad(
            "BadRequest",
            format!(
                "1033: The property '{name}' does not exist on type '{}'.",
                &kind[1..]
            ),
        ));
    }
    if let Some(ranges) = body.properties.get("ipRanges").and_then(Value::as_array)
        && (ranges.is_empty() || !ranges.iter().all(is_range))
    {
        return Err(GraphError::policy(1002, "Invalid IP ranges."));
    }
    if let Some(countries) = body
        .properties
        .get("countriesAndRegions")
        .and_then(Value::as_array)
    {
        let valid = |code: &Value| {
            code.as_str().is_some_and(|code| {
                code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
            })
        };
        if countries.is_empty() || !countries.iter().all(valid) {
            return Err(GraphError::policy(1001, "Invalid countries."));
        }
    }
    Ok(())
}

fn is_range(range: &Value) -> bool {
    let v4 = match range["@odata.type"].as_str() {
        Some("#microsoft.graph.iPv4CidrRange") => true,
        Some("#microsoft.graph.iPv6CidrRange") => false,
        _ => return false,
    };
    let Some((address, length)) = range["cidrAddress"]
        .as_str()
        .and_then(|cidr| cidr.split_once('/'))
    else {
        return false;
    };
    match (address.parse::<IpAddr>(), length.parse::<u8>()) {
        (Ok(address), Ok(length)) => {
            address.is_ipv4() == v4 && length <= if v4 { 32 } else { 128 } && length > 0
        }
        _ => false,
    }
}

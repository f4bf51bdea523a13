//! The control API under `/simulator/`: fills, changes, spoils, slows and inspects what is served.
//!
//! It is for practice on one's own machine and takes no credential, so it answers callers on
//! loopback only. It must never be reachable below `/v1.0`.

mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::Call;
use crate::http::reply::Reply;
use crate::mutate::Reach;
use crate::populate::Population;
use crate::simulator::{Shared, Simulator, TenantHandle};

/// Why a control request was not done.
struct Refusal {
    status: u16,
    reason: String,
}

fn refuse<T>(status: u16, reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        status,
        reason: reason.into(),
    })
}

/// Answers one control request.
pub(crate) async fn answer(shared: &Arc<Shared>, call: &Call, peer: SocketAddr) -> Reply {
    let outcome = if peer.ip().is_loopback() {
        let simulator = Simulator {
            shared: Arc::clone(shared),
        };
        let call = call.clone();
        // Loading and generating take long, and must not hold up those who are served.
        tokio::task::spawn_blocking(move || route(&simulator, &call))
            .await
            .unwrap_or_else(|error| refuse(500, format!("the request was not finished: {error}")))
    } else {
        refuse(403, "the control API answers callers on loopback only")
    };
    match outcome {
        Ok(Value::Null) => Reply::no_content(),
        Ok(body) => Reply::json(200, &body),
        Err(refusal) => Reply::json(refusal.status, &json!({ "error": refusal.reason })),
    }
}

fn route(simulator: &Simulator, call: &Call) -> Result<Value, Refusal> {
    let path: Vec<&str> = call.segments[1..].iter().map(String::as_str).collect();
    match (call.method.as_str(), &path[..]) {
        ("POST", ["load"]) => load(simulator, body(call)?),
        ("POST", ["generate"]) => generate(simulator, body(call)?),
        ("POST", ["mutate"]) => {
            let wanted: Mutate = body(call)?;
            let tenant = tenant(simulator, wanted.tenant.as_deref())?;
            Ok(
                json!({ "changes": tenant.mutate_within(wanted.reach, wanted.seed, wanted.changes) }),
            )
        }
        ("GET", ["faults"]) => Ok(settings::faults(simulator)),
        ("PUT", ["faults"]) => Ok(settings::set_faults(simulator, body(call)?)),
        ("DELETE", ["faults"]) => {
            simulator.clear_faults();
            Ok(Value::Null)
        }
        ("PUT", ["throttle"]) => Ok(settings::set_throttle(simulator, &body(call)?)),
        ("PUT", ["replication"]) => Ok(settings::set_replication(simulator, &body(call)?)),
        ("PUT", ["delta"]) => set_delta(simulator, body(call)?),
        ("PUT", ["audit"]) => Ok(settings::set_audit_log(simulator, body(call)?)),
        ("PUT", ["clock"]) => advance(simulator, &body(call)?),
        ("GET", ["state"]) => {
            let wanted = url::form_urlencoded::parse(call.query.as_bytes())
                .find(|(name, _)| name == "tenant")
                .map(|(_, id)| id.into_owned());
            let tenant = tenant(simulator, wanted.as_deref())?;
            Ok(simulator.dump(tenant.id()))
        }
        ("GET", ["stats"]) => serde_json::to_value(simulator.counters())
            .or_else(|error| refuse(500, error.to_string())),
        ("DELETE", ["stats"]) => {
            simulator.reset_counters();
            Ok(Value::Null)
        }
        ("POST", ["tokens", "expire"]) => {
            simulator.expire_tokens();
            Ok(Value::Null)
        }
        _ => refuse(404, format!("there is no {} {}", call.method, call.path)),
    }
}

/// The request's JSON.
///
/// The content type is insisted on because a web page cannot send it to another origin unasked.
fn body<T: DeserializeOwned>(call: &Call) -> Result<T, Refusal> {
    let is_json = call
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"));
    if !is_json {
        return refuse(415, "the content type must be application/json");
    }
    serde_json::from_slice(&call.body).or_else(|error| refuse(400, error.to_string()))
}

/// The named tenant, or the only one.
fn tenant(simulator: &Simulator, id: Option<&str>) -> Result<TenantHandle, Refusal> {
    if let Some(id) = id {
        return simulator
            .tenant(id)
            .map_or_else(|| refuse(404, format!("there is no tenant {id}")), Ok);
    }
    let tenants = simulator.shared.tenants.read();
    match (tenants.len(), tenants.keys().next()) {
        (1, Some(id)) => tenant(simulator, Some(&id.clone())),
        _ => refuse(400, "say which tenant is meant"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
    tenant: Option<String>,
    path: PathBuf,
}

fn load(simulator: &Simulator, wanted: Load) -> Result<Value, Refusal> {
    let report = tenant(simulator, wanted.tenant.as_deref())?
        .load(&wanted.path)
        .or_else(|error| refuse(400, error.to_string()))?;
    Ok(json!({
        "loaded": report.loaded,
        "duplicates": report.duplicates,
        "ignoredFiles": report.ignored_files,
        "notes": report.notes,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generate {
    tenant: Option<String>,
    users: usize,
    groups: usize,
    #[serde(default)]
    seed: u64,
}

fn generate(simulator: &Simulator, wanted: Generate) -> Result<Value, Refusal> {
    let made = tenant(simulator, wanted.tenant.as_deref())?.populate(&Population {
        users: wanted.users,
        groups: wanted.groups,
        seed: wanted.seed,
    });
    Ok(json!({
        "users": made.users,
        "groups": made.groups,
        "applications": made.applications,
        "servicePrincipals": made.service_principals,
        "conditionalAccessPolicies": made.policies,
        "namedLocations": made.locations,
        "breakGlass": made.break_glass,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutate {
    tenant: Option<String>,
    #[serde(default)]
    seed: u64,
    changes: usize,
    #[serde(default)]
    reach: Reach,
}

fn set_delta(simulator: &Simulator, wanted: settings::Delta) -> Result<Value, Refusal> {
    if let Some(how) = wanted.expire {
        let tenant = tenant(simulator, wanted.tenant.as_deref())?;
        simulator.expire_delta_tokens(tenant.id(), how);
    }
    if let Some(traps) = wanted.traps {
        simulator.set_delta_traps(traps);
    }
    Ok(json!({ "traps": simulator.shared.traps.read().clone() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Advance {
    advance_seconds: f64,
}

fn advance(simulator: &Simulator, wanted: &Advance) -> Result<Value, Refusal> {
    if !simulator.clock().is_manual() {
        return refuse(409, "this simulator's clock moves by itself");
    }
    let by = Duration::try_from_secs_f64(wanted.advance_seconds)
        .or_else(|error| refuse(400, format!("advanceSeconds: {error}")))?;
    simulator.clock().advance(by);
    Ok(json!({ "now": simulator.clock().now_precise() }))
}

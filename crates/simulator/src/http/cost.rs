//! What a request costs: resource units, and the limits it falls under.

use crate::catalog::Kind;
use crate::http::Call;
use crate::http::reads::resolve;
use crate::state::State;
use crate::throttle::Lane;

fn names(call: &Call) -> Vec<String> {
    call.segments
        .iter()
        .map(|segment| segment.to_lowercase())
        .collect()
}

/// Whether the request changes the directory (or tries to).
pub(crate) fn is_write(call: &Call) -> bool {
    let look_up = call.segments.last().is_some_and(|last| {
        matches!(
            last.to_lowercase().as_str(),
            "getbyids" | "getmembergroups" | "getmemberobjects" | "$batch"
        )
    });
    !call.is_get() && !look_up
}

/// Whether a write goes to an application that takes personal accounts.
pub(crate) fn is_personal(state: &State, call: &Call) -> bool {
    if !call
        .segments
        .first()
        .is_some_and(|first| first.eq_ignore_ascii_case("applications"))
    {
        return false;
    }
    let personal = |audience: &str| {
        matches!(
            audience,
            "AzureADandPersonalMicrosoftAccount" | "PersonalMicrosoftAccount"
        )
    };
    let Some(key) = call.segments.get(1) else {
        return call
            .object()
            .ok()
            .and_then(|body| body.get("signInAudience")?.as_str().map(personal))
            .unwrap_or(false);
    };
    resolve(state, Kind::Application, key)
        .ok()
        .and_then(|id| state.object(Kind::Application, id)?.text("signInAudience"))
        .is_some_and(|audience| personal(&audience))
}

/// Which service's limits apply.
pub(crate) fn lane(call: &Call) -> Lane {
    let names = names(call);
    match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["identity", "conditionalaccess", ..] => Lane::ConditionalAccess,
        ["auditlogs", ..] => Lane::Reports,
        ["$batch"] => Lane::Unlimited,
        _ => Lane::Identity,
    }
}

/// Resource units of a request, with the documented modifiers.
pub(crate) fn units(call: &Call) -> u32 {
    let names = names(call);
    let has = |option: &str| call.query.contains(option);
    let base: i32 = match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["directoryobjects", "getbyids"] => return if has("select=") { 2 } else { 5 },
        _ if !call.is_get() => return 1,
        ["users" | "applications"]
        | ["oauth2permissiongrants", ..]
        | [
            "serviceprincipals",
            _,
            "approleassignments" | "approleassignedto",
        ]
        | [
            "users",
            _,
            "memberof" | "transitivememberof" | "approleassignments",
        ] => 2,
        ["groups", _, "members", ..] | ["subscribedskus", ..] => 3,
        ["groups", _, "transitivemembers", ..] => 5,
        _ => 1,
    };
    let mut units = base;
    if has("select=") {
        units -= 1;
    }
    if has("expand=") {
        units += 1;
    }
    // Most queries name no page size, and parsing them costs more than looking.
    let small = has("top=")
        && url::form_urlencoded::parse(call.query.as_bytes())
            .find(|(name, _)| name.trim_start_matches('$') == "top")
            .and_then(|(_, value)| value.parse::<u32>().ok())
            .is_some_and(|top| top < 20);
    if small {
        units -= 1;
    }
    u32::try_from(units.max(1)).unwrap_or(1)
}

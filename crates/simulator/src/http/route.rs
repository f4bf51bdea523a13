//! The one table from path and method to handler.

use std::sync::Arc;

use crate::catalog::Kind;
use crate::clock::Clock;
use crate::http::reply::{GraphError, Reply};
use crate::http::{Call, batch, bin, delta, reads, relations, singletons};
use crate::simulator::Shared;
use crate::tenant::{Actor, Tenant};
use crate::write::{self, Writer};

/// Answers one request of an authenticated app.
pub(crate) fn answer(
    shared: &Arc<Shared>,
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
) -> Result<Reply, GraphError> {
    match call.segments.as_slice() {
        [only] if only.eq_ignore_ascii_case("$batch") => batch::answer(shared, tenant, actor, call),
        _ => single(tenant, actor, call, &shared.clock),
    }
}

/// Answers one request that is no batch.
pub(crate) fn single(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    clock: &Clock,
) -> Result<Reply, GraphError> {
    let lower: Vec<String> = call
        .segments
        .iter()
        .map(|segment| segment.to_lowercase())
        .collect();
    let path: Vec<&str> = lower.iter().map(String::as_str).collect();
    let raw: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let writer = Writer {
        tenant,
        actor,
        call,
        clock,
    };
    match path[..] {
        ["users", ..] => directory(
            tenant,
            actor,
            call,
            &writer,
            Kind::User,
            &path[1..],
            &raw[1..],
        ),
        ["groups", ..] => directory(
            tenant,
            actor,
            call,
            &writer,
            Kind::Group,
            &path[1..],
            &raw[1..],
        ),
        ["applications", ..] => directory(
            tenant,
            actor,
            call,
            &writer,
            Kind::Application,
            &path[1..],
            &raw[1..],
        ),
        ["serviceprincipals", ..] => directory(
            tenant,
            actor,
            call,
            &writer,
            Kind::ServicePrincipal,
            &path[1..],
            &raw[1..],
        ),
        ["directory", "administrativeunits", ..] => directory(
            tenant,
            actor,
            call,
            &writer,
            Kind::AdministrativeUnit,
            &path[2..],
            &raw[2..],
        ),
        [
            "identity",
            "conditionalaccess",
            "authenticationcontextclassreferences",
            ..,
        ] => write::contexts::answer(&writer, &raw[3..]),
        [
            "identity",
            "conditionalaccess",
            "authenticationstrength",
            "policies",
            ..,
        ] => write::strengths::answer(&writer, &raw[4..]),
        ["policies", "authenticationstrengthpolicies", ..] => {
            write::strengths::answer(&writer, &raw[2..])
        }
        ["policies", "authenticationmethodspolicy", ..] => {
            write::tenant_policies::methods(&writer, &raw[2..])
        }
        ["policies", "authorizationpolicy"] => write::tenant_policies::authorization(&writer),
        ["organization", ..] => write::tenant_policies::organization(&writer, &raw[1..]),
        [
            "rolemanagement",
            "directory",
            "resourcenamespaces",
            "microsoft.directory",
            "resourceactions",
            ..,
        ] => write::actions::answer(&writer, &raw[5..]),
        ["rolemanagement", "directory", "roleassignments", ..] => {
            write::roles::answer(&writer, &raw[3..])
        }
        ["identity", "conditionalaccess", "policies", ..] => {
            conditional(tenant, actor, call, &writer, Kind::Policy, &raw[3..])
        }
        ["identity", "conditionalaccess", "namedlocations", ..] => {
            conditional(tenant, actor, call, &writer, Kind::Location, &raw[3..])
        }
        [
            "identity",
            "conditionalaccess",
            "deleteditems",
            "policies",
            ..,
        ] => bin::conditional(tenant, actor, call, &writer, Kind::Policy, &raw[4..]),
        [
            "identity",
            "conditionalaccess",
            "deleteditems",
            "namedlocations",
            ..,
        ] => bin::conditional(tenant, actor, call, &writer, Kind::Location, &raw[4..]),
        ["directory", "deleteditems", ..] => {
            bin::directory(tenant, actor, call, &writer, &raw[2..])
        }
        ["directoryobjects", "getbyids"] if call.method == "POST" => {
            reads::get_by_ids(tenant, actor, call)
        }
        ["directoryobjects", _] if call.is_get() => {
            reads::directory_object(tenant, actor, call, raw[1])
        }
        ["directoryobjects", _] if call.method == "DELETE" => {
            write::lifecycle::delete_any(&writer, raw[1])
        }
        ["oauth2permissiongrants"] if call.is_get() => {
            reads::list(tenant, actor, call, Kind::Grant)
        }
        ["oauth2permissiongrants", "delta"] if call.is_get() => {
            delta::answer(tenant, actor, call, Kind::Grant, clock)
        }
        ["oauth2permissiongrants", _] if call.is_get() => {
            reads::single(tenant, actor, call, Kind::Grant, raw[1])
        }
        ["oauth2permissiongrants", ..] => write::grants::delegated(&writer, &raw[1..]),
        ["me", ..] => Err(GraphError::bad(
            "BadRequest",
            "/me request is only valid with delegated authentication flow.",
        )),
        _ if call.is_get() => singletons::answer(tenant, actor, call, &path, &raw),
        _ => Err(GraphError::no_segment(
            raw.first().copied().unwrap_or_default(),
        )),
    }
}

/// `/users`, `/groups`, `/applications`, `/servicePrincipals` and what lies below them.
fn directory(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    writer: &Writer<'_>,
    kind: Kind,
    path: &[&str],
    raw: &[&str],
) -> Result<Reply, GraphError> {
    match (call.method.as_str(), path) {
        ("GET", []) => reads::list(tenant, actor, call, kind),
        ("GET", ["$count"]) => reads::count(tenant, actor, call, kind),
        ("GET", ["delta"]) => delta::answer(tenant, actor, call, kind, writer.clock),
        ("POST", []) => write::lifecycle::create(writer, kind),
        ("GET", [_]) => reads::single(tenant, actor, call, kind, raw[0]),
        ("PATCH", [_]) => write::lifecycle::update(writer, kind, raw[0]),
        ("DELETE", [_]) => write::lifecycle::delete(writer, kind, raw[0]),
        (_, [_, "approleassignments" | "approleassignedto", ..]) => {
            write::grants::assignments(writer, kind, raw)
        }
        (_, [_, "federatedidentitycredentials", ..]) if kind == Kind::Application => {
            write::federated::answer(writer, raw)
        }
        ("GET", [_, "oauth2permissiongrants"]) => write::grants::delegated_of(writer, kind, raw[0]),
        (_, [_, "addpassword" | "removepassword" | "addkey" | "removekey"]) => {
            write::credentials::answer(writer, kind, raw[0], path[1])
        }
        ("POST", [_, "assignlicense"]) => write::credentials::assign_license(writer, kind, raw[0]),
        ("POST", [_, "getmembergroups" | "getmemberobjects"]) => {
            relations::member_groups(tenant, actor, call, kind, raw[0])
        }
        (_, []) => Err(GraphError::method_not_allowed()),
        ("GET", [_, ..]) => relations::read(tenant, actor, call, kind, raw),
        (_, [_, ..]) => write::relations::answer(writer, kind, raw),
    }
}

fn conditional(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    writer: &Writer<'_>,
    kind: Kind,
    raw: &[&str],
) -> Result<Reply, GraphError> {
    match (call.method.as_str(), raw) {
        ("GET", []) => reads::list(tenant, actor, call, kind),
        ("GET", ["$count"]) => reads::count(tenant, actor, call, kind),
        ("POST", []) => write::lifecycle::create(writer, kind),
        ("GET", [id]) => reads::single(tenant, actor, call, kind, id),
        ("PATCH", [id]) => write::lifecycle::update(writer, kind, id),
        ("DELETE", [id]) => write::lifecycle::delete(writer, kind, id),
        ("GET" | "POST" | "PATCH" | "DELETE", [_, segment, ..]) => {
            Err(GraphError::no_segment(segment))
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

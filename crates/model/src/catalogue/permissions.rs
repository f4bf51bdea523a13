//! The application permissions that the two applications of a tenant need.
//!
//! They follow from the table; what is not about a type stands here, with the
//! request that needs it. Nothing is asked of Graph.

use super::TYPES;

/// What a plan needs to find out which objects exist that Conditional Access
/// policies name: `POST /directoryObjects/getByIds`, `GET /directoryRoleTemplates`.
pub const LOOKUPS: [&str; 2] = ["Directory.Read.All", "RoleManagement.Read.Directory"];

/// What the reader may be given so that reports say who changed what: `GET
/// /auditLogs/directoryAudits`. Microsoft's page names both for applications; the
/// second is among what is needed anyway.
pub static AUDIT_LOG: [&str; 2] = ["AuditLog.Read.All", "Directory.Read.All"];

/// What the application that takes snapshots needs, each permission once. The
/// licence is read with `Organization.Read.All` too.
#[must_use]
pub fn reader() -> Vec<&'static str> {
    once(TYPES.into_iter().flat_map(|spec| spec.read_permissions))
}

/// What the application that restores needs, each permission once: reading and
/// writing the types that every tenant is backed up for.
#[must_use]
pub fn writer() -> Vec<&'static str> {
    let types = || {
        TYPES
            .into_iter()
            .filter(|spec| spec.object_type.is_essential())
    };
    let read = types().flat_map(|spec| spec.read_permissions);
    let written = types().flat_map(|spec| spec.write_permissions);
    once(read.chain(written).chain(&LOOKUPS))
}

/// What it may be given besides, each permission once: plans leave out the types
/// for which it lacks one. Two of them open the whole tenant to who holds them:
/// `AppRoleAssignment.ReadWrite.All` and `RoleManagement.ReadWrite.Directory`.
#[must_use]
pub fn writer_optional() -> Vec<&'static str> {
    let needed = writer();
    let types = TYPES.into_iter();
    let wanted = types.flat_map(|spec| spec.read_permissions.iter().chain(spec.write_permissions));
    let mut optional = once(wanted);
    optional.retain(|name| !needed.contains(name));
    optional
}

fn once(permissions: impl Iterator<Item = &'static &'static str>) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for name in permissions {
        if !names.contains(name) {
            names.push(name);
        }
    }
    names
}

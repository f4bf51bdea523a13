//! Which application permission each operation needs: the least one, or one that implies it.

use crate::catalog::Kind;
use crate::http::reply::GraphError;
use crate::tenant::Actor;

const ALL_READ: &[&str] = &["Directory.Read.All", "Directory.ReadWrite.All"];

/// Whether the actor may read objects of `kind`.
pub(crate) fn may_read(actor: &Actor, kind: Kind) -> bool {
    let own: &[&str] = match kind {
        Kind::User => &["User.Read.All", "User.ReadWrite.All", "User.ReadUpdate.All"],
        Kind::Group => &[
            "Group.Read.All",
            "Group.ReadWrite.All",
            "GroupMember.Read.All",
        ],
        Kind::Application | Kind::ServicePrincipal => {
            &["Application.Read.All", "Application.ReadWrite.All"]
        }
        Kind::Policy | Kind::Location => return actor.may(&["Policy.Read.All"]),
        Kind::AdministrativeUnit => &[
            "AdministrativeUnit.Read.All",
            "AdministrativeUnit.ReadWrite.All",
        ],
        Kind::Grant => &["DelegatedPermissionGrant.ReadWrite.All"],
    };
    actor.may(own) || actor.may(ALL_READ)
}

/// Whether the actor may create and change objects of `kind`.
fn may_write(actor: &Actor, kind: Kind) -> bool {
    match kind {
        Kind::User => actor.may(&[
            "User.ReadWrite.All",
            "User.ReadUpdate.All",
            "Directory.ReadWrite.All",
        ]),
        Kind::Group => actor.may(&["Group.ReadWrite.All", "Directory.ReadWrite.All"]),
        Kind::Application | Kind::ServicePrincipal => {
            actor.may(&["Application.ReadWrite.All", "Directory.ReadWrite.All"])
        }
        Kind::AdministrativeUnit => actor.may(&["AdministrativeUnit.ReadWrite.All"]),
        Kind::Grant => actor.may(&[
            "DelegatedPermissionGrant.ReadWrite.All",
            "Directory.ReadWrite.All",
        ]),
        Kind::Policy | Kind::Location => {
            actor.may(&["Policy.ReadWrite.ConditionalAccess"])
                && actor.may(&["Policy.Read.All"])
                && actor.may(&[
                    "Application.Read.All",
                    "Application.ReadWrite.All",
                    "Directory.Read.All",
                ])
        }
    }
}

/// Who may read authentication strengths.
pub(crate) const READ_STRENGTHS: &[&str] = &[
    "Policy.Read.All",
    "Policy.Read.AuthenticationMethod",
    "Policy.ReadWrite.AuthenticationMethod",
    "Policy.ReadWrite.ConditionalAccess",
];
/// Who may write authentication strengths.
pub(crate) const WRITE_STRENGTHS: &[&str] = &[
    "Policy.ReadWrite.AuthenticationMethod",
    "Policy.ReadWrite.ConditionalAccess",
];
/// Who may read the authentication methods policy.
pub(crate) const READ_METHODS: &[&str] = &[
    "Policy.Read.All",
    "Policy.Read.AuthenticationMethod",
    "Policy.ReadWrite.AuthenticationMethod",
];
/// Who may write the authentication methods policy.
pub(crate) const WRITE_METHODS: &[&str] = &["Policy.ReadWrite.AuthenticationMethod"];

/// # Errors
/// 403 when the actor may not read authentication contexts.
pub(crate) fn read_contexts(actor: &Actor) -> Result<(), GraphError> {
    any(
        actor,
        &[
            "Policy.Read.All",
            "Policy.Read.ConditionalAccess",
            "Policy.ReadWrite.ConditionalAccess",
            "AuthenticationContext.Read.All",
            "AuthenticationContext.ReadWrite.All",
        ],
    )
}

/// # Errors
/// 403 when the actor may not write authentication contexts.
pub(crate) fn write_contexts(actor: &Actor) -> Result<(), GraphError> {
    check(actor.may(&["AuthenticationContext.ReadWrite.All"]) || may_write(actor, Kind::Policy))
}

/// # Errors
/// 403 when the actor may not read directory roles and their assignments.
pub(crate) fn roles(actor: &Actor) -> Result<(), GraphError> {
    any(
        actor,
        &[
            "RoleManagement.Read.Directory",
            "RoleManagement.ReadWrite.Directory",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
    )
}

/// Who may read the actions that roles allow. `Directory.Read.All` is not among them.
pub(crate) const READ_ACTIONS: &[&str] = &[
    "RoleManagement.Read.Directory",
    "RoleManagement.Read.All",
    "RoleManagement.ReadWrite.Directory",
];

/// # Errors
/// 403 when the actor may not read the type.
pub(crate) fn read(actor: &Actor, kind: Kind) -> Result<(), GraphError> {
    check(may_read(actor, kind))
}

/// # Errors
/// 403 when the actor may not write the type.
pub(crate) fn write(actor: &Actor, kind: Kind) -> Result<(), GraphError> {
    check(may_write(actor, kind))
}

/// # Errors
/// 403 when the actor may not delete, restore or purge the type.
pub(crate) fn delete(actor: &Actor, kind: Kind) -> Result<(), GraphError> {
    check(match kind {
        Kind::User => actor.may(&[
            "User.DeleteRestore.All",
            "User.ReadWrite.All",
            "Directory.ReadWrite.All",
        ]),
        // Deleting Conditional Access objects needs no application permission.
        Kind::Policy | Kind::Location => {
            actor.may(&["Policy.ReadWrite.ConditionalAccess"]) && actor.may(&["Policy.Read.All"])
        }
        _ => may_write(actor, kind),
    })
}

/// # Errors
/// 403 when the actor holds none of the permissions.
pub(crate) fn any(actor: &Actor, any_of: &[&str]) -> Result<(), GraphError> {
    check(actor.may(any_of))
}

fn check(allowed: bool) -> Result<(), GraphError> {
    if allowed {
        Ok(())
    } else {
        Err(GraphError::denied())
    }
}

//! Tries the writer's credential, its reads, and tells what it may write.
//!
//! Whether something can be written is known from the token alone: nothing is
//! written to find out.

use std::collections::BTreeSet;

use graph::GraphError;
use model::error::reason;
use model::{ObjectId, ObjectType, TenantId, permission};
use proto::v1::CheckItem;
use runtime::status::{Fault, chain};

use crate::{Context, Error};

/// Tries everything that a restore needs and that can be tried without writing.
/// Each finding is an item.
/// Requests go out one after the other, since Conditional Access has one a
/// second.
pub(crate) async fn check(context: &Context, tenant: &TenantId) -> Result<Vec<CheckItem>, Error> {
    let record = context.deps.vault.registered(tenant).await?;
    let directory = match (context.deps.connect)(&record) {
        Ok(directory) => directory,
        Err(error) => return Ok(vec![failed("token", &error)]),
    };
    let granted = match directory.granted().await {
        Ok(granted) => granted,
        Err(error) => return Ok(vec![failed("token", &error.into())]),
    };
    let granted = granted.as_ref();
    let mut items = vec![found("token", "signed in")];
    for object_type in ObjectType::ALL {
        let tried = directory.try_read(object_type).await;
        items.push(writable(object_type, granted, tried));
    }
    let nobody = ObjectId::parse(NOBODY).expect("invariant: a GUID is an id");
    let looked_up = [
        (
            "directoryObjects",
            "Directory.Read.All",
            directory.existing(&[nobody]).await.map(drop),
        ),
        (
            "directoryRoleTemplates",
            "RoleManagement.Read.Directory",
            directory.role_template_ids().await.map(drop),
        ),
    ];
    items.extend(
        looked_up
            .into_iter()
            .map(|(subject, needed, tried)| looked(subject, needed, granted, tried)),
    );
    Ok(items)
}

/// An id that no object has.
const NOBODY: &str = "00000000-dead-4000-8000-000000000000";

/// What a type's permissions and a try to read it say together. Without a
/// permission to read, Graph may answer all the same and leave values out.
fn writable(
    object_type: ObjectType,
    granted: Option<&BTreeSet<String>>,
    tried: Result<(), GraphError>,
) -> CheckItem {
    let (name, spec) = (object_type.name(), object_type.spec());
    let of = |needed| granted.map_or_else(Vec::new, |held| permission::missing(held, needed));
    let (mut missing, to_write) = (of(spec.read_permissions), of(spec.write_permissions));
    match tried {
        Ok(()) if missing.is_empty() => {}
        Ok(()) => return lacking(name, &missing, "graph answers, but may leave values out"),
        Err(error @ GraphError::Denied { .. }) => {
            if granted.is_none() {
                missing = spec.read_permissions.to_vec();
            }
            return lacking(name, &missing, &chain(&Error::from(error)));
        }
        Err(error) => return failed(name, &error.into()),
    }
    match granted {
        None => found(name, "can be read; whether it can be written is not known"),
        Some(_) if to_write.is_empty() => found(name, "can be read and written"),
        Some(_) => lacking(name, &to_write, "it can be read, not written"),
    }
}

fn looked(
    subject: &str,
    needed: &'static str,
    granted: Option<&BTreeSet<String>>,
    tried: Result<(), GraphError>,
) -> CheckItem {
    match tried {
        Ok(()) => found(subject, "can be looked up"),
        Err(error @ GraphError::Denied { .. }) => {
            let needed = [needed];
            let missing = granted.map_or_else(
                || needed.to_vec(),
                |held| permission::missing(held, &needed),
            );
            lacking(subject, &missing, &chain(&Error::from(error)))
        }
        Err(error) => failed(subject, &error.into()),
    }
}

fn found(subject: &str, detail: &str) -> CheckItem {
    CheckItem {
        app: "writer".to_owned(),
        subject: subject.to_owned(),
        ok: true,
        detail: detail.to_owned(),
        ..CheckItem::default()
    }
}

fn failed(subject: &str, error: &Error) -> CheckItem {
    CheckItem {
        ok: false,
        reason: error.reason().to_owned(),
        ..found(subject, &chain(error))
    }
}

fn lacking(subject: &str, missing: &[&str], text: &str) -> CheckItem {
    let detail = if missing.is_empty() {
        text.to_owned()
    } else {
        format!("{} is missing: {text}", missing.join(", "))
    };
    CheckItem {
        ok: false,
        reason: reason::CONSENT_MISSING.to_owned(),
        missing_permissions: missing.iter().map(|&name| name.to_owned()).collect(),
        ..found(subject, &detail)
    }
}

#[cfg(test)]
mod tests;

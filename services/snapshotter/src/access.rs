//! Tries the reader's credential, the licence, and a read of each type, of the audit
//! log and of the protected actions.

use std::collections::BTreeSet;

use graph::{Directory, GraphError};
use model::catalogue::permissions::AUDIT_LOG;
use model::licence::{self, Licence};
use model::{ObjectType, TenantId, permission};
use proto::v1::CheckItem;
use runtime::status::{Fault, chain};

use crate::{Context, Error};

/// With which the licence can be read, among others: Graph's "List subscribedSkus".
const LICENCE: [&str; 1] = ["Organization.Read.All"];

/// Tries everything that a snapshot needs; each finding is an item. Requests go
/// out one after the other, since Conditional Access has one a second.
pub(crate) async fn check(context: &Context, tenant: &TenantId) -> Result<Vec<CheckItem>, Error> {
    let record = context.deps.vault.registered(tenant).await?;
    let directory = match (context.deps.connect)(&record) {
        Ok(directory) => directory,
        Err(error) => return Ok(vec![failed("token", &error)]),
    };
    let granted = match directory.granted().await.map_err(Error::from) {
        Ok(granted) => granted,
        Err(error) => return Ok(vec![failed("token", &error)]),
    };
    if let Ok(vault) = context.deps.vault.tenant(tenant).await {
        graph::give_way(&*directory, vault.restore_runs(context.deps.clock.now())).await;
    }
    let mut items = vec![token(granted.as_ref()), subscribed(&*directory).await];
    for object_type in ObjectType::ALL {
        let tried = directory.try_read(object_type).await;
        items.push(readable(object_type, granted.as_ref(), tried));
    }
    let now = context.deps.clock.now();
    let tried = directory.audits(now, now, None).await;
    items.push(audit_log(granted.as_ref(), tried.map(drop)));
    items.push(protected_actions(
        directory.protected_actions().await.map(drop),
    ));
    Ok(items)
}

/// Whether reports can say who changed what. Snapshots do without.
fn audit_log(granted: Option<&BTreeSet<String>>, tried: Result<(), GraphError>) -> CheckItem {
    const LOST: &str = "reports do not say who changed what";
    let name = "auditLog";
    let missing = granted.map_or_else(Vec::new, |held| permission::missing(held, &AUDIT_LOG));
    match tried {
        // Microsoft's pages differ in what is needed; that it was read counts.
        Ok(()) => found(name, "can be read".to_owned()),
        Err(error @ GraphError::Denied { .. }) => {
            let text = format!("{LOST}: {}", chain(&Error::from(error)));
            let missing = if granted.is_none() {
                &AUDIT_LOG[..1]
            } else {
                &missing
            };
            lacking(name, missing, &text)
        }
        Err(error) => failed(name, &error.into()),
    }
}

/// Whether a posture can tell what is protected. Snapshots do without. The token is no
/// help: which permissions stand in for this one, Graph alone knows.
fn protected_actions(tried: Result<(), GraphError>) -> CheckItem {
    const LOST: &str = "protect status does not know which actions are protected";
    let name = "protectedActions";
    match tried {
        Ok(()) => found(name, "can be read".to_owned()),
        Err(error @ GraphError::Denied { .. }) => {
            let text = format!("{LOST}: {}", chain(&Error::from(error)));
            lacking(name, &["RoleManagement.Read.Directory"], &text)
        }
        Err(error) => failed(name, &error.into()),
    }
}

fn token(granted: Option<&BTreeSet<String>>) -> CheckItem {
    found(
        "token",
        match granted {
            Some(granted) => format!("signed in; the token carries {} permissions", granted.len()),
            None => "signed in; the token does not tell its permissions".to_owned(),
        },
    )
}

async fn subscribed(directory: &dyn Directory) -> CheckItem {
    match directory.subscribed_skus().await {
        Ok(skus) => {
            let told = licence::found(&skus);
            match Licence::from_subscribed_skus(&skus) {
                Licence::None => failed("licence", &Error::Licence { found: told }),
                _ => found("licence", told),
            }
        }
        Err(error @ GraphError::Denied { .. }) => {
            lacking("licence", &LICENCE, &chain(&Error::from(error)))
        }
        Err(error) => failed("licence", &error.into()),
    }
}

/// What a type's permissions and a try to read it say together. Without a
/// permission Graph may answer all the same and leave values out, so that one
/// is missing counts more than that the try went well.
fn readable(
    object_type: ObjectType,
    granted: Option<&BTreeSet<String>>,
    tried: Result<(), GraphError>,
) -> CheckItem {
    let (name, needed) = (object_type.name(), object_type.spec().read_permissions);
    let missing = granted.map_or_else(Vec::new, |held| permission::missing(held, needed));
    match tried {
        Ok(()) if missing.is_empty() => found(name, "can be read".to_owned()),
        Ok(()) => lacking(name, &missing, "graph answers, but may leave values out"),
        Err(error @ GraphError::Denied { .. }) => {
            let text = chain(&Error::from(error));
            // Where the token does not tell, all that is needed may be missing.
            let missing = if granted.is_none() { needed } else { &missing };
            lacking(name, missing, &text)
        }
        Err(error) => failed(name, &error.into()),
    }
}

fn found(subject: &str, detail: String) -> CheckItem {
    CheckItem {
        app: "reader".to_owned(),
        subject: subject.to_owned(),
        ok: true,
        detail,
        ..CheckItem::default()
    }
}

fn failed(subject: &str, error: &Error) -> CheckItem {
    CheckItem {
        app: "reader".to_owned(),
        subject: subject.to_owned(),
        ok: false,
        detail: chain(error),
        reason: error.reason().to_owned(),
        ..CheckItem::default()
    }
}

fn lacking(subject: &str, missing: &[&str], text: &str) -> CheckItem {
    let detail = if missing.is_empty() {
        text.to_owned()
    } else {
        format!("{} is missing: {text}", missing.join(", "))
    };
    CheckItem {
        app: "reader".to_owned(),
        subject: subject.to_owned(),
        ok: false,
        detail,
        reason: model::error::reason::CONSENT_MISSING.to_owned(),
        missing_permissions: missing.iter().map(|&name| name.to_owned()).collect(),
        ..CheckItem::default()
    }
}

#[cfg(test)]
mod tests;

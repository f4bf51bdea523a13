//! Tries the writer's credential and its reads.

use graph::{GraphError, Query};
use model::{ObjectId, ObjectType, TenantId};
use proto::v1::CheckItem;
use runtime::status::{Fault, chain};
use store::StoreError;

use crate::{Context, Error};

/// Tries everything that a restore needs and that can be tried without writing:
/// of types that plans do not write it reads nothing. Each finding is an item.
pub(crate) async fn check(context: &Context, tenant: &TenantId) -> Result<Vec<CheckItem>, Error> {
    let record = context.deps.vault.tenant_record(tenant).await?;
    let record = record
        .ok_or_else(|| StoreError::NotFound {
            what: format!("tenant {tenant}"),
        })?
        .value;
    let directory = match (context.deps.connect)(&record) {
        Ok(directory) => directory,
        Err(error) => return Ok(vec![item("token", Err(&error))]),
    };
    let mut items = Vec::new();
    let restored = |object_type: &ObjectType| object_type.spec().restored;
    for object_type in ObjectType::ALL.into_iter().filter(restored) {
        let answer = directory.page(&Query::Objects(object_type), None).await;
        if items.is_empty() {
            // A denial comes from Graph, so the credential itself was accepted.
            let token = answer
                .as_ref()
                .err()
                .filter(|error| !matches!(error, GraphError::Denied { .. }));
            if let Some(error) = token {
                return Ok(vec![item("token", Err(&Error::Graph(error.clone())))]);
            }
            items.push(item("token", Ok("signed in")));
        }
        match answer {
            Ok(_) => items.push(item(object_type.name(), Ok("can be read"))),
            Err(error) => items.push(item(object_type.name(), Err(&Error::Graph(error)))),
        }
    }
    let nobody = ObjectId::parse(NOBODY).expect("invariant: a GUID is an id");
    let lookup = directory.existing(&[nobody]).await.map(drop);
    items.push(probed("directoryObjects", lookup));
    items.push(probed(
        "directoryRoleTemplates",
        directory.role_template_ids().await.map(drop),
    ));
    Ok(items)
}

/// An id that no object has.
const NOBODY: &str = "00000000-dead-4000-8000-000000000000";

fn probed(subject: &str, answer: Result<(), GraphError>) -> CheckItem {
    match answer {
        Ok(()) => item(subject, Ok("can be looked up")),
        Err(error) => item(subject, Err(&Error::Graph(error))),
    }
}

fn item(subject: &str, finding: Result<&str, &Error>) -> CheckItem {
    CheckItem {
        app: "writer".to_owned(),
        subject: subject.to_owned(),
        ok: finding.is_ok(),
        detail: finding.map_or_else(chain, str::to_owned),
        reason: finding.map_or_else(|error| error.reason().to_owned(), |_| String::new()),
    }
}

//! Tries the reader's credential, the licence, and a read of each type.

use std::sync::Arc;

use graph::{Directory, Query};
use model::licence::Licence;
use model::{ObjectType, TenantId};
use proto::v1::CheckItem;
use runtime::status::{Fault, chain};
use store::StoreError;

use crate::{Context, Error};

/// Tries everything that a snapshot needs; each finding is an item.
pub(crate) async fn check(context: &Context, tenant: &TenantId) -> Result<Vec<CheckItem>, Error> {
    let record = context
        .deps
        .vault
        .tenant_record(tenant)
        .await?
        .ok_or_else(|| StoreError::NotFound {
            what: format!("tenant {tenant}"),
        })?
        .value;
    let directory: Arc<dyn Directory> = match (context.deps.connect)(&record) {
        Ok(directory) => directory,
        Err(error) => return Ok(vec![failed("token", &error)]),
    };
    let mut items = Vec::new();
    match directory.subscribed_skus().await.map_err(Error::from) {
        Ok(skus) => {
            items.push(found(
                "token",
                format!("signed in as application {}", record.reader.client_id),
            ));
            items.push(match Licence::from_subscribed_skus(&skus) {
                Licence::None => failed("licence", &Error::Licence),
                licence => found("licence", format!("Entra ID {}", licence.name())),
            });
        }
        Err(error) => {
            items.push(failed("token", &error));
            return Ok(items);
        }
    }
    for object_type in ObjectType::ALL {
        items.push(
            match directory
                .page(&Query::Objects(object_type), None)
                .await
                .map_err(Error::from)
            {
                Ok(_) => found(object_type.name(), "can be read".to_owned()),
                Err(error) => failed(object_type.name(), &error),
            },
        );
    }
    Ok(items)
}

fn found(subject: &str, detail: String) -> CheckItem {
    CheckItem {
        app: "reader".to_owned(),
        subject: subject.to_owned(),
        ok: true,
        detail,
        reason: String::new(),
    }
}

fn failed(subject: &str, error: &Error) -> CheckItem {
    CheckItem {
        app: "reader".to_owned(),
        subject: subject.to_owned(),
        ok: false,
        detail: chain(error),
        reason: error.reason().to_owned(),
    }
}

//! Which restore has a tenant: one at a time, from before its first step to its end.
//!
//! Owns the tenant's numbered turns. A turn names its restore and is created once; the
//! next may be created only where the restore of the last one has ended. So no lock and
//! no clock decides, and one that was interrupted keeps its turn until somebody resumes
//! or cancels it.

use model::{ErrorKind, PlanId};
use runtime::status::{Fault, chain};
use store::{Area, StoreError, TenantVault};

use crate::Error;
use crate::documents::Documents;

/// The folder of the turns.
const TURNS: &str = "restores";

/// Gives a restore the tenant, where it does not have it already.
///
/// # Errors
/// `InProgress` where another has begun and not ended; those of the store.
pub(crate) async fn take(vault: &TenantVault, id: &PlanId) -> Result<(), Error> {
    loop {
        let names = vault.list_names(Area::Cursors, TURNS).await?;
        let last = names
            .iter()
            .filter_map(|name| name.parse::<u32>().ok())
            .max();
        if let Some(last) = last {
            match standing(vault, last).await {
                Ok(Some(holder)) if holder == *id => return Ok(()),
                Ok(Some(holder)) => {
                    return Err(Error::InProgress {
                        other: holder.to_string(),
                    });
                }
                Ok(None) => {}
                // No tenant may stay without restores for a file that nobody can read.
                Err(error) if error.kind() == ErrorKind::Corrupt => tracing::warn!(
                    tenant = %vault.id(),
                    turn = last,
                    error = chain(&error),
                    "a turn that cannot be read is passed over"
                ),
                Err(error) => return Err(error),
            }
        }
        let turn = name(last.unwrap_or_default() + 1);
        let content = id.to_string().into_bytes().into();
        match vault.put(Area::Cursors, TURNS, &turn, content).await {
            // Somebody else came first: what they hold decides.
            Err(StoreError::Exists { .. }) => {}
            other => return Ok(other?),
        }
    }
}

/// The restore that has a turn; `None` where that has ended.
async fn standing(vault: &TenantVault, turn: u32) -> Result<Option<PlanId>, Error> {
    let documents = Documents::new(vault.clone(), holder(vault, turn).await?);
    Ok(match documents.result().await? {
        Some(_) => None,
        None => Some(documents.id().clone()),
    })
}

async fn holder(vault: &TenantVault, turn: u32) -> Result<PlanId, Error> {
    let content = vault.get(Area::Cursors, TURNS, &name(turn)).await?;
    let parsed = std::str::from_utf8(&content).ok().map(PlanId::parse);
    parsed.and_then(Result::ok).ok_or_else(|| Error::Damaged {
        id: format!("{TURNS}/{}", name(turn)),
        detail: "it names no restore".to_owned(),
    })
}

fn name(turn: u32) -> String {
    format!("{turn:06}")
}

//! Tries whether the stores keep what the vault rests on.

use proto::v1::{CheckStoreResponse, StoreFinding, StoreOutcome};
use store::Finding;
use store::check::Outcome;

use crate::{Context, Error};

/// Tries everything.
///
/// # Errors
/// `STORE_UNAVAILABLE` where a store is out of reach.
pub(crate) async fn check(context: &Context) -> Result<CheckStoreResponse, Error> {
    let findings = context.deps.vault.check().await?;
    let mut findings: Vec<StoreFinding> = findings.into_iter().map(message).collect();
    if let Some(copies) = &context.deps.copies {
        let of_copies = copies.vault().check().await?.into_iter().map(message);
        findings.extend(of_copies.map(|finding| StoreFinding {
            store: format!("copy-{}", finding.store),
            ..finding
        }));
    }
    Ok(CheckStoreResponse { findings })
}

/// A finding as the contract says it.
pub(crate) fn message(finding: Finding) -> StoreFinding {
    let outcome = match finding.outcome {
        Outcome::Ok => StoreOutcome::Ok,
        Outcome::Failed => StoreOutcome::Failed,
        Outcome::Unknown => StoreOutcome::Unknown,
    };
    StoreFinding {
        store: finding.place.name().to_owned(),
        check: finding.property.name().to_owned(),
        outcome: outcome.into(),
        detail: finding.detail,
        needed: finding.property.is_needed(),
    }
}

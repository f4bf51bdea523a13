//! Which snapshot the next one goes on from, and how much is read for it.
//!
//! A snapshot that is damaged must never keep the next one from being taken: an
//! older one serves as well, and without any the tenant is read as if for the
//! first time.

use graph::Mode;
use store::{Manifest, StoreError, TenantVault};

/// The snapshot to go on from, with how much is read on top of it: what changed,
/// and every so often everything, should something have changed without being
/// announced. The commit must go on from the same one.
///
/// # Errors
/// `Unavailable`; a damaged snapshot is passed over, which is logged.
pub(crate) async fn choose(
    vault: &TenantVault,
    reconcile_every: u32,
) -> Result<(Option<Manifest>, Mode), StoreError> {
    let (manifests, _) = vault.manifests().await?;
    // Without tokens there are no changes to follow, and what retention lets go is
    // nothing to build on.
    let with_tokens = manifests
        .into_iter()
        .filter(|it| !it.tokens.is_empty() && !it.is_expiring());
    for manifest in with_tokens {
        match vault.past(&manifest).await {
            Ok(past) if manifest.lineage.incremental + 1 >= reconcile_every => {
                return Ok((Some(manifest), Mode::Reconcile(past)));
            }
            Ok(past) => return Ok((Some(manifest), Mode::Since(past))),
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::warn!(
                    base = %manifest.id(),
                    error = runtime::status::chain(&error),
                    "a snapshot is damaged, so the next one goes on from an older one"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok((None, Mode::Whole))
}

#[cfg(test)]
mod tests;

//! Which snapshot the next one goes on from, and how much is read for it.

use graph::{Mode, Past};
use store::{Manifest, StoreError, TenantVault};

/// The newest snapshot whose changes can be followed; `None` where there is none,
/// and the tenant is read as if for the first time.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn choose(vault: &TenantVault) -> Result<Option<Manifest>, StoreError> {
    let (manifests, _) = vault.manifests().await?;
    Ok(manifests
        .into_iter()
        .find(|manifest| !manifest.tokens.is_empty()))
}

/// How much is read on top of a snapshot: what changed, and every so often
/// everything, should something have changed without being announced.
///
/// # Errors
/// `Unavailable`; damage to the snapshot is none, since everything is then read
/// as if for the first time.
pub(crate) async fn mode(
    vault: &TenantVault,
    base: Option<&Manifest>,
    reconcile_every: u32,
) -> Result<Mode, StoreError> {
    let Some(base) = base else {
        return Ok(Mode::Whole);
    };
    let foothold = vault.foothold(base).await?;
    let past = Past {
        tokens: base.tokens.clone(),
        bin: foothold.bin,
        sources: foothold.sources,
        unsettled: base.unsettled.clone(),
        completeness: base.completeness.clone(),
    };
    Ok(if base.lineage.incremental + 1 >= reconcile_every {
        Mode::Reconcile(past)
    } else {
        Mode::Since(past)
    })
}

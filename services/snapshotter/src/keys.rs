//! The tenants' data keys: recovery bundles, re-wrapping, rotation, erasure.
//!
//! Owns the turning of requests about keys into calls of the vault. It never
//! sees a key that is not encrypted.

use model::TenantId;
use proto::name;
use proto::v1::{
    EraseKeysRequest, EraseKeysResponse, ExportKeysRequest, ExportKeysResponse, GuardedChangeKind,
    Rewrapping, RotateKeyRequest, RotateKeyResponse,
};

use crate::guarded::propose::{self, Asked};
use crate::{Context, Error, check_store, guarded};

/// Makes a recovery bundle of one tenant.
pub(crate) async fn export(
    context: &Context,
    request: ExportKeysRequest,
) -> Result<ExportKeysResponse, Error> {
    let tenant = name::parse_tenant("name", &request.name)?;
    let bundle = context
        .deps
        .vault
        .export_keys(&tenant, &request.recipients)
        .await?;
    // Public keys are no secrets, and who can open a tenant's data must be known.
    tracing::info!(%tenant, recipients = request.recipients.join(" "), "keys were exported");
    Ok(ExportKeysResponse { bundle })
}

/// Wraps the keys of one tenant with the present key-encryption key.
pub(crate) async fn rewrap(context: &Context, request: &str) -> Result<Rewrapping, Error> {
    let tenant = name::parse_tenant("name", request)?;
    let done = context.deps.vault.rewrap_keys(&tenant).await?;
    tracing::info!(%tenant, written = done.written, deleted = done.deleted, "keys were re-wrapped");
    Ok(Rewrapping {
        name: name::tenant(&tenant),
        written_count: number(done.written),
        deleted_count: number(done.deleted),
    })
}

/// Gives one tenant a new key.
pub(crate) async fn rotate(
    context: &Context,
    request: RotateKeyRequest,
) -> Result<RotateKeyResponse, Error> {
    let tenant = name::parse_tenant("name", &request.name)?;
    let deps = &context.deps;
    let request_id = Some(request.request_id)
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| deps.ids.uuid().to_string());
    let newest = deps.vault.rotate_key(&tenant, &request_id).await?;
    tracing::info!(%tenant, number = newest, "a key was rotated");
    Ok(RotateKeyResponse {
        name: name::tenant(&tenant),
        number: number(newest),
    })
}

/// Sees to it that a tenant's id or name was typed once more.
///
/// # Errors
/// Where it was not; `NOT_FOUND`.
pub(crate) async fn confirmed(
    context: &Context,
    tenant: &TenantId,
    confirm: &str,
) -> Result<(), Error> {
    let record = context.deps.vault.registered(tenant).await?;
    let confirm = confirm.trim();
    let is_id = tenant.as_str().eq_ignore_ascii_case(confirm);
    (is_id || record.name == confirm)
        .then_some(())
        .ok_or(Error::NotConfirmed)
}

/// Asks that one tenant be erased, whose id or name was typed once more. Whose keys are
/// gone already is erased once more, which finds what came since.
pub(crate) async fn erase(
    context: &Context,
    request: EraseKeysRequest,
    asked: Asked,
) -> Result<EraseKeysResponse, Error> {
    let tenant = name::parse_tenant("name", &request.name)?;
    confirmed(context, &tenant, &request.confirm).await?;
    let deps = &context.deps;
    if !guarded::erase::is_erased(context, &tenant).await? {
        let vault = deps.vault.tenant(&tenant).await?;
        let kind = GuardedChangeKind::EraseKeys;
        let change = propose::erase(context, &vault, asked, kind, String::new()).await?;
        return Ok(EraseKeysResponse {
            name: name::tenant(&tenant),
            deleted_count: 0,
            proof: None,
            pending_change: Some(change),
        });
    }
    let done = deps.vault.erase_keys(&tenant, deps.clock.now()).await?;
    tracing::warn!(%tenant, deleted = done.deleted, outcome = ?done.proof.outcome, "the tenant was erased");
    Ok(EraseKeysResponse {
        name: name::tenant(&tenant),
        deleted_count: number(done.deleted),
        proof: Some(check_store::message(done.proof)),
        pending_change: None,
    })
}

fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

//! The tenants' data keys: recovery bundles, re-wrapping, rotation, erasure.
//!
//! Owns the turning of requests about keys into calls of the vault. It never
//! sees a key that is not encrypted.

use proto::name;
use proto::v1::{
    EraseKeysRequest, EraseKeysResponse, ExportKeysRequest, ExportKeysResponse, Rewrapping,
    RotateKeyRequest, RotateKeyResponse,
};

use crate::{Context, Error, check_store};

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

/// Erases one tenant, whose id or name was typed once more.
pub(crate) async fn erase(
    context: &Context,
    request: EraseKeysRequest,
) -> Result<EraseKeysResponse, Error> {
    let tenant = name::parse_tenant("name", &request.name)?;
    let deps = &context.deps;
    let record = deps.vault.registered(&tenant).await?;
    let confirmed = request.confirm.trim();
    if !tenant.as_str().eq_ignore_ascii_case(confirmed) && record.name != confirmed {
        return Err(Error::NotConfirmed);
    }
    let done = deps.vault.erase_keys(&tenant, deps.clock.now()).await?;
    tracing::warn!(%tenant, deleted = done.deleted, outcome = ?done.proof.outcome, "the tenant was erased");
    Ok(EraseKeysResponse {
        name: name::tenant(&tenant),
        deleted_count: number(done.deleted),
        proof: Some(check_store::message(done.proof)),
    })
}

fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

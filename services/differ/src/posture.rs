//! How well a tenant is guarded against hard deletion: as it is right now, or as it was
//! kept after a snapshot.
//!
//! Owns which of the two is asked for. What is read for it, [`graph::posture`] says, and
//! what it means, the model. It keeps nothing.

use graph::{giving_way, posture as reading};
use model::{Application, TenantId, posture};
use prost::Message;
use proto::convert;
use proto::name;
use proto::v1::{self, GetPostureRequest, ListPosturesRequest, ListPosturesResponse};
use runtime::page::After;
use store::{Area, TenantVault};

use crate::{Context, Error};

/// The document that is a posture.
const POSTURE: &str = "posture";
/// The word for the newest posture that was kept.
const LATEST: &str = "latest";

/// The posture that a request asks for.
///
/// # Errors
/// `INVALID_ARGUMENT`; as [`read`] and [`kept`].
pub(crate) async fn get(
    context: &Context,
    request: &GetPostureRequest,
) -> Result<v1::Posture, Error> {
    let tenant = name::parse_tenant("parent", &request.parent)?;
    if request.snapshot.is_empty() {
        return read(context, &tenant).await;
    }
    let vault = context.deps.vault.tenant(&tenant).await?;
    let snapshot = name::parse_snapshot_in("snapshot", &tenant, &request.snapshot)?;
    if snapshot.as_str() != LATEST {
        return kept(&vault, snapshot.as_str()).await;
    }
    let newest = vault.list_ids(Area::Posture).await?.pop();
    // Nobody has a snapshot of that name, so the error names what is missing.
    kept(&vault, newest.as_deref().unwrap_or(LATEST)).await
}

/// The postures that were kept, newest first.
///
/// # Errors
/// `INVALID_ARGUMENT`; `NOT_FOUND`; `STORE_CORRUPT`; `STORE_UNAVAILABLE`.
pub(crate) async fn list(
    context: &Context,
    request: &ListPosturesRequest,
) -> Result<ListPosturesResponse, Error> {
    let tenant = name::parse_tenant("parent", &request.parent)?;
    let after = After::read(request.page_size, &request.page_token)?;
    let vault = context.deps.vault.tenant(&tenant).await?;
    let mut ids = vault.list_ids(Area::Posture).await?;
    ids.retain(|id| after.key.as_ref().is_none_or(|key| id < key));
    ids.reverse();
    let more = ids.len() > after.limit;
    ids.truncate(after.limit);
    let mut postures = Vec::with_capacity(ids.len());
    for id in &ids {
        postures.push(kept(&vault, id).await?);
    }
    let last = ids.last().filter(|_| more);
    Ok(ListPosturesResponse {
        postures,
        next_page_token: last.map(|id| After::token(id)).unwrap_or_default(),
    })
}

/// The posture that was kept after a snapshot.
async fn kept(vault: &TenantVault, snapshot: &str) -> Result<v1::Posture, Error> {
    let bytes = vault.get(Area::Posture, snapshot, POSTURE).await?;
    v1::Posture::decode(bytes).map_err(|error| Error::DamagedPosture {
        snapshot: snapshot.to_owned(),
        detail: error.to_string(),
    })
}

/// Reads a tenant and judges it.
///
/// # Errors
/// `NOT_FOUND`; the errors of signing in; `GRAPH_UNAVAILABLE`, `GRAPH_THROTTLED`.
async fn read(context: &Context, tenant: &TenantId) -> Result<v1::Posture, Error> {
    let deps = &context.deps;
    let record = deps.vault.registered(tenant).await?;
    let vault = deps.vault.tenant(tenant).await?;
    let directory = (deps.connect)(&record)?;
    let read_at = deps.clock.now();
    let writer = match record.writer {
        Some(Application::Own { client_id, .. }) => Some(client_id),
        Some(Application::Installation) => context.writer_client_id.clone(),
        None => None,
    };
    let restore_runs = || vault.restore_runs(deps.clock.now());
    let look = reading::look(&*directory, record.break_glass, writer);
    let seen = giving_way(&*directory, restore_runs, look).await?;
    let posture = posture::judge(&seen);
    tracing::info!(
        %tenant,
        score = posture.score(),
        not_known = posture.unknown_points(),
        "posture read"
    );
    Ok(convert::posture(tenant, &posture, read_at))
}

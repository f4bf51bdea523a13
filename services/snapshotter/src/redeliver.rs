//! Sends a signal to the tenant's webhook once more: begins a delivery of its own,
//! which then goes the way of all deliveries.

use model::slot;
use proto::name;
use proto::v1::{RedeliverSignalRequest, Signal};
use store::{Area, TenantState};

use crate::deliver::ledger::Delivery;
use crate::{Context, Error, signals};

/// Begins the delivery, unless the same request began it before.
///
/// # Errors
/// `INVALID_ARGUMENT`; `NOT_FOUND`; `NO_WEBHOOK` where the tenant has none;
/// `PERMISSION_DENIED` where it is suspended; `STORE_CORRUPT`; `STORE_UNAVAILABLE`.
pub(crate) async fn redeliver(
    context: &Context,
    request: RedeliverSignalRequest,
) -> Result<Signal, Error> {
    let (tenant, id) = name::parse_signal("name", &request.name)?;
    let deps = &context.deps;
    let record = deps.vault.registered(&tenant).await?;
    let vault = deps.vault.tenant(&tenant).await?;
    signals::read(&vault, id.as_str()).await?;
    if record.webhook.is_none() {
        return Err(Error::NoWebhook);
    }
    if record.state == TenantState::Suspended {
        return Err(Error::Suspended);
    }
    let request_id = Some(request.request_id)
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| deps.ids.uuid().to_string());
    // One request id may stand for several signals.
    let asked = format!("{id}/{request_id}");
    let mark = slot::request_mark(&asked);
    let begun = vault.list_ids(Area::Deliveries).await?;
    if !begun.iter().any(|id| id.ends_with(&mark)) {
        let now = deps.clock.now();
        let delivery = Delivery::asked(&slot::on_demand(now, &asked), id.as_str());
        delivery.begin(&vault, now).await?;
        tracing::info!(%tenant, signal = %id, "a signal is sent again, as somebody asked");
    }
    context.bell.ring(&tenant);
    signals::get(context, &request.name).await
}

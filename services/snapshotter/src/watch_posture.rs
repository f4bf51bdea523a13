//! Takes the posture after each daily snapshot, keeps it, and raises a signal for each
//! check that was good and is a finding now.
//!
//! A posture is kept once for a slot, and what it says is told once: a mark is stored
//! when all of its signals are. Until then the next daily snapshot tells it. What goes
//! wrong here must never keep a snapshot from being taken.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use model::posture::{self, Told, Weakening};
use model::{SignalId, TenantId};
use prost::Message;
use proto::convert::{model_told, severity};
use proto::name;
use proto::v1::protection_service_client::ProtectionServiceClient;
use proto::v1::{GetPostureRequest, ListSignalsResponse, Posture, Signal, SignalSource};
use runtime::Replicas;
use runtime::serve::MAX_MESSAGE_SIZE;
use store::{Area, StoreError, TenantVault, Trigger};
use tonic::Status;

use crate::{Context, Error, signals};

/// The document that is a posture.
const POSTURE: &str = "posture";
/// The document that says that a posture was compared with those before.
const TOLD: &str = "told";
/// How old a snapshot may be after which the posture is still taken: it tells of the
/// tenant as it is by then.
const LOOK_BACK: TimeDelta = TimeDelta::days(1);
/// How many postures back it is looked for the last one that says how a check stood.
const MOST_BEFORE: usize = 31;
/// How many of the newest postures are told where they were not yet.
const MOST_UNTOLD: usize = 8;
/// How long one reading may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Takes the posture of the newest daily snapshot, and tells what was not told yet.
pub(crate) async fn catch_up(context: &Context, tenant: &TenantId) {
    let Some(differ) = &context.deps.differ else {
        return;
    };
    if let Err(error) = look(context, differ, tenant).await {
        context.metrics.posture_failed(tenant);
        tracing::error!(
            %tenant,
            error = runtime::status::chain(&error),
            "the posture could not be watched; the next daily snapshot tries again"
        );
    }
}

async fn look(context: &Context, differ: &Replicas, tenant: &TenantId) -> Result<(), Error> {
    let vault = context.deps.vault.tenant(tenant).await?;
    let taken = take(context, differ, &vault).await;
    // What was kept before is told also where nothing could be taken today.
    let kept = vault.list_ids(Area::Posture).await?;
    for at in kept.len().saturating_sub(MOST_UNTOLD)..kept.len() {
        let slot = &kept[at];
        let names = vault.list_names(Area::Posture, slot).await?;
        let has = |name: &str| names.iter().any(|one| one == name);
        if has(POSTURE) && !has(TOLD) {
            tell(context, &vault, slot, &kept[..at]).await?;
        }
    }
    taken
}

/// Takes the posture after the newest daily snapshot, unless it is kept already.
async fn take(context: &Context, differ: &Replicas, vault: &TenantVault) -> Result<(), Error> {
    let tenant = vault.id();
    // Damage is told by whoever verifies.
    let (manifests, _) = vault.manifests().await?;
    let mut daily = manifests
        .iter()
        .filter(|manifest| manifest.meta.trigger == Trigger::Scheduled);
    let oldest = context.deps.clock.now() - LOOK_BACK;
    let Some(newest) = daily.next().filter(|it| it.meta.started >= oldest) else {
        return Ok(());
    };
    let slot = newest.id();
    let kept: BTreeSet<String> = vault.list_ids(Area::Posture).await?.into_iter().collect();
    if kept.contains(slot.as_str()) {
        return Ok(());
    }
    let mut client = ProtectionServiceClient::new(differ.of(&tenant.to_string()))
        .max_decoding_message_size(MAX_MESSAGE_SIZE);
    let request = GetPostureRequest {
        parent: name::tenant(tenant),
        snapshot: String::new(),
    };
    let late = |_| Status::deadline_exceeded("the differ took too long");
    let answer = tokio::time::timeout(PATIENCE, client.get_posture(request)).await;
    let answer = answer.map_err(late).and_then(|answer| answer)?;
    let posture = Posture {
        snapshot: name::snapshot(tenant, slot),
        ..answer.into_inner().posture.unwrap_or_default()
    };
    let content = posture.encode_to_vec().into();
    match vault
        .put(Area::Posture, slot.as_str(), POSTURE, content)
        .await
    {
        // Another process was first; what it kept counts.
        Ok(()) | Err(StoreError::Exists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Compares a posture with those before it, and raises a signal for each weakening.
async fn tell(
    context: &Context,
    vault: &TenantVault,
    slot: &str,
    earlier: &[String],
) -> Result<(), Error> {
    let now = read(vault, slot).await?;
    let told = model_told(&now);
    let (mut before, mut snapshots): (Vec<Vec<Told>>, Vec<String>) = (Vec::new(), Vec::new());
    for slot in earlier.iter().rev().take(MOST_BEFORE) {
        if !posture::open_questions(&told, &before) {
            break;
        }
        let posture = read(vault, slot).await?;
        before.push(model_told(&posture));
        snapshots.push(posture.snapshot);
    }
    let mut raised = Vec::new();
    for weakening in posture::weakened(&told, &before) {
        let was_good =
            |one: &Told| one.id == weakening.kind.id && one.status == posture::Status::Good;
        let at = before.iter().position(|told| told.iter().any(was_good));
        let base = at.and_then(|at| snapshots.get(at).cloned());
        let id = signal_id(slot, &weakening);
        let signal = signal(vault.id(), &id, &weakening, &now, base.unwrap_or_default());
        let severity = weakening.kind.severity;
        signals::raise(context, vault, &id, severity, &signal).await?;
        raised.push(signal);
    }
    tracing::info!(
        tenant = %vault.id(),
        slot,
        score = now.score,
        signals = raised.len(),
        "the posture was watched"
    );
    let mark = ListSignalsResponse {
        signals: raised,
        next_page_token: String::new(),
    };
    let mark = mark.encode_to_vec().into();
    match vault.put(Area::Posture, slot, TOLD, mark).await {
        Ok(()) | Err(StoreError::Exists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn read(vault: &TenantVault, slot: &str) -> Result<Posture, Error> {
    let bytes = vault.get(Area::Posture, slot, POSTURE).await?;
    Posture::decode(bytes).map_err(|error| Error::DamagedPosture {
        snapshot: slot.to_owned(),
        detail: error.to_string(),
    })
}

fn signal_id(slot: &str, weakening: &Weakening) -> SignalId {
    let rule = posture::WEAKENED;
    SignalId::parse(&format!("{slot}-{rule}-{}", weakening.kind.id))
        .expect("invariant: a slot, a rule and a check are a signal id")
}

fn signal(
    tenant: &TenantId,
    id: &SignalId,
    weakening: &Weakening,
    now: &Posture,
    base: String,
) -> Signal {
    let Weakening {
        kind,
        before,
        now: sentence,
    } = weakening;
    Signal {
        name: name::signal(tenant, id),
        time: now.read_time,
        rule: posture::WEAKENED.to_owned(),
        severity: severity(kind.severity) as i32,
        title: format!(
            "The protection against hard deletion is weaker: {}",
            kind.id
        ),
        description: format!(
            "A check that was good is a finding. Before: {before} Now: {sentence} To do: {}",
            kind.remedy
        ),
        source: SignalSource::Posture as i32,
        base,
        target: now.snapshot.clone(),
        ..Signal::default()
    }
}

#[cfg(test)]
mod tests;

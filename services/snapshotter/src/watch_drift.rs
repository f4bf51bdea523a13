//! Compares each daily snapshot with the one before, and raises signals where a
//! rule's limit was passed.
//!
//! Two snapshots are watched once: a cursor is stored when all of their signals are.
//! Until then the next daily snapshot tries again, by the same report and to the same
//! names. What goes wrong here must never keep a snapshot from being taken.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use model::drift::{Finding, Tally};
use model::{SignalId, TenantId};
use prost::Message;
use proto::convert::{model_change, severity, signal_count, timestamp};
use proto::v1::diff_service_client::DiffServiceClient;
use proto::v1::{
    Change, CreateReportRequest, ListChangesRequest, ListSignalsResponse, Report, Scope, Signal,
    SignalEvidence, SignalSource,
};
use proto::{name, reports};
use runtime::Replicas;
use runtime::serve::MAX_MESSAGE_SIZE;
use store::{Area, Manifest, StoreError, TenantRecord, TenantVault, Trigger};
use tonic::{Code, Status};

use crate::{Context, Error, signals, summary};

/// The document that says that a slot was watched.
const DRIFT: &str = "drift";
/// How old a snapshot may be that is still watched.
const LOOK_BACK: TimeDelta = TimeDelta::days(7);
/// How long one report may take.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Watches what was not watched yet of the last days, oldest first.
pub(crate) async fn catch_up(context: &Context, tenant: &TenantId) {
    let Some(differ) = &context.deps.differ else {
        return;
    };
    if let Err(error) = look(context, differ, tenant).await {
        failed(context, tenant, &error);
    }
}

fn failed(context: &Context, tenant: &TenantId, error: &Error) {
    context.metrics.drift_watch_failed(tenant);
    tracing::error!(
        %tenant,
        error = runtime::status::chain(error),
        "drift could not be watched; the next daily snapshot tries again"
    );
}

async fn look(context: &Context, differ: &Replicas, tenant: &TenantId) -> Result<(), Error> {
    let deps = &context.deps;
    let record = deps.vault.registered(tenant).await?;
    if !record.drift_watch.on {
        return Ok(());
    }
    let vault = deps.vault.tenant(tenant).await?;
    // Damage is told by whoever verifies.
    let (mut daily, _) = vault.manifests().await?;
    daily.retain(|it| it.meta.trigger == Trigger::Scheduled && it.has_essentials());
    daily.reverse();
    let watched: BTreeSet<String> = vault.list_ids(Area::Cursors).await?.into_iter().collect();
    let oldest = deps.clock.now() - LOOK_BACK;
    for pair in daily.windows(2) {
        let [base, target] = pair else { continue };
        if target.meta.started < oldest || watched.contains(target.id().as_str()) {
            continue;
        }
        // Trouble with one day is not the others'.
        let watching = watch(context, differ, &record, &vault, base, target);
        let done = tokio::time::timeout(PATIENCE, watching).await;
        let late = |_| Err(Status::deadline_exceeded("the differ took too long").into());
        if let Err(error) = done.unwrap_or_else(late) {
            failed(context, tenant, &error);
        }
    }
    Ok(())
}

async fn watch(
    context: &Context,
    differ: &Replicas,
    record: &TenantRecord,
    vault: &TenantVault,
    base: &Manifest,
    target: &Manifest,
) -> Result<(), Error> {
    let tenant = &record.id;
    let mut client = DiffServiceClient::new(differ.of(&tenant.to_string()))
        .max_decoding_message_size(MAX_MESSAGE_SIZE);
    let request = CreateReportRequest {
        parent: name::tenant(tenant),
        base: name::snapshot(tenant, base.id()),
        target: name::snapshot(tenant, target.id()),
        // The same for every attempt, whoever makes it.
        request_id: format!("{DRIFT}-{}-{}", base.id(), target.id()),
        ..CreateReportRequest::default()
    };
    let anew = CreateReportRequest {
        request_id: context.deps.ids.uuid().to_string(),
        ..request.clone()
    };
    let meant = request.clone();
    // Somebody may have cancelled that report, or asked for another by the same id:
    // then it is made once more, by an id that nobody knows.
    let report = match reports::make(&mut client, request).await {
        Ok(report) if is_of(&report, &meant) => report,
        Err(status) if status.code() != Code::Cancelled => return Err(status.into()),
        Ok(_) | Err(_) => reports::make(&mut client, anew).await?,
    };
    let before = base.counts.iter();
    let before = before.map(|count| (count.object_type, count.live));
    let mut tally = Tally::new(&record.drift_watch, before.collect());
    let request = ListChangesRequest {
        parent: report.name.clone(),
        types: tally.types().iter().map(ToString::to_string).collect(),
        ..ListChangesRequest::default()
    };
    let see = |change: &Change| -> Result<(), Error> {
        tally.see(&model_change(change)?, || evidence(change));
        Ok(())
    };
    reports::changes(&mut client, request, see).await?;
    let mut raised = Vec::new();
    for finding in tally.findings() {
        let id = SignalId::parse(&format!("{}-{}", target.id(), finding.rule.name))
            .expect("invariant: a slot and a rule's name are a signal id");
        let severity = finding.rule.severity;
        let signal = signal(tenant, &id, finding, &report.name, base, target);
        signals::raise(context, vault, &id, severity, &signal).await?;
        raised.push(signal);
    }
    if !report.not_compared.is_empty() {
        context.metrics.drift_watch_failed(tenant);
        tracing::warn!(
            %tenant,
            target = %target.id(),
            not_compared = ?report.not_compared,
            "not all of a day could be watched for drift"
        );
    }
    tracing::info!(
        %tenant,
        base = %base.id(),
        target = %target.id(),
        report = report.name,
        signals = raised.len(),
        "drift was watched"
    );
    let counts = report.counts.unwrap_or_default();
    let objects = counts.added
        + counts.modified
        + counts.soft_deleted
        + counts.hard_deleted
        + counts.restored;
    summary::changed(context, vault, target, objects).await?;
    let cursor = ListSignalsResponse {
        signals: raised,
        next_page_token: String::new(),
    };
    let (slot, cursor) = (target.id().as_str(), cursor.encode_to_vec().into());
    match vault.put(Area::Cursors, slot, DRIFT, cursor).await {
        Ok(()) | Err(StoreError::Exists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a report compares all of what is meant.
fn is_of(report: &Report, meant: &CreateReportRequest) -> bool {
    let scope = report.scope.clone().unwrap_or_default();
    (&report.base, &report.target) == (&meant.base, &meant.target) && scope == Scope::default()
}

fn evidence(change: &Change) -> SignalEvidence {
    SignalEvidence {
        object: change.object.clone(),
        kind: change.kind,
        activity: change.activities.first().cloned(),
    }
}

fn signal(
    tenant: &TenantId,
    id: &SignalId,
    finding: Finding<SignalEvidence>,
    report: &str,
    base: &Manifest,
    target: &Manifest,
) -> Signal {
    Signal {
        name: name::signal(tenant, id),
        time: Some(timestamp(target.meta.started)),
        rule: finding.rule.name.to_owned(),
        severity: severity(finding.rule.severity) as i32,
        title: finding.title(),
        description: finding.description(),
        counts: finding.counts.iter().map(signal_count).collect(),
        evidence: finding.evidence,
        source: SignalSource::Drift as i32,
        report: report.to_owned(),
        base: name::snapshot(tenant, base.id()),
        target: name::snapshot(tenant, target.id()),
        ..Signal::default()
    }
}

#[cfg(test)]
mod tests;

//! A finding as a signal: who, what, what the newest snapshot has of it, and what would
//! put it back.
//!
//! Owns the words. What cannot be found out is left out: a signal is never held up by
//! what stands beside it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use model::audit::{Record, Target};
use model::watch::{Finding, Ground, LOG_GAP, Remedy, Seen};
use model::{Object, ObjectId, ObjectType, SignalId, SnapshotId, TenantId};
use proto::convert::{activity, severity, timestamp};
use proto::name;
use proto::v1::{
    ChangeKind, Initiator, ObjectRef, Signal, SignalCount, SignalEvidence, SignalSource,
    SignalTarget,
};
use store::{Manifest, StoreError, TenantVault};

/// How many records a signal shows in full.
const MOST_EVIDENCE: usize = 20;

/// What a snapshot has, by lowercase id.
type Held = BTreeMap<String, Object>;

/// The newest complete snapshot.
pub(super) async fn latest(vault: &TenantVault) -> Option<Manifest> {
    let latest = SnapshotId::parse("latest").expect("invariant: the word is fit for an id");
    match vault.find(&latest).await {
        Ok(manifest) => Some(manifest),
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => {
            unknown(vault.id(), &error);
            None
        }
    }
}

fn unknown(tenant: &TenantId, error: &StoreError) {
    tracing::warn!(
        %tenant,
        error = runtime::status::chain(error),
        "what the newest snapshot has of a signal's objects is not known"
    );
}

/// A finding as a signal.
pub(super) async fn signal(
    vault: &TenantVault,
    latest: Option<&Manifest>,
    ground: &Ground,
    finding: &Finding,
) -> Signal {
    let tenant = vault.id();
    let held = match latest {
        Some(manifest) => held(vault, manifest, finding).await,
        None => Held::new(),
    };
    let rewind = ground.writer.as_deref();
    let base = latest.map(|manifest| name::snapshot(tenant, manifest.id()));
    let command = latest.and_then(|manifest| command(tenant, manifest, finding, &held));
    Signal {
        name: name::signal(tenant, &finding.id),
        time: Some(timestamp(finding.time)),
        rule: finding.rule.name.to_owned(),
        severity: severity(finding.rule.severity) as i32,
        title: finding.title(),
        description: finding.description(),
        evidence: evidence(finding, rewind, &held),
        counts: counts(finding, &held),
        source: SignalSource::Audit as i32,
        base: base.unwrap_or_default(),
        actor: actor(finding, rewind),
        audit_ids: finding.seen.iter().map(audit_id).collect(),
        targets: targets(finding, &held),
        command: command.unwrap_or_default(),
        ..Signal::default()
    }
}

/// That a part of the log was never read.
pub(super) fn gap(
    tenant: &TenantId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> (SignalId, Signal) {
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let id = format!("{}-{}", from.format("%Y%m%dT%H%M%S"), LOG_GAP.name);
    let id = SignalId::parse(&id).expect("invariant: a time and a rule's name are a signal id");
    let signal = Signal {
        name: name::signal(tenant, &id),
        time: Some(timestamp(from)),
        rule: LOG_GAP.name.to_owned(),
        severity: severity(LOG_GAP.severity) as i32,
        title: format!("{} ({} to {})", LOG_GAP.title, text(from), text(until)),
        description: format!("The rule counts {}; its limit is any.", LOG_GAP.counted),
        source: SignalSource::Audit as i32,
        ..Signal::default()
    };
    (id, signal)
}

/// What the snapshot has of what a finding is about.
async fn held(vault: &TenantVault, manifest: &Manifest, finding: &Finding) -> Held {
    let ids = about(finding).filter_map(|target| ObjectId::parse(&target.id).ok());
    let ids: BTreeSet<ObjectId> = ids.collect();
    match vault.objects_with_ids(manifest, &ids).await {
        Ok(objects) => {
            let by_id = |object: Object| (object.id.as_str().to_lowercase(), object);
            objects.into_iter().map(by_id).collect()
        }
        Err(error) => {
            unknown(vault.id(), &error);
            Held::new()
        }
    }
}

fn audit_id(seen: &Seen) -> String {
    seen.record.entry.id.clone()
}

fn about(finding: &Finding) -> impl Iterator<Item = &Target> {
    finding.seen.iter().flat_map(|seen| &seen.record.targets)
}

fn reference(target: &Target, held: &Held) -> ObjectRef {
    let held = held.get(&target.id);
    let logged = [&target.name, &target.user_principal_name];
    let logged = logged.into_iter().find(|name| !name.is_empty());
    let stored = || held.map(Object::name).unwrap_or_default();
    ObjectRef {
        r#type: held.map_or_else(|| target.kind.clone(), |it| it.object_type.to_string()),
        id: target.id.clone(),
        display_name: logged.cloned().unwrap_or_else(stored),
    }
}

fn targets(finding: &Finding, held: &Held) -> Vec<SignalTarget> {
    let mut seen = BTreeSet::new();
    let target = |target: &Target| SignalTarget {
        object: Some(reference(target, held)),
        user_principal_name: target.user_principal_name.clone(),
        in_snapshot: held.contains_key(&target.id),
        snapshot_display_name: held.get(&target.id).map(Object::name).unwrap_or_default(),
    };
    about(finding)
        .filter(|target| seen.insert(&target.id))
        .map(target)
        .collect()
}

fn evidence(finding: &Finding, rewind: Option<&str>, held: &Held) -> Vec<SignalEvidence> {
    let one = |seen: &Seen| {
        let record = &seen.record;
        SignalEvidence {
            object: record.targets.first().map(|it| reference(it, held)),
            kind: kind(record) as i32,
            activity: Some(activity(&record.entry, rewind)),
        }
    };
    finding.seen.iter().take(MOST_EVIDENCE).map(one).collect()
}

/// What became of what a record is about.
fn kind(record: &Record) -> ChangeKind {
    let activity = record.entry.activity.to_lowercase();
    let is = |word: &str| activity.starts_with(word);
    // A member or a grant is a change of what has it.
    let is_tie = [" to ", " from ", "credentials", "grant", "assignment"];
    if is("hard delete") {
        ChangeKind::HardDeleted
    } else if is("restore") {
        ChangeKind::Restored
    } else if is_tie.iter().any(|word| activity.contains(word)) {
        ChangeKind::Modified
    } else if is("delete") || is("remove") {
        ChangeKind::SoftDeleted
    } else if is("add") {
        ChangeKind::Added
    } else {
        ChangeKind::Modified
    }
}

/// How many there are of the type that the first one has; rules of many count things of
/// one sort.
fn counts(finding: &Finding, held: &Held) -> Vec<SignalCount> {
    let first = about(finding).next().map(|target| reference(target, held));
    let count = |first: ObjectRef| SignalCount {
        r#type: first.r#type,
        count: i64::try_from(finding.count).unwrap_or(i64::MAX),
        total: 0,
    };
    first.map(count).into_iter().collect()
}

/// Who did it, if it was one.
fn actor(finding: &Finding, rewind: Option<&str>) -> Option<Initiator> {
    let mut all = finding.seen.iter();
    let by = |seen: &Seen| activity(&seen.record.entry, rewind).initiated_by;
    let first = all.next().and_then(by)?;
    let same = |seen: &Seen| {
        by(seen).is_some_and(|by| (&by.id, &by.display_name) == (&first.id, &first.display_name))
    };
    all.all(same).then_some(first)
}

/// The command that plans to put back what a finding is about.
fn command(
    tenant: &TenantId,
    manifest: &Manifest,
    finding: &Finding,
    held: &Held,
) -> Option<String> {
    let scope = match finding.seen.first()?.deed.remedy {
        Remedy::None => return None,
        Remedy::Targets => objects(finding, held)?,
        Remedy::TargetsWithout => format!("{} --added soft-delete", objects(finding, held)?),
        Remedy::Anew => format!("{} --recreate-hard-deleted", objects(finding, held)?),
        Remedy::OfType(object_type) => format!("--type {object_type}"),
    };
    Some(format!(
        "rewind restore plan --tenant {tenant} --snapshot {} {scope}",
        manifest.id()
    ))
}

/// What of it the snapshot has: by id, or where a finding does not keep all of it, by
/// type.
fn objects(finding: &Finding, held: &Held) -> Option<String> {
    let ids: BTreeSet<&str> = about(finding)
        .map(|target| target.id.as_str())
        .filter(|id| held.contains_key(*id))
        .collect();
    if ids.is_empty() {
        return None;
    }
    if finding.more > 0 {
        let types: BTreeSet<ObjectType> = held.values().map(|it| it.object_type).collect();
        let types: Vec<&str> = types.into_iter().map(ObjectType::name).collect();
        return Some(format!("--type {}", types.join(",")));
    }
    let ids: Vec<&str> = ids.into_iter().collect();
    Some(format!("--id {}", ids.join(",")))
}

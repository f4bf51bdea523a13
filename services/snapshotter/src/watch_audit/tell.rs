//! A finding as a signal: who, what, what the newest snapshot from before has of it,
//! and what would put it back.
//!
//! Owns the words. What cannot be found out is left out: a signal is never held up by
//! what stands beside it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use model::audit::{Record, Target};
use model::watch::{Finding, Ground, Remedy, Rule, Seen};
use model::{Object, ObjectId, ObjectType, SignalId, TenantId};
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

/// A snapshot from before some findings, and what it has of what they are about.
pub(super) struct Base<'a> {
    manifest: &'a Manifest,
    held: Held,
}

/// The complete snapshots that last, newest first.
pub(super) async fn snapshots(vault: &TenantVault) -> Vec<Manifest> {
    let (mut manifests, problems) = match vault.manifests().await {
        Ok(found) => found,
        Err(error) => {
            unknown(vault.id(), &error);
            return Vec::new();
        }
    };
    for problem in &problems {
        unknown(vault.id(), &problem.error);
    }
    manifests.retain(|it| it.has_essentials() && !it.is_expiring());
    manifests
}

/// Whether a snapshot was read before what was found was done: a later one may hold
/// what somebody wants to be rid of.
fn is_before(manifest: &Manifest, finding: &Finding) -> bool {
    let first = finding.seen.first();
    let done = first.map_or(finding.time, |seen| seen.record.entry.time);
    manifest.meta.finished < done
}

/// For each finding the newest snapshot from before it, each asked once for all.
pub(super) async fn bases<'a>(
    vault: &TenantVault,
    snapshots: &'a [Manifest],
    findings: &[Finding],
) -> Vec<Base<'a>> {
    let mut left: Vec<&Finding> = findings.iter().collect();
    let mut bases = Vec::new();
    for manifest in snapshots {
        let (its, others): (Vec<&Finding>, Vec<&Finding>) = left
            .into_iter()
            .partition(|finding| is_before(manifest, finding));
        left = others;
        if !its.is_empty() {
            let held = held(vault, manifest, &its).await;
            bases.push(Base { manifest, held });
        }
    }
    bases
}

fn unknown(tenant: &TenantId, error: &StoreError) {
    tracing::warn!(
        %tenant,
        error = runtime::status::chain(error),
        "what a snapshot has of a signal's objects is not known"
    );
}

/// A finding as a signal.
pub(super) fn signal(
    tenant: &TenantId,
    bases: &[Base<'_>],
    ground: &Ground,
    finding: &Finding,
) -> Signal {
    let base = bases.iter().find(|it| is_before(it.manifest, finding));
    let nothing = Held::new();
    let held = base.map_or(&nothing, |it| &it.held);
    let rewind = &ground.writer;
    let command = base.and_then(|it| command(tenant, it.manifest, finding, held));
    let base = base.map(|it| name::snapshot(tenant, it.manifest.id()));
    Signal {
        name: name::signal(tenant, &finding.id),
        time: Some(timestamp(finding.time)),
        rule: finding.rule.name.to_owned(),
        severity: severity(finding.rule.severity) as i32,
        title: finding.title(),
        description: finding.description(),
        evidence: evidence(finding, rewind, held),
        counts: counts(finding, held),
        source: SignalSource::Audit as i32,
        base: base.unwrap_or_default(),
        actor: actor(finding, rewind),
        audit_ids: finding.seen.iter().map(audit_id).collect(),
        targets: targets(finding, held),
        command: command.unwrap_or_default(),
        ..Signal::default()
    }
}

/// A time in a signal's words.
pub(super) fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// How the names of a day's signals begin.
pub(super) fn day(time: DateTime<Utc>) -> String {
    time.format("%Y%m%d").to_string()
}

/// How the name ends of what a rule tells once for a time.
pub(super) fn end(rule: &Rule, mark: DateTime<Utc>) -> String {
    format!("-{}-{}", rule.name, mark.format("%Y%m%dT%H%M%S"))
}

/// What no record of the log tells of.
pub(super) fn alone(
    tenant: &TenantId,
    rule: &Rule,
    now: DateTime<Utc>,
    end: &str,
    detail: &str,
) -> (SignalId, Signal) {
    let id = SignalId::parse(&format!("{}{end}", day(now)));
    let id = id.expect("invariant: a day, a rule's name and a time are a signal id");
    let signal = Signal {
        name: name::signal(tenant, &id),
        time: Some(timestamp(now)),
        rule: rule.name.to_owned(),
        severity: severity(rule.severity) as i32,
        title: format!("{} ({detail})", rule.title),
        description: format!("The rule counts {}; its limit is any.", rule.counted),
        source: SignalSource::Audit as i32,
        ..Signal::default()
    };
    (id, signal)
}

/// What the snapshot has of what findings are about.
async fn held(vault: &TenantVault, manifest: &Manifest, findings: &[&Finding]) -> Held {
    let targets = findings.iter().flat_map(|finding| about(finding));
    let ids = targets.filter_map(|target| ObjectId::parse(&target.id).ok());
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

fn evidence(finding: &Finding, rewind: &HashSet<String>, held: &Held) -> Vec<SignalEvidence> {
    let one = |seen: &Seen| {
        let record = &seen.record;
        SignalEvidence {
            object: record.targets.first().map(|it| reference(it, held)),
            kind: kind(record) as i32,
            activity: Some(activity(&record.entry, rewind.iter().map(String::as_str))),
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
fn actor(finding: &Finding, rewind: &HashSet<String>) -> Option<Initiator> {
    let mut all = finding.seen.iter();
    let by =
        |seen: &Seen| activity(&seen.record.entry, rewind.iter().map(String::as_str)).initiated_by;
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
        let types = ids.iter().filter_map(|id| held.get(*id));
        let types: BTreeSet<ObjectType> = types.map(|it| it.object_type).collect();
        let types: Vec<&str> = types.into_iter().map(ObjectType::name).collect();
        return Some(format!("--type {}", types.join(",")));
    }
    let ids: Vec<&str> = ids.into_iter().collect();
    Some(format!("--id {}", ids.join(",")))
}

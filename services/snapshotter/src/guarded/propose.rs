//! Stores what somebody asks for that protects less.
//!
//! Owns what a change says and that it is stored once, whoever repeats the request. It
//! never carries anything out.

use chrono::TimeDelta;
use model::drift::Severity;
use model::{SnapshotId, TenantId, slot};
use proto::convert::{severity, time, timestamp};
use proto::name;
use proto::v1::{GuardedChange, GuardedChangeKind, GuardedSetting};
use store::{Setting, TenantRecord, TenantState, TenantVault};

use super::{ChangeError, journal, tell};
use crate::{Context, Error};

/// How long somebody else may take to agree.
pub(super) const TO_APPROVE: TimeDelta = TimeDelta::days(7);

/// Who asks, by which request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Who.
    pub(crate) author: Option<String>,
    /// The request's id; empty where it has none.
    pub(crate) request_id: String,
}

/// A change of settings, of which the gateway found that it protects less.
///
/// # Errors
/// [`ChangeError::Moved`] where a setting is another one by now.
pub(crate) async fn settings(
    context: &Context,
    tenant: &TenantId,
    asked: Asked,
    wanted: Vec<GuardedSetting>,
) -> Result<GuardedChange, Error> {
    let record = context.deps.vault.registered(tenant).await?;
    let mut effects = Vec::new();
    let after = settings_after(context, &record, &wanted)?;
    for wanted in &wanted {
        let setting = setting_of(wanted)?;
        if setting.of(&record) != wanted.before {
            return Err(ChangeError::Moved(setting.name().to_owned()).into());
        }
        effects.push(effect(setting, &record, &after));
    }
    let draft = GuardedChange {
        kind: GuardedChangeKind::Settings.into(),
        effects,
        settings: wanted,
        severity: severity(Severity::Critical).into(),
        ..GuardedChange::default()
    };
    propose(context, tenant, asked, draft).await
}

/// A registration with settings set.
///
/// # Errors
/// [`ChangeError::Setting`] where one is none.
pub(super) fn settings_after(
    context: &Context,
    record: &TenantRecord,
    wanted: &[GuardedSetting],
) -> Result<TenantRecord, Error> {
    let mut after = record.clone();
    for wanted in wanted {
        let set = setting_of(wanted)?.set(&mut after, &wanted.after, context.deps.clock.now());
        set.map_err(|error| ChangeError::Setting(error.to_string()))?;
    }
    Ok(after)
}

pub(super) fn setting_of(wanted: &GuardedSetting) -> Result<Setting, ChangeError> {
    let unknown = || ChangeError::Setting(format!("{:?} is no setting", wanted.field));
    Setting::from_name(&wanted.field).ok_or_else(unknown)
}

/// What the change of a setting does, in a sentence.
fn effect(setting: Setting, before: &TenantRecord, after: &TenantRecord) -> String {
    let shown = |record: &TenantRecord| match (setting, setting.of(record)) {
        (Setting::Webhook, _) => match &record.webhook {
            None => "nowhere".to_owned(),
            Some(webhook) => {
                let from = webhook.min_severity.name();
                format!(
                    "{} from severity {from} on, signed with {}",
                    webhook.url, webhook.secret
                )
            }
        },
        (_, text) if text.is_empty() => "none".to_owned(),
        (_, text) => text,
    };
    format!(
        "changes {}, from \"{}\" to \"{}\", which protects the tenant less",
        setting.in_words(),
        shown(before),
        shown(after)
    )
}

/// The suspension of a tenant; `None` where it is suspended already.
pub(crate) async fn suspend(
    context: &Context,
    tenant: &TenantId,
    asked: Asked,
) -> Result<Option<GuardedChange>, Error> {
    let record = context.deps.vault.registered(tenant).await?;
    if record.state != TenantState::Active {
        return Ok(None);
    }
    let draft = GuardedChange {
        kind: GuardedChangeKind::Suspend.into(),
        effects: vec![
            "suspends the tenant: no snapshots are taken, the audit log is not followed, and no signals are raised or sent, until it is resumed; what there is stays".to_owned(),
        ],
        severity: severity(Severity::Critical).into(),
        ..GuardedChange::default()
    };
    propose(context, tenant, asked, draft).await.map(Some)
}

/// The lifting of a hold; `None` where the snapshot is not held.
pub(crate) async fn lift_hold(
    context: &Context,
    vault: &TenantVault,
    id: &SnapshotId,
    asked: Asked,
) -> Result<Option<GuardedChange>, Error> {
    let Some((since, reason)) = vault.hold_of(id).await? else {
        return Ok(None);
    };
    let draft = GuardedChange {
        kind: GuardedChangeKind::LiftHold.into(),
        effects: vec![format!(
            "lifts the hold of snapshot {id}, which is held since {} for \"{reason}\"; retention may then let it go",
            since.format("%Y-%m-%d %H:%M:%SZ")
        )],
        snapshot: name::snapshot(vault.id(), id),
        held_since: Some(timestamp(since)),
        severity: severity(Severity::Critical).into(),
        ..GuardedChange::default()
    };
    propose(context, vault.id(), asked, draft).await.map(Some)
}

/// The erasure of a tenant's keys, alone or with the end of its service.
///
/// # Errors
/// [`ChangeError::Held`] where a snapshot is held.
pub(crate) async fn erase(
    context: &Context,
    vault: &TenantVault,
    asked: Asked,
    kind: GuardedChangeKind,
    exported: String,
) -> Result<GuardedChange, Error> {
    if let Some(held) = held(vault).await? {
        return Err(ChangeError::Held(held.to_string()).into());
    }
    let mut effects = vec![
        "deletes the tenant's keys in every number: nothing that is stored of it can be read any more, by nobody who has not a recovery bundle".to_owned(),
    ];
    if kind == GuardedChangeKind::Offboard {
        effects.push("ends the service: no snapshots are taken any more".to_owned());
        effects.push(match exported.is_empty() {
            true => "no export was asked for before".to_owned(),
            false => format!("{exported} was exported before"),
        });
    }
    let draft = GuardedChange {
        kind: kind.into(),
        effects,
        exported_snapshot: exported,
        severity: severity(Severity::Critical).into(),
        ..GuardedChange::default()
    };
    propose(context, vault.id(), asked, draft).await
}

/// A snapshot that is held, where there is one. One that cannot be read may be.
pub(super) async fn held(vault: &TenantVault) -> Result<Option<SnapshotId>, Error> {
    let (manifests, unreadable) = vault.manifests().await?;
    let held = manifests.iter().find(|it| it.is_held());
    let held = held.map(|manifest| manifest.id().clone());
    Ok(held.or_else(|| unreadable.first().map(|it| it.slot.clone())))
}

/// Stores a change under the next number, or finds the one that says the same.
async fn propose(
    context: &Context,
    tenant: &TenantId,
    asked: Asked,
    draft: GuardedChange,
) -> Result<GuardedChange, Error> {
    let author = asked.author.ok_or(ChangeError::NoCaller)?;
    let deps = &context.deps;
    let vault = deps.vault.tenant(tenant).await?;
    let request_id = Some(asked.request_id)
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| deps.ids.uuid().to_string());
    let request_mark = slot::request_mark(&request_id);
    loop {
        let now = deps.clock.now();
        let numbers = journal::numbers(&vault).await?;
        for number in &numbers {
            let there = super::load(context, &vault, *number).await?;
            let same = there.is_open(now) && says_the_same(&there.change, &draft);
            if same || there.change.request_mark == request_mark {
                tell::asked(context, &vault, &there).await?;
                return Ok(there.message(now));
            }
        }
        let number = numbers.last().copied().unwrap_or(0) + 1;
        let mut change = GuardedChange {
            name: name::guarded_change(tenant, number),
            author: author.clone(),
            create_time: Some(timestamp(now)),
            approve_by_time: Some(timestamp(now + TO_APPROVE)),
            request_mark: request_mark.clone(),
            ..draft.clone()
        };
        change.hash = journal::hash(&change);
        deps.vault.mark_change(tenant, number).await?;
        if journal::store(&vault, number, &change).await? {
            let there = super::load(context, &vault, number).await?;
            tracing::warn!(%tenant, number, author, effects = ?change.effects, "a guarded change was asked for");
            tell::asked(context, &vault, &there).await?;
            context.news.ring(tenant);
            return Ok(there.message(now));
        }
    }
}

/// Whether two changes do one thing to one state.
fn says_the_same(one: &GuardedChange, other: &GuardedChange) -> bool {
    one.kind == other.kind
        && one.settings == other.settings
        && one.snapshot == other.snapshot
        && one.held_since.as_ref().and_then(time) == other.held_since.as_ref().and_then(time)
        && one.exported_snapshot == other.exported_snapshot
}

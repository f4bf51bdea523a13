//! Carries guarded changes out whose time has come.
//!
//! Before the effect a step says that it begins, after it another that it is there. Who
//! finds a beginning without an end looks whether the effect is there, and goes on: of a
//! registration by the version that the beginning names, of a hold by its own time, of
//! keys by repeating what does no harm. The clock only says whether the time has come.

use model::TenantId;
use proto::convert::{time, timestamp};
use proto::name;
use proto::v1::{
    GuardedChange, GuardedChangeKind, GuardedChangeState, GuardedStep, GuardedStepKind,
};
use store::{StoreError, TenantRecord, TenantState, TenantVault, Versioned};

use super::journal::Journal;
use super::{ChangeError, erase, propose, tell};
use crate::{Context, Error};

/// How a look at a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looked {
    /// There is more to do later.
    Open,
    /// It has come to its end.
    Ended,
}

/// Does what there is to do about a change now.
pub(super) async fn look(
    context: &Context,
    tenant: &TenantId,
    number: u32,
) -> Result<Looked, Error> {
    let vault = context.deps.vault.tenant(tenant).await?;
    loop {
        let there = match super::load(context, &vault, number).await {
            // It was marked and never stored; the next one gets its number.
            Err(Error::Change(ChangeError::Missing(_))) => return Ok(Looked::Open),
            other => other?,
        };
        tell::steps(context, &vault, &there).await?;
        let now = context.deps.clock.now();
        let done = match (there.state(now), there.steps.last().map(GuardedStep::kind)) {
            (GuardedChangeState::Pending, _) => return Ok(Looked::Open),
            (GuardedChangeState::Approved, _) => {
                let approved = there.last(GuardedStepKind::Approved);
                let effective = approved.and_then(|step| step.effective_time.as_ref());
                // Without a time it never comes.
                match effective.and_then(time).is_some_and(|from| now >= from) {
                    true => begin(context, &vault, &there).await?,
                    false => return Ok(Looked::Open),
                }
            }
            (GuardedChangeState::Applying, _) => effect(context, &vault, &there).await?,
            (GuardedChangeState::Expired, None | Some(GuardedStepKind::Approved)) => {
                end(
                    context,
                    &vault,
                    &there,
                    GuardedStepKind::Expired,
                    "its time ran out",
                )
                .await?
            }
            _ => return Ok(Looked::Ended),
        };
        if done == Done::Erased {
            return Ok(Looked::Ended);
        }
    }
}

/// What was done about a change in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// A step was taken, by whomever: it is to be read again.
    Step,
    /// The tenant is erased, and the change with it.
    Erased,
}

/// Begins a change that still means what it meant.
async fn begin(context: &Context, vault: &TenantVault, there: &Journal) -> Result<Done, Error> {
    let record = newest(context, vault.id()).await?;
    if let Some(why) = unfit(context, vault, &record.value, &there.change).await? {
        return end(context, vault, there, GuardedStepKind::Stale, &why).await;
    }
    let step = GuardedStep {
        kind: GuardedStepKind::Begun.into(),
        time: Some(timestamp(context.deps.clock.now())),
        registration_version: record.version,
        ..GuardedStep::default()
    };
    there.take(vault, step).await?;
    Ok(Done::Step)
}

async fn newest(context: &Context, tenant: &TenantId) -> Result<Versioned<TenantRecord>, Error> {
    let record = context.deps.vault.tenant_record(tenant).await?;
    let missing = || StoreError::NotFound {
        what: format!("tenant {tenant}"),
    };
    Ok(record.ok_or_else(missing)?)
}

/// Why a change does not mean any more what it meant; `None` where it does.
async fn unfit(
    context: &Context,
    vault: &TenantVault,
    record: &TenantRecord,
    change: &GuardedChange,
) -> Result<Option<String>, Error> {
    Ok(match change.kind() {
        GuardedChangeKind::Settings => {
            for wanted in &change.settings {
                let setting = propose::setting_of(wanted)?;
                if setting.of(record) != wanted.before {
                    return Ok(Some(format!("{setting} was changed meanwhile")));
                }
            }
            propose::settings_after(context, record, &change.settings)?;
            None
        }
        GuardedChangeKind::Suspend => (record.state != TenantState::Active)
            .then(|| "the tenant is not served any more".to_owned()),
        GuardedChangeKind::LiftHold => {
            let (_, id) = name::parse_snapshot("snapshot", &change.snapshot)?;
            match vault.hold_of(&id).await {
                Ok(Some((since, _)))
                    if change.held_since.as_ref().and_then(time) == Some(since) =>
                {
                    None
                }
                Ok(_) => Some("the snapshot is not held any more, or anew".to_owned()),
                Err(StoreError::NotFound { .. }) => Some("the snapshot is gone".to_owned()),
                Err(error) => return Err(error.into()),
            }
        }
        GuardedChangeKind::EraseKeys | GuardedChangeKind::Offboard => propose::held(vault)
            .await?
            .map(|held| format!("snapshot {held} is held meanwhile")),
        GuardedChangeKind::Unspecified => Some("this version does not know it".to_owned()),
    })
}

/// Carries a change out that was begun, or sees that it was.
async fn effect(context: &Context, vault: &TenantVault, there: &Journal) -> Result<Done, Error> {
    let change = &there.change;
    match change.kind() {
        GuardedChangeKind::Settings | GuardedChangeKind::Suspend => {
            register(context, vault, there).await
        }
        GuardedChangeKind::LiftHold => {
            let (_, id) = name::parse_snapshot("snapshot", &change.snapshot)?;
            let since = change
                .held_since
                .as_ref()
                .and_then(time)
                .unwrap_or_default();
            match vault.lift_hold_since(&id, since).await {
                // Without a hold retention may have been as fast.
                Ok(()) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            end(context, vault, there, GuardedStepKind::Applied, "").await
        }
        GuardedChangeKind::EraseKeys | GuardedChangeKind::Offboard => {
            let begun = context.deps.vault.begun_erasure(vault.id(), there.number);
            // Until it is noted beside the tenants, a hold still counts.
            if begun.await?.is_none()
                && let Some(held) = propose::held(vault).await?
            {
                let why = format!("snapshot {held} is held meanwhile");
                return end(context, vault, there, GuardedStepKind::Stale, &why).await;
            }
            erase::begin(context, vault, there).await?;
            erase::finish(context, vault.id(), there.number).await?;
            Ok(Done::Erased)
        }
        GuardedChangeKind::Unspecified => {
            let why = "this version does not know it";
            end(context, vault, there, GuardedStepKind::Stale, why).await
        }
    }
}

/// Writes the version of the registration after the one that the beginning names.
async fn register(context: &Context, vault: &TenantVault, there: &Journal) -> Result<Done, Error> {
    let (deps, tenant) = (&context.deps, vault.id());
    let begun = there.last(GuardedStepKind::Begun);
    let version = begun.map_or(0, |step| step.registration_version);
    if let Some(next) = deps.vault.registration_version(tenant, version + 1).await? {
        return match next.change == Some(there.number) {
            true => end(context, vault, there, GuardedStepKind::Applied, "").await,
            // Somebody changed the tenant before it took effect, and no other version
            // can be this change's: it begins anew, if it still means the same.
            false => begin(context, vault, there).await,
        };
    }
    let Some(record) = deps.vault.registration_version(tenant, version).await? else {
        return begin(context, vault, there).await;
    };
    let mut after = propose::settings_after(context, &record, &there.change.settings)?;
    if there.change.kind() == GuardedChangeKind::Suspend {
        after.state = TenantState::Suspended;
    }
    after.change = Some(there.number);
    let next = Versioned {
        version,
        value: after,
    };
    match deps.vault.update_tenant(&next).await {
        Ok(()) => {
            tracing::warn!(%tenant, number = there.number, "a guarded change took effect");
            end(context, vault, there, GuardedStepKind::Applied, "").await
        }
        // The version is there by now: whose it is, the next look tells.
        Err(StoreError::Changed { .. }) => Ok(Done::Step),
        Err(error) => Err(error.into()),
    }
}

/// Notes the end of a change, unless somebody took another step.
async fn end(
    context: &Context,
    vault: &TenantVault,
    there: &Journal,
    kind: GuardedStepKind,
    detail: &str,
) -> Result<Done, Error> {
    let step = GuardedStep {
        kind: kind.into(),
        time: Some(timestamp(context.deps.clock.now())),
        detail: detail.to_owned(),
        ..GuardedStep::default()
    };
    if there.take(vault, step).await? {
        tracing::info!(tenant = %vault.id(), number = there.number, end = kind.as_str_name(), detail, "a guarded change came to its end");
    }
    Ok(Done::Step)
}

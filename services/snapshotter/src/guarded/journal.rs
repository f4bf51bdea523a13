//! What is stored of a guarded change: the change itself, and its numbered steps.
//!
//! Each is created once. Of two who take the next step at once one has taken it and the
//! other finds that out, so that a change that was called off never takes effect, and
//! one that is about to can no longer be called off.

use chrono::{DateTime, Utc};
use prost::Message;
use proto::convert::time;
use proto::v1::{GuardedChange, GuardedChangeState, GuardedStep, GuardedStepKind};
use store::{Area, StoreError, TenantVault};

use super::ChangeError;
use crate::Error;

/// The document that is the change.
const CHANGE: &str = "change";

/// A change as it stands in the store.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Journal {
    /// Its number.
    pub(crate) number: u32,
    /// What was asked for, as it was stored.
    pub(crate) change: GuardedChange,
    /// What became of it.
    pub(crate) steps: Vec<GuardedStep>,
}

fn id(number: u32) -> String {
    format!("{number:06}")
}

/// The hash of a change: BLAKE3 over all that was asked for.
pub(crate) fn hash(change: &GuardedChange) -> String {
    let plain = GuardedChange {
        hash: String::new(),
        ..change.clone()
    };
    blake3::hash(&plain.encode_to_vec()).to_hex().to_string()
}

/// The numbers of a tenant's changes, sorted.
pub(crate) async fn numbers(vault: &TenantVault) -> Result<Vec<u32>, Error> {
    let ids = vault.list_ids(Area::Changes).await?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Stores a change; false where its number is taken.
pub(crate) async fn store(
    vault: &TenantVault,
    number: u32,
    change: &GuardedChange,
) -> Result<bool, Error> {
    let content = change.encode_to_vec().into();
    created(vault.put(Area::Changes, &id(number), CHANGE, content).await)
}

/// Reads a change with its steps, and checks that it is what its hash is of.
///
/// # Errors
/// [`ChangeError::Missing`]; [`ChangeError::Damaged`]; `STORE_UNAVAILABLE`.
pub(crate) async fn load(vault: &TenantVault, number: u32) -> Result<Journal, Error> {
    let id = id(number);
    let damaged = |detail: String| Error::Change(ChangeError::Damaged { number, detail });
    let names = vault.list_names(Area::Changes, &id).await?;
    if !names.iter().any(|name| name == CHANGE) {
        return Err(ChangeError::Missing(number).into());
    }
    let content = vault.get(Area::Changes, &id, CHANGE).await?;
    let change = GuardedChange::decode(content).map_err(|error| damaged(error.to_string()))?;
    if hash(&change) != change.hash {
        return Err(damaged("it is not what its hash is of".to_owned()));
    }
    let mut steps = Vec::new();
    for name in names.iter().filter(|name| name.starts_with("step/")) {
        let content = vault.get(Area::Changes, &id, name).await?;
        let step = GuardedStep::decode(content).map_err(|error| damaged(error.to_string()))?;
        if *name != step_name(steps.len() + 1) || step.change_hash != change.hash {
            return Err(damaged(format!("{name} does not belong there")));
        }
        steps.push(step);
    }
    Ok(Journal {
        number,
        change,
        steps,
    })
}

fn step_name(number: usize) -> String {
    format!("step/{number:06}")
}

fn created(put: Result<(), StoreError>) -> Result<bool, Error> {
    match put {
        Ok(()) => Ok(true),
        Err(StoreError::Exists { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Journal {
    /// Takes the next step; false where somebody else was faster.
    pub(crate) async fn take(&self, vault: &TenantVault, step: GuardedStep) -> Result<bool, Error> {
        let step = GuardedStep {
            change_hash: self.change.hash.clone(),
            ..step
        };
        let name = step_name(self.steps.len() + 1);
        let content = step.encode_to_vec().into();
        created(
            vault
                .put(Area::Changes, &id(self.number), &name, content)
                .await,
        )
    }

    /// The last step of a kind.
    pub(crate) fn last(&self, kind: GuardedStepKind) -> Option<&GuardedStep> {
        self.steps.iter().rev().find(|step| step.kind() == kind)
    }

    /// How far it is at a time.
    pub(crate) fn state(&self, now: DateTime<Utc>) -> GuardedChangeState {
        let over =
            |by: Option<&prost_types::Timestamp>| by.and_then(time).is_none_or(|by| now >= by);
        match self.steps.last().map(GuardedStep::kind) {
            None if over(self.change.approve_by_time.as_ref()) => GuardedChangeState::Expired,
            None => GuardedChangeState::Pending,
            Some(GuardedStepKind::Approved) => {
                let step = self.steps.last();
                match over(step.and_then(|step| step.apply_by_time.as_ref())) {
                    true => GuardedChangeState::Expired,
                    false => GuardedChangeState::Approved,
                }
            }
            Some(GuardedStepKind::Begun) => GuardedChangeState::Applying,
            Some(GuardedStepKind::Applied) => GuardedChangeState::Applied,
            Some(GuardedStepKind::Cancelled) => GuardedChangeState::Cancelled,
            Some(GuardedStepKind::Expired) => GuardedChangeState::Expired,
            // A step that this version does not know is none that lets it go on.
            Some(GuardedStepKind::Stale | GuardedStepKind::Unspecified) => {
                GuardedChangeState::Stale
            }
        }
    }

    /// Whether it has not come to its end.
    pub(crate) fn is_open(&self, now: DateTime<Utc>) -> bool {
        matches!(
            self.state(now),
            GuardedChangeState::Pending
                | GuardedChangeState::Approved
                | GuardedChangeState::Applying
        )
    }

    /// The change with what became of it.
    pub(crate) fn message(&self, now: DateTime<Utc>) -> GuardedChange {
        let approved = self.last(GuardedStepKind::Approved);
        let cancelled = self.last(GuardedStepKind::Cancelled);
        let state = self.state(now);
        let ended = match state {
            GuardedChangeState::Pending
            | GuardedChangeState::Approved
            | GuardedChangeState::Applying => None,
            _ => self.steps.last(),
        };
        // What ran out and nobody has noted yet ended when it ran out.
        let ran_out = (state == GuardedChangeState::Expired)
            .then(|| approved.map_or(self.change.approve_by_time, |it| it.apply_by_time));
        let noted = ended.filter(|step| step.kind() != GuardedStepKind::Approved);
        GuardedChange {
            state: state.into(),
            approver: approved.map(|it| it.by.clone()).unwrap_or_default(),
            approve_time: approved.and_then(|it| it.time),
            effective_time: approved.and_then(|it| it.effective_time),
            apply_by_time: approved.and_then(|it| it.apply_by_time),
            end_time: noted.and_then(|it| it.time).or_else(|| ran_out.flatten()),
            cancelled_by: cancelled.map(|it| it.by.clone()).unwrap_or_default(),
            detail: ended.map(|it| it.detail.clone()).unwrap_or_default(),
            ..self.change.clone()
        }
    }
}

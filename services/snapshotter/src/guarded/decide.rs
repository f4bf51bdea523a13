//! Agrees to guarded changes, and calls them off.
//!
//! An approval is of one change, known by its hash, by somebody who did not ask for it,
//! and says from when on the change takes effect: a server setting later, which no call
//! shortens.

use chrono::TimeDelta;
use model::person;
use proto::convert::timestamp;
use proto::v1::{GuardedChange, GuardedChangeState, GuardedStep, GuardedStepKind};
use store::TenantVault;

use super::journal::Journal;
use super::{ChangeError, tell};
use crate::{Context, Error};

/// For how long a change can take effect once its time has come.
pub(super) const TO_APPLY: TimeDelta = TimeDelta::days(7);
/// The longest reason for calling one off, in characters.
const LONGEST: usize = 200;

/// Agrees to a change. Whoever has agreed already may repeat it.
///
/// # Errors
/// [`ChangeError`]: to one of one's own, to another than was read, or too late.
pub(crate) async fn approve(
    context: &Context,
    vault: &TenantVault,
    number: u32,
    caller: Option<String>,
    hash: &str,
) -> Result<GuardedChange, Error> {
    let caller = caller.ok_or(ChangeError::NoCaller)?;
    loop {
        let now = context.deps.clock.now();
        let there = super::load(context, vault, number).await?;
        if person::is_same(&there.change.author, &caller) {
            return Err(ChangeError::Own {
                number,
                author: caller,
            }
            .into());
        }
        if hash != there.change.hash {
            return Err(ChangeError::OtherHash(number).into());
        }
        match there.state(now) {
            GuardedChangeState::Pending => {}
            GuardedChangeState::Approved => return Ok(there.message(now)),
            GuardedChangeState::Expired => return Err(ChangeError::Expired(number).into()),
            state => return Err(ended(&there, state)),
        }
        let effective = now + context.guarded_wait;
        let step = GuardedStep {
            kind: GuardedStepKind::Approved.into(),
            by: caller.clone(),
            time: Some(timestamp(now)),
            effective_time: Some(timestamp(effective)),
            apply_by_time: Some(timestamp(effective + TO_APPLY)),
            ..GuardedStep::default()
        };
        if there.take(vault, step).await? {
            tracing::warn!(tenant = %vault.id(), number, approver = caller, %effective, "a guarded change was approved");
            let answer = told(context, vault, number).await;
            context.approvals.ring(vault.id());
            return answer;
        }
    }
}

/// Calls a change off. To repeat it does no harm.
///
/// # Errors
/// [`ChangeError::Ended`] where it takes effect, or has.
pub(crate) async fn cancel(
    context: &Context,
    vault: &TenantVault,
    number: u32,
    caller: Option<String>,
    reason: &str,
) -> Result<GuardedChange, Error> {
    let caller = caller.ok_or(ChangeError::NoCaller)?;
    let reason = reason.trim();
    if reason.chars().count() > LONGEST || reason.chars().any(char::is_control) {
        return Err(ChangeError::LongReason.into());
    }
    loop {
        let now = context.deps.clock.now();
        let there = super::load(context, vault, number).await?;
        match there.state(now) {
            GuardedChangeState::Pending | GuardedChangeState::Approved => {}
            GuardedChangeState::Cancelled => return Ok(there.message(now)),
            state => return Err(ended(&there, state)),
        }
        let step = GuardedStep {
            kind: GuardedStepKind::Cancelled.into(),
            by: caller.clone(),
            time: Some(timestamp(now)),
            detail: reason.to_owned(),
            ..GuardedStep::default()
        };
        if there.take(vault, step).await? {
            tracing::info!(tenant = %vault.id(), number, caller, "a guarded change was called off");
            return told(context, vault, number).await;
        }
    }
}

/// The change after a step, of which everybody is told.
async fn told(context: &Context, vault: &TenantVault, number: u32) -> Result<GuardedChange, Error> {
    let there = super::load(context, vault, number).await?;
    tell::steps(context, vault, &there).await?;
    context.news.ring(vault.id());
    Ok(there.message(context.deps.clock.now()))
}

fn ended(there: &Journal, state: GuardedChangeState) -> Error {
    let state = match state {
        GuardedChangeState::Applying => "being carried out",
        GuardedChangeState::Applied => "in effect",
        GuardedChangeState::Cancelled => "cancelled",
        GuardedChangeState::Expired => "expired",
        _ => "stale",
    };
    ChangeError::Ended {
        number: there.number,
        state,
    }
    .into()
}

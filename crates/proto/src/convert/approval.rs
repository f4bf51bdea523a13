//! Approvals, and what a policy looks at in a plan.

use chrono::{DateTime, Utc};
use model::approval::{Approval, Grounds, Policy};

use super::diff::{model_object_ref, object_ref};
use super::{InvalidMessage, time, timestamp};
use crate::v1;

/// An approval as a message.
#[must_use]
pub fn approval(approval: &Approval) -> v1::Approval {
    v1::Approval {
        approver: approval.approver.clone(),
        create_time: Some(timestamp(approval.given_at)),
        expire_time: Some(timestamp(approval.expires_at)),
        plan_hash: approval.plan_hash.clone(),
    }
}

/// An approval from its message.
///
/// # Errors
/// [`InvalidMessage`] where a time is missing.
pub fn model_approval(approval: &v1::Approval) -> Result<Approval, InvalidMessage> {
    let at = |field: &str, value: Option<&prost_types::Timestamp>| -> Result<DateTime<Utc>, _> {
        let found = value.and_then(time);
        found.ok_or_else(|| InvalidMessage::new(field, "a time is expected"))
    };
    Ok(Approval {
        approver: approval.approver.clone(),
        given_at: at("approval.create_time", approval.create_time.as_ref())?,
        expires_at: at("approval.expire_time", approval.expire_time.as_ref())?,
        plan_hash: approval.plan_hash.clone(),
    })
}

/// What is looked at in a plan, and the policy of that time, as a message.
#[must_use]
pub fn grounds(grounds: &Grounds, policy: &Policy) -> v1::ApprovalGrounds {
    v1::ApprovalGrounds {
        policy: policy.to_string(),
        conditional_access: grounds.conditional_access,
        privileged: grounds.privileged.iter().map(object_ref).collect(),
        holders_unknown: grounds.holders_unknown,
    }
}

/// The same from its message, for a plan of so many steps.
///
/// # Errors
/// [`InvalidMessage`] where a field does not fit the model.
pub fn model_grounds(
    grounds: &v1::ApprovalGrounds,
    steps: usize,
) -> Result<(Grounds, Policy), InvalidMessage> {
    let policy = grounds.policy.parse();
    let policy = policy.map_err(|error| InvalidMessage::new("grounds.policy", error))?;
    let privileged = grounds.privileged.iter();
    let grounds = Grounds {
        steps,
        conditional_access: grounds.conditional_access,
        privileged: privileged
            .map(|object| model_object_ref(Some(object)))
            .collect::<Result<_, _>>()?,
        holders_unknown: grounds.holders_unknown,
    };
    Ok((grounds, policy))
}

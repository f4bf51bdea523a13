//! Postures.

use chrono::{DateTime, Utc};
use model::TenantId;
use model::posture::{Check, Holders, Layer, Posture, RoleHolders, Status, Told};

use super::{severity, timestamp};
use crate::{name, v1};

/// A posture of a tenant that was read at a time, as a message.
#[must_use]
pub fn posture(tenant: &TenantId, posture: &Posture, read_at: DateTime<Utc>) -> v1::Posture {
    let Holders {
        roles,
        applications,
    } = &posture.holders;
    let applications = applications.iter().flatten();
    let applications = applications.map(|(name, held)| v1::HardDeleteApplication {
        display_name: name.clone(),
        permissions: held.iter().cloned().collect(),
    });
    v1::Posture {
        tenant: name::tenant(tenant),
        read_time: Some(timestamp(read_at)),
        score: points(posture.score()),
        unknown_points: points(posture.unknown_points()),
        checks: posture.checks.iter().map(check).collect(),
        roles: roles.iter().flatten().map(role).collect(),
        applications: applications.collect(),
        snapshot: String::new(),
    }
}

/// The checks of a posture, as far as it is compared with an earlier one; what is newer
/// than this program is left out.
#[must_use]
pub fn model_told(posture: &v1::Posture) -> Vec<Told> {
    let told = |check: &v1::PostureCheck| {
        let status = match check.status() {
            v1::PostureStatus::Good => Status::Good,
            v1::PostureStatus::Finding => Status::Finding,
            v1::PostureStatus::NotKnown => Status::NotKnown,
            v1::PostureStatus::NotReached => Status::NotReached,
            v1::PostureStatus::Unspecified => return None,
        };
        Some(Told {
            id: check.id.clone(),
            status,
            sentence: check.sentence.clone(),
        })
    };
    posture.checks.iter().filter_map(told).collect()
}

fn check(check: &Check) -> v1::PostureCheck {
    let layer = match check.kind.layer {
        Layer::Action => v1::PostureLayer::Action,
        Layer::Context => v1::PostureLayer::Context,
        Layer::Policy => v1::PostureLayer::Policy,
        Layer::Strength => v1::PostureLayer::Strength,
        Layer::Device => v1::PostureLayer::Device,
        Layer::BreakGlass => v1::PostureLayer::BreakGlass,
        Layer::OtherActions => v1::PostureLayer::OtherActions,
        Layer::Reach => v1::PostureLayer::Reach,
    };
    let status = match check.status {
        Status::Good => v1::PostureStatus::Good,
        Status::Finding => v1::PostureStatus::Finding,
        Status::NotKnown => v1::PostureStatus::NotKnown,
        Status::NotReached => v1::PostureStatus::NotReached,
    };
    let severity = check.severity().map(severity);
    v1::PostureCheck {
        id: check.kind.id.to_owned(),
        layer: layer.into(),
        status: status.into(),
        severity: severity.unwrap_or(v1::Severity::Unspecified).into(),
        points: points(check.kind.points),
        sentence: check.sentence.clone(),
        evidence: check.evidence.clone(),
        remedy: check.remedy.clone(),
    }
}

fn role(role: &RoleHolders) -> v1::HardDeleteRole {
    let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    v1::HardDeleteRole {
        display_name: role.name.clone(),
        template_id: role.template.to_string(),
        actions: role.actions.clone(),
        user_count: number(role.users.len()),
        group_count: number(role.groups),
        service_principal_count: number(role.service_principals.len()),
        unknown_count: number(role.others),
    }
}

fn points(points: u32) -> i32 {
    i32::try_from(points).unwrap_or(i32::MAX)
}

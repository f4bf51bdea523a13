//! What a step asks of the tenant: permissions and quota.

use super::{Action, Step};
use crate::catalogue::Lane;
use crate::posture::TO_PROTECT;

/// Writes a second that the documented quota allows: 3,000 in 150 seconds per
/// application and tenant.
const WRITES_PER_SECOND: u32 = 20;
/// A Conditional Access step reads, writes and reads again at one request a second.
const SECONDS_PER_POLICY_STEP: u32 = 3;

impl Step {
    /// The application permissions that its call needs, from the catalogue. What
    /// deletes and restores a type is told apart from what changes it, where the
    /// type has a permission for that.
    #[must_use]
    pub fn permissions(&self) -> Vec<&'static str> {
        if self.action == Action::Protect {
            return vec![TO_PROTECT];
        }
        let all = self.object.object_type.spec().write_permissions;
        let for_bin = |permission: &str| permission.contains(".DeleteRestore.");
        let uses_bin = matches!(self.action, Action::RestoreDeleted | Action::SoftDelete);
        let has_own = all.iter().any(|permission| for_bin(permission));
        all.iter()
            .filter(|permission| !has_own || for_bin(permission) == uses_bin)
            .copied()
            .collect()
    }

    /// What it takes of the time that the documented quota allows, in seconds.
    #[must_use]
    pub fn estimate_seconds(&self) -> f64 {
        match self.object.object_type.spec().lane {
            Lane::ConditionalAccess => f64::from(SECONDS_PER_POLICY_STEP),
            Lane::Directory => 1.0 / f64::from(WRITES_PER_SECOND),
        }
    }
}

/// What steps take together, in whole seconds.
#[must_use]
pub fn estimate_seconds(steps: &[Step]) -> i64 {
    let of = |lane: Lane| {
        let steps = steps.iter();
        let steps = steps.filter(|step| step.object.object_type.spec().lane == lane);
        i64::try_from(steps.count()).unwrap_or(i64::MAX)
    };
    let writes = of(Lane::Directory).saturating_add(i64::from(WRITES_PER_SECOND) - 1);
    let policies = of(Lane::ConditionalAccess).saturating_mul(SECONDS_PER_POLICY_STEP.into());
    (writes / i64::from(WRITES_PER_SECOND)).saturating_add(policies)
}

//! The documented quotas, and this process's part of them.
//!
//! Owns Microsoft's numbers. Waits for nothing; it only says how long.

use std::time::Duration;

use tokio::time::Instant;

use super::bucket::{Bucket, Rate};
use super::cost::{Cost, Lane};
use super::share::Role;

/// Whether the documented quotas are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limits {
    /// Microsoft's quotas hold: no request is sent that would pass them.
    Documented,
    /// The other side has none, as a practice tenant for measurements. Waits
    /// that it orders are kept all the same.
    Off,
}

/// Microsoft's classes of tenants, by their number of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    /// Fewer than 50.
    Small,
    /// 50 to 500.
    Medium,
    /// More than 500.
    Large,
}

impl Size {
    pub(super) fn of_users(users: usize) -> Self {
        match users {
            0..50 => Self::Small,
            50..=500 => Self::Medium,
            _ => Self::Large,
        }
    }

    /// Resource units in ten seconds.
    const fn units(self) -> f64 {
        match self {
            Self::Small => 3_500.0,
            Self::Medium => 5_000.0,
            Self::Large => 8_000.0,
        }
    }
}

/// Which part of the quotas a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Part {
    pub(crate) role: Role,
    /// Processes of the same role, which share what the application has over all tenants.
    pub(crate) replicas: u32,
    pub(crate) limits: Limits,
}

/// What an application may do in one tenant.
pub(super) struct Quota {
    part: Part,
    pub(super) size: Size,
    pub(super) units: Bucket,
    writes: Bucket,
    audit: Bucket,
}

/// What an application may do in all tenants together.
pub(super) struct App {
    pub(super) units: Bucket,
    writes: Bucket,
}

impl App {
    pub(super) fn new(now: Instant) -> Self {
        let full = Bucket::full(now);
        Self {
            units: full,
            writes: full,
        }
    }
}

impl Quota {
    pub(super) fn new(part: Part, now: Instant) -> Self {
        let full = Bucket::full(now);
        Self {
            part,
            size: Size::Small,
            units: full,
            writes: full,
            audit: full,
        }
    }

    /// How long until there is what a request costs.
    pub(super) fn wait(&mut self, now: Instant, app: &mut App, cost: Cost) -> Duration {
        if self.part.limits == Limits::Off {
            return Duration::ZERO;
        }
        let share = self.part.role.share();
        if cost.lane == Lane::Audit {
            let rate = Rate::new(5.0, 10.0, share.audit);
            return self.audit.wait(now, rate, 1.0);
        }
        let each = 1.0 / f64::from(self.part.replicas.max(1));
        let (units, writes) = (f64::from(cost.units), f64::from(cost.writes));
        let of_tenant = Rate::new(self.size.units(), 10.0, share.units);
        let of_app = Rate::new(150_000.0, 20.0, share.units * each);
        let wait = self.units.wait(now, of_tenant, units);
        let wait = wait.max(app.units.wait(now, of_app, units));
        if cost.writes == 0 {
            return wait;
        }
        let of_tenant = Rate::new(3_000.0, 150.0, share.writes);
        let of_app = Rate::new(35_000.0, 300.0, share.writes * each);
        wait.max(self.writes.wait(now, of_tenant, writes))
            .max(app.writes.wait(now, of_app, writes))
    }

    /// Takes what a request costs.
    pub(super) fn take(&mut self, app: &mut App, cost: Cost) {
        if cost.lane == Lane::Audit {
            self.audit.take(1.0);
            return;
        }
        let (units, writes) = (f64::from(cost.units), f64::from(cost.writes));
        self.units.take(units);
        self.writes.take(writes);
        app.units.take(units);
        app.writes.take(writes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_microsofts() {
        let check = |users, size| assert_eq!(Size::of_users(users), size, "{users}");
        check(49, Size::Small);
        check(50, Size::Medium);
        check(500, Size::Medium);
        check(501, Size::Large);
    }
}

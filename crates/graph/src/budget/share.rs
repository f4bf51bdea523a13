//! How the quotas of one tenant are divided between the processes that call Graph.
//!
//! Quotas are per application and tenant, or per tenant alone; processes are
//! many. Each has a fixed part, so that they need not talk to one another.

/// What a process does for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Takes snapshots and reads signals.
    Collector,
    /// Compares the live tenant with snapshots.
    Differ,
    /// Puts back; the only one that writes.
    Restorer,
    /// No other process calls the tenant: everything is this one's.
    Alone,
}

/// A part of each quota, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share {
    pub(crate) units: f64,
    pub(crate) writes: f64,
    pub(crate) audit: f64,
}

impl Role {
    /// The roles that run side by side.
    #[cfg(test)]
    const TOGETHER: [Self; 3] = [Self::Collector, Self::Differ, Self::Restorer];

    /// The fixed shares. A collector reads most; a differ reads what changed; a
    /// restorer reads an object before each write, and alone writes. Shares of
    /// Conditional Access are time slots, see [`super::slots`].
    pub(crate) const fn share(self) -> Share {
        let (units, writes, audit) = match self {
            Self::Collector => (0.5, 0.0, 0.6),
            Self::Differ => (0.2, 0.0, 0.4),
            Self::Restorer => (0.3, 1.0, 0.0),
            Self::Alone => (1.0, 1.0, 1.0),
        };
        Share {
            units,
            writes,
            audit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_quota_is_given_away_twice() {
        let sum = |of: fn(Share) -> f64| -> f64 {
            Role::TOGETHER
                .into_iter()
                .map(|role| of(role.share()))
                .sum()
        };
        for column in [
            sum(|share| share.units),
            sum(|share| share.writes),
            sum(|share| share.audit),
        ] {
            assert!((0.0..=1.0 + 1e-9).contains(&column), "{column}");
        }
    }
}

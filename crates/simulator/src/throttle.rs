//! The documented request budgets, kept as token buckets.
//!
//! Budgets are counted for every caller of a tenant, whichever process it lives in, and for every
//! app over all tenants. This module only decides; the caller turns a refusal into an answer.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Whether the documented limits are enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Throttle {
    /// No limits.
    #[default]
    Off,
    /// The limits that the documentation states.
    Documented,
}

/// A refusal and what the service says about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Refusal {
    /// Seconds to wait; `None` for the Conditional Access lane, which gives no hint.
    pub retry_after: Option<f64>,
    /// The limit that was passed.
    pub limit: Limit,
    /// How much of that limit is used, where 1 is all of it.
    pub usage: f64,
}

/// What a request draws on.
#[derive(Clone, Debug)]
pub(crate) struct Draw<'a> {
    pub app: &'a str,
    pub units: u32,
    pub write: bool,
    /// A write to an application that takes personal accounts.
    pub personal: bool,
    pub lane: Lane,
    pub users: usize,
}

/// Services with limits of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Lane {
    Identity,
    ConditionalAccess,
    Reports,
    Unlimited,
}

impl Lane {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::ConditionalAccess => "conditionalAccess",
            Self::Reports => "reports",
            Self::Unlimited => "unlimited",
        }
    }
}

/// One documented limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    ConditionalAccess,
    Reports,
    /// Resource units per app and tenant.
    Units,
    /// Writes per app and tenant.
    Writes,
    /// Writes per tenant.
    TenantWrites,
    /// Writes to applications that take personal accounts.
    PersonalWrites,
    /// Resource units per app over all tenants.
    AppUnits,
    /// Writes per app over all tenants.
    AppWrites,
}

impl Limit {
    /// The number in `x-ms-throttle-information`.
    pub(crate) fn information(self) -> &'static str {
        match self {
            Self::Units | Self::AppUnits => "ResourceUnitLimitExceeded",
            Self::ConditionalAccess | Self::Reports => "RequestLimitExceeded",
            Self::Writes | Self::TenantWrites | Self::PersonalWrites | Self::AppWrites => {
                "WriteLimitExceeded"
            }
        }
    }

    /// `x-ms-throttle-scope`.
    pub(crate) fn scope(self, app: &str, tenant: &str) -> String {
        match self {
            Self::TenantWrites | Self::ConditionalAccess => format!("Tenant/ReadWrite//{tenant}"),
            Self::AppUnits | Self::AppWrites => format!("Application/ReadWrite/{app}/"),
            _ => format!("Tenant_Application/ReadWrite/{app}/{tenant}"),
        }
    }

    /// A refused call costs resource units all the same; it changed nothing, so it is no write.
    fn is_spent_when_refused(self) -> bool {
        matches!(self, Self::Units | Self::AppUnits)
    }
}

#[derive(Debug)]
struct Bucket {
    level: f64,
    at: f64,
}

/// One bucket that a request draws on.
struct Wanted {
    limit: Limit,
    amount: f64,
    capacity: f64,
    seconds: f64,
}

/// The most that a bucket can be overdrawn: usage is shown up to 1.8.
const OVERDRAFT: f64 = 0.8;

/// The buckets of one tenant, or those of the apps over all tenants.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    buckets: HashMap<(Limit, String), Bucket>,
}

impl Budgets {
    /// Draws on what a tenant grants; answers the highest usage of a bucket.
    pub(crate) fn draw(&mut self, now: f64, draw: &Draw<'_>) -> Result<f64, Refusal> {
        let wanted = |limit, amount, capacity, seconds| Wanted {
            limit,
            amount,
            capacity,
            seconds,
        };
        let mut all = Vec::new();
        match draw.lane {
            Lane::Unlimited => {}
            Lane::ConditionalAccess => all.push(wanted(Limit::ConditionalAccess, 1.0, 1.0, 1.0)),
            Lane::Reports => all.push(wanted(Limit::Reports, 1.0, 5.0, 10.0)),
            Lane::Identity => {
                let units = match draw.users {
                    0..50 => 3_500.0,
                    50..=500 => 5_000.0,
                    _ => 8_000.0,
                };
                all.push(wanted(Limit::Units, f64::from(draw.units), units, 10.0));
                if draw.write {
                    all.push(wanted(Limit::Writes, 1.0, 3_000.0, 150.0));
                    all.push(wanted(Limit::TenantWrites, 1.0, 18_000.0, 300.0));
                }
                if draw.personal {
                    all.push(wanted(Limit::PersonalWrites, 1.0, 60.0, 60.0));
                }
            }
        }
        self.take(now, draw.app, &all)
    }

    /// Draws on what an app is granted over all tenants.
    pub(crate) fn draw_app(&mut self, now: f64, draw: &Draw<'_>) -> Result<f64, Refusal> {
        if draw.lane != Lane::Identity {
            return Ok(0.0);
        }
        let mut all = vec![Wanted {
            limit: Limit::AppUnits,
            amount: f64::from(draw.units),
            capacity: 150_000.0,
            seconds: 20.0,
        }];
        if draw.write {
            all.push(Wanted {
                limit: Limit::AppWrites,
                amount: 1.0,
                capacity: 35_000.0,
                seconds: 300.0,
            });
        }
        self.take(now, draw.app, &all)
    }

    fn take(&mut self, now: f64, app: &str, wanted: &[Wanted]) -> Result<f64, Refusal> {
        let mut levels = Vec::with_capacity(wanted.len());
        for want in wanted {
            // Two limits are the tenant's own, whoever asks.
            let whose = match want.limit {
                Limit::ConditionalAccess | Limit::TenantWrites => "",
                _ => app,
            };
            let key = (want.limit, whose.to_owned());
            let bucket = self.buckets.entry(key.clone()).or_insert(Bucket {
                level: want.capacity,
                at: now,
            });
            let gained = (now - bucket.at).max(0.0) * want.capacity / want.seconds;
            bucket.level = (bucket.level + gained).min(want.capacity);
            bucket.at = now;
            levels.push((key, bucket.level));
        }
        let refused = levels
            .iter()
            .zip(wanted)
            .any(|((_, level), want)| *level < want.amount);
        let mut usage: f64 = 0.0;
        let mut refusal: Option<Refusal> = None;
        for ((key, level), want) in levels.into_iter().zip(wanted) {
            let spent = !refused || want.limit.is_spent_when_refused();
            let left = if spent { level - want.amount } else { level };
            let left = left.max(-OVERDRAFT * want.capacity);
            if let Some(bucket) = self.buckets.get_mut(&key) {
                bucket.level = left;
            }
            let used = 1.0 - left / want.capacity;
            usage = usage.max(used);
            if level < want.amount {
                let wait = (want.amount - left) * want.seconds / want.capacity;
                if refusal.is_none_or(|held| held.retry_after.is_some_and(|held| held < wait)) {
                    let hint = want.limit != Limit::ConditionalAccess;
                    refusal = Some(Refusal {
                        retry_after: hint.then_some(wait),
                        limit: want.limit,
                        usage: used,
                    });
                }
            }
        }
        refusal.map_or(Ok(usage), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::{Budgets, Draw, Lane, Limit};

    fn draw(lane: Lane, write: bool) -> Draw<'static> {
        Draw {
            app: "a",
            units: 1,
            write,
            personal: false,
            lane,
            users: 10,
        }
    }

    #[test]
    fn conditional_access_allows_one_request_a_second_without_a_hint() {
        let mut budgets = Budgets::default();
        let policies = draw(Lane::ConditionalAccess, false);
        assert!(budgets.draw(0.0, &policies).is_ok());
        let other = Draw {
            app: "b",
            ..policies.clone()
        };
        let refusal = budgets.draw(0.5, &other).unwrap_err();
        assert_eq!(
            (refusal.limit, refusal.retry_after),
            (Limit::ConditionalAccess, None)
        );
        assert!(budgets.draw(1.1, &policies).is_ok());
    }

    #[test]
    fn writes_are_limited_to_three_thousand_in_a_burst_and_twenty_a_second_after() {
        let mut budgets = Budgets::default();
        let mut refused_at = None;
        for n in 0..3_100 {
            if budgets.draw(0.0, &draw(Lane::Identity, true)).is_err() {
                refused_at = Some(n);
                break;
            }
        }
        assert_eq!(refused_at, Some(3_000));
        let served = (0..100)
            .filter(|_| budgets.draw(1.0, &draw(Lane::Identity, true)).is_ok())
            .count();
        assert_eq!(served, 20);
    }

    #[test]
    fn refused_calls_cost_units_so_hammering_makes_the_wait_longer() {
        let mut budgets = Budgets::default();
        let heavy = Draw {
            units: 1_000,
            ..draw(Lane::Identity, false)
        };
        let usage: Vec<f64> = (0..3)
            .map(|_| budgets.draw(0.0, &heavy).expect("within the limit"))
            .collect();
        assert!(usage[1] < 0.8 && usage[2] > 0.8, "{usage:?}");
        let first = budgets.draw(0.0, &heavy).unwrap_err();
        let second = budgets.draw(0.0, &heavy).unwrap_err();
        assert!(second.retry_after > first.retry_after);
        for _ in 0..20 {
            let refusal = budgets.draw(0.0, &heavy).unwrap_err();
            assert!(refusal.usage <= 1.8, "{refusal:?}");
        }
        let wait = budgets.draw(0.0, &heavy).unwrap_err().retry_after.unwrap();
        assert!(
            budgets.draw(wait + 0.001, &heavy).is_ok(),
            "the hint is enough"
        );
    }

    #[test]
    fn an_app_has_limits_over_all_tenants_and_personal_apps_a_small_one() {
        let mut apps = Budgets::default();
        let heavy = Draw {
            units: 75_000,
            ..draw(Lane::Identity, false)
        };
        assert!(apps.draw_app(0.0, &heavy).is_ok() && apps.draw_app(0.0, &heavy).is_ok());
        assert_eq!(
            apps.draw_app(0.0, &heavy).unwrap_err().limit,
            Limit::AppUnits
        );
        let mut budgets = Budgets::default();
        let personal = Draw {
            personal: true,
            ..draw(Lane::Identity, true)
        };
        let served = (0..100)
            .take_while(|_| budgets.draw(0.0, &personal).is_ok())
            .count();
        assert_eq!(served, 60);
        assert!(budgets.draw(0.0, &draw(Lane::Identity, true)).is_ok());
    }
}

//! A caller and what they may do, for whom.
//!
//! Owns the rule that a role counts only for the tenants that it was given for, however
//! many there are of both.

use model::TenantId;
use proto::v1::Role;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The tenants that a caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenants {
    /// All, also those registered later.
    All,
    /// Only these.
    Only(BTreeSet<TenantId>),
}

impl Tenants {
    /// Whether a tenant is one of them.
    #[must_use]
    pub fn has(&self, tenant: &TenantId) -> bool {
        match self {
            Self::All => true,
            Self::Only(tenants) => tenants.contains(tenant),
        }
    }

    /// Whether all of others are among them.
    #[must_use]
    pub fn cover(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::All, _) => true,
            (Self::Only(_), Self::All) => false,
            (Self::Only(own), Self::Only(others)) => others.is_subset(own),
        }
    }

    fn join(&mut self, others: &Self) {
        match (&mut *self, others) {
            (Self::Only(own), Self::Only(others)) => own.extend(others.iter().cloned()),
            (Self::All, _) => {}
            (_, Self::All) => *self = Self::All,
        }
    }
}

/// Roles, and the tenants for which they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// What may be done.
    pub roles: BTreeSet<Role>,
    /// For whom.
    pub tenants: Tenants,
}

impl Permit {
    fn has_one_of(&self, roles: &BTreeSet<Role>) -> bool {
        self.roles
            .iter()
            .any(|role| *role != Role::Unspecified && roles.contains(role))
    }
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What the caller is called at the services behind and in what they store.
    pub name: String,
    /// All roles of the caller, each perhaps for other tenants: for showing, and for a
    /// caller [within](Caller::within) the roles of a method.
    pub roles: BTreeSet<Role>,
    /// All tenants of the caller; likewise.
    pub tenants: Tenants,
    permits: Vec<Permit>,
}

impl Caller {
    /// A caller whose roles hold for the same tenants.
    #[must_use]
    pub fn new(name: String, roles: BTreeSet<Role>, tenants: Tenants) -> Self {
        Self::with(name, vec![Permit { roles, tenants }])
    }

    /// A caller with several permits, or with none, who may do nothing.
    #[must_use]
    pub fn with(name: String, permits: Vec<Permit>) -> Self {
        let mut tenants = Tenants::Only(BTreeSet::new());
        for permit in &permits {
            tenants.join(&permit.tenants);
        }
        let roles = permits.iter().flat_map(|permit| permit.roles.iter());
        Self {
            name,
            roles: roles.copied().collect(),
            tenants,
            permits,
        }
    }

    /// The name as people read it.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        model::person::shown(&self.name)
    }

    /// Whether the caller has one of these roles, for whichever tenant.
    #[must_use]
    pub fn has_one_of(&self, roles: &BTreeSet<Role>) -> bool {
        self.permits.iter().any(|permit| permit.has_one_of(roles))
    }

    /// Whether the caller may know of this tenant.
    #[must_use]
    pub fn may_see(&self, tenant: &TenantId) -> bool {
        self.tenants.has(tenant)
    }

    /// Whether the caller has each of these roles for each of these tenants.
    #[must_use]
    pub fn holds(&self, roles: &BTreeSet<Role>, tenants: &Tenants) -> bool {
        let has = |role: &Role| {
            let with = self.permits.iter().filter(|it| it.roles.contains(role));
            let mut own = Tenants::Only(BTreeSet::new());
            with.for_each(|permit| own.join(&permit.tenants));
            own.cover(tenants)
        };
        roles.iter().all(has)
    }

    /// The same caller with only what counts where one of these roles is needed;
    /// `None` where there is nothing.
    #[must_use]
    pub fn within(self: &Arc<Self>, roles: &BTreeSet<Role>) -> Option<Arc<Self>> {
        let counts = |permit: &&Permit| permit.has_one_of(roles);
        match self.permits.iter().filter(counts).count() {
            0 => None,
            all if all == self.permits.len() => Some(Arc::clone(self)),
            _ => {
                let permits = self.permits.iter().filter(counts).cloned().collect();
                Some(Arc::new(Self::with(self.name.clone(), permits)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0a1b2c3d-0000-4000-8000-00000000000a";
    const B: &str = "0a1b2c3d-0000-4000-8000-00000000000b";

    fn only(ids: &[&str]) -> Tenants {
        let ids = ids.iter().map(|id| TenantId::parse(id).expect("valid"));
        Tenants::Only(ids.collect())
    }

    fn permit(roles: &[Role], tenants: Tenants) -> Permit {
        Permit {
            roles: roles.iter().copied().collect(),
            tenants,
        }
    }

    fn caller(permits: Vec<Permit>) -> Arc<Caller> {
        Arc::new(Caller::with("anna#1".to_owned(), permits))
    }

    #[test]
    fn a_role_counts_only_for_the_tenants_that_it_was_given_for() {
        let caller = caller(vec![
            permit(&[Role::Reader], Tenants::All),
            permit(&[Role::Administrator], only(&[A])),
            permit(&[Role::Approver], only(&[B])),
        ]);
        let sees = |roles: &[Role], id: &str| {
            let roles = roles.iter().copied().collect();
            let within = caller.within(&roles);
            within.is_some_and(|it| it.may_see(&TenantId::parse(id).expect("valid")))
        };
        for (roles, in_a, in_b) in [
            (&[Role::Administrator][..], true, false),
            (&[Role::Approver], false, true),
            (&[Role::Administrator, Role::Approver], true, true),
            (&[Role::Reader, Role::Administrator], true, true),
            (&[Role::Operator], false, false),
            (&[], false, false),
        ] {
            assert_eq!((sees(roles, A), sees(roles, B)), (in_a, in_b), "{roles:?}");
        }
        let administrator = caller.within(&[Role::Administrator].into()).expect("some");
        assert_eq!(administrator.tenants, only(&[A]));
        assert_eq!(administrator.name, caller.name);
    }

    #[test]
    fn what_is_held_is_held_for_each_tenant() {
        let caller = caller(vec![
            permit(&[Role::Reader], Tenants::All),
            permit(&[Role::Approver], only(&[A])),
            permit(&[Role::Approver], only(&[B])),
        ]);
        for (roles, tenants, expected) in [
            (&[Role::Reader][..], Tenants::All, true),
            (&[Role::Approver], only(&[A, B]), true),
            (&[Role::Approver], Tenants::All, false),
            (&[Role::Reader, Role::Approver], only(&[A]), true),
            (&[Role::Operator], only(&[A]), false),
            (&[Role::Operator], only(&[]), true),
        ] {
            let roles = roles.iter().copied().collect();
            assert_eq!(caller.holds(&roles, &tenants), expected, "{roles:?}");
        }
    }

    #[test]
    fn an_unspecified_role_grants_nothing() {
        let caller = caller(vec![permit(&[Role::Unspecified], Tenants::All)]);
        let roles = [Role::Unspecified, Role::Reader].into();
        assert!(!caller.has_one_of(&roles) && caller.within(&roles).is_none());
    }
}

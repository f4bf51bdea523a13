//! A made-up company, the same for the same tenant id and seed.
//!
//! Everything here is invented; names come from the short lists in [`names`]. Population happens
//! before the tenant's history begins, so it is in no delta round and in no audit record.

mod apps;
mod conditional;
mod names;
mod people;
mod reach;
mod teams;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::Kind;
use crate::ids::Ids;
use crate::record::{Object, Record};
use crate::state::State;
use crate::tenant::Tenant;

/// How large a company to make up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Population {
    /// Users, guests and emergency accounts included; at least 24 are made.
    pub users: usize,
    /// Groups; at least 12 are made.
    pub groups: usize,
    /// Chance, repeatable.
    pub seed: u64,
}

impl Default for Population {
    fn default() -> Self {
        Self {
            users: 250,
            groups: 40,
            seed: 1,
        }
    }
}

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Populated {
    /// Live users.
    pub users: usize,
    /// Live groups.
    pub groups: usize,
    /// Applications.
    pub applications: usize,
    /// Service principals, Microsoft's included.
    pub service_principals: usize,
    /// Conditional Access policies.
    pub policies: usize,
    /// Named locations.
    pub locations: usize,
    /// Administrative units.
    pub administrative_units: usize,
    /// Ids of the emergency accounts that every policy excludes.
    pub break_glass: Vec<String>,
}

const FEWEST_USERS: usize = 24;
const FEWEST_GROUPS: usize = 12;

/// The half-built company.
struct Company<'a> {
    state: &'a mut State,
    ids: Ids,
    domain: &'a str,
    tenant_id: &'a str,
    /// Cloud-mastered employees by department.
    staff: Vec<Vec<Uuid>>,
    employees: Vec<Uuid>,
    guests: Vec<Uuid>,
    break_glass: Vec<Uuid>,
    cloud_groups: Vec<Uuid>,
}

pub(crate) fn populate(tenant: &Tenant, population: &Population) -> Populated {
    let mut guard = tenant.state.write();
    let state = &mut *guard;
    let ids = Ids::seeded(population.seed ^ state.ids.number());
    state.history.mute();
    let mut company = Company {
        state,
        ids,
        domain: &tenant.domain,
        tenant_id: &tenant.spec.id,
        staff: vec![Vec::new(); names::DEPARTMENTS.len()],
        employees: Vec::new(),
        guests: Vec::new(),
        break_glass: Vec::new(),
        cloud_groups: Vec::new(),
    };
    let users = population.users.max(FEWEST_USERS);
    people::hire(&mut company, users);
    teams::form(&mut company, population.groups.max(FEWEST_GROUPS));
    apps::deploy(&mut company, (users / 40).max(6));
    conditional::protect(&mut company);
    // Last, so that all before stays the same whatever is added here.
    reach::extend(&mut company);
    let break_glass = company
        .break_glass
        .iter()
        .map(ToString::to_string)
        .collect();
    state.history.unmute();
    Populated {
        users: state.all(Kind::User).len(),
        groups: state.all(Kind::Group).len(),
        applications: state.all(Kind::Application).len(),
        service_principals: state.all(Kind::ServicePrincipal).len(),
        policies: state.all(Kind::Policy).len(),
        locations: state.all(Kind::Location).len(),
        administrative_units: state.all(Kind::AdministrativeUnit).len(),
        break_glass,
    }
}

impl Company<'_> {
    fn add(&mut self, kind: Kind, properties: Value) -> Uuid {
        let id = self.ids.guid();
        self.add_as(kind, id, properties);
        id
    }

    fn add_as(&mut self, kind: Kind, id: Uuid, properties: Value) {
        let map: Map<String, Value> = match properties {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let (record, unknown) = Record::from_map(kind, &map);
        debug_assert!(
            unknown.is_empty(),
            "populated with unknown properties {unknown:?}"
        );
        self.state.insert(Object { id, kind, record });
    }

    /// A day in the years before the tenant's history begins.
    fn past_date(&mut self) -> String {
        format!(
            "20{}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            22 + self.ids.below(4),
            1 + self.ids.below(12),
            1 + self.ids.below(28),
            7 + self.ids.below(11),
            self.ids.below(60),
            self.ids.below(60),
        )
    }
}

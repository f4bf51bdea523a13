//! Everyday changes on request: people change department, and groups gain and lose members.
//!
//! The one place behind `POST mutate`; it changes nothing that a person could not change in a day.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::catalog::{Kind, Relation};
use crate::ids::Ids;
use crate::simulator::TenantHandle;
use crate::state::State;

/// Makes `changes` changes, half of them to users, half to members.
pub(super) fn mutate(tenant: &TenantHandle, seed: u64, changes: usize) -> Value {
    let mut dice = Ids::seeded(seed);
    let mut guard = tenant.tenant.state.write();
    let state = &mut *guard;
    let users: Vec<Uuid> = state.all(Kind::User).keys().copied().collect();
    let groups: Vec<Uuid> = state
        .all(Kind::Group)
        .values()
        .filter(|group| !group.has_item("groupTypes", "DynamicMembership"))
        .map(|group| group.id)
        .collect();
    let (mut departments, mut members) = (0, 0);
    for change in 0..changes {
        if users.is_empty() {
            break;
        }
        let user = *dice.pick(&users);
        if change % 2 == 0 || groups.is_empty() {
            let department = format!("Department {}", dice.number());
            let map = Map::from_iter([("department".to_owned(), department.into())]);
            state.update(Kind::User, user, &map);
            departments += 1;
        } else {
            toggle(state, *dice.pick(&groups), user);
            members += 1;
        }
    }
    json!({ "departments": departments, "members": members })
}

fn toggle(state: &mut State, group: Uuid, user: Uuid) {
    if !state.unlink(Relation::Members, Kind::Group, group, user) {
        state.link_ids(Relation::Members, Kind::Group, group, user);
    }
}

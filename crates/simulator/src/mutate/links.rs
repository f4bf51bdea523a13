//! Links: members, owners, managers, sponsors.

use serde_json::json;
use uuid::Uuid;

use super::{Move, Mutator, path};
use crate::catalog::{Kind, Relation};

pub(super) const MOVES: &[(usize, Move)] = &[
    (14, |m| {
        let kind = *m.ids.pick(&[
            Kind::User,
            Kind::User,
            Kind::User,
            Kind::Group,
            Kind::ServicePrincipal,
        ]);
        add(m, Kind::Group, Relation::Members, kind)
    }),
    (10, |m| remove(m, Kind::Group, Relation::Members)),
    (2, |m| add(m, Kind::Group, Relation::Owners, Kind::User)),
    (2, |m| remove(m, Kind::Group, Relation::Owners)),
    (2, |m| {
        add(m, Kind::Application, Relation::Owners, Kind::User)
    }),
    (2, |m| remove(m, Kind::Application, Relation::Owners)),
    (2, |m| {
        add(m, Kind::ServicePrincipal, Relation::Owners, Kind::User)
    }),
    (2, |m| remove(m, Kind::ServicePrincipal, Relation::Owners)),
    (5, set_manager),
    (2, |m| remove(m, Kind::User, Relation::Manager)),
    (3, |m| {
        let kind = *m.ids.pick(&[Kind::User, Kind::User, Kind::Group]);
        add(m, Kind::User, Relation::Sponsors, kind)
    }),
    (2, remove_sponsor),
    (4, |m| {
        let kind = *m.ids.pick(&[Kind::User, Kind::User, Kind::Group]);
        add(m, Kind::AdministrativeUnit, Relation::Members, kind)
    }),
    (3, |m| {
        remove(m, Kind::AdministrativeUnit, Relation::Members)
    }),
];

fn add(m: &mut Mutator<'_>, kind: Kind, relation: Relation, to: Kind) -> Option<String> {
    let (from, to) = (m.any(kind)?, m.any(to)?);
    let path = format!("{}/{}/$ref", path(kind, from), relation.name());
    m.write("POST", &path, Some(&reference(to)))
}

fn reference(to: Uuid) -> serde_json::Value {
    json!({ "@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{to}") })
}

fn set_manager(m: &mut Mutator<'_>) -> Option<String> {
    let (user, manager) = (m.any(Kind::User)?, m.any(Kind::User)?);
    let path = format!("{}/manager/$ref", path(Kind::User, user));
    m.write("PUT", &path, Some(&reference(manager)))
}

fn remove(m: &mut Mutator<'_>, kind: Kind, relation: Relation) -> Option<String> {
    let from = m.any(kind)?;
    cut(m, kind, relation, from)
}

/// Few users have sponsors, so a target is looked up from a guest's own links.
fn remove_sponsor(m: &mut Mutator<'_>) -> Option<String> {
    let from = m.ids.guid();
    let sponsored = m.read(|state| {
        let some = state.all(Kind::User).range(from..).take(200);
        some.map(|(id, _)| *id)
            .find(|id| !state.targets(Relation::Sponsors, *id).is_empty())
    })?;
    cut(m, Kind::User, Relation::Sponsors, sponsored)
}

fn cut(m: &mut Mutator<'_>, kind: Kind, relation: Relation, from: Uuid) -> Option<String> {
    let count = m.read(|state| state.targets(relation, from).len());
    if count == 0 {
        return None;
    }
    let at = m.ids.below(count);
    let to = m.read(|state| state.targets(relation, from).get(at).copied())?;
    let path = path(kind, from);
    let name = relation.name();
    match relation {
        Relation::Manager => m.write("DELETE", &format!("{path}/{name}/$ref"), None),
        _ => m.write("DELETE", &format!("{path}/{name}/{to}/$ref"), None),
    }
}

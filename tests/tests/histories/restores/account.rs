//! What is left different between a snapshot and a tenant after a restore, by the simulator's
//! account of both, and whether the plan said so.

use std::collections::{BTreeSet, HashSet};

use model::call::Call;
use model::catalogue::OWNER;
use model::plan::Exclusion;
use model::snapshot::Kind;
use model::{LinkKind, ObjectType};
use serde_json::Value;

use super::deletes;
use crate::oracle::{Things, told};

/// What the plan left out, by id and part.
struct Excuses<'e> {
    parts: HashSet<(&'e str, &'e str)>,
    /// Objects that are gone for good, with all that belongs to them.
    gone: HashSet<String>,
    /// Objects that stay which were not there.
    stay: HashSet<String>,
}

/// What differs, and no plan said that it would.
pub(super) fn wrong(states: [&Value; 2], exclusions: &[Exclusion]) -> Vec<String> {
    let parts = exclusions
        .iter()
        .map(|one| (one.object.id.as_str(), one.part.as_str()))
        .collect();
    let mut excuses = Excuses {
        parts,
        gone: HashSet::new(),
        stay: HashSet::new(),
    };
    let mut wrong = Vec::new();
    let (own, tying): (Vec<ObjectType>, Vec<ObjectType>) = ObjectType::ALL
        .into_iter()
        .partition(|object_type| object_type.spec().relation.is_none());
    for object_type in own {
        let sides = states.map(|state| told(state, Kind::Objects(object_type)));
        each(
            &sides,
            |key, sides| excuses.object(object_type, key, sides),
            &mut wrong,
        );
    }
    for object_type in tying {
        let sides = states.map(|state| told(state, Kind::Objects(object_type)));
        each(
            &sides,
            |key, sides| excuses.relation(object_type, key, sides, exclusions),
            &mut wrong,
        );
    }
    for kind in LinkKind::ALL {
        let sides = states.map(|state| told(state, Kind::Links(kind)));
        let ruled = |source: &str| {
            states
                .iter()
                .any(|state| follows_a_rule(state, kind, source))
        };
        each(
            &sides,
            |key, sides| excuses.link(kind, key, sides, &ruled),
            &mut wrong,
        );
    }
    wrong
}

/// Whether the members of an object follow from a rule.
fn follows_a_rule(state: &Value, kind: LinkKind, source: &str) -> bool {
    let body = &state["objects"][kind.source_type().name()][source];
    match kind {
        LinkKind::GroupMembers => {
            let types = body["groupTypes"].as_array();
            types.is_some_and(|types| types.contains(&"DynamicMembership".into()))
        }
        LinkKind::AdministrativeUnitMembers => body["membershipType"] == "Dynamic",
        _ => false,
    }
}

fn each(
    [before, after]: &[Things; 2],
    mut judge: impl FnMut(&str, [Option<&Value>; 2]) -> Option<String>,
    wrong: &mut Vec<String>,
) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let sides = [before.get(key), after.get(key)];
        if sides[0] != sides[1] {
            wrong.extend(judge(key, sides));
        }
    }
}

impl Excuses<'_> {
    fn has(&self, id: &str, part: &str) -> bool {
        self.parts.contains(&(id, part))
    }

    /// Whether the plan leaves a property alone, or one part of it.
    fn has_property(&self, id: &str, property: &str) -> bool {
        self.has(id, "")
            || self
                .parts
                .iter()
                .any(|(of, part)| *of == id && part.split(['.', '/']).next() == Some(property))
    }

    fn object(
        &mut self,
        object_type: ObjectType,
        id: &str,
        sides: [Option<&Value>; 2],
    ) -> Option<String> {
        let excused = self.has(id, "");
        match sides {
            [Some(_), None] if excused => {
                self.gone.insert(id.to_owned());
            }
            [None, Some(_)] if excused => {
                self.stay.insert(id.to_owned());
            }
            [Some(_), None] => return Some(format!("{object_type} {id} is missing")),
            [None, _] => return Some(format!("{object_type} {id} is there still")),
            [Some(before), Some(after)] => {
                let names = [before, after].map(|body| body.as_object().into_iter().flatten());
                let names: BTreeSet<&String> =
                    names.into_iter().flatten().map(|(name, _)| name).collect();
                let left: Vec<String> = names
                    .into_iter()
                    .filter(|name| before.get(*name) != after.get(*name))
                    .filter(|name| !self.has_property(id, name))
                    .map(|name| {
                        let value = |body: &Value| body.get(name).cloned().unwrap_or_default();
                        format!("{name} was {} and is {}", value(before), value(after))
                    })
                    .collect();
                if !left.is_empty() {
                    return Some(format!("{object_type} {id}: {}", left.join("; ")));
                }
            }
        }
        None
    }

    /// What only ties others together goes and stays with them.
    fn relation(
        &self,
        object_type: ObjectType,
        key: &str,
        sides: [Option<&Value>; 2],
        exclusions: &[Exclusion],
    ) -> Option<String> {
        let ends: HashSet<&str> = sides
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .flatten()
            .filter_map(|(_, value)| value.as_str())
            .chain(key.split([' ', '/']))
            .collect();
        let with = |held: &HashSet<String>| ends.iter().any(|end| held.contains(*end));
        let excused = match sides {
            [Some(_), None] => with(&self.gone),
            [None, Some(_)] => with(&self.stay),
            _ => false,
        };
        // Their own ids are no part of the account.
        let told = exclusions.iter().any(|one| {
            one.object.object_type == object_type
                && (one.object.id.as_str() == key || one.part.is_empty() && sides[0].is_none())
        });
        (!excused && !told).then(|| {
            format!(
                "{object_type} {key} ({OWNER}): was {:?} and is {:?}",
                sides[0], sides[1]
            )
        })
    }

    fn link(
        &self,
        kind: LinkKind,
        key: &str,
        sides: [Option<&Value>; 2],
        ruled: &dyn Fn(&str) -> bool,
    ) -> Option<String> {
        let (source, target) = key.split_once(' ').unwrap_or((key, ""));
        let held = if sides[1].is_none() {
            &self.gone
        } else {
            &self.stay
        };
        let excused = held.contains(source)
            || held.contains(target)
            || ruled(source)
            || self.has(source, "")
            || self.has(source, &format!("{}:{target}", kind.name()));
        let what = if sides[1].is_none() {
            "is missing"
        } else {
            "is there still"
        };
        (!excused).then(|| format!("{} {key} {what}", kind.name()))
    }
}

/// The objects that were deleted and are in no recycle bin.
pub(super) fn hard_deleted(written: &[Call], state: &Value) -> Vec<String> {
    let in_a_bin = |id: &str| {
        let bins = state["deleted"].as_object().into_iter().flatten();
        let mut bins = bins.map(|(_, bin)| bin);
        bins.any(|bin| bin.get(id).is_some())
    };
    let ties = |path: &str| {
        [
            "/oauth2PermissionGrants/",
            "/appRoleAssignedTo/",
            "/roleAssignments/",
            "/federatedIdentityCredentials/",
        ]
        .iter()
        .any(|part| path.contains(part))
    };
    let gone = written.iter().filter(|call| deletes(call)).filter(|call| {
        let id = call.path.rsplit('/').next().unwrap_or_default();
        id != "$ref" && !ties(&call.path) && !in_a_bin(id)
    });
    gone.map(|call| format!("deleted for good: {}", call.path))
        .collect()
}

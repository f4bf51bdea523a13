//! What to write so that a tenant is again what a snapshot says.
//!
//! A pure function of the snapshot, the live state and the choices. The plan
//! is complete before anything is written: every Graph call stands in it, with
//! what it expects to find, and everything that will not be done, with the
//! reason. It never plans a hard delete.

mod cost;
mod credentials;
mod links;
mod lockout;
mod objects;
mod order;
mod parts;
mod record;
mod recreate;
mod relations;
mod rename;
mod states;
mod undo;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use crate::call::Call;
use crate::canonical;
use crate::catalogue::{Class, ObjectType, TypeSpec};
use crate::diff::{AttributeChange, Change, ChangeKind, Difference, LinkChange, Obstacle, Scope};
use crate::id::ObjectId;
use crate::lockout::Accounts;
use crate::object::ObjectRef;
use crate::references::Reference;
use crate::snapshot::Content;

pub use cost::estimate_seconds;
pub use links::add_call;
pub use parts::{InvalidPart, Parts};
pub(crate) use record::set_at;
pub use record::{STATE, state};
pub use rename::referring;
pub use undo::{Applied, Undoing, undo};

/// What becomes of objects, and of credentials, that were added since the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Added {
    /// They stay; the plan lists them.
    #[default]
    Keep,
    /// They are soft-deleted where their type can be.
    SoftDelete,
}

/// What becomes of links, and of objects that only tie others together: grants,
/// assignments, federated credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Relationships {
    /// Exactly those of the snapshot.
    #[default]
    Rollback,
    /// What is missing is added, nothing is removed.
    Merge,
    /// All stay as they are.
    Skip,
}

/// In which state Conditional Access policies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CaState {
    /// As in the snapshot.
    #[default]
    Snapshot,
    /// Those that were enabled in report-only mode, for a person to enable.
    ReportOnly,
}

/// What becomes of policies that could keep break-glass accounts, or every Global
/// Administrator, from signing in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lockout {
    /// They stay as they are.
    #[default]
    Refused,
    /// They are written, and the plan says whom they could lock out.
    Accepted,
}

/// What becomes of objects that are hard-deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HardDeleted {
    /// They stay away; the plan lists them.
    #[default]
    Leave,
    /// Others are made in their place, under new ids.
    MakeAnew,
}

/// The choices that a plan is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Objects added since.
    pub added: Added,
    /// Links, and objects that only tie others together.
    pub relationships: Relationships,
    /// Conditional Access policies.
    pub ca_state: CaState,
    /// Policies that could lock people out.
    pub lockout: Lockout,
    /// Objects that are hard-deleted.
    pub hard_deleted: HardDeleted,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Brings a soft-deleted object back.
    RestoreDeleted,
    /// Switches entries off that may only then be changed or removed.
    DisableEntries,
    /// Sets attributes back.
    Update,
    /// Adds links.
    AddLinks,
    /// Removes one link.
    RemoveLink,
    /// Makes a trusted location untrusted, so that it can be deleted.
    Untrust,
    /// Soft-deletes an object that was added since.
    SoftDelete,
    /// Makes an object anew that only ties others together.
    MakeAnew,
    /// Removes one that was added since.
    RemoveRelation,
    /// Removes a credential that was added since.
    RemoveCredential,
    /// Makes an object in place of one that is hard-deleted.
    Recreate,
    /// Makes an object that no snapshot has, unless one that says the same is there.
    Create,
    /// Sets which authentication context protects an action; the object is the context.
    Protect,
}

/// What a property must be before a step, and is after it, as canonical hashes.
///
/// The property with the empty name stands for everything that is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Graph's name of the property.
    pub property: String,
    /// Hash of the value that the plan saw; empty for nothing.
    pub before: String,
    /// Hash of the value that the step leaves; empty for nothing.
    pub after: String,
}

impl Guard {
    /// The hash of what it speaks of as a body has it; `None` where the catalogue
    /// does not know the property. One entry of a property is
    /// `{property}/{entry}`.
    #[must_use]
    pub fn found_in(&self, spec: &TypeSpec, body: &Map<String, Value>) -> Option<String> {
        let (name, entry) = self.parts();
        let property = spec.property(name)?;
        let value = canonical::property(property, body.get(name));
        Some(canonical::hash(match entry {
            None => value.as_ref(),
            Some(entry) => value.as_ref().and_then(|value| value.get(entry)),
        }))
    }
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Position in the plan, from 1.
    pub number: u32,
    /// What it does.
    pub action: Action,
    /// The object it changes.
    pub object: ObjectRef,
    /// Why, in a sentence.
    pub reason: String,
    /// The attributes it sets, from the live value to the snapshot's.
    pub attributes: Vec<AttributeChange>,
    /// The links it adds or removes.
    pub links: Vec<LinkChange>,
    /// What it expects.
    pub guards: Vec<Guard>,
    /// The Graph call.
    pub call: Call,
    /// Steps that must have succeeded before.
    pub after: Vec<u32>,
    /// The ids among those that it names, `appId`s included, that stand for objects
    /// which other steps make anew.
    pub made_anew: Vec<ObjectId>,
}

/// Something that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// The object concerned.
    pub object: ObjectRef,
    /// Why.
    pub obstacle: Obstacle,
    /// The attribute path, or `relation:id` of a link; empty for the whole object.
    pub part: String,
    /// The same in a sentence.
    pub detail: String,
}

/// The state of a Conditional Access policy that is evaluated and binds nobody.
const REPORT_ONLY: &str = "enabledForReportingButNotEnforced";

/// How an [`Exclusion`] and a verification name a link.
#[must_use]
pub fn link_part(link: &LinkChange) -> String {
    format!("{}:{}", link.kind.name(), link.target)
}

/// A restore as it would be done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The writes, in order.
    pub steps: Vec<Step>,
    /// What is left out.
    pub exclusions: Vec<Exclusion>,
    /// What may go wrong, in plain words.
    pub risks: Vec<String>,
}

/// Everything that a plan follows from.
#[derive(Debug)]
pub struct Situation<'a> {
    /// From the snapshot to the live tenant, fresh.
    pub difference: &'a Difference,
    /// What the restore is about.
    pub scope: &'a Scope,
    /// The snapshot.
    pub base: &'a Content,
    /// The live tenant, at least the objects that the difference speaks of.
    pub live: &'a Content,
    /// The objects that policies may name: those that exist in the live tenant.
    pub resolved: &'a HashSet<Reference>,
    /// The objects through which this program itself has access to the tenant.
    pub own: &'a HashSet<ObjectId>,
    /// The types that the application must not write, with the permissions that it
    /// lacks.
    pub lacking: &'a BTreeMap<ObjectType, Vec<&'static str>>,
    /// The accounts that must be able to sign in; looked at where policies are written.
    pub accounts: &'a Accounts,
    /// The choices.
    pub options: Options,
}

/// Plans a restore.
#[must_use]
pub fn plan(situation: &Situation<'_>) -> Plan {
    let anew = recreate::MadeAnew::of(situation);
    let mut draft = Draft {
        situation,
        returning: returning(situation, &anew),
        anew,
        lost: HashSet::new(),
        steps: Vec::new(),
        exclusions: Vec::new(),
        risks: BTreeSet::new(),
        taken: objects::taken_names(situation),
    };
    let gone = |change: &&Change| {
        matches!(
            change.kind,
            ChangeKind::HardDeleted | ChangeKind::SoftDeleted
        )
    };
    let deleted = situation.difference.changes.iter().filter(gone);
    let deleted = deleted
        // What only ties others together can be made anew.
        .filter(|change| change.object.object_type.spec().relation.is_none())
        .map(|change| change.object.id.clone());
    draft.lost = deleted
        .filter(|id| !draft.returning.contains_key(id))
        .collect();
    for change in &situation.difference.changes {
        draft.object(change);
    }
    draft.links();
    draft.returning_relations();
    draft.keep_an_administrator();
    draft.point_at_new();
    draft.keep_the_ways_in();
    draft.name_made_anew();
    let risks = draft.risks.into_iter().collect();
    let mut exclusions = draft.exclusions;
    sort(&mut exclusions);
    Plan {
        steps: order::numbered(draft.steps),
        exclusions,
        risks,
    }
}

impl Plan {
    /// Adds what is not done for a reason of its own.
    pub fn exclude(&mut self, exclusions: Vec<Exclusion>) {
        self.exclusions.extend(exclusions);
        sort(&mut self.exclusions);
    }
}

/// Orders exclusions by object and part.
fn sort(exclusions: &mut [Exclusion]) {
    exclusions.sort_by(|a, b| (&a.object, &a.part).cmp(&(&b.object, &b.part)));
}

/// What a comparison after a restore shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// What the plan should have put right and is not right, in a sentence each.
    pub unexpected: Vec<String>,
    /// What the plan never spoke of: changed since it was made, or a side
    /// effect that Graph does not let be written.
    pub meanwhile: Vec<String>,
}

/// Judges what a comparison after a restore shows, against what the plan set
/// out to do and what it left alone.
#[must_use]
pub fn judge(left: &[Change], planned: &HashSet<ObjectId>, exclusions: &[Exclusion]) -> Left {
    let (report_only, rest): (Vec<&Exclusion>, Vec<&Exclusion>) = exclusions
        .iter()
        .partition(|exclusion| exclusion.obstacle == Obstacle::ReportOnly);
    let report_only: HashSet<&ObjectId> = report_only.iter().map(|it| &it.object.id).collect();
    let excluded: HashSet<(&ObjectId, &str)> = rest
        .iter()
        .map(|exclusion| (&exclusion.object.id, exclusion.part.as_str()))
        .collect();
    let mut judged = Left::default();
    let open = left
        .iter()
        .filter(|change| !excluded.contains(&(&change.object.id, "")));
    for change in open {
        let ObjectRef {
            object_type,
            id,
            name,
        } = &change.object;
        let object = format!("{object_type} \"{name}\" ({id})");
        if change.kind != ChangeKind::Modified {
            let sentence = format!("{object} is {}", change.kind.name());
            let list = if planned.contains(id) {
                &mut judged.unexpected
            } else {
                &mut judged.meanwhile
            };
            list.push(sentence);
            continue;
        }
        // A state that is neither the snapshot's nor report-only, as was planned, counts.
        let attributes = change.attributes.iter().filter(|attribute| {
            let as_planned = attribute.after.as_ref().is_some_and(|it| it == REPORT_ONLY);
            !(as_planned && report_only.contains(id) && attribute.path == "state")
        });
        let attributes = attributes
            .map(|attribute| (attribute.path.clone(), attribute.class == Class::Restorable));
        let links = change.links.iter().map(|link| (link_part(link), true));
        for (part, writable) in attributes.chain(links) {
            if excluded.contains(&(id, part.as_str())) {
                continue;
            }
            let sentence = format!("{object} differs in {part}");
            let ours = writable && planned.contains(id);
            let list = if ours {
                &mut judged.unexpected
            } else {
                &mut judged.meanwhile
            };
            list.push(sentence);
        }
    }
    judged
}

/// The soft-deleted objects that the plan may bring back, and those that it makes anew.
fn returning(situation: &Situation<'_>, anew: &recreate::MadeAnew) -> HashMap<ObjectId, ObjectRef> {
    let anew = anew.objects();
    let anew = anew.map(|(id, object)| (id.clone(), object.clone()));
    let changes = situation.difference.changes.iter();
    changes
        .filter(|change| change.kind == ChangeKind::SoftDeleted)
        .filter(|change| !situation.lacking.contains_key(&change.object.object_type))
        .filter(|change| {
            let unwritable = [Obstacle::OnPremisesSynced, Obstacle::ExchangeManaged];
            unwritable
                .iter()
                .all(|obstacle| !change.obstacles.contains(obstacle))
        })
        .map(|change| (change.object.id.clone(), change.object.clone()))
        .chain(anew)
        .collect()
}

/// A step before it has a place.
#[derive(Debug)]
struct Sketch {
    action: Action,
    object: ObjectRef,
    reason: String,
    attributes: Vec<AttributeChange>,
    links: Vec<LinkChange>,
    guards: Vec<Guard>,
    call: Call,
    /// Objects whose return, or early removal, this step waits for.
    needs: Vec<ObjectId>,
    /// Groups whose links must be back before this step.
    needs_links_of: Vec<ObjectId>,
    /// See [`Step::made_anew`].
    made_anew: Vec<ObjectId>,
}

#[derive(Debug)]
struct Draft<'a> {
    situation: &'a Situation<'a>,
    returning: HashMap<ObjectId, ObjectRef>,
    /// Those of them that are made anew.
    anew: recreate::MadeAnew,
    /// Deleted objects that cannot come back.
    lost: HashSet<ObjectId>,
    steps: Vec<Sketch>,
    exclusions: Vec<Exclusion>,
    risks: BTreeSet<String>,
    /// Names that an added object holds and a returning one needs: by name, the
    /// added object.
    taken: HashMap<String, ObjectId>,
}

impl Draft<'_> {
    fn exclude(
        &mut self,
        change: &Change,
        obstacle: Obstacle,
        part: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.exclusions.push(Exclusion {
            object: change.object.clone(),
            obstacle,
            part: part.into(),
            detail: detail.into(),
        });
    }
}

#[cfg(test)]
mod tests;

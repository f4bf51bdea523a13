//! The read before and after a write: what a step finds, and what follows from it.

use std::collections::BTreeSet;

use graph::{DirectoryWriter, GraphError};
use model::call::{Call, HttpMethod};
use model::catalogue::Cardinality;
use model::diff::Direction;
use model::plan::{self, Action, Step, add_call};
use model::{LinkKind, ObjectId, ObjectState, ObjectType, canonical};
use serde_json::{Map, Value};

use super::Past;
use crate::create::{self, Found};
use crate::{fresh, relations, rests};

/// What the read before a write says, and what it found of what the step writes.
pub(super) struct Look {
    pub(super) verdict: Verdict,
    pub(super) found: Option<Value>,
}

impl Verdict {
    fn having(self, found: Option<Value>) -> Look {
        Look {
            verdict: self,
            found,
        }
    }
}

/// What the read before a write says.
pub(super) enum Verdict {
    /// Write this.
    Write(Call),
    /// The object is as the step leaves it.
    Done,
    /// It is there, and not all is as the step would leave it, for a later plan.
    Left(String),
    /// The object is neither as before nor as after.
    Conflict(String),
    /// Nothing can be done.
    Fail(String),
    /// The object is not there, which may pass where an earlier step brings it.
    Missing(String),
}

/// Reads what a step writes, and decides.
pub(super) async fn look(
    directory: &dyn DirectoryWriter,
    step: &Step,
    past: Past<'_>,
) -> Result<Look, GraphError> {
    match step.action {
        Action::RestoreDeleted => restore_deleted(directory, step).await,
        Action::Update | Action::DisableEntries | Action::Untrust => update(directory, step).await,
        Action::SoftDelete => soft_delete(directory, step).await,
        Action::AddLinks => or_missing(add_links(directory, step, past).await),
        Action::RemoveLink => or_missing(remove_link(directory, step).await),
        Action::MakeAnew => make_anew(directory, step, past).await,
        Action::RemoveRelation => remove_relation(directory, step).await,
        Action::RemoveCredential => remove_credential(directory, step).await,
        Action::Create => create(directory, step).await,
        Action::Protect => protect(directory, step).await,
        Action::Recreate => {
            let other = "what is made anew is not written like others";
            Ok(Verdict::Fail(other.to_owned()).having(None))
        }
    }
}

/// The object whose links are asked for may not be known everywhere yet.
fn or_missing(look: Result<Look, GraphError>) -> Result<Look, GraphError> {
    match look {
        Err(GraphError::NotFound { .. }) => Ok(missing("does not exist")),
        other => other,
    }
}

fn missing(detail: &str) -> Look {
    Verdict::Missing(detail.to_owned()).having(None)
}

async fn body(
    directory: &dyn DirectoryWriter,
    step: &Step,
    state: ObjectState,
) -> Result<Option<Map<String, Value>>, GraphError> {
    if step.object.object_type.spec().relation.is_some() {
        return relations::named(directory, step).await;
    }
    let object = fresh::object(directory, step.object.object_type, &step.object.id, state).await?;
    Ok(object.map(|object| object.body()))
}

fn write(step: &Step) -> Verdict {
    Verdict::Write(step.call.clone())
}

async fn restore_deleted(directory: &dyn DirectoryWriter, step: &Step) -> Result<Look, GraphError> {
    if body(directory, step, ObjectState::Live).await?.is_some() {
        return Ok(Verdict::Done.having(Some(plan::state(ObjectState::Live))));
    }
    Ok(match body(directory, step, ObjectState::Deleted).await? {
        Some(_) => write(step).having(Some(plan::state(ObjectState::Deleted))),
        None => missing("is neither live nor in the recycle bin any more"),
    })
}

async fn update(directory: &dyn DirectoryWriter, step: &Step) -> Result<Look, GraphError> {
    let Some(body) = body(directory, step, ObjectState::Live).await? else {
        return Ok(missing("does not exist any more"));
    };
    let found = Some(step.properties_in(&body));
    let spec = step.object.object_type.spec();
    let mut done = true;
    for guard in &step.guards {
        let Some(current) = guard.found_in(spec, &body) else {
            let unknown = format!("property {} is not in the catalogue", guard.property);
            return Ok(Verdict::Fail(unknown).having(found));
        };
        if current != guard.after {
            done = false;
            if current != guard.before {
                let changed = format!("{} was changed since the plan was made", guard.property);
                return Ok(Verdict::Conflict(changed).having(found));
            }
        }
    }
    let verdict = match done {
        true => Verdict::Done,
        false => match rests::loses(directory, step, &body).await? {
            Some(why) => Verdict::Conflict(why),
            None => write(step),
        },
    };
    Ok(verdict.having(found))
}

async fn soft_delete(directory: &dyn DirectoryWriter, step: &Step) -> Result<Look, GraphError> {
    let Some(body) = body(directory, step, ObjectState::Live).await? else {
        return Ok(Verdict::Done.having(Some(plan::state(ObjectState::Deleted))));
    };
    let seen = step.guards.first().map(|guard| guard.before.as_str());
    let now = canonical::body_hash(step.object.object_type.spec(), &body);
    let verdict = if seen != Some(now.as_str()) {
        Verdict::Conflict("was changed since the plan was made, so it is not deleted".to_owned())
    } else if let Some(why) = rests::loses(directory, step, &body).await? {
        Verdict::Conflict(why)
    } else {
        write(step)
    };
    Ok(verdict.having(Some(plan::state(ObjectState::Live))))
}

async fn make_anew(
    directory: &dyn DirectoryWriter,
    step: &Step,
    past: Past<'_>,
) -> Result<Look, GraphError> {
    let Some(body) = relations::alike(directory, step).await? else {
        return Ok(write(step).having(None));
    };
    let wanted = step.guards.first().map(|guard| guard.after.as_str());
    let now = canonical::body_hash(step.object.object_type.spec(), &body);
    let verdict = if wanted == Some(now.as_str()) {
        Verdict::Done
    } else if past.came_back {
        let differs = "came back with what it belongs to and says something else than the snapshot; a second plan sets it back";
        Verdict::Left(differs.to_owned())
    } else {
        let other = "stands there again since the plan was made, and says something else";
        Verdict::Conflict(other.to_owned())
    };
    Ok(verdict.having(Some(Value::Object(body))))
}

async fn remove_relation(directory: &dyn DirectoryWriter, step: &Step) -> Result<Look, GraphError> {
    let Some(body) = relations::named(directory, step).await? else {
        return Ok(Verdict::Done.having(None));
    };
    let seen = step.guards.first().map(|guard| guard.before.as_str());
    let now = canonical::body_hash(step.object.object_type.spec(), &body);
    let verdict = if seen != Some(now.as_str()) {
        let changed = "was changed since the plan was made, so it is not removed";
        Verdict::Conflict(changed.to_owned())
    } else if step.object.object_type == ObjectType::RoleAssignment
        && relations::is_last_administrator(directory, &body).await?
    {
        let last = "is the last assignment of the role of Global Administrator by now";
        Verdict::Conflict(last.to_owned())
    } else {
        write(step)
    };
    Ok(verdict.having(Some(Value::Object(body))))
}

/// A password is known by its key id; of keys the whole list is written.
async fn remove_credential(
    directory: &dyn DirectoryWriter,
    step: &Step,
) -> Result<Look, GraphError> {
    if step.call.method == HttpMethod::Patch {
        return update(directory, step).await;
    }
    let Some(body) = body(directory, step, ObjectState::Live).await? else {
        return Ok(missing("does not exist any more"));
    };
    let found = Some(step.properties_in(&body));
    let named = step.call.body.as_ref().and_then(|body| body.get("keyId"));
    let guard = step.guards.first();
    let Some((guard, named)) = guard.zip(named) else {
        return Ok(Verdict::Fail("the step names no credential".to_owned()).having(found));
    };
    let property = step.object.object_type.spec().property(&guard.property);
    let held = property.and_then(|it| canonical::property(it, body.get(it.name)));
    let held = held.as_ref().and_then(Value::as_array);
    let mut held = held.into_iter().flatten();
    let verdict = match held.find(|one| one.get("keyId") == Some(named)) {
        None => Verdict::Done,
        Some(one) if canonical::hash(Some(one)) == guard.before => write(step),
        Some(_) => Verdict::Conflict("was changed since the plan was made".to_owned()),
    };
    Ok(verdict.having(found))
}

/// Only for who asks what would be found: making it is [`crate::create`]'s.
async fn create(directory: &dyn DirectoryWriter, step: &Step) -> Result<Look, GraphError> {
    Ok(match create::find(directory, step).await? {
        Found::Nothing => write(step).having(None),
        Found::Same(body) => Verdict::Done.having(Some(Value::Object(body))),
        Found::Other(detail) => Verdict::Conflict(detail).having(None),
    })
}

/// What protects an action may only be set where it is what the plan saw; and by a
/// context only while an enabled policy is for that, or whoever uses the action would be
/// asked without end.
async fn protect(directory: &dyn DirectoryWriter, step: &Step) -> Result<Look, GraphError> {
    let Some(guard) = step.guards.first() else {
        return Ok(Verdict::Fail("the step names no action".to_owned()).having(None));
    };
    let name = &guard.property;
    let actions = directory.protected_actions().await?;
    let Some(action) = actions.iter().find(|action| action.name == *name) else {
        return Ok(missing("is about an action that the tenant does not have"));
    };
    let held = action.context.as_deref().map(Value::from);
    let found = Map::from_iter([(name.clone(), held.clone().unwrap_or_default())]);
    let now = canonical::hash(held.as_ref());
    let verdict = if now == guard.after {
        Verdict::Done
    } else if now != guard.before {
        let context = action.context.as_deref().unwrap_or("nothing");
        Verdict::Conflict(format!(
            "{name} is protected by {context} since the plan was made"
        ))
    } else if guard.after.is_empty() {
        write(step)
    } else {
        let unready = rests::unready(directory, &step.object.id).await?;
        unready.map_or_else(
            || write(step),
            |why| {
                Verdict::Conflict(format!(
                    "{why}, so that whoever uses {name} would be asked without end"
                ))
            },
        )
    };
    Ok(verdict.having(Some(Value::Object(found))))
}

/// The targets of a step's links in one direction.
pub(super) fn targets(step: &Step, direction: Direction) -> BTreeSet<&ObjectId> {
    step.links
        .iter()
        .filter(|link| link.direction == direction)
        .map(|link| &link.target)
        .collect()
}

/// The relation of a step about links, and its ends as they are now.
async fn present(
    directory: &dyn DirectoryWriter,
    step: &Step,
) -> Result<Option<(LinkKind, BTreeSet<ObjectId>)>, GraphError> {
    let Some(link) = step.links.first() else {
        return Ok(None);
    };
    let present = fresh::ends(directory, link.kind, &step.object.id).await?;
    Ok(Some((link.kind, present)))
}

async fn add_links(
    directory: &dyn DirectoryWriter,
    step: &Step,
    past: Past<'_>,
) -> Result<Look, GraphError> {
    let Some((kind, present)) = present(directory, step).await? else {
        return Ok(Verdict::Fail("the step names no link".to_owned()).having(None));
    };
    let found = Some(step.links_among(kind, &present));
    let wanted = targets(step, Direction::Added);
    let missing: Vec<ObjectId> = wanted
        .iter()
        .filter(|id| !present.contains(**id))
        .map(|id| (*id).clone())
        .collect();
    if missing.is_empty() {
        return Ok(Verdict::Done.having(found));
    }
    // One that came back may have had another before it was deleted.
    if kind.spec().cardinality == Cardinality::One && !past.came_back {
        let replaced = targets(step, Direction::Removed);
        let returned = |id: &ObjectId| past.returned.is_some_and(|all| all.contains(id));
        let unseen = |id: &ObjectId| replaced.contains(id) || returned(id);
        if let Some(third) = present.iter().find(|id| !unseen(id)) {
            let name = kind.name();
            let set = format!("{name} was set to {third} since the plan was made");
            return Ok(Verdict::Conflict(set).having(found));
        }
    }
    // Adding what is there already would fail the whole write.
    let call = if missing.len() == wanted.len() {
        step.call.clone()
    } else {
        add_call(kind, &step.object.id, &missing)
    };
    Ok(Verdict::Write(call).having(found))
}

async fn remove_link(directory: &dyn DirectoryWriter, step: &Step) -> Result<Look, GraphError> {
    let Some((kind, present)) = present(directory, step).await? else {
        return Ok(Verdict::Fail("the step names no link".to_owned()).having(None));
    };
    let target = step.links.first().map(|link| &link.target);
    let verdict = if target.is_some_and(|target| present.contains(target)) {
        write(step)
    } else {
        Verdict::Done
    };
    Ok(verdict.having(Some(step.links_among(kind, &present))))
}

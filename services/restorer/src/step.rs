//! Carries out one step: read again, decide, write, read back.
//!
//! A step whose object is already as the step leaves it has nothing to do, so
//! that repeating a step after a crash does no harm. One whose object is
//! neither that nor what the plan saw stops as a conflict.

use std::collections::BTreeSet;
use std::time::Duration;

use graph::{DirectoryWriter, GraphError};
use model::call::{Call, HttpMethod};
use model::catalogue::Cardinality;
use model::diff::Direction;
use model::plan::{Action, Step, add_call};
use model::{ObjectId, ObjectState, ObjectType, canonical};
use proto::v1::OutcomeState;
use runtime::status::chain;
use serde_json::{Map, Value};

use crate::{fresh, relations};

/// Waits between reads while Graph replicates a write, 45 seconds in all.
pub(crate) const WAITS: [Duration; 8] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(14),
    Duration::from_secs(16),
];

/// How a step ended, with a sentence where there is something to say.
pub(crate) type Ending = (OutcomeState, String);

/// What the read before a write says.
enum Verdict {
    /// Write this.
    Write(Call),
    /// The object is as the step leaves it.
    Done,
    /// The object is neither as before nor as after.
    Conflict(String),
    /// Nothing can be done.
    Fail(String),
    /// The object is not there, which may pass where an earlier step brings it.
    Missing(String),
}

/// Carries out a step.
///
/// # Errors
/// Where Graph or the credential is out of order as a whole: the step has not
/// ended, and the restore is to be interrupted rather than failed step by step.
pub(crate) async fn perform(
    directory: &dyn DirectoryWriter,
    step: &Step,
) -> Result<Ending, GraphError> {
    match attempt(directory, step).await {
        Err(error) if ends_the_attempt(&error) => Err(error),
        Err(error) => Ok((OutcomeState::Failed, chain(&error))),
        Ok(ending) => Ok(ending),
    }
}

/// Whether an error says nothing about the step.
pub(crate) fn ends_the_attempt(error: &GraphError) -> bool {
    let credential = matches!(
        error,
        GraphError::CredentialRejected { .. } | GraphError::CredentialUnusable { .. }
    );
    credential || error.kind().is_retryable()
}

async fn attempt(directory: &dyn DirectoryWriter, step: &Step) -> Result<Ending, GraphError> {
    let mut waits = WAITS.into_iter();
    let (mut written, mut maybe_written) = (false, false);
    loop {
        // What an earlier step of the plan did may not be known everywhere yet.
        let lags = written || !step.after.is_empty();
        let problem = match verdict(directory, step).await? {
            Verdict::Done if written => return Ok((OutcomeState::Applied, String::new())),
            Verdict::Done if maybe_written => {
                let lost = "the answer was lost; the write was read back".to_owned();
                return Ok((OutcomeState::Applied, lost));
            }
            Verdict::Done => {
                let already = "was as the snapshot says already".to_owned();
                return Ok((OutcomeState::AlreadyDone, already));
            }
            Verdict::Conflict(detail) if !lags => return Ok((OutcomeState::Conflict, detail)),
            Verdict::Missing(detail) | Verdict::Fail(detail) if !lags => {
                return Ok((OutcomeState::Failed, detail));
            }
            Verdict::Fail(detail) => return Ok((OutcomeState::Failed, detail)),
            Verdict::Conflict(detail) if waits.len() == 0 && !written => {
                return Ok((OutcomeState::Conflict, detail));
            }
            Verdict::Missing(detail) | Verdict::Conflict(detail) => detail,
            Verdict::Write(_) if written => "was written, but reads do not show it".to_owned(),
            Verdict::Write(call) => match directory.write(&call).await {
                Ok(_) => {
                    written = true;
                    continue;
                }
                // Whether it was carried out, the next read tells.
                Err(error @ GraphError::Ambiguous { .. }) => {
                    maybe_written = true;
                    chain(&error)
                }
                Err(error) if may_pass(&error, step) => chain(&error),
                Err(error) if ends_the_attempt(&error) => return Err(error),
                Err(error) => return refused(directory, step, error).await,
            },
        };
        let Some(wait) = waits.next() else {
            return Ok((OutcomeState::Failed, problem));
        };
        tokio::time::sleep(wait).await;
    }
}

/// What a refusal leaves: perhaps nothing was to be done any more, and of many
/// links one that cannot be added must not keep out the others.
async fn refused(
    directory: &dyn DirectoryWriter,
    step: &Step,
    error: GraphError,
) -> Result<Ending, GraphError> {
    let wanted = targets(step, Direction::Added);
    if let Some(kind) = step.links.first().map(|link| link.kind)
        && step.action == Action::AddLinks
        && wanted.len() > 1
    {
        let present = fresh::ends(directory, kind, &step.object.id).await?;
        let mut problems = Vec::new();
        for target in wanted.into_iter().filter(|id| !present.contains(*id)) {
            let call = add_call(kind, &step.object.id, std::slice::from_ref(target));
            match directory.write(&call).await {
                Ok(_) => {}
                Err(error) if ends_the_attempt(&error) => return Err(error),
                Err(error) => problems.push(format!("{target}: {}", chain(&error))),
            }
        }
        if !problems.is_empty() {
            let detail = format!("{} of the links: {}", problems.len(), problems.join("; "));
            return Ok((OutcomeState::Failed, detail));
        }
    }
    match verdict(directory, step).await? {
        Verdict::Done => Ok((OutcomeState::Applied, String::new())),
        _ => Ok((OutcomeState::Failed, chain(&error))),
    }
}

/// Refusals that Graph gives while an object that was just brought back is not
/// known everywhere yet, or while another write to it is under way.
fn may_pass(error: &GraphError, step: &Step) -> bool {
    match error {
        GraphError::Conflict { .. } => true,
        GraphError::NotFound { .. } => !step.after.is_empty(),
        GraphError::BadRequest { message, .. } => {
            // It is there, and lists do not show it yet; or its role is not known yet.
            let is_there = [
                "already exists",
                "conflicting object",
                "was not found on application",
            ];
            let may_be_there = step.action == Action::MakeAnew
                && is_there.iter().any(|text| message.contains(text));
            // What is new may not be known everywhere yet.
            may_be_there
                || !step.made_anew.is_empty()
                || !step.after.is_empty()
                    && (message.contains("queried reference-property objects are not present")
                        || message.contains("Not a valid reference update"))
        }
        _ => false,
    }
}

async fn verdict(directory: &dyn DirectoryWriter, step: &Step) -> Result<Verdict, GraphError> {
    match step.action {
        Action::RestoreDeleted => restore_deleted(directory, step).await,
        Action::Update | Action::DisableEntries | Action::Untrust => update(directory, step).await,
        Action::SoftDelete => soft_delete(directory, step).await,
        Action::AddLinks => or_missing(add_links(directory, step).await),
        Action::RemoveLink => or_missing(remove_link(directory, step).await),
        Action::MakeAnew => make_anew(directory, step).await,
        Action::RemoveRelation => remove_relation(directory, step).await,
        Action::RemoveCredential => remove_credential(directory, step).await,
        Action::Recreate => Ok(Verdict::Fail(
            "what is made anew is not written like others".to_owned(),
        )),
    }
}

/// The object whose links are asked for may not be known everywhere yet.
fn or_missing(verdict: Result<Verdict, GraphError>) -> Result<Verdict, GraphError> {
    match verdict {
        Err(GraphError::NotFound { .. }) => Ok(Verdict::Missing("does not exist".to_owned())),
        other => other,
    }
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

async fn restore_deleted(
    directory: &dyn DirectoryWriter,
    step: &Step,
) -> Result<Verdict, GraphError> {
    if body(directory, step, ObjectState::Live).await?.is_some() {
        return Ok(Verdict::Done);
    }
    match body(directory, step, ObjectState::Deleted).await? {
        Some(_) => Ok(write(step)),
        None => Ok(Verdict::Missing(
            "is neither live nor in the recycle bin any more".to_owned(),
        )),
    }
}

async fn update(directory: &dyn DirectoryWriter, step: &Step) -> Result<Verdict, GraphError> {
    let Some(body) = body(directory, step, ObjectState::Live).await? else {
        return Ok(Verdict::Missing("does not exist any more".to_owned()));
    };
    let spec = step.object.object_type.spec();
    let mut done = true;
    for guard in &step.guards {
        let Some(current) = guard.found_in(spec, &body) else {
            return Ok(Verdict::Fail(format!(
                "property {} is not in the catalogue",
                guard.property
            )));
        };
        if current != guard.after {
            done = false;
            if current != guard.before {
                return Ok(Verdict::Conflict(format!(
                    "{} was changed since the plan was made",
                    guard.property
                )));
            }
        }
    }
    Ok(if done { Verdict::Done } else { write(step) })
}

async fn soft_delete(directory: &dyn DirectoryWriter, step: &Step) -> Result<Verdict, GraphError> {
    let Some(body) = body(directory, step, ObjectState::Live).await? else {
        return Ok(Verdict::Done);
    };
    let seen = step.guards.first().map(|guard| guard.before.as_str());
    if seen == Some(canonical::body_hash(step.object.object_type.spec(), &body).as_str()) {
        return Ok(write(step));
    }
    Ok(Verdict::Conflict(
        "was changed since the plan was made, so it is not deleted".to_owned(),
    ))
}

async fn make_anew(directory: &dyn DirectoryWriter, step: &Step) -> Result<Verdict, GraphError> {
    let Some(body) = relations::alike(directory, step).await? else {
        return Ok(write(step));
    };
    let wanted = step.guards.first().map(|guard| guard.after.as_str());
    if wanted == Some(canonical::body_hash(step.object.object_type.spec(), &body).as_str()) {
        return Ok(Verdict::Done);
    }
    Ok(Verdict::Conflict(
        "stands there again since the plan was made, and says something else".to_owned(),
    ))
}

async fn remove_relation(
    directory: &dyn DirectoryWriter,
    step: &Step,
) -> Result<Verdict, GraphError> {
    let Some(body) = relations::named(directory, step).await? else {
        return Ok(Verdict::Done);
    };
    let seen = step.guards.first().map(|guard| guard.before.as_str());
    if seen != Some(canonical::body_hash(step.object.object_type.spec(), &body).as_str()) {
        let changed = "was changed since the plan was made, so it is not removed";
        return Ok(Verdict::Conflict(changed.to_owned()));
    }
    if step.object.object_type == ObjectType::RoleAssignment
        && relations::is_last_administrator(directory, &body).await?
    {
        let last = "is the last assignment of the role of Global Administrator by now";
        return Ok(Verdict::Conflict(last.to_owned()));
    }
    Ok(write(step))
}

/// A password is known by its key id; of keys the whole list is written.
async fn remove_credential(
    directory: &dyn DirectoryWriter,
    step: &Step,
) -> Result<Verdict, GraphError> {
    if step.call.method == HttpMethod::Patch {
        return update(directory, step).await;
    }
    let Some(body) = body(directory, step, ObjectState::Live).await? else {
        return Ok(Verdict::Missing("does not exist any more".to_owned()));
    };
    let named = step.call.body.as_ref().and_then(|body| body.get("keyId"));
    let guard = step.guards.first();
    let Some((guard, named)) = guard.zip(named) else {
        return Ok(Verdict::Fail("the step names no credential".to_owned()));
    };
    let property = step.object.object_type.spec().property(&guard.property);
    let held = property.and_then(|it| canonical::property(it, body.get(it.name)));
    let held = held.as_ref().and_then(Value::as_array);
    let mut held = held.into_iter().flatten();
    Ok(match held.find(|one| one.get("keyId") == Some(named)) {
        None => Verdict::Done,
        Some(one) if canonical::hash(Some(one)) == guard.before => write(step),
        Some(_) => Verdict::Conflict("was changed since the plan was made".to_owned()),
    })
}

/// The targets of a step's links in one direction.
fn targets(step: &Step, direction: Direction) -> BTreeSet<&ObjectId> {
    step.links
        .iter()
        .filter(|link| link.direction == direction)
        .map(|link| &link.target)
        .collect()
}

async fn add_links(directory: &dyn DirectoryWriter, step: &Step) -> Result<Verdict, GraphError> {
    let Some(kind) = step.links.first().map(|link| link.kind) else {
        return Ok(Verdict::Fail("the step names no link".to_owned()));
    };
    let present = fresh::ends(directory, kind, &step.object.id).await?;
    let wanted = targets(step, Direction::Added);
    let missing: Vec<ObjectId> = wanted
        .iter()
        .filter(|id| !present.contains(**id))
        .map(|id| (*id).clone())
        .collect();
    if missing.is_empty() {
        return Ok(Verdict::Done);
    }
    if kind.spec().cardinality == Cardinality::One {
        let replaced = targets(step, Direction::Removed);
        if let Some(third) = present.iter().find(|id| !replaced.contains(id)) {
            return Ok(Verdict::Conflict(format!(
                "{} was set to {third} since the plan was made",
                kind.name()
            )));
        }
    }
    // Adding what is there already would fail the whole write.
    Ok(Verdict::Write(if missing.len() == wanted.len() {
        step.call.clone()
    } else {
        add_call(kind, &step.object.id, &missing)
    }))
}

async fn remove_link(directory: &dyn DirectoryWriter, step: &Step) -> Result<Verdict, GraphError> {
    let Some(link) = step.links.first() else {
        return Ok(Verdict::Fail("the step names no link".to_owned()));
    };
    let present = fresh::ends(directory, link.kind, &step.object.id).await?;
    Ok(if present.contains(&link.target) {
        write(step)
    } else {
        Verdict::Done
    })
}

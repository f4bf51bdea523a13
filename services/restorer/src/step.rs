//! Carries out one step: read again, decide, write, read back.
//!
//! A step whose object is already as the step leaves it has nothing to do, so
//! that repeating a step after a crash does no harm. One whose object is
//! neither that nor what the plan saw stops as a conflict.

use std::collections::{BTreeSet, HashSet};
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
use tokio::sync::Semaphore;

use crate::{fresh, relations};

/// Waits between reads while Graph replicates a write, 45 seconds in all.
const WAITS: [Duration; 8] = [
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
    /// It is there, and not all is as the step would leave it, for a later plan.
    Left(String),
    /// The object is neither as before nor as after.
    Conflict(String),
    /// Nothing can be done.
    Fail(String),
    /// The object is not there, which may pass where an earlier step brings it.
    Missing(String),
}

/// What is known of a step from the plan and from earlier attempts at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past<'a> {
    /// An earlier attempt meant to carry it out, and no more is known of that.
    pub(crate) intended: bool,
    /// An earlier step brings back what it is about: nobody could see what hangs on it
    /// while it was in the recycle bin.
    pub(crate) came_back: bool,
    /// All that the plan brings back: links to these were out of sight as well.
    pub(crate) returned: &'a HashSet<ObjectId>,
}

/// Carries out a step. `turns` bounds how many steps are between their look and their
/// write, so that little time passes from one to the other however many steps wait for
/// the quota.
///
/// # Errors
/// Where Graph or the credential is out of order as a whole: the step has not
/// ended, and the restore is to be interrupted rather than failed step by step.
pub(crate) async fn perform(
    directory: &dyn DirectoryWriter,
    step: &Step,
    past: Past<'_>,
    turns: &Semaphore,
) -> Result<Ending, GraphError> {
    match attempt(directory, step, past, turns).await {
        Err(error) if ends_the_attempt(&error) => Err(error),
        Err(error) => Ok((OutcomeState::Failed, chain(&error))),
        Ok(ending) => Ok(ending),
    }
}

/// Whether an error says nothing about the step.
fn ends_the_attempt(error: &GraphError) -> bool {
    let credential = matches!(
        error,
        GraphError::CredentialRejected { .. } | GraphError::CredentialUnusable { .. }
    );
    credential || error.kind().is_retryable()
}

async fn attempt(
    directory: &dyn DirectoryWriter,
    step: &Step,
    past: Past<'_>,
    turns: &Semaphore,
) -> Result<Ending, GraphError> {
    let mut waits = WAITS.into_iter();
    let (mut written, mut maybe_written) = (false, false);
    loop {
        // Who has written only reads; and who waits has no turn.
        let turn = match written {
            false => Some(
                turns
                    .acquire()
                    .await
                    .expect("invariant: it is never closed"),
            ),
            true => None,
        };
        // It may have been carried out, and not be known everywhere yet.
        let doubtful = maybe_written || past.intended;
        // The same of what an earlier step of the plan did.
        let lags = written || doubtful || !step.after.is_empty();
        let problem = match verdict(directory, step, past).await? {
            Verdict::Done if written => return Ok((OutcomeState::Applied, String::new())),
            Verdict::Done if maybe_written => {
                let lost = "the answer was lost; the write was read back".to_owned();
                return Ok((OutcomeState::Applied, lost));
            }
            Verdict::Done => {
                let already = "was as the snapshot says already".to_owned();
                return Ok((OutcomeState::AlreadyDone, already));
            }
            Verdict::Left(detail) => return Ok((OutcomeState::AlreadyDone, detail)),
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
                // Refused perhaps because it was carried out: a second deletion finds
                // nothing, and a second link is there already.
                Err(error) if doubtful && waits.len() > 0 => chain(&error),
                Err(error) => return refused(directory, step, past, error).await,
            },
        };
        drop(turn);
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
    past: Past<'_>,
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
    match verdict(directory, step, past).await? {
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
            may_be_there
                || !step.after.is_empty()
                    && (message.contains("queried reference-property objects are not present")
                        || message.contains("Not a valid reference update"))
        }
        _ => false,
    }
}

async fn verdict(
    directory: &dyn DirectoryWriter,
    step: &Step,
    past: Past<'_>,
) -> Result<Verdict, GraphError> {
    match step.action {
        Action::RestoreDeleted => restore_deleted(directory, step).await,
        Action::Update | Action::DisableEntries | Action::Untrust => update(directory, step).await,
        Action::SoftDelete => soft_delete(directory, step).await,
        Action::AddLinks => or_missing(add_links(directory, step, past).await),
        Action::RemoveLink => or_missing(remove_link(directory, step).await),
        Action::MakeAnew => make_anew(directory, step, past).await,
        Action::RemoveRelation => remove_relation(directory, step).await,
        Action::RemoveCredential => remove_credential(directory, step).await,
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

async fn make_anew(
    directory: &dyn DirectoryWriter,
    step: &Step,
    past: Past<'_>,
) -> Result<Verdict, GraphError> {
    let Some(body) = relations::alike(directory, step).await? else {
        return Ok(write(step));
    };
    let wanted = step.guards.first().map(|guard| guard.after.as_str());
    if wanted == Some(canonical::body_hash(step.object.object_type.spec(), &body).as_str()) {
        return Ok(Verdict::Done);
    }
    if past.came_back {
        let differs = "came back with what it belongs to and says something else than the snapshot; a second plan sets it back";
        return Ok(Verdict::Left(differs.to_owned()));
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

async fn add_links(
    directory: &dyn DirectoryWriter,
    step: &Step,
    past: Past<'_>,
) -> Result<Verdict, GraphError> {
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
    // One that came back may have had another before it was deleted.
    if kind.spec().cardinality == Cardinality::One && !past.came_back {
        let replaced = targets(step, Direction::Removed);
        let unseen = |id: &ObjectId| replaced.contains(id) || past.returned.contains(id);
        if let Some(third) = present.iter().find(|id| !unseen(id)) {
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

#[cfg(test)]
mod tests {
    use model::ObjectRef;

    use super::*;

    fn step(action: Action, after: Vec<u32>) -> Step {
        Step {
            number: 2,
            action,
            object: ObjectRef {
                object_type: ObjectType::Group,
                id: ObjectId::parse("00000000-0000-4000-8000-000000000001").expect("an id"),
                name: "G".to_owned(),
            },
            reason: String::new(),
            attributes: Vec::new(),
            links: Vec::new(),
            guards: Vec::new(),
            call: Call {
                method: HttpMethod::Patch,
                path: "/groups/1".to_owned(),
                body: None,
            },
            after,
        }
    }

    #[test]
    fn refusals_of_a_directory_that_lags_may_pass_and_others_do_not() {
        let path = || "/groups/1".to_owned();
        let refused = |message: &str| GraphError::BadRequest {
            code: "Request_BadRequest".to_owned(),
            message: message.to_owned(),
            request_id: "r".to_owned(),
            path: path(),
        };
        let check = |error: &GraphError, action, after: Vec<u32>, expected| {
            let passes = may_pass(error, &step(action, after));
            assert_eq!(passes, expected, "{error} in {action:?}");
        };
        let conflict = GraphError::Conflict {
            code: "c".to_owned(),
            message: "m".to_owned(),
            path: path(),
        };
        let gone = GraphError::NotFound { path: path() };
        check(&conflict, Action::Update, vec![], true);
        check(&gone, Action::AddLinks, vec![1], true);
        check(&gone, Action::AddLinks, vec![], false);
        let lagging = refused(
            "Resource 'x' does not exist or one of its queried reference-property objects are not present.",
        );
        check(&lagging, Action::AddLinks, vec![1], true);
        check(&lagging, Action::AddLinks, vec![], false);
        check(
            &refused("Not a valid reference update."),
            Action::AddLinks,
            vec![1],
            true,
        );
        let made = refused("Permission being assigned already exists on the object");
        check(&made, Action::MakeAnew, vec![], true);
        check(&made, Action::Update, vec![1], false);
        let denied = GraphError::Denied {
            code: "Authorization_RequestDenied".to_owned(),
            message: "Insufficient privileges to complete the operation.".to_owned(),
            path: path(),
        };
        check(&denied, Action::Update, vec![1], false);
        check(
            &refused("Invalid property 'x'."),
            Action::Update,
            vec![1],
            false,
        );
    }
}

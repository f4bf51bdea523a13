//! Carries out the steps that make objects anew.
//!
//! A request whose answer is lost may have been carried out, and repeated would make a
//! second object. So each is looked for by what no two objects share before it is made
//! again, for as long as Graph may take to show it; of a type without such a key a
//! person has to look. A password is made here, sent once and kept nowhere.

use graph::{Directory, DirectoryWriter, GraphError, Query};
use model::call::Call;
use model::catalogue::Class;
use model::catalogue::creation::{Key, creation};
use model::lineage::Lineage;
use model::plan::{Action, Step};
use model::{ObjectId, ObjectState, ObjectType, PlanId, canonical};
use proto::v1::OutcomeState;
use runtime::Ids;
use runtime::status::chain;
use serde_json::{Map, Value, json};

use crate::fresh;
use crate::step::{CANCELLED, Ending, Trail, UNNOTED, WAITS, ends_the_attempt};
use crate::turns::Turns;

type Body = Map<String, Value>;

/// How often a request is sent whose answer is lost.
pub(crate) const MOST_SENT: u32 = 2;

/// What a step needs beside the directory.
pub(crate) struct Making<'a> {
    pub(crate) ids: &'a dyn Ids,
    pub(crate) turns: &'a Turns,
    /// What was made anew so far.
    pub(crate) lineage: &'a Lineage,
    /// The plan that is applied.
    pub(crate) plan: &'a PlanId,
    /// Whether an earlier attempt wrote down that it would send the request, and not how
    /// that ended.
    pub(crate) was_asked: bool,
}

/// An object that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) new: ObjectId,
    /// Of an application the former `appId` and the new one.
    pub(crate) app_ids: Option<(ObjectId, ObjectId)>,
}

/// How a step ended, and what it made.
pub(crate) type Ended = ((OutcomeState, String), Option<Made>);

pub(crate) fn ended(state: OutcomeState, detail: impl Into<String>) -> Ended {
    ((state, detail.into()), None)
}

/// Carries out a step.
///
/// # Errors
/// As [`crate::step::perform`].
pub(crate) async fn perform(
    directory: &dyn DirectoryWriter,
    step: &Step,
    making: &Making<'_>,
) -> Result<(Ending, Option<Made>), GraphError> {
    let mut trail = Trail::default();
    match attempt(directory, step, making, &mut trail).await {
        Err(error) if ends_the_attempt(&error) => Err(error),
        Err(error) => Ok(with_trail(
            ended(OutcomeState::Failed, chain(&error)),
            trail,
        )),
        Ok(ended) => Ok(with_trail(ended, trail)),
    }
}

pub(crate) fn with_trail(((state, detail), made): Ended, trail: Trail) -> (Ending, Option<Made>) {
    let ending = Ending {
        state,
        detail,
        trail,
    };
    (ending, made)
}

/// How a step ended that an earlier attempt began and did not note, so long ago that
/// what it made is seen everywhere; nothing is written.
///
/// # Errors
/// The [`GraphError`] of a read.
pub(crate) async fn settle(
    directory: &dyn DirectoryWriter,
    step: &Step,
    lineage: &Lineage,
    plan: &PlanId,
) -> Result<(Ending, Option<Made>), GraphError> {
    let mut trail = Trail::default();
    let ended = match told(directory, step, lineage, plan, &mut trail).await? {
        Some(ended) => ended,
        None => match key_of(step) {
            None => ended(OutcomeState::Failed, unknown(step)),
            Some((key, value)) => {
                match find(directory, step.object.object_type, key, &value).await? {
                    Some(found) if is_ours(step, key, &value, &found) => {
                        made(step, &found, UNNOTED, &mut trail)
                    }
                    Some(_) => taken(OutcomeState::Skipped, key, &value),
                    None => ended(OutcomeState::Skipped, CANCELLED),
                }
            }
        },
    };
    Ok(with_trail(ended, trail))
}

/// The end of a step whose object cannot be made, since what no two may share is taken.
fn taken(state: OutcomeState, key: Key, value: &str) -> Ended {
    let key = key.property();
    let taken = format!("another object has taken its {key} {value} since");
    ended(state, taken)
}

async fn attempt(
    directory: &dyn DirectoryWriter,
    step: &Step,
    making: &Making<'_>,
    trail: &mut Trail,
) -> Result<Ended, GraphError> {
    let key = key_of(step);
    let mut asked = making.was_asked;
    let (mut sent, mut looks) = (u32::from(asked), WAITS.into_iter());
    let mut patience = WAITS.into_iter();
    loop {
        // From the looks to the request; who waits has no turn.
        let turn = making.turns.take().await;
        if let Some(ended) = before(directory, step, making, trail).await? {
            return Ok(ended);
        }
        if asked && key.is_none() {
            return Ok(ended(OutcomeState::Failed, unknown(step)));
        }
        if let Some((key, value)) = &key
            && let Some(found) = find(directory, step.object.object_type, *key, value).await?
        {
            return Ok(match asked && is_ours(step, *key, value, &found) {
                true => made(
                    step,
                    &found,
                    "the answer was lost; it was found by its key",
                    trail,
                ),
                false => taken(OutcomeState::Conflict, *key, value),
            });
        }
        if asked {
            if let Some(wait) = looks.next() {
                drop(turn);
                tokio::time::sleep(wait).await;
                continue;
            }
            if sent >= MOST_SENT {
                return Ok(ended(OutcomeState::Failed, unknown(step)));
            }
        }
        if making.turns.are_over() {
            return Ok(ended(OutcomeState::Skipped, CANCELLED));
        }
        sent += 1;
        let answer = trail
            .write(directory, &with_password(step, making.ids))
            .await;
        drop(turn);
        match answer {
            Ok(Some(answer)) if answer.get("id").is_some_and(Value::is_string) => {
                let answer = answer.as_object().cloned().unwrap_or_default();
                let made = made(step, &answer, "", trail);
                return seen(directory, step, made).await;
            }
            Ok(_) | Err(GraphError::Ambiguous { .. }) => {
                if key.is_none() {
                    return Ok(ended(OutcomeState::Failed, unknown(step)));
                }
                (asked, looks) = (true, WAITS.into_iter());
            }
            // It may be there already, and reads do not show it yet.
            Err(GraphError::BadRequest { .. } | GraphError::Conflict { .. }) if asked => {
                looks = WAITS.into_iter();
            }
            Err(error) if ends_the_attempt(&error) => return Err(error),
            Err(error) => match patience.next().filter(|_| may_pass(&error, step)) {
                Some(wait) => {
                    sent -= 1;
                    tokio::time::sleep(wait).await;
                }
                None => return Ok(ended(OutcomeState::Failed, chain(&error))),
            },
        }
    }
}

/// What is known before anything is sent: it was made already, or the object is there
/// again.
async fn before(
    directory: &dyn DirectoryWriter,
    step: &Step,
    making: &Making<'_>,
    trail: &mut Trail,
) -> Result<Option<Ended>, GraphError> {
    let (object_type, id) = (step.object.object_type, &step.object.id);
    if let Some(ended) = told(directory, step, making.lineage, making.plan, trail).await? {
        return Ok(Some(ended));
    }
    if fresh::object(directory, object_type, id, ObjectState::Live)
        .await?
        .is_some()
    {
        return Ok(Some(ended(
            OutcomeState::Conflict,
            "is there again since the plan was made",
        )));
    }
    // One of an application that is gone for good may well lie there.
    let may_lie_there = object_type == ObjectType::ServicePrincipal;
    if !may_lie_there
        && fresh::object(directory, object_type, id, ObjectState::Deleted)
            .await?
            .is_some()
    {
        let back = "is in the recycle bin, from which it can be restored as it was";
        return Ok(Some(ended(OutcomeState::Conflict, back)));
    }
    Ok(None)
}

/// The end of a step whose object was made already, as the lineage tells: where this
/// plan did, by an attempt that was stopped before it noted the outcome.
pub(crate) async fn told(
    directory: &dyn DirectoryWriter,
    step: &Step,
    lineage: &Lineage,
    plan: &PlanId,
    trail: &mut Trail,
) -> Result<Option<Ended>, GraphError> {
    let (object_type, id) = (step.object.object_type, &step.object.id);
    let now = lineage.current(id);
    if now == *id {
        return Ok(None);
    }
    let there = fresh::object(directory, object_type, &now, ObjectState::Live).await?;
    let Some(object) = there else {
        let gone = format!("was made anew already, as {now}, which is gone; make a new plan");
        return Ok(Some(ended(OutcomeState::Conflict, gone)));
    };
    if by_this_plan(lineage, &now, plan) {
        return Ok(Some(made(step, &object.body(), UNNOTED, trail)));
    }
    let already = format!("was made anew already, as {now}");
    let ((state, detail), made) = made(step, &object.body(), &already, trail);
    let state = match state {
        OutcomeState::Applied => OutcomeState::AlreadyDone,
        other => other,
    };
    Ok(Some(((state, detail), made)))
}

/// Whether a plan made the object with this id.
fn by_this_plan(lineage: &Lineage, new: &ObjectId, plan: &PlanId) -> bool {
    let mut entries = lineage.entries().iter();
    entries.any(|entry| entry.new == *new && entry.restore == *plan)
}

/// What nobody but a person can find out.
fn unknown(step: &Step) -> String {
    format!(
        "the answer to the request that makes {} \"{}\" anew was lost, so it may be there or not: look for it by its name; delete one that is there, or leave it and settle by hand what names the old one; then make a new plan",
        step.object.object_type, step.object.name
    )
}

/// Whether a step makes an object that nothing tells from another, so that only a person
/// finds out whether it was made where the answer is lost.
pub(crate) fn is_untraceable(step: &Step) -> bool {
    step.action == Action::Recreate && key_of(step).is_none()
}

/// What no other object shares with the one that a step makes.
fn key_of(step: &Step) -> Option<(Key, String)> {
    let key = creation(step.object.object_type)?.key?;
    let body = |name: &str| {
        let value = step.call.body.as_ref()?.get(name)?.as_str()?;
        Some(value.to_owned())
    };
    let value = match key {
        Key::SignInName | Key::AppId => body(key.property())?,
        Key::UniqueName => {
            let (_, rest) = step.call.path.split_once("='")?;
            rest.strip_suffix("')")?.to_owned()
        }
    };
    Some((key, value))
}

async fn find(
    directory: &dyn DirectoryWriter,
    object_type: ObjectType,
    key: Key,
    value: &str,
) -> Result<Option<Body>, GraphError> {
    let query = Query::Keyed {
        object_type,
        key,
        value: value.to_owned(),
    };
    match Directory::page(directory, &query, None).await {
        Ok(page) => {
            let first = page.items.first();
            let body = first
                .map(|item| serde_json::from_str(item.get()))
                .transpose();
            body.map_err(|error| GraphError::Malformed {
                what: error.to_string(),
                path: query.kind().name(),
            })
        }
        Err(GraphError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether what was found is what the step asked for: under a name that only this
/// program gives, or as the request says in everything.
fn is_ours(step: &Step, key: Key, value: &str, found: &Body) -> bool {
    if key == Key::UniqueName && value == format!("rewind-{}", step.object.id) {
        return true;
    }
    let spec = step.object.object_type.spec();
    let asked = step.call.body.as_ref().and_then(Value::as_object);
    let mut asked = asked.into_iter().flatten();
    asked.all(|(name, value)| match spec.property(name) {
        Some(property) if property.class == Class::Restorable => {
            canonical::property(property, Some(value))
                == canonical::property(property, found.get(name))
        }
        _ => true,
    })
}

/// The end of a step whose object is there. Of what was asked for, what the object
/// says goes on record; a password is not among it.
pub(crate) fn made(step: &Step, body: &Body, detail: &str, trail: &mut Trail) -> Ended {
    let asked = step.call.body.as_ref().and_then(Value::as_object);
    let asked = |name: &str| name == "id" || asked.is_some_and(|asked| asked.contains_key(name));
    let said = body.iter().filter(|(name, _)| asked(name));
    let said: Body = said.map(|(name, it)| (name.clone(), it.clone())).collect();
    trail.after = Some(Value::Object(said));
    let id = |value: Option<&Value>| ObjectId::parse(value?.as_str()?).ok();
    let Some(new) = id(body.get("id")) else {
        return ended(OutcomeState::Failed, "was made, but the answer tells no id");
    };
    let former = step.attributes.iter().find(|it| it.path == "appId");
    let former = former.and_then(|attribute| id(attribute.before.as_ref()));
    let made = Made {
        new,
        app_ids: former.zip(id(body.get("appId"))),
    };
    ((OutcomeState::Applied, detail.to_owned()), Some(made))
}

/// Waits until reads show what was made, so that others can name it.
pub(crate) async fn seen(
    directory: &dyn DirectoryWriter,
    step: &Step,
    ended: Ended,
) -> Result<Ended, GraphError> {
    let ((state, _), Some(made)) = ended else {
        return Ok(ended);
    };
    for wait in WAITS {
        match fresh::object(
            directory,
            step.object.object_type,
            &made.new,
            ObjectState::Live,
        )
        .await
        {
            Ok(None) => tokio::time::sleep(wait).await,
            // Whatever else is wrong, it was made, and that is what must not be lost.
            Ok(Some(_)) | Err(_) => return Ok(((state, String::new()), Some(made))),
        }
    }
    let detail = "was made, but reads do not show it yet".to_owned();
    Ok(((state, detail), Some(made)))
}

/// The request, with what no plan holds.
fn with_password(step: &Step, ids: &dyn Ids) -> Call {
    let mut call = step.call.clone();
    if step.object.object_type == ObjectType::User
        && let Some(body) = call.body.as_mut().and_then(Value::as_object_mut)
    {
        // Letters of both cases, digits and a mark, as the directory demands, and 144
        // bits of chance.
        let password = format!("Rw1!{}{}{}", ids.short(), ids.short(), ids.short());
        let profile = json!({"password": password, "forceChangePasswordNextSignIn": true});
        body.insert("passwordProfile".to_owned(), profile);
    }
    call
}

/// Refusals that Graph gives while what the request names is not known everywhere yet.
fn may_pass(error: &GraphError, step: &Step) -> bool {
    let names_new = !step.made_anew.is_empty();
    match error {
        GraphError::Conflict { .. } => true,
        GraphError::NotFound { .. } => names_new || !step.after.is_empty(),
        GraphError::BadRequest { message, .. } => {
            names_new || message.contains("does not reference a valid application object")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;

//! Carries out the steps that make what no snapshot has: the contexts and policies of a
//! plan that protects.
//!
//! A request whose answer is lost may have been carried out. What such a step makes is
//! known by all that it says, so that one which is there is taken for it and never made
//! twice.

use std::collections::HashSet;

use graph::{DirectoryWriter, GraphError, Query};
use model::catalogue::Class;
use model::lineage::Lineage;
use model::plan::Step;
use model::posture::by_hand;
use model::{Object, ObjectState, ObjectType, PlanId, canonical};
use proto::v1::OutcomeState;
use runtime::status::chain;
use serde_json::{Map, Value};

use crate::recreate::{Ended, MOST_SENT, Made, Making, ended, made, seen, told, with_trail};
use crate::step::{CANCELLED, Ending, Trail, UNNOTED, WAITS, ends_the_attempt};
use crate::{fresh, relations};

type Body = Map<String, Value>;

/// What is there in the place of what a step makes.
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// One that says the same.
    Same(Body),
    /// Something else, in a sentence.
    Other(String),
}

/// Looks for what a step makes.
///
/// # Errors
/// The [`GraphError`] of a read.
pub(crate) async fn find(
    directory: &dyn DirectoryWriter,
    step: &Step,
) -> Result<Found, GraphError> {
    let object_type = step.object.object_type;
    if object_type == ObjectType::AuthenticationContextClassReference {
        let id = &step.object.id;
        let found = fresh::object(directory, object_type, id, ObjectState::Live).await?;
        return Ok(match found.map(|object| object.body()) {
            None => Found::Nothing,
            Some(body) if says_the_same(step, &body) => Found::Same(body),
            Some(_) => Found::Other("is there by now, and says something else".to_owned()),
        });
    }
    let list = HashSet::from([Query::Objects(object_type)]);
    let all = relations::listed(directory, &list).await?;
    let mut bodies = all.iter().map(Object::body);
    let same = bodies.find(|body| says_the_same(step, body));
    Ok(same.map_or(Found::Nothing, Found::Same))
}

/// Whether an object says what a step asks for; it may be enabled already.
fn says_the_same(step: &Step, found: &Body) -> bool {
    let spec = step.object.object_type.spec();
    let asked = step.call.body.as_ref().and_then(Value::as_object);
    let mut asked = asked.into_iter().flatten();
    asked.all(|(name, value)| match spec.property(name) {
        Some(property) if property.class == Class::Restorable => {
            let held = found.get(name);
            let enabled = name == "state" && held.is_some_and(|state| state == "enabled");
            enabled
                || canonical::property(property, Some(value)) == canonical::property(property, held)
        }
        _ => true,
    })
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
        Err(error) => {
            let detail = format!("{}; do it {}", chain(&error), by_hand(step));
            Ok(with_trail(ended(OutcomeState::Failed, detail), trail))
        }
        Ok(ended) => Ok(with_trail(ended, trail)),
    }
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
        None => match find(directory, step).await? {
            Found::Same(body) => there(step, &body, UNNOTED, &mut trail),
            Found::Nothing | Found::Other(_) => ended(OutcomeState::Skipped, CANCELLED),
        },
    };
    Ok(with_trail(ended, trail))
}

async fn attempt(
    directory: &dyn DirectoryWriter,
    step: &Step,
    making: &Making<'_>,
    trail: &mut Trail,
) -> Result<Ended, GraphError> {
    // What is said of one that is found after a request was, or may have been, sent.
    let mut asked = making.was_asked.then_some(UNNOTED);
    let (mut sent, mut waits) = (u32::from(making.was_asked), WAITS.into_iter());
    loop {
        // From the looks to the request; who waits has no turn.
        let turn = making.turns.take().await;
        if let Some(ended) = told(directory, step, making.lineage, making.plan, trail).await? {
            return Ok(ended);
        }
        let problem = match (find(directory, step).await?, asked) {
            (Found::Same(body), Some(detail)) => return Ok(there(step, &body, detail, trail)),
            (Found::Same(body), None) => {
                let detail = "one that says the same is there already";
                let ((_, detail), made) = there(step, &body, detail, trail);
                trail.before = trail.after.clone();
                return Ok(((OutcomeState::AlreadyDone, detail), made));
            }
            (Found::Other(detail), None) => return Ok(ended(OutcomeState::Conflict, detail)),
            (Found::Other(detail), Some(_)) => detail,
            (Found::Nothing, _) => "was made, but reads do not show it".to_owned(),
        };
        if asked.is_some() {
            if let Some(wait) = waits.next() {
                drop(turn);
                tokio::time::sleep(wait).await;
                continue;
            }
            if sent >= MOST_SENT {
                return Ok(ended(OutcomeState::Failed, problem));
            }
        }
        if making.turns.are_over() {
            return Ok(ended(OutcomeState::Skipped, CANCELLED));
        }
        sent += 1;
        let answer = trail.write(directory, &step.call).await;
        drop(turn);
        asked = Some(match answer {
            Ok(Some(Value::Object(body))) if body.get("id").is_some_and(Value::is_string) => {
                return seen(directory, step, there(step, &body, "", trail)).await;
            }
            // It was carried out, so it is not sent again.
            Ok(_) => {
                sent = MOST_SENT;
                ""
            }
            Err(GraphError::Ambiguous { .. }) => {
                "the answer was lost; it was found by what it says"
            }
            // What it names may not be known everywhere yet.
            Err(error @ (GraphError::NotFound { .. } | GraphError::BadRequest { .. }))
                if !step.after.is_empty() && waits.len() > 0 =>
            {
                tracing::info!(error = chain(&error), "refused, and tried again");
                sent -= 1;
                if let Some(wait) = waits.next() {
                    tokio::time::sleep(wait).await;
                }
                continue;
            }
            Err(error) => return Err(error),
        });
        waits = WAITS.into_iter();
    }
}

/// The end of a step whose object is there.
fn there(step: &Step, body: &Body, detail: &str, trail: &mut Trail) -> Ended {
    let (ended, made) = made(step, body, detail, trail);
    // A context has the id that the plan says.
    (ended, made.filter(|made| made.new != step.object.id))
}

//! Carries out one step: read again, decide, write, read back; and tells what it found
//! before and after.
//!
//! A step whose object is already as the step leaves it has nothing to do, so
//! that repeating a step after a crash does no harm. One whose object is
//! neither that nor what the plan saw stops as a conflict.

mod look;

use std::collections::HashSet;
use std::time::Duration;

use graph::{DirectoryWriter, GraphError};
use model::ObjectId;
use model::call::Call;
use model::diff::Direction;
use model::plan::{Action, Step, add_call};
use model::posture::by_hand;
use proto::v1::OutcomeState;
use runtime::status::chain;
use serde_json::Value;

use self::look::{Look, Verdict, look, targets};
use crate::fresh;
use crate::turns::Turns;

/// Steps under way at a time. With so many, the quota is used while the writes of
/// some are not seen everywhere yet.
pub(crate) const AT_ONCE: usize = 200;

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

/// How a step ended.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) state: OutcomeState,
    /// A sentence where there is something to say.
    pub(crate) detail: String,
    pub(crate) trail: Trail,
}

/// What a step leaves for the record.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// Graph's id of the last request that wrote; empty where nothing was sent.
    pub(crate) request_id: String,
    /// What the step writes, as found before; `None` also where there was none.
    pub(crate) before: Option<Value>,
    /// The same as found afterwards.
    pub(crate) after: Option<Value>,
}

impl Trail {
    /// Sends a write, and keeps the id of its request.
    pub(crate) async fn write(
        &mut self,
        directory: &dyn DirectoryWriter,
        call: &Call,
    ) -> Result<Option<Value>, GraphError> {
        let sent = directory.send(call).await;
        if let Some(id) = sent.request_id {
            self.request_id = id;
        }
        sent.answer
    }
}

/// What is known of a step from the plan and from earlier attempts at it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Past<'a> {
    /// An earlier attempt meant to carry it out, and no more is known of that.
    pub(crate) intended: bool,
    /// An earlier step brings back what it is about: nobody could see what hangs on it
    /// while it was in the recycle bin.
    pub(crate) came_back: bool,
    /// All that the plan brings back: links to these were out of sight as well.
    pub(crate) returned: Option<&'a HashSet<ObjectId>>,
}

/// Carries out a step, which holds one of the turns from its look to its write.
///
/// # Errors
/// Where Graph or the credential is out of order as a whole: the step has not
/// ended, and the restore is to be interrupted rather than failed step by step.
pub(crate) async fn perform(
    directory: &dyn DirectoryWriter,
    step: &Step,
    past: Past<'_>,
    turns: &Turns,
) -> Result<Ending, GraphError> {
    let mut trail = Trail::default();
    let (state, mut detail) = match attempt(directory, step, past, turns, &mut trail).await {
        Err(error) if ends_the_attempt(&error) => return Err(error),
        Err(error) => (OutcomeState::Failed, chain(&error)),
        Ok(ending) => ending,
    };
    // Whether an application may set what protects an action is not documented.
    if state == OutcomeState::Failed && step.action == Action::Protect {
        detail = format!("{detail}; do it {}", by_hand(step));
    }
    Ok(Ending {
        state,
        detail,
        trail,
    })
}

/// What a step would find if it were carried out now; nothing is written.
#[derive(Debug)]
pub(crate) enum Prospect {
    /// The object is as the step expects it.
    Ready,
    /// The object is as the step leaves it.
    Done,
    /// It is neither, or cannot be told, in a sentence.
    Neither(String),
}

/// Looks at what a step would find now.
///
/// # Errors
/// The [`GraphError`] of a read.
pub(crate) async fn prospect(
    directory: &dyn DirectoryWriter,
    step: &Step,
) -> Result<Prospect, GraphError> {
    Ok(
        match look(directory, step, Past::default()).await?.verdict {
            Verdict::Write(_) => Prospect::Ready,
            Verdict::Done => Prospect::Done,
            Verdict::Left(detail)
            | Verdict::Conflict(detail)
            | Verdict::Fail(detail)
            | Verdict::Missing(detail) => Prospect::Neither(detail),
        },
    )
}

/// Looks at what many steps would find now, in their order.
///
/// # Errors
/// The first [`GraphError`] of a read.
pub(crate) async fn prospects(
    directory: &dyn DirectoryWriter,
    steps: &[&Step],
) -> Result<Vec<Prospect>, GraphError> {
    let mut found = Vec::with_capacity(steps.len());
    for some in steps.chunks(AT_ONCE) {
        let looks = some.iter().map(|step| prospect(directory, step));
        for look in futures::future::join_all(looks).await {
            found.push(look?);
        }
    }
    Ok(found)
}

/// How a step ended that an earlier attempt began and did not note, so long ago that
/// what it wrote is seen everywhere; nothing is written.
///
/// # Errors
/// The [`GraphError`] of a read.
pub(crate) async fn settle(
    directory: &dyn DirectoryWriter,
    step: &Step,
) -> Result<Ending, GraphError> {
    let Look { verdict, found } = look(directory, step, Past::default()).await?;
    let (state, detail, trail) = match verdict {
        Verdict::Done => {
            let trail = Trail {
                before: step.planned_before(found.as_ref()),
                after: found,
                ..Trail::default()
            };
            (OutcomeState::Applied, UNNOTED.to_owned(), trail)
        }
        Verdict::Write(_) => {
            let detail = CANCELLED.to_owned();
            (OutcomeState::Skipped, detail, Trail::default())
        }
        Verdict::Left(detail)
        | Verdict::Conflict(detail)
        | Verdict::Fail(detail)
        | Verdict::Missing(detail) => {
            let detail = format!("cancelled while it was tried: {detail}");
            (OutcomeState::Skipped, detail, Trail::default())
        }
    };
    Ok(Ending {
        state,
        detail,
        trail,
    })
}

/// What is said of a write whose answer was not journalled.
pub(crate) const UNNOTED: &str = "an earlier attempt wrote it; it was read back";

/// What is said of a step that was begun and that the cancel kept from writing.
pub(crate) const CANCELLED: &str = "cancelled before it was written";

/// Whether an error says nothing about the step.
pub(crate) fn ends_the_attempt(error: &GraphError) -> bool {
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
    turns: &Turns,
    trail: &mut Trail,
) -> Result<(OutcomeState, String), GraphError> {
    let mut waits = WAITS.into_iter();
    let (mut written, mut maybe_written) = (false, false);
    loop {
        // Who has written only reads; and who waits has no turn.
        let turn = match written {
            false => Some(turns.take().await),
            true => None,
        };
        // It may have been carried out, and not be known everywhere yet.
        let doubtful = maybe_written || past.intended;
        // The same of what an earlier step of the plan did.
        let lags = written || doubtful || !step.after.is_empty();
        let Look { verdict, found } = look(directory, step, past).await?;
        if written || maybe_written {
            trail.after = found;
        } else {
            trail.before = found;
        }
        let problem = match verdict {
            Verdict::Done if written => return Ok((OutcomeState::Applied, String::new())),
            Verdict::Done if maybe_written => {
                let lost = "the answer was lost; the write was read back".to_owned();
                return Ok((OutcomeState::Applied, lost));
            }
            Verdict::Done if past.intended => {
                trail.after = trail.before.take();
                trail.before = step.planned_before(trail.after.as_ref());
                return Ok((OutcomeState::Applied, UNNOTED.to_owned()));
            }
            Verdict::Done => {
                trail.after = trail.before.clone();
                let already = "was as the step leaves it already".to_owned();
                return Ok((OutcomeState::AlreadyDone, already));
            }
            Verdict::Left(detail) => {
                trail.after = trail.before.clone();
                return Ok((OutcomeState::AlreadyDone, detail));
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
            Verdict::Write(_) if turns.are_over() && !doubtful => {
                return Ok((OutcomeState::Skipped, CANCELLED.to_owned()));
            }
            // What was sent may show yet.
            Verdict::Write(_) if turns.are_over() => {
                "cancelled; it was sent, and reads do not show it".to_owned()
            }
            Verdict::Write(call) => match trail.write(directory, &call).await {
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
                Err(error) => return refused(directory, step, past, error, trail).await,
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
    trail: &mut Trail,
) -> Result<(OutcomeState, String), GraphError> {
    let wanted = targets(step, Direction::Added);
    if let Some(kind) = step.links.first().map(|link| link.kind)
        && step.action == Action::AddLinks
        && wanted.len() > 1
    {
        let present = fresh::ends(directory, kind, &step.object.id).await?;
        let mut problems = Vec::new();
        for target in wanted.into_iter().filter(|id| !present.contains(*id)) {
            let call = add_call(kind, &step.object.id, std::slice::from_ref(target));
            match trail.write(directory, &call).await {
                Ok(_) => {}
                Err(error) if ends_the_attempt(&error) => return Err(error),
                Err(error) => problems.push(format!("{target}: {}", chain(&error))),
            }
        }
        if !problems.is_empty() {
            trail.after = look(directory, step, past).await?.found;
            let detail = format!("{} of the links: {}", problems.len(), problems.join("; "));
            return Ok((OutcomeState::Failed, detail));
        }
    }
    let Look { verdict, found } = look(directory, step, past).await?;
    trail.after = found;
    match verdict {
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
            let is_there: &[&str] = match step.action {
                Action::MakeAnew => &[
                    "already exists",
                    "conflicting object",
                    "was not found on application",
                ],
                Action::AddLinks => &["references already exist"],
                _ => &[],
            };
            let may_be_there = is_there.iter().any(|text| message.contains(text));
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

#[cfg(test)]
mod tests;

//! Who called, about what, and with which outcome, kept in chains that show what was
//! done to them.
//!
//! Owns when something is written: a call that changes anything before it is carried
//! out, its outcome and each refusal before the answer, and reads soon after. A call
//! that cannot be written before it is carried out is not carried out. It must never
//! write a secret, nor make anything of a tenant that is not registered.

mod attempt;
mod keeper;
mod list;
mod queue;
mod refusals;
pub(crate) mod rpc;
mod summary;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use proto::convert::timestamp;
use proto::v1::{AuditEntry, AuditKind, AuditOutcome, AuditResult};
use runtime::{Clock, Fault, Ids};
use store::Vault;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::error::GatewayError;
use crate::metrics::Metrics;
pub(crate) use attempt::Attempt;
use attempt::Stage;
use keeper::{Keeper, Unwritten};
use queue::{Haste, LINGER, Landed};
use refusals::{Counted, Refusals};

#[cfg(test)]
mod tests;

/// How long a mutation waits until it is written, and then until its outcome is.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a refusal waits until it is written; it is refused in any case.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is told in the installation's chain how far the others have come.
const CHECKPOINTS: Duration = Duration::from_secs(60);
/// How long everything that waits may take to be written when the gateway stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The audit of this process. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    keeper: Arc<Keeper>,
    refusals: Arc<Refusals>,
    metrics: Metrics,
}

impl Audit {
    pub(crate) fn new(
        vault: Vault,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        metrics: Metrics,
    ) -> Self {
        let keeper = Keeper::new(vault, clock, ids, metrics.clone());
        Self {
            keeper: Arc::new(keeper),
            refusals: Arc::default(),
            metrics,
        }
    }

    /// Tells of itself until the token is cancelled.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        self.keeper.begin();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(CHECKPOINTS) => self.keeper.checkpoint(),
            }
        }
    }

    /// Writes everything that waits, and that this process writes nothing more, as far
    /// as that is possible within a few seconds.
    pub(crate) async fn close(&self) {
        self.tell_refusals();
        let closed = tokio::time::timeout(LAST_WORDS, self.keeper.close()).await;
        if !matches!(closed, Ok(Ok(()))) {
            tracing::error!("the audit was not written to its end");
        }
    }

    /// Counts a caller whom nobody knows, at a page or a compatible API.
    pub(crate) fn unknown_caller(&self, error: &GatewayError) {
        if matches!(error, GatewayError::Unauthenticated) {
            let source = attempt::answered().map(|it| it.to_string());
            let code = attempt::code(Code::Unauthenticated);
            self.count(&source.unwrap_or_default(), code, error.reason());
        }
    }

    /// A call that has come.
    pub(crate) fn attempt<T>(&self, request: &Request<T>, request_id: &HeaderValue) -> Attempt {
        Attempt::new(Arc::clone(&self.keeper), request.extensions(), request_id)
    }

    /// Lets a call pass that the caller may make, once it is written where it changes
    /// anything.
    ///
    /// # Errors
    /// [`GatewayError::AuditUnavailable`] where that cannot be written.
    pub(crate) async fn admit(&self, attempt: &mut Attempt) -> Result<(), GatewayError> {
        if !attempt.lasting {
            attempt.stage = Stage::Read;
            return Ok(());
        }
        attempt.entry.kind = AuditKind::Mutation.into();
        attempt.entry.call = self.keeper.call();
        attempt.stage = Stage::Asked;
        let entry = attempt.entry.clone();
        let place = attempt.place.clone();
        attempt.copy(&entry);
        match self.keeper.durable(place, entry, PATIENCE).await {
            Ok(landed) => {
                if landed == Landed::Installation {
                    attempt.place = None;
                }
                Ok(())
            }
            Err(why) => {
                self.metrics.audit_refused();
                attempt.stage = Stage::Told;
                // Should it be written after all, its outcome is too.
                let refused = GatewayError::AuditUnavailable.into();
                let entry = attempt.end(attempt.outcome(&refused));
                attempt.copy(&entry);
                if why == Unwritten::Late {
                    let place = attempt.place.take();
                    self.keeper.note(place, entry, Haste::Urgent);
                }
                Err(GatewayError::AuditUnavailable)
            }
        }
    }

    /// Tells what became of a call, and then answers it.
    pub(crate) async fn answered(
        &self,
        mut attempt: Attempt,
        answer: Result<Response<Body>, Status>,
    ) -> Response<Body> {
        match answer {
            Err(status) => {
                self.refused(&mut attempt, &status).await;
                status.into_http()
            }
            Ok(response) if attempt.stage == Stage::Asked => self.ending(attempt, response).await,
            Ok(response) => {
                let status = Status::from_header_map(response.headers());
                let status = status.unwrap_or_else(|| Status::new(Code::Ok, ""));
                self.read(&mut attempt, &status).await;
                response
            }
        }
    }

    /// A call that the door refused, or that nobody behind it answered.
    async fn refused(&self, attempt: &mut Attempt, status: &Status) {
        match attempt.stage {
            Stage::Arrived => {
                attempt.stage = Stage::Told;
                let AuditOutcome { reason, .. } = attempt.outcome(status);
                let code = attempt::code(status.code());
                self.count(&attempt.entry.source, code, &reason);
            }
            Stage::Known => self.deny(attempt, status).await,
            Stage::Read => self.read(attempt, status).await,
            Stage::Asked => self.end(attempt, status).await,
            Stage::Told => {}
        }
    }

    /// A call without a valid token.
    fn count(&self, source: &str, code: &'static str, reason: &str) {
        self.metrics.refused(reason);
        let now = self.keeper.now();
        if self.refusals.count(source, code, reason, now) == Counted::First {
            let audit = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(LINGER).await;
                audit.tell_refusals();
            });
        }
    }

    fn tell_refusals(&self) {
        for refused in self.refusals.take() {
            let entry = AuditEntry {
                time: Some(timestamp(refused.first)),
                kind: AuditKind::Denial.into(),
                source: refused.source,
                outcome: Some(AuditOutcome {
                    result: AuditResult::Denied.into(),
                    code: refused.code.to_owned(),
                    reason: refused.reason,
                    time: Some(timestamp(refused.first)),
                }),
                count: refused.count,
                ..AuditEntry::default()
            };
            self.keeper.note(None, entry, Haste::Urgent);
        }
    }

    /// A call that the caller may not make, or that cannot be understood.
    async fn deny(&self, attempt: &mut Attempt, status: &Status) {
        attempt.stage = Stage::Told;
        let outcome = AuditOutcome {
            result: AuditResult::Denied.into(),
            ..attempt.outcome(status)
        };
        self.metrics.refused(&outcome.reason);
        let mut entry = std::mem::take(&mut attempt.entry);
        entry.kind = AuditKind::Denial.into();
        entry.outcome = Some(outcome);
        attempt.copy(&entry);
        let place = attempt.place.take();
        if status.code() == Code::ResourceExhausted {
            // Whoever calls too often does not get to write as often.
            return self.keeper.note(place, entry, Haste::Lazy);
        }
        // It is refused whether that is known to be written or not.
        if self
            .keeper
            .durable(place, entry, REFUSAL_PATIENCE)
            .await
            .is_err()
        {
            self.metrics.audit_late();
        }
    }

    async fn read(&self, attempt: &mut Attempt, status: &Status) {
        if matches!(
            status.code(),
            Code::PermissionDenied | Code::Unauthenticated
        ) {
            return self.deny(attempt, status).await;
        }
        attempt.stage = Stage::Told;
        let outcome = attempt.outcome(status);
        let mut entry = std::mem::take(&mut attempt.entry);
        entry.outcome = Some(outcome);
        self.keeper.note(attempt.place.take(), entry, Haste::Lazy);
    }

    /// How a mutation ended. The answer waits for that to be written, but not for ever:
    /// what was done was done.
    async fn end(&self, attempt: &mut Attempt, status: &Status) {
        attempt.stage = Stage::Told;
        let mut outcome = attempt.outcome(status);
        if is_uncertain(status, &outcome) {
            outcome.result = AuditResult::Unknown.into();
        }
        let entry = attempt.end(outcome);
        let place = attempt.place.clone();
        attempt.copy(&entry);
        if self.keeper.durable(place, entry, PATIENCE).await.is_err() {
            self.metrics.audit_late();
        }
    }

    /// An answer to a mutation, whose end is told before the caller learns of it.
    async fn ending(&self, mut attempt: Attempt, response: Response<Body>) -> Response<Body> {
        if let Some(status) = Status::from_header_map(response.headers()) {
            self.end(&mut attempt, &status).await;
            return response;
        }
        let (parts, body) = response.into_parts();
        if attempt.streams {
            return Response::from_parts(parts, self.streamed(attempt, body));
        }
        let whole = match body.collect().await {
            Ok(whole) => whole,
            Err(status) => {
                self.end(&mut attempt, &status).await;
                return status.into_http();
            }
        };
        let trailers = whole.trailers().cloned();
        let status = trailers.as_ref().and_then(Status::from_header_map);
        let status = status.unwrap_or_else(|| Status::unknown("the answer has no end"));
        self.end(&mut attempt, &status).await;
        let body = Full::new(whole.to_bytes())
            .with_trailers(std::future::ready(trailers.map(Ok)))
            .map_err(|never: std::convert::Infallible| match never {});
        Response::from_parts(parts, Body::new(body))
    }

    /// A stream whose end is told before its trailers are sent.
    fn streamed(&self, attempt: Attempt, body: Body) -> Body {
        let state = Some((self.clone(), attempt, BodyStream::new(body)));
        let frames = futures::stream::unfold(state, |state| async move {
            let (audit, mut attempt, mut frames) = state?;
            let frame = futures::StreamExt::next(&mut frames).await?;
            let end = match &frame {
                Ok(frame) => frame.trailers_ref().and_then(Status::from_header_map),
                Err(status) => Some(status.clone()),
            };
            if let Some(status) = end {
                audit.end(&mut attempt, &status).await;
            }
            Some((frame, Some((audit, attempt, frames))))
        });
        Body::new(StreamBody::new(frames))
    }
}

/// Whether a call may have been carried out although it ended so: nobody heard the end.
fn is_uncertain(status: &Status, outcome: &AuditOutcome) -> bool {
    match status.code() {
        Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => true,
        Code::Unavailable => matches!(
            outcome.reason.as_str(),
            "" | model::error::reason::BACKEND_UNAVAILABLE
        ),
        _ => false,
    }
}

/// The address that a request came from.
pub(crate) fn peer(from: &http::Extensions) -> Option<std::net::IpAddr> {
    attempt::source(from)
}

/// Answers a request; whatever it calls in this task comes from its address.
pub(crate) fn answering<F: Future>(
    peer: Option<std::net::IpAddr>,
    answer: F,
) -> tokio::task::futures::TaskLocalFuture<Option<std::net::IpAddr>, F> {
    attempt::PEER.scope(peer, answer)
}

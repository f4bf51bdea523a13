//! `rewind signals watch`: prints signals as they are raised, one on each line, until
//! it is ended.
//!
//! A stream that ends is opened again where it ended. What comes again is printed
//! once.

use std::collections::HashSet;
use std::io::{ErrorKind, Write};
use std::time::Duration;

use model::error::reason;
use proto::json::to_json;
use proto::v1::{Signal, WatchSignalsRequest};
use runtime::exit;
use tokio::time::Instant;
use tonic::Status;

use super::{from_time, min_severity, severity};
use crate::args::{Global, WatchSignals};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::is_passing;
use crate::session::Session;
use crate::text::{id_of, tame, time};

/// How long to wait before a stream is opened again at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(30)];
/// A stream that stood this long was no failed attempt.
const STEADY: Duration = Duration::from_secs(10);

/// Watches until standard output is closed.
pub(crate) async fn run(
    args: &WatchSignals,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let from_time = from_time(args.since)?;
    let session = Session::open(global, output).await?;
    let mut request = WatchSignalsRequest {
        parent: proto::name::tenant(&session.tenant(None).await?),
        after: String::new(),
        min_severity: min_severity(args.severity).into(),
        from_time,
    };
    let mut printed = HashSet::new();
    let [shortest, longest] = PAUSES;
    let mut pause = shortest;
    loop {
        let opened = Instant::now();
        match follow(&session, output, &mut request, &mut printed).await? {
            Ended::Unread => return Ok(exit::DONE),
            Ended::Broken(status) if !comes_back(&status) => return Err(status.into()),
            Ended::Broken(_) | Ended::Stream => {}
        }
        if opened.elapsed() > STEADY {
            pause = shortest;
        }
        tokio::time::sleep(pause).await;
        pause = longest.min(pause * 2);
    }
}

/// Why a stream ended.
enum Ended {
    /// The gateway ended it.
    Stream,
    /// It broke.
    Broken(Status),
    /// Nobody reads what is printed any more.
    Unread,
}

/// Whether what ended a stream may be over soon.
fn comes_back(status: &Status) -> bool {
    let reason = runtime::status::parse(status).reason;
    is_passing(status) || reason.as_deref() == Some(reason::STORE_UNAVAILABLE)
}

/// Prints what one stream tells, and notes how far it came.
async fn follow(
    session: &Session,
    output: Output,
    request: &mut WatchSignalsRequest,
    printed: &mut HashSet<String>,
) -> Result<Ended, Failure> {
    let client = &session.client;
    let mut signals = client.signals();
    let opened = signals.watch_signals(client.stream(request.clone()));
    let mut stream = match opened.await {
        Ok(opened) => opened.into_inner(),
        Err(status) => return Ok(Ended::Broken(status)),
    };
    loop {
        let answer = match stream.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(Ended::Stream),
            Err(status) => return Ok(Ended::Broken(status)),
        };
        if let Some(signal) = &answer.signal
            && printed.insert(signal.name.clone())
        {
            let line = match output.is_json() {
                true => to_json("Signal", signal).to_string(),
                false => line(signal),
            };
            let mut out = output.document();
            match writeln!(out, "{line}").and_then(|()| out.flush()) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Ended::Unread),
                Err(error) => return Err(Failure::Output(error)),
            }
        }
        request.after = answer.cursor;
    }
}

fn line(signal: &Signal) -> String {
    format!(
        "{}  {:8}  {}  {}",
        time(signal.time.as_ref()),
        severity(signal),
        tame(id_of(&signal.name)),
        tame(&signal.title),
    )
}

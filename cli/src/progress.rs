//! Progress on standard error, and waiting for the end of what was started.
//!
//! Shown only on a terminal, and only for work longer than a second. It never
//! prints a result.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::error::reason;
use tonic::{Code, Status, Streaming};

use crate::failure::Failure;
use crate::output::Output;
use crate::text::tame;

/// How long work may take before its progress is shown.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often in a row a stream is opened before it is given up.
const ATTEMPTS: u32 = 6;
/// How long to wait before the second attempt; the others wait longer.
const PAUSE: Duration = Duration::from_millis(200);
/// A stream that stood this long was no failed attempt.
const STEADY: Duration = Duration::from_secs(10);

/// What a message of a Watch stream tells.
pub(crate) struct Update<R> {
    /// The resource as far as it is known.
    pub(crate) resource: R,
    /// What is being done, in a line.
    pub(crate) line: String,
    /// Whether the work has ended; asked of the stream's last message only.
    pub(crate) ended: bool,
}

/// Watches until the work ends and answers the finished resource.
///
/// `open` opens the stream; it is opened again where the connection breaks,
/// which is harmless, since watching changes nothing.
///
/// # Errors
/// The stream's failure, or [`Failure::Lost`] where it cannot be kept open.
pub(crate) async fn watch<M, R, Open, Opened>(
    output: &Output,
    name: &str,
    mut open: Open,
    read: impl Fn(M) -> Option<Update<R>>,
) -> Result<R, Failure>
where
    Open: FnMut() -> Opened,
    Opened: Future<Output = Result<tonic::Response<Streaming<M>>, Status>>,
{
    let progress = Progress::new(output);
    let mut failure = Failure::Lost {
        name: name.to_owned(),
    };
    let mut attempt = 0;
    while attempt < ATTEMPTS {
        tokio::time::sleep(PAUSE * attempt * attempt).await;
        attempt += 1;
        let opened = tokio::time::Instant::now();
        let mut last = None;
        let broken = match open().await {
            Ok(opened) => {
                let mut stream = opened.into_inner();
                loop {
                    match progress.show_while(stream.message()).await {
                        Ok(Some(message)) => {
                            let update =
                                read(message).ok_or(Failure::Answer("it names no resource"))?;
                            progress.say(update.line.clone());
                            last = Some(update);
                        }
                        Ok(None) => break None,
                        Err(status) => break Some(status),
                    }
                }
            }
            Err(status) => Some(status),
        };
        if opened.elapsed() > STEADY {
            attempt = 1;
        }
        if let Some(update) = last.filter(|update| update.ended) {
            return Ok(update.resource);
        }
        if let Some(status) = broken {
            let passing = is_passing(&status);
            failure = status.into();
            if !passing {
                break;
            }
        }
    }
    Err(failure)
}

/// Whether the watching broke, not the work: a service's own verdict carries a
/// reason, a broken connection does not.
pub(crate) fn is_passing(status: &Status) -> bool {
    let remote = runtime::status::parse(status);
    match remote.reason.as_deref() {
        Some(word) => word == reason::BACKEND_UNAVAILABLE,
        None => matches!(
            remote.code,
            Code::Unavailable
                | Code::Unknown
                | Code::Internal
                | Code::Cancelled
                | Code::DeadlineExceeded
        ),
    }
}

/// A line on standard error that appears after a second.
struct Progress {
    bar: ProgressBar,
    shows: tokio::time::Instant,
    wanted: bool,
}

impl Progress {
    fn new(output: &Output) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            shows: tokio::time::Instant::now() + PATIENCE,
            wanted: output.progress,
        }
    }

    async fn show_while<T>(&self, work: impl Future<Output = T>) -> T {
        if !self.wanted || !self.bar.is_hidden() {
            return work.await;
        }
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep_until(self.shows) => {}
        }
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar.enable_steady_tick(Duration::from_millis(100));
        work.await
    }

    fn say(&self, line: String) {
        self.bar.set_message(tame(&line));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

//! The signals that end a service.
//!
//! Owns the wait for SIGTERM and ctrl-c. It never ends the process; it cancels
//! a token, and the drain follows from that.

use tokio_util::sync::CancellationToken;

/// A token that the first SIGTERM or ctrl-c cancels.
///
/// # Errors
/// Where the operating system refuses the handlers.
pub fn stop_token() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        cancelled.cancel();
    });
    Ok(token)
}

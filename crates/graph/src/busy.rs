//! Work that keeps a processor busy, away from the task that waits for answers.
//!
//! A tenant's lists are read in one task; pages are taken apart beside it, on as
//! many cores as there are.

/// From this many bytes on, a text is worth another thread.
const WORTH: usize = 32 << 10;

/// Does `work` on about that many bytes.
pub(crate) async fn busy<T, F>(bytes: usize, work: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    if bytes < WORTH {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

//! Runs work that keeps a processor busy away from the threads that serve I/O.

use crate::error::StoreError;

/// Runs `work` on a thread where it may take its time.
///
/// # Errors
/// Those of `work`; `Internal` where it panicked or the runtime is ending.
pub(crate) async fn run<T, F>(work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StoreError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => Err(StoreError::Internal(
            "a worker of the store panicked".to_owned(),
        )),
        Err(_) => Err(StoreError::Internal(
            "a worker of the store was ended with its runtime".to_owned(),
        )),
    }
}

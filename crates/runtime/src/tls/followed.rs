//! What follows from files, read again when they change.
//!
//! Owns the look at the files. A change that cannot be used leaves things as they are,
//! and is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::TlsError;

/// How often the files are looked at, at most.
pub(super) const LOOK: Duration = Duration::from_secs(5);

/// What a file was like, well enough to see that it is another.
type Stamp = Vec<Option<(SystemTime, u64)>>;
type Read<T> = Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>;

/// A value that follows from files.
pub(crate) struct Followed<T> {
    files: Vec<PathBuf>,
    read: Read<T>,
    current: Mutex<Current<T>>,
}

struct Current<T> {
    value: Arc<T>,
    stamp: Stamp,
    looked: Instant,
}

impl<T> std::fmt::Debug for Followed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Followed").field(&self.files).finish()
    }
}

impl<T> Followed<T> {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// What `read` finds wrong.
    pub(super) fn new(
        files: Vec<PathBuf>,
        read: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let current = Current {
            stamp: stamp(&files),
            value: Arc::new(read()?),
            looked: Instant::now(),
        };
        Ok(Self {
            files,
            read: Box::new(read),
            current: Mutex::new(current),
        })
    }

    /// What the files say now, or said when they could be used last.
    pub(crate) fn newest(&self) -> Arc<T> {
        let mut current = self.current.lock();
        if current.looked.elapsed() < LOOK {
            return Arc::clone(&current.value);
        }
        current.looked = Instant::now();
        let stamp = stamp(&self.files);
        if stamp == current.stamp {
            return Arc::clone(&current.value);
        }
        match (self.read)() {
            Ok(value) => {
                tracing::info!(files = ?self.files, "new certificates are used");
                current.value = Arc::new(value);
                current.stamp = stamp;
            }
            // The files may be half written: they are looked at again.
            Err(error) => {
                let error = crate::status::chain(&error);
                tracing::warn!(error, "new certificates cannot be used, the old ones stay");
            }
        }
        Arc::clone(&current.value)
    }
}

fn stamp(files: &[PathBuf]) -> Stamp {
    let of = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(of).collect()
}

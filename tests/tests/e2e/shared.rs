//! The shared data of the workplace, which a user's machine need not have.

use std::path::{Path, PathBuf};

/// The folder `data` of the shared data; `None`, said on standard output,
/// where this machine has none.
pub(crate) fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let beside = root.join("shared/data");
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests' own setting, not a service's"
    )]
    let named = std::env::var_os("REWIND_SHARED_DATA").map(PathBuf::from);
    let found = named.or(Some(beside)).filter(|path| path.is_dir());
    if found.is_none() {
        say("skipped: the shared data is not on this machine");
    }
    found
}

/// Says what a run should show: what was skipped, what was loaded.
#[expect(
    clippy::print_stdout,
    reason = "a test's output is where its reader looks"
)]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

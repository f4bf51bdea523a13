//! A reader gives way to a restore, and takes its share again when it has ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use graph::{Directory, LaneUse, giving_way};
use testkit::directory::FakeDirectory;

use crate::sample::content;

#[tokio::test(start_paused = true)]
async fn a_restore_is_seen_before_and_while_a_tenant_is_read() {
    let directory = FakeDirectory::new(content());
    let runs = AtomicBool::new(true);
    let look = || async { runs.load(Ordering::SeqCst) };
    let mut seen = Vec::new();
    let work = async {
        for running in [false, true, true, false] {
            seen.push(directory.lane_use());
            runs.store(running, Ordering::SeqCst);
            let never = std::future::pending::<()>();
            let _ = tokio::time::timeout(Duration::from_millis(5_001), never).await;
        }
        seen.push(directory.lane_use());
    };
    giving_way(&directory, look, work).await;
    use LaneUse::{Refuse, Share};
    assert_eq!(seen, [Refuse, Share, Refuse, Refuse, Share]);
    // What an earlier reading left behind does not count.
    directory.use_conditional_access(Refuse);
    giving_way(&directory, look, async {}).await;
    assert_eq!(directory.lane_use(), Share);
}

//! Giving way to a restore while a tenant is read.
//!
//! A restore that runs has the tenant's Conditional Access quota. Whoever reads
//! the tenant looks for one before and while it reads, and sends nothing to that
//! lane as long as one runs. Where the marks of restores are is the caller's
//! business. That they are looked for is politeness: what two processes send at
//! once, Graph refuses for now, and both wait.

use std::time::Duration;

use futures::FutureExt;

use crate::budget::LaneUse;
use crate::directory::Directory;

/// How often a restore is looked for: within this time all others hold back.
pub const LOOK: Duration = Duration::from_secs(5);

/// Says once whether a restore runs.
pub async fn give_way(directory: &dyn Directory, restore_runs: impl Future<Output = bool>) {
    directory.use_conditional_access(match restore_runs.await {
        true => LaneUse::Refuse,
        false => LaneUse::Share,
    });
}

/// Does work in a tenant, and gives way to each restore that runs meanwhile.
pub async fn giving_way<T, L>(
    directory: &dyn Directory,
    restore_runs: impl Fn() -> L,
    work: impl Future<Output = T>,
) -> T
where
    L: Future<Output = bool>,
{
    give_way(directory, restore_runs()).await;
    let looking = async {
        loop {
            tokio::time::sleep(LOOK).await;
            give_way(directory, restore_runs()).await;
        }
    };
    futures::select_biased! {
        done = Box::pin(work).fuse() => done,
        () = Box::pin(looking).fuse() => unreachable!("invariant: the loop does not end"),
    }
}

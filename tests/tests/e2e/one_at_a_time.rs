//! A tenant has one restore at a time, wherever it is applied.

use std::sync::{Arc, Condvar, Mutex};

use model::TenantId;
use proto::v1::*;
use store::Area;

use crate::cancel::{STEP, begun, changed, restore_of, struck};
use crate::sandbox::{Sandbox, TENANT, reason};

/// Another plan for the same.
async fn another(sandbox: &Sandbox, plan: &Plan) -> anyhow::Result<Plan> {
    Ok(sandbox.plan(sandbox.rollback(&plan.snapshot)).await?.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_restore_waits_for_the_end_of_the_one_that_runs() -> anyhow::Result<()> {
    let (sandbox, first, _) = struck(3).await?;
    let second = another(&sandbox, &first).await?;
    let (mut other, _stop) = sandbox.another_restorer().await?;
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let arrived = Arc::new(tokio::sync::Notify::new());
    let (held, tell) = (Arc::clone(&gate), Arc::clone(&arrived));
    sandbox.simulator.on_request(Box::new(move |request, _| {
        if request.method == "PATCH" {
            tell.notify_one();
            let (open, opened) = &*held;
            tokio::task::block_in_place(|| {
                let open = open.lock().expect("nobody panicked");
                drop(opened.wait_while(open, |open| !*open));
            });
        }
    }));
    let refused = async {
        arrived.notified().await;
        let here = sandbox.apply(&second.name).await;
        let request = ApplyPlanRequest {
            name: second.name.clone(),
            request_id: sandbox.request_id(),
        };
        let there = other.apply_plan(request).await;
        let (open, opened) = &*gate;
        *open.lock().expect("nobody panicked") = true;
        opened.notify_all();
        [here.map(drop), there.map(drop)]
    };
    let (ended, refused) = futures::join!(sandbox.apply(&first.name), refused);
    for refusal in refused {
        let refusal = refusal.expect_err("refused");
        assert_eq!(reason(&refusal), "RESTORE_IN_PROGRESS");
        let id = first.name.rsplit('/').next().unwrap_or_default();
        assert!(refusal.message().contains(id), "{}", refusal.message());
    }
    assert_eq!(ended?.state(), RestoreState::Succeeded);
    let restore = sandbox.apply(&second.name).await?;
    assert_eq!((restore.applied, restore.already_done), (0, 3));
    Ok(())
}

#[tokio::test]
async fn a_turn_that_nobody_can_read_keeps_nobody_waiting() -> anyhow::Result<()> {
    let (sandbox, plan, _) = struck(2).await?;
    let vault = sandbox.vault.tenant(&TenantId::parse(TENANT)?).await?;
    let garbage = b"\xff\xfe".to_vec().into();
    vault
        .put(Area::Cursors, "restores", "000001", garbage)
        .await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    assert_eq!(changed(&sandbox), 0);
    let names = vault.list_names(Area::Cursors, "restores").await?;
    assert_eq!(names.len(), 2, "the next turn is its own");
    Ok(())
}

#[test]
fn one_that_was_interrupted_is_resumed_or_cancelled_first() -> anyhow::Result<()> {
    testkit::time::run(STEP, async {
        let (sandbox, first, steps) = struck(2).await?;
        let second = another(&sandbox, &first).await?;
        // What a process leaves that was killed before its first write.
        begun(&sandbox, &first, &[1, 2]).await?;
        let id = first.name.rsplit('/').next().unwrap_or_default().to_owned();
        let vault = sandbox.vault.tenant(&TenantId::parse(TENANT)?).await?;
        let turn = id.into_bytes().into();
        vault.put(Area::Cursors, "restores", "000001", turn).await?;
        let refused = sandbox.apply(&second.name).await.expect_err("refused");
        assert_eq!(reason(&refused), "RESTORE_IN_PROGRESS");
        assert_eq!(changed(&sandbox), steps.len(), "nothing is written");

        let first = restore_of(&first);
        let cancelled = sandbox.cancel(sandbox.restores(), &first);
        assert_eq!(cancelled.await?.state(), RestoreState::Cancelled);
        let restore = sandbox.apply(&second.name).await?;
        assert_eq!(restore.state(), RestoreState::Succeeded);
        assert_eq!(changed(&sandbox), 0);
        Ok(())
    })
}

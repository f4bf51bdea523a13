//! Many reports at once, over many tenants: each is right, and none waits for the
//! slow ones of another tenant.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};

use futures::future::try_join_all;
use proto::v1::*;
use serde_json::json;
use simulator::{Population, TenantSpec};
use store::object_store::memory::InMemory;
use tonic::Status;

use crate::restore::patch;
use crate::sandbox::{self, Sandbox};

const TENANTS: usize = 20;
const REPORTS: usize = 50;

/// One of the tenants, and what was done in it.
struct Member {
    id: String,
    snapshot: String,
    /// The users that were changed; of each tenant another number.
    changed: BTreeSet<String>,
}

impl Member {
    async fn new(sandbox: &Sandbox, n: usize) -> anyhow::Result<Self> {
        let id = format!("5a1d0000-0000-4000-8000-0000000001{n:02}");
        let tenant = sandbox.simulator.add_tenant(TenantSpec::practice(&id));
        tenant.populate(&Population {
            users: 30,
            groups: 3,
            seed: n as u64,
        });
        let mut registration = sandbox.registration();
        registration.id.clone_from(&id);
        sandbox.register(registration).await?;
        let snapshot = sandbox.snapshot_of(&format!("tenants/{id}")).await?;
        let dump = sandbox.simulator.dump(&id);
        let users = dump["objects"]["user"].as_object().expect("users");
        let free = users
            .iter()
            .filter(|(_, body)| body["onPremisesSyncEnabled"] != true);
        let changed: BTreeSet<String> = free.map(|(id, _)| id.clone()).take(n + 1).collect();
        let intruder = sandbox::intruder_in(&sandbox.graph, &id)?;
        for user in &changed {
            let body = json!({"jobTitle": format!("Owner of {n}")});
            patch(&intruder, format!("/users/{user}"), body).await?;
        }
        Ok(Self {
            id,
            snapshot: snapshot.name,
            changed,
        })
    }

    /// Makes a report; the users that it says were changed.
    async fn report(&self, sandbox: &Sandbox) -> Result<BTreeSet<String>, Status> {
        let request = CreateReportRequest {
            parent: format!("tenants/{}", self.id),
            base: self.snapshot.clone(),
            request_id: sandbox.request_id(),
            ..CreateReportRequest::default()
        };
        let (report, changes) = sandbox.report_of(request).await?;
        assert_eq!(report.state, ReportState::Succeeded as i32);
        assert!(report.name.contains(&self.id), "{}", report.name);
        let id = |change: Change| change.object.unwrap_or_default().id;
        Ok(changes.into_iter().map(id).collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_reports_over_twenty_tenants_are_right_and_wait_for_no_other() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    let mut members = Vec::new();
    for n in 0..TENANTS {
        members.push(Member::new(&sandbox, n).await?);
    }
    // The first tenant's Graph answers nothing until the gate is opened.
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (held, slow) = (Arc::clone(&gate), members[0].id.clone());
    sandbox.simulator.on_request(Box::new(move |request, _| {
        if request.tenant == slow {
            let (open, opened) = &*held;
            tokio::task::block_in_place(|| {
                let open = open.lock().expect("nobody panicked");
                drop(
                    opened
                        .wait_while(open, |open| !*open)
                        .expect("nobody panicked"),
                );
            });
        }
    }));
    let report = |n: usize| {
        let member = &members[n % TENANTS];
        let sandbox = &sandbox;
        async move {
            assert_eq!(
                member.report(sandbox).await?,
                member.changed,
                "report {n} of {}",
                member.id
            );
            Ok::<_, Status>(())
        }
    };
    let (slow, quick): (Vec<usize>, Vec<usize>) = (0..REPORTS).partition(|n| n % TENANTS == 0);
    let quick = async {
        let ended = try_join_all(quick.into_iter().map(report)).await;
        let (open, opened) = &*gate;
        *open.lock().expect("nobody panicked") = true;
        opened.notify_all();
        ended
    };
    let slow = try_join_all(slow.into_iter().map(report));
    futures::try_join!(slow, quick)?;
    Ok(())
}

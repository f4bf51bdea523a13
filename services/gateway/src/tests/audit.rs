//! What is written of calls, over real connections.

use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use proto::v1::audit_service_client::AuditServiceClient;
use proto::v1::key_service_client::KeyServiceClient;
use proto::v1::restore_service_client::RestoreServiceClient;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::tenant_service_client::TenantServiceClient;
use proto::v1::*;
use store::audit::Chains;
use store::object_store::memory::InMemory;
use store::object_store::path::Path;
use store::object_store::{ObjectStore, ObjectStoreExt};
use store::{Kek, Vault};
use testkit::store::FaultStore;
use testkit::time::{run, wait};
use tonic::Code;
use tower::ServiceExt;

use super::support::{
    self, A, B, NOBODY, OPERATOR, OWNER_A, OWNER_B, READER_A, Sandbox, UNKNOWN, call, framed,
    sandbox_on, with,
};

/// Small, since sealing takes real time.
const STEP: Duration = Duration::from_micros(250);

/// A vault over a store that may fail, and the store beneath.
fn vault() -> (Vault, Arc<FaultStore>, Arc<InMemory>) {
    let memory = Arc::new(InMemory::new());
    let faults = Arc::new(FaultStore::new(Arc::clone(&memory) as Arc<dyn ObjectStore>));
    let kek = Arc::new(Kek::from_bytes([7; 32]));
    let vault = Vault::new(Arc::clone(&faults) as Arc<dyn ObjectStore>, kek);
    (vault, faults, memory)
}

/// A gateway over it that has tenant A.
async fn registered(vault: &Vault) -> Sandbox {
    let sandbox = sandbox_on(vault.clone(), 1).await;
    let request = CreateTenantRequest {
        tenant: Some(support::tenant(A)),
        request_id: "create-a".to_owned(),
        validate_only: false,
    };
    let mut tenants = TenantServiceClient::new(sandbox.channel.clone());
    let created = tenants.create_tenant(with(OPERATOR, request)).await;
    created.expect("registered");
    sandbox
}

fn id(tenant: &str) -> TenantId {
    TenantId::parse(tenant).expect("a GUID")
}

async fn take(sandbox: &Sandbox, token: &str, tenant: &str, request_id: &str) -> tonic::Status {
    let request = TakeSnapshotRequest {
        parent: format!("tenants/{tenant}"),
        request_id: request_id.to_owned(),
    };
    let mut client = SnapshotServiceClient::new(sandbox.channel.clone());
    match client.take_snapshot(with(token, request)).await {
        Ok(_) => tonic::Status::ok(""),
        Err(status) => status,
    }
}

async fn get(sandbox: &Sandbox, token: &str, tenant: &str) -> Code {
    let name = format!("tenants/{tenant}/snapshots/s1");
    let mut client = SnapshotServiceClient::new(sandbox.channel.clone());
    let answer = client.get_snapshot(with(token, GetSnapshotRequest { name }));
    answer
        .await
        .map_or_else(|status| status.code(), |_| Code::Ok)
}

fn reason(status: &tonic::Status) -> String {
    runtime::status::parse(status).reason.unwrap_or_default()
}

/// What tenant A's chains tell of one kind, newest first.
async fn listed(sandbox: &Sandbox, kind: AuditKind) -> Vec<AuditEntry> {
    let request = ListAuditEntriesRequest {
        parent: format!("tenants/{A}"),
        filter: Some(AuditFilter {
            kinds: vec![kind.into()],
            ..AuditFilter::default()
        }),
        ..ListAuditEntriesRequest::default()
    };
    let mut client = AuditServiceClient::new(sandbox.channel.clone());
    let answer = client.list_audit_entries(with(OWNER_A, request)).await;
    answer.expect("listed").into_inner().entries
}

/// The same of the installation's.
async fn of_installation(sandbox: &Sandbox, kind: AuditKind) -> Vec<AuditEntry> {
    let request = ListInstallationAuditEntriesRequest {
        filter: Some(AuditFilter {
            kinds: vec![kind.into()],
            ..AuditFilter::default()
        }),
        ..ListInstallationAuditEntriesRequest::default()
    };
    let mut client = AuditServiceClient::new(sandbox.channel.clone());
    let answer = client.list_installation_audit_entries(with(OPERATOR, request));
    answer.await.expect("listed").into_inner().entries
}

async fn verified(sandbox: &Sandbox) -> AuditVerification {
    let parent = format!("tenants/{A}");
    let mut client = AuditServiceClient::new(sandbox.channel.clone());
    let answer = client.verify_audit(with(OWNER_A, VerifyAuditRequest { parent }));
    let answer = answer.await.expect("walked").into_inner();
    answer.verification.expect("there")
}

async fn installation_verified(sandbox: &Sandbox) -> AuditVerification {
    let mut client = AuditServiceClient::new(sandbox.channel.clone());
    let request = with(OPERATOR, VerifyInstallationAuditRequest {});
    let answer = client.verify_installation_audit(request).await;
    answer
        .expect("walked")
        .into_inner()
        .verification
        .expect("there")
}

fn result(entry: &AuditEntry) -> AuditResult {
    entry
        .outcome
        .as_ref()
        .map(AuditOutcome::result)
        .unwrap_or_default()
}

fn kinds(found: &AuditVerification) -> Vec<(AuditFlawKind, i64)> {
    found
        .flaws
        .iter()
        .map(|flaw| (flaw.kind(), flaw.number))
        .collect()
}

/// What was sealed, of all chains of a place.
async fn bodies(chains: &Chains) -> Vec<u8> {
    let mut bodies = Vec::new();
    for (writer, numbers) in chains.list().await.expect("listed").chains {
        for number in numbers {
            let entry = chains.read(&writer, number).await.expect("whole");
            bodies.extend(entry.expect("there").body);
        }
    }
    bodies
}

#[test]
fn a_mutation_stands_with_who_did_it_and_how_it_ended() {
    run(STEP, async {
        let (vault, ..) = vault();
        let sandbox = registered(&vault).await;
        assert_eq!(take(&sandbox, OWNER_A, A, "r1").await.code(), Code::Ok);
        assert_eq!(
            reason(&take(&sandbox, OWNER_A, A, "fails").await),
            "PLAN_STALE"
        );
        let mutations = listed(&sandbox, AuditKind::Mutation).await;
        let [failed, done] = &mutations[..] else {
            panic!("{mutations:?}")
        };
        assert_eq!(
            (result(failed), result(done)),
            (AuditResult::Failed, AuditResult::Succeeded)
        );
        let outcome = failed.outcome.as_ref().expect("there");
        assert_eq!(
            (outcome.code.as_str(), outcome.reason.as_str()),
            ("FAILED_PRECONDITION", "PLAN_STALE")
        );
        assert_eq!(
            [
                &done.caller,
                &done.source,
                &done.method,
                &done.tenant,
                &done.resource
            ],
            [
                "owner",
                "127.0.0.1",
                "rewind.v1.SnapshotService/TakeSnapshot",
                A,
                &format!("tenants/{A}")
            ]
        );
        assert_eq!((done.request_id.len(), done.request_digest.len()), (36, 64));
        let fields = done
            .fields
            .iter()
            .map(|field| (field.path.as_str(), field.value.as_str()));
        let parent = format!("tenants/{A}");
        assert_eq!(
            fields.collect::<Vec<_>>(),
            [("parent", parent.as_str()), ("request_id", "r1")]
        );
        // Before it was registered it had no chain.
        let created = of_installation(&sandbox, AuditKind::Mutation).await;
        assert_eq!(created.len(), 1);
        assert_eq!(
            (created[0].tenant.as_str(), result(&created[0])),
            (A, AuditResult::Succeeded)
        );
    });
}

#[test]
fn no_secret_and_no_reference_to_one_is_written() {
    run(STEP, async {
        let (vault, ..) = vault();
        let sandbox = registered(&vault).await;
        take(&sandbox, OWNER_A, A, "r1").await;
        get(&sandbox, OWNER_A, A).await;
        get(&sandbox, OWNER_B, A).await;
        get(&sandbox, "unknown-token-0123456789", A).await;
        let export = ExportKeysRequest {
            name: format!("tenants/{A}"),
            recipients: vec!["AGE-SECRET-KEY-1PASTED".to_owned()],
        };
        let mut keys = KeyServiceClient::new(sandbox.channel.clone());
        let refused = keys.export_keys(with(OPERATOR, export)).await;
        assert_eq!(
            refused.expect_err("nobody serves it").code(),
            Code::Unimplemented
        );
        assert_eq!(
            listed(&sandbox, AuditKind::Mutation).await[0].method,
            "rewind.v1.KeyService/ExportKeys",
            "it gives keys away, and stands there before that"
        );
        wait(Duration::from_secs(3)).await;
        let mut written = bodies(&vault.tenant(&id(A)).await.expect("there").audit()).await;
        written.extend(bodies(&vault.installation_audit().await.expect("there")).await);
        let written = String::from_utf8_lossy(&written);
        for there in [
            "rewind.v1.SnapshotService/GetSnapshot",
            "owner",
            "Contoso",
            "create-a",
        ] {
            assert!(written.contains(there), "{there}");
        }
        for secret in [
            OPERATOR,
            OWNER_A,
            OWNER_B,
            "unknown-token",
            "Bearer",
            "REWIND_CREDENTIAL_READER_CONTOSO",
            "contoso/writer",
            "AGE-SECRET-KEY",
        ] {
            assert!(!written.contains(secret), "{secret}");
        }
    });
}

#[test]
fn what_cannot_be_written_is_not_carried_out() {
    run(STEP, async {
        let (vault, faults, _) = vault();
        let sandbox = registered(&vault).await;
        faults.break_after(0);
        let refused = take(&sandbox, OWNER_A, A, "r1").await;
        assert_eq!(
            (refused.code(), reason(&refused)),
            (Code::Unavailable, "AUDIT_UNAVAILABLE".to_owned())
        );
        assert!(
            sandbox.fake.taken.lock().expect("unpoisoned").is_empty(),
            "carried out"
        );
        assert_eq!(get(&sandbox, OWNER_A, A).await, Code::Ok, "reads go on");
        let denied = take(&sandbox, READER_A, A, "r2").await;
        assert_eq!(
            denied.code(),
            Code::PermissionDenied,
            "refused all the same"
        );

        faults.mend();
        wait(Duration::from_secs(20)).await;
        let mutations = listed(&sandbox, AuditKind::Mutation).await;
        assert_eq!(mutations.len(), 1);
        let outcome = mutations[0].outcome.clone().expect("there");
        assert_eq!(
            (outcome.result(), outcome.reason.as_str()),
            (AuditResult::Failed, "AUDIT_UNAVAILABLE")
        );
        assert_eq!(listed(&sandbox, AuditKind::Denial).await.len(), 1);
        assert_eq!(take(&sandbox, OWNER_A, A, "r3").await.code(), Code::Ok);
        assert_eq!(sandbox.fake.taken.lock().expect("unpoisoned").len(), 1);
        assert_eq!(kinds(&verified(&sandbox).await), []);
    });
}

#[test]
fn every_refusal_stands_where_it_belongs_and_tells_nobody_of_another_tenant() {
    run(STEP, async {
        let (vault, _, memory) = vault();
        let sandbox = registered(&vault).await;
        for n in 0..7 {
            let token = (n % 2 == 0).then_some("unknown-0123456789");
            let path = "/rewind.v1.SnapshotService/GetSnapshot";
            let refused = call(&sandbox, path, token, framed(&[])).await.status;
            assert_eq!(refused.code(), Code::Unauthenticated);
        }
        assert_eq!(
            take(&sandbox, READER_A, A, "role").await.code(),
            Code::PermissionDenied
        );
        assert_eq!(
            take(&sandbox, OWNER_B, A, "foreign").await.code(),
            Code::PermissionDenied
        );
        assert_eq!(
            take(&sandbox, OWNER_B, UNKNOWN, "nobody's").await.code(),
            Code::PermissionDenied
        );
        assert_eq!(
            take(&sandbox, NOBODY, A, "no role").await.code(),
            Code::PermissionDenied
        );
        assert_eq!(
            get(&sandbox, OPERATOR, UNKNOWN).await,
            Code::Ok,
            "the service behind decides"
        );
        let malformed = "/rewind.v1.SnapshotService/TakeSnapshot";
        let refused = call(&sandbox, malformed, Some(OWNER_A), framed(&[0xff]))
            .await
            .status;
        assert_eq!(refused.code(), Code::InvalidArgument);
        let refused = call(&sandbox, "/rewind.v1.None/None", Some(OWNER_A), framed(&[])).await;
        assert_eq!(refused.status.code(), Code::Unimplemented);
        wait(Duration::from_secs(3)).await;

        let own = listed(&sandbox, AuditKind::Denial).await;
        assert_eq!(own.len(), 1, "{own:?}");
        assert_eq!(
            (own[0].caller.as_str(), result(&own[0])),
            ("reader", AuditResult::Denied)
        );
        let others = of_installation(&sandbox, AuditKind::Denial).await;
        let of = |caller: &str| others.iter().filter(|entry| entry.caller == caller).count();
        assert_eq!((of("owner"), of("nobody")), (4, 1), "{others:?}");
        let without: i64 = others
            .iter()
            .filter(|it| it.caller.is_empty())
            .map(|it| it.count)
            .sum();
        assert_eq!(without, 7, "each is counted");
        let rows = others.iter().filter(|entry| entry.caller.is_empty());
        assert!(rows.clone().count() <= 2, "and they are told together");
        assert!(rows.clone().all(|entry| entry.source == "127.0.0.1"));
        let foreign = others.iter().filter(|entry| entry.tenant == A);
        assert_eq!(
            foreign.count(),
            2,
            "what it was about is told to the operator"
        );
        let reads = of_installation(&sandbox, AuditKind::Read).await;
        assert!(
            reads.iter().any(|entry| entry.tenant == UNKNOWN),
            "{reads:?}"
        );
        for tenant in [B, UNKNOWN] {
            let folder = Path::from(format!("tenants/{tenant}"));
            let files = memory
                .list_with_delimiter(Some(&folder))
                .await
                .expect("listed");
            assert!(
                files.objects.is_empty() && files.common_prefixes.is_empty(),
                "{tenant}"
            );
        }
    });
}

#[test]
fn what_concerns_the_installation_is_for_callers_who_may_see_all() {
    run(STEP, async {
        let (vault, ..) = vault();
        let sandbox = registered(&vault).await;
        for method in ["ListInstallationAuditEntries", "VerifyInstallationAudit"] {
            let path = format!("/rewind.v1.AuditService/{method}");
            let owner = call(&sandbox, &path, Some(OWNER_A), framed(&[]))
                .await
                .status;
            let nobody = call(&sandbox, &path, Some(NOBODY), framed(&[]))
                .await
                .status;
            assert_eq!(owner.code(), Code::PermissionDenied, "{path}");
            assert_eq!(
                (owner.message(), owner.details()),
                (nobody.message(), nobody.details())
            );
        }
        let refused = of_installation(&sandbox, AuditKind::Denial).await;
        assert_eq!(refused.len(), 4, "{refused:?}");
    });
}

#[test]
fn a_call_that_never_ended_is_listed_without_an_outcome() {
    run(STEP, async {
        let (vault, ..) = vault();
        let sandbox = registered(&vault).await;
        let other = sandbox_on(vault.clone(), 2).await;
        let hanging = {
            let mut client = SnapshotServiceClient::new(sandbox.channel.clone());
            let request = TakeSnapshotRequest {
                parent: format!("tenants/{A}"),
                request_id: "hangs".to_owned(),
            };
            tokio::spawn(async move { client.take_snapshot(with(OWNER_A, request)).await })
        };
        while sandbox.fake.taken.lock().expect("unpoisoned").is_empty() {
            wait(STEP).await;
        }
        // As another gateway sees it, which is what it would see after a crash.
        let open = listed(&other, AuditKind::Mutation).await;
        assert_eq!(open.len(), 1);
        assert_eq!(result(&open[0]), AuditResult::Unknown);
        assert_eq!(open[0].outcome.as_ref().expect("told").code, "");
        assert_eq!(kinds(&verified(&other).await), []);
        hanging.abort();
        wait(Duration::from_secs(2)).await;
        let given_up = listed(&other, AuditKind::Mutation).await;
        assert_eq!(result(&given_up[0]), AuditResult::Unknown);
        assert_eq!(
            given_up[0].outcome.as_ref().expect("told").code,
            "CANCELLED"
        );
    });
}

#[test]
fn a_call_whose_end_nobody_heard_may_have_been_carried_out() {
    run(STEP, async {
        let (vault, ..) = vault();
        let sandbox = registered(&vault).await;
        let request = ApplyPlanRequest {
            name: format!("tenants/{A}/plans/p1"),
            ..ApplyPlanRequest::default()
        };
        let mut restores = RestoreServiceClient::new(sandbox.channel.clone());
        let lost = restores.apply_plan(with(OWNER_A, request)).await;
        assert_eq!(
            reason(&lost.expect_err("it hangs up")),
            "BACKEND_UNAVAILABLE"
        );
        let applied = &listed(&sandbox, AuditKind::Mutation).await[0];
        let outcome = applied.outcome.as_ref().expect("told");
        assert_eq!(
            (outcome.result(), outcome.code.as_str()),
            (AuditResult::Unknown, "UNAVAILABLE")
        );
    });
}

#[test]
fn pages_and_compatible_apis_leave_the_same_traces() {
    run(STEP, async {
        let (vault, ..) = vault();
        let sandbox = registered(&vault).await;
        let path = format!("/{A}/v1.0/directory/recovery/snapshots");
        for (token, status) in [("unknown-0123456789", Some(401)), (OWNER_A, None)] {
            let request = http::Request::get(&path)
                .header("authorization", format!("Bearer {token}"))
                .body(tonic::body::Body::empty())
                .expect("valid");
            let answer = sandbox.channel.clone().oneshot(request).await;
            let answered = answer.expect("answered").status();
            assert!(status.is_none_or(|status| answered == status), "{answered}");
        }
        wait(Duration::from_secs(3)).await;
        let refused = of_installation(&sandbox, AuditKind::Denial).await;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(
            (refused[0].source.as_str(), refused[0].count),
            ("127.0.0.1", 1)
        );
        let reads = listed(&sandbox, AuditKind::Read).await;
        let read = reads
            .iter()
            .find(|it| it.method.contains("SnapshotService"));
        assert_eq!(
            read.expect("there").source,
            "127.0.0.1",
            "as the caller's own"
        );
    });
}

#[test]
fn reads_are_written_together_within_about_a_second() {
    run(STEP, async {
        let (vault, ..) = vault();
        let sandbox = registered(&vault).await;
        let reads = (0..60).map(|_| get(&sandbox, OWNER_A, A));
        futures::future::join_all(reads).await;
        wait(Duration::from_secs(2)).await;
        let written = listed(&sandbox, AuditKind::Read).await;
        let written = written
            .iter()
            .filter(|entry| entry.method.ends_with("/GetSnapshot"));
        assert_eq!(written.count(), 60);
        let chains = vault.tenant(&id(A)).await.expect("there").audit();
        let listed = chains.list().await.expect("listed");
        let files: usize = listed.chains.values().map(Vec::len).sum();
        assert!(files <= 4, "{files} files for 60 reads");
    });
}

#[test]
fn two_gateways_write_side_by_side_and_what_they_wrote_is_vouched_for() {
    run(STEP, async {
        let (vault, _, memory) = vault();
        let first = registered(&vault).await;
        let second = sandbox_on(vault.clone(), 2).await;
        for n in 0..6 {
            let gateway = if n % 2 == 0 { &first } else { &second };
            assert_eq!(
                take(gateway, OWNER_A, A, &format!("r{n}")).await.code(),
                Code::Ok
            );
        }
        let mutations = listed(&first, AuditKind::Mutation).await;
        assert_eq!(mutations.len(), 6);
        assert!(
            mutations
                .iter()
                .all(|entry| result(entry) == AuditResult::Succeeded)
        );
        first.end().await;
        let found = verified(&second).await;
        assert!(found.witnesses_complete);
        assert_eq!(kinds(&found), []);
        let closed: Vec<bool> = found.chains.iter().map(|chain| chain.closed).collect();
        assert_eq!(
            closed.iter().filter(|closed| **closed).count(),
            1,
            "{found:?}"
        );
        let ended = found.chains.iter().find(|chain| chain.closed).expect("one");
        assert_eq!(ended.witnessed_number, ended.last_number, "all of it");
        assert_eq!(ended.program_version, env!("CARGO_PKG_VERSION"));
        let writer = ended.writer.clone();

        // Its end is cut off.
        let path = |writer: &str, number: i64| {
            Path::from(format!("tenants/{A}/audit/{writer}/{number:010}"))
        };
        let last = ended.last_number;
        let cut = path(&writer, last);
        let bytes = memory
            .get(&cut)
            .await
            .expect("there")
            .bytes()
            .await
            .expect("whole");
        memory.delete(&cut).await.expect("deleted");
        assert_eq!(
            kinds(&verified(&second).await),
            [(AuditFlawKind::Cut, last)]
        );
        memory.put(&cut, bytes.into()).await.expect("put back");
        assert_eq!(kinds(&verified(&second).await), []);
        memory.delete(&path(&writer, 2)).await.expect("deleted");
        assert_eq!(
            kinds(&verified(&second).await),
            [(AuditFlawKind::Missing, 2)]
        );

        // The installation's own chain is looked after by those that begin later.
        let third = sandbox_on(vault.clone(), 3).await;
        wait(Duration::from_secs(2)).await;
        let found = installation_verified(&third).await;
        assert_eq!(kinds(&found), []);
        assert_eq!(found.chains.len(), 3);
        let own = Path::from(format!("audit/{writer}"));
        let files = memory
            .list_with_delimiter(Some(&own))
            .await
            .expect("listed")
            .objects;
        let last = files.last().expect("a file").location.clone();
        memory.delete(&last).await.expect("deleted");
        let found = installation_verified(&third).await;
        let number = i64::try_from(files.len()).expect("small");
        assert_eq!(kinds(&found), [(AuditFlawKind::Cut, number)]);
    });
}

#[test]
fn of_an_erased_tenant_the_installation_tells() {
    run(STEP, async {
        let (vault, ..) = vault();
        let sandbox = registered(&vault).await;
        assert_eq!(get(&sandbox, OWNER_A, A).await, Code::Ok);
        wait(Duration::from_secs(2)).await;
        let erase = EraseKeysRequest {
            name: format!("tenants/{A}"),
            confirm: "Contoso".to_owned(),
            request_id: "erase".to_owned(),
        };
        let mut keys = KeyServiceClient::new(sandbox.channel.clone());
        let answer = keys.erase_keys(with(OPERATOR, erase)).await;
        assert_eq!(
            answer.expect_err("nobody serves it").code(),
            Code::Unimplemented
        );
        wait(Duration::from_secs(1)).await;
        let own = &listed(&sandbox, AuditKind::Mutation).await[0];
        assert_eq!(
            (own.method.as_str(), result(own)),
            ("rewind.v1.KeyService/EraseKeys", AuditResult::Failed),
            "as long as it can be read, the tenant's chain tells of it, too"
        );
        let now = testkit::store::moment(0);
        vault.erase_keys(&id(A), now).await.expect("erased");
        wait(Duration::from_secs(11)).await;
        assert_eq!(get(&sandbox, OWNER_A, A).await, Code::Ok);
        assert_eq!(take(&sandbox, OWNER_A, A, "late").await.code(), Code::Ok);
        wait(Duration::from_secs(2)).await;
        let mutations = of_installation(&sandbox, AuditKind::Mutation).await;
        let methods = mutations
            .iter()
            .map(|entry| (entry.method.as_str(), result(entry)));
        assert_eq!(
            methods.collect::<Vec<_>>(),
            [
                (
                    "rewind.v1.SnapshotService/TakeSnapshot",
                    AuditResult::Succeeded
                ),
                ("rewind.v1.KeyService/EraseKeys", AuditResult::Failed),
                (
                    "rewind.v1.TenantService/CreateTenant",
                    AuditResult::Succeeded
                ),
            ]
        );
        let reads = of_installation(&sandbox, AuditKind::Read).await;
        assert!(
            reads
                .iter()
                .any(|it| it.tenant == A && it.method.ends_with("/GetSnapshot"))
        );
        let request = ListAuditEntriesRequest {
            parent: format!("tenants/{A}"),
            ..ListAuditEntriesRequest::default()
        };
        let mut client = AuditServiceClient::new(sandbox.channel.clone());
        let gone = client.list_audit_entries(with(OWNER_A, request)).await;
        assert_eq!(reason(&gone.expect_err("unreadable")), "KEY_ERASED");
    });
}

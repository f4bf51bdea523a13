//! The audit: what is listed, what is asked for, and when verification fails.

use proto::v1::audit_service_server::AuditService;
use proto::v1::{
    AuditChain, AuditEntry, AuditField, AuditFlaw, AuditFlawKind, AuditKind, AuditOutcome,
    AuditResult, AuditStart, AuditVerification, ListAuditEntriesRequest, ListAuditEntriesResponse,
    ListInstallationAuditEntriesRequest, ListInstallationAuditEntriesResponse, VerifyAuditRequest,
    VerifyAuditResponse, VerifyInstallationAuditRequest, VerifyInstallationAuditResponse,
};
use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};
use tonic::{Request, Response, Status};

use crate::canned::{TENANT, at, name};
use crate::fake::{Fake, page};
use crate::gateway::Gateway;

const WRITER: &str = "20261118T110000-0123456789ab";

/// What the fake's chains hold, newest first.
pub(crate) fn entries() -> Vec<AuditEntry> {
    let entry = |index: i32, kind: AuditKind| AuditEntry {
        id: format!("{WRITER}/1/{index}"),
        time: at(0),
        kind: kind.into(),
        count: 1,
        ..AuditEntry::default()
    };
    let ended = |result: AuditResult, code: &str, reason: &str| {
        Some(AuditOutcome {
            result: result.into(),
            code: code.to_owned(),
            reason: reason.to_owned(),
            time: at(1),
        })
    };
    let call = |index: i32, kind: AuditKind, method: &str| AuditEntry {
        caller: "ana".to_owned(),
        source: "192.0.2.7".to_owned(),
        method: format!("rewind.v1.{method}"),
        tenant: TENANT.to_owned(),
        resource: name("snapshots", "s\u{1b}[31m"),
        ..entry(index, kind)
    };
    vec![
        AuditEntry {
            outcome: ended(AuditResult::Unknown, "", ""),
            fields: vec![AuditField {
                path: "request_id".to_owned(),
                value: "r1".to_owned(),
            }],
            ..call(4, AuditKind::Mutation, "SnapshotService/TakeSnapshot")
        },
        AuditEntry {
            outcome: ended(AuditResult::Succeeded, "OK", ""),
            ..call(3, AuditKind::Read, "SnapshotService/GetSnapshot")
        },
        AuditEntry {
            outcome: ended(AuditResult::Denied, "UNAUTHENTICATED", "UNAUTHENTICATED"),
            source: "198.51.100.9".to_owned(),
            count: 17,
            ..entry(2, AuditKind::Denial)
        },
        AuditEntry {
            count: 3,
            ..entry(1, AuditKind::Lost)
        },
        AuditEntry {
            start: Some(AuditStart {
                program_version: "1.2.3".to_owned(),
                others: Vec::new(),
            }),
            ..entry(0, AuditKind::Start)
        },
    ]
}

/// What a walk along them finds.
pub(crate) fn verification() -> AuditVerification {
    AuditVerification {
        chains: vec![AuditChain {
            writer: WRITER.to_owned(),
            last_number: 12,
            witnessed_number: 10,
            closed: false,
            program_version: "1.2.3".to_owned(),
            start_time: at(0),
            last_time: at(60),
            entry_count: 5,
        }],
        flaws: Vec::new(),
        witnesses_complete: true,
    }
}

#[tonic::async_trait]
impl AuditService for Fake {
    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        self.hear("ListAuditEntriesRequest", &request)?;
        let (entries, next_page_token) = page(&self.audit, &request.get_ref().page_token);
        Ok(Response::new(ListAuditEntriesResponse {
            entries,
            next_page_token,
            unreadable_count: self.audit_unreadable,
        }))
    }

    async fn verify_audit(
        &self,
        request: Request<VerifyAuditRequest>,
    ) -> Result<Response<VerifyAuditResponse>, Status> {
        self.hear("VerifyAuditRequest", &request)?;
        let verification = Some(self.verification.clone());
        Ok(Response::new(VerifyAuditResponse { verification }))
    }

    async fn list_installation_audit_entries(
        &self,
        request: Request<ListInstallationAuditEntriesRequest>,
    ) -> Result<Response<ListInstallationAuditEntriesResponse>, Status> {
        self.hear("ListInstallationAuditEntriesRequest", &request)?;
        let (entries, next_page_token) = page(&self.audit, &request.get_ref().page_token);
        Ok(Response::new(ListInstallationAuditEntriesResponse {
            entries,
            next_page_token,
            unreadable_count: 0,
        }))
    }

    async fn verify_installation_audit(
        &self,
        request: Request<VerifyInstallationAuditRequest>,
    ) -> Result<Response<VerifyInstallationAuditResponse>, Status> {
        self.hear("VerifyInstallationAuditRequest", &request)?;
        let verification = Some(self.verification.clone());
        Ok(Response::new(VerifyInstallationAuditResponse {
            verification,
        }))
    }
}

#[test]
fn who_called_is_listed_as_a_table_and_as_json() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway.rewind(&["audit", "list"]).exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
TIME                  KIND      WHO  FROM          WHAT           ABOUT                                                               OUTCOME
2026-11-18T11:06:40Z  mutation  ana  192.0.2.7     TakeSnapshot   tenants/0a1b2c3d-0000-4000-8000-000000000001/snapshots/s/u{1b}[31m  unknown
2026-11-18T11:06:40Z  read      ana  192.0.2.7     GetSnapshot    tenants/0a1b2c3d-0000-4000-8000-000000000001/snapshots/s/u{1b}[31m  succeeded
2026-11-18T11:06:40Z  denial         198.51.100.9  17 calls                                                                           denied: UNAUTHENTICATED
2026-11-18T11:06:40Z  lost                         3 entries
2026-11-18T11:06:40Z  start                        version 1.2.3

"#]]
    );
    assert!(run.err.is_empty(), "{run:?}");
    let run = gateway.rewind(&["audit", "list", "--output", "json"]);
    let list = run.exits(0).json();
    assert_eq!(list.as_array().map(Vec::len), Some(5));
    assert_eq!(list[0]["outcome"]["result"], "AUDIT_RESULT_UNKNOWN");
    assert_eq!(list[2]["count"], 17);
    let asked = gateway.fake.last("ListAuditEntriesRequest");
    assert_eq!(asked["parent"], format!("tenants/{TENANT}"));
    assert_eq!(asked["filter"]["fromTime"], Value::Null);
}

#[test]
fn entries_are_chosen_by_time_caller_method_outcome_and_kind() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway.rewind(&[
        "audit",
        "list",
        "--since=7d",
        "--until=1h",
        "--caller=ana",
        "--method=TakeSnapshot",
        "--outcome=unknown",
        "--kind=mutation,denial",
        "--limit=2",
    ]);
    let run = run.exits(0);
    assert!(run.err.contains("--limit"), "{run:?}");
    assert_eq!(gateway.fake.heard("ListAuditEntriesRequest"), 2);
    let asked = gateway.fake.last("ListAuditEntriesRequest");
    let filter = &asked["filter"];
    assert!(filter["fromTime"].is_string() && filter["untilTime"].is_string());
    assert_eq!(
        [
            &filter["caller"],
            &filter["method"],
            &filter["result"],
            &asked["pageSize"]
        ],
        [
            &json!("ana"),
            &json!("TakeSnapshot"),
            &json!("AUDIT_RESULT_UNKNOWN"),
            &json!(1)
        ]
    );
    assert_eq!(
        filter["kinds"],
        json!(["AUDIT_KIND_MUTATION", "AUDIT_KIND_DENIAL"])
    );
    let run = gateway.rewind(&["audit", "list", "--since", "400000000days"]);
    assert!(run.exits(2).err.contains("--since is too long"));
}

#[test]
fn the_installations_entries_need_no_tenant() {
    let gateway = Gateway::start(Fake::two_tenants());
    gateway.rewind(&["audit", "list"]).exits(2);
    gateway
        .rewind(&["audit", "list", "--installation"])
        .exits(0);
    gateway
        .rewind(&["audit", "verify", "--installation"])
        .exits(0);
    assert_eq!(gateway.fake.heard("ListAuditEntriesRequest"), 0);
    assert_eq!(gateway.fake.heard("VerifyInstallationAuditRequest"), 1);
}

#[test]
fn what_cannot_be_read_is_a_warning() {
    let gateway = Gateway::start(Fake {
        audit_unreadable: 1,
        ..Fake::default()
    });
    let run = gateway.rewind(&["audit", "list"]).exits(3);
    assert!(
        run.err.contains("warning: 5 files were left out"),
        "{run:?}"
    );
}

#[test]
fn verification_fails_where_anything_is_wrong() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway.rewind(&["audit", "verify"]).exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
WRITER                        VERSION  BEGAN                 LAST                  FILES  VOUCHED FOR  ENTRIES  ENDED
20261118T110000-0123456789ab  1.2.3    2026-11-18T11:06:40Z  2026-11-18T11:07:40Z  12     10           5        no

"#]]
    );
    let flawed = |verification: AuditVerification| {
        Gateway::start(Fake {
            verification,
            ..Fake::default()
        })
    };
    let gateway = flawed(AuditVerification {
        flaws: vec![AuditFlaw {
            writer: WRITER.to_owned(),
            number: 7,
            kind: AuditFlawKind::Altered.into(),
            detail: "file 7: it cannot be decrypted".to_owned(),
        }],
        ..verification()
    });
    let run = gateway.rewind(&["audit", "verify"]).exits(1);
    let line = format!("warning: altered: {WRITER}: file 7: it cannot be decrypted\n");
    assert_eq!(run.err, line);
    let run = gateway
        .rewind(&["audit", "verify", "--output=json"])
        .exits(1);
    assert_eq!(run.json()["flaws"][0]["number"], 7);
    let gateway = flawed(AuditVerification {
        witnesses_complete: false,
        ..verification()
    });
    let run = gateway.rewind(&["audit", "verify"]).exits(1);
    assert!(run.err.contains("cannot be read whole"), "{run:?}");
}

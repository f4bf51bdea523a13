//! The life of tenants: what waits for a second person, many at once, how they are.

use snapbox::{assert_data_eq, str};

use crate::canned::{self, OTHER, TENANT};
use crate::fake::Fake;
use crate::gateway::Gateway;

#[test]
fn what_waits_for_a_second_person_is_told_and_ends_with_3() {
    let gateway = Gateway::start(Fake {
        pending: Some(canned::change()),
        ..Fake::default()
    });
    for line in [
        &["tenant", "suspend"][..],
        &["tenant", "update", "--retention", "recent=1"],
        &[
            "tenant",
            "offboard",
            TENANT,
            "--confirm",
            "Contoso",
            "--without-export",
        ],
        &["snapshot", "hold", "s1", "--lift"],
        &["keys", "erase", "--tenant", TENANT, "--confirm", TENANT],
    ] {
        let run = gateway.rewind(line).exits(3);
        for part in [
            "not in effect yet: it suspends the tenant",
            "somebody else has to agree until 2026-11-25",
        ] {
            assert!(run.err.contains(part), "{line:?}: {run:?}");
        }
    }
    let asked = gateway.fake.last("OffboardTenantRequest");
    assert_eq!(
        (&asked["confirm"], &asked["withoutExport"]),
        (&"Contoso".into(), &true.into())
    );
    assert_eq!(
        gateway.fake.last("UpdateTenantRequest")["retention"],
        "recent=1,days=0,weeks=0,months=0,floor-days=0,minimum=1"
    );
    gateway.rewind(&["tenant", "offboard", TENANT]).exits(2);
    gateway.rewind(&["tenant", "resume"]).exits(0);
}

#[test]
fn a_change_is_shown_approved_by_its_hash_and_cancelled() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway.rewind(&["tenant", "change", "show", "3"]).exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
Name           tenants/0a1b2c3d-0000-4000-8000-000000000001/changes/3
State          waits for approval
Severity       critical
Asked by       ann, [..]
Approved by    -
Approve until  [..]
Hash           c0ffee

  It suspends the tenant.

"#]]
    );
    // Nobody can be asked here, so that what was read has to be named.
    let run = gateway
        .rewind(&["tenant", "change", "approve", "3"])
        .exits(2);
    assert!(run.err.contains("--hash must name"), "{run:?}");
    assert_eq!(gateway.fake.heard("ApproveGuardedChangeRequest"), 0);
    let name = canned::name("changes", "3");
    let run = gateway
        .rewind(&["tenant", "change", "approve", &name, "--hash", "c0ffee"])
        .exits(0);
    assert!(run.out.contains("waits for its time"), "{run:?}");
    let asked = gateway.fake.last("ApproveGuardedChangeRequest");
    assert_eq!(
        (&asked["name"], &asked["changeHash"]),
        (&name.into(), &"c0ffee".into())
    );

    let run = gateway
        .rewind(&["tenant", "change", "cancel", "3", "--reason", "no need"])
        .exits(0);
    assert!(
        run.out.contains("cancelled") && run.out.contains("no need"),
        "{run:?}"
    );
    let run = gateway
        .rewind(&["tenant", "change", "list", "--open", "--output", "json"])
        .exits(0);
    assert!(
        run.out.contains("\"GUARDED_CHANGE_STATE_PENDING\""),
        "{run:?}"
    );
    assert_eq!(gateway.fake.last("ListGuardedChangesRequest")["open"], true);
}

#[test]
fn nobody_approves_their_own_wish() {
    use std::collections::HashMap;
    use tonic_types::{ErrorDetails, StatusExt};
    let details = ErrorDetails::with_error_info("APPROVAL_OF_OWN_PLAN", "rewind", HashMap::new());
    let status = tonic::Status::with_error_details(tonic::Code::PermissionDenied, "own", details);
    let gateway = Gateway::start(Fake::failing("ApproveGuardedChangeRequest", status));
    let run = gateway
        .rewind(&["tenant", "change", "approve", "3", "--hash", "c0ffee"])
        .exits(5);
    assert!(run.err.contains("APPROVAL_OF_OWN_PLAN"), "{run:?}");
}

#[test]
fn a_certificate_says_what_was_erased_and_what_remains() {
    let gateway = Gateway::start(Fake::two_tenants());
    let run = gateway.rewind(&["tenant", "certificate", OTHER]).exits(0);
    for part in [
        "Fabrikam",
        "ben, 2026",
        "1: beef",
        "ok: what was deleted is gone",
        "9 files, 2.0 KiB",
        "  - what was logged",
    ] {
        assert!(run.out.contains(part), "{part}: {run:?}");
    }
    gateway.rewind(&["tenant", "certificate", TENANT]).exits(4);
}

#[test]
fn the_overview_shows_who_needs_attention() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway
        .rewind(&[
            "tenant",
            "overview",
            "--group",
            "gold",
            "--label",
            "tier=1",
            "--sort",
            "age",
            "--reverse",
            "--attention",
        ])
        .exits(0);
    for part in [
        "Contoso",
        "2h",
        "120",
        "21 ▄█",
        "1 critical",
        "60",
        "1 critical signals in 7 days",
        "1 tenants, 1 to look at",
    ] {
        assert!(run.out.contains(part), "{part}: {run:?}");
    }
    let asked = gateway.fake.last("ListTenantOverviewsRequest");
    assert_eq!(asked["orderBy"], "age asc");
    assert_eq!(
        (&asked["group"], &asked["labels"][0]),
        (&"gold".into(), &"tier=1".into())
    );
    assert_eq!(
        (&asked["attentionOnly"], &asked["pageSize"]),
        (&true.into(), &50.into())
    );
}

#[test]
fn many_are_registered_from_a_file_and_a_dry_run_registers_none() {
    let gateway = Gateway::start(Fake::default());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tenants.csv").display().to_string();
    std::fs::write(
        &file,
        format!("id,name,groups\n{TENANT},Contoso,gold\n{OTHER},Fabrikam,\n"),
    )
    .expect("written");
    let run = gateway
        .rewind(&["tenant", "import", &file, "--dry-run"])
        .exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
LINE  ID                                    NAME      RESULT  DETAIL
2     0a1b2c3d-0000-4000-8000-000000000001  Contoso   new
3     0a1b2c3d-0000-4000-8000-000000000002  Fabrikam  new

"#]]
    );
    assert_eq!(
        gateway.fake.last("CreateTenantRequest")["validateOnly"],
        true
    );
    let run = gateway.rewind(&["tenant", "import", &file]).exits(0);
    assert!(run.out.contains("registered"), "{run:?}");
    assert_eq!(
        gateway.fake.last("CreateTenantRequest")["validateOnly"],
        false
    );

    std::fs::write(&file, format!("id,name\nx,Nobody\n{OTHER},Fabrikam\n")).expect("written");
    let run = gateway.rewind(&["tenant", "import", &file]).exits(3);
    assert!(
        run.out.contains("failed") && run.err.contains("1 of 2 rows failed"),
        "{run:?}"
    );

    let again = Gateway::start(Fake {
        already_registered: true,
        ..Fake::default()
    });
    std::fs::write(&file, format!("id,name\n{OTHER},Fabrikam\n")).expect("written");
    let run = again.rewind(&["tenant", "import", &file]).exits(0);
    assert!(run.out.contains("unchanged"), "{run:?}");
}

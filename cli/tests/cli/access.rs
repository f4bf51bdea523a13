//! Who may do what.

use snapbox::{assert_data_eq, str};

use crate::fake::Fake;
use crate::gateway::Gateway;

const TENANT: &str = "0a1b2c3d-0000-4000-8000-00000000beef";

#[test]
fn roles_are_granted_to_one_holder_for_tenants_or_for_all() {
    let gateway = Gateway::start(Fake::default());
    let all = ["--role", "reader", "--role", "approver", "--every-tenant"];
    let arguments = [&["access", "grant", "--claim", "Helpdesk"][..], &all].concat();
    let run = gateway.rewind(&arguments).exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
GRANT                    HOLDER          ROLES             TENANTS  BY                GRANTED
grants/1f0a52c45e7cb117  claim Helpdesk  reader, approver  all      anna@contoso.com  -

"#]]
    );
    let asked = gateway.fake.last("CreateGrantRequest");
    assert_eq!(asked["grant"]["claim"], "Helpdesk");
    assert_eq!(asked["grant"]["everyTenant"], true);
    assert_eq!(asked["requestId"].as_str().map(str::len), Some(36));

    let one = ["--role", "operator", "--for-tenant", TENANT];
    let arguments = [&["access", "grant", "--subject", "o"][..], &one].concat();
    let run = gateway
        .rewind(&[&arguments[..], &["--output", "json"]].concat())
        .exits(0);
    let grant = run.json();
    assert_eq!(grant["subject"], "o");
    assert_eq!(grant["tenantIds"][0], TENANT);
    assert_eq!(grant["roles"][0], "ROLE_OPERATOR");
}

#[test]
fn whom_and_for_whom_has_to_be_said_once() {
    let gateway = Gateway::start(Fake::default());
    let role = ["access", "grant", "--role", "reader"];
    for more in [
        &["--claim", "x"][..],
        &["--every-tenant"],
        &["--claim", "x", "--name", "y", "--every-tenant"],
        &["--claim", "x", "--every-tenant", "--for-tenant", TENANT],
        &["--claim", "x", "--for-tenant", "y"],
    ] {
        gateway.rewind(&[&role[..], more].concat()).exits(2);
    }
    let no_role = ["access", "grant", "--claim", "x", "--every-tenant"];
    gateway.rewind(&no_role).exits(2);
    assert_eq!(gateway.fake.calls(), 0);
}

#[test]
fn a_grant_is_taken_back_by_its_name_or_its_id() {
    let gateway = Gateway::start(Fake::default());
    for name in ["grants/1f0a", "1f0a"] {
        let run = gateway.rewind(&["access", "revoke", name]).exits(0);
        assert_eq!(run.out, "grants/1f0a is taken back\n");
        let asked = gateway.fake.last("DeleteGrantRequest");
        assert_eq!(asked["name"], "grants/1f0a");
    }
    let run = gateway.rewind(&["access", "list"]).exits(0);
    assert_eq!(run.out, "(none)\n");
}

//! What a type's permissions and a try say together.

use super::*;

fn denied() -> GraphError {
    GraphError::Denied {
        code: "Authorization_RequestDenied".to_owned(),
        message: "Insufficient privileges".to_owned(),
        path: "/users".to_owned(),
    }
}

fn check(
    granted: Option<&[&str]>,
    tried: Result<(), GraphError>,
    reason: &str,
    missing: &[&str],
    detail: &str,
) {
    let granted = granted.map(|roles| roles.iter().map(|&role| role.to_owned()).collect());
    let item = readable(ObjectType::User, granted.as_ref(), tried);
    assert_eq!(
        (item.app.as_str(), item.subject.as_str()),
        ("reader", "user")
    );
    assert_eq!(
        (item.ok, item.reason.as_str(), item.detail.as_str()),
        (reason.is_empty(), reason, detail)
    );
    assert_eq!(item.missing_permissions, missing);
}

#[test]
fn permissions_and_the_try_are_told_together() {
    let refusal = "graph denied /users: Authorization_RequestDenied: Insufficient privileges";
    check(Some(&["User.Read.All"]), Ok(()), "", &[], "can be read");
    check(
        Some(&["Directory.Read.All"]),
        Ok(()),
        "",
        &[],
        "can be read",
    );
    check(None, Ok(()), "", &[], "can be read");
    check(
        Some(&["User.ReadBasic.All"]),
        Ok(()),
        "CONSENT_MISSING",
        &["User.Read.All"],
        "User.Read.All is missing: graph answers, but may leave values out",
    );
    let missing = format!("User.Read.All is missing: {refusal}");
    check(
        Some(&[]),
        Err(denied()),
        "CONSENT_MISSING",
        &["User.Read.All"],
        &missing,
    );
    check(
        None,
        Err(denied()),
        "CONSENT_MISSING",
        &["User.Read.All"],
        &missing,
    );
    check(
        Some(&["User.Read.All"]),
        Err(denied()),
        "CONSENT_MISSING",
        &[],
        refusal,
    );
    check(
        Some(&[]),
        Err(GraphError::Throttled {
            retry_after: None,
            path: "/users".to_owned(),
        }),
        "GRAPH_THROTTLED",
        &[],
        "graph throttles /users",
    );
}

#[test]
fn without_the_audit_log_it_is_told_what_is_lost() {
    let held = |roles: &[&str]| -> BTreeSet<String> {
        roles.iter().map(|&role| role.to_owned()).collect()
    };
    let item = audit_log(Some(&held(&["AuditLog.Read.All"])), Ok(()));
    assert_eq!((item.subject.as_str(), item.ok), ("auditLog", true));
    let item = audit_log(Some(&held(&["Directory.Read.All"])), Err(denied()));
    assert_eq!(
        (item.ok, item.reason.as_str(), item.missing_permissions),
        (
            false,
            "CONSENT_MISSING",
            vec!["AuditLog.Read.All".to_owned()]
        )
    );
    assert!(
        item.detail
            .starts_with("AuditLog.Read.All is missing: reports do not say who changed what: "),
        "{}",
        item.detail
    );
    let item = audit_log(None, Err(denied()));
    assert_eq!(item.missing_permissions, ["AuditLog.Read.All"]);
}

#[test]
fn without_protected_actions_it_is_told_what_is_lost() {
    assert!(protected_actions(Ok(())).ok);
    let item = protected_actions(Err(denied()));
    assert_eq!(
        (item.subject.as_str(), item.ok, item.reason.as_str()),
        ("protectedActions", false, "CONSENT_MISSING")
    );
    assert_eq!(item.missing_permissions, ["RoleManagement.Read.Directory"]);
    assert!(
        item.detail.contains("which actions are protected"),
        "{}",
        item.detail
    );
    let unavailable = GraphError::Unavailable {
        what: "away".to_owned(),
        path: "/x".to_owned(),
    };
    assert_eq!(
        protected_actions(Err(unavailable)).reason,
        "GRAPH_UNAVAILABLE"
    );
}

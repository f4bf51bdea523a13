//! What a type's permissions and a try say together.

use super::*;

const READ: &str = "User.Read.All";
const WRITE: [&str; 2] = ["User.ReadWrite.All", "User.DeleteRestore.All"];

fn denied() -> GraphError {
    GraphError::Denied {
        code: "Authorization_RequestDenied".to_owned(),
        message: "Insufficient privileges".to_owned(),
        path: "/users".to_owned(),
    }
}

fn roles(granted: Option<&[&str]>) -> Option<BTreeSet<String>> {
    granted.map(|roles| roles.iter().map(|&role| role.to_owned()).collect())
}

fn check(granted: Option<&[&str]>, tried: Result<(), GraphError>, missing: &[&str], detail: &str) {
    let item = writable(ObjectType::User, roles(granted).as_ref(), tried);
    let ok = item.reason.is_empty();
    assert_eq!((item.ok, item.detail.as_str()), (ok, detail));
    assert!(ok || item.reason == reason::CONSENT_MISSING);
    assert_eq!(item.missing_permissions, missing);
}

#[test]
fn what_may_be_written_is_known_from_the_token_alone() {
    check(Some(&WRITE), Ok(()), &[], "can be read and written");
    check(
        Some(&[READ]),
        Ok(()),
        &WRITE,
        "User.ReadWrite.All, User.DeleteRestore.All is missing: it can be read, not written",
    );
    check(
        Some(&["User.ReadWrite.All"]),
        Ok(()),
        &["User.DeleteRestore.All"],
        "User.DeleteRestore.All is missing: it can be read, not written",
    );
    check(
        None,
        Ok(()),
        &[],
        "can be read; whether it can be written is not known",
    );
    check(
        Some(&[]),
        Ok(()),
        &[READ],
        "User.Read.All is missing: graph answers, but may leave values out",
    );
    let refusal = "graph denied /users: Authorization_RequestDenied: Insufficient privileges";
    check(
        None,
        Err(denied()),
        &[READ],
        &format!("User.Read.All is missing: {refusal}"),
    );
    check(Some(&WRITE), Err(denied()), &[], refusal);
}

#[test]
fn lookups_name_what_they_need() {
    let check = |granted: Option<&[&str]>, missing: &[&str]| {
        let item = looked(
            "directoryObjects",
            "Directory.Read.All",
            roles(granted).as_ref(),
            Err(denied()),
        );
        assert_eq!(item.reason, reason::CONSENT_MISSING);
        assert_eq!(item.missing_permissions, missing);
    };
    check(None, &["Directory.Read.All"]);
    check(Some(&[]), &["Directory.Read.All"]);
    check(Some(&["Directory.Read.All"]), &[]);
}

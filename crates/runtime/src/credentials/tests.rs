//! References, allowed and refused, and what they lead to.

use super::*;
use crate::config::fixed;
use secrecy::ExposeSecret;

fn resolve(credentials: &Credentials, reference: &str) -> Result<String, CredentialError> {
    credentials
        .resolve(reference)
        .map(|secret| secret.expose_secret().to_owned())
}

#[test]
fn the_form_is_checked_by_kind() {
    let outcome = |kind, text| match CredentialReference::parse(kind, text) {
        Ok(reference) => format!("{reference:?}"),
        Err(error) => format!("{} {error}", error.reason()),
    };
    insta::assert_snapshot!([
        outcome(Kind::Reader, "env:REWIND_CREDENTIAL_READER_CONTOSO"),
        outcome(Kind::Writer, "env:REWIND_CREDENTIAL_READER_CONTOSO"),
        outcome(Kind::Writer, "env:REWIND_CREDENTIAL_WRITER_"),
        outcome(Kind::Reader, "env:hunter2"),
        outcome(Kind::Reader, "hunter2"),
        outcome(Kind::Reader, ""),
        outcome(Kind::Reader, "file:"),
        outcome(Kind::Reader, "file:contoso/secret"),
        outcome(Kind::Reader, "file:contoso/../../secret"),
    ].join("\n"), @r#"
    Env("REWIND_CREDENTIAL_READER_CONTOSO")
    CREDENTIAL_REFERENCE_REFUSED the environment name of this credential must begin with REWIND_CREDENTIAL_WRITER_ and go on with capital letters, digits or underscores
    CREDENTIAL_REFERENCE_REFUSED the environment name of this credential must begin with REWIND_CREDENTIAL_WRITER_ and go on with capital letters, digits or underscores
    CREDENTIAL_REFERENCE_REFUSED the environment name of this credential must begin with REWIND_CREDENTIAL_READER_ and go on with capital letters, digits or underscores
    INVALID_ARGUMENT a credential is given as env:NAME or file:PATH, never as its value
    INVALID_ARGUMENT a credential is given as env:NAME or file:PATH, never as its value
    INVALID_ARGUMENT a credential is given as env:NAME or file:PATH, never as its value
    File("contoso/secret")
    CREDENTIAL_REFERENCE_REFUSED the file of this credential must lie below the directory that REWIND_CREDENTIALS_DIR names
    "#);
}

#[test]
fn names_resolve_and_never_show_their_content() {
    let source = Arc::new(fixed([
        ("REWIND_CREDENTIAL_READER_A", "hunter2\r\n"),
        ("REWIND_CREDENTIAL_READER_E", "\n"),
        ("HOME", "/x"),
    ]));
    let credentials = Credentials::new(Kind::Reader, None, source);
    assert_eq!(
        resolve(&credentials, "env:REWIND_CREDENTIAL_READER_A").as_deref(),
        Ok("hunter2")
    );
    let secret = credentials
        .resolve("env:REWIND_CREDENTIAL_READER_A")
        .expect("resolves");
    assert!(!format!("{credentials:?} {secret:?}").contains("hunter2"));
    let missing = credentials
        .resolve("env:REWIND_CREDENTIAL_READER_B")
        .expect_err("not set");
    assert_eq!(
        missing.to_string(),
        "credential env:REWIND_CREDENTIAL_READER_B is not set"
    );
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let empty = credentials
        .resolve("env:REWIND_CREDENTIAL_READER_E")
        .expect_err("empty");
    assert_eq!(
        empty.to_string(),
        "credential env:REWIND_CREDENTIAL_READER_E is empty"
    );
    assert_eq!(
        resolve(&credentials, "env:HOME"),
        Err(CredentialError::ForeignName {
            prefix: Kind::Reader.prefix()
        })
    );
    assert_eq!(
        resolve(&credentials, "file:anything"),
        Err(CredentialError::Outside)
    );
}

#[test]
fn files_lie_below_the_directory_links_resolved() {
    let base = tempfile::tempdir().expect("a directory");
    let dir = base.path().join("credentials");
    std::fs::create_dir_all(dir.join("..2026")).expect("made");
    std::fs::write(dir.join("..2026/inside"), "inner\n\n").expect("written");
    std::fs::write(base.path().join("outside"), "outer").expect("written");
    std::os::unix::fs::symlink("..2026/inside", dir.join("linked")).expect("linked");
    std::os::unix::fs::symlink(base.path().join("outside"), dir.join("escape")).expect("linked");
    let credentials = Credentials::new(Kind::Writer, Some(dir.clone()), Arc::new(fixed([])));

    assert_eq!(
        resolve(&credentials, "file:linked").as_deref(),
        Ok("inner\n"),
        "one line break is cut, as mounted secrets link"
    );
    assert_eq!(
        resolve(
            &credentials,
            &format!("file:{}", dir.join("linked").display())
        )
        .as_deref(),
        Ok("inner\n")
    );
    assert_eq!(
        resolve(&credentials, "file:escape"),
        Err(CredentialError::Outside)
    );
    for outside in ["outside", "nothing"] {
        let reference = format!("file:{}", base.path().join(outside).display());
        assert_eq!(
            resolve(&credentials, &reference),
            Err(CredentialError::Outside),
            "existence outside is not told"
        );
    }
    let missing = resolve(&credentials, "file:nothing").expect_err("missing");
    assert_eq!(
        missing.to_string(),
        "credential file:nothing does not exist"
    );
    let directory = resolve(&credentials, "file:..2026").expect_err("a directory");
    assert_eq!(
        directory.to_string(),
        "credential file:..2026 is no file or too large"
    );
}

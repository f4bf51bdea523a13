//! References, allowed and refused, and what they lead to.

use super::*;
use crate::config::{Settings, fixed};
use crate::status::Fault;
use model::ErrorKind;
use model::error::reason;
use secrecy::ExposeSecret;

fn proof(kind: ProofKind, reference: &str) -> Proof {
    Proof {
        kind,
        reference: reference.to_owned(),
    }
}

fn resolve(credentials: &Credentials, reference: &str) -> Result<String, CredentialError> {
    credentials
        .resolve(&proof(ProofKind::Secret, reference))
        .map(|secret| secret.expose_secret().to_owned())
}

#[test]
fn the_form_is_checked_by_kind() {
    let parsed = |kind, proof: Proof| match CredentialReference::parse(kind, &proof) {
        Ok(reference) => format!("{reference:?}"),
        Err(error) => format!("{} {error}", error.reason()),
    };
    let outcome = |kind, text| parsed(kind, proof(ProofKind::Secret, text));
    let certificate = |text| parsed(Kind::Reader, proof(ProofKind::Certificate, text));
    let federated = |text| parsed(Kind::Writer, proof(ProofKind::FederatedToken, text));
    insta::assert_snapshot!([
        outcome(Kind::Reader, "env:REWIND_CREDENTIAL_READER_CONTOSO"),
        outcome(Kind::Writer, "env:REWIND_CREDENTIAL_READER_CONTOSO"),
        outcome(Kind::Writer, "env:REWIND_CREDENTIAL_WRITER_"),
        outcome(Kind::Webhook, "env:REWIND_CREDENTIAL_WEBHOOK_CONTOSO"),
        outcome(Kind::Webhook, "env:REWIND_CREDENTIAL_READER_CONTOSO"),
        outcome(Kind::Reader, "env:hunter2"),
        outcome(Kind::Reader, "hunter2"),
        outcome(Kind::Reader, ""),
        outcome(Kind::Reader, "file:"),
        outcome(Kind::Reader, "file:contoso/secret"),
        outcome(Kind::Reader, "file:contoso/../../secret"),
        outcome(Kind::Reader, "workload-identity"),
        certificate("file:contoso/reader.pem"),
        certificate("env:REWIND_CREDENTIAL_READER_CONTOSO"),
        certificate("-----BEGIN PRIVATE KEY-----"),
        federated("workload-identity"),
        federated("file:contoso/token"),
        federated("file:../token"),
        federated("env:REWIND_CREDENTIAL_WRITER_CONTOSO"),
    ].join("\n"), @r#"
    Env("REWIND_CREDENTIAL_READER_CONTOSO")
    CREDENTIAL_REFERENCE_REFUSED the environment name of this credential must begin with REWIND_CREDENTIAL_WRITER_ and go on with capital letters, digits or underscores
    CREDENTIAL_REFERENCE_REFUSED the environment name of this credential must begin with REWIND_CREDENTIAL_WRITER_ and go on with capital letters, digits or underscores
    Env("REWIND_CREDENTIAL_WEBHOOK_CONTOSO")
    CREDENTIAL_REFERENCE_REFUSED the environment name of this credential must begin with REWIND_CREDENTIAL_WEBHOOK_ and go on with capital letters, digits or underscores
    CREDENTIAL_REFERENCE_REFUSED the environment name of this credential must begin with REWIND_CREDENTIAL_READER_ and go on with capital letters, digits or underscores
    INVALID_ARGUMENT a secret is given as env:NAME or file:PATH, never as its value
    INVALID_ARGUMENT a secret is given as env:NAME or file:PATH, never as its value
    INVALID_ARGUMENT a secret is given as env:NAME or file:PATH, never as its value
    File("contoso/secret")
    CREDENTIAL_REFERENCE_REFUSED the file of this credential must lie below the directory that REWIND_CREDENTIALS_DIR names
    INVALID_ARGUMENT a secret is given as env:NAME or file:PATH, never as its value
    File("contoso/reader.pem")
    INVALID_ARGUMENT a certificate is given as file:PATH, never as its value
    INVALID_ARGUMENT a certificate is given as file:PATH, never as its value
    WorkloadIdentity
    File("contoso/token")
    CREDENTIAL_REFERENCE_REFUSED the file of this credential must lie below the directory that REWIND_CREDENTIALS_DIR names
    INVALID_ARGUMENT a federated token is given as workload-identity or file:PATH, never as its value
    "#);
}

#[test]
fn names_resolve_and_never_show_their_content() {
    let source = Arc::new(fixed([
        ("REWIND_CREDENTIAL_READER_A", "hunter2\r\n"),
        ("REWIND_CREDENTIAL_READER_E", "\n"),
        ("HOME", "/x"),
    ]));
    let credentials = Credentials::new(Kind::Reader, None, Installed::default(), source);
    assert_eq!(
        resolve(&credentials, "env:REWIND_CREDENTIAL_READER_A").as_deref(),
        Ok("hunter2")
    );
    let secret = credentials
        .resolve(&proof(ProofKind::Secret, "env:REWIND_CREDENTIAL_READER_A"))
        .expect("resolves");
    assert!(!format!("{credentials:?} {secret:?}").contains("hunter2"));
    let missing = credentials
        .resolve(&proof(ProofKind::Secret, "env:REWIND_CREDENTIAL_READER_B"))
        .expect_err("not set");
    assert_eq!(
        missing.to_string(),
        "credential env:REWIND_CREDENTIAL_READER_B is not set"
    );
    assert_eq!(
        (missing.kind(), missing.reason()),
        (ErrorKind::Denied, reason::CREDENTIAL_UNUSABLE)
    );
    let empty = credentials
        .resolve(&proof(ProofKind::Secret, "env:REWIND_CREDENTIAL_READER_E"))
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
    let credentials = Credentials::new(
        Kind::Writer,
        Some(dir.clone()),
        Installed::default(),
        Arc::new(fixed([])),
    );

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

fn installed<const N: usize>(pairs: [(&str, &str); N], kind: Kind) -> Result<Installed, String> {
    let source = fixed(pairs);
    let settings = Settings::load(&source).expect("no file");
    Installed::read(&settings, kind).map_err(|error| error.to_string())
}

#[test]
fn the_installations_application_is_read_by_its_own_kind_only() {
    let pairs = [
        ("REWIND_READER_CLIENT_ID", "r"),
        ("REWIND_READER_CREDENTIAL", "certificate:file:reader.pem"),
        ("REWIND_WRITER_CLIENT_ID", "w"),
        ("REWIND_WRITER_CREDENTIAL", "workload-identity"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/azure/token"),
    ];
    let check = |kind, client_id: &str, proof: Proof| {
        let found = installed(pairs, kind).expect("fits");
        assert_eq!(found.application, Some((client_id.to_owned(), proof)));
        assert_eq!(found.token_file, Some("/var/run/azure/token".into()));
    };
    check(
        Kind::Reader,
        "r",
        proof(ProofKind::Certificate, "file:reader.pem"),
    );
    check(
        Kind::Writer,
        "w",
        proof(ProofKind::FederatedToken, "workload-identity"),
    );
    let refused = |credential: &str| {
        let pairs = [
            ("REWIND_WRITER_CLIENT_ID", "w"),
            ("REWIND_WRITER_CREDENTIAL", credential),
        ];
        installed(pairs, Kind::Writer).expect_err("refused")
    };
    assert_eq!(refused(""), "REWIND_WRITER_CREDENTIAL is not set");
    for pasted in [
        "hunter2",
        "env:HUNTER2",
        "certificate:hunter2",
        "env:REWIND_CREDENTIAL_READER_A",
    ] {
        let error = refused(pasted);
        assert!(
            error.starts_with("REWIND_WRITER_CREDENTIAL is not valid: ")
                && !error.to_lowercase().contains("hunter2"),
            "{error}"
        );
    }
    assert_eq!(installed([], Kind::Reader), Ok(Installed::default()));
}

#[test]
fn an_application_signs_in_with_what_is_there_at_that_time() {
    let base = tempfile::tempdir().expect("a directory");
    let token = base.path().join("token");
    std::fs::write(&token, "first").expect("written");
    let with = |application| {
        let installed = Installed {
            application,
            token_file: Some(token.clone()),
        };
        Credentials::new(Kind::Reader, None, installed, Arc::new(fixed([])))
    };
    let workload = proof(ProofKind::FederatedToken, WORKLOAD_IDENTITY);
    let credentials = with(Some(("shared".to_owned(), workload.clone())));
    let signing = credentials
        .sign_in(&Application::Installation)
        .expect("signs in");
    assert_eq!(
        (signing.client_id.as_str(), &signing.proof),
        ("shared", &workload)
    );
    let read = || (signing.read)().map(|token| token.expose_secret().to_owned());
    assert_eq!(read(), Ok("first".to_owned()));
    std::fs::write(&token, "second").expect("written");
    assert_eq!(read(), Ok("second".to_owned()), "the file is read anew");
    std::fs::remove_file(&token).expect("removed");
    assert_eq!(
        read(),
        Err("credential workload-identity cannot be read".to_owned())
    );
    assert!(!format!("{credentials:?} {signing:?}").contains("second"));

    let own = Application::Own {
        client_id: "own".to_owned(),
        proof: workload,
    };
    let error = credentials.sign_in(&own).expect_err("there is no file");
    assert_eq!(error.reason(), reason::CREDENTIAL_UNUSABLE);
    let error = with(None).sign_in(&Application::Installation);
    assert_eq!(
        error.expect_err("there is none").to_string(),
        "this service has no reader application for all tenants: its REWIND_READER_CLIENT_ID is not set"
    );
}

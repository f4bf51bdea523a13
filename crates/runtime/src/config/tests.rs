//! Settings read from fixed sources and files.

use super::*;
use std::net::SocketAddr;

fn listen() -> SocketAddr {
    "127.0.0.1:8444".parse().expect("an address")
}

fn common<const N: usize>(pairs: [(&str, &str); N]) -> Result<Common, ConfigError> {
    let source = fixed(pairs);
    let settings = Settings::load(&source)?;
    Common::read(&settings, listen())
}

fn error<const N: usize>(pairs: [(&str, &str); N]) -> String {
    common(pairs).expect_err("must not be accepted").to_string()
}

#[test]
fn defaults_hold_where_nothing_is_set() {
    let common = common([("REWIND_STORE_URL", "memory:///")]).expect("valid");
    assert_eq!(common.listen, listen());
    assert_eq!(common.store_url, "memory:///");
    assert_eq!(
        (common.key_file, common.tls, common.credentials_dir),
        (None, None, None)
    );
    assert!(!common.custom_clouds);
    assert_eq!(common.grace, Duration::from_secs(20));
}

#[test]
fn the_vault_is_opened_by_what_was_read_and_by_the_clouds_own_settings() {
    let source = fixed([
        ("REWIND_KEY_FILE", "other"),
        ("AZURE_CLIENT_ID", "a client"),
    ]);
    let common = common([
        ("REWIND_STORE_URL", "memory:///"),
        ("REWIND_KEY_VAULT_KEY", "https://v/keys/k/2"),
        ("REWIND_OLD_KEY_FILE", "old"),
    ])
    .expect("valid");
    common.required_key().expect("there is one");
    let vault = common.vault(&source);
    for (name, expected) in [
        ("REWIND_STORE_URL", Some("memory:///")),
        ("REWIND_KEYS_URL", None),
        ("REWIND_KEY_FILE", None),
        ("REWIND_KEY_VAULT_KEY", Some("https://v/keys/k/2")),
        ("REWIND_OLD_KEY_FILE", Some("old")),
        ("REWIND_OLD_KEY_VAULT_KEY", None),
        ("AZURE_CLIENT_ID", Some("a client")),
    ] {
        assert_eq!(vault(name).as_deref(), expected, "{name}");
    }
}

#[test]
fn errors_name_the_key_and_never_the_value() {
    let store = ("REWIND_STORE_URL", "memory:///");
    insta::assert_snapshot!([
        error([]),
        error([("REWIND_STORE_URL", "")]),
        error([store, ("REWIND_LISTEN", "hunter2")]),
        error([store, ("REWIND_GRACE", "hunter2")]),
        error([store, ("REWIND_CUSTOM_CLOUDS", "yes")]),
        error([store, ("REWIND_TLS_CERT", "a")]),
        error([store, ("REWIND_TLS_KEY", "a")]),
        error([store, ("REWIND_TLS_CA", "a")]),
        error([store, ("REWIND_KEY_VAULT_KEY", "hunter2")]),
        error([store, ("REWIND_KEY_VAULT_KEY", "https://v/keys/k/1"), ("REWIND_KEY_FILE", "key")]),
        error([store, ("REWIND_OLD_KEY_VAULT_KEY", "https://v/keys/k/1"), ("REWIND_OLD_KEY_FILE", "key")]),
        error([store, ("REWIND_CONFIG", "no such file")]),
    ].join("\n"), @r"
    REWIND_STORE_URL is not set
    REWIND_STORE_URL is not set
    REWIND_LISTEN is not valid: invalid socket address syntax
    REWIND_GRACE is not valid: a length of time such as 20s is expected
    REWIND_CUSTOM_CLOUDS is not valid: allow or refuse is expected
    REWIND_TLS_KEY is not set
    REWIND_TLS_CERT is not set
    REWIND_TLS_CERT is not set
    REWIND_KEY_VAULT_KEY is not valid: an http or https URL is expected
    REWIND_KEY_VAULT_KEY is not valid: REWIND_KEY_FILE is set, too, and one key wraps
    REWIND_OLD_KEY_VAULT_KEY is not valid: REWIND_OLD_KEY_FILE is set, too, and one key wraps
    the file that REWIND_CONFIG names cannot be used: No such file or directory (os error 2)
    ");
}

#[test]
fn the_environment_wins_over_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rewind.toml");
    std::fs::write(
        &path,
        "store_url = \"file:///a\"\ngrace = \"3s\"\nextra = 1\n[tls]\ncert = \"c\"\nkey = \"k\"\n",
    )
    .expect("written");
    let source = fixed([
        ("REWIND_CONFIG", path.to_str().expect("text")),
        ("REWIND_STORE_URL", "file:///b"),
    ]);
    let settings = Settings::load(&source).expect("valid");
    let common = Common::read(&settings, listen()).expect("valid");
    assert_eq!(common.store_url, "file:///b");
    assert_eq!(common.grace, Duration::from_secs(3));
    assert_eq!(
        common.tls,
        Some(TlsPaths {
            cert: "c".into(),
            key: "k".into(),
            ca: None
        })
    );
    let unknown = settings
        .finish()
        .expect_err("extra is not known")
        .to_string();
    assert_eq!(
        unknown,
        "the file that REWIND_CONFIG names holds unknown keys: REWIND_EXTRA"
    );
    assert_eq!(settings.text("REWIND_EXTRA").as_deref(), Some("1"));
    assert!(
        settings.finish().is_ok(),
        "a key that was asked for is known"
    );
}

#[test]
fn a_file_must_be_toml_of_single_values() {
    assert!(parse_file("store_url = ").is_err());
    assert_eq!(
        parse_file("a = [1]").expect_err("a list").to_string(),
        "REWIND_A is not valid: a single value is expected"
    );
}

#[test]
fn urls_are_http() {
    let source = fixed([("A", "http://127.0.0.1:1"), ("B", "ftp://x"), ("C", "x")]);
    let settings = Settings::load(&source).expect("valid");
    assert_eq!(
        settings.url("A").expect("valid").as_deref(),
        Some("http://127.0.0.1:1")
    );
    assert!(settings.url("B").is_err() && settings.url("C").is_err());
    assert_eq!(settings.url("D").expect("valid"), None);
}

#[test]
fn the_command_line_knows_one_argument() {
    let parse = |arguments: &[&str]| Mode::parse(arguments.iter().map(|a| (*a).to_owned()));
    assert_eq!(parse(&[]).expect("valid"), Mode::Run);
    assert_eq!(
        parse(&["--check-config"]).expect("valid"),
        Mode::CheckConfig
    );
    assert!(parse(&["--help"]).is_err());
}

//! URLs and settings, without a store behind them.

use super::*;

fn opened(url: &str, settings: &[(&str, &str)]) -> Result<String, String> {
    let setting = |name: &str| {
        let found = settings.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    open_store(url, &setting)
        .map(|store| store.to_string())
        .map_err(|error| error.to_string())
}

const AZURE_ACCOUNT: (&str, &str) = ("AZURE_STORAGE_ACCOUNT_NAME", "vault");

#[test]
fn a_url_names_a_store_and_a_place_in_it() {
    for (url, settings, expected) in [
        ("memory:///", &[][..], "InMemory"),
        ("s3://bucket", &[], "AmazonS3(bucket)"),
        ("s3://bucket/", &[], "AmazonS3(bucket)"),
        ("s3://bucket/a/b", &[], "PrefixObjectStore(a/b)"),
        (
            "az://container/a/",
            &[AZURE_ACCOUNT],
            "PrefixObjectStore(a)",
        ),
        (
            "gs://my-bucket.example",
            &[],
            "GoogleCloudStorage(my-bucket.example)",
        ),
    ] {
        assert_eq!(opened(url, settings).as_deref(), Ok(expected), "{url}");
    }
}

#[test]
fn what_names_no_store_is_refused_without_a_value() {
    let hidden = "hunter2";
    for (url, settings, part) in [
        ("not a url", &[][..], "cannot be read"),
        ("file://host/x", &[], "no local path"),
        ("ftp://bucket/x", &[], "\"ftp\""),
        ("s3:///x", &[], "no bucket"),
        ("s3://bucket:80/x", &[], "no bucket"),
        ("s3://hunter2@bucket/x", &[], "more than a place"),
        ("s3://a:hunter2@bucket/x", &[], "more than a place"),
        ("s3://bucket/x?secret=hunter2", &[], "more than a place"),
        ("s3://bucket/x#hunter2", &[], "more than a place"),
        (
            "s3://bucket",
            &[("AWS_SECRET_ACCESS_KEY", hidden)],
            "go together",
        ),
        (
            "s3://bucket",
            &[("AWS_ENDPOINT", "http://hunter2.example")],
            "AWS_ENDPOINT is",
        ),
        (
            "s3://bucket",
            &[("AWS_ENDPOINT_URL_S3", hidden)],
            "AWS_ENDPOINT_URL_S3 is",
        ),
        ("az://container", &[], "AZURE_STORAGE_ACCOUNT_NAME"),
        (
            "az://container",
            &[
                AZURE_ACCOUNT,
                ("AZURE_STORAGE_ACCOUNT_KEY", "hunter2 is no base64"),
            ],
            "base64",
        ),
        (
            "az://container",
            &[
                AZURE_ACCOUNT,
                ("AZURE_STORAGE_ENDPOINT", "http://10.0.0.1/hunter2"),
            ],
            "AZURE_STORAGE_ENDPOINT is",
        ),
        (
            "gs://bucket",
            &[("GOOGLE_SERVICE_ACCOUNT", "/no/hunter2")],
            "credentials file",
        ),
        (
            "gs://bucket",
            &[("GOOGLE_SERVICE_ACCOUNT_KEY", "\"hunter2\"")],
            "credentials file",
        ),
        (
            "gs://bucket",
            &[("GOOGLE_BASE_URL", "ftp://127.0.0.1")],
            "GOOGLE_BASE_URL is",
        ),
    ] {
        let error = opened(url, settings).expect_err(url);
        assert!(error.contains(part), "{url}: {error}");
        assert!(!error.contains(hidden), "{url}: {error}");
    }
}

#[test]
fn plain_http_is_for_this_machine_alone() {
    let allowed = |text: &str| {
        let setting = |_: &str| Some(text.to_owned());
        transport(&setting, &["AWS_ENDPOINT"]).map_err(|error| error.kind())
    };
    for text in [
        "http://127.0.0.1:9000",
        "http://localhost:1/x",
        "http://[::1]:1",
    ] {
        assert_eq!(allowed(text), Ok(Transport::Plain), "{text}");
    }
    assert_eq!(allowed("https://store.example"), Ok(Transport::Tls));
    for text in [
        "http://store.example",
        "http://localhost.example",
        "http://10.0.0.1",
        "x",
    ] {
        assert_eq!(allowed(text), Err(model::ErrorKind::Invalid), "{text}");
    }
}

#[test]
fn an_empty_setting_is_none() {
    let settings = [("AWS_ENDPOINT", ""), ("AWS_SECRET_ACCESS_KEY", "")];
    assert_eq!(
        opened("s3://bucket", &settings).as_deref(),
        Ok("AmazonS3(bucket)")
    );
}

#[test]
fn nothing_shows_a_credential() {
    // What the client's own text would show of it: as given, decoded, as bytes.
    let (key, decoded, bytes) = ("aHVudGVyMg==", "hunter2", "104, 117, 110");
    let settings = [
        AZURE_ACCOUNT,
        ("AZURE_STORAGE_ACCOUNT_KEY", key),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", key),
        ("AWS_SESSION_TOKEN", decoded),
    ];
    let setting = |name: &str| {
        let found = settings.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    for url in [
        "az://container",
        "az://container/x",
        "s3://bucket",
        "s3://bucket/x",
    ] {
        let store = open_store(url, &setting).expect(url);
        let text = format!("{store:?} {store}");
        for secret in [key, decoded, bytes] {
            assert!(!text.contains(secret), "{url}: {text}");
        }
    }
}

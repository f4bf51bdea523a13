//! Where letters go, and where not.

use runtime::config::{Settings, fixed};

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn webhooks(clouds: &str) -> Webhooks {
    runtime::tls::install_provider();
    let source = fixed([
        ("REWIND_STORE_URL", "memory:///"),
        ("REWIND_CUSTOM_CLOUDS", clouds),
        ("REWIND_CREDENTIAL_WEBHOOK_A", SECRET),
        ("REWIND_CREDENTIAL_READER_A", SECRET),
        ("REWIND_CREDENTIAL_WEBHOOK_SHORT", "hunter2"),
    ]);
    let config = Config::read(&Settings::load(&source).expect("read")).expect("valid");
    Webhooks::new(&config, Arc::new(source)).expect("TLS")
}

async fn send(webhooks: &Webhooks, url: &str, secret: &str) -> Result<u16, String> {
    let webhook = Webhook {
        url: url.to_owned(),
        secret: secret.to_owned(),
        min_severity: model::drift::Severity::Low,
        since: DateTime::UNIX_EPOCH,
    };
    let letter = Letter {
        id: "sig_1",
        body: "{}",
    };
    let sent = webhooks.send(&webhook, &letter, DateTime::UNIX_EPOCH).await;
    sent.map_err(|failed| failed.problem)
}

#[tokio::test]
async fn nothing_reaches_the_house() {
    let webhooks = webhooks("refuse");
    // Whoever connected here would be heard.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "168.63.129.16",
        // By name, which says nothing: what it leads to is looked at.
        "localhost",
    ] {
        let url = format!("https://{host}:{port}/");
        let problem = send(&webhooks, &url, "env:REWIND_CREDENTIAL_WEBHOOK_A").await;
        let problem = problem.expect_err(&url);
        assert!(
            problem.contains("leads to no public address"),
            "{url}: {problem}"
        );
    }
    for url in [
        format!("http://127.0.0.1:{port}/"),
        "http://hooks.example/".to_owned(),
        "ftp://hooks.example/".to_owned(),
    ] {
        let problem = send(&webhooks, &url, "env:REWIND_CREDENTIAL_WEBHOOK_A").await;
        let problem = problem.expect_err(&url);
        assert!(problem.contains("no public address by https"), "{problem}");
    }
    tokio::select! {
        biased;
        _ = listener.accept() => panic!("somebody connected"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn a_secret_is_found_where_webhooks_have_theirs_and_nowhere_else() {
    let webhooks = webhooks("allow");
    for (reference, expected) in [
        (
            "env:REWIND_CREDENTIAL_READER_A",
            "must begin with REWIND_CREDENTIAL_WEBHOOK_",
        ),
        ("env:REWIND_CREDENTIAL_WEBHOOK_B", "is not set"),
        ("file:a", "REWIND_CREDENTIALS_DIR"),
        ("file:/etc/passwd", "REWIND_CREDENTIALS_DIR"),
        ("hunter2", "never as its value"),
        ("env:REWIND_CREDENTIAL_WEBHOOK_SHORT", "is not base64"),
    ] {
        let problem = send(&webhooks, "http://127.0.0.1:1/", reference).await;
        let problem = problem.expect_err(reference);
        assert!(problem.contains(expected), "{reference}: {problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_without_its_url() {
    let webhooks = webhooks("allow");
    let url = "http://127.0.0.1:1/services/T0/B0/token";
    let problem = send(&webhooks, url, "env:REWIND_CREDENTIAL_WEBHOOK_A").await;
    let problem = problem.expect_err("nobody listens there");
    assert!(
        !problem.is_empty() && !problem.contains("token"),
        "{problem}"
    );
}

#[test]
fn a_webhook_may_say_when_to_come_back() {
    let now = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
    for (text, expected) in [
        ("120", Some(120)),
        (" 0 ", Some(0)),
        ("Mon, 21 Sep 2026 14:14:20 GMT", Some(60)),
        ("soon", None),
        ("99999999999999999", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().expect("a header"));
        let at = retry_after(&headers, now);
        let seconds = at.map(|at| (at - now).num_seconds());
        assert_eq!(seconds, expected, "{text}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), now), None);
}

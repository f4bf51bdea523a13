//! Which replica serves whom, and real servers that come and go.

use super::*;
use crate::config::TlsPaths;
use crate::serve::Server;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const KEYS: usize = 3_000;

fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 7_002))
}

fn known(replicas: impl IntoIterator<Item = u8>) -> Known {
    let mut known = Known::default();
    known.list(replicas.into_iter().map(address).collect());
    known
}

/// Who serves each key.
fn homes(known: &mut Known) -> Vec<SocketAddr> {
    let keys = (0..KEYS).map(|n| format!("tenant-{n}"));
    keys.map(|key| known.choose(&key).expect("an address"))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_goes_moves_only_its_own_keys() {
    let before = homes(&mut known([1, 2, 3, 4]));
    for n in 1..=4 {
        let share = before.iter().filter(|home| **home == address(n)).count();
        assert!(share.abs_diff(KEYS / 4) < KEYS / 20, "{n} has {share}");
    }
    assert_eq!(
        homes(&mut known([4, 2, 1, 3])),
        before,
        "the order is nothing"
    );
    let mut fewer = known([1, 2, 3, 4]);
    homes(&mut fewer);
    fewer.list([1, 2, 4].map(address).into());
    for (before, after) in before.iter().zip(homes(&mut fewer)) {
        match *before == address(3) {
            true => assert_ne!(after, address(3)),
            false => assert_eq!(after, *before),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_comes_gets_keys_that_nobody_asked_for() {
    let mut known = known([1, 2]);
    let before = homes(&mut known);
    known.list([1, 2, 3].map(address).into());
    assert_eq!(homes(&mut known), before);
    tokio::time::advance(HOME_FOR / 2).await;
    assert_eq!(known.choose("tenant-7"), Some(before[7]));
    tokio::time::advance(HOME_FOR / 2).await;
    assert_eq!(known.choose("tenant-7"), Some(before[7]));
    tokio::time::advance(HOME_FOR).await;
    let after = homes(&mut known);
    let moved = before.iter().zip(&after).filter(|(a, b)| a != b);
    let moved: Vec<_> = moved.map(|(_, after)| *after).collect();
    assert!(
        moved.len().abs_diff(KEYS / 3) < KEYS / 20,
        "{}",
        moved.len()
    );
    assert!(moved.iter().all(|home| *home == address(3)));
}

#[tokio::test(start_paused = true)]
async fn a_replica_out_of_reach_is_passed_over_for_a_while() {
    let mut known = known([1, 2, 3]);
    let before = homes(&mut known);
    known.failed(address(2));
    for (before, now) in before.iter().zip(homes(&mut known)) {
        assert_ne!(now, address(2));
        assert!(*before == address(2) || *before == now);
    }
    assert!(known.takes_turn() && !known.takes_turn(), "once");
    tokio::time::advance(DOWN_FOR).await;
    assert_eq!(homes(&mut known), before);
    for n in 1..=3 {
        known.failed(address(n));
    }
    assert_eq!(homes(&mut known), before, "one must be asked");
}

#[test]
fn of_two_families_the_older_serves() {
    let mut known = Known::default();
    let six: SocketAddr = "[fd00::1]:7002".parse().expect("an address");
    known.list(vec![six, address(1)]);
    let both = homes(&mut known);
    assert!(both.iter().all(|home| *home == address(1)));
    known.failed(address(1));
    assert_eq!(known.choose("tenant-1"), Some(six));
}

#[test]
fn a_name_is_told_from_an_address() {
    let check = |url: &'static str, expected: Option<(&str, u16)>| {
        let found = place(&Uri::from_static(url));
        let expected = expected.map(|(host, port)| (host.to_owned(), port));
        assert_eq!(found, expected, "{url}");
    };
    check("http://differ:7002", Some(("differ", 7_002)));
    check(
        "https://differ.rewind.svc",
        Some(("differ.rewind.svc", 443)),
    );
    check("http://differ", Some(("differ", 80)));
    check("http://127.0.0.1:7002", None);
    check("http://[::1]:7002", None);
}

/// A server until the guard is dropped.
async fn server(tls: Option<Tls>) -> (SocketAddr, tokio_util::sync::DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, stop) = (
        listener.local_addr().expect("bound"),
        CancellationToken::new(),
    );
    let server = Server::new(Routes::default(), &[])
        .tls(tls)
        .grace(Duration::ZERO);
    tokio::spawn(server.run(listener, stop.clone()));
    (address, stop.drop_guard())
}

fn fixed(addresses: Vec<SocketAddr>) -> Resolve {
    Arc::new(move || {
        let addresses = addresses.clone();
        async move { Ok(addresses) }.boxed()
    })
}

fn health() -> Request<Body> {
    let request = Request::post("/grpc.health.v1.Health/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let message = bytes::Bytes::from_static(&[0; 5]);
    let body = Body::new(http_body_util::Full::new(message));
    request.body(body).expect("a request")
}

#[tokio::test]
async fn the_name_of_the_url_is_what_tls_checks() {
    crate::tls::install_provider();
    let key = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["differ.example".to_owned()]);
    let certificate = parameters.expect("valid").self_signed(&key);
    let dir = tempfile::tempdir().expect("a directory");
    let paths = TlsPaths {
        cert: dir.path().join("cert"),
        key: dir.path().join("key"),
        ca: None,
    };
    std::fs::write(&paths.cert, certificate.expect("signed").pem()).expect("written");
    std::fs::write(&paths.key, key.serialize_pem()).expect("written");
    let (address, _server) = server(Some(Tls::load(&paths).expect("read"))).await;
    let trusting = Tls::trusting(&paths.cert).expect("read");
    let ask = async |url: &str| {
        let replicas = Replicas::resolved(url, Some(&trusting), fixed(vec![address]));
        replicas.expect("valid").call("tenant", health).await
    };
    let answer = ask("https://differ.example:7002")
        .await
        .expect("the name fits");
    assert_eq!(answer.status(), http::StatusCode::OK);
    let refused = ask("https://another.example:7002").await;
    let told = crate::status::chain(refused.expect_err("the name does not").as_ref());
    assert!(told.contains("certificate"), "{told}");
}

#[tokio::test]
async fn a_name_without_addresses_is_an_error_and_is_asked_again() {
    let turn = Arc::new(Mutex::new(0));
    let (address, _server) = server(None).await;
    let resolve: Resolve = Arc::new(move || {
        *turn.lock() += 1;
        let turn = *turn.lock();
        async move {
            match turn {
                1 => Err(io::Error::other("no answer")),
                2 => Ok(Vec::new()),
                _ => Ok(vec![address]),
            }
        }
        .boxed()
    });
    let replicas = Replicas::resolved("http://differ:7002", None, resolve).expect("valid");
    for expected in ["no answer", "the name has no address"] {
        let error = replicas.call("tenant", health).await.expect_err("nobody");
        assert_eq!(error.to_string(), expected);
    }
    replicas.call("tenant", health).await.expect("answered");
}

#[tokio::test]
async fn a_name_that_the_system_knows_is_found() {
    let (address, _server) = server(None).await;
    let url = format!("http://localhost:{}", address.port());
    let replicas = Replicas::connect(&url, None).expect("valid");
    replicas.call("tenant", health).await.expect("answered");
    let replicas = Replicas::connect(&format!("http://{address}"), None).expect("valid");
    replicas.call("tenant", health).await.expect("answered");
}

#[tokio::test]
async fn a_client_is_served_by_another_where_one_is_out_of_reach() {
    let (there, _server) = server(None).await;
    let (gone, server) = server(None).await;
    drop(server);
    let nobody = async || TcpStream::connect(gone).await.is_err();
    while !nobody().await {
        tokio::task::yield_now().await;
    }
    let replicas = Replicas::resolved("http://differ", None, fixed(vec![there, gone]));
    let replicas = replicas.expect("valid");
    for key in 0..20 {
        let mut client = HealthClient::new(replicas.of(&key.to_string()));
        let answer = client.check(HealthCheckRequest::default()).await;
        answer.expect("answered");
    }
    let nowhere = Replicas::resolved("http://differ", None, fixed(Vec::new())).expect("valid");
    let mut client = HealthClient::new(nowhere.of("tenant"));
    let status = client.check(HealthCheckRequest::default()).await;
    let status = status.expect_err("nobody there");
    assert_eq!(
        (status.code(), status.message()),
        (tonic::Code::Unavailable, "the name has no address")
    );
}

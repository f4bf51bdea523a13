//! A real server and client over loopback.

use super::*;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
}

async fn serve(grace: Duration) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let server = Server::new(Routes::default(), &["rewind.v1.TenantService"])
        .reflection(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .grace(grace)
        .run(listener, stop.clone());
    Running {
        address,
        stop,
        server: tokio::spawn(server),
    }
}

fn channel(address: SocketAddr) -> Channel {
    connect(&format!("http://{address}"), None).expect("an address")
}

fn tenant_service() -> HealthCheckRequest {
    HealthCheckRequest {
        service: "rewind.v1.TenantService".to_owned(),
    }
}

#[test]
fn a_status_alone_goes_out_with_its_end() {
    let ended = |body| is_empty(&ending(body, CancellationToken::new()));
    assert!(ended(stopping().into_http::<Body>().into_body()));
    assert!(!ended(trailers(&stopping())));
}

#[tokio::test]
async fn health_and_reflection_answer_until_the_stop() {
    let running = serve(Duration::from_secs(20)).await;
    let mut health = HealthClient::new(channel(running.address));
    for service in ["", "rewind.v1.TenantService"] {
        let answer = health
            .check(HealthCheckRequest {
                service: service.to_owned(),
            })
            .await
            .expect("answered")
            .into_inner();
        assert_eq!(answer.status, ServingStatus::Serving as i32);
    }
    let unknown = health
        .check(HealthCheckRequest {
            service: "x".to_owned(),
        })
        .await
        .expect_err("unknown");
    assert_eq!(unknown.code(), Code::NotFound);

    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(channel(running.address));
    let mut answers = reflection
        .server_reflection_info(tokio_stream::once(ask))
        .await
        .expect("answered")
        .into_inner();
    let answer = answers
        .message()
        .await
        .expect("answered")
        .expect("one")
        .message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("{answer:?}")
    };
    assert!(
        list.service
            .iter()
            .any(|service| service.name == "grpc.health.v1.Health")
    );

    drop((answers, health, reflection));
    running.stop.cancel();
    running.server.await.expect("no panic").expect("no error");
}

#[tokio::test]
async fn a_stream_in_flight_sees_not_serving_and_cannot_outlive_the_grace() {
    let running = serve(Duration::from_millis(200)).await;
    let mut health = HealthClient::new(channel(running.address));
    let mut watch = health
        .watch(tenant_service())
        .await
        .expect("answered")
        .into_inner();
    assert_eq!(
        watch.message().await.expect("ok").expect("one").status,
        ServingStatus::Serving as i32
    );

    let began = Instant::now();
    running.stop.cancel();
    assert_eq!(
        watch.message().await.expect("ok").expect("one").status,
        ServingStatus::NotServing as i32
    );
    let end = watch.message().await.expect_err("ended by the server");
    assert_eq!(
        (end.code(), end.message()),
        (Code::Unavailable, "the service is stopping")
    );
    running.server.await.expect("no panic").expect("no error");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "the stop took {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let running = serve(Duration::from_secs(1)).await;
    let request = Request::post("/rewind.v1.None/None")
        .header("content-type", "application/grpc")
        .body(Body::empty())
        .expect("valid");
    let uri = format!("http://{}/rewind.v1.None/None", running.address);
    let mut request = request;
    *request.uri_mut() = uri.parse().expect("valid");
    let response = channel(running.address)
        .oneshot(request)
        .await
        .expect("answered");
    let status = Status::from_header_map(response.headers()).expect("a status");
    assert_eq!(status.code(), Code::Unimplemented);
    running.stop.cancel();
    running.server.await.expect("no panic").expect("no error");
}

#[tokio::test]
async fn addresses_are_checked() {
    assert!(matches!(
        connect("https://localhost:1", None),
        Err(ConnectError::NoTls)
    ));
    assert!(matches!(
        connect("not a url", None),
        Err(ConnectError::Endpoint(_))
    ));
    let mut nobody = HealthClient::new(connect("http://127.0.0.1:1", None).expect("lazy"));
    assert_eq!(
        nobody
            .check(tenant_service())
            .await
            .expect_err("nobody there")
            .code(),
        Code::Unavailable
    );
}

/// Answers once it is told to.
#[derive(Clone, Default)]
struct Slow {
    entered: Arc<Notify>,
    answer: Arc<Notify>,
}

impl tonic::server::NamedService for Slow {
    const NAME: &'static str = "slow.Slow";
}

impl tower::Service<Request<Body>> for Slow {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let slow = self.clone();
        Box::pin(async move {
            slow.entered.notify_one();
            slow.answer.notified().await;
            Ok(Status::ok("answered").into_http())
        })
    }
}

async fn slow_call(grace: Duration, answer: Answer) -> Status {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let channel = channel(listener.local_addr().expect("bound"));
    let (slow, stop) = (Slow::default(), CancellationToken::new());
    let server = Server::new(Routes::new(slow.clone()), &[])
        .grace(grace)
        .run(listener, stop.clone());
    let server = tokio::spawn(server);
    let request = Request::post("/slow.Slow/Call").header("content-type", "application/grpc");
    let call = tokio::spawn(channel.oneshot(request.body(Body::empty()).expect("valid")));
    slow.entered.notified().await;
    stop.cancel();
    if answer == Answer::Given {
        slow.answer.notify_one();
    }
    let response = call.await.expect("no panic").expect("answered");
    server.await.expect("no panic").expect("no error");
    Status::from_header_map(response.headers()).expect("a status")
}

#[derive(PartialEq)]
enum Answer {
    Given,
    Withheld,
}

#[tokio::test]
async fn a_call_in_flight_has_its_grace_and_no_more() {
    assert_eq!(
        slow_call(Duration::from_secs(20), Answer::Given)
            .await
            .message(),
        "answered"
    );
    let ended = slow_call(Duration::from_millis(50), Answer::Withheld).await;
    assert_eq!(
        (ended.code(), ended.message()),
        (Code::Unavailable, "the service is stopping")
    );
}

/// A port that nobody has at the moment.
async fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("bound")
}

#[tokio::test]
async fn health_alone_is_answered_in_the_clear_until_the_end() {
    let (listener, probed) = (TcpListener::bind("127.0.0.1:0").await, free().await);
    let listener = listener.expect("a port");
    let stop = CancellationToken::new();
    let server = Server::new(Routes::default(), &["rewind.v1.TenantService"])
        .health(Some(probed))
        .grace(Duration::from_millis(200));
    let address = listener.local_addr().expect("bound");
    let running = tokio::spawn(server.run(listener, stop.clone()));

    // The port is open as soon as the service answers.
    let mut served = HealthClient::new(channel(address));
    served.check(tenant_service()).await.expect("answered");
    let mut health = HealthClient::new(channel(probed));
    let mut watch = health
        .watch(tenant_service())
        .await
        .expect("answered")
        .into_inner();
    let first = watch.message().await.expect("ok").expect("one");
    assert_eq!(first.status, ServingStatus::Serving as i32);
    let request = Request::post("/rewind.v1.TenantService/ListTenants")
        .header("content-type", "application/grpc")
        .body(Body::empty())
        .expect("a request");
    let other = channel(probed).oneshot(request).await.expect("answered");
    let status = Status::from_header_map(other.headers()).expect("a status");
    assert_eq!(status.code(), Code::Unimplemented);

    stop.cancel();
    let last = watch.message().await.expect("ok").expect("one");
    assert_eq!(last.status, ServingStatus::NotServing as i32);
    drop((watch, health, served));
    running.await.expect("no panic").expect("no error");
}

#[tokio::test]
async fn a_port_that_is_taken_for_health_ends_the_service() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("bound");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = Server::new(Routes::default(), &[]).health(Some(address));
    let error = server.run(listener, CancellationToken::new()).await;
    assert_eq!(
        error.expect_err("taken").to_string(),
        format!("health cannot be served at {address}")
    );
}

/// Calls a method that no service has, with these headers.
async fn asked(address: SocketAddr, headers: &HeaderMap) -> Code {
    let uri = format!("http://{address}/rewind.v1.None/None");
    let mut request = Request::post(uri).body(Body::empty()).expect("valid");
    request.headers_mut().extend(headers.clone());
    request
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    let response = channel(address).oneshot(request).await.expect("answered");
    let status = Status::from_header_map(response.headers()).expect("a status");
    status.code()
}

#[tokio::test]
async fn with_a_key_only_calls_that_somebody_vouches_for_are_taken() {
    use crate::caller::{Keys, Said, Signer};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let keys = |byte| {
        let secret = secrecy::SecretSlice::from(vec![byte; 32]);
        Keys::new(&[secret]).expect("long enough")
    };
    let clock: Arc<dyn crate::Clock> = Arc::new(crate::SystemClock);
    let server = Server::new(Routes::default(), &["rewind.v1.TenantService"])
        .callers(Some(Check::new(keys(1), Arc::clone(&clock))));
    let server = tokio::spawn(server.run(listener, stop.clone()));
    let signed = |byte| {
        let mut headers = HeaderMap::new();
        let said = Said {
            caller: "anna",
            path: "/rewind.v1.None/None",
            tenant: "",
        };
        Signer::new("gateway", Some(keys(byte)), Arc::clone(&clock)).write(&mut headers, said);
        headers
    };
    let forged = HeaderMap::from_iter([(
        http::HeaderName::from_static(crate::caller::HEADER),
        HeaderValue::from_static("anna"),
    )]);
    for (headers, expected) in [
        (signed(1), Code::Unimplemented),
        (signed(2), Code::Unauthenticated),
        (forged, Code::Unauthenticated),
        (HeaderMap::new(), Code::Unauthenticated),
    ] {
        assert_eq!(asked(address, &headers).await, expected, "{headers:?}");
    }
    let mut health = HealthClient::new(channel(address));
    health.check(tenant_service()).await.expect("open");
    stop.cancel();
    server.await.expect("no panic").expect("no error");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    use tokio::io::AsyncReadExt;
    let running = serve(Duration::ZERO).await;
    let mut connection = tokio::net::TcpStream::connect(running.address)
        .await
        .expect("accepted");
    let began = Instant::now();
    // What it says of its own accord is passed over.
    let mut said = Vec::new();
    let ended = connection.read_to_end(&mut said);
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    let _how = ended.expect("closed");
    assert!(began.elapsed() >= Duration::from_secs(10));
    running.stop.cancel();
    running.server.await.expect("no panic").expect("no error");
}

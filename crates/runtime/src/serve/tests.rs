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

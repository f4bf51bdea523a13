//! Measures what the gateway, with its audit, adds to a read: the same calls at the same
//! rate, once straight to a service and once through the gateway.
//!
//! ```sh
//! cargo run --release -p rewind-gateway --example latency -- 1000 30
//! ```
//!
//! The arguments are calls per second and seconds. Both ends are in this process, over
//! loopback; the store is in memory.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that ends by panicking measured nothing"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::{App, Backends, Config, Deps, Tenants, Token, Tokens};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::{GetSnapshotRequest, Role};
use runtime::config::Settings;
use runtime::{Server, SystemClock, SystemIds};
use secrecy::SecretString;
use store::{Kek, Vault};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Channel;

const TOKEN: &str = "a-token-of-no-value";
const TENANT: &str = "0a1b2c3d-0000-4000-8000-00000000000a";

/// A service that answers every call with an empty message.
async fn service(stop: &CancellationToken) -> Channel {
    let answer = || async {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let body = Full::new(Bytes::from_static(&[0; 5]))
            .with_trailers(std::future::ready(Some(Ok(trailers))));
        let response = Response::builder().header("content-type", "application/grpc");
        response.body(axum::body::Body::new(body)).unwrap()
    };
    let routes = Routes::from(axum::Router::new().fallback(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(routes, &[]).grace(Duration::ZERO);
    tokio::spawn(server.run(listener, stop.clone()));
    runtime::connect(&format!("http://{address}"), None).unwrap()
}

async fn gateway(behind: Channel, stop: &CancellationToken) -> Channel {
    let settings: BTreeMap<String, String> = [
        ("REWIND_STORE_URL", "memory:///"),
        ("REWIND_SNAPSHOTTER_URL", "http://127.0.0.1:1"),
        ("REWIND_DIFFER_URL", "http://127.0.0.1:1"),
        ("REWIND_RESTORER_URL", "http://127.0.0.1:1"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let config = Config::read(&Settings::load(&settings).unwrap()).unwrap();
    let kek = Arc::new(Kek::from_bytes([7; 32]));
    let vault = Vault::open("memory:///", &|_| None, kek).unwrap();
    let tenant = model::TenantId::parse(TENANT).unwrap();
    vault
        .create_tenant(&testkit::store::record(&tenant))
        .await
        .unwrap();
    let token = Token {
        token: SecretString::from(TOKEN),
        name: "ana".to_owned(),
        roles: [Role::Reader].into(),
        tenants: Tenants::All,
    };
    let deps = Deps {
        vault,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        backends: Backends {
            snapshotter: behind.clone().into(),
            differ: behind.clone().into(),
            restorer: behind.into(),
        },
        tokens: Tokens::new(vec![token]).unwrap(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = App::build(&config, deps, listener).unwrap();
    let channel = runtime::connect(&format!("http://{}", app.address()), None).unwrap();
    tokio::spawn(app.run(stop.clone()));
    channel
}

/// How long each call took, sorted.
async fn measured(channel: &Channel, rate: u64, seconds: u64) -> Vec<Duration> {
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    for _ in 0..rate * seconds {
        ticks.tick().await;
        let mut client = SnapshotServiceClient::new(channel.clone());
        let mut request = tonic::Request::new(GetSnapshotRequest {
            name: format!("tenants/{TENANT}/snapshots/20261128-daily"),
        });
        let token = format!("Bearer {TOKEN}").parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        calls.spawn(async move {
            let start = Instant::now();
            client.get_snapshot(request).await.unwrap();
            start.elapsed()
        });
    }
    let mut took = calls.join_all().await;
    took.sort_unstable();
    took
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().unwrap());
    let (rate, seconds) = (
        numbers.next().unwrap_or(1_000),
        numbers.next().unwrap_or(10),
    );
    let stop = CancellationToken::new();
    let direct = service(&stop).await;
    let through = gateway(direct.clone(), &stop).await;
    for channel in [&direct, &through] {
        measured(channel, rate, 1).await;
    }
    let direct = measured(&direct, rate, seconds).await;
    let through = measured(&through, rate, seconds).await;
    println!("{rate} calls/s for {seconds} s, in microseconds");
    println!("{:>12} {:>8} {:>8} {:>8}", "", "p50", "p99", "max");
    let at = |all: &[Duration], percent: usize| all[(all.len() - 1) * percent / 100].as_micros();
    for (name, all) in [("direct", &direct), ("gateway", &through)] {
        println!(
            "{name:>12} {:>8} {:>8} {:>8}",
            at(all, 50),
            at(all, 99),
            at(all, 100)
        );
    }
    stop.cancel();
}

//! What `cargo xtask bench gateway` runs: calls at a fixed rate, straight to a service and
//! through the gateway.
//!
//! ```text
//! calls SERVICE_URL GATEWAY_URL TOKEN_FILE KEY_FILE SNAPSHOT CALLS_A_SECOND SECONDS
//! ```
//! Calls begin by the clock whether or not earlier ones are answered, and are measured from
//! when they were to begin, so that one that is held up holds up those after it in the
//! figures, too. Prints one line of JSON; times are in microseconds.

#![expect(
    clippy::print_stdout,
    reason = "its result is a line on standard output"
)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proto::v1::GetSnapshotRequest;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use runtime::SystemClock;
use runtime::caller::{Keys, Said, Signer};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Request;
use tonic::transport::Channel;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The method that is called: it reads one document of the store.
const PATH: &str = "/rewind.v1.SnapshotService/GetSnapshot";
/// Calls before those that count, a second's worth at a time.
const WARM_UP: Duration = Duration::from_secs(3);

/// Who calls.
#[derive(Clone)]
enum Caller {
    /// The gateway's place, taken.
    Gateway(Signer),
    /// A person, with a token.
    Person(String),
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [service, gateway, token, key, snapshot, rate, seconds] = &arguments[..] else {
        return Err(
            "SERVICE_URL GATEWAY_URL TOKEN_FILE KEY_FILE SNAPSHOT CALLS_A_SECOND SECONDS".into(),
        );
    };
    let keys = Keys::load(Path::new(key))?;
    let signer = Signer::new("gateway", Some(keys), Arc::new(SystemClock));
    let token = std::fs::read_to_string(token)?.trim().to_owned();
    let (rate, seconds): (u32, u64) = (rate.parse()?, seconds.parse()?);
    let lasting = Duration::from_secs(seconds);
    let mut told = serde_json::Map::new();
    for (name, url, caller) in [
        ("straight", service, Caller::Gateway(signer)),
        ("through", gateway, Caller::Person(token)),
    ] {
        let channel = runtime::connect(url, None)?;
        measure(&channel, &caller, snapshot, rate, WARM_UP).await?;
        let times = measure(&channel, &caller, snapshot, rate, lasting).await?;
        told.insert(name.to_owned(), summary(times));
    }
    println!("{}", Value::Object(told));
    Ok(())
}

/// The time of each call, in microseconds.
async fn measure(
    channel: &Channel,
    caller: &Caller,
    snapshot: &str,
    rate: u32,
    lasting: Duration,
) -> Outcome<Vec<u64>> {
    let (start, pause) = (Instant::now(), Duration::from_secs(1) / rate);
    let mut calls = JoinSet::new();
    let mut times = Vec::new();
    let mut due = start;
    while due < start + lasting {
        tokio::time::sleep_until(due).await;
        let (mut client, request) = (
            SnapshotServiceClient::new(channel.clone()),
            request(caller, snapshot)?,
        );
        calls.spawn(async move {
            let answer = client.get_snapshot(request).await;
            answer.map(|_| u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX))
        });
        while let Some(ended) = calls.try_join_next() {
            times.push(ended??);
        }
        due += pause;
    }
    while let Some(ended) = calls.join_next().await {
        times.push(ended??);
    }
    Ok(times)
}

fn request(caller: &Caller, snapshot: &str) -> Outcome<Request<GetSnapshotRequest>> {
    let mut request = Request::new(GetSnapshotRequest {
        name: snapshot.to_owned(),
    });
    match caller {
        Caller::Person(token) => {
            let bearer = format!("Bearer {token}").parse()?;
            request.metadata_mut().insert("authorization", bearer);
        }
        Caller::Gateway(signer) => {
            let mut headers = http::HeaderMap::new();
            headers.insert("x-request-id", http::HeaderValue::from_static("bench"));
            let tenant = snapshot.split('/').nth(1).unwrap_or_default();
            let said = Said {
                caller: "bench",
                path: PATH,
                tenant,
            };
            signer.write(&mut headers, said);
            *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
        }
    }
    Ok(request)
}

fn summary(mut times: Vec<u64>) -> Value {
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 1_000).min(times.len() - 1));
    json!({
        "calls": times.len(),
        "p50": at(500),
        "p99": at(990),
        "p999": at(999),
        "most": times.last(),
    })
}

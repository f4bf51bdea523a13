//! A small Google Cloud Storage: what the vault's client uses of its XML API,
//! with conditional creates that hold.
//!
//! Files live in memory. Lists come in short pages, so that following them is
//! tested. It must never accept a create of a file that is there.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::{any, get};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::sample::moment;

/// How many entries a page of a list has.
const PAGE: usize = 7;
const CREATE_CONDITION: &str = "x-goog-if-generation-match";
const GENERATION: &str = "x-goog-generation";

/// What a bucket does with files that are overwritten or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// They are gone.
    Nothing,
    /// They stay readable as earlier generations.
    Generations,
    /// A retention policy refuses both.
    Everything,
}

/// The server; it ends when this is dropped.
#[derive(Debug)]
pub struct GoogleStore {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl GoogleStore {
    /// Serves on a free port of loopback; every bucket that is asked for exists.
    ///
    /// # Panics
    /// Where no port can be had.
    pub async fn start(keeps: Keeps) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let bucket = Arc::new(Bucket {
            keeps,
            files: Mutex::default(),
        });
        let routes = Router::new()
            .route("/{bucket}", get(list))
            .route("/{bucket}/{*key}", any(file))
            .layer(DefaultBodyLimit::disable())
            .with_state(bucket);
        let task = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("it serves");
        });
        Self { address, task }
    }

    /// The settings of a client, by the names of its environment variables.
    #[must_use]
    pub fn settings(&self) -> HashMap<String, String> {
        let key = r#"{"client_email": "vault@example.com", "private_key": "", "private_key_id": "", "disable_oauth": true}"#;
        HashMap::from([
            (
                "GOOGLE_BASE_URL".to_owned(),
                format!("http://{}", self.address),
            ),
            ("GOOGLE_SERVICE_ACCOUNT_KEY".to_owned(), key.to_owned()),
        ])
    }
}

impl Drop for GoogleStore {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Bucket {
    keeps: Keeps,
    files: Mutex<Files>,
}

#[derive(Default)]
struct Files {
    /// The last generation that was given.
    generation: u64,
    /// What there is, by bucket and key.
    live: BTreeMap<(String, String), (u64, Bytes)>,
    /// What there was.
    earlier: BTreeMap<(String, String, u64), Bytes>,
}

async fn file(
    State(bucket): State<Arc<Bucket>>,
    Path(name): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let mut files = bucket.files.lock();
    if method == Method::PUT && query.is_empty() {
        bucket.put(&mut files, name, &headers, body)
    } else if method == Method::DELETE {
        bucket.delete(&mut files, &name)
    } else if method == Method::GET || method == Method::HEAD {
        read(&files, &name, query.get("generation"), &headers, &method)
    } else {
        refusal(StatusCode::NOT_IMPLEMENTED, "NotImplemented")
    }
}

impl Bucket {
    fn put(
        &self,
        files: &mut Files,
        name: (String, String),
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response<Body> {
        let there = files.live.get(&name).map(|(generation, _)| *generation);
        if let Some(wanted) = headers.get(CREATE_CONDITION) {
            let wanted = wanted.to_str().ok().and_then(|text| text.parse().ok());
            if wanted != Some(there.unwrap_or(0)) {
                return refusal(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
            }
        }
        if there.is_some() {
            if self.keeps == Keeps::Everything {
                return refusal(StatusCode::FORBIDDEN, "RetentionPolicyNotMet");
            }
            self.retire(files, &name);
        }
        files.generation += 1;
        let generation = files.generation;
        let response = answer(StatusCode::OK, generation, &body);
        files.live.insert(name, (generation, body));
        response.body(Body::empty()).expect("a response")
    }

    fn delete(&self, files: &mut Files, name: &(String, String)) -> Response<Body> {
        if !files.live.contains_key(name) {
            return refusal(StatusCode::NOT_FOUND, "NoSuchKey");
        }
        if self.keeps == Keeps::Everything {
            return refusal(StatusCode::FORBIDDEN, "RetentionPolicyNotMet");
        }
        self.retire(files, name);
        let response = Response::builder().status(StatusCode::NO_CONTENT);
        response.body(Body::empty()).expect("a response")
    }

    fn retire(&self, files: &mut Files, name: &(String, String)) {
        if let Some((generation, content)) = files.live.remove(name)
            && self.keeps == Keeps::Generations
        {
            let (bucket, key) = name.clone();
            files.earlier.insert((bucket, key, generation), content);
        }
    }
}

fn read(
    files: &Files,
    name: &(String, String),
    wanted: Option<&String>,
    headers: &HeaderMap,
    method: &Method,
) -> Response<Body> {
    let live = files.live.get(name).cloned();
    let found = match wanted.map(|text| text.parse::<u64>()) {
        None => live,
        Some(Err(_)) => None,
        Some(Ok(wanted)) => live
            .filter(|(generation, _)| *generation == wanted)
            .or_else(|| {
                let (bucket, key) = name.clone();
                let content = files.earlier.get(&(bucket, key, wanted))?;
                Some((wanted, content.clone()))
            }),
    };
    let Some((generation, content)) = found else {
        return refusal(StatusCode::NOT_FOUND, "NoSuchKey");
    };
    let (status, part, range) = match headers.get(header::RANGE) {
        None => (StatusCode::OK, content.clone(), None),
        Some(range) => match part_of(range, content.len()) {
            Some((from, to)) => (
                StatusCode::PARTIAL_CONTENT,
                content.slice(from..to),
                Some(format!("bytes {from}-{}/{}", to - 1, content.len())),
            ),
            None => return refusal(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
        },
    };
    let mut response =
        answer(status, generation, &content).header(header::CONTENT_LENGTH, part.len());
    if let Some(range) = range {
        response = response.header(header::CONTENT_RANGE, range);
    }
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        Body::from(part)
    };
    response.body(body).expect("a response")
}

/// The bytes that `bytes=from-to`, `bytes=from-` or `bytes=-count` names.
fn part_of(range: &HeaderValue, length: usize) -> Option<(usize, usize)> {
    let (from, to) = range
        .to_str()
        .ok()?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    let (from, to) = match (from, to) {
        ("", count) => (length.saturating_sub(count.parse().ok()?), length),
        (from, "") => (from.parse().ok()?, length),
        (from, to) => (
            from.parse().ok()?,
            length.min(to.parse::<usize>().ok()? + 1),
        ),
    };
    (from < to).then_some((from, to))
}

async fn list(
    State(bucket): State<Arc<Bucket>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response<Body> {
    let asked = |key: &str| query.get(key).map(String::as_str).unwrap_or_default();
    let (prefix, delimiter) = (asked("prefix"), asked("delimiter"));
    let after = asked("start-after").max(asked("continuation-token"));
    let files = bucket.files.lock();
    // A folder is one entry, named with its delimiter.
    let mut entries: BTreeMap<String, Option<(u64, usize)>> = BTreeMap::new();
    for ((_, key), (generation, content)) in
        files.live.iter().filter(|((bucket, _), _)| *bucket == name)
    {
        let Some(rest) = key.strip_prefix(prefix) else {
            continue;
        };
        let folder = (!delimiter.is_empty())
            .then(|| rest.split_once(delimiter))
            .flatten()
            .map(|(folder, _)| format!("{prefix}{folder}{delimiter}"));
        match folder {
            Some(folder) => entries.insert(folder, None),
            None => entries.insert(key.clone(), Some((*generation, content.len()))),
        };
    }
    entries.retain(|entry, _| after.is_empty() || entry.as_str() > after);
    let more = entries.len() > PAGE;
    let mut page = String::new();
    let mut last = String::new();
    for (entry, file) in entries.into_iter().take(PAGE) {
        let escaped = escape(&entry);
        match file {
            None => page.push_str(&format!("<CommonPrefixes><Prefix>{escaped}</Prefix></CommonPrefixes>")),
            Some((generation, size)) => page.push_str(&format!(
                "<Contents><Key>{escaped}</Key><Size>{size}</Size><LastModified>{}</LastModified><ETag>\"{generation}\"</ETag></Contents>",
                moment(0).to_rfc3339(),
            )),
        }
        last = entry;
    }
    if more {
        page.push_str(&format!(
            "<NextContinuationToken>{}</NextContinuationToken>",
            escape(&last)
        ));
    }
    let body = format!("<?xml version=\"1.0\"?><ListBucketResult>{page}</ListBucketResult>");
    Response::new(Body::from(body))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The head of an answer about a file.
fn answer(status: StatusCode, generation: u64, content: &Bytes) -> axum::http::response::Builder {
    let tag = blake3::hash(content).to_hex();
    Response::builder()
        .status(status)
        .header(header::ETAG, format!("\"{generation}-{}\"", &tag[..16]))
        .header(header::LAST_MODIFIED, moment(0).to_rfc2822())
        .header(GENERATION, generation)
}

fn refusal(status: StatusCode, code: &str) -> Response<Body> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    let response = Response::builder().status(status);
    response.body(Body::from(body)).expect("a response")
}

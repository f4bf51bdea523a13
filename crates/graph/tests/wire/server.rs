//! A small server that answers as each test says, and remembers what it was asked.
//!
//! Time stands still, except that it jumps where the client would wait.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use graph::{Connections, Credential, Endpoint, GraphReader, GraphWriter, Settings};
use model::TenantId;
use serde_json::{Value, json};
use tokio::time::Instant;

/// One request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query below the version root; `login` for the token endpoint.
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An answer.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

pub(crate) fn reply(status: u16, body: Value) -> Reply {
    text(status, &body.to_string())
}

pub(crate) fn text(status: u16, body: &str) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: body.to_owned(),
    }
}

impl Reply {
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

type Script = Box<dyn Fn(&Seen, usize) -> Reply + Send + Sync>;

/// The server.
pub(crate) struct Server {
    port: u16,
    shared: Arc<Shared>,
    pub(crate) waits: Arc<Mutex<Vec<Duration>>>,
}

struct Shared {
    script: Script,
    login: Script,
    seen: Mutex<Vec<Seen>>,
}

/// Gives `token-1`, `token-2` and so on.
fn tokens(_: &Seen, number: usize) -> Reply {
    reply(
        200,
        json!({"token_type": "Bearer", "expires_in": 3599, "access_token": format!("token-{number}")}),
    )
}

impl Server {
    /// Answers request n (from 1) below the version root as the script says.
    pub(crate) async fn start(
        script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with_login(tokens, script).await
    }

    pub(crate) async fn with_login(
        login: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
        script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            script: Box::new(script),
            login: Box::new(login),
            seen: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            port,
            shared,
            waits: Arc::default(),
        }
    }

    /// The version root.
    pub(crate) fn root(&self) -> String {
        format!("http://127.0.0.1:{}/v1.0", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn reader(&self) -> GraphReader {
        GraphReader::new(&endpoint(self.port), secret(), self.settings())
    }

    pub(crate) fn writer(&self) -> GraphWriter {
        GraphWriter::new(&endpoint(self.port), secret(), self.settings())
    }

    /// What arrived below the version root.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared
            .seen
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| seen.url != "login")
            .cloned()
            .collect()
    }

    /// What arrived at the token endpoint.
    pub(crate) fn logins(&self) -> Vec<Seen> {
        self.shared
            .seen
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| seen.url == "login")
            .cloned()
            .collect()
    }

    pub(crate) fn waited(&self) -> Vec<f64> {
        self.waits
            .lock()
            .unwrap()
            .iter()
            .map(Duration::as_secs_f64)
            .collect()
    }

    pub(crate) fn settings(&self) -> Settings {
        settings(Arc::clone(&self.waits))
    }
}

/// Settings that record the waits and let time jump in place of waiting.
pub(crate) fn settings(waits: Arc<Mutex<Vec<Duration>>>) -> Settings {
    stop_time();
    let connections = Connections::new().unwrap();
    let ids = Arc::new(|| uuid::Uuid::from_u128(7));
    let now = Arc::new(|| chrono::DateTime::UNIX_EPOCH);
    let mut settings = Settings::new(connections, ids, now);
    settings.sleep = Arc::new(move |wait| {
        waits.lock().unwrap().push(wait);
        let until = Instant::now() + wait;
        // Of two that wait for the same moment, the first takes the other along.
        Box::pin(async move { tokio::time::advance(until - Instant::now()).await })
    });
    settings
}

/// Stops the time of this runtime, once.
fn stop_time() {
    thread_local!(static STOPPED: Cell<Option<tokio::runtime::Id>> = const { Cell::new(None) });
    let runtime = Some(tokio::runtime::Handle::current().id());
    if STOPPED.replace(runtime) == runtime {
        return;
    }
    tokio::time::pause();
    // Stopped time runs ahead to the next timer whenever all tasks wait, and
    // here they wait for sockets. It does not while a blocking task runs. That
    // ends with the runtime, which drops the sender.
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || receiver.recv());
    tokio::spawn(async move {
        let _sender = sender;
        std::future::pending::<()>().await;
    });
}

pub(crate) const SECRET: &str = "very~secret~value";

pub(crate) fn secret() -> Credential {
    Credential::secret(SECRET.into())
}

pub(crate) fn endpoint(port: u16) -> Endpoint {
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}").parse().unwrap();
    Endpoint {
        graph_url: url("/v1.0"),
        login_url: url("/login"),
        tenant: TenantId::parse("00000000-0000-0000-0000-00000000000a").unwrap(),
        client_id: "the-application".to_owned(),
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let url = parts.uri.path_and_query().unwrap().as_str();
    let login = url == "/login/00000000-0000-0000-0000-00000000000a/oauth2/v2.0/token";
    let url = if login {
        "login"
    } else {
        url.strip_prefix("/v1.0").unwrap_or(url)
    };
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    let seen = Seen {
        method: parts.method.to_string(),
        url: url.to_owned(),
        headers: parts.headers,
        body,
    };
    let number = {
        let mut all = shared.seen.lock().unwrap();
        all.push(seen.clone());
        all.iter()
            .filter(|other| (other.url == "login") == login)
            .count()
    };
    let reply = if login {
        (shared.login)(&seen, number)
    } else {
        (shared.script)(&seen, number)
    };
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        builder = builder.header(name, value);
    }
    builder.body(Body::from(reply.body)).unwrap()
}

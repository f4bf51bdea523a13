//! The wire: login, routing, reading, batching and the shapes of answers.
//!
//! Handlers here read the directory and hand writes to [`crate::write`]; they never change state
//! on their own.

pub(crate) mod admit;
pub(crate) mod audits;
pub(crate) mod batch;
pub(crate) mod bin;
pub(crate) mod cost;
pub(crate) mod delta;
pub(crate) mod documents;
pub(crate) mod links;
pub(crate) mod permission;
pub(crate) mod reads;
pub(crate) mod relations;
pub(crate) mod reply;
pub(crate) mod route;
pub(crate) mod server;
pub(crate) mod singletons;
pub(crate) mod strengths;
pub(crate) mod token;
pub(crate) mod view;

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::{Map, Value};

use reply::GraphError;

/// One Graph request, whether it came alone or inside a batch.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub method: String,
    /// Path segments below `/v1.0`, decoded.
    pub segments: Vec<String>,
    /// The path below `/v1.0` as sent, for next links.
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Scheme and host that the caller used.
    pub base: String,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn is_eventual(&self) -> bool {
        self.header("consistencylevel")
            .is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
    }

    pub(crate) fn prefers(&self, preference: &str) -> bool {
        self.header("prefer")
            .is_some_and(|prefer| prefer.to_lowercase().contains(preference))
    }

    pub(crate) fn is_get(&self) -> bool {
        self.method == "GET"
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// 400 when it is absent or anything else.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, GraphError> {
        if self.body.is_empty() {
            return Err(GraphError::bad(
                "BadRequest",
                "Empty Payload. JSON content expected.",
            ));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(map)) => Ok(map),
            _ => Err(GraphError::bad(
                "BadRequest",
                "Unable to read JSON request payload. Please ensure Content-Type header is set \
                 and payload is of valid JSON format.",
            )),
        }
    }

    pub(crate) fn context(&self, what: &str) -> String {
        format!("{}/v1.0/$metadata#{what}", self.base)
    }
}

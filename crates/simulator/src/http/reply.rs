//! Answers and errors in the shapes that the emulated service uses.

use bytes::Bytes;
use serde_json::{Value, json};

/// A finished answer, before the common headers are added.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub body: Bytes,
    pub headers: Vec<(&'static str, String)>,
    /// What the request costs in resource units.
    pub cost: u32,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::raw(status, body.to_string().into_bytes())
    }

    pub(crate) fn raw(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body: body.into(),
            headers: Vec::new(),
            cost: 1,
        }
    }

    pub(crate) fn no_content() -> Self {
        Self::raw(204, Vec::new())
    }

    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// An error answer.
#[derive(Clone, Debug)]
pub(crate) struct GraphError {
    pub status: u16,
    pub code: String,
    pub message: String,
    pub headers: Vec<(&'static str, String)>,
    pub details: Vec<Value>,
}

impl GraphError {
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            headers: Vec::new(),
            details: Vec::new(),
        }
    }

    pub(crate) fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// The directory's usual refusal of a body.
    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self::new(400, "Request_BadRequest", message)
    }

    /// A Conditional Access refusal: the reason's number leads the message.
    pub(crate) fn policy(number: u32, message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", format!("{number}: {}", message.into()))
    }

    pub(crate) fn not_found(id: &str) -> Self {
        Self::new(
            404,
            "Request_ResourceNotFound",
            format!(
                "Resource '{id}' does not exist or one of its queried reference-property objects \
                 are not present."
            ),
        )
    }

    pub(crate) fn denied() -> Self {
        Self::new(
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )
    }

    pub(crate) fn no_segment(segment: &str) -> Self {
        Self::bad(
            "BadRequest",
            format!("Resource not found for the segment '{segment}'."),
        )
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            405,
            "Request_BadRequest",
            "Specified HTTP method is not allowed for the request target.",
        )
    }

    pub(crate) fn throttled(retry_after: Option<String>) -> Self {
        let mut error = Self::new(429, "TooManyRequests", "Too many requests.");
        if let Some(seconds) = retry_after {
            error.headers.push(("Retry-After", seconds));
        }
        error
    }

    pub(crate) fn into_reply(self, date: &str, request_id: &str, client_id: &str) -> Reply {
        let mut error = json!({
            "code": self.code,
            "message": self.message,
            "innerError": {
                "date": date,
                "request-id": request_id,
                "client-request-id": client_id,
            },
        });
        if !self.details.is_empty() {
            error["details"] = Value::Array(self.details);
        }
        let mut reply = Reply::json(self.status, &json!({ "error": error }));
        reply.headers = self.headers;
        reply
    }
}

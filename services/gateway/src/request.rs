//! A request as it arrives and as it is passed on.
//!
//! Owns the limits of a request, the frame around its message, its id, and
//! which headers go on: neither the caller's token nor an `x-rewind-` header of
//! the caller's making.

use crate::auth::Caller;
use crate::deadline;
use crate::error::GatewayError;
use axum::body::Body as Incoming;
use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, BodyStream, Full, Limited, StreamBody};
use runtime::Ids;
use runtime::caller::{Said, Signer};
use std::sync::Arc;
use std::time::Duration;
use tonic::body::Body;

/// The largest request message.
const MAX_REQUEST: usize = 4 * 1024 * 1024;
/// What stands before a message: the compression flag and the length.
const FRAME: usize = 5;
/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);
/// The headers that are passed on beside those that the gateway sets itself.
const PASSED_ON: [&str; 4] = [
    "grpc-timeout",
    "grpc-accept-encoding",
    "traceparent",
    "tracestate",
];

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Who calls and under which id; what handlers inside the gateway find in the
/// request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct Passage {
    /// The caller, with only what counts for the roles of the method.
    pub(crate) caller: Arc<Caller>,
    /// The caller with everything that they may do.
    pub(crate) whole: Arc<Caller>,
    /// The call's id.
    pub(crate) request_id: HeaderValue,
    /// Vouches for the caller.
    pub(crate) signer: Signer,
}

impl Passage {
    /// Writes what a service behind is told, signed for a method and a tenant.
    pub(crate) fn write(&self, headers: &mut HeaderMap, path: &str, tenant: &str) {
        headers.insert(REQUEST_ID, self.request_id.clone());
        let said = Said {
            caller: &self.caller.name,
            path,
            tenant,
        };
        self.signer.write(headers, said);
    }
}

/// Whether the request is gRPC with protobuf messages.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        matches!(
            value.as_bytes(),
            b"application/grpc" | b"application/grpc+proto"
        )
    })
}

/// The caller's id for the call where it is fit to be logged, else a fresh one.
pub(crate) fn request_id(headers: &HeaderMap, ids: &dyn Ids) -> HeaderValue {
    let fits = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        (1..=64).contains(&bytes.len())
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let fresh = || {
        HeaderValue::from_str(&ids.uuid().to_string())
            .expect("invariant: a UUID is fit for a header")
    };
    headers
        .get(REQUEST_ID)
        .filter(|value| fits(value))
        .cloned()
        .unwrap_or_else(fresh)
}

/// The whole body of a request.
pub(crate) async fn arrive(body: Incoming) -> Result<Bytes, GatewayError> {
    let collect = Limited::new(body, MAX_REQUEST + FRAME).collect();
    match tokio::time::timeout(ARRIVAL, collect).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(GatewayError::Malformed("the request is larger than 4 MiB"))
        }
        Ok(Err(_)) => Err(GatewayError::Malformed("the request broke off")),
        Err(_) => Err(GatewayError::Malformed(
            "the request took too long to arrive",
        )),
    }
}

/// The body of a request over plain HTTP: one that is too large or too slow breaks off.
pub(crate) fn arriving(body: Incoming, largest: usize) -> Incoming {
    let until = tokio::time::Instant::now() + ARRIVAL;
    let frames = BodyStream::new(Limited::new(body, largest));
    let frames = futures::stream::unfold(Some(frames), move |frames| async move {
        let mut frames = frames?;
        match tokio::time::timeout_at(until, frames.next()).await {
            Ok(Some(Ok(frame))) => Some((Ok(frame), Some(frames))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(None) => None,
            Err(elapsed) => Some((Err(elapsed.into()), None)),
        }
    });
    Incoming::new(StreamBody::new(frames))
}

/// The one message of a unary request.
pub(crate) fn message(bytes: &[u8]) -> Result<&[u8], GatewayError> {
    let Some((&[flag, a, b, c, d], message)) = bytes.split_first_chunk::<FRAME>() else {
        return Err(GatewayError::Malformed("the request holds no message"));
    };
    if flag != 0 {
        return Err(GatewayError::Malformed("compressed requests are not taken"));
    }
    if usize::try_from(u32::from_be_bytes([a, b, c, d])) != Ok(message.len()) {
        return Err(GatewayError::Malformed(
            "the request does not hold exactly one message",
        ));
    }
    Ok(message)
}

/// The request as a service behind receives it.
pub(crate) fn onward(
    path: &str,
    from: &HeaderMap,
    bytes: Bytes,
    (tenant, deadline): (&str, Option<Duration>),
    passage: Passage,
) -> Request<Body> {
    let mut request = Request::new(Body::new(Full::new(bytes)));
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = path.parse().expect("invariant: the path is in the table");
    let headers = request.headers_mut();
    for name in PASSED_ON {
        if let Some(value) = from.get(name) {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if let Some(deadline) = deadline {
        headers.insert(deadline::HEADER, deadline::value(deadline));
    }
    passage.write(headers, path, tenant);
    request.extensions_mut().insert(passage);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_protobuf_is_taken() {
        let takes = |text: &'static str| {
            is_grpc(&HeaderMap::from_iter([(
                CONTENT_TYPE,
                HeaderValue::from_static(text),
            )]))
        };
        assert!(takes("application/grpc") && takes("application/grpc+proto"));
        assert!(
            !takes("application/grpc-web")
                && !takes("application/json")
                && !is_grpc(&HeaderMap::new())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_over_http_is_neither_slow_nor_large() {
        let bytes = |body: Incoming| async { body.collect().await.map(|it| it.to_bytes()) };
        let small = arriving(Incoming::from("hello"), 5);
        assert_eq!(bytes(small).await.expect("whole"), "hello");
        let large = arriving(Incoming::from("hello!"), 5);
        assert!(bytes(large).await.is_err());
        let began = tokio::time::Instant::now();
        let ticks = tokio::time::interval(ARRIVAL / 4);
        let drops = futures::stream::unfold(ticks, |mut ticks| async {
            ticks.tick().await;
            Some((Ok::<_, std::io::Error>("x"), ticks))
        });
        let slow = arriving(Incoming::from_stream(drops), 50);
        assert!(bytes(slow).await.is_err());
        assert_eq!(began.elapsed(), ARRIVAL);
    }
}

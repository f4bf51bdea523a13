//! The outside of answers: headers, and the links in them.
//!
//! Owns on which address a client finds this API: links are made on the address that
//! the client itself called, so that they lead it back whatever stands in between.

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
const JSON: &str = "application/json;odata.metadata=minimal;odata.streaming=true;\
                    IEEE754Compatible=false;charset=utf-8";

/// The ids under which a request is known here and to its client.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// Ours.
    pub(super) request_id: String,
    /// What the client sent, where it is fit to be repeated.
    client: Option<String>,
}

impl Trace {
    /// Reads what the client sent.
    pub(super) fn new(request_id: String, headers: &HeaderMap) -> Self {
        let fits = |text: &&str| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let client = headers.get(CLIENT_REQUEST_ID);
        let client = client.and_then(|value| value.to_str().ok()).filter(fits);
        Self {
            request_id,
            client: client.map(str::to_owned),
        }
    }

    /// The client's id for the request, else ours.
    pub(super) fn client_request_id(&self) -> &str {
        self.client.as_deref().unwrap_or(&self.request_id)
    }
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: &Value, trace: &Trace) -> Response<Body> {
    with_body(status, JSON, body.to_string(), trace)
}

/// A number alone, as `$count` answers it.
pub(super) fn number(number: usize, trace: &Trace) -> Response<Body> {
    with_body(StatusCode::OK, "text/plain", number.to_string(), trace)
}

/// That something goes on at another place.
pub(super) fn accepted(location: &str, body: Option<&Value>, trace: &Trace) -> Response<Body> {
    let mut response = match body {
        Some(body) => json(StatusCode::ACCEPTED, body, trace),
        None => with_body(StatusCode::ACCEPTED, JSON, String::new(), trace),
    };
    if body.is_none() {
        response.headers_mut().remove(CONTENT_TYPE);
    }
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn with_body(
    status: StatusCode,
    kind: &'static str,
    body: String,
    trace: &Trace,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // What is in a tenant is nobody's to keep on the way.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ODATA_VERSION, HeaderValue::from_static("4.0"));
    for (name, value) in [
        (REQUEST_ID, trace.request_id.as_str()),
        (CLIENT_REQUEST_ID, trace.client_request_id()),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// How the client called this server: `https://host:port`, or nothing where it did not
/// say, so that links are paths.
pub(super) fn origin(parts: &Parts, tls: bool) -> String {
    let text = |name: HeaderName| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let host = parts.uri.authority().cloned();
    let host = host.or_else(|| text(HOST)?.parse::<Authority>().ok());
    let Some(host) = host else {
        return String::new();
    };
    // Whoever ends TLS on the way says so.
    let told = text(HeaderName::from_static("x-forwarded-proto"));
    let scheme = match told {
        Some("https") => "https",
        Some("http") => "http",
        _ if tls => "https",
        _ => "http",
    };
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn links_lead_back_the_way_the_client_came() {
        let check = |uri: &str, headers: &[(&'static str, &str)], tls: bool, expected: &str| {
            let mut request = Request::get(uri);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).expect("valid").into_parts();
            assert_eq!(origin(&parts, tls), expected, "{uri} {headers:?}");
        };
        check(
            "/a",
            &[("host", "rewind.example:8443")],
            true,
            "https://rewind.example:8443",
        );
        check(
            "/a",
            &[("host", "127.0.0.1:1")],
            false,
            "http://127.0.0.1:1",
        );
        check("http://h2.example/a", &[], false, "http://h2.example");
        let proxied = [("host", "rewind.example"), ("x-forwarded-proto", "https")];
        check("/a", &proxied, false, "https://rewind.example");
        check(
            "/a",
            &[("host", "h"), ("x-forwarded-proto", "gopher")],
            false,
            "http://h",
        );
        check("/a", &[("host", "not a host")], false, "");
        check("/a", &[], true, "");
    }

    #[test]
    fn only_an_id_that_is_one_is_repeated() {
        let told = |value: &'static str| {
            let headers =
                HeaderMap::from_iter([(CLIENT_REQUEST_ID, HeaderValue::from_static(value))]);
            Trace::new("ours".to_owned(), &headers)
                .client_request_id()
                .to_owned()
        };
        assert_eq!(told("7f0c-4A"), "7f0c-4A");
        assert_eq!(told("<script>"), "ours");
        assert_eq!(told(""), "ours");
    }
}

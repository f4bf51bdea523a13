//! What a form brings.
//!
//! Owns the checks that a form was sent from a page of this console, by whoever is signed
//! in: where the browser says that it comes from, and the word that only pages of the
//! session know.

use super::Shared;
use super::error::PageError;
use super::session::Session;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Uri};
use http_body_util::{BodyExt, Limited};
use std::time::Duration;
use url::{Url, form_urlencoded};

/// The largest form.
const LARGEST: usize = 1024 * 1024;
/// How long a form may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);
/// The hidden field that only pages of the session know.
pub(super) const CSRF: &str = "csrf";
/// The hidden field that makes sending a form twice harmless.
pub(super) const REQUEST_ID: &str = "request_id";

/// The fields of a form that passed the checks. The last argument of a handler.
#[derive(Debug)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// A field without the white space around it; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.values(name).next().unwrap_or_default()
    }

    /// A field where it is there and not empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Every value of a field, such as of check boxes of one name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.values(name).map(str::to_owned).collect()
    }

    /// Whether a check box is set.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The id that makes sending the form twice harmless, for the request's `request_id`.
    pub(crate) fn request_id(&self) -> String {
        self.text(REQUEST_ID).to_owned()
    }

    /// A form of a test.
    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self(pairs.iter().map(owned).collect())
    }

    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.trim())
    }
}

impl FromRequest<Shared> for Form {
    type Rejection = Response;

    /// # Errors
    /// Whoever is not signed in is sent to sign in; a form from elsewhere is refused.
    async fn from_request(request: Request, console: &Shared) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, console).await?;
        let form = read(&parts.headers, &parts.uri, body).await;
        let form = form.map_err(IntoResponse::into_response)?;
        let (given, known) = (form.text(CSRF).as_bytes(), session.csrf.as_bytes());
        // Digests compare in constant time.
        if blake3::hash(given) != blake3::hash(known) {
            return Err(PageError::foreign_form().into_response());
        }
        Ok(form)
    }
}

/// Reads a form that was sent from a page of this server.
///
/// # Errors
/// Where it comes from elsewhere, or is no form.
pub(super) async fn read(headers: &HeaderMap, uri: &Uri, body: Body) -> Result<Form, PageError> {
    if !is_from_here(headers, uri) {
        return Err(PageError::foreign_form());
    }
    let is_form = headers.get(CONTENT_TYPE).is_some_and(|it| {
        it.as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    if !is_form {
        return Err(PageError::unreadable_form());
    }
    let collect = Limited::new(body, LARGEST).collect();
    let collected = tokio::time::timeout(ARRIVAL, collect).await;
    let bytes = match collected {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(_)) | Err(_) => return Err(PageError::unreadable_form()),
    };
    Ok(Form(form_urlencoded::parse(&bytes).into_owned().collect()))
}

/// Whether the browser says that the request comes from a page of this server. A request
/// that says nothing comes from no browser of today, and is not taken.
///
/// Facts: Fetch Metadata Request Headers (W3C), "Sec-Fetch-Site"; the Fetch standard,
/// "`Origin` header": a browser adds it to every POST.
fn is_from_here(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return false;
    }
    let host = uri.authority().map(|it| it.as_str());
    let host = host.or_else(|| text(HOST.as_str()));
    let Some(origin) = text(ORIGIN.as_str()) else {
        return text("sec-fetch-site") == Some("same-origin");
    };
    let (Ok(origin), Some(host)) = (Url::parse(origin), host) else {
        return false;
    };
    // The scheme may differ where TLS ends before this server; the host does not.
    let here = Url::parse(&format!("{}://{host}", origin.scheme()));
    here.is_ok_and(|here| {
        here.host_str().is_some()
            && here.host_str() == origin.host_str()
            && here.port_or_known_default() == origin.port_or_known_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<http::HeaderName>().expect("a name"),
                    value.parse().expect("a value"),
                )
            })
            .collect()
    }

    #[test]
    fn only_pages_of_the_same_host_and_port_send_forms() {
        let table: [(&[(&str, &str)], bool); 13] = [
            (&[("host", "a:8443"), ("origin", "http://a:8443")], true),
            (&[("host", "a"), ("origin", "https://a")], true),
            (&[("host", "a:443"), ("origin", "https://a")], true),
            (&[("host", "a"), ("sec-fetch-site", "same-origin")], true),
            (
                &[
                    ("host", "a"),
                    ("origin", "https://a"),
                    ("sec-fetch-site", "none"),
                ],
                true,
            ),
            (&[("host", "a"), ("origin", "https://a:8443")], false),
            (&[("host", "a"), ("origin", "https://b")], false),
            (&[("host", "a"), ("origin", "https://a.b")], false),
            (&[("host", "a"), ("origin", "null")], false),
            (
                &[
                    ("host", "a"),
                    ("origin", "https://a"),
                    ("sec-fetch-site", "cross-site"),
                ],
                false,
            ),
            (&[("host", "a"), ("sec-fetch-site", "same-site")], false),
            (&[("host", "a"), ("sec-fetch-site", "none")], false),
            (&[("host", "a")], false),
        ];
        for (pairs, expected) in table {
            let from_here = is_from_here(&headers(pairs), &Uri::from_static("/x"));
            assert_eq!(from_here, expected, "{pairs:?}");
        }
        let http2 = Uri::from_static("https://a/x");
        assert!(is_from_here(&headers(&[("origin", "https://a")]), &http2));
        assert!(!is_from_here(&headers(&[("origin", "https://b")]), &http2));
    }

    #[test]
    fn fields_are_read_by_name() {
        let form = Form::of(&[
            ("type", "user"),
            ("type", " group "),
            ("empty", "  "),
            ("reason", " why "),
        ]);
        assert_eq!(form.text("reason"), "why");
        assert_eq!(form.all("type"), ["user", "group"]);
        assert_eq!((form.given("empty"), form.given("absent")), (None, None));
        assert!(form.is_set("empty") && !form.is_set("absent"));
    }
}

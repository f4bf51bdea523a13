//! What holds for every page.
//!
//! Owns the cookie of the session on its way in and out, and the headers that keep pages
//! from being stored, framed, or made to run what was not served here.

use super::session::{self, Place, Session};
use super::{Console, Shared, Transport, error};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write;

/// The longest value of one cookie: browsers keep 4,096 bytes with name and attributes.
const PIECE: usize = 3500;
/// How many cookies a session may take: tokens of identity providers are long.
const PIECES: usize = 4;

/// Set by the script where it fetches a part of a page that is open already.
pub(super) const FRAGMENT: HeaderName = HeaderName::from_static("x-fragment");

/// What browsers are told with every page.
const TOLD: [(HeaderName, &str); 7] = [
    (
        http::header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (http::header::X_FRAME_OPTIONS, "DENY"),
    // Within the server the address is told, so that forms know where they come from.
    (http::header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
];

/// Stands around every page.
pub(super) async fn watch(
    State(console): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let arrived = match read(&console, request.headers()) {
        Some(cookie) => session::resume(&console, &cookie).await,
        None => Ok(None),
    };
    let (session, renewed, trouble) = match arrived {
        Ok(Some(arrived)) => (Some(arrived.session), arrived.renewed, None),
        Ok(None) => (None, None, None),
        // Whoever has a session is not sent to sign in again for what passes.
        Err(error) => (None, None, Some(error)),
    };
    if let Some(session) = &session {
        request.extensions_mut().insert::<Session>(session.clone());
    }
    let place = Place::default();
    request.extensions_mut().insert(place.clone());
    // What a page fetches by itself is no sign of somebody in front of it.
    let by_itself = request.headers().contains_key(FRAGMENT);
    let response = match trouble {
        None => next.run(request).await,
        Some(error) => error.into_response(),
    };
    let mut response = error::dress(response, session, place.tenant());
    let headers = response.headers_mut();
    if let Some(cookie) = renewed.filter(|_| !by_itself && !headers.contains_key(SET_COOKIE)) {
        write(&console, headers, &cookie);
    }
    for (name, value) in TOLD {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if console.transport == Transport::Tls {
        headers.insert(
            http::header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}

/// The name of a piece of the session's cookie. With `__Host-`, a browser takes it only
/// over TLS, from this host itself, for all its paths.
fn name(console: &Console, piece: usize) -> String {
    let mut name = cookie_name(console, "rewind-session");
    if piece > 0 {
        let _ = write!(name, "-{piece}");
    }
    name
}

/// The name of a cookie of this console.
pub(super) fn cookie_name(console: &Console, name: &str) -> String {
    match console.transport {
        Transport::Plain => name.to_owned(),
        Transport::Tls => format!("__Host-{name}"),
    }
}

/// A cookie that a request came with.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .next()
}

/// Adds a cookie to an answer; none of its parts comes from outside. Without an age it
/// lasts as long as the browser runs.
pub(super) fn set_cookie(
    console: &Console,
    headers: &mut HeaderMap,
    name: &str,
    value: &str,
    max_age: Option<u32>,
) {
    let mut text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
    if let Some(seconds) = max_age {
        let _ = write!(text, "; Max-Age={seconds}");
    }
    if console.transport == Transport::Tls {
        text.push_str("; Secure");
    }
    let value = HeaderValue::try_from(text).expect("invariant: sealed text is of ASCII letters");
    headers.append(SET_COOKIE, value);
}

/// The session's cookie, of all its pieces.
fn read(console: &Console, headers: &HeaderMap) -> Option<String> {
    let pieces = (0..PIECES).map_while(|n| cookie(headers, &name(console, n)));
    let whole: String = pieces.collect();
    (!whole.is_empty()).then_some(whole)
}

/// Gives the browser the session's cookie; an empty one takes it away.
///
/// Answers whether it fits.
pub(super) fn write(console: &Console, headers: &mut HeaderMap, cookie: &str) -> bool {
    let fits = cookie.len() <= PIECE * PIECES;
    let cookie = if fits { cookie } else { "" };
    for n in 0..PIECES {
        let from = (n * PIECE).min(cookie.len());
        let piece = &cookie[from..(from + PIECE).min(cookie.len())];
        let max_age = piece.is_empty().then_some(0);
        set_cookie(console, headers, &name(console, n), piece, max_age);
    }
    fits
}

//! Signing in and out.
//!
//! Owns the page that takes an access token, and where whoever was not signed in goes
//! afterwards: only ever to a page of this server.

use super::asked::Asked;
use super::error::PageError;
use super::filters;
use super::form::{self, Form};
use super::frame::{Answer, Frame, Section, page, see};
use super::parts::address;
use super::session::{self, Session};
use super::{Console, Shared, guard};
use askama::Template;
use axum::Extension;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::{HeaderMap, Method, StatusCode, Uri};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/login", get(show).post(sign_in))
        .route("/logout", post(sign_out))
}

/// Sends whoever is not signed in to sign in first.
pub(super) fn first(uri: &Uri, method: &Method, headers: &HeaderMap) -> Response {
    if headers.contains_key(guard::FRAGMENT) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let back = match uri.path_and_query() {
        Some(it) if *method == Method::GET && it.as_str() != "/" => it.as_str(),
        _ => "",
    };
    Redirect::to(&address("/login", &[("to", back)])).into_response()
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    to: String,
    /// Where the identity provider is, if there is one.
    provider: Option<String>,
    refused: bool,
}

fn login(console: &Console, to: &str, refused: bool) -> Answer {
    let to = inward(to);
    let provider = console.provider.as_ref();
    page(&Login {
        frame: Frame::new("Sign in".to_owned(), None, None, Section::Elsewhere),
        provider: provider.map(|_| address("/login/provider", &[("to", to)])),
        to: to.to_owned(),
        refused,
    })
}

/// A path of this server; the first page in place of anything else.
pub(super) fn inward(to: &str) -> &str {
    let is_path = to.starts_with('/') && !to[1..].starts_with(['/', '\\']);
    let is_plain = to.bytes().all(|b| b.is_ascii_graphic());
    if is_path && is_plain { to } else { "/" }
}

async fn show(
    State(console): State<Shared>,
    session: Option<Extension<Session>>,
    asked: Asked,
) -> Answer {
    match session {
        Some(_) => see(inward(asked.text("to"))),
        None => login(&console, asked.text("to"), false),
    }
}

async fn sign_in(State(console): State<Shared>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let form = form::read(&parts.headers, &parts.uri, body).await?;
    let to = form.text("to");
    let Some(cookie) = session::begin(&console, form.text("token")).await? else {
        let mut response = login(&console, to, true)?;
        *response.status_mut() = StatusCode::FORBIDDEN;
        return Ok(response);
    };
    let mut response = see(inward(to))?;
    if !guard::write(&console, response.headers_mut(), &cookie) {
        return Err(PageError::invalid("token", "it is too long for a session"));
    }
    Ok(response)
}

async fn sign_out(State(console): State<Shared>, _: Form) -> Answer {
    let mut response = see("/login")?;
    guard::write(&console, response.headers_mut(), "");
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_nowhere_else() {
        for inside in ["/", "/tenants/x?page_token=a", "/a//b"] {
            assert_eq!(inward(inside), inside);
        }
        for outside in [
            "",
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "/a\r\nb",
            "/\tevil",
            "javascript:alert(1)",
        ] {
            assert_eq!(inward(outside), "/", "{outside}");
        }
    }
}

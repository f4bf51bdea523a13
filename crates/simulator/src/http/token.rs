//! The login endpoint and the sessions it hands out.
//!
//! Client credentials only: a secret, or an assertion that a certificate of the app or an issuer
//! that it trusts has signed. Which tokens are good stands in the table of sessions alone.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::json;

use crate::http::Call;
use crate::http::reply::{GraphError, Reply};
use crate::simulator::Shared;
use crate::tenant::{Actor, App, Tenant};
use crate::trust;

const LIFETIME_SECONDS: u32 = 3599;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What an access token stands for.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    tenant: String,
    actor: Actor,
    expires: f64,
}

/// Answers `POST {base}/{tenant}/oauth2/v2.0/token`.
pub(crate) fn answer(shared: &Shared, method: &str, base: &str, path: &str, body: &Bytes) -> Reply {
    match grant(shared, method, base, path, body) {
        Ok(reply) => reply,
        Err(refusal) => refusal.into_reply(shared),
    }
}

struct Refusal {
    status: u16,
    error: &'static str,
    code: u32,
    text: String,
}

fn refuse(status: u16, error: &'static str, code: u32, text: impl Into<String>) -> Refusal {
    Refusal {
        status,
        error,
        code,
        text: text.into(),
    }
}

impl Refusal {
    fn into_reply(self, shared: &Shared) -> Reply {
        let (trace, correlation) = {
            let mut ids = shared.ids.lock();
            (ids.guid(), ids.guid())
        };
        let now = shared.clock.now().format("%Y-%m-%d %H:%M:%SZ").to_string();
        Reply::json(
            self.status,
            &json!({
                "error": self.error,
                "error_description": format!(
                    "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}",
                    self.code, self.text
                ),
                "error_codes": [self.code],
                "timestamp": now,
                "trace_id": trace.to_string(),
                "correlation_id": correlation.to_string(),
                "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.code),
            }),
        )
    }
}

fn grant(
    shared: &Shared,
    method: &str,
    base: &str,
    path: &str,
    body: &Bytes,
) -> Result<Reply, Refusal> {
    if method != "POST" {
        return Err(refuse(
            405,
            "invalid_request",
            900_561,
            "The endpoint only accepts POST requests.",
        ));
    }
    let tenant_id = path
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    let tenant = shared.tenant(tenant_id).ok_or_else(|| {
        refuse(
            400,
            "invalid_request",
            90_002,
            format!(
                "Tenant '{tenant_id}' not found. Check to make sure you have the correct tenant ID."
            ),
        )
    })?;
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| {
        form.iter()
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.as_str())
    };
    if field("grant_type") != Some("client_credentials") {
        return Err(refuse(
            400,
            "unsupported_grant_type",
            70_003,
            "The app requested an unsupported grant type.",
        ));
    }
    let client_id = field("client_id").unwrap_or_default();
    let app = tenant
        .spec
        .apps
        .iter()
        .find(|app| app.client_id.eq_ignore_ascii_case(client_id))
        .ok_or_else(|| {
            refuse(
                400,
                "unauthorized_client",
                700_016,
                format!("Application with identifier '{client_id}' was not found in the directory '{tenant_id}'."),
            )
        })?;
    let scope = field("scope").unwrap_or_default();
    let Some(resource) = scope.strip_suffix("/.default") else {
        return Err(refuse(
            400,
            "invalid_scope",
            1_002_012,
            "The provided value for scope is not valid. Client credential flows must have a scope \
             value with /.default suffixed to the resource identifier.",
        ));
    };
    match (field("client_secret"), field("client_assertion")) {
        (Some(secret), _) => check_secret(app, secret)?,
        (None, Some(assertion)) => {
            if field("client_assertion_type") != Some(ASSERTION_TYPE) {
                return Err(malformed());
            }
            let (trusts, now) = (&tenant.spec.trusts, shared.clock.seconds());
            let url = format!("{base}{path}");
            trust::check(trusts, client_id, &url, assertion, now).map_err(not_trusted)?;
        }
        (None, None) => {
            return Err(refuse(
                401,
                "invalid_client",
                7_000_216,
                "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
            ));
        }
    }
    let token = access_token(shared, &tenant, app, resource);
    shared.sessions.lock().insert(
        token.clone(),
        Session {
            tenant: tenant.spec.id.clone(),
            actor: Actor {
                app: Arc::new(app.clone()),
            },
            expires: shared.clock.seconds() + f64::from(LIFETIME_SECONDS),
        },
    );
    let mut counters = shared.counters.lock();
    counters.tokens += 1;
    counters
        .apps
        .entry(app.client_id.clone())
        .or_default()
        .tokens += 1;
    drop(counters);
    Ok(Reply::json(
        200,
        &json!({
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
            "ext_expires_in": LIFETIME_SECONDS,
            "access_token": token,
        }),
    ))
}

/// A token of the platform's form. Nobody can check its signature, which is chance.
fn access_token(shared: &Shared, tenant: &Tenant, app: &App, resource: &str) -> String {
    let now = shared.clock.now().timestamp();
    let mut ids = shared.ids.lock();
    let claims = json!({
        "aud": resource,
        "iss": format!("https://sts.windows.net/{}/", tenant.spec.id),
        "iat": now,
        "nbf": now,
        "exp": now + i64::from(LIFETIME_SECONDS),
        "appid": app.client_id,
        "app_displayname": app.display_name,
        "idtyp": "app",
        "roles": app.roles,
        "tid": tenant.spec.id,
        "uti": ids.opaque(22),
        "ver": "1.0",
    });
    let header = json!({"typ": "JWT", "alg": "RS256", "kid": "practice"});
    let part = |part: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    format!(
        "{}.{}.{}",
        part(&header),
        part(&claims),
        BASE64_URL_SAFE_NO_PAD.encode(ids.opaque(64))
    )
}

fn check_secret(app: &App, secret: &str) -> Result<(), Refusal> {
    if secret == app.secret {
        return Ok(());
    }
    Err(refuse(
        401,
        "invalid_client",
        7_000_215,
        format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the \
             client secret value, not the client secret ID, for a secret added to app '{}'.",
            app.client_id
        ),
    ))
}

fn malformed() -> Refusal {
    refuse(
        401,
        "invalid_client",
        50_027,
        "JWT token is invalid or malformed.",
    )
}

fn not_trusted(refused: trust::Refused) -> Refusal {
    // A federated credential may be on its way, which the platform calls a bad request.
    let (status, error) = match refused.code {
        70_021 => (400, "invalid_request"),
        _ => (401, "invalid_client"),
    };
    refuse(status, error, refused.code, refused.text)
}

/// Finds who is calling from the bearer token.
pub(crate) fn session(shared: &Shared, call: &Call) -> Result<(Arc<Tenant>, Actor), GraphError> {
    let invalid = |message: &str| GraphError::new(401, "InvalidAuthenticationToken", message);
    let token = call
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| invalid("Access token is empty."))?;
    let session = shared
        .sessions
        .lock()
        .get(token)
        .cloned()
        .ok_or_else(|| invalid("Access token validation failure. Invalid audience."))?;
    if shared.clock.seconds() >= session.expires {
        return Err(invalid("Lifetime validation failed, the token is expired."));
    }
    let tenant = shared
        .tenant(&session.tenant)
        .ok_or_else(|| invalid("Access token validation failure."))?;
    Ok((tenant, session.actor))
}

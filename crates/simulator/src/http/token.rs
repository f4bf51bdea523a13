//! The login endpoint and the sessions it hands out.
//!
//! Client credentials only. Client assertions are checked for form, never for signature: the
//! simulator holds no certificates.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::http::Call;
use crate::http::reply::{GraphError, Reply};
use crate::simulator::Shared;
use crate::tenant::{Actor, Tenant};

const LIFETIME_SECONDS: f64 = 3599.0;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What an access token stands for.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    tenant: String,
    actor: Actor,
    expires: f64,
}

/// Answers `POST /{tenant}/oauth2/v2.0/token`.
pub(crate) fn answer(shared: &Shared, method: &str, path: &str, body: &Bytes) -> Reply {
    match grant(shared, method, path, body) {
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

fn grant(shared: &Shared, method: &str, path: &str, body: &Bytes) -> Result<Reply, Refusal> {
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
    if !field("scope").is_some_and(|scope| scope.ends_with("/.default")) {
        return Err(refuse(
            400,
            "invalid_scope",
            1_002_012,
            "The provided value for scope is not valid. Client credential flows must have a scope \
             value with /.default suffixed to the resource identifier.",
        ));
    }
    check_credential(
        app.secret.as_str(),
        field("client_secret"),
        field("client_assertion"),
        field("client_assertion_type"),
        client_id,
    )?;
    let token = format!("sim.{}", shared.ids.lock().opaque(48));
    shared.sessions.lock().insert(
        token.clone(),
        Session {
            tenant: tenant.spec.id.clone(),
            actor: Actor {
                app: Arc::new(app.clone()),
            },
            expires: shared.clock.seconds() + LIFETIME_SECONDS,
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
            "expires_in": 3599,
            "ext_expires_in": 3599,
            "access_token": token,
        }),
    ))
}

fn check_credential(
    expected: &str,
    secret: Option<&str>,
    assertion: Option<&str>,
    assertion_type: Option<&str>,
    client_id: &str,
) -> Result<(), Refusal> {
    match (secret, assertion) {
        (Some(secret), _) if secret == expected => Ok(()),
        (Some(_), _) => Err(refuse(
            401,
            "invalid_client",
            7_000_215,
            format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the \
                 client secret value, not the client secret ID, for a secret added to app '{client_id}'."
            ),
        )),
        (None, Some(assertion)) => {
            if assertion_type == Some(ASSERTION_TYPE) && assertion.split('.').count() == 3 {
                Ok(())
            } else {
                Err(refuse(
                    401,
                    "invalid_client",
                    50_027,
                    "JWT token is invalid or malformed.",
                ))
            }
        }
        (None, None) => Err(refuse(
            401,
            "invalid_client",
            7_000_216,
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
        )),
    }
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

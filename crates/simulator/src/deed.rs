//! Single requests of a tenant's own applications, without a server and its limits: for
//! tests that let exactly one thing happen.
//!
//! Checked, applied and recorded as if it had come over HTTP; nothing here touches the
//! state by itself.

use std::sync::Arc;

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::Value;

use crate::http::{Call, route};
use crate::odata;
use crate::tenant::{Actor, Tenant};

/// Sends a request as an application of the tenant; the status of the answer.
pub(crate) fn send(
    tenant: &Tenant,
    client_id: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> u16 {
    let apps = &tenant.spec.apps;
    let Some(app) = apps.iter().find(|app| app.client_id == client_id) else {
        return 401;
    };
    let actor = Actor {
        app: Arc::new(app.clone()),
    };
    let call = Call {
        method: method.to_owned(),
        segments: odata::segments(path),
        path: path.to_owned(),
        query: String::new(),
        headers: HeaderMap::new(),
        body: body.map_or_else(Bytes::new, |body| body.to_string().into()),
        base: "http://simulator".to_owned(),
    };
    match route::single(tenant, &actor, &call, &tenant.clock) {
        Ok(reply) => reply.status,
        Err(error) => error.status,
    }
}

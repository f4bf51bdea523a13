//! Whether a tenant can be served, asked of those that hold its credentials.
//!
//! Owns the merging of what snapshotter and restorer find, and adds where an
//! administrator can consent to what is missing. A service that does not answer
//! is a finding, not a lost answer.

use crate::config::Backends;
use crate::consent::Applications;
use crate::request::Passage;
use model::error::reason;
use proto::v1::access_check_service_client::AccessCheckServiceClient;
use proto::v1::{CheckAccessRequest, CheckItem, CheckTenantResponse};
use runtime::Fault;
use runtime::credentials::Kind;
use runtime::replicas::Served;
use std::time::Duration;
use store::TenantRecord;
use tonic::{Request, Status};

/// How long a service may take to try everything: Conditional Access has one
/// request a second, and a new federated credential is waited for.
const PATIENCE: Duration = Duration::from_secs(55);

/// The method that each is asked by.
const CHECK: &str = "/rewind.v1.AccessCheckService/CheckAccess";
const READER: &str = "reader";
const WRITER: &str = "writer";
const TOKEN: &str = "token";
const LICENCE: &str = "licence";

/// Asks the services and says what follows.
pub(crate) async fn check_tenant(
    backends: &Backends,
    installed: &Applications,
    record: &TenantRecord,
    passage: &Passage,
) -> CheckTenantResponse {
    let tenant = record.id.to_string();
    let reader = ask(
        backends.snapshotter.of(&tenant),
        "snapshotter",
        READER,
        record,
        passage,
    );
    let writer = async {
        match record.writer {
            Some(_) => {
                ask(
                    backends.restorer.of(&tenant),
                    "restorer",
                    WRITER,
                    record,
                    passage,
                )
                .await
            }
            None => vec![failed(
                WRITER,
                "no writer application is registered, so restores are not set up",
                reason::NOT_FOUND,
            )],
        }
    };
    let (mut items, writer) = futures::join!(reader, writer);
    items.extend(writer);
    for item in &mut items {
        let kind = match item.app.as_str() {
            READER => Kind::Reader,
            _ => Kind::Writer,
        };
        if item.reason == reason::CONSENT_MISSING {
            item.consent_url = installed.consent_url(record, kind).unwrap_or_default();
        }
    }
    let works = |app, subject| {
        let mut tried = items
            .iter()
            .filter(|item| item.app == app && item.subject == subject)
            .peekable();
        tried.peek().is_some() && tried.all(|item| item.ok)
    };
    let can_snapshot = works(READER, TOKEN) && works(READER, LICENCE);
    let can_restore = works(WRITER, TOKEN);
    CheckTenantResponse {
        items,
        can_snapshot,
        can_restore,
    }
}

/// What one service finds, told under the application that it signs in with.
async fn ask(
    replica: Served,
    peer: &str,
    app: &str,
    record: &TenantRecord,
    passage: &Passage,
) -> Vec<CheckItem> {
    let mut request = Request::new(CheckAccessRequest {
        name: proto::name::tenant(&record.id),
    });
    passage.write(request.metadata_mut().as_mut(), CHECK, record.id.as_str());
    request.set_timeout(PATIENCE);
    let answer = AccessCheckServiceClient::new(replica)
        .check_access(request)
        .await;
    match answer.map(tonic::Response::into_inner) {
        Ok(answer) => answer
            .items
            .into_iter()
            .map(|item| CheckItem {
                app: app.to_owned(),
                ..item
            })
            .collect(),
        Err(status) => vec![silent(peer, app, &status)],
    }
}

/// The finding that stands for a service that did not answer, or with an error.
fn silent(peer: &str, app: &str, status: &Status) -> CheckItem {
    let remote = runtime::status::parse(status);
    match remote.reason() {
        reason::BACKEND_UNAVAILABLE => failed(
            app,
            &format!("the {peer} cannot be reached"),
            reason::BACKEND_UNAVAILABLE,
        ),
        other => failed(
            app,
            &format!("the {peer} could not try: {}", remote.message),
            other,
        ),
    }
}

fn failed(app: &str, detail: &str, reason: &str) -> CheckItem {
    CheckItem {
        app: app.to_owned(),
        subject: TOKEN.to_owned(),
        ok: false,
        detail: detail.to_owned(),
        reason: reason.to_owned(),
        ..CheckItem::default()
    }
}

//! Where the facts of the overview come from.
//!
//! Owns the calls: the registrations, and for those that are shown their newest
//! snapshots and signals. One call that tells all of this can take its place; nothing
//! but [`list`] would change.

use crate::console::error::PageError;
use crate::console::filters::Moment;
use crate::console::session::Session;
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use proto::v1;
use proto::v1::{Role, Severity, SnapshotState};

/// How many tenants a page shows.
const SHOWN: i32 = 50;
/// How many registrations are looked through at a time for those that a text is
/// searched in.
const AT_ONCE: i32 = 100;
/// How many tenants are asked about at a time.
const ASKED: usize = 16;
/// How far signals are looked back for.
const LOOK_BACK: TimeDelta = TimeDelta::days(7);
/// How many signals are counted at most.
const COUNTED: i32 = 100;

/// A page of the overview.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) tenants: Vec<Facts>,
    pub(crate) next_page_token: String,
}

/// What is known of a tenant.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) known: Known,
}

/// Whether a tenant's snapshots are known.
#[derive(Debug)]
pub(crate) enum Known {
    /// They are.
    Yes(Snapshots),
    /// They could not be asked for.
    Unavailable,
    /// The caller's roles do not show them.
    Hidden,
}

/// A tenant's snapshots in short.
#[derive(Debug)]
pub(crate) struct Snapshots {
    pub(crate) newest: Option<Newest>,
    /// How many cannot be read.
    pub(crate) problems: usize,
    /// How many signals of high or critical severity there were in the last days; not
    /// known where they could not be asked for.
    pub(crate) signals: Option<i64>,
}

/// The newest snapshot.
#[derive(Debug)]
pub(crate) struct Newest {
    pub(crate) time: DateTime<Utc>,
    pub(crate) complete: bool,
    pub(crate) objects: i64,
    pub(crate) stored: i64,
}

/// The tenants whose name or id holds a text, page by page.
///
/// # Errors
/// What the registry answers; a tenant whose snapshots cannot be asked for is shown
/// without them.
pub(crate) async fn list(session: &Session, text: &str, token: &str) -> Result<Listing, PageError> {
    let (tenants, next_page_token) = registrations(session, text, token).await?;
    let facts = futures::stream::iter(tenants).map(|tenant| facts(session, tenant));
    Ok(Listing {
        tenants: facts.buffered(ASKED).collect().await,
        next_page_token,
    })
}

async fn registrations(
    session: &Session,
    text: &str,
    token: &str,
) -> Result<(Vec<v1::Tenant>, String), PageError> {
    let text = text.to_lowercase();
    let matches = |tenant: &v1::Tenant| {
        tenant.display_name.to_lowercase().contains(&text) || tenant.id.contains(&text)
    };
    let page_size = if text.is_empty() { SHOWN } else { AT_ONCE };
    let enough = usize::try_from(SHOWN).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let mut token = token.to_owned();
    loop {
        let request = v1::ListTenantsRequest {
            page_size,
            page_token: token,
            ..v1::ListTenantsRequest::default()
        };
        let answer = session.tenants().list_tenants(request).await?.into_inner();
        found.extend(answer.tenants.into_iter().filter(matches));
        token = answer.next_page_token;
        if token.is_empty() || found.len() >= enough {
            return Ok((found, token));
        }
    }
}

async fn facts(session: &Session, tenant: v1::Tenant) -> Facts {
    let shows = session.may(Role::Reader) || session.may(Role::Administrator);
    let known = if shows {
        known(session, &tenant.name).await
    } else {
        Known::Hidden
    };
    Facts {
        name: match tenant.display_name.trim() {
            "" => tenant.id.clone(),
            name => name.to_owned(),
        },
        id: tenant.id,
        known,
    }
}

async fn known(session: &Session, parent: &str) -> Known {
    let request = v1::ListSnapshotsRequest {
        parent: parent.to_owned(),
        page_size: 1,
        page_token: String::new(),
    };
    let (snapshots, signals) = tokio::join!(
        async { session.snapshots().list_snapshots(request).await },
        signals(session, parent),
    );
    match snapshots {
        Ok(answer) => Known::Yes(of_snapshots(&answer.into_inner(), signals)),
        Err(_) => Known::Unavailable,
    }
}

/// What a list of snapshots, the newest first, comes to.
pub(crate) fn of_snapshots(answer: &v1::ListSnapshotsResponse, signals: Option<i64>) -> Snapshots {
    let newest = answer.snapshots.first().and_then(|it| {
        Some(Newest {
            time: it.start_time.moment()?,
            complete: it.state() == SnapshotState::Complete,
            objects: it.object_count,
            stored: it.stored_bytes,
        })
    });
    Snapshots {
        newest,
        problems: answer.problems.len(),
        signals,
    }
}

/// How many severe signals there were lately; `None` where that cannot be told.
pub(crate) async fn signals(session: &Session, parent: &str) -> Option<i64> {
    let from = proto::convert::timestamp(session.now() - LOOK_BACK);
    let request = v1::ListSignalsRequest {
        parent: parent.to_owned(),
        page_size: COUNTED,
        min_severity: Severity::High.into(),
        from_time: Some(from),
        ..v1::ListSignalsRequest::default()
    };
    let answer = session.signals().list_signals(request).await.ok()?;
    i64::try_from(answer.into_inner().signals.len()).ok()
}

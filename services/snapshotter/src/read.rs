//! Streams the objects and links of a snapshot.
//!
//! It holds no more of it than what is under way to the caller.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use model::ObjectType;
use proto::name;
use proto::v1::{ReadSnapshotRequest, ReadSnapshotResponse};
use runtime::jobs::Watch;
use runtime::status::status;
use store::{Area, StoreError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::{Context, Error, message};

/// The document that says that a snapshot was read out as a whole.
pub(crate) const READ: &str = "read";
/// Messages that wait for a caller who is slower.
const AHEAD: usize = 4;

type Messages = mpsc::Sender<Result<ReadSnapshotResponse, Status>>;

pub(crate) async fn read(
    context: &Context,
    request: ReadSnapshotRequest,
) -> Result<Watch<ReadSnapshotResponse>, Error> {
    let (tenant, id) = name::parse_snapshot("name", &request.name)?;
    let mut types = message::types(&request.types)?;
    if types.is_empty() {
        types.extend(ObjectType::ALL);
    }
    let whole = ObjectType::ALL.iter().all(|kind| types.contains(kind));
    let vault = context.deps.vault.tenant(&tenant).await?;
    let manifest = vault.find(&id).await?;
    let (messages, stream) = mpsc::channel(AHEAD);
    let now = context.deps.clock.now();
    tokio::spawn(async move {
        let mut sent = send(&vault, &manifest, types, &messages).await;
        if sent.is_ok() && whole {
            sent = note(&vault, &manifest, &messages, now).await;
        }
        if let Err(error) = sent {
            // Where the caller has gone away, nobody is left to tell.
            let _ = messages.send(Err(status(&error))).await;
        }
    });
    Ok(Box::pin(ReceiverStream::new(stream)))
}

async fn send(
    vault: &store::TenantVault,
    manifest: &store::Manifest,
    types: Vec<ObjectType>,
    messages: &Messages,
) -> Result<(), Error> {
    let first = ReadSnapshotResponse {
        snapshot: Some(message::snapshot(manifest)),
        ..ReadSnapshotResponse::default()
    };
    if messages.send(Ok(first)).await.is_err() {
        return Ok(());
    }
    let to = messages.clone();
    let objects = move |objects: Vec<model::Object>| {
        let objects = objects.into_iter().map(message::object).collect();
        pass(
            &to,
            ReadSnapshotResponse {
                objects,
                ..ReadSnapshotResponse::default()
            },
        )
    };
    vault.each_object(manifest, types.clone(), objects).await?;
    let to = messages.clone();
    let links = move |links: Vec<model::Link>| {
        let links = links.iter().map(message::link).collect();
        pass(
            &to,
            ReadSnapshotResponse {
                links,
                ..ReadSnapshotResponse::default()
            },
        )
    };
    vault.each_link(manifest, types, links).await?;
    Ok(())
}

/// Notes that a snapshot was read out as a whole, once the caller has taken all of it.
async fn note(
    vault: &store::TenantVault,
    manifest: &store::Manifest,
    messages: &Messages,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if messages.reserve_many(AHEAD).await.is_err() {
        return Ok(());
    }
    let content = format!("{}\n", now.to_rfc3339()).into();
    let slot = manifest.id().as_str();
    match vault.put(Area::Exports, slot, READ, content).await {
        Ok(()) | Err(StoreError::Exists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Hands a message to the caller; breaks off where that one has gone away.
fn pass(messages: &Messages, message: ReadSnapshotResponse) -> ControlFlow<()> {
    match messages.blocking_send(Ok(message)) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

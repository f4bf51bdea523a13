//! `rewind snapshot copy`: copies snapshots into the server's store for copies.
//!
//! It never says where that store is: the server's settings do.

use proto::json::to_json;
use proto::v1::{self, CopyState};
use runtime::exit;
use serde_json::Value;

use crate::args::{CopySnapshots, Global};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::table;
use crate::text::{id_of, size, word};

pub(crate) async fn copy(
    args: &CopySnapshots,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let named = args.snapshot.as_ref();
    let tenant = session
        .tenant(named.and_then(|named| named.tenant.as_ref()))
        .await?;
    let client = &session.client;
    let request = client.stream(v1::CopySnapshotsRequest {
        parent: proto::name::tenant(&tenant),
        snapshot: named.map(|named| named.id.to_string()).unwrap_or_default(),
        request_id: client.request_id(),
    });
    let answer = client.snapshots().copy_snapshots(request).await?;
    let mut stream = answer.into_inner();
    let mut copies = Vec::new();
    let mut broken = None;
    loop {
        match stream.message().await {
            Ok(Some(message)) => copies.extend(message.copy),
            Ok(None) => break,
            Err(status) => {
                broken = Some(Failure::from(status));
                break;
            }
        }
    }
    // What was copied before the end is told all the same.
    match broken {
        Some(failure) if copies.is_empty() => return Err(failure),
        _ => print(&copies, &session.output)?,
    }
    for copy in copies.iter().filter(|copy| is_failed(copy)) {
        let text = format!("{}: {} [{}]", copy.name, copy.problem, copy.reason);
        session.output.warning(&text);
    }
    match broken {
        Some(failure) => Err(failure),
        None => Ok(code(&copies)),
    }
}

fn is_failed(copy: &v1::SnapshotCopy) -> bool {
    matches!(copy.state(), CopyState::Failed | CopyState::Unspecified)
}

fn code(copies: &[v1::SnapshotCopy]) -> u8 {
    let failed = copies.iter().filter(|copy| is_failed(copy)).count();
    match failed {
        0 => exit::DONE,
        all if all == copies.len() => exit::FAILED,
        _ => exit::WARNINGS,
    }
}

fn print(copies: &[v1::SnapshotCopy], output: &Output) -> Result<(), Failure> {
    output.result(
        || {
            let one = |copy| to_json("SnapshotCopy", copy);
            Value::Array(copies.iter().map(one).collect())
        },
        || {
            let row = |copy: &v1::SnapshotCopy| {
                [
                    id_of(&copy.name).to_owned(),
                    word(copy.state().as_str_name(), "COPY_STATE_"),
                    copy.file_count.to_string(),
                    size(copy.sent_bytes),
                ]
            };
            table(["ID", "COPY", "FILES", "SENT"], copies.iter().map(row))
        },
    )
}

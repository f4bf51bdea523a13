//! `rewind snapshot verify` and `rewind snapshot repair`: whether what is stored is
//! whole, and what can be done where it is not.

use model::SnapshotId;
use proto::json::to_json;
use proto::v1::{self, VerifyDepth};
use runtime::exit;

use crate::args::{Global, HowDeep, Named, RepairSnapshots, VerifySnapshots};
use crate::client::required;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::{fields, table};
use crate::text::{id_of, size, word};

/// Looks for damage; ends with 1 where there is any.
pub(super) async fn verify(
    args: &VerifySnapshots,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let depth = match args.depth {
        HowDeep::Structure => VerifyDepth::Structure,
        HowDeep::EveryByte => VerifyDepth::EveryByte,
    };
    // No deadline: how long every byte takes depends on how many there are.
    let request = session.client.stream(v1::VerifySnapshotsRequest {
        parent: proto::name::tenant(&session.tenant(None).await?),
        depth: depth as i32,
    });
    let found = required(
        session.client.snapshots().verify_snapshots(request).await,
        |answer| answer.verification,
    )?;
    output.result(
        || to_json("Verification", &found),
        || {
            let head = fields([
                ("Tenant", found.name.clone()),
                ("Depth", word(found.depth().as_str_name(), "VERIFY_DEPTH_")),
                ("Snapshots", found.snapshot_count.to_string()),
                ("Files", found.file_count.to_string()),
                (
                    "Read whole",
                    format!("{} ({})", found.read_file_count, size(found.read_bytes)),
                ),
                (
                    "Of no snapshot",
                    format!(
                        "{} ({})",
                        found.unnamed_file_count,
                        size(found.unnamed_bytes)
                    ),
                ),
                ("Damaged", found.damages.len().to_string()),
            ]);
            with_damages(head, &found.damages)
        },
    )?;
    Ok(code(&found.damages))
}

/// Makes good what can be; ends with 1 where damage is left.
pub(super) async fn repair(
    args: &RepairSnapshots,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let request = session.client.stream(v1::RepairSnapshotsRequest {
        parent: proto::name::tenant(&session.tenant(None).await?),
        drop: args.drop.iter().map(full_or_bare).collect(),
        request_id: session.client.request_id(),
    });
    let done = session
        .client
        .snapshots()
        .repair_snapshots(request)
        .await?
        .into_inner();
    output.result(
        || to_json("RepairSnapshotsResponse", &done),
        || {
            let ids = |names: &[String]| {
                let ids: Vec<&str> = names.iter().map(|name| id_of(name)).collect();
                match ids.is_empty() {
                    true => "none".to_owned(),
                    false => ids.join(", "),
                }
            };
            let head = fields([
                ("Tenant", done.name.clone()),
                ("Put back", done.put_back.len().to_string()),
                ("Held", ids(&done.held)),
                ("Let go", ids(&done.dropped)),
                ("Still damaged", done.left.len().to_string()),
            ]);
            let put_back = done.put_back.iter().map(|path| [path.clone()]);
            let head = match done.put_back.is_empty() {
                true => head,
                false => format!("{head}\n\n{}", table(["PUT BACK"], put_back)),
            };
            with_damages(head, &done.left)
        },
    )?;
    if !done.left.is_empty() && !done.has_copy {
        output.note(
            "hint: damaged files are put back from a copy of the store, and the server has none: set REWIND_COPY_URL",
        );
    }
    Ok(code(&done.left))
}

/// As it was written, so that the server refuses another tenant's.
fn full_or_bare(named: &Named<SnapshotId>) -> String {
    match &named.tenant {
        Some(tenant) => proto::name::snapshot(tenant, &named.id),
        None => named.id.to_string(),
    }
}

fn code(damages: &[v1::Damage]) -> u8 {
    match damages.is_empty() {
        true => exit::DONE,
        false => exit::FAILED,
    }
}

fn with_damages(head: String, damages: &[v1::Damage]) -> String {
    if damages.is_empty() {
        return head;
    }
    let rows = damages.iter().map(|damage| {
        [
            damage.path.clone(),
            word(damage.kind().as_str_name(), "DAMAGE_KIND_"),
            damage.detail.clone(),
            touched(damage),
        ]
    });
    format!(
        "{head}\n\n{}",
        table(["FILE", "DAMAGE", "DETAIL", "TOUCHES"], rows)
    )
}

/// The snapshots that a damage touches, and what of them is lost.
fn touched(damage: &v1::Damage) -> String {
    if damage.snapshots.is_empty() {
        return "no snapshot".to_owned();
    }
    let snapshots: Vec<&str> = damage.snapshots.iter().map(|name| id_of(name)).collect();
    let lost = damage.unreadable.iter().map(|rows| match rows {
        rows if rows.r#type.is_empty() => format!("all {} {}", rows.count, damage.holds),
        rows => format!(
            "{} {} from {} to {}",
            rows.count, rows.r#type, rows.first_id, rows.last_id
        ),
    });
    let lost: Vec<String> = lost.collect();
    match lost.is_empty() {
        true => snapshots.join(", "),
        false => format!("{}: {}", snapshots.join(", "), lost.join("; ")),
    }
}

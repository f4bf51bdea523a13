//! `rewind deleted …`: tells what lies in a tenant's recycle bins.
//!
//! Owns the warnings: of what cannot be restored much longer, and of bins that could not
//! be read.

use std::cell::RefCell;

use proto::json::to_json;
use proto::v1;
use runtime::exit;
use serde_json::Value;

use crate::args::{DeletedCommand, Global};
use crate::client::{PAGE, all_pages};
use crate::failure::Failure;
use crate::output::Output;
use crate::render;
use crate::session::Session;
use crate::table::table;
use crate::text::{count, time};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &DeletedCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        DeletedCommand::List => list(global, output).await,
    }
}

async fn list(global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let parent = &proto::name::tenant(&session.tenant(None).await?);
    let client = &session.client;
    // What is said of all of them stands on each page.
    let about = &RefCell::new(v1::ListDeletedObjectsResponse::default());
    let objects = all_pages(|page_token| async move {
        let request = client.unary(v1::ListDeletedObjectsRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
        });
        let answer = client.diffs().list_deleted_objects(request).await?;
        let mut answer = answer.into_inner();
        let objects = std::mem::take(&mut answer.deleted_objects);
        let next_page_token = answer.next_page_token.clone();
        about.replace(answer);
        Ok((objects, next_page_token))
    })
    .await?;
    let about = about.borrow();
    output.result(
        || {
            let objects = objects.iter();
            Value::Array(
                objects
                    .map(|object| to_json("DeletedObject", object))
                    .collect(),
            )
        },
        || {
            table(
                [
                    "ID",
                    "TYPE",
                    "NAME",
                    "DELETED",
                    "DAYS LEFT",
                    "DELETED BY",
                    "IN LATEST SNAPSHOT",
                    "WARNING",
                ],
                objects.iter().map(row),
            )
        },
    )?;
    warn(&output, &objects, &about);
    Ok(if about.not_read.is_empty() {
        exit::DONE
    } else {
        exit::WARNINGS
    })
}

fn row(object: &v1::DeletedObject) -> [String; 8] {
    let named = object.object.clone().unwrap_or_default();
    let by = object.deletion.as_ref();
    let by = by.map(|activity| render::initiator(activity.initiated_by.as_ref()));
    let days = if object.expire_time.is_some() {
        object.days_left.to_string()
    } else {
        "-".to_owned()
    };
    let known = if object.in_latest_snapshot {
        "yes"
    } else {
        "no"
    };
    let warning = if object.expires_soon {
        "expires soon"
    } else {
        ""
    };
    [
        named.id,
        named.r#type,
        named.display_name,
        time(object.delete_time.as_ref()),
        days,
        by.unwrap_or_else(|| "-".to_owned()),
        known.to_owned(),
        warning.to_owned(),
    ]
}

fn warn(output: &Output, objects: &[v1::DeletedObject], about: &v1::ListDeletedObjectsResponse) {
    let soon = objects.iter().filter(|object| object.expires_soon);
    let soon = i64::try_from(soon.count()).unwrap_or(i64::MAX);
    if soon > 0 {
        let objects = count(
            soon,
            "object that the latest snapshot holds leaves its recycle bin",
            "objects that the latest snapshot holds leave their recycle bins",
        );
        output.warning(&format!(
            "{objects} within a week; afterwards it can only be made anew, under another id"
        ));
    }
    for kind in &about.not_read {
        output.warning(&format!("not read: {kind}"));
    }
    let log = about.audit_log.as_ref();
    if let Some(detail) = log.map(|log| &log.detail).filter(|it| !it.is_empty()) {
        output.note(&format!("audit log: {detail}"));
    }
}

//! Single objects of a snapshot: found by what they are called, and shown.

use proto::json::to_json;
use proto::v1;
use runtime::exit;
use serde_json::Value;

use crate::args::{Global, SearchSnapshot, ShowSnapshot};
use crate::client::{PAGE, all_pages};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::{fields, table};
use crate::text::{tame, word};

pub(super) async fn search(
    args: &SearchSnapshot,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.snapshot.tenant.as_ref()).await?;
    let parent = &proto::name::snapshot(&tenant, &args.snapshot.id);
    let client = &session.client;
    let matching = match args.prefix {
        true => v1::SearchMatch::Beginning,
        false => v1::SearchMatch::Unspecified,
    };
    let objects = all_pages(|page_token| async move {
        let request = client.unary(v1::SearchSnapshotRequest {
            parent: parent.clone(),
            text: args.text.clone(),
            r#match: matching.into(),
            types: args.types.clone(),
            page_size: PAGE,
            page_token,
        });
        let answer = client.snapshots().search_snapshot(request).await?;
        let answer = answer.into_inner();
        Ok((answer.objects, answer.next_page_token))
    })
    .await?;
    output.result(
        || {
            let json = |object| to_json("SnapshotObject", object);
            Value::Array(objects.iter().map(json).collect())
        },
        || table(["ID", "TYPE", "STATE", "NAME"], objects.iter().map(row)),
    )?;
    Ok(exit::DONE)
}

fn row(object: &v1::SnapshotObject) -> [String; 4] {
    let about = object.object.clone().unwrap_or_default();
    [about.id, about.r#type, state(object), about.display_name]
}

fn state(object: &v1::SnapshotObject) -> String {
    word(object.state().as_str_name(), "OBJECT_STATE_")
}

pub(super) async fn show(
    args: &ShowSnapshot,
    id: &str,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.snapshot.tenant.as_ref()).await?;
    let request = session.client.unary(v1::GetSnapshotObjectRequest {
        parent: proto::name::snapshot(&tenant, &args.snapshot.id),
        id: id.to_owned(),
        r#type: args.object_type.clone().unwrap_or_default(),
    });
    let mut snapshots = session.client.snapshots();
    let answer = snapshots.get_snapshot_object(request).await?.into_inner();
    let Some(object) = &answer.object else {
        return Err(Failure::Answer("it names no object"));
    };
    output.result(
        || to_json("GetSnapshotObjectResponse", &answer),
        || shown(object, &answer.links),
    )?;
    Ok(exit::DONE)
}

fn shown(object: &v1::SnapshotObject, links: &[v1::SnapshotLink]) -> String {
    let about = object.object.clone().unwrap_or_default();
    let head = fields([
        ("Name", about.display_name),
        ("Type", about.r#type),
        ("Id", about.id),
        ("State", state(object)),
    ]);
    let body = serde_json::from_str::<Value>(&object.json)
        .map_or_else(|_| object.json.clone(), |json| format!("{json:#}"));
    let body: Vec<String> = body.lines().map(tame).collect();
    let mut text = format!("{head}\n\n{}", body.join("\n"));
    if !links.is_empty() {
        let links = links
            .iter()
            .map(|link| [link.relation.clone(), link.target_id.clone()]);
        text.push_str("\n\n");
        text.push_str(&table(["RELATION", "TARGET"], links));
    }
    text
}

#[cfg(test)]
mod tests {
    use proto::v1::ObjectState;

    use super::*;

    #[test]
    fn the_state_of_an_object_is_a_word() {
        let object = v1::SnapshotObject {
            state: ObjectState::SoftDeleted.into(),
            ..v1::SnapshotObject::default()
        };
        assert_eq!(state(&object), "soft deleted");
    }
}

//! One object over the snapshots.
//!
//! Owns what the history says of a snapshot that does not hold the object: that it was
//! absent, or that nothing is known since its type was not read. What differs between
//! two snapshots is computed by the model.

use crate::console::asked::Asked;
use crate::console::filters::{self, Moment};
use crate::console::frame::{Answer, Frame, Section, page};
use crate::console::parts::{Badge, Pager, Tone};
use crate::console::session::Visit;
use crate::console::told::{Object, Sides};
use askama::Template;
use axum::extract::Path;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use model::diff::{self, attribute_changes};
use model::{ObjectId, ObjectType};
use proto::v1;
use proto::v1::{ObjectState, Snapshot};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use tonic::{Code, Status};

/// How many snapshots stand on a page.
const SHOWN: i32 = 14;
/// How many are looked into at a time.
const AT_A_TIME: usize = 4;

/// The object in one snapshot.
struct Seen {
    snapshot: Snapshot,
    found: Option<v1::SnapshotObject>,
    links: BTreeSet<(String, String)>,
}

/// One snapshot of the history.
struct Entry {
    start: Option<DateTime<Utc>>,
    snapshot: String,
    href: String,
    state: Badge,
    /// What is different from the snapshot before.
    what: &'static str,
    sides: Option<Sides>,
    links: Vec<LinkLine>,
}

/// A link that came or went.
struct LinkLine {
    came: bool,
    relation: String,
    id: String,
    href: String,
}

#[derive(Template)]
#[template(path = "browse/history.html")]
struct History {
    frame: Frame,
    object: Object,
    entries: Vec<Entry>,
    pager: Pager,
}

pub(super) async fn show(
    at: Visit,
    Path((_, type_name, id)): Path<(String, String, String)>,
    asked: Asked,
) -> Answer {
    let token = asked.text("page_token");
    let request = v1::ListSnapshotsRequest {
        parent: at.name(),
        page_size: SHOWN,
        page_token: token.to_owned(),
    };
    let answer = at.session.snapshots().list_snapshots(request).await?;
    let answer = answer.into_inner();
    let next = answer.next_page_token;
    let looks = futures::stream::iter(answer.snapshots)
        .map(|snapshot| look(&at, snapshot, &type_name, &id));
    let seen: Vec<Seen> = looks.buffered(AT_A_TIME).try_collect().await?;
    let newest = seen
        .iter()
        .find_map(|it| it.found.as_ref()?.object.as_ref());
    let object = newest.cloned().unwrap_or_else(|| v1::ObjectRef {
        r#type: type_name.clone(),
        id: id.clone(),
        display_name: String::new(),
    });
    let object = Object::of(Some(&object));
    let entries = entries(&seen, &type_name, &id, !next.is_empty());
    let path = at.path(&format!("/objects/{type_name}/{id}/history"));
    page(&History {
        frame: at.frame(
            Section::Snapshots,
            format!("History of {}", object.name.short),
        ),
        object,
        entries,
        pager: Pager::new(&path, &[], token, &next),
    })
}

async fn look(at: &Visit, snapshot: Snapshot, type_name: &str, id: &str) -> Result<Seen, Status> {
    let request = v1::GetSnapshotObjectRequest {
        parent: snapshot.name.clone(),
        id: id.to_owned(),
        r#type: type_name.to_owned(),
    };
    match at.session.snapshots().get_snapshot_object(request).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            let links = answer.links.into_iter();
            Ok(Seen {
                snapshot,
                found: answer.object,
                links: links.map(|it| (it.relation, it.target_id)).collect(),
            })
        }
        Err(status) if status.code() == Code::NotFound => Ok(Seen {
            snapshot,
            found: None,
            links: BTreeSet::new(),
        }),
        Err(status) => Err(status),
    }
}

/// The history, the newest first; the oldest of the list is compared with nothing, and
/// is said to be the first only where there is none before.
fn entries(seen: &[Seen], type_name: &str, id: &str, more: bool) -> Vec<Entry> {
    (0..seen.len())
        .map(|n| {
            let before = seen[n + 1..].iter().find(|it| is_known(it, type_name));
            entry(&seen[n], before, type_name, id, more)
        })
        .collect()
}

/// Whether the snapshot can tell of the object.
fn is_known(seen: &Seen, type_name: &str) -> bool {
    let is_read = |it: &v1::KindRecord| it.kind == type_name && it.complete;
    seen.found.is_some() || seen.snapshot.kinds.iter().any(is_read)
}

fn entry(seen: &Seen, before: Option<&Seen>, type_name: &str, id: &str, more: bool) -> Entry {
    let mut entry = Entry {
        start: seen.snapshot.start_time.moment(),
        snapshot: show::text::id_of(&seen.snapshot.name).to_owned(),
        href: super::object_path(&format!("/{}", seen.snapshot.name), type_name, id),
        state: badge(seen, type_name),
        what: "",
        sides: None,
        links: Vec::new(),
    };
    if !is_known(seen, type_name) {
        entry.what = "The type was not read completely, so nothing is said of the object.";
        return entry;
    }
    let Some(before) = before else {
        entry.what = match (more, &seen.found) {
            (true, _) => "Compared on the next page.",
            (false, Some(_)) => "The oldest snapshot that is kept.",
            (false, None) => "",
        };
        return entry;
    };
    entry.what = match (&before.found, &seen.found) {
        (None, None) => "",
        (None, Some(_)) => "Not there before.",
        (Some(_), None) => "Gone since the snapshot before.",
        (Some(old), Some(new)) => {
            let sides = sides(type_name, id, old, new);
            entry.links = links(before, seen);
            let moved = moved(old, new);
            let same = sides.is_none() && entry.links.is_empty();
            entry.sides = sides;
            match moved {
                "" if same => "Unchanged.",
                moved => moved,
            }
        }
    };
    entry
}

fn badge(seen: &Seen, type_name: &str) -> Badge {
    match &seen.found {
        Some(found) => super::state(found.state()),
        None if is_known(seen, type_name) => Badge::new(Tone::Plain, "Absent"),
        None => Badge::new(Tone::Plain, "Not known"),
    }
}

/// What happened to the object as a whole.
fn moved(old: &v1::SnapshotObject, new: &v1::SnapshotObject) -> &'static str {
    match (old.state(), new.state()) {
        (ObjectState::Live, ObjectState::SoftDeleted) => "Moved into the recycle bin.",
        (ObjectState::SoftDeleted, ObjectState::Live) => "Restored from the recycle bin.",
        _ => "",
    }
}

/// The attributes that differ, side by side; nothing where none does.
fn sides(
    type_name: &str,
    id: &str,
    old: &v1::SnapshotObject,
    new: &v1::SnapshotObject,
) -> Option<Sides> {
    let object_type = ObjectType::from_name(type_name)?;
    let body = |it: &v1::SnapshotObject| serde_json::from_str::<Map<String, Value>>(&it.json).ok();
    let (old, new) = (body(old)?, body(new)?);
    let change = diff::Change {
        object: model::ObjectRef {
            object_type,
            id: ObjectId::parse(id).ok()?,
            name: String::new(),
        },
        kind: diff::ChangeKind::Modified,
        attributes: attribute_changes(object_type.spec(), Some(&old), Some(&new)),
        links: Vec::new(),
        obstacles: BTreeSet::new(),
    };
    let told = proto::convert::change(&change);
    let rows = show::compare::rows(&told.attributes, &[], &[]).ok()?;
    (!rows.is_empty()).then(|| Sides {
        caption: "What differs from the snapshot before".to_owned(),
        labels: ["Before", "In this snapshot"],
        rows,
    })
}

/// The links that differ.
fn links(before: &Seen, seen: &Seen) -> Vec<LinkLine> {
    let snapshot = format!("/{}", seen.snapshot.name);
    let old = format!("/{}", before.snapshot.name);
    let line = |came: bool, (relation, id): &(String, String)| LinkLine {
        came,
        relation: crate::console::snapshots::title(relation),
        href: super::object_path(if came { &snapshot } else { &old }, "", id),
        id: id.clone(),
    };
    let came = seen
        .links
        .difference(&before.links)
        .map(|it| line(true, it));
    let went = before
        .links
        .difference(&seen.links)
        .map(|it| line(false, it));
    came.chain(went).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(day: &str, json: Option<&str>, state: ObjectState, complete: bool) -> Seen {
        Seen {
            snapshot: Snapshot {
                name: format!("tenants/t/snapshots/{day}"),
                kinds: vec![v1::KindRecord {
                    kind: "user".to_owned(),
                    complete,
                    ..v1::KindRecord::default()
                }],
                ..Snapshot::default()
            },
            found: json.map(|json| v1::SnapshotObject {
                object: None,
                state: state.into(),
                json: json.to_owned(),
            }),
            links: BTreeSet::new(),
        }
    }

    #[test]
    fn each_snapshot_is_compared_with_the_one_before_that_knows() {
        let live = ObjectState::Live;
        let nurse = r#"{"id":"u-1","jobTitle":"Nurse"}"#;
        let doctor = r#"{"id":"u-1","jobTitle":"Doctor"}"#;
        let all = [
            seen("8", Some(doctor), live, true),
            seen("7", Some(doctor), ObjectState::SoftDeleted, true),
            seen("6", None, live, true),
            seen("5", Some(doctor), live, true),
            seen("4", None, live, false),
            seen("3", Some(nurse), live, true),
            seen("2", Some(nurse), live, true),
            seen("1", None, live, true),
        ];
        let told = entries(&all, "user", "u-1", false);
        let what: Vec<&str> = told.iter().map(|it| it.what).collect();
        assert_eq!(
            what,
            [
                "Restored from the recycle bin.",
                "Not there before.",
                "Gone since the snapshot before.",
                "",
                "The type was not read completely, so nothing is said of the object.",
                "Unchanged.",
                "Not there before.",
                "",
            ]
        );
        let sides = told[3].sides.as_ref().expect("they differ");
        assert_eq!(sides.rows.len(), 1);
        assert_eq!(sides.rows[0].path.concat(), "jobTitle");
        assert!(told[0].sides.is_none());
        let more = entries(&all[..1], "user", "u-1", true);
        assert_eq!(more[0].what, "Compared on the next page.");
    }

    #[test]
    fn links_that_came_and_went_are_told() {
        let mut old = seen("1", Some("{}"), ObjectState::Live, true);
        let mut new = seen("2", Some("{}"), ObjectState::Live, true);
        let link = |id: &str| ("user/manager".to_owned(), id.to_owned());
        old.links = [link("a"), link("b")].into();
        new.links = [link("b"), link("c")].into();
        let told: Vec<(bool, String)> = links(&old, &new)
            .into_iter()
            .map(|it| (it.came, it.id))
            .collect();
        assert_eq!(told, [(true, "c".to_owned()), (false, "a".to_owned())]);
    }
}

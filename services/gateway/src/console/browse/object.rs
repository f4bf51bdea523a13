//! One object of a snapshot: its properties and the links that it holds.
//!
//! Owns how JSON that Graph sent becomes a table. What may be done with a property is
//! read from the catalogue.

use super::{Head, object_path, snapshot, state};
use crate::console::asked::Asked;
use crate::console::error::PageError;
use crate::console::filters;
use crate::console::frame::{Answer, Frame, Section, page};
use crate::console::parts::{Badge, address};
use crate::console::session::Visit;
use crate::console::told::{Long, Object};
use askama::Template;
use axum::extract::Path;
use futures::StreamExt;
use model::ObjectType;
use model::catalogue::{Class, TypeSpec};
use proto::v1;
use serde_json::{Map, Value};

/// How many links stand on a page.
const LINKS: usize = 25;
/// How many ends of links are looked up at a time.
const AT_A_TIME: usize = 8;

/// A property.
#[derive(Debug, PartialEq)]
struct Property {
    name: String,
    note: &'static str,
    value: Shown,
}

/// A value as it is shown.
#[derive(Debug, PartialEq)]
enum Shown {
    /// There is none.
    Nothing,
    /// Plain text.
    Text(Long),
    /// Several of them.
    List(Vec<Long>),
    /// What is neither, as JSON.
    Json(String),
}

/// A link that the object holds.
struct Link {
    relation: String,
    href: String,
    id: String,
    /// What is at its other end; nothing where the snapshot does not hold it.
    target: Option<Object>,
}

#[derive(Template)]
#[template(path = "browse/object.html")]
struct Show {
    frame: Frame,
    snapshot: Head,
    object: Object,
    state: Badge,
    history: String,
    new_report: String,
    new_plan: String,
    properties: Vec<Property>,
    empty: Vec<String>,
    links: Vec<Link>,
    link_count: usize,
    first_link: usize,
    more_links: Option<String>,
    fewer_links: Option<String>,
}

pub(super) async fn show(
    at: Visit,
    Path((_, snapshot_id, id)): Path<(String, String, String)>,
    asked: Asked,
) -> Answer {
    let snapshot = snapshot(&at, &snapshot_id).await?;
    let head = Head::of(&snapshot);
    let request = v1::GetSnapshotObjectRequest {
        parent: snapshot.name.clone(),
        id: id.clone(),
        r#type: asked.text("type").to_owned(),
    };
    let answer = at.session.snapshots().get_snapshot_object(request).await?;
    let answer = answer.into_inner();
    let found = answer.object.unwrap_or_default();
    let object = Object::of(found.object.as_ref());
    let (properties, empty) = properties(&object.type_name, &found.json)?;
    let first: usize = asked.text("links_from").parse().unwrap_or(0);
    let count = answer.links.len();
    let shown = answer.links.into_iter().skip(first).take(LINKS);
    let links = futures::stream::iter(shown).map(|link| look_up(&at, &head, link));
    let links: Vec<Link> = links.buffered(AT_A_TIME).collect().await;
    let here = object_path(&head.href, &object.type_name, &object.id);
    let from = |place: usize| address_of_links(&here, place);
    page(&Show {
        frame: at.frame(Section::Snapshots, object.name.short.clone()),
        state: state(found.state()),
        history: at.path(&format!(
            "/objects/{}/{}/history",
            object.type_name, object.id
        )),
        new_report: address(
            &at.path("/reports/new"),
            &[("base", &head.id), ("id", &object.id)],
        ),
        new_plan: address(
            &at.path("/restores/new"),
            &[("snapshot", &head.id), ("id", &object.id)],
        ),
        more_links: (first + LINKS < count).then(|| from(first + LINKS)),
        fewer_links: (first > 0).then(|| from(first.saturating_sub(LINKS))),
        link_count: count,
        first_link: first,
        snapshot: head,
        object,
        properties,
        empty,
        links,
    })
}

fn address_of_links(here: &str, place: usize) -> String {
    match place {
        0 => format!("{here}#links"),
        place => format!("{here}&links_from={place}#links"),
    }
}

/// A link with what is at its other end.
async fn look_up(at: &Visit, head: &Head, link: v1::SnapshotLink) -> Link {
    let request = v1::GetSnapshotObjectRequest {
        parent: format!("{}/snapshots/{}", at.name(), head.id),
        id: link.target_id.clone(),
        r#type: String::new(),
    };
    let answer = at.session.snapshots().get_snapshot_object(request).await;
    let found = answer.ok().and_then(|answer| answer.into_inner().object);
    let target = found.map(|it| Object::of(it.object.as_ref()));
    let type_name = target
        .as_ref()
        .map(|it| it.type_name.as_str())
        .unwrap_or_default();
    Link {
        relation: relation(&link.relation),
        href: object_path(&head.href, type_name, &link.target_id),
        id: link.target_id,
        target,
    }
}

/// What a link of `group/members` is called on the page of a group.
fn relation(name: &str) -> String {
    let (_, relation) = name.split_once('/').unwrap_or(("", name));
    let mut letters = relation.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The properties that have a value, and the names of those that have none.
///
/// # Errors
/// Where what is stored is no JSON object.
fn properties(type_name: &str, json: &str) -> Result<(Vec<Property>, Vec<String>), PageError> {
    let body: Map<String, Value> = serde_json::from_str(json).map_err(|error| {
        tracing::error!(%error, "an object of a snapshot is no JSON object");
        PageError::internal()
    })?;
    let spec = ObjectType::from_name(type_name).map(ObjectType::spec);
    let place = |name: &str| {
        let known = spec.and_then(|spec| spec.properties.iter().position(|it| it.name == name));
        known.unwrap_or(usize::MAX)
    };
    let mut all: Vec<Property> = body
        .iter()
        .map(|(name, value)| Property {
            name: name.clone(),
            note: note(spec, name),
            value: shown(value),
        })
        .collect();
    all.sort_by_cached_key(|it| (place(&it.name), it.name.clone()));
    let (empty, full): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|it| it.value == Shown::Nothing);
    Ok((full, empty.into_iter().map(|it| it.name).collect()))
}

/// What a restore does with the property, where it is not simply written back.
fn note(spec: Option<&TypeSpec>, name: &str) -> &'static str {
    let Some(spec) = spec else { return "" };
    match spec.property(name).map(|it| it.class) {
        None => "kept, not compared",
        Some(Class::Restorable) => "",
        Some(Class::ReadOnly) => "read-only",
        Some(Class::Volatile) => "changes by itself; not compared",
        Some(Class::Secret) => "belongs to a secret; not written",
        Some(Class::OwnEndpoint) => "reported, not written",
        Some(Class::Copied) => "follows another object",
    }
}

fn shown(value: &Value) -> Shown {
    match value {
        Value::Null => Shown::Nothing,
        Value::String(text) if text.is_empty() => Shown::Nothing,
        Value::Array(values) if values.is_empty() => Shown::Nothing,
        Value::Object(fields) if fields.is_empty() => Shown::Nothing,
        Value::Array(values) if values.iter().all(|it| plain(it).is_some()) => {
            Shown::List(values.iter().filter_map(plain).collect())
        }
        Value::Array(_) | Value::Object(_) => Shown::Json(filters::tame(&format!("{value:#}"))),
        value => plain(value).map_or(Shown::Nothing, Shown::Text),
    }
}

/// A value that is one word, number or text.
fn plain(value: &Value) -> Option<Long> {
    match value {
        Value::String(text) => Some(Long::of(text)),
        Value::Bool(_) | Value::Number(_) => Some(Long::of(&value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_shown_in_the_order_of_the_catalogue() {
        let json = r#"{"zzz":1,"id":"u-1","jobTitle":"Nurse","displayName":"Ada",
            "businessPhones":["1","2"],"city":null,"department":"","otherMails":[],
            "passwordProfile":{"a":[1]}}"#;
        let (properties, empty) = properties("user", json).expect("an object");
        let names: Vec<&str> = properties.iter().map(|it| it.name.as_str()).collect();
        let place = |name: &str| names.iter().position(|it| *it == name).expect("there");
        assert!(place("displayName") < place("zzz"), "{names:?}");
        assert_eq!(empty.len(), 3);
        let value = |name: &str| &properties[place(name)].value;
        assert_eq!(value("jobTitle"), &Shown::Text(Long::of("Nurse")));
        assert_eq!(
            value("businessPhones"),
            &Shown::List(vec![Long::of("1"), Long::of("2")])
        );
        assert!(matches!(value("passwordProfile"), Shown::Json(text) if text.contains("\"a\"")));
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        assert!(properties("user", "[]").is_err());
        assert!(properties("user", "").is_err());
    }
}

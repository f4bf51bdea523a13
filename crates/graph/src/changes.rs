//! Pages of a delta function, taken apart.
//!
//! What they say is a hint: nothing here decides what an object is like.

use model::catalogue::LinkRead;
use model::json::apart;
use model::{LinkKind, Object, ObjectId, ObjectType};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::directory::{Announced, ChangeNext, ChangePage, Fate, NextLink, Presence, tracked};
use crate::error::GraphError;
use crate::json as wire;

/// Reads one page.
///
/// # Errors
/// [`GraphError::Unexpected`] where it is not one: a page has either a next link
/// or a delta link, and every item an id.
pub(crate) fn page(
    body: &[u8],
    object_type: ObjectType,
    path: &str,
) -> Result<ChangePage, GraphError> {
    #[derive(Deserialize)]
    struct Round {
        #[serde(default)]
        value: Option<Vec<Box<RawValue>>>,
        #[serde(default, rename = "@odata.nextLink")]
        next: Option<String>,
        #[serde(default, rename = "@odata.deltaLink")]
        delta: Option<String>,
    }
    let unexpected = |what: &str| GraphError::Unexpected {
        what: what.to_owned(),
        path: path.to_owned(),
    };
    let round: Round =
        serde_json::from_slice(body).map_err(|error| GraphError::garbled(&error, path))?;
    let next = match (round.next, round.delta) {
        (Some(next), None) => ChangeNext::Page(NextLink::new(next)),
        (None, Some(delta)) => ChangeNext::Round(NextLink::new(delta)),
        (Some(_), Some(_)) => return Err(unexpected("it has both a next and a delta link")),
        (None, None) => return Err(unexpected("it has neither a next nor a delta link")),
    };
    let Some(value) = round.value else {
        return Err(unexpected("it has no value array"));
    };
    let items = value
        .into_iter()
        .map(|item| announced(item, object_type).map_err(|what| unexpected(&what)))
        .collect::<Result<_, _>>()?;
    Ok(ChangePage { items, next })
}

#[derive(Deserialize)]
struct Removed {
    #[serde(default)]
    reason: String,
}

/// What stands at an item that went.
const REMOVED: &str = "@removed";

fn announced(item: Box<RawValue>, object_type: ObjectType) -> Result<Announced, String> {
    let shape = || "an item has another shape".to_owned();
    let lists: Vec<(LinkKind, String)> = tracked(object_type)
        .map(|kind| (kind, format!("{}@delta", kind.spec().relation)))
        .collect();
    let names: Vec<&str> = std::iter::once(REMOVED)
        .chain(lists.iter().map(|(_, name)| name.as_str()))
        .collect();
    let apart = apart(item.get(), &names).map_err(|_| shape())?;
    let id = Object::id_in(&apart).map_err(|error| format!("an item {}", wire::reason(&error)))?;
    let fate = match apart.member(REMOVED) {
        None => Fate::Live,
        Some(removed) => {
            let Removed { reason } = serde_json::from_str(removed.get()).map_err(|_| shape())?;
            match reason.as_str() {
                "changed" => Fate::SoftDeleted,
                _ => Fate::Gone,
            }
        }
    };
    let mut links = Vec::new();
    for (kind, name) in &lists {
        if let Some(list) = apart.member(name) {
            links.extend(links_of(list, *kind, name)?);
        }
    }
    Ok(Announced {
        id,
        fate,
        body: item,
        links,
    })
}

fn links_of(
    list: &RawValue,
    kind: LinkKind,
    name: &str,
) -> Result<Vec<(LinkKind, ObjectId, Presence)>, String> {
    let list: Vec<&RawValue> =
        serde_json::from_str(list.get()).map_err(|_| format!("{name} is no list"))?;
    let entry = |entry: &RawValue| {
        let malformed = |what: &str| format!("an entry of {name} {what}");
        let apart = apart(entry.get(), &[REMOVED]).map_err(|_| malformed("has another shape"))?;
        let id = Object::id_in(&apart).map_err(|error| malformed(&wire::reason(&error)))?;
        let presence = match apart.member(REMOVED) {
            Some(_) => Presence::Absent,
            None => Presence::Present,
        };
        Ok((kind, id, presence))
    };
    list.into_iter().map(entry).collect()
}

/// Whether the first round of a type's delta function shows its links.
pub(crate) fn shows_links(object_type: ObjectType) -> bool {
    let links = object_type.spec().links;
    links.iter().any(|link| link.read == LinkRead::Delta)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Expected<'a> = (&'a str, Fate, &'a [(&'a str, Presence)]);

    fn check(items: &str, expected: &[Expected<'_>]) {
        let body = format!(r#"{{"@odata.deltaLink":"d","value":{items}}}"#);
        let page = page(body.as_bytes(), ObjectType::Group, "/groups/delta").unwrap();
        assert_eq!(page.next, ChangeNext::Round(NextLink::new("d".to_owned())));
        let found: Vec<_> = page
            .items
            .iter()
            .map(|item| {
                let links: Vec<_> = item
                    .links
                    .iter()
                    .map(|(_, id, presence)| (id.as_str(), *presence))
                    .collect();
                (item.id.as_str(), item.fate, links)
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(id, fate, links)| (*id, *fate, links.to_vec()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn items_say_what_became_of_objects_and_links() {
        check(
            r##"[{"id":"a","displayName":"A"},
                {"id":"b","@removed":{"reason":"changed"}},
                {"id":"c","@removed":{"reason":"deleted"}},
                {"id":"d","members@delta":[{"@odata.type":"#microsoft.graph.user","id":"u"},
                    {"id":"v","@removed":{"reason":"deleted"}}],"owners@delta":[{"id":"w"}]}]"##,
            &[
                ("a", Fate::Live, &[]),
                ("b", Fate::SoftDeleted, &[]),
                ("c", Fate::Gone, &[]),
                (
                    "d",
                    Fate::Live,
                    &[
                        ("u", Presence::Present),
                        ("v", Presence::Absent),
                        ("w", Presence::Present),
                    ],
                ),
            ],
        );
        check("[]", &[]);
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let check = |body: &str, what: &str| {
            let error = page(body.as_bytes(), ObjectType::User, "/users/delta").unwrap_err();
            assert!(error.to_string().ends_with(what), "{error}");
        };
        check(r#"{"value":[]}"#, "it has neither a next nor a delta link");
        check(
            r#"{"value":[],"@odata.nextLink":"a","@odata.deltaLink":"b"}"#,
            "it has both a next and a delta link",
        );
        check(r#"{"@odata.deltaLink":"b"}"#, "it has no value array");
        check(
            r#"{"@odata.deltaLink":"b","value":[{"x":1}]}"#,
            "an item has no id",
        );
    }
}

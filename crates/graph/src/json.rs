//! Taking apart the JSON that Graph sends, without rewriting what is kept.

use model::audit::Record;
use model::json::apart;
use model::{Object, ObjectId, ObjectState, ObjectType};
use serde_json::value::RawValue;

use crate::directory::{AuditPage, NextLink, Page};
use crate::error::GraphError;

/// What an envelope adds to the object in it.
const CONTEXT: &str = "@odata.context";

/// Reads a collection: `value` and `@odata.nextLink`.
pub(crate) fn page(body: &[u8], path: &str) -> Result<Page, GraphError> {
    #[derive(serde::Deserialize)]
    struct Collection {
        #[serde(default)]
        value: Option<Vec<Box<RawValue>>>,
        #[serde(default, rename = "@odata.nextLink")]
        next: Option<String>,
    }
    let collection: Collection =
        serde_json::from_slice(body).map_err(|error| GraphError::garbled(&error, path))?;
    let Some(items) = collection.value else {
        return Err(GraphError::Unexpected {
            what: "it has no value array".to_owned(),
            path: path.to_owned(),
        });
    };
    Ok(Page {
        items,
        next: collection.next.map(NextLink::new),
    })
}

/// Reads a page of the audit log. One item that is no entry costs no other.
pub(crate) fn audits(body: &[u8], path: &str) -> Result<AuditPage, GraphError> {
    let Page { items, next } = page(body, path)?;
    let mut page = AuditPage {
        next,
        ..AuditPage::default()
    };
    for item in items {
        let value = serde_json::from_str(item.get()).ok();
        match value.as_ref().map(Record::from_value) {
            Some(Ok(record)) => page.records.extend(record),
            Some(Err(_)) | None => page.malformed += 1,
        }
    }
    Ok(page)
}

/// Reads the single relation that was expanded in an object, as a page of at most one.
pub(crate) fn single(body: &[u8], relation: &str, path: &str) -> Result<Page, GraphError> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let object = apart(text, &[relation]).map_err(|error| GraphError::garbled(&error, path))?;
    let end = object.member(relation).map(ToOwned::to_owned);
    Ok(Page {
        items: end.into_iter().collect(),
        next: None,
    })
}

/// Reads the one object of a type that has no list, as a page of one.
pub(crate) fn singleton(body: &[u8], path: &str) -> Result<Page, GraphError> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let garbled = |error| GraphError::garbled(&error, path);
    let object = apart(text, &[CONTEXT]).map_err(garbled)?;
    let item = RawValue::from_string(object.rest().into_owned()).map_err(garbled)?;
    Ok(Page {
        items: vec![item],
        next: None,
    })
}

/// Reads one object, without what the envelope added to it.
pub(crate) fn object(
    object_type: ObjectType,
    state: ObjectState,
    id: &ObjectId,
    json: &str,
    path: &str,
) -> Result<Object, GraphError> {
    let malformed = |what: String| GraphError::Malformed {
        what,
        path: path.to_owned(),
    };
    let whole = apart(json, &[CONTEXT]).map_err(|error| GraphError::garbled(&error, path))?;
    let object = Object::from_apart(object_type, state, &whole)
        .map_err(|error| malformed(reason(&error)))?;
    if !object.id.as_str().eq_ignore_ascii_case(id.as_str()) {
        return Err(malformed("it has the id of another object".to_owned()));
    }
    Ok(object)
}

/// The `id` of an item.
pub(crate) fn id(item: &RawValue) -> Result<ObjectId, String> {
    Object::id_of(item.get()).map_err(|error| reason(&error))
}

/// Why something is no object, without repeating what it is.
pub(crate) fn reason(error: &model::object::MalformedObject) -> String {
    use model::object::MalformedObject;
    match error {
        MalformedObject::Json(_) => "is not json of the right shape",
        MalformedObject::NotAnObject => "is no json object",
        MalformedObject::NoId => "has no id",
        MalformedObject::BadId(_) => "has an id that is none",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_item_costs_no_other() {
        let body = br#"{"value": [
            {"id": "a", "activityDateTime": "2026-01-01T00:00:00Z", "activityDisplayName": "Update user", "result": "success"},
            {"id": "b", "activityDateTime": "2026-01-01T00:00:00Z", "activityDisplayName": "Update user", "result": "failure"},
            {"id": "c"}, 7], "@odata.nextLink": "https://g/next"}"#;
        let page = audits(body, "/auditLogs/directoryAudits").unwrap();
        let ids: Vec<&str> = page
            .records
            .iter()
            .map(|record| record.entry.id.as_str())
            .collect();
        assert_eq!((ids, page.malformed), (vec!["a"], 2));
        assert_eq!(page.next, Some(NextLink::new("https://g/next".to_owned())));
        assert!(audits(b"{}", "/auditLogs/directoryAudits").is_err());
    }
}

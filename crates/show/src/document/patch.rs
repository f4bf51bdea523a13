//! A line for each object with the JSON Patch (RFC 6902) that turns its old state
//! into the current one.
//!
//! Owns how an attribute's change reads as operations. The values that a report
//! holds are canonical: what is empty is absent and sets are sorted. A set is
//! replaced as a whole, and before each change the old value is tested, so that a
//! patch fits no other object and can be read backwards.

use std::io::Write;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, RemoveOperation, ReplaceOperation, TestOperation};
use proto::v1::{self, LinkDirection};
use serde_json::{Value, json};

use super::{Document, Error, direction, key, value};

/// Lines that are being written.
pub struct Lines<W> {
    out: W,
}

impl<W: Write> Lines<W> {
    /// Begins without a line.
    pub fn begin(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Document for Lines<W> {
    fn change(&mut self, change: &v1::Change) -> Result<(), Error> {
        let object = change.object.clone().unwrap_or_default();
        let links: Result<Vec<Value>, Error> = change.links.iter().map(link).collect();
        let line = json!({
            "type": object.r#type,
            "id": object.id,
            "name": object.display_name,
            "kind": key(change.kind().as_str_name(), "CHANGE_KIND_"),
            "patch": operations(&change.attributes)?,
            "links": links?,
        });
        writeln!(self.out, "{line}").map_err(Error::Output)
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

/// Links are no part of an object's JSON, so no operation can speak of them.
fn link(change: &v1::LinkChange) -> Result<Value, Error> {
    let op = match direction(change)? {
        LinkDirection::Removed => "remove",
        LinkDirection::Added | LinkDirection::Unspecified => "add",
    };
    Ok(json!({
        "op": op,
        "relation": change.relation,
        "id": change.target_id,
        "name": change.target_name,
    }))
}

/// What turns the old values into the current ones.
fn operations(attributes: &[v1::AttributeChange]) -> Result<Vec<PatchOperation>, Error> {
    let mut operations = Vec::with_capacity(2 * attributes.len());
    for attribute in attributes {
        let path = pointer(&attribute.path);
        let side = |text: &Option<String>| text.as_deref().map(value).transpose();
        let (old, current) = (side(&attribute.before_json)?, side(&attribute.after_json)?);
        let replaces = old.is_some();
        operations.extend(old.map(|value| {
            PatchOperation::Test(TestOperation {
                path: path.clone(),
                value,
            })
        }));
        operations.push(match (replaces, current) {
            (true, Some(value)) => PatchOperation::Replace(ReplaceOperation { path, value }),
            (false, Some(value)) => PatchOperation::Add(AddOperation { path, value }),
            (true, None) => PatchOperation::Remove(RemoveOperation { path }),
            (false, None) => return Err(Error::NotUnderstood("it has a change without a value")),
        });
    }
    Ok(operations)
}

/// The JSON Pointer to an attribute.
///
/// Dots part the keys of a path, but an annotation such as `@odata.type` is one
/// key.
fn pointer(path: &str) -> PointerBuf {
    let at = if path.starts_with('@') {
        Some(0)
    } else {
        path.find(".@").map(|dot| dot + 1)
    };
    let (keys, annotation) = path.split_at(at.unwrap_or(path.len()));
    let keys = keys
        .strip_suffix('.')
        .filter(|_| at.is_some())
        .unwrap_or(keys);
    let keys = keys.split('.').filter(|_| at != Some(0));
    PointerBuf::from_tokens(keys.chain(at.map(|_| annotation)))
}

#[cfg(test)]
mod tests;

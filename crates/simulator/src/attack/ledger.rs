//! The account of deeds: one entry per object, edits of the same object merged.

use serde_json::Value;

use super::{Deed, DeedKind, id, name};

/// Deeds so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    deeds: Vec<Deed>,
}

impl Ledger {
    /// Notes a deed on `object`.
    pub(super) fn note(
        &mut self,
        object_type: &str,
        object: &Value,
        kind: DeedKind,
        properties: &[&str],
        sentence: &str,
    ) {
        let deed = self.entry(object_type, object, kind, sentence);
        deed.properties
            .extend(properties.iter().map(|&property| property.to_owned()));
        deed.properties.sort();
        deed.properties.dedup();
    }

    /// Notes links that changed on `object`.
    pub(super) fn links(
        &mut self,
        object_type: &str,
        object: &Value,
        links: &[(&str, &str, &str)],
        sentence: &str,
    ) {
        let deed = self.entry(object_type, object, DeedKind::Modified, sentence);
        deed.links
            .extend(links.iter().map(|(relation, change, other)| {
                (
                    (*relation).to_owned(),
                    (*change).to_owned(),
                    (*other).to_owned(),
                )
            }));
    }

    fn entry(
        &mut self,
        object_type: &str,
        object: &Value,
        kind: DeedKind,
        sentence: &str,
    ) -> &mut Deed {
        let held = self
            .deeds
            .iter()
            .position(|deed| deed.object_type == object_type && deed.id == id(object));
        let at = held.unwrap_or_else(|| {
            self.deeds.push(Deed {
                object_type: object_type.to_owned(),
                id: id(object).to_owned(),
                display_name: name(object).to_owned(),
                kind,
                properties: Vec::new(),
                links: Vec::new(),
                sentence: String::new(),
            });
            self.deeds.len() - 1
        });
        let deed = &mut self.deeds[at];
        deed.kind = deed.kind.max(kind);
        if !deed.sentence.is_empty() {
            deed.sentence.push_str("; ");
        }
        deed.sentence.push_str(sentence);
        deed
    }

    pub(super) fn into_deeds(self) -> Vec<Deed> {
        self.deeds
    }
}

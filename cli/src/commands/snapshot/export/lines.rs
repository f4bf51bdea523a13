//! One file per type with an object on each line, as Graph sent it, and one of the
//! links.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use model::{Link, Object, ObjectState};
use serde_json::json;

use super::Root;
use crate::failure::Failure;

const LINKS: &str = "links.jsonl";

/// The files that are open, by name.
#[derive(Debug, Default)]
pub(super) struct Lines {
    files: HashMap<String, BufWriter<File>>,
}

impl Lines {
    pub(super) fn object(&mut self, root: &Root, object: &Object) -> Result<(), Failure> {
        let name = object.object_type.name();
        let name = match object.state {
            ObjectState::Live => format!("{name}.jsonl"),
            ObjectState::Deleted => format!("deleted-{name}.jsonl"),
        };
        // In JSON an end of line is never part of a text.
        let line = object.json.replace(['\n', '\r'], " ");
        self.line(root, name, &line)
    }

    pub(super) fn link(&mut self, root: &Root, link: &Link) -> Result<(), Failure> {
        let line = json!({
            "relation": link.kind.name(),
            "source": link.source.as_str(),
            "target": link.target.as_str(),
        });
        self.line(root, LINKS.to_owned(), &line.to_string())
    }

    fn line(&mut self, root: &Root, name: String, line: &str) -> Result<(), Failure> {
        let path = PathBuf::from(&name);
        let file = match self.files.entry(name) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(new) => new.insert(BufWriter::new(root.file(&path)?)),
        };
        writeln!(file, "{line}").map_err(|error| root.failed(&path, error))
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        for (name, mut file) in self.files {
            file.flush().map_err(|source| Failure::Local {
                context: format!("{name} cannot be written"),
                source,
            })?;
        }
        Ok(())
    }
}

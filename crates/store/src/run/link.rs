//! The links run: who is linked to whom, by which relation.

use std::cmp::Ordering;

use model::{Link, LinkKind, ObjectId};
use parquet::file::properties::WriterPropertiesBuilder;

use super::column::{ColumnReader, ColumnWriter, text};
use super::{Malformed, Ordered, Row};
use crate::error::StoreError;
use crate::manifest::RunKind;

pub(super) const KIND: usize = 0;
pub(super) const SOURCE: usize = 1;
const TARGET: usize = 2;
const STATE: usize = 3;

/// What an id takes in a dictionary: a GUID's text and its length.
const ID_BYTES: usize = 40;

/// A link in a run, or in a change run the news that it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// The link.
    pub link: Link,
    /// Whether it is there.
    pub presence: Presence,
}

/// Whether a link is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Present,
    /// It is no longer.
    Gone,
}

impl Presence {
    fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Gone => "gone",
        }
    }

    fn from_name(name: &str) -> Result<Self, Malformed> {
        [Self::Present, Self::Gone]
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| Malformed(format!("link state {name:?} is not known to this version")))
    }
}

impl From<Link> for LinkRow {
    fn from(link: Link) -> Self {
        Self {
            link,
            presence: Presence::Present,
        }
    }
}

impl Ordered for LinkRow {
    fn order(&self, other: &Self) -> Ordering {
        self.link.cmp(&other.link)
    }

    fn label(&self) -> String {
        let Link {
            kind,
            source,
            target,
        } = &self.link;
        format!("{} {source} -> {target}", kind.name())
    }
}

impl Row for LinkRow {
    const KIND: RunKind = RunKind::Links;
    // The first runs that were written had no state: all their links are there.
    const SCHEMAS: &'static [&'static str] = &[
        "message links {
        REQUIRED BYTE_ARRAY kind (STRING);
        REQUIRED BYTE_ARRAY source (STRING);
        REQUIRED BYTE_ARRAY target (STRING);
        REQUIRED BYTE_ARRAY state (STRING);
    }",
        "message links {
        REQUIRED BYTE_ARRAY kind (STRING);
        REQUIRED BYTE_ARRAY source (STRING);
        REQUIRED BYTE_ARRAY target (STRING);
    }",
    ];
    // Ids take the room of a link, and are random. Many links in a group hold the
    // same ones, each of which is stored once: see `columns`.
    const GROUP_ROWS: usize = 250_000;
    const GROUPS_AT_ONCE: usize = 2;
    const SORTED_BY: &'static [i32] = &[0, 1, 2];
    const NAMED_BY: (usize, usize) = (KIND, SOURCE);

    fn same_group(&self, other: &Self) -> bool {
        self.link.kind == other.link.kind
    }

    fn columns(properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
        // Room for all ids of a group that occur twice or more.
        properties.set_dictionary_page_size_limit(ID_BYTES * Self::GROUP_ROWS)
    }

    fn write(rows: Vec<Self>, columns: &mut ColumnWriter) -> Result<(), StoreError> {
        columns.texts(rows.iter().map(|row| row.link.kind.name()))?;
        columns.texts(rows.iter().map(|row| row.link.source.as_str()))?;
        columns.texts(rows.iter().map(|row| row.link.target.as_str()))?;
        columns.texts(rows.iter().map(|row| row.presence.name()))
    }

    fn read(columns: &ColumnReader<'_>) -> Result<Vec<Self>, Malformed> {
        let (kinds, sources) = (columns.texts(KIND)?, columns.texts(SOURCE)?);
        let targets = columns.texts(TARGET)?;
        let states = match columns.count() > STATE {
            true => Some(columns.texts(STATE)?),
            false => None,
        };
        let presence = |index: usize| match &states {
            Some(states) => Presence::from_name(text(&states[index])?),
            None => Ok(Presence::Present),
        };
        let cells = kinds.iter().zip(&sources).zip(&targets).enumerate();
        cells
            .map(|(index, ((kind, source), target))| {
                Ok(LinkRow {
                    link: link(text(kind)?, text(source)?, text(target)?)?,
                    presence: presence(index)?,
                })
            })
            .collect()
    }
}

fn link(kind: &str, source: &str, target: &str) -> Result<Link, Malformed> {
    let end = |id: &str| ObjectId::parse(id).map_err(|error| Malformed(error.to_string()));
    let kind = LinkKind::from_name(kind)
        .ok_or_else(|| Malformed(format!("link kind {kind:?} is not known to this version")))?;
    Ok(Link {
        kind,
        source: end(source)?,
        target: end(target)?,
    })
}

//! The links run: who is linked to whom, by which relation.

use std::cmp::Ordering;
use std::io::Write;

use model::{Link, LinkKind, ObjectId};
use parquet::file::properties::WriterPropertiesBuilder;

use super::column::{ColumnReader, ColumnWriter, text};
use super::{Malformed, Row};
use crate::error::StoreError;
use crate::manifest::RunKind;

const KIND: usize = 0;
const SOURCE: usize = 1;
const TARGET: usize = 2;

impl Row for Link {
    const KIND: RunKind = RunKind::Links;
    const SCHEMA: &'static str = "message links {
        REQUIRED BYTE_ARRAY kind (STRING);
        REQUIRED BYTE_ARRAY source (STRING);
        REQUIRED BYTE_ARRAY target (STRING);
    }";
    const SORTED_BY: &'static [i32] = &[0, 1, 2];

    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn same_group(&self, other: &Self) -> bool {
        self.kind == other.kind
    }

    fn label(&self) -> String {
        format!("{} {} -> {}", self.kind.name(), self.source, self.target)
    }

    fn columns(properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
        properties
    }

    fn write<W: Write + Send>(
        rows: Vec<Self>,
        columns: &mut ColumnWriter<'_, '_, W>,
    ) -> Result<(), StoreError> {
        columns.texts(rows.iter().map(|link| link.kind.name()))?;
        columns.texts(rows.iter().map(|link| link.source.as_str()))?;
        columns.texts(rows.iter().map(|link| link.target.as_str()))
    }

    fn read(columns: &ColumnReader<'_>) -> Result<Vec<Self>, Malformed> {
        let (kinds, sources, targets) = (
            columns.texts(KIND)?,
            columns.texts(SOURCE)?,
            columns.texts(TARGET)?,
        );
        let cells = kinds.iter().zip(&sources).zip(&targets);
        cells
            .map(|((kind, source), target)| link(text(kind)?, text(source)?, text(target)?))
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

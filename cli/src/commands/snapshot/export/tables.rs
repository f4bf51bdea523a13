//! Plain Parquet, with the columns that the vault has inside its encryption.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use model::{Link, Object};
use store::StoreError;
use store::run::{LinkRow, ObjectRow, Row, RunWriter};

use super::Root;
use crate::failure::Failure;

type Table<R> = RunWriter<R, BufWriter<File>>;

/// The two files.
pub(super) struct Tables {
    objects: Table<ObjectRow>,
    links: Table<LinkRow>,
}

impl Tables {
    pub(super) fn begin(root: &Root) -> Result<Self, Failure> {
        Ok(Self {
            objects: table(root, "objects.parquet")?,
            links: table(root, "links.parquet")?,
        })
    }

    pub(super) fn object(&mut self, object: Object) -> Result<(), Failure> {
        self.objects.push(object.into()).map_err(failed)
    }

    pub(super) fn link(&mut self, link: Link) -> Result<(), Failure> {
        self.links.push(link.into()).map_err(failed)
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        end(self.objects)?;
        end(self.links)
    }
}

fn table<R: Row>(root: &Root, name: &str) -> Result<Table<R>, Failure> {
    let file = BufWriter::new(root.file(Path::new(name))?);
    RunWriter::new(file).map_err(failed)
}

fn end<R: Row>(table: Table<R>) -> Result<(), Failure> {
    let (mut file, _) = table.finish().map_err(failed)?;
    file.flush().map_err(unwritten)
}

fn failed(error: StoreError) -> Failure {
    unwritten(io::Error::other(error))
}

fn unwritten(source: io::Error) -> Failure {
    Failure::Local {
        context: "a Parquet file cannot be written".to_owned(),
        source,
    }
}

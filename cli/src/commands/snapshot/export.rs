//! `rewind snapshot export`: writes a snapshot into a folder, for other programs.
//!
//! Owns what an export is: a folder that was empty, files that only their owner
//! may read, and `complete.json`, written last, without which it was
//! interrupted. It must never overwrite a file, nor write outside the folder.

mod folders;
mod lines;
mod tables;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use proto::v1::{self, SnapshotState};
use runtime::exit;
use serde_json::{Value, json};

use crate::args::{ExportFormat, ExportSnapshot, Global};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::fields;

use folders::Folders;
use lines::Lines;
use tables::Tables;

/// What says that an export came to its end.
const COMPLETE: &str = "complete.json";

pub(super) async fn export(
    args: &ExportSnapshot,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.snapshot.tenant.as_ref()).await?;
    let request = session.client.stream(v1::ReadSnapshotRequest {
        name: proto::name::snapshot(&tenant, &args.snapshot.id),
        types: args.types.clone(),
    });
    let answer = session.client.snapshots().read_snapshot(request).await?;
    let mut stream = answer.into_inner();
    let first = stream.message().await?;
    let snapshot = first.and_then(|message| message.snapshot);
    let snapshot = snapshot.ok_or(Failure::Answer("it names no snapshot"))?;
    let mut export = Export::into_folder(&args.to, args.format)?;
    while let Some(message) = stream.message().await? {
        export.take(message)?;
    }
    let (objects, links) = export.finish(&snapshot, args)?;
    output.result(
        || {
            json!({
                "snapshot": snapshot.name,
                "folder": args.to.display().to_string(),
                "format": args.format.name(),
                "objects": objects,
                "links": links,
            })
        },
        || {
            fields([
                ("Snapshot", snapshot.name.clone()),
                ("Folder", args.to.display().to_string()),
                ("Objects", objects.to_string()),
                ("Links", links.to_string()),
            ])
        },
    )?;
    Ok(warned(&snapshot, &args.types, &output))
}

/// Says which of the kinds that were asked for the snapshot does not hold whole.
fn warned(snapshot: &v1::Snapshot, types: &[String], output: &Output) -> u8 {
    if snapshot.state() == SnapshotState::Complete {
        return exit::DONE;
    }
    let asked = |record: &&v1::KindRecord| {
        let kind = model::snapshot::Kind::from_name(&record.kind);
        let name = kind.map(|kind| kind.object_type().name().to_owned());
        types.is_empty() || name.is_none_or(|name| types.contains(&name))
    };
    let kinds = snapshot.kinds.iter().filter(|record| !record.complete);
    let mut code = exit::DONE;
    for record in kinds.filter(asked) {
        code = exit::WARNINGS;
        output.warning(&format!(
            "{} could not be read completely: {}",
            record.kind, record.problem
        ));
    }
    code
}

/// A folder that is being filled.
struct Export {
    root: Root,
    written: Written,
    objects: u64,
    links: u64,
}

enum Written {
    Folders(Folders),
    Lines(Lines),
    Tables(Box<Tables>),
}

impl Export {
    /// Begins an export.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the folder holds anything; [`Failure::Local`].
    fn into_folder(folder: &Path, format: ExportFormat) -> Result<Self, Failure> {
        let root = Root::prepare(folder)?;
        let written = match format {
            ExportFormat::Json => Written::Folders(Folders::default()),
            ExportFormat::Jsonl => Written::Lines(Lines::default()),
            ExportFormat::Parquet => Written::Tables(Box::new(Tables::begin(&root)?)),
        };
        Ok(Self {
            root,
            written,
            objects: 0,
            links: 0,
        })
    }

    fn take(&mut self, message: v1::ReadSnapshotResponse) -> Result<(), Failure> {
        for object in message.objects {
            let object = object_of(object)?;
            self.objects += 1;
            match &mut self.written {
                Written::Folders(folders) => folders.object(&self.root, &object)?,
                Written::Lines(lines) => lines.object(&self.root, &object)?,
                Written::Tables(tables) => tables.object(object)?,
            }
        }
        for link in message.links {
            let link = link_of(&link)?;
            self.links += 1;
            match &mut self.written {
                Written::Folders(folders) => folders.link(&self.root, &link)?,
                Written::Lines(lines) => lines.link(&self.root, &link)?,
                Written::Tables(tables) => tables.link(link)?,
            }
        }
        Ok(())
    }

    /// Ends the export; how many objects and links it holds.
    fn finish(self, snapshot: &v1::Snapshot, args: &ExportSnapshot) -> Result<(u64, u64), Failure> {
        match self.written {
            Written::Folders(_) => {}
            Written::Lines(lines) => lines.finish()?,
            Written::Tables(tables) => tables.finish()?,
        }
        let complete = json!({
            "snapshot": snapshot.name,
            "format": args.format.name(),
            "types": args.types,
            "objects": self.objects,
            "links": self.links,
        });
        self.root.json(Path::new(COMPLETE), &complete)?;
        Ok((self.objects, self.links))
    }
}

/// The folder, below which everything is written.
struct Root(PathBuf);

impl Root {
    fn prepare(folder: &Path) -> Result<Self, Failure> {
        let root = Self(folder.to_owned());
        let there = match std::fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(root.failed(Path::new(""), error)),
        };
        if there {
            return Err(Failure::usage(format!(
                "{} is not empty; an export begins with an empty or absent folder",
                folder.display()
            )));
        }
        root.folder(Path::new(""))?;
        Ok(root)
    }

    fn failed(&self, path: &Path, source: io::Error) -> Failure {
        Failure::Local {
            context: format!("{} cannot be written", self.0.join(path).display()),
            source,
        }
    }

    fn folder(&self, path: &Path) -> Result<(), Failure> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let made = builder.create(self.0.join(path));
        made.map_err(|error| self.failed(path, error))
    }

    /// Creates a file, with the folders that it lies in.
    fn file(&self, path: &Path) -> Result<File, Failure> {
        if let Some(folder) = path.parent() {
            self.folder(folder)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.0.join(path));
        file.map_err(|error| self.failed(path, error))
    }

    /// Writes a file of JSON, laid out for people.
    fn json(&self, path: &Path, value: &Value) -> Result<(), Failure> {
        let mut file = self.file(path)?;
        file.write_all(format!("{value:#}\n").as_bytes())
            .map_err(|error| self.failed(path, error))
    }
}

/// An id as the name of a file or folder: ids hold letters, digits, hyphens,
/// underscores and dots, of which a leading dot would name another folder or
/// hide the file.
fn file_name(id: &ObjectId) -> String {
    match id.as_str().strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => id.to_string(),
    }
}

/// The server's word for an object, which is not trusted to be one.
fn object_of(message: v1::SnapshotObject) -> Result<Object, Failure> {
    let about = message.object.as_ref();
    let name = about.map_or("", |about| about.r#type.as_str());
    let object_type =
        ObjectType::from_name(name).ok_or(Failure::Answer("it has objects of an unknown type"))?;
    let state = match message.state() {
        v1::ObjectState::SoftDeleted => ObjectState::Deleted,
        v1::ObjectState::Live | v1::ObjectState::Unspecified => ObjectState::Live,
    };
    Object::from_json(object_type, state, &message.json)
        .map_err(|_| Failure::Answer("it has an object whose JSON cannot be read"))
}

fn link_of(message: &v1::SnapshotLink) -> Result<Link, Failure> {
    let end = |id: &str| {
        ObjectId::parse(id).map_err(|_| Failure::Answer("it has a link without two ends"))
    };
    Ok(Link {
        kind: LinkKind::from_name(&message.relation)
            .ok_or(Failure::Answer("it has links of an unknown kind"))?,
        source: end(&message.source_id)?,
        target: end(&message.target_id)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_leaves_its_folder() {
        for (id, name) in [
            ("..", "%2E."),
            (".", "%2E"),
            (".git", "%2Egit"),
            ("a.b", "a.b"),
            ("A_b-1", "A_b-1"),
        ] {
            let id = ObjectId::parse(id).expect("an id");
            assert_eq!(file_name(&id), name);
        }
        for id in ["a/b", "a\\b", "", "a\0b", "a:b"] {
            assert!(ObjectId::parse(id).is_err(), "{id:?}");
        }
    }
}

//! The probes: small files in a folder of their own, written and looked at.

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutResult, Result,
};

use super::{Outcome, Seen, failed, ok, said, unknown};
use crate::error::StoreError;
use crate::file::{self, Created, is_taken};
use crate::{chance, layout};

/// How many create one key at once.
const WRITERS: usize = 8;
/// How often they do.
const ROUNDS: usize = 3;
/// How often a list is asked for right after a write.
const LISTS: usize = 12;

/// What became of a file that was overwritten and deleted.
pub(super) struct Kept {
    pub(super) overwrite: Result<()>,
    pub(super) delete: Result<()>,
    /// Whether the first content stayed readable; nothing where that could not
    /// be seen.
    pub(super) earlier_version: Option<bool>,
}

/// One trial of one store.
pub(super) struct Probe<'a> {
    store: &'a dyn ObjectStore,
    folder: Path,
}

impl<'a> Probe<'a> {
    /// Writes a first file, so that a store that is out of reach is told apart
    /// from one that lacks a property.
    pub(super) async fn begin(store: &'a dyn ObjectStore) -> std::result::Result<Self, StoreError> {
        let folder = layout::probe(&chance::token());
        let probe = Self { store, folder };
        let first = probe.path("first");
        match probe.create(&first, "first").await {
            Ok(_) => Ok(probe),
            Err(error) => Err(StoreError::unavailable(first.as_ref(), error)),
        }
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.folder))
    }

    async fn create(&self, path: &Path, content: &'static str) -> Result<PutResult> {
        let options = PutOptions::from(PutMode::Create);
        self.store.put_opts(path, content.into(), options).await
    }

    /// The content of a file; `None` where there is none.
    async fn read(&self, path: &Path, options: GetOptions) -> Result<Option<Bytes>> {
        let answer = async { self.store.get_opts(path, options).await?.bytes().await };
        match answer.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn conditional_create(&self) -> Seen {
        let path = self.path("create");
        if let Err(error) = self.create(&path, "one").await {
            return failed(format!("a first create was refused: {}", said(&error)));
        }
        match self.create(&path, "two").await {
            Ok(_) => return failed("a second create of one key was accepted"),
            Err(error) if is_taken(&error) => {}
            Err(error) => {
                return failed(format!(
                    "a second create of one key was answered by {}",
                    said(&error)
                ));
            }
        }
        match self.read(&path, GetOptions::default()).await {
            Ok(Some(found)) if found == "one" => ok("a second create of one key is refused"),
            Ok(_) => failed("a refused create changed the file"),
            Err(error) => failed(format!("the file cannot be read: {}", said(&error))),
        }
    }

    pub(super) async fn create_race(&self) -> Seen {
        for round in 0..ROUNDS {
            let path = self.path(&format!("race-{round}"));
            let contents: Vec<Bytes> = (0..WRITERS)
                .map(|n| Bytes::from(format!("writer {n}")))
                .collect();
            let writers = contents
                .iter()
                .map(|content| file::create(self.store, &path, content.clone()));
            let outcomes = join_all(writers).await;
            let winners: Vec<&Bytes> = contents
                .iter()
                .zip(&outcomes)
                .filter(|(_, outcome)| matches!(outcome, Ok(Created::Ours)))
                .map(|(content, _)| content)
                .collect();
            let [winner] = winners[..] else {
                return failed(format!(
                    "of {WRITERS} writers at once {} were told that the file is theirs",
                    winners.len()
                ));
            };
            match self.read(&path, GetOptions::default()).await {
                Ok(Some(found)) if found == *winner => {}
                Ok(_) => return failed("the file is not that of the writer who was told so"),
                Err(error) => {
                    return failed(format!("the file cannot be read: {}", said(&error)));
                }
            }
        }
        ok("of several writers at once one succeeds")
    }

    pub(super) async fn read_after_write(&self) -> Seen {
        let trial = async {
            for n in 0..4 {
                let path = self.path(&format!("read-{n}"));
                if self.read(&path, GetOptions::default()).await?.is_some() {
                    return Ok(failed("a file was there before it was written"));
                }
                self.create(&path, "written").await?;
                let found = self.read(&path, GetOptions::default()).await?;
                if found.as_deref() != Some(b"written".as_slice()) {
                    return Ok(failed("a file that was written could not be read at once"));
                }
                if self.store.head(&path).await?.size != 7 {
                    return Ok(failed("a file that was written is told with another size"));
                }
            }
            Ok(ok("a file is read as soon as it is written"))
        };
        settled(trial.await)
    }

    pub(super) async fn listing(&self) -> Seen {
        let names = ["list/a/1", "list/a/2", "list/b/1", "list/c"];
        let trial = async {
            let folder = self.path("listed");
            for n in 0..LISTS {
                // Listed before, so that a list that is remembered is found out, too.
                let path = self.path(&format!("listed/{n:02}"));
                let before = self.list(&folder, None).await?;
                self.create(&path, "listed").await?;
                let after = self.list(&folder, None).await?;
                if before.contains(&path) || !after.contains(&path) {
                    return Ok(failed("a list lags behind what was written"));
                }
            }
            for name in names {
                self.create(&self.path(name), "listed").await?;
            }
            let folder = self.path("list");
            let all = self.list(&folder, None).await?;
            let after = self.list(&folder, Some(&self.path("list/a/2"))).await?;
            let level = self.store.list_with_delimiter(Some(&folder)).await?;
            let mut folders = level.common_prefixes;
            folders.sort();
            let files: Vec<Path> = level
                .objects
                .into_iter()
                .map(|meta| meta.location)
                .collect();
            Ok(if all != names.map(|name| self.path(name)) {
                failed("a list does not hold exactly what was written")
            } else if after != [self.path("list/b/1"), self.path("list/c")] {
                failed("a list from a name on does not hold exactly what comes after it")
            } else if folders != [self.path("list/a"), self.path("list/b")]
                || files != [self.path("list/c")]
            {
                failed("a list of one folder does not hold exactly its files and folders")
            } else {
                ok("lists hold what was written right before")
            })
        };
        settled(trial.await)
    }

    /// Every path below a folder, or those after one of them, sorted.
    async fn list(&self, folder: &Path, after: Option<&Path>) -> Result<Vec<Path>> {
        let list = match after {
            None => self.store.list(Some(folder)),
            Some(after) => self.store.list_with_offset(Some(folder), after),
        };
        let mut paths: Vec<Path> = list.map_ok(|meta| meta.location).try_collect().await?;
        // As in `file::list_from`: more than was asked for does no harm.
        paths.retain(|path| after.is_none_or(|after| path > after));
        paths.sort();
        Ok(paths)
    }

    pub(super) async fn ranged_read(&self) -> Seen {
        let trial = async {
            let path = self.path("ranges");
            self.create(&path, "0123456789").await?;
            for (range, expected) in [(0..1, "0"), (3..7, "3456"), (9..10, "9")] {
                if self.store.get_range(&path, range.clone()).await? != expected {
                    return Ok(failed(format!(
                        "bytes {} to {} of a file are read as others",
                        range.start, range.end
                    )));
                }
            }
            Ok(ok("a part of a file is read as that part"))
        };
        settled(trial.await)
    }

    pub(super) async fn delete(&self) -> Seen {
        let path = self.path("delete");
        if let Err(error) = self.create(&path, "to be deleted").await {
            return settled(Err(error));
        }
        match self.store.delete(&path).await {
            Ok(()) => match self.is_gone(&path).await {
                Ok(true) => ok("a deleted file is gone"),
                Ok(false) => failed("a deleted file can still be read or listed"),
                Err(error) => settled(Err(error)),
            },
            Err(error) => failed(format!("to delete a file is refused: {}", said(&error))),
        }
    }

    async fn is_gone(&self, path: &Path) -> Result<bool> {
        let listed = self.list(&self.folder, None).await?;
        let found = self.read(path, GetOptions::default()).await?;
        Ok(found.is_none() && !listed.contains(path))
    }

    /// Overwrites a file and deletes it, and looks for its first content.
    pub(super) async fn overwrite_and_delete(&self) -> Kept {
        let path = self.path("overwrite");
        let first = match self.create(&path, "first").await {
            Ok(first) => first.version,
            Err(error) => {
                let refused = Error::Generic {
                    store: "probe",
                    source: said(&error).into(),
                };
                return Kept {
                    overwrite: Err(error),
                    delete: Err(refused),
                    earlier_version: None,
                };
            }
        };
        let overwrite = self.store.put(&path, "second".into()).await.map(drop);
        let overwritten = overwrite.is_ok();
        let delete = self.store.delete(&path).await;
        let earlier_version = match (first, overwritten || delete.is_ok()) {
            (_, false) => None,
            (None, true) => Some(false),
            (Some(version), true) => self
                .version(&path, version)
                .await
                .ok()
                .map(|found| found.is_some()),
        };
        Kept {
            overwrite,
            delete,
            earlier_version,
        }
    }

    async fn version(&self, path: &Path, version: String) -> Result<Option<Bytes>> {
        self.read(path, GetOptions::default().with_version(Some(version)))
            .await
    }

    pub(super) async fn erasure(&self) -> Seen {
        let path = self.path("erase");
        let version = match self.create(&path, "to be erased").await {
            Ok(written) => written.version,
            Err(error) => return settled(Err(error)),
        };
        if let Err(error) = self.store.delete(&path).await {
            return failed(format!("to delete a file is refused: {}", said(&error)));
        }
        match self.is_gone(&path).await {
            Ok(true) => {}
            Ok(false) => return failed("a deleted file can still be read or listed"),
            Err(error) => return settled(Err(error)),
        }
        let Some(version) = version else {
            return ok(ERASED);
        };
        match self.version(&path, version).await {
            Ok(None) => ok(ERASED),
            Ok(Some(_)) => failed("a deleted file is still readable as an earlier version"),
            Err(error) => unknown(format!(
                "a deleted file is gone; whether an earlier version stays cannot be told: {}",
                said(&error)
            )),
        }
    }

    /// Removes every probe that the store lets go.
    pub(super) async fn end(self) -> Seen {
        let listed = self.list(&self.folder, None).await;
        let Ok(paths) = listed else {
            return unknown(format!("the probes below {} cannot be listed", self.folder));
        };
        let all = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
        let refused = self
            .store
            .delete_stream(all)
            .filter(|outcome| std::future::ready(outcome.is_err()))
            .count()
            .await;
        match (refused, self.list(&self.folder, None).await) {
            (0, Ok(left)) if left.is_empty() => ok("the probes are removed"),
            _ => unknown(format!("probes stay below {}", self.folder)),
        }
    }
}

const ERASED: &str =
    "a deleted file is gone, also as an earlier version; a bin of the store's own cannot be seen";

/// A trial that broke off shows nothing good.
fn settled(trial: Result<Seen>) -> Seen {
    trial.unwrap_or_else(|error| {
        (
            Outcome::Failed,
            format!("it cannot be tried: {}", said(&error)),
        )
    })
}

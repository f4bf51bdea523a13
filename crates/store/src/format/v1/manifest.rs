//! The manifest of format 1.

use std::fmt;

use chrono::{DateTime, Utc};
use model::licence::Licence;
use model::snapshot::{self, Kind, Method};
use model::{LinkKind, ObjectId, ObjectType, SnapshotId, TenantId};
use serde::{Deserialize, Serialize};

use super::FORMAT;
use crate::error::StoreError;
use crate::manifest as domain;

/// A snapshot's manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    tenant: String,
    snapshot: String,
    attempt: String,
    trigger: String,
    started: DateTime<Utc>,
    finished: DateTime<Utc>,
    licence: String,
    runs: Vec<Run>,
    completeness: Vec<Completeness>,
    objects: Vec<TypeCount>,
    links: Vec<LinkCount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    incremental: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    drift: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<Token>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unsettled: Vec<Unsettled>,
}

/// Where the changes of a type go on.
#[derive(Serialize, Deserialize)]
struct Token {
    #[serde(rename = "type")]
    object_type: String,
    selection: String,
    link: String,
}

impl fmt::Debug for Token {
    /// Leaves the link out, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("object_type", &self.object_type)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Unsettled {
    #[serde(rename = "type")]
    object_type: String,
    id: String,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Debug, Serialize, Deserialize)]
struct Run {
    hash: String,
    kind: String,
    bytes: u64,
    rows: u64,
    plain_hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<Head>,
    #[serde(default = "first", skip_serializing_if = "is_first")]
    key: u32,
}

/// The number of the data key before it was ever rotated.
fn first() -> u32 {
    1
}

fn is_first(key: &u32) -> bool {
    *key == first()
}

/// What lets parts of a run be trusted.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    bytes: u64,
    hash: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Completeness {
    kind: String,
    complete: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    method: String,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
    count: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    effort: Effort,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Effort {
    pages: u64,
    requests: u64,
    units: u64,
    retries: u64,
    throttled: u64,
    refused: u64,
    bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct TypeCount {
    #[serde(rename = "type")]
    object_type: String,
    live: u64,
    deleted: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct LinkCount {
    kind: String,
    count: u64,
}

impl From<&domain::Manifest> for Manifest {
    fn from(manifest: &domain::Manifest) -> Self {
        Self {
            format: FORMAT,
            tenant: manifest.tenant.to_string(),
            snapshot: manifest.meta.id.to_string(),
            attempt: manifest.meta.attempt.clone(),
            trigger: manifest.meta.trigger.name().to_owned(),
            started: manifest.meta.started,
            finished: manifest.meta.finished,
            licence: manifest.meta.licence.name().to_owned(),
            runs: manifest.runs.iter().map(Run::from).collect(),
            completeness: manifest
                .completeness
                .iter()
                .map(Completeness::from)
                .collect(),
            objects: manifest
                .counts
                .iter()
                .map(|count| TypeCount {
                    object_type: count.object_type.name().to_owned(),
                    live: count.live,
                    deleted: count.deleted,
                })
                .collect(),
            links: manifest
                .link_counts
                .iter()
                .map(|count| LinkCount {
                    kind: count.kind.name().to_owned(),
                    count: count.count,
                })
                .collect(),
            since: manifest.lineage.since.as_ref().map(ToString::to_string),
            incremental: manifest.lineage.incremental,
            drift: manifest.lineage.drift,
            tokens: manifest.tokens.iter().map(Token::from).collect(),
            unsettled: manifest
                .unsettled
                .iter()
                .map(|(object_type, id)| Unsettled {
                    object_type: object_type.name().to_owned(),
                    id: id.to_string(),
                })
                .collect(),
        }
    }
}

impl From<&snapshot::ChangeToken> for Token {
    fn from(token: &snapshot::ChangeToken) -> Self {
        Self {
            object_type: token.object_type.name().to_owned(),
            selection: token.selection.clone(),
            link: token.link.clone(),
        }
    }
}

impl From<snapshot::Effort> for Effort {
    fn from(effort: snapshot::Effort) -> Self {
        Self {
            pages: effort.pages,
            requests: effort.requests,
            units: effort.units,
            retries: effort.retries,
            throttled: effort.throttled,
            refused: effort.refused,
            bytes: effort.bytes,
        }
    }
}

impl From<Effort> for snapshot::Effort {
    fn from(effort: Effort) -> Self {
        Self {
            pages: effort.pages,
            requests: effort.requests,
            units: effort.units,
            retries: effort.retries,
            throttled: effort.throttled,
            refused: effort.refused,
            bytes: effort.bytes,
        }
    }
}

impl From<&domain::RunFile> for Run {
    fn from(run: &domain::RunFile) -> Self {
        Self {
            hash: run.hash.to_hex().to_string(),
            kind: run.kind.name().to_owned(),
            bytes: run.bytes,
            rows: run.rows,
            plain_hash: run.plain_hash.to_hex().to_string(),
            head: run.head.map(|head| Head {
                bytes: head.bytes,
                hash: head.hash.to_hex().to_string(),
            }),
            key: run.key,
        }
    }
}

impl From<&snapshot::Completeness> for Completeness {
    fn from(record: &snapshot::Completeness) -> Self {
        Self {
            kind: record.kind.name(),
            complete: record.is_complete(),
            problem: record.problem.clone(),
            method: record.method.name().to_owned(),
            not_before: record.not_before,
            not_after: record.not_after,
            count: record.count,
            note: record.note.clone(),
            effort: record.effort.into(),
        }
    }
}

impl Manifest {
    /// The manifest in the terms of the program.
    ///
    /// # Errors
    /// `Corrupt`, naming the path, where a word is not known.
    pub(crate) fn into_domain(self, path: &str) -> Result<domain::Manifest, StoreError> {
        let unknown = |what: &str, word: &str| {
            StoreError::corrupt(
                path,
                format!("{what} {word:?} is not known to this version"),
            )
        };
        let runs = self.runs.into_iter().map(|run| run.into_domain(path));
        let completeness = self
            .completeness
            .into_iter()
            .map(|record| record.into_domain(path));
        let counts = self.objects.iter().map(|count| {
            ObjectType::from_name(&count.object_type)
                .map(|object_type| domain::TypeCount {
                    object_type,
                    live: count.live,
                    deleted: count.deleted,
                })
                .ok_or_else(|| unknown("object type", &count.object_type))
        });
        let link_counts = self.links.iter().map(|count| {
            LinkKind::from_name(&count.kind)
                .map(|kind| domain::LinkCount {
                    kind,
                    count: count.count,
                })
                .ok_or_else(|| unknown("link kind", &count.kind))
        });
        Ok(domain::Manifest {
            tenant: TenantId::parse(&self.tenant)
                .map_err(|error| StoreError::corrupt(path, error))?,
            meta: domain::SnapshotMeta {
                id: SnapshotId::parse(&self.snapshot)
                    .map_err(|error| StoreError::corrupt(path, error))?,
                attempt: self.attempt,
                trigger: domain::Trigger::from_name(&self.trigger)
                    .ok_or_else(|| unknown("trigger", &self.trigger))?,
                started: self.started,
                finished: self.finished,
                licence: [Licence::None, Licence::P1, Licence::P2]
                    .into_iter()
                    .find(|licence| licence.name() == self.licence)
                    .ok_or_else(|| unknown("licence", &self.licence))?,
            },
            runs: runs.collect::<Result<_, _>>()?,
            completeness: completeness.collect::<Result<_, _>>()?,
            counts: counts.collect::<Result<_, _>>()?,
            link_counts: link_counts.collect::<Result<_, _>>()?,
            lineage: domain::Lineage {
                since: self
                    .since
                    .map(|id| SnapshotId::parse(&id))
                    .transpose()
                    .map_err(|error| StoreError::corrupt(path, error))?,
                incremental: self.incremental,
                drift: self.drift,
            },
            tokens: self
                .tokens
                .into_iter()
                .filter_map(Token::into_domain)
                .collect(),
            unsettled: self
                .unsettled
                .into_iter()
                .filter_map(Unsettled::into_domain)
                .collect(),
            fate: domain::Fate::Kept,
        })
    }
}

impl Token {
    /// The token, unless it is of a type that this version does not know: then the
    /// type is read as if for the first time.
    fn into_domain(self) -> Option<snapshot::ChangeToken> {
        Some(snapshot::ChangeToken {
            object_type: ObjectType::from_name(&self.object_type)?,
            selection: self.selection,
            link: self.link,
        })
    }
}

impl Unsettled {
    fn into_domain(self) -> Option<(ObjectType, ObjectId)> {
        let object_type = ObjectType::from_name(&self.object_type)?;
        Some((object_type, ObjectId::parse(&self.id).ok()?))
    }
}

impl Run {
    fn into_domain(self, path: &str) -> Result<domain::RunFile, StoreError> {
        let hash = |text: &str| {
            blake3::Hash::from_hex(text).map_err(|error| StoreError::corrupt(path, error))
        };
        Ok(domain::RunFile {
            hash: hash(&self.hash)?,
            kind: domain::RunKind::from_name(&self.kind).ok_or_else(|| {
                StoreError::corrupt(
                    path,
                    format!("run kind {:?} is not known to this version", self.kind),
                )
            })?,
            bytes: self.bytes,
            rows: self.rows,
            plain_hash: hash(&self.plain_hash)?,
            head: match self.head {
                Some(head) => Some(domain::Head {
                    bytes: head.bytes,
                    hash: hash(&head.hash)?,
                }),
                None => None,
            },
            key: self.key,
        })
    }
}

impl Completeness {
    fn into_domain(self, path: &str) -> Result<snapshot::Completeness, StoreError> {
        let unknown = |what: &str, word: &str| {
            StoreError::corrupt(
                path,
                format!("{what} {word:?} is not known to this version"),
            )
        };
        // The flag decides; a record without a reason must not turn complete by that.
        let problem = match (self.complete, self.problem) {
            (true, _) => None,
            (false, problem) => {
                Some(problem.unwrap_or_else(|| "no reason was recorded".to_owned()))
            }
        };
        Ok(snapshot::Completeness {
            kind: Kind::from_name(&self.kind).ok_or_else(|| unknown("kind", &self.kind))?,
            problem,
            method: Method::from_name(&self.method)
                .ok_or_else(|| unknown("method", &self.method))?,
            not_before: self.not_before,
            not_after: self.not_after,
            count: self.count,
            note: self.note,
            effort: self.effort.into(),
        })
    }
}

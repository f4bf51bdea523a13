//! Links that are asked for one owner at a time.

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use model::catalogue::LinkRead;
use model::snapshot::{Completeness, Kind};
use model::{Link, LinkKind, ObjectId, ObjectState, ObjectType};

use super::Run;
use super::part::{Part, Problems};
use crate::directory::{Page, Query};
use crate::error::GraphError;
use crate::json as wire;

/// Owners asked for in one call: four batches.
const OWNERS: usize = 80;
/// Calls under way at a time, per relation.
const CALLS: usize = 2;

/// What one call brought.
#[derive(Default)]
pub(super) struct Bundle {
    pub(super) links: Vec<Link>,
    pub(super) problems: Problems,
    /// Owners that were listed and then not found.
    pub(super) vanished: Vec<ObjectId>,
}

impl Bundle {
    fn take(&mut self, kind: LinkKind, source: &ObjectId, page: &Page) {
        for item in &page.items {
            match wire::id(item) {
                Ok(target) => self.links.push(Link {
                    kind,
                    source: source.clone(),
                    target,
                }),
                Err(what) => self.problems.add(format!(
                    "an entry in {} of {source} {what}",
                    kind.spec().relation
                )),
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.links.extend(other.links);
        self.problems.merge(other.problems);
        self.vanished.extend(other.vanished);
    }
}

impl Run<'_> {
    /// Reads the links of one type's live objects and adds their parts.
    pub(super) async fn read_links(&self, object_type: ObjectType, parts: &mut Vec<Part>) {
        let kinds = object_type
            .spec()
            .links
            .iter()
            .filter(|link| link.read == LinkRead::PerOwner)
            .map(|link| link.kind);
        let owners: Vec<ObjectId> = parts
            .iter()
            .flat_map(|part| &part.objects)
            .filter(|object| object.state == ObjectState::Live)
            .map(|object| object.id.clone())
            .collect();
        let unlisted = parts
            .iter()
            .find(|part| part.record.kind == Kind::Objects(object_type))
            .and_then(|part| part.record.problem.clone());
        for kind in kinds {
            let record = self.start(Kind::Links(kind));
            let mut bundle = self.read_owners(kind, &owners).await;
            self.resolve_vanished(kind, &mut bundle, parts).await;
            if let Some(problem) = &unlisted {
                bundle
                    .problems
                    .add(format!("not all owners are known: {problem}"));
            }
            let record = Completeness {
                problem: bundle.problems.into_text(),
                not_after: (self.now)(),
                ..record
            };
            parts.push(Part {
                objects: Vec::new(),
                links: bundle.links,
                record,
            });
        }
    }

    async fn read_owners(&self, kind: LinkKind, owners: &[ObjectId]) -> Bundle {
        let calls: Vec<BoxFuture<'_, Bundle>> = owners
            .chunks(OWNERS)
            .map(|chunk| -> BoxFuture<'_, Bundle> { Box::pin(self.read_chunk(kind, chunk)) })
            .collect();
        let mut calls = stream::iter(calls).buffer_unordered(CALLS);
        let mut all = Bundle::default();
        while let Some(bundle) = calls.next().await {
            all.merge(bundle);
            self.report(Kind::Links(kind), all.links.len());
        }
        all
    }

    pub(super) async fn read_chunk(&self, kind: LinkKind, owners: &[ObjectId]) -> Bundle {
        let mut bundle = Bundle::default();
        let queries: Vec<Query> = owners
            .iter()
            .map(|source| Query::Links {
                kind,
                source: source.clone(),
            })
            .collect();
        let pages = match self.directory.first_pages(&queries).await {
            Ok(pages) => pages,
            Err(error) => {
                self.failed(Kind::Links(kind), &error);
                bundle.problems.add(error.to_string());
                return bundle;
            }
        };
        self.reached();
        for ((query, source), page) in queries.iter().zip(owners).zip(pages) {
            match self.read_rest(kind, query, source, page, &mut bundle).await {
                Ok(()) => {}
                Err(GraphError::NotFound { .. }) => bundle.vanished.push(source.clone()),
                Err(error) => bundle.problems.add(error.to_string()),
            }
        }
        bundle
    }

    /// Takes an owner's first page and follows it to the end.
    async fn read_rest(
        &self,
        kind: LinkKind,
        query: &Query,
        source: &ObjectId,
        first: Result<Page, GraphError>,
        bundle: &mut Bundle,
    ) -> Result<(), GraphError> {
        let mut page = first?;
        loop {
            bundle.take(kind, source, &page);
            let Some(next) = page.next else { return Ok(()) };
            page = self.directory.page(query, Some(&next)).await?;
            if page.next.as_ref() == Some(&next) {
                let what = "its page leads to itself".to_owned();
                return Err(GraphError::Unexpected {
                    what,
                    path: format!("{} of {source}", kind.spec().relation),
                });
            }
        }
    }
}

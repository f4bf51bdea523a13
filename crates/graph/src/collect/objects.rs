//! Lists of objects, page by page.
//!
//! An expanded relation is taken out of the objects and becomes links, so that
//! an object's text is the same whichever way it was read.

use std::collections::BTreeMap;

use model::catalogue::LinkRead;
use model::snapshot::{Completeness, Kind, Method};
use model::{Link, LinkKind, Object, ObjectState, ObjectType};
use serde_json::value::RawValue;

use super::Run;
use super::part::{Part, Problems};
use crate::directory::{Page, Query};
use crate::json as wire;

/// Reads of a list before it counts as restless.
const ROUNDS: usize = 4;

/// One list, read once.
pub(super) struct Listing {
    objects: Vec<Object>,
    links: Vec<Link>,
    problems: Problems,
    link_problems: Problems,
    record: Completeness,
}

impl Listing {
    /// The objects alone.
    pub(super) fn into_part(self) -> Part {
        let record = Completeness {
            problem: self.problems.into_text(),
            ..self.record
        };
        Part {
            objects: self.objects,
            links: Vec::new(),
            record,
        }
    }

    /// The objects and, where wanted, the links that came inside them.
    pub(super) fn into_parts(mut self, links: bool) -> Vec<Part> {
        let Kind::Objects(object_type) = self.record.kind else {
            return vec![self.into_part()];
        };
        let mut parts = Vec::new();
        for kind in expanded_kinds(object_type).filter(|_| links) {
            let mut problems = self.link_problems.clone();
            problems.merge(self.problems.clone());
            let links = self
                .links
                .extract_if(.., |link| link.kind == kind)
                .collect();
            let record = Completeness {
                kind: Kind::Links(kind),
                problem: problems.into_text(),
                ..self.record.clone()
            };
            parts.push(Part {
                objects: Vec::new(),
                links,
                record,
            });
        }
        parts.insert(0, self.into_part());
        parts
    }

    /// What two equal reads have in common, whatever their order.
    fn fingerprint(&self) -> BTreeMap<&str, &str> {
        self.objects
            .iter()
            .map(|object| (object.id.as_str(), &*object.json))
            .collect()
    }

    fn take(
        &mut self,
        page: &Page,
        page_number: usize,
        object_type: ObjectType,
        state: ObjectState,
    ) {
        for (index, item) in page.items.iter().enumerate() {
            if let Err(what) = self.take_item(item, object_type, state) {
                self.problems
                    .add(format!("object {} of page {page_number} {what}", index + 1));
            }
        }
    }

    fn take_item(
        &mut self,
        item: &RawValue,
        object_type: ObjectType,
        state: ObjectState,
    ) -> Result<(), String> {
        let relations: Vec<&str> = expanded_kinds(object_type)
            .map(|kind| kind.spec().relation)
            .collect();
        let no_object = || "is no json object".to_owned();
        let (json, expanded) = wire::split(item.get(), &relations).map_err(|_| no_object())?;
        let object =
            Object::from_json(object_type, state, &json).map_err(|error| wire::reason(&error))?;
        for kind in expanded_kinds(object_type) {
            let other = expanded
                .iter()
                .find(|(key, value)| key == kind.spec().relation && value.get() != "null");
            match other.map(|(_, value)| wire::id(value)) {
                Some(Ok(target)) => self.links.push(Link {
                    kind,
                    source: object.id.clone(),
                    target,
                }),
                Some(Err(what)) => self.link_problems.add(format!(
                    "{} of {} {what}",
                    kind.spec().relation,
                    object.id
                )),
                None => {}
            }
        }
        self.objects.push(object);
        Ok(())
    }
}

pub(super) fn expanded_kinds(object_type: ObjectType) -> impl Iterator<Item = LinkKind> {
    object_type
        .spec()
        .links
        .iter()
        .filter(|link| link.read == LinkRead::Expand)
        .map(|link| link.kind)
}

impl Run<'_> {
    /// Reads a list to its end, or to its first failure.
    pub(super) async fn read_list(&self, query: &Query) -> Listing {
        let kind = query.kind();
        let mut listing = Listing {
            objects: Vec::new(),
            links: Vec::new(),
            problems: Problems::default(),
            link_problems: Problems::default(),
            record: self.start(kind),
        };
        let (Query::Objects(object_type) | Query::Deleted(object_type)) = query else {
            return listing;
        };
        let state = if matches!(query, Query::Deleted(_)) {
            ObjectState::Deleted
        } else {
            ObjectState::Live
        };
        let mut next = None;
        let mut pages = 0;
        loop {
            if let Some(error) = self.hopeless() {
                listing.problems.add(error.to_string());
                break;
            }
            let page = match self.directory.page(query, next.as_ref()).await {
                Ok(page) => page,
                Err(error) => {
                    self.failed(kind, &error);
                    listing.problems.add(error.to_string());
                    break;
                }
            };
            self.reached();
            pages += 1;
            listing.take(&page, pages, *object_type, state);
            self.report(kind, listing.objects.len());
            if page.next.is_none() {
                break;
            }
            if page.next == next {
                listing
                    .problems
                    .add(format!("page {pages} leads to itself"));
                break;
            }
            next = page.next;
        }
        listing.record.not_after = (self.now)();
        listing
    }

    /// Reads a list until two reads in a row are equal.
    pub(super) async fn read_until_stable(&self, query: &Query) -> Listing {
        let mut last = self.read_list(query).await;
        for _ in 1..ROUNDS {
            if !last.problems.is_empty() {
                break;
            }
            let mut again = self.read_list(query).await;
            if again.problems.is_empty() && again.fingerprint() == last.fingerprint() {
                again.record.method = Method::StableReread;
                again.record.not_before = last.record.not_before;
                return again;
            }
            last = again;
        }
        last
    }
}

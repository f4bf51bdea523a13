//! Which changes of a report are looked at.
//!
//! Owns the fields of the filter in an address, and the request that they become.

use super::super::asked::Asked;
use proto::v1::{ChangeKind, ListChangesRequest};

/// How many changes stand on a page.
const PAGE: i32 = 25;

/// The kinds of changes, as they stand in an address.
pub(super) const KINDS: [(&str, ChangeKind); 5] = [
    ("added", ChangeKind::Added),
    ("modified", ChangeKind::Modified),
    ("soft-deleted", ChangeKind::SoftDeleted),
    ("hard-deleted", ChangeKind::HardDeleted),
    ("restored", ChangeKind::Restored),
];

/// What the filter says, and the page of what it leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) types: Vec<String>,
    pub(super) kinds: Vec<String>,
    pub(super) attribute: String,
    pub(super) actor: String,
    pub(super) text: String,
    pub(super) page_token: String,
}

impl Choice {
    /// Reads an address; kinds that there are not are left out.
    pub(super) fn of(asked: &Asked) -> Self {
        let mut kinds = asked.all("kind");
        kinds.retain(|kind| KINDS.iter().any(|(name, _)| name == kind));
        Self {
            types: asked.all("type"),
            kinds,
            attribute: asked.text("attribute").to_owned(),
            actor: asked.text("actor").to_owned(),
            text: asked.text("text").to_owned(),
            page_token: asked.text("page_token").to_owned(),
        }
    }

    /// Whether nothing is left out.
    pub(super) fn is_everything(&self) -> bool {
        let Self {
            types,
            kinds,
            attribute,
            actor,
            text,
            page_token: _,
        } = self;
        types.is_empty()
            && kinds.is_empty()
            && [attribute, actor, text].iter().all(|it| it.is_empty())
    }

    /// What stands in the address beside the page.
    pub(super) fn query(&self) -> Vec<(&str, &str)> {
        let types = self.types.iter().map(|it| ("type", it.as_str()));
        let kinds = self.kinds.iter().map(|it| ("kind", it.as_str()));
        types
            .chain(kinds)
            .chain([
                ("attribute", self.attribute.as_str()),
                ("actor", &self.actor),
                ("text", &self.text),
            ])
            .collect()
    }

    /// The request for a page of what is chosen.
    pub(super) fn request(&self, report: &str) -> ListChangesRequest {
        let kinds = KINDS
            .iter()
            .filter(|(name, _)| self.kinds.iter().any(|it| it == name));
        let attribute = Some(self.attribute.clone()).filter(|it| !it.is_empty());
        ListChangesRequest {
            parent: report.to_owned(),
            page_size: PAGE,
            page_token: self.page_token.clone(),
            types: self.types.clone(),
            kinds: kinds.map(|(_, kind)| (*kind).into()).collect(),
            attributes: attribute.into_iter().collect(),
            actor: self.actor.clone(),
            text: self.text.clone(),
        }
    }

    pub(super) fn has_type(&self, name: &str) -> bool {
        self.types.iter().any(|it| it == name)
    }

    pub(super) fn has_kind(&self, name: &str) -> bool {
        self.kinds.iter().any(|it| it == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_a_request_and_an_address_again() {
        let query = "type=user&type=group&kind=soft-deleted&kind=nonsense&attribute=members&actor=eve&text=a%26b&page_token=25";
        let choice = Choice::of(&Asked::read(query));
        let expected = ListChangesRequest {
            parent: "r".to_owned(),
            page_size: PAGE,
            page_token: "25".to_owned(),
            types: vec!["user".to_owned(), "group".to_owned()],
            kinds: vec![ChangeKind::SoftDeleted.into()],
            attributes: vec!["members".to_owned()],
            actor: "eve".to_owned(),
            text: "a&b".to_owned(),
        };
        assert_eq!(choice.request("r"), expected);
        assert_eq!(
            choice.query(),
            [
                ("type", "user"),
                ("type", "group"),
                ("kind", "soft-deleted"),
                ("attribute", "members"),
                ("actor", "eve"),
                ("text", "a&b")
            ]
        );
        assert!(!choice.is_everything());
    }

    #[test]
    fn an_empty_form_leaves_nothing_out() {
        let choice = Choice::of(&Asked::read("attribute=&actor=&text=&page_token=50"));
        assert!(choice.is_everything());
        let request = choice.request("r");
        assert!(request.attributes.is_empty() && request.kinds.is_empty());
        assert_eq!(request.page_token, "50");
    }
}

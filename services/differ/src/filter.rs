//! Which of a report's changes a caller wants to see.
//!
//! Owns the meaning of each filter of `ListChanges`. It never changes what a
//! report says: counts and notes are those of the whole report.

use prost::Message;
use proto::convert::InvalidMessage;
use proto::v1::{Activity, AttributeChange, Change, LinkChange, ListChangesRequest, ObjectRef};

/// The longest text of a filter, in bytes.
const LONGEST: usize = 1000;

/// What is wanted; small letters throughout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    types: Vec<String>,
    kinds: Vec<i32>,
    attributes: Vec<String>,
    actor: String,
    text: String,
    choice: Vec<u8>,
}

impl Filter {
    /// Reads the filters of a request.
    ///
    /// # Errors
    /// [`InvalidMessage`] where an attribute is empty or a text is too long.
    pub(crate) fn read(request: &ListChangesRequest) -> Result<Self, InvalidMessage> {
        let attributes = request.attributes.iter();
        let attributes = attributes.map(|path| ("attributes", path));
        let texts = [("actor", &request.actor), ("text", &request.text)];
        for (field, text) in attributes.chain(texts) {
            if text.len() > LONGEST {
                let problem = format!("at most {LONGEST} bytes are expected");
                return Err(InvalidMessage::new(field, problem));
            }
        }
        if request.attributes.iter().any(String::is_empty) {
            let problem = "the path of an attribute is expected";
            return Err(InvalidMessage::new("attributes", problem));
        }
        let choice = ListChangesRequest {
            parent: String::new(),
            page_size: 0,
            page_token: String::new(),
            ..request.clone()
        };
        Ok(Self {
            types: request.types.clone(),
            kinds: request.kinds.clone(),
            attributes: request
                .attributes
                .iter()
                .map(|path| path.to_lowercase())
                .collect(),
            actor: request.actor.to_lowercase(),
            text: request.text.to_lowercase(),
            choice: choice.encode_to_vec(),
        })
    }

    /// What tells this choice from another; empty where all is wanted.
    pub(crate) fn choice(&self) -> &[u8] {
        &self.choice
    }

    /// Whether a change is wanted.
    pub(crate) fn holds(&self, change: &Change) -> bool {
        let object_type = change.object.as_ref().map(|object| object.r#type.as_str());
        let object_type = object_type.unwrap_or_default();
        (self.types.is_empty() || self.types.iter().any(|wanted| wanted == object_type))
            && (self.kinds.is_empty() || self.kinds.contains(&change.kind))
            && (self.attributes.is_empty()
                || self.attributes.iter().any(|path| touches(change, path)))
            && (self.actor.is_empty() || change.activities.iter().any(|one| self.is_by(one)))
            && (self.text.is_empty() || self.occurs_in(change))
    }

    fn is_by(&self, activity: &Activity) -> bool {
        activity.initiated_by.as_ref().is_some_and(|by| {
            by.id.eq_ignore_ascii_case(&self.actor)
                || by.display_name.to_lowercase().contains(&self.actor)
        })
    }

    fn occurs_in(&self, change: &Change) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.text);
        let object = |object: &ObjectRef| has(&object.id) || has(&object.display_name);
        // What was added or removed stands in the whole values too.
        let attribute = |one: &AttributeChange| {
            let values = [&one.before_json, &one.after_json];
            has(&one.path) || values.into_iter().flatten().any(|value| has(value))
        };
        let link =
            |one: &LinkChange| has(&one.relation) || has(&one.target_id) || has(&one.target_name);
        change.object.iter().any(object)
            || change.attributes.iter().any(attribute)
            || change.links.iter().any(link)
            || change.references.iter().any(object)
    }
}

/// Whether an attribute or relation with this path differs.
fn touches(change: &Change, wanted: &str) -> bool {
    let begins = |path: &str| {
        let rest = path.strip_prefix(wanted);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
    };
    let relation = |relation: &str| {
        let relation = relation.to_lowercase();
        let name = relation.rsplit('/').next().unwrap_or_default();
        begins(&relation) || begins(name)
    };
    change
        .attributes
        .iter()
        .any(|one| begins(&one.path.to_lowercase()))
        || change.links.iter().any(|one| relation(&one.relation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{ChangeKind, Initiator};

    fn change() -> Change {
        let object = |kind: &str, id: &str, name: &str| ObjectRef {
            r#type: kind.to_owned(),
            id: id.to_owned(),
            display_name: name.to_owned(),
        };
        Change {
            object: Some(object("conditionalAccessPolicy", "p-1", "Block legacy")),
            kind: ChangeKind::Modified.into(),
            attributes: vec![AttributeChange {
                path: "conditions.users.excludeGroups".to_owned(),
                before_json: Some("[]".to_owned()),
                after_json: Some("[\"g-1\"]".to_owned()),
                ..AttributeChange::default()
            }],
            links: vec![LinkChange {
                relation: "group/members".to_owned(),
                target_id: "u-1".to_owned(),
                target_name: "Zoë".to_owned(),
                ..LinkChange::default()
            }],
            activities: vec![Activity {
                initiated_by: Some(Initiator {
                    id: "a-1".to_owned(),
                    display_name: "Mail Export Tool".to_owned(),
                    ..Initiator::default()
                }),
                ..Activity::default()
            }],
            references: vec![object("group", "g-1", "Finance")],
            ..Change::default()
        }
    }

    #[track_caller]
    fn check(request: &ListChangesRequest, expected: bool) {
        let filter = Filter::read(request).expect("valid");
        assert_eq!(filter.holds(&change()), expected, "{request:?}");
    }

    fn empty() -> ListChangesRequest {
        ListChangesRequest::default()
    }

    #[test]
    fn each_filter_narrows() {
        check(&empty(), true);
        for (attribute, expected) in [
            ("conditions.users.excludeGroups", true),
            ("Conditions.Users", true),
            ("conditions", true),
            ("conditions.user", false),
            ("users", false),
            ("group/members", true),
            ("members", true),
            ("owners", false),
        ] {
            let attributes = vec!["nothing".to_owned(), attribute.to_owned()];
            check(
                &ListChangesRequest {
                    attributes,
                    ..empty()
                },
                expected,
            );
        }
        for (actor, expected) in [
            ("A-1", true),
            ("export", true),
            ("a-", false),
            ("import", false),
        ] {
            let actor = actor.to_owned();
            check(&ListChangesRequest { actor, ..empty() }, expected);
        }
        for (text, expected) in [
            ("LEGACY", true),
            ("p-1", true),
            ("excludegroups", true),
            ("g-1", true),
            ("finance", true),
            ("ZOË", true),
            ("mail export", false),
        ] {
            let text = text.to_owned();
            check(&ListChangesRequest { text, ..empty() }, expected);
        }
    }

    #[test]
    fn all_filters_must_hold() {
        let all = ListChangesRequest {
            types: vec!["conditionalAccessPolicy".to_owned()],
            kinds: vec![ChangeKind::Modified.into()],
            attributes: vec!["conditions".to_owned()],
            actor: "mail".to_owned(),
            text: "finance".to_owned(),
            ..empty()
        };
        check(&all, true);
        let others = [
            ListChangesRequest {
                types: vec!["user".to_owned()],
                ..all.clone()
            },
            ListChangesRequest {
                kinds: vec![ChangeKind::Added.into()],
                ..all.clone()
            },
            ListChangesRequest {
                attributes: vec!["state".to_owned()],
                ..all.clone()
            },
            ListChangesRequest {
                actor: "nobody".to_owned(),
                ..all.clone()
            },
            ListChangesRequest {
                text: "nothing".to_owned(),
                ..all
            },
        ];
        for other in others {
            check(&other, false);
        }
    }

    #[test]
    fn a_choice_is_known_by_its_filters_alone() {
        let choice =
            |request: &ListChangesRequest| Filter::read(request).expect("valid").choice().to_vec();
        let paged = ListChangesRequest {
            parent: "tenants/a/reports/b".to_owned(),
            page_size: 7,
            page_token: "x".to_owned(),
            ..empty()
        };
        assert_eq!(choice(&paged), Vec::<u8>::new());
        let text = ListChangesRequest {
            text: "x".to_owned(),
            ..empty()
        };
        assert_ne!(choice(&text), choice(&empty()));
        assert_eq!(
            choice(&text),
            choice(&ListChangesRequest {
                page_size: 3,
                ..text.clone()
            })
        );
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let field =
            |request: &ListChangesRequest| Filter::read(request).expect_err("refused").field;
        let attributes = vec![String::new()];
        assert_eq!(
            field(&ListChangesRequest {
                attributes,
                ..empty()
            }),
            "attributes"
        );
        let text = "x".repeat(1001);
        assert_eq!(
            field(&ListChangesRequest {
                text: text.clone(),
                ..empty()
            }),
            "text"
        );
        assert_eq!(
            field(&ListChangesRequest {
                actor: text,
                ..empty()
            }),
            "actor"
        );
    }
}

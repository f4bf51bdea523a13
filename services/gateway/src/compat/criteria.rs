//! What a job is about.
//!
//! Owns Microsoft's names of the types, the reading of `filteringCriteria`, and the note
//! that is kept with a report or a plan, by which a job is told again as it was asked
//! for. A job without criteria is about the types that Microsoft's service knows and no
//! others, so that whatever it changes can be told to its client.

use std::collections::BTreeSet;

use model::ObjectType;
use proto::v1::Scope;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::errors::Refusal;

/// The namespace of the types.
pub(super) const NAMESPACE: &str = "microsoft.graph.entraRecoveryServices";
/// The most ids in one job, over all types.
const MOST_IDS: usize = 100;
/// The member that an enumeration tells in place of younger ones.
const UNKNOWN: &str = "unknownFutureValue";

/// The types by Microsoft's names (`resourceTypeName`). Those of the second half are
/// told only to clients that say that they know of younger members.
const TYPES: [(&str, ObjectType, Age); 12] = [
    ("user", ObjectType::User, Age::First),
    ("group", ObjectType::Group, Age::First),
    (
        "conditionalAccessPolicy",
        ObjectType::ConditionalAccessPolicy,
        Age::First,
    ),
    ("namedLocationPolicy", ObjectType::NamedLocation, Age::First),
    (
        "authenticationMethodPolicy",
        ObjectType::AuthenticationMethodsPolicy,
        Age::First,
    ),
    (
        "authorizationPolicy",
        ObjectType::AuthorizationPolicy,
        Age::First,
    ),
    (
        "authenticationStrengthPolicy",
        ObjectType::AuthenticationStrengthPolicy,
        Age::First,
    ),
    ("application", ObjectType::Application, Age::First),
    ("servicePrincipal", ObjectType::ServicePrincipal, Age::First),
    (
        "oAuth2PermissionGrant",
        ObjectType::OAuth2PermissionGrant,
        Age::Younger,
    ),
    (
        "appRoleAssignment",
        ObjectType::AppRoleAssignment,
        Age::Younger,
    ),
    ("organization", ObjectType::Organization, Age::Younger),
];

/// Whether a member stands behind `unknownFutureValue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    First,
    Younger,
}

/// Which members of enumerations a client wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Members {
    /// All (`Prefer: include-unknown-enum-members`).
    All,
    /// Those that stand before `unknownFutureValue`.
    First,
}

impl Members {
    /// A member that stands behind `unknownFutureValue`, as it is told.
    pub(super) fn younger(self, name: &'static str) -> &'static str {
        match self {
            Self::All => name,
            Self::First => UNKNOWN,
        }
    }
}

/// Microsoft's name of one of Rewind's types, as it is told.
pub(super) fn type_name(name: &str, members: Members) -> &'static str {
    let mut types = TYPES.into_iter();
    match types.find(|(_, object_type, _)| object_type.name() == name) {
        Some((name, _, Age::First)) => name,
        Some((name, _, Age::Younger)) => members.younger(name),
        None => UNKNOWN,
    }
}

/// Rewind's names of all the types.
pub(super) fn all_types() -> Vec<String> {
    TYPES
        .map(|(_, object_type, _)| object_type.name().to_owned())
        .to_vec()
}

/// What a job is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Criteria {
    /// What is compared and put back.
    pub(super) scope: Scope,
    /// The same in Microsoft's words; null where the client named nothing.
    pub(super) told: Value,
}

impl Criteria {
    /// Reads the body of a request that makes a job.
    ///
    /// # Errors
    /// [`Refusal`] where it is no such body.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let body: Value = match body.iter().all(u8::is_ascii_whitespace) {
            true => json!({}),
            false => serde_json::from_slice(body)
                .map_err(|error| Refusal::bad(format!("the body is no JSON: {error}")))?,
        };
        let Value::Object(body) = body else {
            return Err(Refusal::bad("the body: an object is expected"));
        };
        let criteria = match body.get("filteringCriteria") {
            None | Some(Value::Null) => {
                return Ok(Self {
                    scope: Scope {
                        types: all_types(),
                        ids: Vec::new(),
                    },
                    told: Value::Null,
                });
            }
            Some(criteria) => criteria,
        };
        let kind = criteria.get("@odata.type").and_then(Value::as_str);
        let kind = kind.unwrap_or_default().trim_start_matches('#');
        match kind.strip_prefix(NAMESPACE).unwrap_or_default() {
            ".recoveryJobEntityNamesFilter" => by_names(criteria),
            ".recoveryJobEntityNameAndIdsFilter" => by_ids(criteria),
            _ => Err(Refusal::bad(format!(
                "filteringCriteria: @odata.type must be #{NAMESPACE}.recoveryJobEntityNamesFilter or #{NAMESPACE}.recoveryJobEntityNameAndIdsFilter"
            ))),
        }
    }
}

fn by_names(criteria: &Value) -> Result<Criteria, Refusal> {
    let names = texts(criteria, "filteringCriteria.", "entityTypes")?;
    let mut types = Types::default();
    for name in &names {
        types.add(name)?;
    }
    Ok(Criteria {
        scope: Scope {
            types: types.own,
            ids: Vec::new(),
        },
        told: json!({
            "@odata.type": format!("#{NAMESPACE}.recoveryJobEntityNamesFilter"),
            "entityTypes": types.told,
        }),
    })
}

fn by_ids(criteria: &Value) -> Result<Criteria, Refusal> {
    let values = criteria.get("filterValues").and_then(Value::as_array);
    let values = values.filter(|values| !values.is_empty()).ok_or_else(|| {
        Refusal::bad("filteringCriteria.filterValues: a list with at least one entry is expected")
    })?;
    let (mut types, mut ids, mut told) = (Types::default(), Vec::new(), Vec::new());
    for value in values {
        let name = value.get("entityType").and_then(Value::as_str);
        let name = types.add(name.unwrap_or_default())?;
        let of_type = texts(value, "filteringCriteria.filterValues.", "entityIds")?;
        told.push(json!({ "entityType": name, "entityIds": of_type }));
        ids.extend(of_type);
    }
    if ids.len() > MOST_IDS {
        let problem = format!("filteringCriteria: at most {MOST_IDS} ids may be named");
        return Err(Refusal::bad(problem));
    }
    Ok(Criteria {
        scope: Scope {
            types: types.own,
            ids,
        },
        told: json!({
            "@odata.type": format!("#{NAMESPACE}.recoveryJobEntityNameAndIdsFilter"),
            "filterValues": told,
        }),
    })
}

/// Types that were named, each once.
#[derive(Default)]
struct Types {
    seen: BTreeSet<&'static str>,
    told: Vec<&'static str>,
    own: Vec<String>,
}

impl Types {
    fn add(&mut self, name: &str) -> Result<&'static str, Refusal> {
        let mut types = TYPES.into_iter();
        let known = types.find(|(known, ..)| known.eq_ignore_ascii_case(name));
        let Some((known, object_type, _)) = known else {
            let problem = format!("filteringCriteria: {name:?} is no type that can be recovered");
            return Err(Refusal::bad(problem));
        };
        if !self.seen.insert(known) {
            let problem = format!("filteringCriteria: {known} is named twice");
            return Err(Refusal::bad(problem));
        }
        self.told.push(known);
        self.own.push(object_type.name().to_owned());
        Ok(known)
    }
}

/// A list of texts that is not empty.
fn texts(of: &Value, place: &str, name: &str) -> Result<Vec<String>, Refusal> {
    let list = of.get(name).and_then(Value::as_array);
    let texts: Option<Vec<String>> = list
        .into_iter()
        .flatten()
        .map(|value| value.as_str().map(str::to_owned))
        .collect();
    let texts = texts.filter(|texts| !texts.is_empty());
    texts.ok_or_else(|| {
        Refusal::bad(format!(
            "{place}{name}: a list of texts with at least one is expected"
        ))
    })
}

/// What is kept with a report or plan that a job stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The time of the snapshot.
    pub(super) target: String,
    /// `filteringCriteria`, as it is told.
    pub(super) criteria: Value,
}

impl Note {
    /// As it is kept.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("invariant: texts and JSON can be written as JSON")
    }

    /// Reads what was kept; `None` for what another client keeps.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(kind: &str, rest: &Value) -> Value {
        let mut criteria = rest.clone();
        criteria["@odata.type"] = json!(format!("#{NAMESPACE}.{kind}"));
        json!({ "filteringCriteria": criteria })
    }

    fn read(body: &Value) -> Result<Criteria, String> {
        let read = Criteria::read(body.to_string().as_bytes());
        read.map_err(|refusal| refusal.message)
    }

    #[test]
    fn without_criteria_all_that_can_be_told_is_meant() {
        for body in [&b""[..], b"  \n", b"{}", br#"{"filteringCriteria":null}"#] {
            let criteria = Criteria::read(body).expect("fine");
            assert_eq!(
                (criteria.scope.types.len(), criteria.told),
                (12, Value::Null)
            );
            assert_eq!(criteria.scope.ids, Vec::<String>::new());
        }
    }

    #[test]
    fn types_and_ids_are_rewinds_own() {
        let body = filter(
            "recoveryJobEntityNamesFilter",
            &json!({ "entityTypes": ["namedLocationPolicy", "User"] }),
        );
        let criteria = read(&body).expect("fine");
        assert_eq!(criteria.scope.types, ["namedLocation", "user"]);
        assert_eq!(
            criteria.told["entityTypes"],
            json!(["namedLocationPolicy", "user"])
        );

        let values = json!({ "filterValues": [
            { "entityType": "user", "entityIds": ["u1", "u2"] },
            { "entityType": "authenticationMethodPolicy", "entityIds": ["a"] },
        ] });
        let body = filter("recoveryJobEntityNameAndIdsFilter", &values);
        let criteria = read(&body).expect("fine");
        assert_eq!(
            criteria.scope.types,
            ["user", "authenticationMethodsPolicy"]
        );
        assert_eq!(criteria.scope.ids, ["u1", "u2", "a"]);
        assert_eq!(criteria.told, body["filteringCriteria"]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let ids: Vec<String> = (0..101).map(|n| n.to_string()).collect();
        let named = |list: Value| {
            filter(
                "recoveryJobEntityNamesFilter",
                &json!({ "entityTypes": list }),
            )
        };
        let listed = |list: Value| {
            filter(
                "recoveryJobEntityNameAndIdsFilter",
                &json!({ "filterValues": list }),
            )
        };
        for (body, expected) in [
            (json!([]), "an object is expected"),
            (json!({ "filteringCriteria": {} }), "@odata.type must be"),
            (filter("else", &json!({})), "@odata.type must be"),
            (named(json!([])), "entityTypes: a list of texts"),
            (named(json!([1])), "entityTypes: a list of texts"),
            (named(json!(["device"])), "\"device\" is no type"),
            (named(json!([UNKNOWN])), "is no type"),
            (named(json!(["user", "user"])), "user is named twice"),
            (listed(json!([])), "filterValues: a list"),
            (
                listed(json!([{ "entityType": "user" }])),
                "entityIds: a list",
            ),
            (listed(json!([{ "entityIds": ["x"] }])), "\"\" is no type"),
            (
                listed(json!([{ "entityType": "user", "entityIds": ids }])),
                "at most 100 ids",
            ),
        ] {
            let error = read(&body).expect_err("refused");
            assert!(error.contains(expected), "{body}: {error}");
        }
        assert!(Criteria::read(b"{").is_err());
    }

    #[test]
    fn younger_members_are_told_to_those_who_ask() {
        assert_eq!(type_name("user", Members::First), "user");
        assert_eq!(type_name("organization", Members::First), UNKNOWN);
        assert_eq!(type_name("organization", Members::All), "organization");
        assert_eq!(type_name("administrativeUnit", Members::All), UNKNOWN);
    }

    #[test]
    fn a_note_of_another_client_is_none() {
        let note = Note {
            target: "t".to_owned(),
            criteria: Value::Null,
        };
        assert_eq!(Note::read(&note.text()), Some(note));
        assert_eq!(Note::read("for the console"), None);
    }
}

//! What the claims of a token say of its bearer.
//!
//! Owns which claims are read, and the name that follows from them. A claim that people
//! can change decides nothing by itself: what tells one caller from another is the
//! issuer with its `sub` or, of Entra ID, with tenant and object.

use model::person;
use serde_json::{Map, Value};

/// How many characters of a name go on.
const LONGEST: usize = 64;
/// How many digits of the hash tell callers apart.
const TAG: usize = 16;

/// Where the name and the roles are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `REWIND_OIDC_NAME_CLAIM`.
    pub name: String,
    /// `REWIND_OIDC_ROLES_CLAIM`; a way through objects has dots.
    pub roles: String,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            name: "preferred_username".to_owned(),
            roles: "roles".to_owned(),
        }
    }
}

/// Who bears a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// What the caller is called from here on, with the tag of whom the issuer knows.
    pub(crate) name: String,
    /// What the claim of names says, where there is one.
    pub(crate) called: Option<String>,
    /// `sub` and, of Entra ID, which has `tid` beside it, `oid`.
    pub(crate) subjects: Vec<String>,
    /// The values of the claim of roles.
    pub(crate) values: Vec<String>,
}

impl Claims {
    /// Whose claims these are; `None` where they do not say.
    pub(super) fn identity(&self, issuer: &str, claims: &Map<String, Value>) -> Option<Identity> {
        let text = |name: &str| {
            let text = find(claims, name)?.as_str()?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        let subject = text("sub")?;
        let called = text(&self.name);
        let shown = called.clone().or_else(|| text("email"));
        let shown = fit(shown.as_ref().unwrap_or(&subject));
        // Of Entra ID `sub` is another for each application that a person signs in to.
        let directory = text("tid").zip(text("oid"));
        let key = match &directory {
            Some((tenant, object)) => format!("{issuer}\0{tenant}\0{object}"),
            None => format!("{issuer}\0{subject}"),
        };
        let tag = blake3::hash(key.as_bytes()).to_hex();
        let object = directory.map(|(_, object)| object);
        Some(Identity {
            name: person::tagged(&shown, &tag[..TAG]),
            called,
            subjects: [Some(subject), object].into_iter().flatten().collect(),
            values: values(find(claims, &self.roles)),
        })
    }
}

/// A claim by its name, else by the way through objects that it is.
fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(name) {
        return Some(found);
    }
    let (first, rest) = name.split_once('.')?;
    find(claims.get(first)?.as_object()?, rest)
}

fn values(claim: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match claim {
        Some(Value::Array(all)) => all.iter().filter_map(text).collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// A name as headers, logs and stored plans take it.
fn fit(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    let name = name.chars().take(LONGEST);
    name.map(|c| if fits(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ISSUER: &str = "https://login.contoso.com/v2.0";

    fn identity(claims: &Claims, value: Value) -> Option<Identity> {
        claims.identity(ISSUER, value.as_object().expect("an object"))
    }

    fn shown(value: Value) -> String {
        let identity = identity(&Claims::default(), value).expect("somebody");
        person::shown(&identity.name).to_owned()
    }

    #[test]
    fn the_name_is_the_first_claim_that_is_there() {
        let (name, mail) = ("anna@contoso.com", "mail@contoso.com");
        for (claims, expected) in [
            (
                json!({"sub": "s", "preferred_username": name, "email": mail}),
                name,
            ),
            (
                json!({"sub": "s", "preferred_username": "", "email": mail}),
                mail,
            ),
            (json!({"sub": "s"}), "s"),
            (
                json!({"sub": "s", "preferred_username": "Zoë\n#1"}),
                "Zo___1",
            ),
            (json!({"sub": "s", "preferred_username": 1}), "s"),
        ] {
            assert_eq!(shown(claims), expected);
        }
        let long = shown(json!({"sub": "x".repeat(1000)}));
        assert_eq!(long.len(), LONGEST);
        assert_eq!(identity(&Claims::default(), json!({"sub": ""})), None);
        assert_eq!(identity(&Claims::default(), json!({"email": mail})), None);
    }

    #[test]
    fn only_issuer_and_subject_tell_callers_apart() {
        let of = |issuer: &str, sub: &str, name: &str| {
            let claims = json!({"sub": sub, "preferred_username": name});
            let claims = claims.as_object().expect("an object").clone();
            let identity = Claims::default().identity(issuer, &claims);
            identity.expect("somebody").name
        };
        let anna = of(ISSUER, "1", "anna");
        assert!(person::is_same(&anna, &of(ISSUER, "1", "anna.new-name")));
        assert!(!person::is_same(&anna, &of(ISSUER, "2", "anna")));
        assert!(!person::is_same(&anna, &of("https://other", "1", "anna")));
        assert!(!person::is_same(&anna, "anna"));
    }

    #[test]
    fn of_entra_id_somebody_is_the_same_in_each_application() {
        let of = |sub: &str, oid: &str, more: Value| {
            let mut claims = json!({"sub": sub, "oid": oid});
            let all = claims.as_object_mut().expect("an object");
            all.extend(more.as_object().expect("an object").clone());
            identity(&Claims::default(), claims).expect("somebody").name
        };
        let entra = || json!({"tid": "t"});
        let anna = of("1", "anna", entra());
        assert!(person::is_same(&anna, &of("2", "anna", entra())));
        assert!(!person::is_same(&anna, &of("1", "ben", entra())));
        // Without a tenant it is another issuer, whose `oid` may say anything.
        let (one, other) = (of("1", "anna", json!({})), of("2", "anna", json!({})));
        assert!(!person::is_same(&one, &other));
    }

    #[test]
    fn roles_are_where_the_settings_say() {
        let of = |way: &str, claims: Value| {
            let settings = Claims {
                roles: way.to_owned(),
                ..Claims::default()
            };
            identity(&settings, claims).expect("somebody").values
        };
        let keycloak = json!({"sub": "s", "realm_access": {"roles": ["a", 1, "b"]}});
        assert_eq!(of("realm_access.roles", keycloak.clone()), ["a", "b"]);
        assert!(of("roles", keycloak).is_empty());
        let url = "https://contoso.com/roles";
        assert_eq!(of(url, json!({"sub": "s", url: "a"})), ["a"]);
        let entra = identity(
            &Claims::default(),
            json!({"sub": "s", "oid": "o", "tid": "t", "roles": ["a"]}),
        );
        let entra = entra.expect("somebody");
        assert_eq!(
            (entra.values, entra.subjects),
            (vec!["a".to_owned()], vec!["s".to_owned(), "o".to_owned()])
        );
    }
}

//! Loading Graph-shaped JSON: real exports, cleaned up as far as the service itself would.
//!
//! Everything is read and checked before anything is inserted, so a malformed file changes
//! nothing. References that lead nowhere are kept: real tenants have them.

mod documents;
mod relations;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::{Form, Kind, Relation};
use crate::record::{Object, Record};
use crate::state::State;
use crate::write::policies;
use documents::document;
use relations::{insert_relation, relation};

/// What a load did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Objects added, by Graph type (relations under `oAuth2PermissionGrant` and `appRoleAssignment`).
    pub loaded: BTreeMap<String, usize>,
    /// Objects that were there already, by id or app id.
    pub duplicates: usize,
    /// Files whose name says nothing to the simulator.
    pub ignored_files: Vec<String>,
    /// What was left out or repaired, in words.
    pub notes: Vec<String>,
}

/// Why a load failed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The path cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The path as given.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file is not JSON, or neither a list nor an object with a `value` list.
    #[error("{file} is not a list of objects: {reason}")]
    Format {
        /// File name.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// One object is malformed.
    #[error("{file}: object {index}: {reason}")]
    Object {
        /// File name.
        file: String,
        /// Position in the list, from 0.
        index: usize,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Objects(Kind),
    Grants,
    Assignments,
    Roles,
    Federated,
    Strengths,
    Contexts,
    Methods,
    Authorization,
    Organization,
}

impl Content {
    fn of(stem: &str) -> Option<Self> {
        Some(match stem.to_lowercase().as_str() {
            "users" | "user" => Self::Objects(Kind::User),
            "groups" | "group" => Self::Objects(Kind::Group),
            "applications" | "application" => Self::Objects(Kind::Application),
            "serviceprincipals" | "serviceprincipal" => Self::Objects(Kind::ServicePrincipal),
            "conditionalaccesspolicies" | "conditionalaccesspolicy" => Self::Objects(Kind::Policy),
            "namedlocations" | "namedlocation" => Self::Objects(Kind::Location),
            "oauth2permissiongrants" | "oauth2permissiongrant" => Self::Grants,
            "administrativeunits" | "administrativeunit" => Self::Objects(Kind::AdministrativeUnit),
            "approleassignments" | "approleassignment" => Self::Assignments,
            "roleassignments" | "roleassignment" | "unifiedroleassignments" => Self::Roles,
            "federatedidentitycredentials" | "federatedidentitycredential" => Self::Federated,
            "authenticationstrengthpolicies" | "authenticationstrengthpolicy" => Self::Strengths,
            "authenticationcontextclassreferences" | "authenticationcontextclassreference" => {
                Self::Contexts
            }
            "authenticationmethodspolicy" => Self::Methods,
            "authorizationpolicy" => Self::Authorization,
            "organization" => Self::Organization,
            _ => return None,
        })
    }
}

/// One object on its way in, with links by name and credentials that came along.
struct Incoming {
    kind: Kind,
    id: Option<Uuid>,
    properties: Map<String, Value>,
    links: Vec<(Relation, Uuid)>,
    credentials: Vec<Map<String, Value>>,
}

/// Loads a file, or every known file of a directory.
pub(crate) fn load(state: &mut State, path: &Path) -> Result<LoadReport, LoadError> {
    let mut report = LoadReport::default();
    let mut objects = Vec::new();
    let mut relations = Vec::new();
    let mut documents = Vec::new();
    for (file, content) in files(path, &mut report)? {
        let name = file
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut dropped = BTreeSet::new();
        for (index, value) in items(&file, &name)?.into_iter().enumerate() {
            let malformed = |reason: String| LoadError::Object {
                file: name.clone(),
                index,
                reason,
            };
            let Value::Object(map) = value else {
                return Err(malformed("not an object".into()));
            };
            match content {
                Content::Objects(kind) => {
                    objects.push(incoming(kind, map, &mut dropped).map_err(malformed)?);
                }
                Content::Grants | Content::Assignments => {
                    relations.push((content, relation(content, &map).map_err(malformed)?));
                }
                other => documents.push(document(other, &map).map_err(malformed)?),
            }
        }
        if !dropped.is_empty() {
            let names: Vec<String> = dropped.into_iter().collect();
            report.notes.push(format!(
                "{name}: properties outside v1.0 left out: {}",
                names.join(", ")
            ));
        }
    }
    state.history.mute();
    insert(state, objects, &mut report);
    for (content, item) in relations {
        insert_relation(state, content, item, &mut report);
    }
    for document in documents {
        document.insert(state, &mut report);
    }
    state.history.unmute();
    Ok(report)
}

fn files(path: &Path, report: &mut LoadReport) -> Result<Vec<(PathBuf, Content)>, LoadError> {
    let read_error = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let mut candidates: Vec<PathBuf> = if path.is_dir() {
        std::fs::read_dir(path)
            .map_err(read_error)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.is_file())
            .collect()
    } else {
        std::fs::metadata(path).map_err(read_error)?;
        vec![path.to_owned()]
    };
    candidates.sort();
    let names: BTreeSet<String> = candidates.iter().map(|path| file_name(path)).collect();
    let mut chosen = Vec::new();
    for candidate in candidates {
        let name = file_name(&candidate);
        let Some(base) = name.strip_suffix(".json") else {
            report.ignored_files.push(name);
            continue;
        };
        if names.contains(&format!("{base}.v1.json")) {
            report.notes.push(format!(
                "{name}: {base}.v1.json is there and was taken instead"
            ));
            continue;
        }
        let stem = base.split('.').next().unwrap_or(base);
        match Content::of(stem) {
            Some(content) => chosen.push((candidate, content)),
            None => report.ignored_files.push(name),
        }
    }
    Ok(chosen)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn items(file: &Path, name: &str) -> Result<Vec<Value>, LoadError> {
    let format = |reason: String| LoadError::Format {
        file: name.to_owned(),
        reason,
    };
    let text = std::fs::read(file).map_err(|source| LoadError::Read {
        path: file.to_owned(),
        source,
    })?;
    match serde_json::from_slice(&text).map_err(|error| format(error.to_string()))? {
        Value::Array(items) => Ok(items),
        Value::Object(mut map) => match map.remove("value") {
            Some(Value::Array(items)) => Ok(items),
            // A policy that a tenant has one of stands alone.
            None if map.contains_key("id") => Ok(vec![Value::Object(map)]),
            _ => Err(format("no 'value' list".into())),
        },
        _ => Err(format("neither a list nor an object".into())),
    }
}

fn incoming(
    kind: Kind,
    map: Map<String, Value>,
    dropped: &mut BTreeSet<String>,
) -> Result<Incoming, String> {
    let id = match map.get("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => {
            Some(Uuid::parse_str(id).map_err(|_| format!("the id '{id}' is not a GUID"))?)
        }
        Some(_) => return Err("the id is not a string".into()),
    };
    let mut properties = Map::new();
    let mut links = Vec::new();
    let mut credentials = Vec::new();
    for (name, value) in map {
        if kind == Kind::Application && name == "federatedIdentityCredentials" {
            credentials = documents::credentials(value)?;
            continue;
        }
        if let Some(relation) = Relation::of(kind, &name) {
            links.extend(link_targets(relation, &value)?);
            continue;
        }
        match kind.shape().by_name(&name) {
            Some(prop) => {
                // Exports write null for lists that were never set.
                if value.is_null() && matches!(prop.form, Form::Texts | Form::Objects) {
                    continue;
                }
                if !has_form(prop.form, &value) {
                    return Err(format!("property '{name}' has the wrong type"));
                }
                if prop.name == "deletedDateTime" && !value.is_null() {
                    return Err("the object is a deleted item".into());
                }
                properties.insert(name, value);
            }
            None if name == "id" || name.starts_with("@odata.") => {}
            None => {
                dropped.insert(name);
            }
        }
    }
    let required: &[&str] = match kind {
        Kind::User => &["displayName", "userPrincipalName"],
        Kind::ServicePrincipal => &["displayName", "appId"],
        Kind::Policy => &["displayName", "state", "conditions"],
        Kind::Location => &["displayName", "@odata.type"],
        _ => &["displayName"],
    };
    for name in required {
        if properties.get(*name).is_none_or(Value::is_null) {
            return Err(format!("property '{name}' is missing"));
        }
    }
    if kind == Kind::Location {
        let known = [
            "#microsoft.graph.ipNamedLocation",
            "#microsoft.graph.countryNamedLocation",
        ];
        if !properties["@odata.type"]
            .as_str()
            .is_some_and(|name| known.contains(&name))
        {
            return Err(format!(
                "the type {} is not in v1.0",
                properties["@odata.type"]
            ));
        }
    }
    properties.remove("passwordProfile");
    Ok(Incoming {
        kind,
        id,
        properties,
        links,
        credentials,
    })
}

fn has_form(form: Form, value: &Value) -> bool {
    match form {
        _ if value.is_null() => true,
        Form::Text | Form::Date => value.is_string(),
        Form::Flag => value.is_boolean(),
        Form::Number => value.is_number(),
        Form::Object => value.is_object(),
        Form::Texts | Form::Objects => value.is_array(),
    }
}

/// Links are ids, or objects that have one; a manager may stand alone.
fn link_targets(relation: Relation, value: &Value) -> Result<Vec<(Relation, Uuid)>, String> {
    let one = std::slice::from_ref(value);
    let items = match value {
        Value::Null => &[][..],
        Value::Array(items) => items,
        _ => one,
    };
    items
        .iter()
        .map(|item| {
            item.as_str()
                .or_else(|| item["id"].as_str())
                .and_then(|id| Uuid::parse_str(id).ok())
                .map(|id| (relation, id))
                .ok_or_else(|| format!("a link in '{}' is not a GUID", relation.name()))
        })
        .collect()
}

fn insert(state: &mut State, objects: Vec<Incoming>, report: &mut LoadReport) {
    let mut links = Vec::new();
    for mut item in objects {
        let known_app = matches!(item.kind, Kind::Application | Kind::ServicePrincipal)
            && item
                .properties
                .get("appId")
                .and_then(Value::as_str)
                .is_some_and(|app_id| state.by_app_id(item.kind, app_id).is_some());
        if known_app || item.id.is_some_and(|id| state.exists_anywhere(id)) {
            report.duplicates += 1;
            continue;
        }
        match item.kind {
            Kind::Policy => prepare_policy(state, &mut item.properties),
            Kind::Application if item.properties.get("appId").is_none_or(Value::is_null) => {
                let app_id = state.ids.guid().to_string();
                item.properties.insert("appId".into(), app_id.into());
            }
            Kind::User => {
                let name = item.properties["userPrincipalName"]
                    .as_str()
                    .unwrap_or_default();
                if state.user_by_upn(name).is_some() {
                    report
                        .notes
                        .push(format!("user '{name}' left out: its name is taken"));
                    report.duplicates += 1;
                    continue;
                }
                item.properties
                    .entry("accountEnabled")
                    .or_insert(Value::Bool(true));
            }
            _ => {}
        }
        let id = item.id.unwrap_or_else(|| state.ids.guid());
        let (record, _) = Record::from_map(item.kind, &item.properties);
        links.extend(
            item.links
                .into_iter()
                .map(|(relation, target)| (item.kind, id, relation, target)),
        );
        for credential in &item.credentials {
            documents::insert_credential(state, id, credential);
            *report
                .loaded
                .entry("federatedIdentityCredential".to_owned())
                .or_default() += 1;
        }
        state.insert(Object {
            id,
            kind: item.kind,
            record,
        });
        *report
            .loaded
            .entry(item.kind.name().to_owned())
            .or_default() += 1;
    }
    let mut found: BTreeMap<(Kind, Uuid, Relation), Vec<Uuid>> = BTreeMap::new();
    for (kind, id, relation, target) in links {
        if state.find(target).is_some() {
            found.entry((kind, id, relation)).or_default().push(target);
        } else {
            report.notes.push(format!(
                "{} of {id}: {target} is not there, link left out",
                relation.name()
            ));
        }
    }
    for ((kind, id, relation), targets) in found {
        state.link_many(relation, kind, id, targets);
    }
}

/// Completes a policy as the service stores it and learns what it takes for granted.
fn prepare_policy(state: &mut State, policy: &mut Map<String, Value>) {
    let strength = policy
        .get("grantControls")
        .and_then(|controls| controls.get("authenticationStrength"))
        .cloned()
        .unwrap_or_default();
    if let Some(id) = strength["id"].as_str()
        && strength["displayName"].is_string()
    {
        state.strengths.entry(id.to_owned()).or_insert(strength);
    }
    policies::complete(policy);
    let conditions = &policy["conditions"];
    let named: Vec<String> = [
        &conditions["users"]["includeRoles"],
        &conditions["users"]["excludeRoles"],
        &conditions["applications"]["includeApplications"],
        &conditions["applications"]["excludeApplications"],
    ]
    .into_iter()
    .flat_map(|list| list.as_array().into_iter().flatten())
    .filter_map(|id| id.as_str().map(str::to_lowercase))
    .collect();
    state.known_references.extend(named);
}

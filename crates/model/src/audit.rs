//! Who changed what, as the tenant's own audit log tells it.
//!
//! Owns the entries of the log as far as a report needs them, and which entries
//! belong to which change. It never guesses: an entry that may be about something
//! else is left out, since no name is better than a wrong one.
//!
//! Facts: the resource `directoryAudit` and its parts in the Graph v1.0 metadata;
//! names of activities from Microsoft's "Audit log activities" (`reference-audit-
//! activities`), which writes the same activity in different cases.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::catalogue::{LinkKind, ObjectType};
use crate::diff::Change;
use crate::licence::Licence;
use crate::snapshot::{Completeness, Content};

mod record;
mod subject;

pub use record::{Changed, Record, Target};
use subject::{Subject, subject};

/// How many activities are told of one change.
pub const MOST: usize = 5;

/// How long the log may take to show an entry. Microsoft gives no number; its page
/// on the latency of logs speaks of minutes.
pub const LATE: TimeDelta = TimeDelta::hours(1);

/// How long the log keeps an entry: 30 days with Entra ID P1 or P2, else 7.
///
/// Source: Microsoft Entra, "Data retention" of audit logs.
#[must_use]
pub fn kept(licence: Licence) -> TimeDelta {
    match licence {
        Licence::None => TimeDelta::days(7),
        Licence::P1 | Licence::P2 => TimeDelta::days(30),
    }
}

/// What kind of thing did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InitiatorType {
    /// A user.
    User,
    /// An application, or a service of Microsoft's.
    Application,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Initiator {
    /// What kind of thing it is.
    pub kind: InitiatorType,
    /// Of a user the object's id; of an application its `appId`, or the id of its
    /// service principal where the log names no `appId`. May be empty.
    pub id: String,
    /// The user principal name or the application's display name. May be empty.
    pub name: String,
    /// From where, where the log says so.
    pub ip_address: String,
}

/// One entry of the log: something that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The log's id of it.
    pub id: String,
    /// When it was done.
    pub time: DateTime<Utc>,
    /// What was done, in the log's words.
    pub activity: String,
    /// What ties together the entries of one operation.
    pub correlation_id: String,
    /// Who did it; `None` where the log does not say.
    pub initiator: Option<Initiator>,
    /// The properties that the log says were changed.
    pub properties: Vec<String>,
    /// The objects that it is about, lowercase.
    targets: Vec<String>,
    /// The objects whose ids stand among its values, lowercase.
    mentioned: Vec<String>,
}

/// An item of the log that is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry of the audit log has no {0}")]
pub struct MalformedEntry(&'static str);

impl Entry {
    /// Takes one entry as Graph sent it; `None` where what it tells of did not
    /// succeed, so that nothing changed.
    ///
    /// # Errors
    /// [`MalformedEntry`] where it has no id, time or activity.
    pub fn from_value(entry: &Value) -> Result<Option<Self>, MalformedEntry> {
        let text = |key: &'static str| text(entry, key).ok_or(MalformedEntry(key));
        let time = DateTime::parse_from_rfc3339(text("activityDateTime")?)
            .map_err(|_| MalformedEntry("activityDateTime"))?;
        let (id, activity) = (text("id")?, text("activityDisplayName")?);
        if !text("result").is_ok_and(|result| result.eq_ignore_ascii_case("success")) {
            return Ok(None);
        }
        let targets = entry.get("targetResources").and_then(Value::as_array);
        let targets = targets.map(Vec::as_slice).unwrap_or_default();
        let (mentioned, properties) = modified(targets);
        let targets = targets.iter().filter_map(|target| self::text(target, "id"));
        Ok(Some(Self {
            id: id.to_owned(),
            time: time.to_utc(),
            activity: activity.to_owned(),
            correlation_id: text("correlationId").unwrap_or_default().to_owned(),
            initiator: entry.get("initiatedBy").and_then(initiator),
            properties,
            targets: targets.map(str::to_lowercase).collect(),
            mentioned,
        }))
    }

    /// The objects that it is about or mentions.
    fn ids(&self) -> impl Iterator<Item = &String> {
        self.targets.iter().chain(&self.mentioned)
    }

    fn names(&self, id: &str) -> bool {
        self.ids().any(|named| named == id)
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    let text = value.get(key)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

/// What `initiatedBy` says; a user goes before the application that it used.
fn initiator(by: &Value) -> Option<Initiator> {
    let first = |value: &Value, keys: [&str; 2]| {
        let found = keys.into_iter().find_map(|key| text(value, key));
        found.unwrap_or_default().to_owned()
    };
    let made = |kind, value: &Value, ids: [&str; 2], names: [&str; 2]| Initiator {
        kind,
        id: first(value, ids).to_lowercase(),
        name: first(value, names),
        ip_address: first(value, ["ipAddress", "ipAddress"]),
    };
    let told = |initiator: &Initiator| !initiator.id.is_empty() || !initiator.name.is_empty();
    let user = by.get("user").map(|user| {
        let names = ["userPrincipalName", "displayName"];
        made(InitiatorType::User, user, ["id", "id"], names)
    });
    let app = by.get("app").map(|app| {
        let (ids, names) = (
            ["appId", "servicePrincipalId"],
            ["displayName", "servicePrincipalName"],
        );
        made(InitiatorType::Application, app, ids, names)
    });
    user.into_iter().chain(app).find(told)
}

/// The objects that an entry mentions among its values, and the properties that it
/// says were changed. Of a link only one end may be a target; the other is then
/// mentioned, as `Group.ObjectID` or `Role.TemplateId`.
fn modified(targets: &[Value]) -> (Vec<String>, Vec<String>) {
    const IDS: [&str; 3] = [".objectid", ".templateid", ".id"];
    let (mut mentioned, mut properties) = (Vec::new(), Vec::new());
    let modified = targets
        .iter()
        .filter_map(|target| target.get("modifiedProperties")?.as_array())
        .flatten();
    for property in modified {
        let Some(name) = text(property, "displayName") else {
            continue;
        };
        let small = name.to_lowercase();
        if IDS.iter().any(|end| small.ends_with(end)) {
            let values = ["oldValue", "newValue"].map(|key| text(property, key));
            mentioned.extend(values.into_iter().flatten().filter_map(guid));
        }
        // What has dots or spaces in its name tells of the entry, not of the object.
        if !name.contains(['.', ' ']) && !properties.iter().any(|held| held == name) {
            properties.push(name.to_owned());
        }
    }
    (mentioned, properties)
}

/// The GUID in a value, which is JSON text, or JSON text in JSON text.
fn guid(value: &str) -> Option<String> {
    let bare = value.trim_matches(|c: char| matches!(c, '[' | ']' | '"' | '\\') || c == ' ');
    let guid = uuid::Uuid::try_parse(bare).ok()?;
    (bare.len() == 36).then(|| guid.to_string())
}

/// What is looked for in the log: one change, in the words of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    object_type: ObjectType,
    id: String,
    /// Of what ties others together: those that an entry must name.
    ties: Vec<String>,
    /// What an entry must name too, if it names more than the ties.
    detail: Option<String>,
    links: Vec<(LinkKind, String)>,
    /// Of a service principal the registration that it copies from, where that
    /// changed too.
    copied_from: Option<String>,
    /// The properties that differ, lowercase.
    properties: Vec<String>,
    /// From when, and until when.
    window: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Sought {
    /// What the log must hold of each change, in their order.
    ///
    /// A change fell between the time to which the base's reading of its type dates
    /// at the earliest and that of the target's at the latest.
    #[must_use]
    pub fn of(changes: &[Change], base: &Content, target: &Content) -> Vec<Self> {
        let from = edge(
            &base.completeness,
            |record| record.not_before,
            std::cmp::min,
        );
        let until = edge(
            &target.completeness,
            |record| record.not_after,
            std::cmp::max,
        );
        let registrations = registrations(changes, base, target);
        let sought = |change: &Change| {
            let object_type = change.object.object_type;
            let (ties, detail) = ties(change, base, target);
            let copied_from = app_id(change, ObjectType::ServicePrincipal, base, target)
                .and_then(|app_id| registrations.get(&app_id).cloned());
            let properties = change.attributes.iter();
            Self {
                copied_from,
                properties: properties
                    .map(|one| one.property().to_lowercase())
                    .collect(),
                object_type,
                id: change.object.id.as_str().to_lowercase(),
                ties,
                detail,
                links: change
                    .links
                    .iter()
                    .map(|link| (link.kind, link.target.as_str().to_lowercase()))
                    .collect(),
                window: from
                    .get(&object_type)
                    .copied()
                    .zip(until.get(&object_type).copied()),
            }
        };
        changes.iter().map(sought).collect()
    }

    /// The time in which anything that is looked for was done.
    #[must_use]
    pub fn window(all: &[Self]) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        all.iter()
            .filter_map(|one| one.window)
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The ids of which each of its entries names one, but for those about the only
    /// object of a type.
    fn keys(&self) -> impl Iterator<Item = &String> {
        let own = self.ties.first().unwrap_or(&self.id);
        std::iter::once(own).chain(&self.copied_from)
    }

    fn is_met_by(&self, entry: &Entry) -> bool {
        let in_time = self
            .window
            .is_some_and(|(from, until)| entry.time >= from && entry.time <= until);
        in_time
            && match subject(&entry.activity) {
                Subject::Object => self.is_changed_by(entry),
                Subject::Links(kinds) => self.links.iter().any(|(kind, target)| {
                    kinds.contains(kind) && entry.names(&self.id) && entry.names(target)
                }),
                Subject::Tie(object_type) => {
                    self.object_type == object_type && self.is_tied_by(entry)
                }
                Subject::Single(object_type) => self.object_type == object_type,
            }
    }

    fn is_changed_by(&self, entry: &Entry) -> bool {
        if self.object_type != ObjectType::FederatedIdentityCredential {
            return self.ties.is_empty()
                && (entry.targets.contains(&self.id) || self.is_copied_by(entry));
        }
        // The log has them as a change of the application that they belong to.
        let credentials = |name: &String| name.to_lowercase().contains("federatedidentity");
        self.is_tied_by(entry) && entry.properties.iter().any(credentials)
    }

    /// Whether an entry is about the registration that a service principal copies
    /// from, and says that it changed what differs here too: the log may tell of the
    /// registration alone.
    fn is_copied_by(&self, entry: &Entry) -> bool {
        let about = |id: &String| entry.targets.contains(id);
        let differs = |property: &String| {
            let property = property.to_lowercase();
            let shown = match property.as_str() {
                "displayname" => "appdisplayname",
                other => other,
            };
            let mut names = self.properties.iter();
            names.any(|name| *name == property || name == shown)
        };
        self.copied_from.as_ref().is_some_and(about) && entry.properties.iter().any(differs)
    }

    fn is_tied_by(&self, entry: &Entry) -> bool {
        let all = self.ties.iter().all(|tie| entry.names(tie));
        let only = || entry.ids().all(|id| self.ties.contains(id));
        let detail = |detail: &String| entry.names(detail) || only();
        !self.ties.is_empty() && all && self.detail.as_ref().is_none_or(detail)
    }
}

/// Of each type the earliest or latest time of its kinds.
fn edge(
    records: &[Completeness],
    of: fn(&Completeness) -> DateTime<Utc>,
    pick: fn(DateTime<Utc>, DateTime<Utc>) -> DateTime<Utc>,
) -> BTreeMap<ObjectType, DateTime<Utc>> {
    let mut edges = BTreeMap::new();
    for record in records.iter().filter(|record| record.is_complete()) {
        let time = of(record);
        edges
            .entry(record.kind.object_type())
            .and_modify(|edge| *edge = pick(*edge, time))
            .or_insert(time);
    }
    edges
}

/// The ids by which the log knows an object that ties others together, and one by
/// which it may tell it from its like.
fn ties(change: &Change, base: &Content, target: &Content) -> (Vec<String>, Option<String>) {
    let object_type = change.object.object_type;
    let (needed, detail): (&[&str], Option<&str>) = match object_type {
        ObjectType::OAuth2PermissionGrant => (&["clientId", "resourceId"], Some("principalId")),
        ObjectType::AppRoleAssignment => (&["principalId", "resourceId"], Some("appRoleId")),
        ObjectType::RoleAssignment => (&["principalId", "roleDefinitionId"], None),
        ObjectType::FederatedIdentityCredential => (&[crate::catalogue::OWNER], None),
        _ => return (Vec::new(), None),
    };
    let body = [target, base]
        .into_iter()
        .find_map(|content| content.object(object_type, &change.object.id))
        .map(crate::object::Object::body)
        .unwrap_or_default();
    let id = |name: &str| Some(body.get(name)?.as_str()?.to_lowercase());
    (
        needed.iter().filter_map(|name| id(name)).collect(),
        detail.and_then(id),
    )
}

/// The `appId` of a changed object, if it is of that type.
fn app_id(
    change: &Change,
    object_type: ObjectType,
    base: &Content,
    target: &Content,
) -> Option<String> {
    if change.object.object_type != object_type {
        return None;
    }
    let object = [target, base]
        .into_iter()
        .find_map(|content| content.object(object_type, &change.object.id))?;
    Some(object.body().get("appId")?.as_str()?.to_lowercase())
}

/// The registrations that changed, by `appId`.
fn registrations(changes: &[Change], base: &Content, target: &Content) -> HashMap<String, String> {
    let registration = |change: &Change| {
        let app_id = app_id(change, ObjectType::Application, base, target)?;
        Some((app_id, change.object.id.as_str().to_lowercase()))
    };
    changes.iter().filter_map(registration).collect()
}

/// What the log tells of one change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told<'a> {
    /// Newest first; of each initiator the newest at least, as far as there is
    /// room.
    pub entries: Vec<&'a Entry>,
    /// How many more there are.
    pub more: usize,
}

/// Entries, by what they name.
#[derive(Debug)]
pub struct Log<'a> {
    entries: Vec<&'a Entry>,
    by_id: HashMap<&'a str, Vec<usize>>,
    single: Vec<usize>,
}

impl<'a> Log<'a> {
    /// Takes entries in any order, in which one may occur several times.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut seen = HashSet::new();
        let mut entries: Vec<&Entry> = entries
            .into_iter()
            .filter(|entry| seen.insert(entry.id.as_str()))
            .collect();
        entries.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
        let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut single = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            for id in entry.ids() {
                by_id.entry(id).or_default().push(place);
            }
            if matches!(subject(&entry.activity), Subject::Single(_)) {
                single.push(place);
            }
        }
        Self {
            entries,
            by_id,
            single,
        }
    }

    /// What the log tells of a change.
    #[must_use]
    pub fn tell(&self, sought: &Sought) -> Told<'a> {
        let named = sought.keys().filter_map(|id| self.by_id.get(id.as_str()));
        let named = named.flatten();
        let mut places: Vec<usize> = named.chain(&self.single).copied().collect();
        places.sort_unstable();
        places.dedup();
        let met: Vec<&Entry> = places
            .into_iter()
            .map(|place| self.entries[place])
            .filter(|entry| sought.is_met_by(entry))
            .collect();
        let more = met.len().saturating_sub(MOST);
        Told {
            entries: told(met),
            more,
        }
    }
}

/// The newest of each initiator, then the newest, as many as are told.
fn told(met: Vec<&Entry>) -> Vec<&Entry> {
    if met.len() <= MOST {
        return met;
    }
    let mut seen = HashSet::new();
    let who = |entry: &Entry| {
        let by = entry.initiator.as_ref();
        by.map(|by| (by.kind, by.id.clone(), by.name.clone()))
    };
    let (first, rest): (Vec<_>, Vec<_>) =
        met.into_iter().partition(|entry| seen.insert(who(entry)));
    let mut chosen: Vec<&Entry> = first.into_iter().chain(rest).take(MOST).collect();
    chosen.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
    chosen
}

#[cfg(test)]
mod tests;

//! The seam between this program and a directory.
//!
//! Owns what may be asked of a directory, and the form of the answers. Reading
//! and writing are two traits, so that whoever holds a [`Directory`] cannot
//! write.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use model::audit::Record;
use model::call::Call;
use model::catalogue::creation::Key;
use model::catalogue::{Cardinality, LinkRead, Reading};
use model::posture::{Action, Role};
use model::snapshot::Kind;
use model::{LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::budget::LaneUse;
use crate::error::GraphError;

/// Where the next page is; opaque, since it may hold a skip token.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NextLink(String);

impl NextLink {
    /// Takes a link as the directory gave it.
    #[must_use]
    pub fn new(link: String) -> Self {
        Self(link)
    }

    /// The link, for the directory that gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NextLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextLink(…)")
    }
}

/// One page of raw objects.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The objects as they were sent; for links, the objects at the other end.
    pub items: Vec<Box<RawValue>>,
    /// Where to go on; an empty page may have one.
    pub next: Option<NextLink>,
}

/// What is read owner by owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Collection {
    /// The links of a relation.
    Links(LinkKind),
    /// The objects of a contained type.
    Contained(ObjectType),
}

impl Collection {
    /// The kind that its entries belong to.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Links(kind) => Kind::Links(kind),
            Self::Contained(object_type) => Kind::Objects(object_type),
        }
    }

    /// The type of the owners.
    #[must_use]
    pub fn owner(self) -> ObjectType {
        match self {
            Self::Links(kind) => kind.source_type(),
            Self::Contained(object_type) => match object_type.spec().reading {
                Reading::Contained { owner, .. } => owner,
                Reading::List | Reading::Singleton => object_type,
            },
        }
    }

    /// The navigation property of the owner.
    #[must_use]
    pub fn relation(self) -> &'static str {
        match self {
            Self::Links(kind) => kind.spec().relation,
            Self::Contained(object_type) => match object_type.spec().reading {
                Reading::Contained { relation, .. } => relation,
                Reading::List | Reading::Singleton => "",
            },
        }
    }
}

/// Which owners a list is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owners {
    /// All of them.
    All,
    /// The guests among the users.
    Guests,
}

/// A list to read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Query {
    /// The live objects of a type; of a singleton, the one. Relations that the
    /// catalogue expands come inside the objects. Types that are contained in
    /// others have no such list.
    Objects(ObjectType),
    /// The soft-deleted objects of a type.
    Deleted(ObjectType),
    /// The other ends of one object's links.
    Links {
        /// The relation.
        kind: LinkKind,
        /// The object that holds it.
        source: ObjectId,
    },
    /// The ids of the live objects of a type.
    Ids(ObjectType),
    /// The ids of owners, each with the first entries of a collection.
    Expanded(Collection, Owners),
    /// The objects of a contained type in one owner.
    Contained(ObjectType, ObjectId),
    /// The live objects of a type that have a value in a property by which Graph
    /// filters its list.
    With {
        /// The type.
        object_type: ObjectType,
        /// The property.
        property: &'static str,
        /// The value.
        value: ObjectId,
    },
    /// The live object of a type that has a value in a property which no two share;
    /// [`GraphError::NotFound`] where there is none.
    Keyed {
        /// The type.
        object_type: ObjectType,
        /// The property.
        key: Key,
        /// The value, in any case.
        value: String,
    },
    /// The objects whose links of a kind end at one object of a type. Items of
    /// other types may be among them.
    Sources {
        /// The relation.
        kind: LinkKind,
        /// The type of the object at the other end.
        target_type: ObjectType,
        /// The object at the other end.
        target: ObjectId,
    },
}

/// From where changes are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangesFrom {
    /// From this moment on: no items, only where to go on.
    Now,
    /// From the beginning: every object, with the links that the delta function
    /// shows and nothing else.
    Links,
    /// From the end of an earlier page.
    Link(NextLink),
}

/// What is said of an object that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// It is there.
    Live,
    /// It is in the recycle bin.
    SoftDeleted,
    /// It is gone.
    Gone,
}

/// The news of one object.
#[derive(Debug, Clone)]
pub struct Announced {
    /// The object.
    pub id: ObjectId,
    /// What became of it.
    pub fate: Fate,
    /// What was sent, links and annotations included.
    pub body: Box<RawValue>,
    /// Links that came or went. A link that is not named may be there all the same.
    pub links: Vec<(LinkKind, ObjectId, Presence)>,
}

/// Whether a link came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// It is there.
    Present,
    /// It is not.
    Absent,
}

/// One page of news.
#[derive(Debug, Clone)]
pub struct ChangePage {
    /// The news; an object may be in it several times.
    pub items: Vec<Announced>,
    /// Where to go on.
    pub next: ChangeNext,
}

/// What follows a page of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeNext {
    /// More of the same round.
    Page(NextLink),
    /// The end of the round: later changes are found here.
    Round(NextLink),
}

/// One page of the audit log.
#[derive(Debug, Clone, Default)]
pub struct AuditPage {
    /// What succeeded, in no order that could be relied on.
    pub records: Vec<Record>,
    /// How many items are no entries, or could not be read.
    pub malformed: usize,
    /// Where to go on; an empty page may have one.
    pub next: Option<NextLink>,
}

/// The request for the entries of the audit log from one time to another.
///
/// Source: "List directoryAudits", which documents `$filter` by `activityDateTime`
/// (`ge`, `le`), `$top` and paging, and no order.
pub(crate) fn audits_url(from: DateTime<Utc>, until: DateTime<Utc>) -> String {
    // A whole second before and after: how Graph compares fractions is not said.
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let second = chrono::TimeDelta::seconds(1);
    let (from, until) = (text(from - second), text(until + second));
    format!(
        "/auditLogs/directoryAudits?$filter=activityDateTime%20ge%20{from}%20and%20activityDateTime%20le%20{until}&$top=999"
    )
}

/// What a type's change tokens track: `$select` of the delta function. A change
/// of anything that is not selected is silent.
#[must_use]
pub fn selection(object_type: ObjectType) -> String {
    let properties = object_type.spec().select_list();
    let relations = tracked(object_type).map(|kind| kind.spec().relation.to_owned());
    properties
        .into_iter()
        .chain(relations)
        .collect::<Vec<_>>()
        .join(",")
}

/// The relations that a type's delta function tracks.
pub(crate) fn tracked(object_type: ObjectType) -> impl Iterator<Item = LinkKind> {
    object_type
        .spec()
        .links
        .iter()
        .filter(|link| matches!(link.read, LinkRead::Delta | LinkRead::Expand))
        .map(|link| link.kind)
}

/// The request for a page of changes below the version root, where it is no link.
pub(crate) fn changes_url(
    object_type: ObjectType,
    from: &ChangesFrom,
) -> Result<String, GraphError> {
    let Some(path) = object_type.spec().delta_path else {
        return Err(GraphError::Refused {
            what: "the type has no change tracking".to_owned(),
            path: object_type.name().to_owned(),
        });
    };
    let select = match from {
        ChangesFrom::Links => tracked(object_type)
            .map(|kind| kind.spec().relation)
            .collect::<Vec<_>>()
            .join(","),
        ChangesFrom::Now | ChangesFrom::Link(_) => selection(object_type),
    };
    let select = (!select.is_empty()).then(|| format!("$select={select}"));
    let latest = (*from == ChangesFrom::Now).then(|| "$deltatoken=latest".to_owned());
    Ok(with_options(path.to_owned(), [select, latest, None]))
}

impl Query {
    /// The kind that the list belongs to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Objects(object_type) => Kind::Objects(*object_type),
            Self::Deleted(object_type) => Kind::Deleted(*object_type),
            Self::Links { kind, .. } | Self::Sources { kind, .. } => Kind::Links(*kind),
            Self::Ids(object_type)
            | Self::Contained(object_type, _)
            | Self::With { object_type, .. }
            | Self::Keyed { object_type, .. } => Kind::Objects(*object_type),
            Self::Expanded(collection, _) => collection.kind(),
        }
    }

    /// The request below the version root.
    ///
    /// # Errors
    /// [`GraphError::Refused`] where the type has no such list.
    pub(crate) fn url(&self) -> Result<String, GraphError> {
        match self {
            Self::Objects(object_type) => {
                let spec = object_type.spec();
                refuse_contained(*object_type)?;
                let expand: Vec<String> = expanded(*object_type)
                    .map(|relation| format!("{relation}($select=id)"))
                    .collect();
                let expand = (!expand.is_empty()).then(|| format!("$expand={}", expand.join(",")));
                Ok(with_options(
                    spec.list_path.to_owned(),
                    [select(*object_type), top(*object_type), expand],
                ))
            }
            Self::Deleted(object_type) => {
                let Some(deleted) = object_type.spec().deleted else {
                    let what = "the type has no recycle bin".to_owned();
                    return Err(GraphError::Refused {
                        what,
                        path: Kind::Deleted(*object_type).name(),
                    });
                };
                Ok(with_options(
                    deleted.list_path.to_owned(),
                    [select(*object_type), top(*object_type), None],
                ))
            }
            Self::Links { kind, source } => {
                let item = kind.source_type().spec().item_path(source);
                let relation = kind.spec().relation;
                // GET /users/{id}/manager answers 404 both where the user is gone and
                // where there is no manager; through the user the two differ.
                if kind.spec().cardinality == Cardinality::One {
                    return Ok(format!("{item}?$select=id&$expand={relation}($select=id)"));
                }
                // "List sponsors" documents $select and $expand only.
                let top = (*kind != LinkKind::UserSponsors).then(|| "$top=999".to_owned());
                Ok(with_options(
                    format!("{item}/{relation}"),
                    [Some("$select=id".to_owned()), top, None],
                ))
            }
            Self::Ids(object_type) => Ok(with_options(
                object_type.spec().list_path.to_owned(),
                [Some("$select=id".to_owned()), top(*object_type), None],
            )),
            Self::Expanded(collection, owners) => {
                let owner = collection.owner();
                let relation = collection.relation();
                // One relation a request: Graph does not promise more for directory objects.
                let expand = match collection {
                    Collection::Links(_) => format!("$expand={relation}($select=id)"),
                    Collection::Contained(_) => format!("$expand={relation}"),
                };
                let options = [Some("$select=id".to_owned()), top(owner), Some(expand)];
                let url = with_options(owner.spec().list_path.to_owned(), options);
                Ok(match owners {
                    Owners::All => url,
                    Owners::Guests => format!("{url}&$filter=userType%20eq%20'Guest'"),
                })
            }
            // Without the largest page some assignments were left out
            // (microsoft-graph-docs issue 12243).
            Self::Contained(object_type, owner) => {
                let collection = Collection::Contained(*object_type);
                let item = collection.owner().spec().item_path(owner);
                Ok(format!("{item}/{}?$top=999", collection.relation()))
            }
            Self::With {
                object_type,
                property,
                value,
            } => {
                refuse_contained(*object_type)?;
                let filter = format!("$filter={property}%20eq%20'{value}'");
                Ok(with_options(
                    object_type.spec().list_path.to_owned(),
                    [select(*object_type), Some(filter), None],
                ))
            }
            Self::Keyed {
                object_type,
                key,
                value,
            } => {
                refuse_contained(*object_type)?;
                let (list, value) = (object_type.spec().list_path, encoded(value));
                let path = match key {
                    Key::SignInName => format!("{list}/{value}"),
                    Key::UniqueName | Key::AppId => {
                        format!("{list}({}='{value}')", key.property())
                    }
                };
                Ok(with_options(path, [select(*object_type), None, None]))
            }
            Self::Sources {
                kind,
                target_type,
                target,
            } => {
                let Some(relation) = reverse(*kind) else {
                    return Err(GraphError::Refused {
                        what: "the relation cannot be read from its other end".to_owned(),
                        path: kind.name().to_owned(),
                    });
                };
                let item = target_type.spec().item_path(target);
                Ok(format!("{item}/{relation}?$select=id&$top=999"))
            }
        }
    }
}

/// The navigation property that leads from the other end of a link to its source.
pub(crate) fn reverse(kind: LinkKind) -> Option<&'static str> {
    match kind {
        LinkKind::GroupMembers => Some("memberOf"),
        LinkKind::GroupOwners => Some("ownedObjects"),
        LinkKind::UserManager => Some("directReports"),
        _ => None,
    }
}

/// The request that tells at the least cost whether a type can be read.
pub(crate) fn probe_url(object_type: ObjectType) -> String {
    let spec = object_type.spec();
    // An object inside another is read with it.
    let (listed, inside) = match spec.reading {
        Reading::List | Reading::Singleton => (spec, None),
        Reading::Contained { owner, relation } => (owner.spec(), Some(relation)),
    };
    let small = listed.page_size.is_some();
    with_options(
        listed.list_path.to_owned(),
        [
            small.then(|| "$select=id".to_owned()),
            small.then(|| "$top=1".to_owned()),
            inside.map(|relation| format!("$expand={relation}")),
        ],
    )
}

/// The relations that come inside the objects of a type.
pub(crate) fn expanded(object_type: ObjectType) -> impl Iterator<Item = &'static str> {
    object_type
        .spec()
        .links
        .iter()
        .filter(|link| link.read == LinkRead::Expand)
        .map(|link| link.relation)
}

/// Objects that others contain are found through those, never by themselves.
fn refuse_contained(object_type: ObjectType) -> Result<(), GraphError> {
    match object_type.spec().reading {
        Reading::List | Reading::Singleton => Ok(()),
        Reading::Contained { owner, .. } => Err(GraphError::Refused {
            what: format!("the type is read through the {owner} that contains it"),
            path: Kind::Objects(object_type).name(),
        }),
    }
}

/// The request for one object.
pub(crate) fn item_url(
    object_type: ObjectType,
    state: ObjectState,
    id: &ObjectId,
) -> Result<String, GraphError> {
    let spec = object_type.spec();
    let path = match (state, spec.deleted) {
        (ObjectState::Live, _) => {
            refuse_contained(object_type)?;
            spec.item_path(id)
        }
        (ObjectState::Deleted, Some(deleted)) => {
            // Without the cast the item is a directoryObject, whose properties
            // are not those of the type.
            let cast = deleted.list_path.rsplit('/').next();
            match cast.filter(|cast| cast.starts_with("microsoft.graph.")) {
                Some(cast) => format!("{}/{id}/{cast}", deleted.item_path),
                None => format!("{}/{id}", deleted.item_path),
            }
        }
        (ObjectState::Deleted, None) => {
            let what = "the type has no recycle bin".to_owned();
            return Err(GraphError::Refused {
                what,
                path: Kind::Deleted(object_type).name(),
            });
        }
    };
    Ok(with_options(path, [select(object_type), None, None]))
}

fn select(object_type: ObjectType) -> Option<String> {
    object_type
        .spec()
        .select_list()
        .map(|list| format!("$select={list}"))
}

fn top(object_type: ObjectType) -> Option<String> {
    object_type
        .spec()
        .page_size
        .map(|size| format!("$top={size}"))
}

/// A value as a part of a path: what is no letter or digit is percent-encoded, a
/// quotation mark doubled, as OData has it.
fn encoded(value: &str) -> String {
    let mut text = String::new();
    for byte in value.replace('\'', "''").bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@') {
            text.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
            text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    text
}

fn with_options(path: String, options: [Option<String>; 3]) -> String {
    let options: Vec<String> = options.into_iter().flatten().collect();
    if options.is_empty() {
        path
    } else {
        format!("{path}?{}", options.join("&"))
    }
}

/// A directory that can be read.
#[async_trait]
pub trait Directory: Send + Sync + fmt::Debug {
    /// Says what may be done with the tenant's Conditional Access quota from now
    /// on; holds for every client of this process and application.
    fn use_conditional_access(&self, lane_use: LaneUse);

    /// Signs in anew, whatever token is kept, and tells which application
    /// permissions the application holds; `None` where the token does not say.
    ///
    /// # Errors
    /// Any [`GraphError`] of signing in.
    async fn granted(&self) -> Result<Option<BTreeSet<String>>, GraphError>;

    /// Whether objects of a type can be read, by one cheap request that may
    /// bring none.
    ///
    /// # Errors
    /// The [`GraphError`] of the refusal.
    async fn try_read(&self, object_type: ObjectType) -> Result<(), GraphError>;

    /// The tenant's subscriptions, for [`model::licence::Licence`].
    ///
    /// # Errors
    /// Any [`GraphError`] of a read.
    async fn subscribed_skus(&self) -> Result<Vec<Value>, GraphError>;

    /// One page of a list: the first, or the one behind a link of the page before.
    ///
    /// # Errors
    /// Any [`GraphError`] of a read.
    async fn page(&self, query: &Query, next: Option<&NextLink>) -> Result<Page, GraphError>;

    /// The first pages of many lists; result i belongs to query i. An owner
    /// that vanished is a [`GraphError::NotFound`] for that item only.
    ///
    /// # Errors
    /// A [`GraphError`] that concerns all items.
    async fn first_pages(
        &self,
        queries: &[Query],
    ) -> Result<Vec<Result<Page, GraphError>>, GraphError>;

    /// One page of what changed in a type.
    ///
    /// # Errors
    /// [`GraphError::ResyncRequired`] where the link is no longer honoured: the
    /// type must be read as if for the first time; any [`GraphError`] of a read.
    async fn changes(
        &self,
        object_type: ObjectType,
        from: &ChangesFrom,
    ) -> Result<ChangePage, GraphError>;

    /// Single objects; `Ok(None)` where there is none in that state. Relations
    /// that lists expand are not part of these.
    ///
    /// # Errors
    /// A [`GraphError`] that concerns all items.
    async fn read_many(
        &self,
        ids: &[(ObjectType, ObjectState, ObjectId)],
    ) -> Result<Vec<Result<Option<Object>, GraphError>>, GraphError>;

    /// Which of these ids are live directory objects, each with its
    /// `@odata.type` as Graph writes it. Ids that are no GUID are not asked for.
    ///
    /// # Errors
    /// Any [`GraphError`] of a read.
    async fn existing(&self, ids: &[ObjectId]) -> Result<HashMap<ObjectId, String>, GraphError>;

    /// The ids of the directory role templates, which policies name as roles.
    ///
    /// # Errors
    /// Any [`GraphError`] of a read.
    async fn role_template_ids(&self) -> Result<HashSet<ObjectId>, GraphError>;

    /// The actions in the namespace `microsoft.directory`, each with the
    /// authentication context that protects it.
    ///
    /// # Errors
    /// [`GraphError::Unexpected`] where Graph does not tell what protects them; any
    /// [`GraphError`] of a read.
    async fn protected_actions(&self) -> Result<Vec<Action>, GraphError>;

    /// The directory roles, each with the actions that it allows.
    ///
    /// # Errors
    /// Any [`GraphError`] of a read.
    async fn roles(&self) -> Result<Vec<Role>, GraphError>;

    /// Which of these application ids have a service principal in the tenant.
    /// Words such as `All` or `Office365` are not asked for.
    ///
    /// # Errors
    /// Any [`GraphError`] of a read.
    async fn existing_app_ids(&self, app_ids: &[String]) -> Result<HashSet<String>, GraphError>;

    /// One page of the tenant's audit log between two times: the first, or the one
    /// behind a link of the page before. What was done lately may be missing, since
    /// the log is written minutes later.
    ///
    /// # Errors
    /// [`GraphError::Denied`] where the application lacks the permission;
    /// [`GraphError::Refused`] where this process has no share of the log's quota;
    /// any [`GraphError`] of a read.
    async fn audits(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        next: Option<&NextLink>,
    ) -> Result<AuditPage, GraphError>;
}

/// A directory that can be written.
#[async_trait]
pub trait DirectoryWriter: Directory {
    /// The client id of the application that it writes as.
    fn application(&self) -> &str;

    /// Sends one write and tells what came of it: the body of the answer, where it
    /// has one, and Graph's id of the request.
    ///
    /// `{graph}` in the body is replaced with the version root. The answer is
    /// [`GraphError::Ambiguous`] where the write may have been carried out;
    /// [`GraphError::Refused`] where this program does not send such a write;
    /// otherwise the [`GraphError`] of the refusal.
    async fn send(&self, call: &Call) -> Sent;

    /// Sends one write and returns the body of the answer, where it has one.
    ///
    /// # Errors
    /// As [`DirectoryWriter::send`] tells.
    async fn write(&self, call: &Call) -> Result<Option<Value>, GraphError> {
        self.send(call).await.answer
    }
}

/// What came of a write.
#[derive(Debug)]
pub struct Sent {
    /// The body of the answer, where it has one, or why the write failed.
    pub answer: Result<Option<Value>, GraphError>,
    /// Graph's id of the last request that was sent for it; `None` where none was
    /// answered.
    pub request_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_built_from_the_catalogue() {
        let id = ObjectId::parse("00000000-0000-0000-0000-000000000001").unwrap();
        let links = |kind| {
            Query::Links {
                kind,
                source: id.clone(),
            }
            .url()
            .unwrap()
        };
        assert_eq!(
            links(LinkKind::GroupMembers),
            format!("/groups/{id}/members?$select=id&$top=999")
        );
        assert_eq!(
            links(LinkKind::UserSponsors),
            format!("/users/{id}/sponsors?$select=id")
        );
        assert_eq!(
            links(LinkKind::UserManager),
            format!("/users/{id}?$select=id&$expand=manager($select=id)")
        );

        let users = Query::Objects(ObjectType::User).url().unwrap();
        assert!(
            users.starts_with("/users?$select=id,accountEnabled,"),
            "{users}"
        );
        assert!(
            users.ends_with("&$top=999&$expand=manager($select=id)"),
            "{users}"
        );
        let deleted = Query::Deleted(ObjectType::User).url().unwrap();
        assert!(
            deleted.starts_with("/directory/deletedItems/microsoft.graph.user?$select=id,"),
            "{deleted}"
        );
        assert!(!deleted.contains("$expand"), "{deleted}");
        assert_eq!(
            Query::Objects(ObjectType::NamedLocation).url().unwrap(),
            "/identity/conditionalAccess/namedLocations"
        );
        let policy = ObjectType::AuthorizationPolicy;
        let path = "/policies/authorizationPolicy";
        assert_eq!(Query::Objects(policy).url().unwrap(), path);
        let one = ObjectId::parse("authorizationPolicy").unwrap();
        assert_eq!(item_url(policy, ObjectState::Live, &one).unwrap(), path);
        let held = Query::With {
            object_type: ObjectType::RoleAssignment,
            property: "principalId",
            value: id.clone(),
        };
        assert_eq!(
            held.url().unwrap(),
            format!("/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'{id}'")
        );
        assert_eq!(
            links(LinkKind::AdministrativeUnitMembers),
            format!("/directory/administrativeUnits/{id}/members?$select=id&$top=999")
        );
    }

    #[test]
    fn one_object_is_read_by_its_key() {
        let url = |object_type, key, value: &str| {
            let value = value.to_owned();
            let query = Query::Keyed {
                object_type,
                key,
                value,
            };
            let url = query.url().unwrap();
            url.split('?').next().unwrap_or_default().to_owned()
        };
        assert_eq!(
            url(ObjectType::User, Key::SignInName, "o'neil#ext@a.b"),
            "/users/o%27%27neil%23ext@a.b"
        );
        assert_eq!(
            url(ObjectType::Group, Key::UniqueName, "rewind-1"),
            "/groups(uniqueName='rewind-1')"
        );
        assert_eq!(
            url(ObjectType::ServicePrincipal, Key::AppId, "1-2"),
            "/servicePrincipals(appId='1-2')"
        );
    }

    #[test]
    fn the_audit_log_is_asked_for_a_time() {
        let at = |seconds| DateTime::from_timestamp(seconds, 500_000_000).unwrap();
        assert_eq!(
            audits_url(at(0), at(61)),
            "/auditLogs/directoryAudits?$filter=activityDateTime%20ge%201969-12-31T23:59:59Z\
             %20and%20activityDateTime%20le%201970-01-01T00:01:02Z&$top=999"
        );
    }

    #[test]
    fn contained_objects_have_no_list_and_no_path_of_their_own() {
        let contained = ObjectType::AppRoleAssignment;
        let id = ObjectId::parse("a").unwrap();
        for url in [
            Query::Objects(contained).url(),
            Query::Deleted(contained).url(),
            item_url(contained, ObjectState::Live, &id),
        ] {
            assert!(matches!(url, Err(GraphError::Refused { .. })), "{url:?}");
        }
    }
}

//! The table of object types: where Graph keeps them, what each property is,
//! which links they have, and in which order they are restored.
//!
//! Collector, differ, restorer and documentation read this table; a new type
//! or property is one entry. Where Graph is odd, the entry names a quirk and
//! says why. Facts are from the Graph v1.0 metadata and the reference pages of
//! each resource. The table decides; it never performs.

use serde_json::{Map, Value};

mod conditional_access;
pub mod creation;
mod grants;
pub mod page;
pub mod permissions;
mod policies;
mod principals;
mod software;
mod tenant;

pub use conditional_access::{CONDITIONAL_ACCESS_POLICY, NAMED_LOCATION};
pub use grants::{
    APP_ROLE_ASSIGNMENT, FEDERATED_IDENTITY_CREDENTIAL, GLOBAL_ADMINISTRATOR,
    OAUTH2_PERMISSION_GRANT, ROLE_ASSIGNMENT,
};
pub use policies::{
    AUTHENTICATION_CONTEXT, AUTHENTICATION_METHODS_POLICY, AUTHENTICATION_STRENGTH_POLICY,
    AUTHORIZATION_POLICY,
};
pub use principals::{GROUP, USER};
pub use software::{APPLICATION, SERVICE_PRINCIPAL};
pub use tenant::{ADMINISTRATIVE_UNIT, ORGANIZATION};

/// A type of directory object.
///
/// The order of the variants is the order in which objects are stored: append
/// only, or files that are there would no longer be sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectType {
    /// A person or guest.
    User,
    /// A Microsoft 365, security, mail-enabled security or distribution group.
    Group,
    /// An application registration.
    Application,
    /// An application's identity in the tenant.
    ServicePrincipal,
    /// A place that Conditional Access policies refer to.
    NamedLocation,
    /// A Conditional Access policy.
    ConditionalAccessPolicy,
    /// Delegated permissions of an application, consented to by a user or for all.
    OAuth2PermissionGrant,
    /// A role of an application, held by a user, group or service principal.
    AppRoleAssignment,
    /// How people may sign in; one in a tenant.
    AuthenticationMethodsPolicy,
    /// What members and guests may do by default; one in a tenant.
    AuthorizationPolicy,
    /// Which combinations of sign-in methods are strong enough.
    AuthenticationStrengthPolicy,
    /// A label that applications demand and Conditional Access policies answer.
    AuthenticationContextClassReference,
    /// The tenant's own entry; one in a tenant.
    Organization,
    /// A part of the directory with administrators of its own.
    AdministrativeUnit,
    /// A directory role, held by a user, group or service principal.
    RoleAssignment,
    /// An identity elsewhere that may sign in as an application.
    FederatedIdentityCredential,
}

impl ObjectType {
    /// All types, in storage order.
    pub const ALL: [Self; 16] = [
        Self::User,
        Self::Group,
        Self::Application,
        Self::ServicePrincipal,
        Self::NamedLocation,
        Self::ConditionalAccessPolicy,
        Self::OAuth2PermissionGrant,
        Self::AppRoleAssignment,
        Self::AuthenticationMethodsPolicy,
        Self::AuthorizationPolicy,
        Self::AuthenticationStrengthPolicy,
        Self::AuthenticationContextClassReference,
        Self::Organization,
        Self::AdministrativeUnit,
        Self::RoleAssignment,
        Self::FederatedIdentityCredential,
    ];

    /// The type's entry in the catalogue.
    #[must_use]
    pub fn spec(self) -> &'static TypeSpec {
        match self {
            Self::User => &USER,
            Self::Group => &GROUP,
            Self::Application => &APPLICATION,
            Self::ServicePrincipal => &SERVICE_PRINCIPAL,
            Self::NamedLocation => &NAMED_LOCATION,
            Self::ConditionalAccessPolicy => &CONDITIONAL_ACCESS_POLICY,
            Self::OAuth2PermissionGrant => &OAUTH2_PERMISSION_GRANT,
            Self::AppRoleAssignment => &APP_ROLE_ASSIGNMENT,
            Self::AuthenticationMethodsPolicy => &AUTHENTICATION_METHODS_POLICY,
            Self::AuthorizationPolicy => &AUTHORIZATION_POLICY,
            Self::AuthenticationStrengthPolicy => &AUTHENTICATION_STRENGTH_POLICY,
            Self::AuthenticationContextClassReference => &AUTHENTICATION_CONTEXT,
            Self::Organization => &ORGANIZATION,
            Self::AdministrativeUnit => &ADMINISTRATIVE_UNIT,
            Self::RoleAssignment => &ROLE_ASSIGNMENT,
            Self::FederatedIdentityCredential => &FEDERATED_IDENTITY_CREDENTIAL,
        }
    }

    /// Whether a snapshot is of no use without it: the six types that every tenant
    /// is backed up for. An application without a permission for one of the others
    /// leaves that one out.
    #[must_use]
    pub fn is_essential(self) -> bool {
        matches!(
            self,
            Self::User
                | Self::Group
                | Self::Application
                | Self::ServicePrincipal
                | Self::NamedLocation
                | Self::ConditionalAccessPolicy
        )
    }

    /// Graph's name of the type, such as `servicePrincipal`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The reverse of [`ObjectType::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|object_type| object_type.name() == name)
    }
}

impl std::fmt::Display for ObjectType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// All entries, in storage order.
pub static TYPES: [&TypeSpec; 16] = [
    &USER,
    &GROUP,
    &APPLICATION,
    &SERVICE_PRINCIPAL,
    &NAMED_LOCATION,
    &CONDITIONAL_ACCESS_POLICY,
    &OAUTH2_PERMISSION_GRANT,
    &APP_ROLE_ASSIGNMENT,
    &AUTHENTICATION_METHODS_POLICY,
    &AUTHORIZATION_POLICY,
    &AUTHENTICATION_STRENGTH_POLICY,
    &AUTHENTICATION_CONTEXT,
    &ORGANIZATION,
    &ADMINISTRATIVE_UNIT,
    &ROLE_ASSIGNMENT,
    &FEDERATED_IDENTITY_CREDENTIAL,
];

/// One entry of the catalogue.
#[derive(Debug)]
pub struct TypeSpec {
    /// The type described.
    pub object_type: ObjectType,
    /// Graph's name of the type.
    pub name: &'static str,
    /// The entity types of the Graph schema that objects of it have.
    pub entities: &'static [&'static str],
    /// The collection, relative to the version root: `/users`. One object is
    /// `{list_path}/{id}`; a create is a POST to it. Of a [`Reading::Singleton`]
    /// it is the object itself; of a [`Reading::Contained`] type it is no list of
    /// the tenant but a pattern, in which `{owner}` stands for the id of the
    /// object that contains them.
    pub list_path: &'static str,
    /// Whether reads name every property of the table in `$select`. Types whose
    /// default set is complete are read without.
    pub select: bool,
    /// The largest page that the list accepts as `$top`; `None` where no
    /// `$top` is sent.
    pub page_size: Option<u16>,
    /// How a whole tenant's objects of the type are read.
    pub reading: Reading,
    /// The delta function, where Graph has one.
    pub delta_path: Option<&'static str>,
    /// Where soft-deleted objects are found.
    pub deleted: Option<DeletedPaths>,
    /// Which quota the type's requests count against.
    pub lane: Lane,
    /// The properties.
    pub properties: &'static [Property],
    /// Those of the properties that the schema has as relations to objects of
    /// their own, and that Graph sends inside the object without being asked.
    pub inline: &'static [&'static str],
    /// The properties, or [`OWNER`], that hold the ids of objects without which one
    /// of this type is not seen: it goes with them, and comes back with them, as
    /// links do.
    pub ties: &'static [&'static str],
    /// How an object is made anew, of types whose objects only tie others together.
    pub relation: Option<Relation>,
    /// The links that start at objects of this type.
    pub links: &'static [LinkSpec],
    /// Position in restore order: lower first.
    pub rank: u8,
    /// Whether writes carry the object's `@odata.type` (polymorphic types).
    pub typed_writes: bool,
    /// The least application permissions with which all of it can be read,
    /// chosen so that all types together need few.
    pub read_permissions: &'static [&'static str],
    /// The same for writing.
    pub write_permissions: &'static [&'static str],
}

/// How the objects of a type are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A collection, page by page.
    List,
    /// One object, which is there as long as the tenant is.
    Singleton,
    /// Contained in objects of another type: `{owner}/{id}/{relation}`. A list of
    /// the owners brings the first ones of each inside; an owner that brings as
    /// many as Graph expands is asked for the rest.
    Contained {
        /// The type that contains them.
        owner: ObjectType,
        /// The navigation property of the owner.
        relation: &'static str,
    },
}

/// How many entries of a collection Graph expands inside an object; there is no
/// sign where it left some out.
///
/// Source: "Use query parameters", and microsoft-graph-docs-contrib issue 2851.
pub const EXPANDED: usize = 20;

/// The annotation under which a contained object names the object it is in: what
/// Graph sends need not tell. The collector adds it to the stored JSON; like other
/// annotations it is never compared and never written.
pub const OWNER: &str = "@rewind.owner";

/// What is special about objects that only tie others together: they have no
/// recycle bin, and what is gone is made anew from what it says. Removing one
/// that was added loses nothing that could not be made again.
#[derive(Debug, Clone, Copy)]
pub struct Relation {
    /// The properties, or [`OWNER`], that no two objects share: by them one that
    /// was made anew is known, whatever its id.
    pub key: &'static [&'static str],
    /// The properties that a request to make one names.
    pub made_of: &'static [&'static str],
    /// The property, or [`OWNER`], whose value leads to few objects among which one
    /// is found: that of the containing object, else one that a list is filtered by.
    pub found_by: &'static str,
}

/// Where soft-deleted objects of a type live.
#[derive(Debug, Clone, Copy)]
pub struct DeletedPaths {
    /// The list of deleted objects of the type.
    pub list_path: &'static str,
    /// The collection that holds one deleted object as `{item_path}/{id}`;
    /// restoring it is a POST to `{item_path}/{id}/restore`.
    pub item_path: &'static str,
    /// Properties that a deleted or just restored object does not show as they
    /// were, with the value that it shows instead.
    pub distorted: &'static [(&'static str, Distortion)],
}

/// How the recycle bin misrepresents a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distortion {
    /// The bin shows `false`, whatever it was; a restore brings the old value back.
    ShownFalse,
    /// A restore brings the object back with `false`.
    RestoredFalse,
    /// The bin shows the text with the object's id, without hyphens, before it;
    /// a restore takes it off again. Entries of a list show it in their
    /// `issuerAssignedId`.
    PrefixedWithId,
}

/// A throttling lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The identity and directory quota, counted in resource units.
    Directory,
    /// Conditional Access and named locations: one request a second per tenant
    /// over all applications.
    ConditionalAccess,
}

/// What may be done with a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Written back by PATCH.
    Restorable,
    /// Compared and reported; Graph refuses to write it.
    ReadOnly,
    /// Written by the service on its own; never compared.
    Volatile,
    /// Holds or hides a secret; only its public part is compared, nothing is written back.
    Secret,
    /// Writable only through an endpoint of its own; reported, not in the PATCH.
    OwnEndpoint,
    /// Copied from another object, which is restored in its place.
    Copied,
}

/// How a property's value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    Scalar,
    /// A list whose order has a meaning.
    List,
    /// A list whose order has none.
    Set,
    /// An object; lists inside it are sets.
    Object,
}

/// How a property is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// The value of the snapshot.
    Plain,
    /// The whole object, or what is left out becomes null (`employeeOrgData`),
    /// or loses its conditions.
    Whole,
    /// Entries must be switched off and read back before they may go or change
    /// (`appRoles`, `api.oauth2PermissionScopes`).
    DisableFirst,
    /// By an action of the object, which takes the property and nothing else.
    Action(&'static str),
    /// Each entry at a path of its own, `{object}/{property}/{entry}`, with its type;
    /// entries are not made or removed.
    Entries,
}

/// Whether a property can be set back to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clearing {
    /// Null or the empty list is accepted.
    Allowed,
    /// Graph refuses null, and with it the whole request.
    Refused,
}

/// A fixup of a value, where Graph returns what it does not accept.
pub type Quirk = fn(&mut Value);

/// One property of a type.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Graph's name.
    pub name: &'static str,
    /// What may be done with it.
    pub class: Class,
    /// How values are compared.
    pub shape: Shape,
    /// How it is written.
    pub write: Write,
    /// Takes out what Graph returns and does not accept; applied before
    /// comparing and before writing.
    pub quirk: Option<Quirk>,
    /// Whether Graph lets the value be cleared.
    pub clearing: Clearing,
    /// Properties of different parts are written by different requests, since
    /// each part needs a permission of its own and a refusal must block no more
    /// than itself.
    pub part: u8,
    /// Brings different spellings of one value together; applied before
    /// comparing only, so that what is written is what the snapshot holds.
    pub spelling: Option<Quirk>,
    /// Whether services set it by themselves some time after this object or
    /// another was written, so that a guard over a whole object leaves it out.
    pub set_by_services: bool,
}

impl Property {
    const fn new(name: &'static str, class: Class, shape: Shape) -> Self {
        Self {
            name,
            class,
            shape,
            write: Write::Plain,
            quirk: None,
            clearing: Clearing::Allowed,
            part: 0,
            spelling: None,
            set_by_services: false,
        }
    }

    const fn written(mut self, write: Write) -> Self {
        self.write = write;
        self
    }

    const fn with_quirk(mut self, quirk: Quirk) -> Self {
        self.quirk = Some(quirk);
        self
    }

    const fn set_by_services(mut self) -> Self {
        self.set_by_services = true;
        self
    }

    const fn never_cleared(mut self) -> Self {
        self.clearing = Clearing::Refused;
        self
    }

    const fn in_part(mut self, part: u8) -> Self {
        self.part = part;
        self
    }

    const fn with_spelling(mut self, spelling: Quirk) -> Self {
        self.spelling = Some(spelling);
        self
    }
}

const fn scalar(name: &'static str) -> Property {
    Property::new(name, Class::Restorable, Shape::Scalar)
}

const fn set(name: &'static str) -> Property {
    Property::new(name, Class::Restorable, Shape::Set)
}

const fn object(name: &'static str) -> Property {
    Property::new(name, Class::Restorable, Shape::Object)
}

const fn copied(name: &'static str) -> Property {
    Property::new(name, Class::Copied, Shape::Object)
}

const fn read_only(name: &'static str) -> Property {
    Property::new(name, Class::ReadOnly, Shape::Object)
}

const fn volatile(name: &'static str) -> Property {
    Property::new(name, Class::Volatile, Shape::Object)
}

/// A relation between objects.
///
/// The order of the variants is the order in which links are stored: append only,
/// or files that are there would no longer be sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkKind {
    /// Group to member.
    GroupMembers,
    /// Group to owner.
    GroupOwners,
    /// Application to owner.
    ApplicationOwners,
    /// Service principal to owner.
    ServicePrincipalOwners,
    /// User to manager; at most one.
    UserManager,
    /// User to sponsor.
    UserSponsors,
    /// Administrative unit to member.
    AdministrativeUnitMembers,
}

impl LinkKind {
    /// All kinds, in storage order.
    pub const ALL: [Self; 7] = [
        Self::GroupMembers,
        Self::GroupOwners,
        Self::ApplicationOwners,
        Self::ServicePrincipalOwners,
        Self::UserManager,
        Self::UserSponsors,
        Self::AdministrativeUnitMembers,
    ];

    /// The kind's entry in the catalogue.
    ///
    /// # Panics
    /// Never: a test holds that each kind has one entry.
    #[must_use]
    pub fn spec(self) -> &'static LinkSpec {
        TYPES
            .iter()
            .flat_map(|spec| spec.links)
            .find(|link| link.kind == self)
            .expect("invariant: each link kind has an entry")
    }

    /// The type that holds the relation.
    #[must_use]
    pub fn source_type(self) -> ObjectType {
        match self {
            Self::GroupMembers | Self::GroupOwners => ObjectType::Group,
            Self::ApplicationOwners => ObjectType::Application,
            Self::ServicePrincipalOwners => ObjectType::ServicePrincipal,
            Self::UserManager | Self::UserSponsors => ObjectType::User,
            Self::AdministrativeUnitMembers => ObjectType::AdministrativeUnit,
        }
    }

    /// `group/members`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The reverse of [`LinkKind::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One relation of a type.
#[derive(Debug)]
pub struct LinkSpec {
    /// The relation.
    pub kind: LinkKind,
    /// Type and relation: `group/members`.
    pub name: &'static str,
    /// The navigation property: `members`.
    pub relation: &'static str,
    /// How many ends there may be.
    pub cardinality: Cardinality,
    /// How the relation is read for a whole tenant.
    pub read: LinkRead,
    /// How many links one write may add; 1 where there is no bulk form.
    pub adds_per_write: usize,
}

/// How many targets a source may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// At most one; a write replaces it.
    One,
    /// Any number.
    Many,
}

/// How links are collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRead {
    /// Comes with the objects, through `$expand`; right for single-valued
    /// relations only, since an expanded collection ends at [`EXPANDED`] without
    /// a sign.
    Expand,
    /// The first [`EXPANDED`] come with a list of ids, through `$expand`; an owner
    /// that shows as many is asked alone.
    ExpandFirst,
    /// The first round of the type's delta function shows all, and later rounds
    /// what changed.
    Delta,
    /// Asked for one owner at a time, 20 to a batch.
    PerOwner,
}

impl TypeSpec {
    /// Whether Graph tells no changes of it, so that its list is read every time,
    /// until two readings agree.
    #[must_use]
    pub fn is_untracked(&self) -> bool {
        self.delta_path.is_none() && !matches!(self.reading, Reading::Contained { .. })
    }

    /// The entry of a property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'static Property> {
        self.properties
            .iter()
            .find(|property| property.name == name)
    }

    /// The `$select` list, where reads name their properties.
    #[must_use]
    pub fn select_list(&self) -> Option<String> {
        self.select.then(|| {
            std::iter::once("id")
                .chain(self.properties.iter().map(|property| property.name))
                .collect::<Vec<_>>()
                .join(",")
        })
    }

    /// A body from the recycle bin as it was before the deletion, as far as that
    /// can be told; what the bin hides is taken from `known`.
    #[must_use]
    pub fn undistorted(
        &self,
        mut body: Map<String, Value>,
        known: &Map<String, Value>,
    ) -> Map<String, Value> {
        let id = body.get("id").and_then(Value::as_str).unwrap_or_default();
        let prefix = id.replace('-', "");
        for (property, distortion) in self
            .deleted
            .map(|paths| paths.distorted)
            .unwrap_or_default()
        {
            match distortion {
                Distortion::ShownFalse => match known.get(*property) {
                    Some(value) => drop(body.insert((*property).to_owned(), value.clone())),
                    None => drop(body.remove(*property)),
                },
                Distortion::PrefixedWithId => {
                    if let Some(value) = body.get_mut(*property) {
                        take_prefix(value, &prefix);
                    }
                }
                Distortion::RestoredFalse => {}
            }
        }
        body
    }

    /// The path of one live object.
    ///
    /// Of a [`Reading::Contained`] type an id alone does not lead to an object;
    /// there it is [`TypeSpec::contained_path`] that is meant, and this one holds
    /// the pattern's `{owner}`, which Graph does not know.
    #[must_use]
    pub fn item_path(&self, id: &crate::ObjectId) -> String {
        match self.reading {
            Reading::Singleton => self.list_path.to_owned(),
            Reading::List | Reading::Contained { .. } => format!("{}/{id}", self.list_path),
        }
    }

    /// The path of the objects of a [`Reading::Contained`] type in one owner.
    #[must_use]
    pub fn contained_list_path(&self, owner: &crate::ObjectId) -> String {
        self.list_path.replace("{owner}", owner.as_str())
    }

    /// The path of one object of a [`Reading::Contained`] type. The owner's id is
    /// the object's [`OWNER`] annotation.
    #[must_use]
    pub fn contained_path(&self, owner: &crate::ObjectId, id: &crate::ObjectId) -> String {
        format!("{}/{id}", self.contained_list_path(owner))
    }

    /// The object that contains those of a path, the reverse of
    /// [`TypeSpec::contained_list_path`] and [`TypeSpec::contained_path`].
    #[must_use]
    pub fn owner_in(&self, path: &str) -> Option<crate::ObjectId> {
        let (before, after) = self.list_path.split_once("{owner}")?;
        let (owner, rest) = path.strip_prefix(before)?.split_once('/')?;
        let relation = after.strip_prefix('/')?;
        let inside = rest.strip_prefix(relation)?;
        (inside.is_empty() || inside.starts_with('/'))
            .then(|| crate::ObjectId::parse(owner).ok())
            .flatten()
    }

    /// What tells one object of a [`Relation`] type from every other, whatever its
    /// id; `None` of other types.
    #[must_use]
    pub fn identity(&self, body: &Map<String, Value>) -> Option<Vec<Value>> {
        let key = self.relation?.key;
        Some(
            key.iter()
                .map(|name| body.get(*name).cloned().unwrap_or_default())
                .collect(),
        )
    }
}

fn take_prefix(value: &mut Value, prefix: &str) {
    match value {
        Value::String(text) => {
            if let Some(rest) = text.strip_prefix(prefix) {
                *text = rest.to_owned();
            }
        }
        Value::Array(entries) => {
            let names = entries
                .iter_mut()
                .filter_map(|entry| entry.get_mut("issuerAssignedId"));
            names.for_each(|name| take_prefix(name, prefix));
        }
        _ => {}
    }
}

#[cfg(test)]
pub(crate) mod tests;

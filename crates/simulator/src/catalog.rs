//! What each object type looks like on the wire: its properties, their defaults and who may write them.
//!
//! This table follows the v1.0 schema and is the simulator's own; it must never be shared with the
//! client side, or both would make the same mistake.

mod tables;

use std::collections::HashMap;
use std::sync::LazyLock;

/// The object types that have identity and history here; all but grants also have a recycle bin
/// that callers see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    User,
    Group,
    Application,
    ServicePrincipal,
    Policy,
    Location,
    AdministrativeUnit,
    /// A delegated permission grant: no directory object, yet with a delta function of its own.
    Grant,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::User,
        Self::Group,
        Self::Application,
        Self::ServicePrincipal,
        Self::Policy,
        Self::Location,
        Self::AdministrativeUnit,
        Self::Grant,
    ];

    /// The Graph name of the type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Application => "application",
            Self::ServicePrincipal => "servicePrincipal",
            Self::Policy => "conditionalAccessPolicy",
            Self::Location => "namedLocation",
            Self::AdministrativeUnit => "administrativeUnit",
            Self::Grant => "oAuth2PermissionGrant",
        }
    }

    /// The collection as `@odata.context` and paths name it.
    pub(crate) fn collection(self) -> &'static str {
        match self {
            Self::User => "users",
            Self::Group => "groups",
            Self::Application => "applications",
            Self::ServicePrincipal => "servicePrincipals",
            Self::Policy => "identity/conditionalAccess/policies",
            Self::Location => "identity/conditionalAccess/namedLocations",
            Self::AdministrativeUnit => "directory/administrativeUnits",
            Self::Grant => "oauth2PermissionGrants",
        }
    }

    /// The type's name inside the directory service, as `Location` headers and audit records show it.
    pub(crate) fn service_name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::Application => "Application",
            Self::ServicePrincipal => "ServicePrincipal",
            Self::Policy => "Policy",
            Self::Location => "NamedLocation",
            Self::AdministrativeUnit => "AdministrativeUnit",
            Self::Grant => "OAuth2PermissionGrant",
        }
    }

    /// The type in the words of the audit log.
    pub(crate) fn spoken(self) -> &'static str {
        match self {
            Self::ServicePrincipal => "service principal",
            Self::AdministrativeUnit => "administrative unit",
            other => other.name(),
        }
    }

    pub(crate) fn is_directory_object(self) -> bool {
        !matches!(self, Self::Policy | Self::Location | Self::Grant)
    }

    pub(crate) fn from_cast(cast: &str) -> Option<Self> {
        let name = cast
            .strip_prefix("#microsoft.graph.")
            .or_else(|| cast.strip_prefix("microsoft.graph."))
            .unwrap_or(cast);
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn shape(self) -> &'static Shape {
        &SHAPES[self as usize]
    }
}

/// Links from an object to directory objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Relation {
    Members,
    Owners,
    Manager,
    Sponsors,
}

impl Relation {
    pub(crate) const ALL: [Self; 4] = [Self::Members, Self::Owners, Self::Manager, Self::Sponsors];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Owners => "owners",
            Self::Manager => "manager",
            Self::Sponsors => "sponsors",
        }
    }

    /// The relation called `name` on `kind`, if that type has it.
    pub(crate) fn of(kind: Kind, name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|relation| relation.name() == name && relation.on(kind))
    }

    pub(crate) fn on(self, kind: Kind) -> bool {
        match self {
            Self::Members => matches!(kind, Kind::Group | Kind::AdministrativeUnit),
            Self::Owners => matches!(
                kind,
                Kind::Group | Kind::Application | Kind::ServicePrincipal
            ),
            Self::Manager | Self::Sponsors => kind == Kind::User,
        }
    }
}

/// The JSON form that a property accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Flag,
    Number,
    Date,
    Texts,
    Object,
    Objects,
}

/// Who may write a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// POST and PATCH.
    Both,
    /// POST only: immutable afterwards.
    Create,
    /// Never by a caller.
    Read,
    /// Accepted, never returned.
    Hidden,
}

/// When a property is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Without `$select`.
    Default,
    /// Only when named in `$select`.
    Selected,
    /// Only for single objects when named in `$select`.
    SingleSelected,
}

/// One property of a type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prop {
    pub name: &'static str,
    pub form: Form,
    pub access: Access,
    pub shown: Shown,
    /// JSON text for "never set".
    pub unset: &'static str,
}

/// The properties of one type, with look-up by name.
#[derive(Debug)]
pub(crate) struct Shape {
    pub props: &'static [Prop],
    by_name: HashMap<&'static str, u16>,
}

impl Shape {
    fn new(props: &'static [Prop]) -> Self {
        let by_name = props
            .iter()
            .zip(0u16..)
            .map(|(prop, key)| (prop.name, key))
            .collect();
        Self { props, by_name }
    }

    pub(crate) fn key(&self, name: &str) -> Option<u16> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn prop(&self, key: u16) -> &'static Prop {
        &self.props[usize::from(key)]
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&'static Prop> {
        self.key(name).map(|key| self.prop(key))
    }
}

static SHAPES: LazyLock<[Shape; 8]> = LazyLock::new(|| {
    [
        Shape::new(tables::USER),
        Shape::new(tables::GROUP),
        Shape::new(tables::APPLICATION),
        Shape::new(tables::SERVICE_PRINCIPAL),
        Shape::new(tables::POLICY),
        Shape::new(tables::LOCATION),
        Shape::new(tables::ADMINISTRATIVE_UNIT),
        Shape::new(tables::GRANT),
    ]
});

/// Every property name of a type, for the test that compares with the published schema.
#[must_use]
pub fn known_properties(graph_type: &str) -> Vec<&'static str> {
    Kind::from_cast(graph_type).map_or_else(Vec::new, |kind| {
        kind.shape().props.iter().map(|prop| prop.name).collect()
    })
}

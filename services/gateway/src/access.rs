//! Who may call which method, read from the contract.
//!
//! Owns the table that follows from the access option of each method. A method
//! without the option, without a role or without a service that answers is not
//! in the table and cannot be reached, so a new method is closed until its
//! proto says otherwise.

use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor};
use proto::v1::{Access, Backend, Role};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

/// The package whose methods are public.
const PACKAGE: &str = "rewind.v1";

/// Access options that contradict the contract; a defect found at the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The option itself is missing from the descriptors or not readable.
    #[error("the descriptors do not define {PACKAGE}.access")]
    NoOption,
    /// A method's option contradicts the method.
    #[error("{method}: {problem}")]
    Method {
        /// The method.
        method: String,
        /// Why.
        problem: &'static str,
    },
}

/// A method that can be called through the gateway.
#[derive(Debug, Clone)]
pub struct Method {
    /// One of these is needed.
    pub roles: BTreeSet<Role>,
    /// The way to the request's field that names the tenant; empty where the
    /// method spans tenants. Only callers who may see all of them reach such a
    /// method of a service behind, since the gateway alone filters by caller.
    pub tenant_field: Vec<String>,
    /// Who answers.
    pub backend: Backend,
    /// Whether it changes anything.
    pub mutation: bool,
    /// Whether the role has to hold for every tenant, although the gateway answers.
    pub every_tenant: bool,
    /// Whether the answer is a stream.
    pub streams: bool,
    /// The type of the request.
    pub request: MessageDescriptor,
}

impl Method {
    /// Whether the method concerns the installation as a whole, so that only a
    /// caller who may see every tenant can call it.
    #[must_use]
    pub fn is_for_all_tenants(&self) -> bool {
        self.every_tenant || (self.tenant_field.is_empty() && self.backend != Backend::Gateway)
    }

    /// The text in the request that names the tenant.
    #[must_use]
    pub fn tenant_text(&self, request: &DynamicMessage) -> String {
        let (last, parents) = self
            .tenant_field
            .split_last()
            .expect("invariant: asked only where there is a field");
        let mut message = Cow::Borrowed(request);
        for name in parents {
            let inner = message
                .get_field_by_name(name)
                .and_then(|value| value.as_message().cloned());
            message = Cow::Owned(inner.expect("invariant: the table checked the way"));
        }
        let value = message
            .get_field_by_name(last)
            .expect("invariant: the table checked the way");
        value.as_str().unwrap_or_default().to_owned()
    }
}

/// Every method that can be called, by its path.
#[derive(Debug)]
pub struct Table(HashMap<String, Method>);

impl Table {
    /// Reads the contract.
    ///
    /// # Errors
    /// [`AccessError`] where an option contradicts its method.
    pub fn new(pool: &DescriptorPool) -> Result<Self, AccessError> {
        let option = pool
            .get_extension_by_name(&format!("{PACKAGE}.access"))
            .ok_or(AccessError::NoOption)?;
        let mut methods = HashMap::new();
        for service in pool
            .services()
            .filter(|service| service.package_name() == PACKAGE)
        {
            for method in service.methods() {
                let options = method.options();
                if !options.has_extension(&option) {
                    continue;
                }
                let value = options.get_extension(&option);
                let access: Access = value
                    .as_message()
                    .and_then(|message| message.transcode_to().ok())
                    .ok_or(AccessError::NoOption)?;
                if let Some(entry) = entry(&method, &access)? {
                    methods.insert(format!("/{}/{}", service.full_name(), method.name()), entry);
                }
            }
        }
        Ok(Self(methods))
    }

    /// The method at a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Method> {
        self.0.get(path)
    }

    /// Every path that can be called.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The entry of a method; `None` for an internal one.
fn entry(method: &MethodDescriptor, access: &Access) -> Result<Option<Method>, AccessError> {
    let fail = |problem| {
        Err(AccessError::Method {
            method: method.full_name().to_owned(),
            problem,
        })
    };
    let roles: BTreeSet<Role> = access
        .roles()
        .filter(|role| *role != Role::Unspecified)
        .collect();
    if access.backend() == Backend::Unspecified || roles.is_empty() {
        return Ok(None);
    }
    if method.is_client_streaming() {
        return fail("a streamed request cannot be authorised");
    }
    let tenant_field: Vec<String> = access
        .tenant_field
        .split('.')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    if !tenant_field.is_empty() && !leads_to_text(method.input(), &tenant_field) {
        return fail("the tenant field is not a text field of the request");
    }
    Ok(Some(Method {
        roles,
        tenant_field,
        backend: access.backend(),
        mutation: access.mutation,
        every_tenant: access.every_tenant,
        streams: method.is_server_streaming(),
        request: method.input(),
    }))
}

/// Whether a way through singular messages ends at a singular text field.
fn leads_to_text(mut message: MessageDescriptor, way: &[String]) -> bool {
    for (n, name) in way.iter().enumerate() {
        let Some(field) = message
            .get_field_by_name(name)
            .filter(|field| !field.is_list() && !field.is_map())
        else {
            return false;
        };
        match field.kind() {
            Kind::String => return n + 1 == way.len(),
            Kind::Message(inner) => message = inner,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_reflect::Value;

    fn table() -> Table {
        Table::new(proto::json::pool()).expect("the contract is consistent")
    }

    #[test]
    fn the_contract_is_in_the_table_but_for_internal_methods() {
        let table = table();
        let create = table
            .get("/rewind.v1.TenantService/CreateTenant")
            .expect("public");
        assert_eq!(create.roles, [Role::Operator].into());
        assert_eq!(
            (
                create.tenant_field.join("."),
                create.backend,
                create.mutation
            ),
            ("tenant.id".to_owned(), Backend::Gateway, true)
        );
        let watch = table
            .get("/rewind.v1.DiffService/WatchReport")
            .expect("public");
        assert_eq!(
            (watch.tenant_field.join("."), watch.backend, watch.mutation),
            ("name".to_owned(), Backend::Differ, false)
        );
        assert!(
            table
                .get("/rewind.v1.AccessCheckService/CheckAccess")
                .is_none()
        );
        assert!(table.get("rewind.v1.TenantService/CreateTenant").is_none());
        assert!(table.paths().count() >= 22);
    }

    #[test]
    fn a_nested_tenant_is_found_and_an_absent_one_is_empty() {
        let table = table();
        let create = table
            .get("/rewind.v1.TenantService/CreateTenant")
            .expect("public");
        let mut request = DynamicMessage::new(create.request.clone());
        assert_eq!(create.tenant_text(&request), "");
        let Kind::Message(inner) = create
            .request
            .get_field_by_name("tenant")
            .expect("there")
            .kind()
        else {
            panic!("a message")
        };
        let mut tenant = DynamicMessage::new(inner);
        tenant.set_field_by_name("id", Value::String("x".to_owned()));
        request.set_field_by_name("tenant", Value::Message(tenant));
        assert_eq!(create.tenant_text(&request), "x");
    }

    #[test]
    fn contradictions_stop_the_start() {
        let pool = proto::json::pool();
        let method = |service: &str, name: &str| {
            let service = pool
                .get_service_by_name(&format!("rewind.v1.{service}"))
                .expect("there");
            service
                .methods()
                .find(|method| method.name() == name)
                .expect("there")
        };
        let access = |field: &str, backend: Backend| Access {
            roles: vec![Role::Reader.into()],
            tenant_field: field.to_owned(),
            backend: backend.into(),
            mutation: false,
            every_tenant: false,
        };
        let get = method("TenantService", "GetTenant");
        let create = method("TenantService", "CreateTenant");
        assert!(
            entry(&get, &access("name", Backend::Differ))
                .expect("fine")
                .is_some()
        );
        assert!(
            entry(&get, &access("name", Backend::Unspecified))
                .expect("internal")
                .is_none()
        );
        assert!(
            entry(
                &get,
                &Access {
                    roles: vec![0],
                    ..access("name", Backend::Differ)
                }
            )
            .expect("no role")
            .is_none()
        );
        assert!(
            entry(&get, &access("", Backend::Gateway))
                .expect("spans")
                .is_some()
        );
        let whole = entry(&get, &access("", Backend::Differ)).expect("fine");
        assert!(whole.expect("public").is_for_all_tenants());
        for (method, field) in [
            (&get, "nome"),
            (&get, "name.id"),
            (&create, "tenant"),
            (&create, "tenant.reader"),
        ] {
            assert!(
                entry(method, &access(field, Backend::Differ)).is_err(),
                "{field}"
            );
        }
    }
}

//! Every method of the contract, as everybody who must not get through.

use super::support::{self, A, NOBODY, OPERATOR, OWNER_A, OWNER_B, UNKNOWN, call, framed, sandbox};
use crate::access::Table;
use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};
use tonic::Code;

/// A request that names a tenant where the method wants it named.
fn naming(descriptor: &MessageDescriptor, field: &[String], tenant: &str) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    let (first, rest) = field.split_first().expect("a field");
    let kind = descriptor.get_field_by_name(first).expect("there").kind();
    let value = match kind {
        Kind::Message(inner) => Value::Message(naming(&inner, rest, tenant)),
        _ if first == "id" => Value::String(tenant.to_owned()),
        _ => Value::String(format!("tenants/{tenant}/plans/x")),
    };
    message.set_field_by_name(first, value);
    message
}

/// Every path of the package, public or not.
fn all_paths() -> Vec<String> {
    let services = proto::json::pool()
        .services()
        .filter(|service| service.package_name() == "rewind.v1");
    let paths = services.flat_map(|service| {
        let name = service.full_name().to_owned();
        service
            .methods()
            .map(|method| format!("/{name}/{}", method.name()))
            .collect::<Vec<_>>()
    });
    paths.collect()
}

fn table() -> Table {
    Table::new(proto::json::pool()).expect("consistent")
}

#[tokio::test]
async fn nothing_answers_without_a_known_token() {
    let sandbox = sandbox().await;
    let paths = all_paths();
    assert!(paths.len() > 22, "only {} methods were seen", paths.len());
    for path in &paths {
        for token in [None, Some("unknown-0123456789"), Some("")] {
            let status = call(&sandbox, path, token, framed(&[])).await.status;
            assert_eq!(status.code(), Code::Unauthenticated, "{path} {token:?}");
            assert_eq!(
                runtime::status::parse(&status).reason.as_deref(),
                Some("UNAUTHENTICATED")
            );
        }
    }
}

#[tokio::test]
async fn nothing_answers_a_caller_without_the_role() {
    let sandbox = sandbox().await;
    for path in table().paths() {
        let status = call(&sandbox, path, Some(NOBODY), framed(&[])).await.status;
        assert_eq!(status.code(), Code::PermissionDenied, "{path}");
        assert_eq!(
            runtime::status::parse(&status).reason.as_deref(),
            Some("PERMISSION_DENIED")
        );
    }
}

#[tokio::test]
async fn an_internal_method_is_as_unreachable_as_one_that_does_not_exist() {
    let sandbox = sandbox().await;
    let table = table();
    let mut internal: Vec<String> = all_paths()
        .into_iter()
        .filter(|path| table.get(path).is_none())
        .collect();
    internal.sort();
    assert_eq!(
        internal,
        [
            "/rewind.v1.AccessCheckService/CheckAccess",
            "/rewind.v1.GuardedChangeService/ProposeChange"
        ]
    );
    let nothing = call(
        &sandbox,
        "/rewind.v1.None/None",
        Some(OPERATOR),
        framed(&[]),
    )
    .await
    .status;
    assert_eq!(nothing.code(), Code::Unimplemented);
    for path in &internal {
        let status = call(&sandbox, path, Some(OPERATOR), framed(&[]))
            .await
            .status;
        assert_eq!(
            (status.code(), status.message()),
            (nothing.code(), nothing.message()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_foreign_tenant_an_unknown_tenant_and_a_missing_role_look_alike() {
    let sandbox = sandbox().await;
    let created = support::with(
        OPERATOR,
        proto::v1::CreateTenantRequest {
            tenant: Some(support::tenant(A)),
            request_id: String::new(),
            validate_only: false,
        },
    );
    let mut client =
        proto::v1::tenant_service_client::TenantServiceClient::new(sandbox.channel.clone());
    client.create_tenant(created).await.expect("registered");

    let table = table();
    let mut walked = 0;
    for path in table.paths() {
        let method = table.get(path).expect("in the table");
        if method.tenant_field.is_empty() {
            continue;
        }
        let request =
            |tenant| framed(&naming(&method.request, &method.tenant_field, tenant).encode_to_vec());
        let foreign = call(&sandbox, path, Some(OWNER_B), request(A)).await.status;
        let unknown = call(&sandbox, path, Some(OWNER_B), request(UNKNOWN))
            .await
            .status;
        let roleless = call(&sandbox, path, Some(NOBODY), request(A)).await.status;
        assert_eq!(foreign.code(), Code::PermissionDenied, "{path}");
        for other in [&unknown, &roleless] {
            assert_eq!(
                (foreign.code(), foreign.message(), foreign.details()),
                (other.code(), other.message(), other.details()),
                "{path}"
            );
        }
        let own = call(&sandbox, path, Some(OWNER_A), request(A)).await.status;
        assert!(
            !matches!(own.code(), Code::PermissionDenied | Code::Unauthenticated),
            "{path}: the owner got {own:?}"
        );
        walked += 1;
    }
    assert!(walked >= 24, "only {walked} methods were seen");
}

#[tokio::test]
async fn what_concerns_all_tenants_is_for_callers_who_may_see_all() {
    let sandbox = sandbox().await;
    let table = table();
    let mut walked = 0;
    for path in table.paths() {
        if !table.get(path).expect("in the table").is_for_all_tenants() {
            continue;
        }
        let owner = call(&sandbox, path, Some(OWNER_A), framed(&[]))
            .await
            .status;
        let roleless = call(&sandbox, path, Some(NOBODY), framed(&[])).await.status;
        assert_eq!(owner.code(), Code::PermissionDenied, "{path}");
        assert_eq!(
            (owner.message(), owner.details()),
            (roleless.message(), roleless.details()),
            "{path}"
        );
        let operator = call(&sandbox, path, Some(OPERATOR), framed(&[]))
            .await
            .status;
        assert!(
            !matches!(
                operator.code(),
                Code::PermissionDenied | Code::Unauthenticated
            ),
            "{path}: it passes"
        );
        walked += 1;
    }
    assert!(walked >= 4, "CheckStore and those of GrantService");
}

#[tokio::test]
async fn a_request_that_names_no_tenant_is_invalid() {
    let sandbox = sandbox().await;
    let table = table();
    for path in table.paths().filter(|path| {
        !table
            .get(path)
            .expect("in the table")
            .tenant_field
            .is_empty()
    }) {
        let status = call(&sandbox, path, Some(OPERATOR), framed(&[]))
            .await
            .status;
        assert_eq!(status.code(), Code::InvalidArgument, "{path}");
        let violations = runtime::status::parse(&status).violations;
        assert_eq!(
            violations[0].0,
            table
                .get(path)
                .expect("in the table")
                .tenant_field
                .join("."),
            "{path}"
        );
    }
}

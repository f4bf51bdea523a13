//! Callers of the OpenID issuer, what they may do, and what is granted to them.

use super::issuer::{FakeIssuer, NOW, SigningKey, unsigned};
use super::support::{
    A, B, OPERATOR, OWNER_A, Sandbox, call, framed, sandbox_configured, tenant, with,
};
use crate::access::Table;
use crate::{Claims, Issuer};
use proto::v1::grant_service_client::GrantServiceClient;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::tenant_service_client::TenantServiceClient;
use proto::v1::*;
use serde_json::{Value, json};
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Status};

struct World {
    sandbox: Sandbox,
    issuer: FakeIssuer,
    key: SigningKey,
}

async fn world() -> World {
    runtime::tls::install_provider();
    let key = SigningKey::ec("one");
    let issuer = FakeIssuer::start(&[&key]).await;
    let settings =
        Issuer::new(&issuer.url, super::issuer::AUDIENCE, Claims::default()).expect("fit");
    let sandbox = sandbox_configured(|config| config.issuer = Some(settings)).await;
    World {
        sandbox,
        issuer,
        key,
    }
}

impl World {
    fn token(&self, sub: &str, roles: &[&str]) -> String {
        self.key.sign(&self.issuer.claims(sub, roles))
    }

    fn grants(&self) -> GrantServiceClient<Channel> {
        GrantServiceClient::new(self.sandbox.channel.clone())
    }

    async fn get(&self, token: &str, tenant: &str) -> Result<String, Status> {
        let name = format!("tenants/{tenant}/snapshots/one");
        let mut client = SnapshotServiceClient::new(self.sandbox.channel.clone());
        let answer = client.get_snapshot(with(token, GetSnapshotRequest { name }));
        let snapshot = answer.await?.into_inner().snapshot;
        Ok(snapshot.expect("there").name)
    }

    async fn grant(&self, token: &str, grant: Grant, id: &str) -> Result<Grant, Status> {
        let request = CreateGrantRequest {
            grant: Some(grant),
            request_id: id.to_owned(),
        };
        let answer = self.grants().create_grant(with(token, request)).await?;
        Ok(answer.into_inner().grant.expect("there"))
    }
}

fn grant(holder: grant::Holder, roles: &[Role], tenants: &[&str]) -> Grant {
    Grant {
        holder: Some(holder),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        tenant_ids: tenants.iter().map(|id| (*id).to_owned()).collect(),
        every_tenant: tenants.is_empty(),
        ..Grant::default()
    }
}

fn claim(value: &str) -> grant::Holder {
    grant::Holder::Claim(value.to_owned())
}

#[tokio::test]
async fn a_caller_of_the_issuer_does_what_the_roles_say() {
    let world = world().await;
    let reader = world.token("anna", &["RewindReader"]);
    assert!(world.get(&reader, A).await.is_ok());
    let list = |token: &str| {
        let request = with(token, ListGrantsRequest::default());
        let mut client = world.grants();
        async move { client.list_grants(request).await.map(drop) }
    };
    let refused = list(&reader).await.expect_err("no operator");
    assert_eq!(refused.code(), Code::PermissionDenied);
    list(&world.token("ben", &["RewindOperator"]))
        .await
        .expect("an operator");
    let nobody = world.token("carl", &["Other"]);
    let refused = world.get(&nobody, A).await.expect_err("no role");
    assert_eq!(refused.code(), Code::PermissionDenied);
    // What an operator gave out still counts.
    assert!(world.get(OWNER_A, A).await.is_ok());
    let seen = world.sandbox.fake.seen.lock().expect("unpoisoned");
    let caller = seen[0].get("x-rewind-caller").expect("there");
    let caller = caller.to_str().expect("text");
    assert_eq!(model::person::shown(caller), "anna@contoso.com");
    assert_eq!(caller.len(), "anna@contoso.com".len() + 17);
}

#[tokio::test]
async fn every_method_refuses_every_token_that_does_not_count_alike() {
    let world = world().await;
    let all = [
        "RewindReader",
        "RewindAdministrator",
        "RewindApprover",
        "RewindOperator",
    ];
    let claims = world.issuer.claims("anna", &all);
    let but = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        world.key.sign(&claims)
    };
    let good = world.key.sign(&claims);
    let tokens = [
        ("expired", but("exp", json!(NOW - 60))),
        ("not valid yet", but("nbf", json!(NOW + 61))),
        ("wrong audience", but("aud", json!("api://other"))),
        (
            "wrong issuer",
            but("iss", json!("https://login.contoso.com")),
        ),
        ("no expiry", but("exp", Value::Null)),
        ("alg none", unsigned(&claims)),
        ("HMAC with the public key", world.key.confused(&claims)),
        ("unknown key", SigningKey::ec("two").sign(&claims)),
        (
            "another key of the same name",
            SigningKey::ec("one").sign(&claims),
        ),
        ("cut short", good[..good.len() - 8].to_owned()),
        ("no token", String::new()),
    ];
    let table = Table::new(proto::json::pool()).expect("consistent");
    let sample = call(&world.sandbox, "/rewind.v1.None/None", None, framed(&[]));
    let sample = sample.await.status;
    let mut walked = 0;
    for path in table.paths() {
        for (what, token) in &tokens {
            let status = call(&world.sandbox, path, Some(token), framed(&[]))
                .await
                .status;
            assert_eq!(
                (status.code(), status.message(), status.details()),
                (Code::Unauthenticated, sample.message(), sample.details()),
                "{path} {what}"
            );
        }
        let status = call(&world.sandbox, path, Some(&good), framed(&[]))
            .await
            .status;
        assert!(
            !matches!(
                status.code(),
                Code::Unauthenticated | Code::PermissionDenied
            ),
            "{path}: {status:?}"
        );
        walked += 1;
    }
    assert!(walked >= 40, "only {walked} methods were seen");
}

#[tokio::test]
async fn what_is_granted_counts_until_it_is_taken_back() {
    let world = world().await;
    let helpdesk = world.token("anna", &["Helpdesk"]);
    assert!(world.get(&helpdesk, A).await.is_err());
    let given = world
        .grant(
            OPERATOR,
            grant(claim("Helpdesk"), &[Role::Reader], &[A]),
            "1",
        )
        .await
        .expect("granted");
    assert!(given.name.starts_with("grants/"), "{}", given.name);
    assert_eq!(given.author, "operator");
    assert!(world.get(&helpdesk, A).await.is_ok());
    let refused = world.get(&helpdesk, B).await.expect_err("another tenant");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let other = world.token("ben", &[]);
    assert!(world.get(&other, A).await.is_err());

    // By the name and by the key of the issuer, too.
    let holders = [
        grant::Holder::Caller("ben@contoso.com".to_owned()),
        grant::Holder::Subject("ben".to_owned()),
    ];
    for (n, holder) in holders.into_iter().enumerate() {
        let id = format!("holder-{n}");
        let given = world.grant(OPERATOR, grant(holder, &[Role::Reader], &[]), &id);
        let given = given.await.expect("granted");
        assert!(world.get(&other, B).await.is_ok());
        let gone = DeleteGrantRequest {
            name: given.name,
            request_id: String::new(),
        };
        for _ in 0..2 {
            let request = with(OPERATOR, gone.clone());
            world.grants().delete_grant(request).await.expect("gone");
        }
        assert!(world.get(&other, B).await.is_err());
    }
    let list = world
        .grants()
        .list_grants(with(OPERATOR, ListGrantsRequest::default()))
        .await
        .expect("answered")
        .into_inner();
    assert_eq!(list.grants, [given]);
}

#[tokio::test]
async fn roles_of_several_grants_do_not_mix() {
    let world = world().await;
    for (n, (role, id)) in [(Role::Reader, A), (Role::Operator, B)]
        .into_iter()
        .enumerate()
    {
        let one = grant(claim("Mixed"), &[role], &[id]);
        world
            .grant(OPERATOR, one, &n.to_string())
            .await
            .expect("granted");
    }
    let mixed = world.token("anna", &["Mixed"]);
    assert!(world.get(&mixed, A).await.is_ok());
    let refused = world.get(&mixed, B).await.expect_err("no reader there");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let mut tenants = TenantServiceClient::new(world.sandbox.channel.clone());
    for (id, expected) in [(A, Code::PermissionDenied), (B, Code::Ok)] {
        let request = CreateTenantRequest {
            tenant: Some(tenant(id)),
            request_id: String::new(),
            validate_only: false,
        };
        let answer = tenants.create_tenant(with(&mixed, request)).await;
        let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        assert_eq!(code, expected, "{id}");
    }
    let list = with(&mixed, ListGrantsRequest::default());
    let refused = world
        .grants()
        .list_grants(list)
        .await
        .expect_err("not for every tenant");
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn nobody_grants_more_than_they_hold() {
    let world = world().await;
    let operator = world.token("ben", &["RewindOperator", "RewindReader"]);
    let held = grant(claim("x"), &[Role::Reader, Role::Operator], &[]);
    world.grant(&operator, held, "1").await.expect("held");
    for roles in [&[Role::Approver][..], &[Role::Reader, Role::Administrator]] {
        let more = grant(claim("x"), roles, &[A]);
        let refused = world.grant(&operator, more, "2").await.expect_err("more");
        assert_eq!(refused.code(), Code::PermissionDenied, "{roles:?}");
    }
    // An operator of one tenant grants nothing at all.
    let less = grant(claim("x"), &[Role::Reader], &[A]);
    let refused = world
        .grant(OWNER_A, less, "3")
        .await
        .expect_err("one tenant");
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_repeated_request_makes_one_grant_and_another_is_told() {
    let world = world().await;
    let one = grant(claim("x"), &[Role::Reader], &[A]);
    let first = world
        .grant(OPERATOR, one.clone(), "r")
        .await
        .expect("granted");
    let again = world.grant(OPERATOR, one, "r").await.expect("granted");
    assert_eq!(first, again);
    let other = grant(claim("y"), &[Role::Reader], &[A]);
    let told = world
        .grant(OPERATOR, other, "r")
        .await
        .expect_err("another");
    assert_eq!(told.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_is_no_grant_is_told_by_its_field() {
    let world = world().await;
    let reader = &[Role::Reader][..];
    let both = Grant {
        every_tenant: true,
        ..grant(claim("x"), reader, &[A])
    };
    let neither = Grant {
        every_tenant: false,
        ..grant(claim("x"), reader, &[])
    };
    let nobody = Grant {
        holder: None,
        ..grant(claim("x"), reader, &[])
    };
    for (wrong, field) in [
        (both, "grant.tenant_ids"),
        (neither, "grant.tenant_ids"),
        (grant(claim("x"), reader, &["x"]), "grant.tenant_ids"),
        (grant(claim("x"), &[], &[]), "grant.roles"),
        (grant(claim("x"), &[Role::Unspecified], &[]), "grant.roles"),
        (nobody, "grant.holder"),
        (grant(claim(" "), reader, &[]), "grant.claim"),
        (grant(claim(&"x".repeat(257)), reader, &[]), "grant.claim"),
        (
            grant(grant::Holder::Caller("a\nb".to_owned()), reader, &[]),
            "grant.caller",
        ),
    ] {
        let told = world.grant(OPERATOR, wrong, "").await.expect_err(field);
        assert_eq!(told.code(), Code::InvalidArgument, "{field}");
        let violations = runtime::status::parse(&told).violations;
        assert_eq!(violations[0].0, field);
    }
    let name = DeleteGrantRequest {
        name: "tenants/x".to_owned(),
        request_id: String::new(),
    };
    let told = world.grants().delete_grant(with(OPERATOR, name)).await;
    assert_eq!(told.expect_err("no name").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_told_and_what_an_operator_gave_out_counts() {
    let world = world().await;
    world.issuer.away(true);
    let token = world.token("anna", &["RewindReader"]);
    let told = world.get(&token, A).await.expect_err("nobody can tell");
    assert_eq!(told.code(), Code::Unavailable);
    let remote = runtime::status::parse(&told);
    assert_eq!(remote.reason.as_deref(), Some("BACKEND_UNAVAILABLE"));
    assert_eq!(remote.retry_after, Some(Duration::from_secs(1)));
    assert!(world.get(OWNER_A, A).await.is_ok());
}

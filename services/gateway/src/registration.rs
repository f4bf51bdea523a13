//! A tenant's registration as it comes in and goes out.
//!
//! Owns what a fit registration is. It looks at the form of a credential
//! reference and never at what it leads to.

use crate::consent::Applications;
use crate::error::GatewayError;
use crate::webhook;
use chrono::{DateTime, Utc};
use model::drift::{InvalidWatch, Switches, Table};
use model::retention::{InvalidPolicy, Policy};
use model::{Application, Cloud, ObjectId, Proof, ProofKind, TenantId, approval as approvals};
use proto::v1::{AppCredential, Tenant};
use runtime::credentials::{CredentialReference, Kind};
use store::{TenantRecord, TenantState};

const MAX_NAME: usize = 200;
const MAX_BREAK_GLASS: usize = 100;

/// Whether tenants may name hosts of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CustomClouds {
    /// They may; for practice tenants.
    Allow,
    /// They may not: a host of the caller's choice would receive credentials.
    Refuse,
}

/// Reads a registration.
///
/// # Errors
/// Invalid, or Denied for custom hosts and foreign references, naming the field.
pub(crate) fn record(
    tenant: Tenant,
    clouds: CustomClouds,
    installed: &Applications,
    now: DateTime<Utc>,
) -> Result<TenantRecord, GatewayError> {
    let id = TenantId::parse(&tenant.id)
        .map_err(|_| GatewayError::invalid("tenant.id", "a GUID is expected"))?;
    let (reader, writer) = applications(tenant.reader, tenant.writer, installed)?;
    Ok(TenantRecord {
        id,
        name: name(&tenant.display_name)?,
        cloud: cloud(&tenant.cloud)?,
        graph_url: host("graph_url", tenant.graph_url, clouds)?,
        login_url: host("login_url", tenant.login_url, clouds)?,
        reader,
        writer,
        break_glass: break_glass("tenant.break_glass_ids", &tenant.break_glass_ids)?,
        retention: retention(&tenant.retention)?,
        drift_watch: watch("tenant.drift_watch", &tenant.drift_watch)?,
        audit_watch: watch("tenant.audit_watch", &tenant.audit_watch)?,
        approval: approval("tenant.approval", &tenant.approval)?,
        webhook: tenant
            .webhook
            .map(|told| webhook::record("tenant.webhook", told, clouds, now))
            .transpose()?,
        state: TenantState::Active,
        created_at: now,
    })
}

/// The applications that sign in. A tenant without any of its own uses those of
/// the installation.
fn applications(
    reader: Option<AppCredential>,
    writer: Option<AppCredential>,
    installed: &Applications,
) -> Result<(Application, Option<Application>), GatewayError> {
    let shared = || AppCredential {
        installation: true,
        ..AppCredential::default()
    };
    let writer = match (&reader, writer) {
        (None, None) => installed.writer.as_ref().map(|_| shared()),
        (_, writer) => writer,
    };
    let reader = reader
        .or_else(|| installed.reader.as_ref().map(|_| shared()))
        .ok_or_else(|| {
            GatewayError::invalid(
                "tenant.reader",
                "an application that reads the tenant is needed, since this installation has none",
            )
        })?;
    Ok((
        application(Kind::Reader, reader, installed)?,
        writer
            .map(|writer| application(Kind::Writer, writer, installed))
            .transpose()?,
    ))
}

/// Whether two registrations are the same but for when they were made and
/// whether the tenant is suspended.
pub(crate) fn is_same(one: &TenantRecord, other: &TenantRecord) -> bool {
    let aligned = TenantRecord {
        webhook: webhook::at_the_time_of(one.webhook.clone(), other.webhook.as_ref()),
        state: other.state,
        created_at: other.created_at,
        ..one.clone()
    };
    aligned == *other
}

/// A registration as an answer.
pub(crate) fn message(record: &TenantRecord, installed: &Applications) -> Tenant {
    let app = |kind: Kind, app: &Application| {
        let shown = AppCredential {
            client_id: installed
                .client_id(kind, app)
                .unwrap_or_default()
                .to_owned(),
            consent_url: installed.consent_url(record, kind).unwrap_or_default(),
            ..AppCredential::default()
        };
        match app {
            Application::Installation => AppCredential {
                installation: true,
                ..shown
            },
            Application::Own { proof, .. } => with_reference(shown, proof),
        }
    };
    Tenant {
        name: proto::name::tenant(&record.id),
        id: record.id.to_string(),
        display_name: record.name.clone(),
        cloud: record.cloud.clone(),
        graph_url: record.graph_url.clone().unwrap_or_default(),
        login_url: record.login_url.clone().unwrap_or_default(),
        reader: Some(app(Kind::Reader, &record.reader)),
        writer: record.writer.as_ref().map(|own| app(Kind::Writer, own)),
        break_glass_ids: record.break_glass.iter().map(ToString::to_string).collect(),
        create_time: Some(proto::convert::timestamp(record.created_at)),
        retention: record.retention.to_string(),
        drift_watch: record.drift_watch.to_string(),
        audit_watch: record.audit_watch.to_string(),
        approval: record.approval.to_string(),
        webhook: record.webhook.as_ref().map(webhook::message),
    }
}

fn with_reference(mut app: AppCredential, proof: &Proof) -> AppCredential {
    let field = match proof.kind {
        ProofKind::Secret => &mut app.secret_ref,
        ProofKind::Certificate => &mut app.certificate_ref,
        ProofKind::FederatedToken => &mut app.federated_token_ref,
    };
    field.clone_from(&proof.reference);
    app
}

fn name(text: &str) -> Result<String, GatewayError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
        return Err(GatewayError::invalid(
            "tenant.display_name",
            "1 to 200 visible characters are expected",
        ));
    }
    Ok(text.to_owned())
}

fn cloud(text: &str) -> Result<String, GatewayError> {
    let cloud = match text {
        "" => Some(Cloud::Global),
        name => Cloud::from_name(name),
    };
    cloud.map(|cloud| cloud.name().to_owned()).ok_or_else(|| {
        GatewayError::invalid(
            "tenant.cloud",
            "global, usgov, usgov-dod or china is expected",
        )
    })
}

fn host(
    field: &'static str,
    text: String,
    clouds: CustomClouds,
) -> Result<Option<String>, GatewayError> {
    if text.is_empty() {
        return Ok(None);
    }
    if clouds == CustomClouds::Refuse {
        return Err(GatewayError::CustomCloud(field));
    }
    let fits = url::Url::parse(&text).is_ok_and(|url| {
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https") && url.host().is_some() && plain
    });
    if fits {
        Ok(Some(text))
    } else {
        Err(GatewayError::invalid(
            format!("tenant.{field}"),
            "an http or https URL without credentials or query is expected",
        ))
    }
}

fn application(
    kind: Kind,
    app: AppCredential,
    installed: &Applications,
) -> Result<Application, GatewayError> {
    let field = |name: &str| format!("tenant.{}{name}", kind.name());
    let named = [
        (ProofKind::Secret, ".secret_ref", app.secret_ref),
        (
            ProofKind::Certificate,
            ".certificate_ref",
            app.certificate_ref,
        ),
        (
            ProofKind::FederatedToken,
            ".federated_token_ref",
            app.federated_token_ref,
        ),
    ];
    let mut named = named
        .into_iter()
        .filter(|(_, _, reference)| !reference.is_empty());
    let (first, second) = (named.next(), named.next());
    if app.installation {
        let ours = installed.client_id(kind, &Application::Installation);
        let same = app.client_id.is_empty() || ours == Some(app.client_id.as_str());
        return match (ours, first) {
            (Some(_), None) if same => Ok(Application::Installation),
            (Some(_), _) => Err(GatewayError::invalid(
                field(""),
                "an application of the installation has neither a client id nor a reference here",
            )),
            (None, _) => Err(GatewayError::invalid(
                field(""),
                "this installation has no such application",
            )),
        };
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if app.client_id.is_empty() || app.client_id.len() > 128 || !app.client_id.bytes().all(fits) {
        return Err(GatewayError::invalid(
            field(".client_id"),
            "an application's client id is expected",
        ));
    }
    let (Some((proof, name, reference)), None) = (first, second) else {
        return Err(GatewayError::invalid(
            field(""),
            "exactly one of secret_ref, certificate_ref and federated_token_ref is expected",
        ));
    };
    let proof = Proof {
        kind: proof,
        reference,
    };
    CredentialReference::parse(kind, &proof).map_err(|source| GatewayError::Credential {
        field: field(name),
        source,
    })?;
    Ok(Application::Own {
        client_id: app.client_id,
        proof,
    })
}

fn retention(text: &str) -> Result<Policy, GatewayError> {
    if text.is_empty() {
        return Ok(Policy::default());
    }
    text.parse()
        .map_err(|error: InvalidPolicy| GatewayError::invalid("tenant.retention", error))
}

/// Reads what is watched of one table of rules; by default where `text` is empty.
///
/// # Errors
/// Invalid, naming the field.
pub(crate) fn watch<T: Table>(field: &str, text: &str) -> Result<Switches<T>, GatewayError> {
    if text.is_empty() {
        return Ok(Switches::default());
    }
    text.parse()
        .map_err(|error: InvalidWatch| GatewayError::invalid(field, error))
}

/// Reads which restore plans need a second person; by default where `text` is empty.
///
/// # Errors
/// Invalid, naming the field.
pub(crate) fn approval(field: &str, text: &str) -> Result<approvals::Policy, GatewayError> {
    if text.is_empty() {
        return Ok(approvals::Policy::default());
    }
    text.parse()
        .map_err(|error: approvals::InvalidPolicy| GatewayError::invalid(field, error))
}

/// A mistyped id here would protect nobody, so only GUIDs are taken.
///
/// # Errors
/// Invalid, naming the field.
pub(crate) fn break_glass(field: &str, ids: &[String]) -> Result<Vec<ObjectId>, GatewayError> {
    if ids.len() > MAX_BREAK_GLASS {
        return Err(GatewayError::invalid(field, "at most 100 are expected"));
    }
    let read = |(n, id): (usize, &String)| {
        let id = uuid::Uuid::try_parse(id)
            .ok()
            .filter(|_| id.len() == 36)
            .map(|id| id.to_string());
        id.and_then(|id| ObjectId::parse(&id).ok()).ok_or_else(|| {
            GatewayError::invalid(format!("{field}[{n}]"), "a user's GUID is expected")
        })
    };
    let mut ids = ids
        .iter()
        .enumerate()
        .map(read)
        .collect::<Result<Vec<_>, _>>()?;
    ids.sort();
    ids.dedup();
    Ok(ids)
}

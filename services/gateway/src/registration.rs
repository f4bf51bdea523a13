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
use model::schedule::{InvalidWindow, Window};
use model::{Application, Cloud, ObjectId, Proof, ProofKind, TenantId, approval as approvals};
use proto::v1::{self, AppCredential, Tenant};
use runtime::credentials::{CredentialReference, Kind};
use std::collections::{BTreeMap, HashMap};
use store::{TenantRecord, TenantState};

const MAX_NAME: usize = 200;
const MAX_BREAK_GLASS: usize = 100;
const MAX_WORD: usize = 63;
const MAX_GROUPS: usize = 20;
const MAX_LABELS: usize = 32;

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
        name: name("tenant.display_name", &tenant.display_name)?,
        cloud: cloud(&tenant.cloud)?,
        graph_url: host("graph_url", tenant.graph_url, clouds)?,
        login_url: host("login_url", tenant.login_url, clouds)?,
        reader,
        writer,
        break_glass: break_glass("tenant.break_glass_ids", &tenant.break_glass_ids)?,
        retention: retention("tenant.retention", &tenant.retention)?,
        drift_watch: watch("tenant.drift_watch", &tenant.drift_watch)?,
        audit_watch: watch("tenant.audit_watch", &tenant.audit_watch)?,
        approval: approval("tenant.approval", &tenant.approval)?,
        webhook: tenant
            .webhook
            .map(|told| webhook::record("tenant.webhook", told, clouds, now))
            .transpose()?,
        groups: groups("tenant.groups", &tenant.groups)?,
        labels: labels("tenant.labels", &tenant.labels)?,
        schedule: schedule("tenant.schedule", &tenant.schedule)?,
        state: TenantState::Active,
        created_at: now,
        change: None,
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
        change: other.change,
        ..one.clone()
    };
    aligned == *other
}

/// Whether a tenant is served, as an answer.
pub(crate) fn state(state: TenantState) -> v1::TenantState {
    match state {
        TenantState::Active => v1::TenantState::Active,
        TenantState::Suspended => v1::TenantState::Suspended,
        TenantState::Offboarded => v1::TenantState::Offboarded,
    }
}

/// A registration as an answer.
pub(crate) fn message(
    record: &TenantRecord,
    installed: &Applications,
    now: DateTime<Utc>,
) -> Tenant {
    let is_active = record.state == TenantState::Active;
    let next = is_active.then(|| record.schedule.next(&record.id, now));
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
        groups: record.groups.clone(),
        labels: record.labels.clone().into_iter().collect(),
        schedule: record.schedule.to_string(),
        next_slot_time: next.map(proto::convert::timestamp),
        state: state(record.state).into(),
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

/// Reads what people call a tenant.
///
/// # Errors
/// Invalid, naming the field.
pub(crate) fn name(field: &str, text: &str) -> Result<String, GatewayError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
        return Err(GatewayError::invalid(
            field,
            "1 to 200 visible characters are expected",
        ));
    }
    Ok(text.to_owned())
}

/// Whether a group or the key of a label may be called so.
fn is_word(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(fits)
}

/// Reads the groups that a tenant is in.
///
/// # Errors
/// Invalid, naming the field.
pub(crate) fn groups(field: &str, names: &[String]) -> Result<Vec<String>, GatewayError> {
    if names.len() > MAX_GROUPS {
        return Err(GatewayError::invalid(field, "at most 20 are expected"));
    }
    if let Some(n) = names.iter().position(|name| !is_word(name)) {
        return Err(GatewayError::invalid(
            format!("{field}[{n}]"),
            "1 to 63 lowercase letters, digits, hyphens, underscores or dots are expected",
        ));
    }
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Reads the labels of a tenant.
///
/// # Errors
/// Invalid, naming the field.
pub(crate) fn labels(
    field: &str,
    labels: &HashMap<String, String>,
) -> Result<BTreeMap<String, String>, GatewayError> {
    if labels.len() > MAX_LABELS {
        return Err(GatewayError::invalid(field, "at most 32 are expected"));
    }
    for (key, value) in labels {
        if !is_word(key) {
            return Err(GatewayError::invalid(
                field,
                "keys of 1 to 63 lowercase letters, digits, hyphens, underscores or dots are expected",
            ));
        }
        if value.chars().count() > MAX_NAME || value.chars().any(char::is_control) {
            return Err(GatewayError::invalid(
                format!("{field}[{key}]"),
                "at most 200 visible characters are expected",
            ));
        }
    }
    let owned = |(key, value): (&String, &String)| (key.clone(), value.clone());
    Ok(labels.iter().map(owned).collect())
}

/// Reads when daily snapshots begin; by default where `text` is empty.
///
/// # Errors
/// Invalid, naming the field.
pub(crate) fn schedule(field: &str, text: &str) -> Result<Window, GatewayError> {
    if text.is_empty() {
        return Ok(Window::default());
    }
    text.parse()
        .map_err(|error: InvalidWindow| GatewayError::invalid(field, error))
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

/// Reads which snapshots are kept; by default where `text` is empty.
///
/// # Errors
/// Invalid, naming the field.
pub(crate) fn retention(field: &str, text: &str) -> Result<Policy, GatewayError> {
    if text.is_empty() {
        return Ok(Policy::default());
    }
    text.parse()
        .map_err(|error: InvalidPolicy| GatewayError::invalid(field, error))
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

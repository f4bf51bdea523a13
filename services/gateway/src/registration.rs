//! A tenant's registration as it comes in and goes out.
//!
//! Owns what a fit registration is. It looks at the form of a credential
//! reference and never at what it leads to.

use crate::error::GatewayError;
use chrono::{DateTime, Utc};
use model::{ObjectId, TenantId};
use proto::v1::{AppCredential, Tenant};
use runtime::credentials::{CredentialReference, Kind};
use store::{CredentialRef, TenantRecord, TenantState};

/// The national clouds.
const CLOUDS: [&str; 4] = ["global", "usgov", "usgov-dod", "china"];
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
    now: DateTime<Utc>,
) -> Result<TenantRecord, GatewayError> {
    let id = TenantId::parse(&tenant.id)
        .map_err(|_| GatewayError::invalid("tenant.id", "a GUID is expected"))?;
    let reader = tenant.reader.ok_or_else(|| {
        GatewayError::invalid(
            "tenant.reader",
            "an application that reads the tenant is needed",
        )
    })?;
    Ok(TenantRecord {
        id,
        name: name(&tenant.display_name)?,
        cloud: cloud(&tenant.cloud)?,
        graph_url: host("graph_url", tenant.graph_url, clouds)?,
        login_url: host("login_url", tenant.login_url, clouds)?,
        reader: credential(
            ["tenant.reader.client_id", "tenant.reader.secret_ref"],
            Kind::Reader,
            reader,
        )?,
        writer: tenant
            .writer
            .map(|writer| {
                credential(
                    ["tenant.writer.client_id", "tenant.writer.secret_ref"],
                    Kind::Writer,
                    writer,
                )
            })
            .transpose()?,
        break_glass: break_glass(&tenant.break_glass_ids)?,
        state: TenantState::Active,
        created_at: now,
    })
}

/// Whether two registrations are the same but for when they were made and
/// whether the tenant is suspended.
pub(crate) fn is_same(one: &TenantRecord, other: &TenantRecord) -> bool {
    let aligned = TenantRecord {
        state: other.state,
        created_at: other.created_at,
        ..one.clone()
    };
    aligned == *other
}

/// A registration as an answer.
pub(crate) fn message(record: &TenantRecord) -> Tenant {
    let app = |app: &CredentialRef| AppCredential {
        client_id: app.client_id.clone(),
        secret_ref: app.secret.clone(),
    };
    Tenant {
        name: proto::name::tenant(&record.id),
        id: record.id.to_string(),
        display_name: record.name.clone(),
        cloud: record.cloud.clone(),
        graph_url: record.graph_url.clone().unwrap_or_default(),
        login_url: record.login_url.clone().unwrap_or_default(),
        reader: Some(app(&record.reader)),
        writer: record.writer.as_ref().map(app),
        break_glass_ids: record.break_glass.iter().map(ToString::to_string).collect(),
        create_time: Some(proto::convert::timestamp(record.created_at)),
    }
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
    let text = if text.is_empty() { CLOUDS[0] } else { text };
    if CLOUDS.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(GatewayError::invalid(
        "tenant.cloud",
        "global, usgov, usgov-dod or china is expected",
    ))
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

fn credential(
    fields: [&'static str; 2],
    kind: Kind,
    app: AppCredential,
) -> Result<CredentialRef, GatewayError> {
    let [id_field, secret_field] = fields;
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if app.client_id.is_empty() || app.client_id.len() > 128 || !app.client_id.bytes().all(fits) {
        return Err(GatewayError::invalid(
            id_field,
            "an application's client id is expected",
        ));
    }
    CredentialReference::parse(kind, &app.secret_ref).map_err(|source| {
        GatewayError::Credential {
            field: secret_field,
            source,
        }
    })?;
    Ok(CredentialRef {
        client_id: app.client_id,
        secret: app.secret_ref,
    })
}

/// A mistyped id here would protect nobody, so only GUIDs are taken.
fn break_glass(ids: &[String]) -> Result<Vec<ObjectId>, GatewayError> {
    if ids.len() > MAX_BREAK_GLASS {
        return Err(GatewayError::invalid(
            "tenant.break_glass_ids",
            "at most 100 are expected",
        ));
    }
    let read = |(n, id): (usize, &String)| {
        let id = uuid::Uuid::try_parse(id)
            .ok()
            .filter(|_| id.len() == 36)
            .map(|id| id.to_string());
        id.and_then(|id| ObjectId::parse(&id).ok()).ok_or_else(|| {
            GatewayError::invalid(
                format!("tenant.break_glass_ids[{n}]"),
                "a user's GUID is expected",
            )
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

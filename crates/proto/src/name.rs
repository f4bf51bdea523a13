//! Resource names: `tenants/{tenant}/snapshots/{snapshot}` and the like.
//!
//! Every command and call takes a full name or a bare id; this is the one
//! place that tells them apart.

use model::id::InvalidId;
use model::{PlanId, ReportId, RestoreId, SignalId, SnapshotId, TenantId};

/// A resource name that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The name has another shape.
    #[error("{field}: {value:?} is not a name of the form {form}")]
    Shape {
        /// The request field.
        field: &'static str,
        /// What was given, shortened.
        value: String,
        /// What is expected.
        form: &'static str,
    },
    /// An id inside the name is not valid.
    #[error("{field}: {source}")]
    Id {
        /// The request field.
        field: &'static str,
        /// Why.
        source: InvalidId,
    },
    /// The name belongs to another tenant than the call.
    #[error("{field}: the name belongs to another tenant")]
    OtherTenant {
        /// The request field.
        field: &'static str,
    },
}

/// The name of a tenant.
#[must_use]
pub fn tenant(tenant: &TenantId) -> String {
    format!("tenants/{tenant}")
}

/// Reads `tenants/{tenant}` or a bare GUID.
///
/// # Errors
/// [`InvalidName`] where it is neither.
pub fn parse_tenant(field: &'static str, value: &str) -> Result<TenantId, InvalidName> {
    let id = value.strip_prefix("tenants/").unwrap_or(value);
    TenantId::parse(id).map_err(|source| InvalidName::Id { field, source })
}

/// The tenant that any resource name begins with.
#[must_use]
pub fn tenant_of(value: &str) -> Option<TenantId> {
    let id = value.strip_prefix("tenants/").unwrap_or(value);
    TenantId::parse(id.split('/').next()?).ok()
}

macro_rules! resource {
    ($make:ident, $parse:ident, $parse_in:ident, $id:ident, $collection:literal) => {
        #[doc = concat!("The name of one of a tenant's ", $collection, ".")]
        #[must_use]
        pub fn $make(tenant: &TenantId, id: &$id) -> String {
            format!(concat!("tenants/{}/", $collection, "/{}"), tenant, id)
        }

        #[doc = concat!("Reads a full name among a tenant's ", $collection, ".")]
        ///
        /// # Errors
        /// [`InvalidName`] where it has another shape.
        pub fn $parse(field: &'static str, value: &str) -> Result<(TenantId, $id), InvalidName> {
            let shape = || InvalidName::Shape {
                field,
                value: value.chars().take(120).collect(),
                form: concat!("tenants/{tenant}/", $collection, "/{id}"),
            };
            let parts: Vec<&str> = value.split('/').collect();
            let ["tenants", tenant, $collection, id] = parts[..] else {
                return Err(shape());
            };
            let id_error = |source| InvalidName::Id { field, source };
            Ok((
                TenantId::parse(tenant).map_err(id_error)?,
                $id::parse(id).map_err(id_error)?,
            ))
        }

        #[doc = concat!("Reads a full name or a bare id among a known tenant's ", $collection, ".")]
        ///
        /// # Errors
        /// [`InvalidName`] where it has another shape or names another tenant.
        pub fn $parse_in(
            field: &'static str,
            tenant: &TenantId,
            value: &str,
        ) -> Result<$id, InvalidName> {
            if !value.contains('/') {
                return $id::parse(value).map_err(|source| InvalidName::Id { field, source });
            }
            let (named, id) = $parse(field, value)?;
            if named == *tenant {
                Ok(id)
            } else {
                Err(InvalidName::OtherTenant { field })
            }
        }
    };
}

resource!(
    snapshot,
    parse_snapshot,
    parse_snapshot_in,
    SnapshotId,
    "snapshots"
);
resource!(report, parse_report, parse_report_in, ReportId, "reports");
resource!(plan, parse_plan, parse_plan_in, PlanId, "plans");
resource!(
    restore,
    parse_restore,
    parse_restore_in,
    RestoreId,
    "restores"
);
resource!(signal, parse_signal, parse_signal_in, SignalId, "signals");

/// The name of one of a tenant's guarded changes.
#[must_use]
pub fn guarded_change(tenant: &TenantId, number: u32) -> String {
    format!("tenants/{tenant}/changes/{number}")
}

/// Reads the name of a guarded change.
///
/// # Errors
/// [`InvalidName`] where it has another shape.
pub fn parse_guarded_change(
    field: &'static str,
    value: &str,
) -> Result<(TenantId, u32), InvalidName> {
    let shape = || InvalidName::Shape {
        field,
        value: value.chars().take(120).collect(),
        form: "tenants/{tenant}/changes/{number}",
    };
    let parts: Vec<&str> = value.split('/').collect();
    let ["tenants", tenant, "changes", number] = parts[..] else {
        return Err(shape());
    };
    let tenant = TenantId::parse(tenant).map_err(|source| InvalidName::Id { field, source })?;
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    let number = number.parse().ok().filter(|number| digits && *number > 0);
    Ok((tenant, number.ok_or_else(shape)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "0a1b2c3d-0000-4000-8000-000000000001";

    #[test]
    fn names_are_read_back() {
        let tenant = TenantId::parse(TENANT).expect("valid");
        let id = SnapshotId::parse("20261123-daily").expect("valid");
        let name = snapshot(&tenant, &id);
        assert_eq!(
            parse_snapshot("name", &name),
            Ok((tenant.clone(), id.clone()))
        );
        assert_eq!(parse_snapshot_in("name", &tenant, "20261123-daily"), Ok(id));
        assert_eq!(tenant_of(&name), Some(tenant));
        let other = TenantId::parse("0a1b2c3d-0000-4000-8000-000000000002").expect("valid");
        assert_eq!(
            parse_snapshot_in("name", &other, &name),
            Err(InvalidName::OtherTenant { field: "name" })
        );
        let change = guarded_change(&tenant_of(&name).expect("its tenant"), 7);
        assert_eq!(change, format!("tenants/{TENANT}/changes/7"));
        let (_, number) = parse_guarded_change("name", &change).expect("a change");
        assert_eq!(number, 7);
        for bad in ["0", "+7", "x", "", "7/"] {
            let bad = format!("tenants/{TENANT}/changes/{bad}");
            assert!(parse_guarded_change("name", &bad).is_err(), "{bad}");
        }
        for bad in [
            "",
            "tenants/x",
            "tenants/x/snapshots/y",
            "a/b/c/d",
            "tenants//snapshots/",
        ] {
            assert!(parse_snapshot("name", bad).is_err(), "{bad}");
        }
    }
}

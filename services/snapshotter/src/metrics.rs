//! What the service measures, under the names by which it is found.
//!
//! There is no endpoint yet from which metrics could be read: each is an event in
//! the log, with its name, value and tenant as fields, until a registry exists.
//! No value may tell anything of a tenant's content but how much of it there is.

use model::TenantId;

/// Rows of the snapshot before that a reconciliation found to be wrong: changes
/// that Graph made and did not announce, or that were lost on the way.
const DRIFT: &str = "rewind_snapshot_drift_rows";

/// Tells how far what was announced had gone astray from the tenant.
pub(crate) fn drift(tenant: &TenantId, rows: u64) {
    tracing::info!(metric = DRIFT, value = rows, %tenant, "metric");
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn drift_is_an_event_with_name_value_and_tenant() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || writer.clone())
            .finish();
        let tenant = TenantId::parse("00000001-0000-4000-8000-000000000000").unwrap();
        tracing::subscriber::with_default(subscriber, || drift(&tenant, 7));
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        for part in [
            r#""metric":"rewind_snapshot_drift_rows""#,
            r#""value":7"#,
            r#""tenant":"00000001-0000-4000-8000-000000000000""#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

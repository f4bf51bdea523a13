//! Tells signals to an OpenTelemetry collector: one log record each, over OTLP/gRPC.
//! Source: <https://opentelemetry.io/docs/specs/otlp/>.
//!
//! A record is known by the signal's name: what is told twice can be told apart from
//! what happened twice. A collector that fails rests, for all tenants of the process.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use model::TenantId;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use parking_lot::Mutex;
use proto::convert::time;
use proto::v1::{Severity, Signal};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::signals;

/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a collector knows records of signals by.
const EVENT: &str = "rewind.signal";

/// The way to a collector. Clones share it.
#[derive(Debug, Clone)]
pub struct Records {
    client: LogsServiceClient<Channel>,
    /// Where it failed: until when nobody asks it.
    rests: Arc<Mutex<Option<DateTime<Utc>>>>,
}

impl Records {
    /// Tells the collector behind a channel.
    #[must_use]
    pub fn to(channel: Channel) -> Self {
        Self {
            client: LogsServiceClient::new(channel),
            rests: Arc::default(),
        }
    }

    /// Whether the collector may be told now. After a rest one may ask, and the others
    /// rest on until it is known how that went.
    ///
    /// # Errors
    /// Until when it rests.
    pub(super) fn may_tell(&self, now: DateTime<Utc>, rest: Duration) -> Result<(), DateTime<Utc>> {
        let mut rests = self.rests.lock();
        let Some(until) = *rests else {
            return Ok(());
        };
        if now < until {
            return Err(until);
        }
        *rests = Some(now + rest);
        Ok(())
    }

    /// Notes whether it could be told, and until when it rests otherwise.
    pub(super) fn went(&self, well: bool, until: DateTime<Utc>) {
        *self.rests.lock() = (!well).then_some(until);
    }

    /// Tells a signal.
    ///
    /// # Errors
    /// The collector's own, or that it cannot be reached in time.
    pub(crate) async fn tell(&self, tenant: &TenantId, signal: &Signal) -> Result<(), Status> {
        let mut request = Request::new(request(tenant, signal));
        request.set_timeout(PATIENCE);
        let mut client = self.client.clone();
        let answer = tokio::time::timeout(PATIENCE, client.export(request)).await;
        let late = |_| Status::deadline_exceeded("the collector took too long");
        // What a collector refuses for what it is would be refused again.
        let answer = match answer.map_err(late)? {
            Err(status) if status.code() == Code::InvalidArgument => {
                let (signal, problem) = (&signal.name, status.message());
                tracing::warn!(%tenant, signal, problem, "the collector refused a signal");
                return Ok(());
            }
            answer => answer?.into_inner(),
        };
        if let Some(refused) = answer.partial_success
            && refused.rejected_log_records > 0
        {
            let (signal, problem) = (&signal.name, refused.error_message);
            tracing::warn!(%tenant, signal, problem, "the collector refused a signal");
        }
        Ok(())
    }
}

fn request(tenant: &TenantId, signal: &Signal) -> ExportLogsServiceRequest {
    let resource = Resource {
        attributes: vec![text("service.name", "rewind-snapshotter")],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "rewind.signals".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_logs = ScopeLogs {
        scope: Some(scope),
        log_records: vec![record(tenant, signal)],
        ..ScopeLogs::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource),
            scope_logs: vec![scope_logs],
            ..ResourceLogs::default()
        }],
    }
}

fn record(tenant: &TenantId, signal: &Signal) -> LogRecord {
    let severity = match signal.severity() {
        Severity::Unspecified => (SeverityNumber::Unspecified, ""),
        Severity::Low => (SeverityNumber::Info, "low"),
        Severity::Medium => (SeverityNumber::Warn, "medium"),
        Severity::High => (SeverityNumber::Error, "high"),
        Severity::Critical => (SeverityNumber::Fatal, "critical"),
    };
    let id = signal.name.rsplit('/').next().unwrap_or_default();
    LogRecord {
        time_unix_nano: nanos(signal.time.as_ref().and_then(time)),
        observed_time_unix_nano: nanos(signals::raised_at(signal)),
        severity_number: severity.0.into(),
        severity_text: severity.1.to_owned(),
        event_name: EVENT.to_owned(),
        body: Some(value(&signal.title)),
        attributes: vec![
            text("rewind.tenant", tenant.as_str()),
            text("rewind.signal", id),
            text("rewind.rule", &signal.rule),
            text("rewind.severity", severity.1),
            text("rewind.report", &signal.report),
        ],
        ..LogRecord::default()
    }
}

fn text(key: &str, text: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(value(text)),
        ..KeyValue::default()
    }
}

fn value(text: &str) -> AnyValue {
    AnyValue {
        value: Some(Value::StringValue(text.to_owned())),
    }
}

/// A time as the protocol has it; 0 where it is not known.
fn nanos(at: Option<DateTime<Utc>>) -> u64 {
    let nanos = at.and_then(|at| at.timestamp_nanos_opt());
    nanos
        .and_then(|nanos| u64::try_from(nanos).ok())
        .unwrap_or_default()
}

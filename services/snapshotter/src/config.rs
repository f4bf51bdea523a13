//! The settings of the snapshotter.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use graph::GraphError;
use runtime::clock::{Clock, SystemClock};
use runtime::config::{Common, ConfigError, GraphLimits, Settings, Source};
use runtime::credentials::{Credentials, Installed, Kind};
use runtime::ids::Ids;

use crate::{Connect, Error};

/// Whether daily snapshots are taken by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Each active tenant once a day.
    Daily,
    /// Only on demand.
    Off,
}

/// The validated settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// What all services share.
    pub common: Common,
    /// What the snapshotter signs in with where a tenant's registration leaves it
    /// open.
    pub installed: Installed,
    /// `REWIND_SCHEDULE`: `daily` (the default) or `off`.
    pub schedule: Schedule,
    /// `REWIND_RECONCILE_EVERY`: of how many snapshots one reads everything again,
    /// to find what was never announced as changed; 7 by default.
    pub reconcile_every: u32,
    /// `REWIND_PRUNE_GRACE`: how long a snapshot stays readable that retention lets
    /// go, and how long a slot is waited for that somebody began; a day by default.
    pub prune_grace: TimeDelta,
    /// `REWIND_VERIFY_DAYS`: in how many days every stored byte is read once to see
    /// whether it is damaged, a share after each daily snapshot; 7 by default, and
    /// with 0 only names, sizes and ends are looked at.
    pub verify_days: u32,
    /// `REWIND_METRICS_LISTEN`: where `GET /metrics` is answered, by plain HTTP to
    /// whoever can reach it; nowhere by default.
    pub metrics: Option<SocketAddr>,
    /// Where copies of snapshots go; nowhere by default.
    pub copy: Option<CopyStore>,
    /// `REWIND_DELIVERY_SWEEP`: how often signals are looked for that were not
    /// delivered to a webhook, such as those of a replica that is gone; 15 minutes by
    /// default.
    pub delivery_sweep: Duration,
    /// `REWIND_SIGNAL_POLL`: how often a watcher of signals looks for new ones; 5
    /// seconds by default.
    pub signal_poll: Duration,
    /// `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT`, else `OTEL_EXPORTER_OTLP_ENDPOINT`: the
    /// collector that is told of signals, as log records over OTLP/gRPC; none by
    /// default.
    pub collector_url: Option<String>,
    /// `REWIND_DIFFER_URL`: where the differ is, which compares each daily snapshot
    /// with the one before; drift is not watched where it is not set.
    pub differ_url: Option<String>,
    /// `REWIND_AUDIT_INTERVAL`: how long a tenant's audit log rests between two looks;
    /// five minutes by default, and `off` for none.
    pub audit_interval: Option<TimeDelta>,
    /// `REWIND_GUARDED_CHANGES_WAIT`: how long after its approval a change takes effect
    /// that protects a tenant less; 7 days by default, and no call changes it.
    pub guarded_wait: TimeDelta,
    /// `REWIND_WRITER_CLIENT_ID`: the installation's application that writes, by which
    /// Rewind's own deeds are told from others'.
    pub writer_client_id: Option<String>,
}

/// Where copies of snapshots go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyStore {
    /// `REWIND_COPY_URL`: the object store.
    pub url: String,
    /// `REWIND_COPY_KEYS_URL`: the object store of the wrapped data keys beside the
    /// copies; the one of `REWIND_COPY_URL` where it is not set.
    pub keys_url: Option<String>,
}

impl CopyStore {
    fn read(settings: &Settings<'_>) -> Result<Option<Self>, ConfigError> {
        let url = settings.text("REWIND_COPY_URL");
        match (url, settings.text("REWIND_COPY_KEYS_URL")) {
            (Some(url), keys_url) => Ok(Some(Self { url, keys_url })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ConfigError::Missing {
                key: "REWIND_COPY_URL".to_owned(),
            }),
        }
    }
}

/// The usual distance of full readings: a week.
pub(crate) const RECONCILE_EVERY: u32 = 7;
/// In how many days every stored byte is read as a rule.
pub(crate) const VERIFY_DAYS: u32 = 7;
/// How long a snapshot stays as a rule that retention lets go.
pub(crate) const PRUNE_GRACE: TimeDelta = TimeDelta::days(1);

/// How long an approved guarded change waits as a rule.
pub(crate) const GUARDED_WAIT: TimeDelta = TimeDelta::days(7);
/// The longest that it may wait.
const LONGEST_WAIT: TimeDelta = TimeDelta::days(90);

/// How long a tenant's audit log rests as a rule.
const AUDIT_INTERVAL: TimeDelta = TimeDelta::minutes(5);
/// How long it may rest: a tenant is looked at several times while a process has it.
const AUDIT_INTERVALS: RangeInclusive<TimeDelta> = TimeDelta::seconds(10)..=TimeDelta::minutes(20);
/// How often signals are looked for as a rule that were not delivered.
pub(crate) const DELIVERY_SWEEP: Duration = Duration::from_secs(15 * 60);
/// How often a watcher looks for new signals as a rule.
pub(crate) const SIGNAL_POLL: Duration = Duration::from_secs(5);

/// A length of time that is not zero.
fn period(settings: &Settings<'_>, key: &str, usual: Duration) -> Result<Duration, ConfigError> {
    let period = settings.duration(key)?.unwrap_or(usual);
    if period.is_zero() {
        return Err(ConfigError::invalid(
            key,
            "a length of time such as 5s is expected",
        ));
    }
    Ok(period)
}

impl Config {
    /// Reads the settings of a process of its own, which needs all of them.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn complete(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let config = Self::read(settings)?;
        config.common.required_key()?;
        Ok(config)
    }

    /// Reads and validates the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let common = Common::read(settings, SocketAddr::from((Ipv4Addr::LOCALHOST, 7001)))?;
        let schedule = match settings.text("REWIND_SCHEDULE").as_deref() {
            None | Some("daily") => Schedule::Daily,
            Some("off") => Schedule::Off,
            Some(_) => {
                return Err(ConfigError::invalid(
                    "REWIND_SCHEDULE",
                    "daily or off is expected",
                ));
            }
        };
        let reconcile_every = match settings.text("REWIND_RECONCILE_EVERY") {
            None => RECONCILE_EVERY,
            Some(text) => text
                .parse()
                .ok()
                .filter(|every| *every > 0)
                .ok_or_else(|| {
                    ConfigError::invalid("REWIND_RECONCILE_EVERY", "a number from 1 on is expected")
                })?,
        };
        let prune_grace = match settings.duration("REWIND_PRUNE_GRACE")? {
            None => PRUNE_GRACE,
            Some(grace) => TimeDelta::from_std(grace).map_err(|_| {
                ConfigError::invalid("REWIND_PRUNE_GRACE", "a duration such as 24h is expected")
            })?,
        };
        let verify_days = settings
            .parsed("REWIND_VERIFY_DAYS")?
            .unwrap_or(VERIFY_DAYS);
        let metrics = settings.parsed("REWIND_METRICS_LISTEN")?;
        let installed = Installed::read(settings, Kind::Reader)?;
        let copy = CopyStore::read(settings)?;
        let delivery_sweep = period(settings, "REWIND_DELIVERY_SWEEP", DELIVERY_SWEEP)?;
        let signal_poll = period(settings, "REWIND_SIGNAL_POLL", SIGNAL_POLL)?;
        let collector_url = match settings.url("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")? {
            Some(url) => Some(url),
            None => settings.url("OTEL_EXPORTER_OTLP_ENDPOINT")?,
        };
        let differ_url = settings.url("REWIND_DIFFER_URL")?;
        let audit_interval = audit_interval(settings)?;
        let guarded_wait = guarded_wait(settings)?;
        let writer_client_id = settings.text("REWIND_WRITER_CLIENT_ID");
        settings.finish()?;
        Ok(Self {
            common,
            installed,
            schedule,
            reconcile_every,
            prune_grace,
            verify_days,
            metrics,
            copy,
            delivery_sweep,
            signal_poll,
            collector_url,
            differ_url,
            audit_interval,
            guarded_wait,
            writer_client_id,
        })
    }
}

fn guarded_wait(settings: &Settings<'_>) -> Result<TimeDelta, ConfigError> {
    const KEY: &str = "REWIND_GUARDED_CHANGES_WAIT";
    let Some(wait) = settings.duration(KEY)? else {
        return Ok(GUARDED_WAIT);
    };
    let wait = TimeDelta::from_std(wait).ok();
    wait.filter(|wait| *wait <= LONGEST_WAIT)
        .ok_or_else(|| ConfigError::invalid(KEY, "0s to 90d is expected"))
}

fn audit_interval(settings: &Settings<'_>) -> Result<Option<TimeDelta>, ConfigError> {
    const KEY: &str = "REWIND_AUDIT_INTERVAL";
    if settings.text(KEY).as_deref() == Some("off") {
        return Ok(None);
    }
    let Some(every) = settings.duration(KEY)? else {
        return Ok(Some(AUDIT_INTERVAL));
    };
    let every = TimeDelta::from_std(every).ok();
    every
        .filter(|every| AUDIT_INTERVALS.contains(every))
        .map(Some)
        .ok_or_else(|| ConfigError::invalid(KEY, "10s to 20m, or off, is expected"))
}

/// Reaches tenants through Microsoft Graph with the reader's credential.
///
/// # Errors
/// Where TLS cannot be set up.
pub fn connect(
    config: &Config,
    source: Arc<dyn Source>,
    ids: Arc<dyn Ids>,
) -> Result<Connect, GraphError> {
    let credentials = Credentials::new(
        Kind::Reader,
        config.common.credentials_dir.clone(),
        config.installed.clone(),
        source,
    );
    let ids: graph::Ids = Arc::new(move || ids.uuid());
    // Shared by all calls, so that a tenant's token is fetched once.
    let now: graph::Now = Arc::new(|| SystemClock.now());
    let logins = graph::Logins::new(Arc::clone(&now), Arc::clone(&ids));
    let settings = graph::Settings {
        role: graph::Role::Collector,
        replicas: config.common.replicas,
        limits: match config.common.graph_limits {
            GraphLimits::Documented => graph::Limits::Documented,
            GraphLimits::Off => graph::Limits::Off,
        },
        ..graph::Settings::new(graph::Connections::new()?, ids, now)
    };
    let custom_clouds = config.common.custom_clouds;
    Ok(Arc::new(move |record| {
        // Asked again at each use: a record may be older than the setting.
        if !custom_clouds && (record.graph_url.is_some() || record.login_url.is_some()) {
            return Err(Error::CustomCloud);
        }
        let app = credentials
            .sign_in(&record.reader)
            .map_err(Error::Credential)?;
        let hosts = (record.graph_url.as_deref(), record.login_url.as_deref());
        let endpoint = graph::Endpoint::of(&record.id, &record.cloud, hosts, &app.client_id)?;
        let (kind, reference) = (app.proof.kind, &app.proof.reference);
        let credential = logins.credential(&endpoint, kind, reference, app.read);
        Ok(Arc::new(graph::GraphReader::new(
            &endpoint,
            credential,
            settings.clone(),
        )))
    }))
}

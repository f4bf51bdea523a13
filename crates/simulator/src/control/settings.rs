//! The settings of the control API as JSON: faults, limits, lag, delta traps and the
//! audit log.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::fault::mix::FaultMix;
use crate::http::audits::AuditLog;
use crate::http::delta::traps::DeltaTraps;
use crate::simulator::Simulator;
use crate::state::history::DeltaExpiry;
use crate::state::replicas::Replication;
use crate::throttle::Throttle;

/// `PUT faults`: what is given replaces what was set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Faults {
    mix: Option<FaultMix>,
    #[serde(default)]
    queue: Vec<Fault>,
}

pub(super) fn faults(simulator: &Simulator) -> Value {
    let mix = simulator.shared.mixer.lock();
    json!({
        "mix": mix.as_ref().map(|mixer| &mixer.mix),
        "queue": *simulator.shared.faults.lock(),
    })
}

pub(super) fn set_faults(simulator: &Simulator, wanted: Faults) -> Value {
    simulator.clear_faults();
    simulator.set_fault_mix(wanted.mix);
    for fault in wanted.queue {
        simulator.inject(fault);
    }
    faults(simulator)
}

/// `PUT throttle`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    limits: Throttle,
}

pub(super) fn set_throttle(simulator: &Simulator, wanted: &Limits) -> Value {
    simulator.set_throttle(wanted.limits);
    json!({ "limits": wanted.limits })
}

/// `PUT replication`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Lag {
    max_lag_milliseconds: u64,
    #[serde(default)]
    seed: u64,
}

pub(super) fn set_replication(simulator: &Simulator, wanted: &Lag) -> Value {
    simulator.set_replication(Replication {
        max_lag: Duration::from_millis(wanted.max_lag_milliseconds),
        seed: wanted.seed,
    });
    json!({ "maxLagMilliseconds": wanted.max_lag_milliseconds, "seed": wanted.seed })
}

/// `PUT audit`.
pub(super) fn set_audit_log(simulator: &Simulator, wanted: AuditLog) -> Value {
    simulator.set_audit_log(wanted);
    json!(wanted)
}

/// `PUT delta`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delta {
    pub(super) tenant: Option<String>,
    pub(super) traps: Option<DeltaTraps>,
    pub(super) expire: Option<DeltaExpiry>,
}

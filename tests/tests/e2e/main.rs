//! The whole of Rewind against the practice tenant: four services in one
//! process over real gRPC, and the Graph client over real HTTP.

mod access;
mod actors;
mod approvals;
mod cancel;
mod console;
mod contract;
mod crowd;
mod deleted;
mod drift;
mod graph_api;
mod graph_schema;
mod half_guarded;
mod lanes;
mod lockout;
mod next_plan;
mod one_at_a_time;
mod posture;
mod protect;
mod python;
mod quotas;
mod recreate;
mod references;
mod relations;
mod reports;
mod restore;
mod sandbox;
mod scope;
mod shared;
mod story;
mod trouble;
mod undo;

//! The whole of Rewind against the practice tenant: four services in one
//! process over real gRPC, and the Graph client over real HTTP.

mod access;
mod actors;
mod contract;
mod crowd;
mod deleted;
mod drift;
mod lanes;
mod quotas;
mod recreate;
mod relations;
mod reports;
mod restore;
mod sandbox;
mod shared;
mod story;
mod trouble;

//! What a cluster is given: the images, and the manifests as they are rendered for each overlay.
//!
//! Owns the rules that no schema knows: who reaches whom, who holds which secret, which settings there are.
//! It never needs a cluster.

mod alerts;
mod documents;
mod flows;
mod images;
mod pods;
mod rendered;
mod schemas;
mod settings;

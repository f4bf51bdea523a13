//! The real directory, for writing: Microsoft Graph with the writer's credential.
//!
//! Sends what a plan holds and decides nothing, except that nothing is purged.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use model::call::{Call, HttpMethod};
use model::posture::{Action, Role};
use model::{Object, ObjectId, ObjectState, ObjectType};
use reqwest::Method;
use serde_json::Value;

use crate::auth::Credential;
use crate::budget::{Budget, LaneUse};
use crate::cloud::Endpoint;
use crate::directory::{
    AuditPage, ChangePage, ChangesFrom, Directory, DirectoryWriter, NextLink, Page, Query, Sent,
};
use crate::error::GraphError;
use crate::guard::refuse_purge;
use crate::reader::GraphReader;
use crate::roles;
use crate::settings::Settings;

/// Reads and writes one tenant's directory through Microsoft Graph.
#[derive(Debug, Clone)]
pub struct GraphWriter {
    reader: GraphReader,
    application: String,
}

impl GraphWriter {
    /// Prepares a writer; nothing is sent yet.
    #[must_use]
    pub fn new(endpoint: &Endpoint, credential: Credential, settings: Settings) -> Self {
        Self {
            reader: GraphReader::new(endpoint, credential, settings),
            application: endpoint.client_id.clone(),
        }
    }

    /// What this writer's application may ask of its tenant.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        self.reader.budget()
    }
}

#[async_trait]
impl DirectoryWriter for GraphWriter {
    fn application(&self) -> &str {
        &self.application
    }

    async fn send(&self, call: &Call) -> Sent {
        let mut request_id = None;
        let answer = self.sent(call, &mut request_id).await;
        Sent { answer, request_id }
    }
}

impl GraphWriter {
    async fn sent(
        &self,
        call: &Call,
        request_id: &mut Option<String>,
    ) -> Result<Option<Value>, GraphError> {
        refuse_purge(call)?;
        let client = self.reader.client();
        let body = call.body.clone().map(|body| with_root(body, client.root()));
        let method = match call.method {
            HttpMethod::Post => Method::POST,
            HttpMethod::Patch => Method::PATCH,
            HttpMethod::Put => Method::PUT,
            HttpMethod::Delete => Method::DELETE,
        };
        let (path, body) = (&call.path, body.as_ref());
        let answer = match client.write(method.clone(), path, body, request_id).await {
            // What is documented for beta alone may not be known to v1.0.
            Err(error) if roles::is_action(path) && roles::is_unknown(&error) => {
                client
                    .write_beta(method, path, body, request_id, error)
                    .await?
            }
            answer => answer?,
        };
        if answer.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        // The write was carried out, but what it made is unknown.
        serde_json::from_slice(&answer.body)
            .map(Some)
            .map_err(|_| GraphError::Ambiguous {
                what: "the answer is not json".to_owned(),
                path: answer.path,
            })
    }
}

/// Puts the version root where the plan left it open: in references, never in
/// what a person wrote.
fn with_root(value: Value, root: &str) -> Value {
    let reference = |key: &str| key.ends_with("@odata.id") || key.ends_with("@odata.bind");
    match value {
        Value::Array(items) => items
            .into_iter()
            .map(|item| with_root(item, root))
            .collect(),
        Value::Object(fields) => {
            let field = |(key, value): (String, Value)| {
                let value = if reference(&key) {
                    filled(value, root)
                } else {
                    with_root(value, root)
                };
                (key, value)
            };
            fields.into_iter().map(field).collect()
        }
        other => other,
    }
}

fn filled(value: Value, root: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("{graph}", root)),
        Value::Array(items) => items.into_iter().map(|item| filled(item, root)).collect(),
        other => other,
    }
}

#[async_trait]
impl Directory for GraphWriter {
    fn use_conditional_access(&self, lane_use: LaneUse) {
        self.reader.use_conditional_access(lane_use);
    }

    async fn granted(&self) -> Result<Option<BTreeSet<String>>, GraphError> {
        self.reader.granted().await
    }

    async fn try_read(&self, object_type: ObjectType) -> Result<(), GraphError> {
        self.reader.try_read(object_type).await
    }

    async fn subscribed_skus(&self) -> Result<Vec<Value>, GraphError> {
        self.reader.subscribed_skus().await
    }

    async fn page(&self, query: &Query, next: Option<&NextLink>) -> Result<Page, GraphError> {
        self.reader.page(query, next).await
    }

    async fn changes(
        &self,
        object_type: ObjectType,
        from: &ChangesFrom,
    ) -> Result<ChangePage, GraphError> {
        self.reader.changes(object_type, from).await
    }

    async fn first_pages(
        &self,
        queries: &[Query],
    ) -> Result<Vec<Result<Page, GraphError>>, GraphError> {
        self.reader.first_pages(queries).await
    }

    async fn read_many(
        &self,
        ids: &[(ObjectType, ObjectState, ObjectId)],
    ) -> Result<Vec<Result<Option<Object>, GraphError>>, GraphError> {
        self.reader.read_many(ids).await
    }

    async fn existing(&self, ids: &[ObjectId]) -> Result<HashMap<ObjectId, String>, GraphError> {
        self.reader.existing(ids).await
    }

    async fn role_template_ids(&self) -> Result<HashSet<ObjectId>, GraphError> {
        self.reader.role_template_ids().await
    }

    async fn protected_actions(&self) -> Result<Vec<Action>, GraphError> {
        self.reader.protected_actions().await
    }

    async fn roles(&self) -> Result<Vec<Role>, GraphError> {
        self.reader.roles().await
    }

    async fn existing_app_ids(&self, app_ids: &[String]) -> Result<HashSet<String>, GraphError> {
        self.reader.existing_app_ids(app_ids).await
    }

    async fn audits(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        next: Option<&NextLink>,
    ) -> Result<AuditPage, GraphError> {
        self.reader.audits(from, until, next).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_root_goes_into_references_only() {
        let body = json!({
            "@odata.id": "{graph}/users/1",
            "members@odata.bind": ["{graph}/directoryObjects/2"],
            "description": "about {graph}",
            "deep": [{"@odata.id": "{graph}/x", "n": 1}],
        });
        let expected = json!({
            "@odata.id": "https://g/v1.0/users/1",
            "members@odata.bind": ["https://g/v1.0/directoryObjects/2"],
            "description": "about {graph}",
            "deep": [{"@odata.id": "https://g/v1.0/x", "n": 1}],
        });
        assert_eq!(with_root(body, "https://g/v1.0"), expected);
    }
}

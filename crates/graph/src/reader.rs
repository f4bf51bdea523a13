//! The real directory, for reading: Microsoft Graph.
//!
//! It has no method that writes; whoever must not write holds this.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use model::catalogue::{Cardinality, Lane, Reading};
use model::posture::{Action, Role};
use model::{Object, ObjectId, ObjectState, ObjectType};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::Credential;
use crate::budget::{Budget, LaneUse};
use crate::changes;
use crate::client::{Answer, Client};
use crate::cloud::Endpoint;
use crate::directory::{
    AuditPage, ChangePage, ChangesFrom, Directory, NextLink, Page, Query, audits_url, changes_url,
    item_url, probe_url,
};
use crate::error::GraphError;
use crate::json as wire;
use crate::request::Inside;
use crate::roles;
use crate::settings::Settings;

/// The most ids that `getByIds` takes.
const IDS: usize = 1000;
/// From this many on, objects with a slow quota are picked from their list.
const PICK: usize = 3;

type Key = (ObjectType, ObjectState, ObjectId);
type Found = Result<Option<Object>, GraphError>;

/// Reads one tenant's directory through Microsoft Graph.
#[derive(Debug, Clone)]
pub struct GraphReader {
    client: Arc<Client>,
}

impl GraphReader {
    /// Prepares a reader; nothing is sent yet.
    #[must_use]
    pub fn new(endpoint: &Endpoint, credential: Credential, settings: Settings) -> Self {
        Self {
            client: Arc::new(Client::new(endpoint, credential, settings)),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What this reader's application may ask of its tenant.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        self.client.budget()
    }

    /// All items of a small list.
    async fn all<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<Vec<T>, GraphError> {
        let first = self.client.get(url).await?;
        self.rest(first).await
    }

    /// The actions in an answer and in the pages behind it, as far as they tell what
    /// protects them.
    async fn actions(&self, first: Answer) -> Result<Vec<Action>, GraphError> {
        let items: Vec<Value> = self.rest(first).await?;
        Ok(items.iter().filter_map(roles::action).collect())
    }

    /// The items of an answer and of the pages behind it.
    async fn rest<T: serde::de::DeserializeOwned>(
        &self,
        first: Answer,
    ) -> Result<Vec<T>, GraphError> {
        let mut answer = first;
        let mut all = Vec::new();
        loop {
            let page = wire::page(&answer.body, &answer.path)?;
            for item in &page.items {
                let item = serde_json::from_str(item.get());
                all.push(item.map_err(|error| GraphError::garbled(&error, &answer.path))?);
            }
            match page.next {
                Some(link) => answer = self.client.follow(&link).await?,
                None => return Ok(all),
            }
        }
    }

    /// Single objects of one type and state, by reading the list.
    async fn pick(
        &self,
        object_type: ObjectType,
        state: ObjectState,
    ) -> Result<HashMap<ObjectId, Object>, GraphError> {
        let query = match state {
            ObjectState::Live => Query::Objects(object_type),
            ObjectState::Deleted => Query::Deleted(object_type),
        };
        let mut found = HashMap::new();
        let mut next = None;
        loop {
            let page = self.page(&query, next.as_ref()).await?;
            for item in &page.items {
                let object =
                    Object::from_json(object_type, state, item.get()).map_err(|error| {
                        GraphError::Malformed {
                            what: wire::reason(&error),
                            path: query.kind().name(),
                        }
                    })?;
                found.insert(object.id.clone(), object);
            }
            match page.next {
                Some(link) => next = Some(link),
                None => return Ok(found),
            }
        }
    }

    /// Objects whose quota is one request a second: singly where they are few,
    /// through the list where they are many.
    async fn read_slow(&self, keys: &[&Key]) -> HashMap<Key, Found> {
        let mut groups: HashMap<(ObjectType, ObjectState), Vec<&Key>> = HashMap::new();
        for key in keys {
            groups.entry((key.0, key.1)).or_default().push(key);
        }
        let mut results = HashMap::new();
        for ((object_type, state), keys) in groups {
            if keys.len() < PICK {
                for key in keys {
                    results.insert(key.clone(), self.read_one(key).await);
                }
                continue;
            }
            let list = self.pick(object_type, state).await;
            for key in keys {
                let found = list
                    .as_ref()
                    .map(|list| list.get(&key.2).cloned())
                    .map_err(Clone::clone);
                results.insert(key.clone(), found);
            }
        }
        results
    }

    async fn read_one(&self, key: &Key) -> Found {
        let url = item_url(key.0, key.1, &key.2)?;
        let part = self
            .client
            .get(&url)
            .await
            .and_then(|answer| crate::batch::raw(&answer.body, &answer.path));
        found(key, part)
    }

    /// Objects with the directory's quota, 20 to a request.
    async fn read_batched(&self, keys: &[&Key]) -> Result<Vec<Found>, GraphError> {
        let urls: Vec<String> = keys
            .iter()
            .map(|key| item_url(key.0, key.1, &key.2))
            .collect::<Result<_, _>>()?;
        let parts = self.client.get_many(&urls).await?;
        Ok(keys
            .iter()
            .zip(parts)
            .map(|(key, part)| found(key, part))
            .collect())
    }

    async fn by_ids(&self, ids: &[&ObjectId]) -> Result<Vec<Identity>, GraphError> {
        let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
        let first = self
            .client
            .ask(
                "/directoryObjects/getByIds?$select=id",
                &json!({ "ids": ids }),
            )
            .await?;
        self.rest(first).await
    }
}

/// What one answer says about one object.
fn found(key: &Key, part: crate::batch::Part) -> Found {
    let (object_type, state, id) = key;
    match part {
        Ok(json) => {
            let path = format!("{object_type} {id}");
            wire::object(*object_type, *state, id, json.get(), &path).map(Some)
        }
        Err(GraphError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn page_of(query: &Query, body: &[u8], path: &str) -> Result<Page, GraphError> {
    match query {
        Query::Links { kind, .. } if kind.spec().cardinality == Cardinality::One => {
            wire::single(body, kind.spec().relation, path)
        }
        Query::Objects(object_type) if object_type.spec().reading == Reading::Singleton => {
            wire::singleton(body, path)
        }
        Query::Keyed { .. } => wire::singleton(body, path),
        _ => wire::page(body, path),
    }
}

/// An object of which only id and type were asked for.
#[derive(Deserialize)]
struct Identity {
    id: String,
    #[serde(default, rename = "@odata.type")]
    odata_type: String,
}

#[async_trait]
impl Directory for GraphReader {
    fn use_conditional_access(&self, lane_use: LaneUse) {
        self.budget().set_conditional_access(lane_use);
    }

    async fn granted(&self) -> Result<Option<BTreeSet<String>>, GraphError> {
        self.client.granted().await
    }

    async fn try_read(&self, object_type: ObjectType) -> Result<(), GraphError> {
        self.client.get(&probe_url(object_type)).await.map(drop)
    }

    async fn subscribed_skus(&self) -> Result<Vec<Value>, GraphError> {
        self.all("/subscribedSkus").await
    }

    async fn page(&self, query: &Query, next: Option<&NextLink>) -> Result<Page, GraphError> {
        let asked = query.clone();
        let take = Arc::new(move |body: Bytes, path: &str| {
            page_of(&asked, &body, path).map(|page| (page, Inside::default()))
        });
        let page = match next {
            Some(link) => self.client.follow_as(link, take).await?.body,
            None => self.client.get_as(&query.url()?, take).await?.body,
        };
        if *query == Query::Objects(ObjectType::User) {
            self.budget().saw_users(page.items.len());
        }
        Ok(page)
    }

    async fn changes(
        &self,
        object_type: ObjectType,
        from: &ChangesFrom,
    ) -> Result<ChangePage, GraphError> {
        let take = Arc::new(move |body: Bytes, path: &str| {
            changes::page(&body, object_type, path).map(|page| (page, Inside::default()))
        });
        let answer = match from {
            ChangesFrom::Link(link) => self.client.follow_as(link, take).await?,
            ChangesFrom::Now | ChangesFrom::Links => {
                let url = changes_url(object_type, from)?;
                self.client.get_as(&url, take).await?
            }
        };
        Ok(answer.body)
    }

    async fn first_pages(
        &self,
        queries: &[Query],
    ) -> Result<Vec<Result<Page, GraphError>>, GraphError> {
        let urls: Vec<String> = queries.iter().map(Query::url).collect::<Result<_, _>>()?;
        let parts = self.client.get_many(&urls).await?;
        let page = |((query, url), part): ((&Query, &String), crate::batch::Part)| {
            let path = url.split('?').next().unwrap_or_default();
            part.and_then(|body| page_of(query, body.get().as_bytes(), path))
        };
        Ok(queries.iter().zip(&urls).zip(parts).map(page).collect())
    }

    async fn read_many(&self, ids: &[Key]) -> Result<Vec<Found>, GraphError> {
        let (slow, quick): (Vec<&Key>, Vec<&Key>) = ids
            .iter()
            .partition(|key| key.0.spec().lane == Lane::ConditionalAccess);
        let mut quick = self.read_batched(&quick).await?.into_iter();
        let slow = self.read_slow(&slow).await;
        let result = |key: &Key| match slow.get(key) {
            Some(found) => found.clone(),
            None => quick
                .next()
                .expect("invariant: each object that is not slow was read with the others"),
        };
        Ok(ids.iter().map(result).collect())
    }

    async fn existing(&self, ids: &[ObjectId]) -> Result<HashMap<ObjectId, String>, GraphError> {
        let mut guids: Vec<&ObjectId> = ids.iter().filter(|id| is_guid(id.as_str())).collect();
        guids.sort();
        guids.dedup();
        let chunks: Vec<_> = guids.chunks(IDS).map(|chunk| self.by_ids(chunk)).collect();
        let found: Vec<Identity> = stream::iter(chunks).buffered(4).try_concat().await?;
        let entry = |identity: Identity| {
            ObjectId::parse(&identity.id)
                .ok()
                .map(|id| (id, identity.odata_type))
        };
        Ok(found.into_iter().filter_map(entry).collect())
    }

    async fn role_template_ids(&self) -> Result<HashSet<ObjectId>, GraphError> {
        let templates: Vec<Identity> = self.all("/directoryRoleTemplates").await?;
        Ok(templates
            .into_iter()
            .filter_map(|template| ObjectId::parse(&template.id).ok())
            .collect())
    }

    async fn protected_actions(&self) -> Result<Vec<Action>, GraphError> {
        let known = match self.client.get(roles::ACTIONS).await {
            Err(error) if roles::is_unknown(&error) => Vec::new(),
            answer => self.actions(answer?).await?,
        };
        if !known.is_empty() {
            return Ok(known);
        }
        let untold = || GraphError::Unexpected {
            what: "it does not tell what protects the actions".to_owned(),
            path: roles::ACTIONS.to_owned(),
        };
        let beta = roles::in_beta(self.client.root(), roles::ACTIONS).ok_or_else(untold)?;
        let first = self.client.follow(&NextLink::new(beta)).await?;
        let known = self.actions(first).await?;
        if known.is_empty() {
            return Err(untold());
        }
        Ok(known)
    }

    async fn roles(&self) -> Result<Vec<Role>, GraphError> {
        let all: Vec<roles::Definition> = self.all(roles::ROLES).await?;
        all.into_iter().map(roles::Definition::into_role).collect()
    }

    async fn existing_app_ids(&self, app_ids: &[String]) -> Result<HashSet<String>, GraphError> {
        let mut guids: Vec<&String> = app_ids.iter().filter(|id| is_guid(id)).collect();
        guids.sort();
        guids.dedup();
        let url = |id: &&String| {
            format!("/servicePrincipals?$filter=appId%20eq%20'{id}'&$select=id,appId")
        };
        let parts = self
            .client
            .get_many(&guids.iter().map(url).collect::<Vec<_>>())
            .await?;
        let mut found = HashSet::new();
        for (id, part) in guids.into_iter().zip(parts) {
            if !wire::page(part?.get().as_bytes(), "/servicePrincipals")?
                .items
                .is_empty()
            {
                found.insert(id.clone());
            }
        }
        Ok(found)
    }

    async fn audits(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        next: Option<&NextLink>,
    ) -> Result<AuditPage, GraphError> {
        let take = Arc::new(move |body: Bytes, path: &str| {
            wire::audits(&body, path).map(|page| (page, Inside::default()))
        });
        let answer = match next {
            Some(link) => self.client.follow_as(link, take).await?,
            None => self.client.get_as(&audits_url(from, until), take).await?,
        };
        Ok(answer.body)
    }
}

fn is_guid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

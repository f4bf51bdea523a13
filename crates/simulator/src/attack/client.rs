//! The intruder's HTTP client: a token, plain calls, patience with limits.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{AttackError, AttackTarget};

/// How often a throttled call is tried again.
const PATIENCE: usize = 60;

/// A signed-in client.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    graph: String,
    token: String,
}

impl Client {
    pub(super) async fn sign_in(target: &AttackTarget) -> Result<Self, AttackError> {
        let http = reqwest::Client::new();
        let url = format!(
            "{}/{}/oauth2/v2.0/token",
            target.login_url, target.tenant_id
        );
        let response = http
            .post(&url)
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &target.client_id),
                ("client_secret", &target.client_secret),
                ("scope", "https://graph.microsoft.com/.default"),
            ])
            .send()
            .await?;
        let status = response.status();
        let body: Value = response.json().await?;
        match body["access_token"].as_str() {
            Some(token) => Ok(Self {
                http,
                graph: target.graph_url.trim_end_matches('/').to_owned(),
                token: token.to_owned(),
            }),
            None => Err(AttackError::Refused {
                method: "POST".to_owned(),
                url,
                status: status.as_u16(),
                body: body["error"].to_string(),
            }),
        }
    }

    async fn call(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), AttackError> {
        let mut tries = 0;
        loop {
            let mut request = self
                .http
                .request(method.clone(), url)
                .bearer_auth(&self.token);
            if let Some(body) = body {
                request = request.json(body);
            }
            let response = request.send().await?;
            let status = response.status();
            tries += 1;
            if status == StatusCode::TOO_MANY_REQUESTS && tries < PATIENCE {
                let wait = response
                    .headers()
                    .get("retry-after")
                    .and_then(|wait| wait.to_str().ok()?.parse::<f64>().ok())
                    .unwrap_or(1.05);
                tokio::time::sleep(Duration::from_secs_f64(wait)).await;
                continue;
            }
            let text = response.text().await?;
            return Ok((status, serde_json::from_str(&text).unwrap_or_default()));
        }
    }

    async fn must(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, AttackError> {
        let url = self.url(path);
        let (status, answer) = self.call(method.clone(), &url, body).await?;
        if status.is_success() {
            Ok(answer)
        } else {
            Err(AttackError::Refused {
                method: method.to_string(),
                url,
                status: status.as_u16(),
                body: answer.to_string(),
            })
        }
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.graph)
        }
    }

    /// Up to `pages` pages of a collection.
    pub(super) async fn list(&self, path: &str, pages: usize) -> Result<Vec<Value>, AttackError> {
        let mut items = Vec::new();
        let mut next = Some(path.to_owned());
        for _ in 0..pages {
            let Some(path) = next.take() else { break };
            let mut page = self.must(Method::GET, &path, None).await?;
            if let Some(Value::Array(value)) = page.get_mut("value").map(Value::take) {
                items.extend(value);
            }
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
        }
        Ok(items)
    }

    /// One object; `None` when it is not there.
    pub(super) async fn find(&self, path: &str) -> Result<Option<Value>, AttackError> {
        let url = self.url(path);
        let (status, answer) = self.call(Method::GET, &url, None).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(answer)),
            status => Err(AttackError::Refused {
                method: "GET".to_owned(),
                url,
                status: status.as_u16(),
                body: answer.to_string(),
            }),
        }
    }

    pub(super) async fn create(&self, path: &str, body: &Value) -> Result<Value, AttackError> {
        self.must(Method::POST, path, Some(body)).await
    }

    pub(super) async fn change(&self, path: &str, body: &Value) -> Result<(), AttackError> {
        self.must(Method::PATCH, path, Some(body)).await.map(drop)
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), AttackError> {
        self.must(Method::DELETE, path, None).await.map(drop)
    }

    /// Adds a link, or sets a single one.
    pub(super) async fn link(&self, path: &str, to: &str) -> Result<(), AttackError> {
        let method = if path.ends_with("/manager/$ref") {
            Method::PUT
        } else {
            Method::POST
        };
        let body = json!({ "@odata.id": format!("{}/directoryObjects/{to}", self.graph) });
        self.must(method, path, Some(&body)).await.map(drop)
    }
}

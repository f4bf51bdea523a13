//! What the integration tests share: a running practice tenant and a small client.

#![allow(dead_code, reason = "each test binary uses a part of this module")]

use std::path::PathBuf;

use serde_json::{Value, json};
use simulator::{Population, ServerHandle, Simulator, TenantHandle, TenantSpec};
use tokio::net::TcpListener;

pub(crate) const TENANT: &str = "0f0e0d0c-0b0a-4908-8706-050403020100";

/// A running simulator with one tenant.
pub(crate) struct Bench {
    pub(crate) simulator: Simulator,
    pub(crate) tenant: TenantHandle,
    pub(crate) server: ServerHandle,
    pub(crate) http: reqwest::Client,
    token: String,
}

/// A status and its body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str, part: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.body["error"]["code"], code, "{}", self.body);
        let message = self.body["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(part), "{message}");
    }
}

impl Bench {
    pub(crate) async fn empty() -> Self {
        Self::on(Simulator::new()).await
    }

    pub(crate) async fn on(simulator: Simulator) -> Self {
        let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
        let server = simulator
            .serve(TcpListener::bind("127.0.0.1:0").await.unwrap())
            .await;
        let http = reqwest::Client::new();
        let mut bench = Self {
            simulator,
            tenant,
            server,
            http,
            token: String::new(),
        };
        bench
            .sign_in(simulator::WRITER_CLIENT_ID, simulator::WRITER_SECRET)
            .await;
        bench
    }

    pub(crate) async fn populated(users: usize, groups: usize) -> Self {
        let bench = Self::empty().await;
        bench.tenant.populate(&Population {
            users,
            groups,
            seed: 11,
        });
        bench
    }

    pub(crate) async fn sign_in(&mut self, client_id: &str, secret: &str) {
        let answer = self.token(TENANT, client_id, secret).await.expect(200);
        self.token = answer["access_token"].as_str().unwrap().to_owned();
    }

    /// A token of the app that may write, for requests made by hand.
    pub(crate) async fn new_token(&self) -> String {
        let (app, secret) = (simulator::WRITER_CLIENT_ID, simulator::WRITER_SECRET);
        let answer = self.token(TENANT, app, secret).await.expect(200);
        answer["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn token(&self, tenant: &str, client_id: &str, secret: &str) -> Answer {
        let response = self
            .http
            .post(format!("{}/{tenant}/oauth2/v2.0/token", self.server.url()))
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", secret),
                ("scope", "https://graph.microsoft.com/.default"),
            ])
            .send()
            .await
            .unwrap();
        read(response).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.send_with(method, path, body, &[]).await
    }

    pub(crate) async fn send_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}/v1.0{path}", self.server.url())
        };
        let mut request = self
            .http
            .request(method.parse().unwrap(), url)
            .bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        read(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, Some(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None).await
    }

    /// Every item of a collection, following next links.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let page = self.get(&path).await.expect(200);
            items.extend(page["value"].as_array().unwrap().iter().cloned());
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
        }
        items
    }

    pub(crate) async fn user(&self, nick: &str) -> String {
        let user = self
            .post(
                "/users",
                json!({
                    "accountEnabled": true, "displayName": nick, "mailNickname": nick,
                    "userPrincipalName": format!("{nick}@practice.example"),
                    "passwordProfile": { "password": "x" },
                }),
            )
            .await
            .expect(201);
        id(&user)
    }

    pub(crate) async fn group(&self, nick: &str) -> String {
        let body = json!({
            "displayName": nick, "mailNickname": nick, "mailEnabled": false, "securityEnabled": true,
        });
        id(&self.post("/groups", body).await.expect(201))
    }

    pub(crate) async fn microsoft_365_group(&self, nick: &str) -> String {
        let body = json!({
            "displayName": nick, "mailNickname": nick, "mailEnabled": true, "securityEnabled": false,
            "groupTypes": ["Unified"],
        });
        id(&self.post("/groups", body).await.expect(201))
    }

    pub(crate) fn reference(&self, id: &str) -> Value {
        json!({ "@odata.id": format!("{}/v1.0/directoryObjects/{id}", self.server.url()) })
    }
}

async fn read(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    Answer {
        status,
        headers,
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}

#[track_caller]
pub(crate) fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

pub(crate) fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(id).collect()
}

/// Follows a round to its end: items and the delta link.
pub(crate) async fn round(bench: &Bench, start: &str) -> (Vec<Value>, String) {
    let mut items = Vec::new();
    let mut path = start.to_owned();
    loop {
        let page = bench.get(&path).await.expect(200);
        items.extend(page["value"].as_array().unwrap().iter().cloned());
        assert!(
            page["@odata.nextLink"].is_null() != page["@odata.deltaLink"].is_null(),
            "one link, never both"
        );
        match page["@odata.deltaLink"].as_str() {
            Some(link) => return (items, link.to_owned()),
            None => path = page["@odata.nextLink"].as_str().unwrap().to_owned(),
        }
    }
}

/// The shared data, which a user's machine may lack.
#[expect(
    clippy::disallowed_methods,
    reason = "tests find optional data through the environment"
)]
pub(crate) fn shared_data() -> Option<PathBuf> {
    if let Ok(path) = std::env::var("REWIND_SHARED_DATA") {
        return Some(PathBuf::from(path)).filter(|path| path.is_dir());
    }
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/data"))
        .find(|folder| folder.is_dir())
}

//! The console before services that answer what a test says, and a browser without
//! scripts.

use super::scripted::Script;
use super::support::{OPERATOR, config, listener, tenant, tokens, with};
use crate::{App, Applications, Backends, ConsoleConfig, Deps};
use chrono::{TimeZone, Utc};
use http::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use model::TenantId;
use prost::Message;
use proto::v1::tenant_service_client::TenantServiceClient;
use proto::v1::{CreateTenantRequest, TenantSummary};
use runtime::{ManualClock, SeededIds};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use store::{Kek, Vault};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A gateway that serves until this is dropped; the script answers for every service
/// behind it.
pub(super) struct Stage {
    pub(super) url: String,
    pub(super) script: Script,
    pub(super) clock: Arc<ManualClock>,
    vault: Vault,
    _stop: DropGuard,
}

pub(super) async fn stage() -> Stage {
    stage_with(ConsoleConfig::default()).await
}

pub(super) async fn stage_with(console: ConsoleConfig) -> Stage {
    let (stop, script) = (CancellationToken::new(), Script::default());
    let behind = script.serve(&stop).await;
    let clock = Arc::new(ManualClock::new(
        Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap(),
    ));
    let vault = Vault::open("memory:///", &|_| None, Arc::new(Kek::from_bytes([7; 32])));
    let vault = vault.expect("memory");
    let deps = Deps {
        vault: vault.clone(),
        clock: Arc::clone(&clock) as Arc<dyn runtime::Clock>,
        ids: Arc::new(SeededIds::new(1)),
        backends: Backends {
            snapshotter: behind.clone().into(),
            differ: behind.clone().into(),
            restorer: behind.into(),
        },
        tokens: tokens(),
    };
    let mut config = config(false, Applications::default());
    config.console = console;
    let (listener, address) = listener().await;
    let app = App::build(&config, deps, listener).expect("built");
    tokio::spawn(app.run(stop.clone()));
    Stage {
        url: format!("http://{address}"),
        script,
        clock,
        vault,
        _stop: stop.drop_guard(),
    }
}

impl Stage {
    /// Registers a tenant under a name.
    pub(super) async fn register(&self, id: &str, name: &str) {
        let channel = runtime::connect(&self.url, None).expect("an address");
        let mut tenant = tenant(id);
        tenant.display_name = name.to_owned();
        let request = CreateTenantRequest {
            tenant: Some(tenant),
            request_id: "r".to_owned(),
            validate_only: false,
        };
        let mut client = TenantServiceClient::new(channel);
        let answer = client.create_tenant(with(OPERATOR, request)).await;
        answer.expect("registered");
    }

    /// Stores how a tenant is, as the snapshotter does.
    pub(super) async fn tell(&self, id: &str, summary: &TenantSummary) {
        let id = TenantId::parse(id).expect("valid");
        let vault = self.vault.tenant(&id).await.expect("registered");
        let stored = vault.put_summary(1, summary.encode_to_vec().into()).await;
        assert!(stored.expect("stored"));
    }

    /// Somebody who is not signed in.
    pub(super) fn stranger(&self) -> Browser {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        Browser {
            http: http.build().expect("a client"),
            url: self.url.clone(),
            cookies: Mutex::default(),
        }
    }

    /// Somebody who has signed in with a token.
    pub(super) async fn browser(&self, token: &str) -> Browser {
        let browser = self.stranger();
        let page = browser
            .submit("/login", &[("token", token), ("to", "/")])
            .await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        browser
    }
}

/// What keeps cookies and follows no redirection.
pub(super) struct Browser {
    http: reqwest::Client,
    url: String,
    pub(super) cookies: Mutex<BTreeMap<String, String>>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Page {
    /// Where the browser is sent.
    pub(super) fn location(&self) -> &str {
        let value = self.headers.get(LOCATION).expect("it is sent somewhere");
        value.to_str().expect("text")
    }

    /// The value of the first field of a name.
    pub(super) fn field(&self, name: &str) -> String {
        let (_, rest) = self
            .text
            .split_once(&format!("name=\"{name}\" value=\""))
            .expect("a field of the name");
        rest.split('"').next().unwrap_or_default().to_owned()
    }
}

impl Browser {
    pub(super) async fn get(&self, path: &str) -> Page {
        self.send(self.http.get(format!("{}{path}", self.url)))
            .await
    }

    /// Whether an answer that began well breaks off before its end.
    pub(super) async fn broken_off(&self, path: &str) -> bool {
        let cookies = self.cookies.lock().expect("unpoisoned").clone();
        let line: Vec<String> = cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let request = self.http.get(format!("{}{path}", self.url));
        let answer = request.header(COOKIE, line.join("; ")).send().await;
        let answer = answer.expect("begun");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.bytes().await.is_err()
    }

    /// Fetches a part of a page, as the script does.
    pub(super) async fn fragment(&self, path: &str) -> Page {
        let request = self.http.get(format!("{}{path}", self.url));
        self.send(request.header("x-fragment", "1")).await
    }

    /// Sends a form from a page of the session.
    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.get("/no/such/page").await;
        let (csrf, id) = (page.field("csrf"), page.field("request_id"));
        let mut all = vec![("csrf", csrf.as_str()), ("request_id", id.as_str())];
        all.extend(fields);
        self.submit(path, &all).await
    }

    /// Sends a form with these fields alone.
    pub(super) async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let origin = self.url.clone();
        self.submit_from(&[(ORIGIN.as_str(), &origin)], path, fields)
            .await
    }

    /// The same, with what the browser says of where it comes from.
    pub(super) async fn submit_from(
        &self,
        headers: &[(&str, &str)],
        path: &str,
        fields: &[(&str, &str)],
    ) -> Page {
        let mut request = self.http.post(format!("{}{path}", self.url)).form(fields);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Page {
        let cookies = self.cookies.lock().expect("unpoisoned").clone();
        let line: Vec<String> = cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let answer = request
            .header(COOKIE, line.join("; "))
            .send()
            .await
            .expect("answered");
        let (status, headers) = (answer.status(), answer.headers().clone());
        self.keep(&headers);
        let text = answer.text().await.expect("text");
        Page {
            status,
            headers,
            text,
        }
    }

    /// Does with cookies as an answer says.
    fn keep(&self, headers: &HeaderMap) {
        let mut cookies = self.cookies.lock().expect("unpoisoned");
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().expect("text");
            let (name, rest) = line.split_once('=').expect("a cookie");
            match rest.split(';').next().unwrap_or_default() {
                "" => cookies.remove(name),
                value => cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
    }

    /// Changes the last character of a cookie.
    pub(super) fn tamper(&self, name: &str) {
        let mut cookies = self.cookies.lock().expect("unpoisoned");
        let value = cookies.get_mut(name).expect("there");
        let last = value.pop().expect("not empty");
        value.push(if last == 'A' { 'B' } else { 'A' });
    }
}

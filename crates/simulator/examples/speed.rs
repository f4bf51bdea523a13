//! How fast the simulator serves: `cargo run --release -p rewind-simulator --example speed -- USERS`.
//!
//! Server and client share one thread, so the figures are what one core does for both.

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use simulator::{Population, Simulator, TenantSpec, WRITER_CLIENT_ID, WRITER_SECRET};
use tokio::time::Instant;

const TENANT: &str = "0f0e0d0c-0b0a-4908-8706-050403020100";
/// About what a backup selects of a user.
const SELECT: &str = "id,accountEnabled,ageGroup,businessPhones,city,companyName,country,\
    createdDateTime,department,displayName,employeeId,employeeType,faxNumber,givenName,identities,\
    jobTitle,mail,mailNickname,mobilePhone,officeLocation,onPremisesImmutableId,\
    onPremisesSyncEnabled,otherMails,passwordPolicies,postalCode,preferredLanguage,proxyAddresses,\
    state,streetAddress,surname,usageLocation,userPrincipalName,userType";

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

struct Probe {
    http: Client,
    url: String,
    token: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible<()> {
    let users = std::env::args().nth(1).map_or(Ok(100_000), |n| n.parse())?;
    let simulator = Simulator::new();
    let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
    let began = Instant::now();
    tenant.populate(&Population {
        users,
        groups: users / 10,
        seed: 1,
    });
    report("generate", users, began.elapsed());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let server = simulator.serve(listener).await;
    let probe = Probe::sign_in(server.url()).await?;

    let began = Instant::now();
    let path = format!("/users?$top=999&$select={SELECT}");
    report("list", probe.pages(&path, None).await?.0, began.elapsed());
    let began = Instant::now();
    let (items, link) = probe.pages("/users/delta", None).await?;
    report("first delta round, users", items, began.elapsed());
    let began = Instant::now();
    let path = format!("/users/delta?$select={SELECT}");
    let (items, _) = probe.pages(&path, None).await?;
    report("first delta round, selected", items, began.elapsed());
    let began = Instant::now();
    let (items, _) = probe.pages("/groups/delta", None).await?;
    report("first delta round, groups, links", items, began.elapsed());

    let first: Value = serde_json::from_slice(&probe.get("/users?$top=999&$select=id").await?)?;
    let ids: Vec<&str> = first["value"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|user| user["id"].as_str())
        .collect();
    let began = Instant::now();
    let mut read = 0;
    for _ in 0..20 {
        for some in ids.chunks(20) {
            read += probe.batch(some).await?;
        }
    }
    report("batches of twenty single reads", read, began.elapsed());

    let mut renamed = 0;
    for id in &ids {
        renamed += usize::from(probe.rename(id).await?);
    }
    let began = Instant::now();
    let (items, _) = probe.pages("", Some(link)).await?;
    debug_assert!(items >= renamed, "each change is told");
    report("later delta round", items, began.elapsed());
    server.shutdown().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are the product")]
fn report(what: &str, objects: usize, took: Duration) {
    let seconds = took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let rate = objects as f64 / seconds;
    println!("{what:34} {objects:>9} objects {seconds:>8.3} s {rate:>10.0} objects/s");
}

impl Probe {
    async fn sign_in(url: String) -> Fallible<Self> {
        let http = Client::new();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", WRITER_CLIENT_ID),
            ("client_secret", WRITER_SECRET),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let answer: Value = http
            .post(format!("{url}/{TENANT}/oauth2/v2.0/token"))
            .form(&form)
            .send()
            .await?
            .json()
            .await?;
        let token = answer["access_token"].as_str().unwrap_or_default();
        Ok(Self {
            http,
            url: format!("{url}/v1.0"),
            token: token.to_owned(),
        })
    }

    async fn get(&self, path: &str) -> Fallible<bytes::Bytes> {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.url)
        };
        let answer = self.http.get(url).bearer_auth(&self.token).send().await?;
        Ok(answer.error_for_status()?.bytes().await?)
    }

    /// Follows links to the end; counts objects and links and answers the last address.
    async fn pages(&self, path: &str, link: Option<String>) -> Fallible<(usize, String)> {
        let mut next = link.unwrap_or_else(|| path.to_owned());
        let mut objects = 0;
        loop {
            let page = self.get(&next).await?;
            // Counting bytes instead of parsing leaves the core to the server.
            objects += page.windows(6).filter(|part| part == b"\"id\":\"").count();
            let link = |name: &str| link_of(&page, name);
            match (link("nextLink"), link("deltaLink")) {
                (Some(link), _) => next = link,
                (None, delta) => return Ok((objects, delta.unwrap_or_default())),
            }
        }
    }

    async fn batch(&self, ids: &[&str]) -> Fallible<usize> {
        let requests: Vec<Value> = ids
            .iter()
            .map(|id| json!({ "id": id, "method": "GET", "url": format!("/users/{id}?$select={SELECT}") }))
            .collect();
        let answer = self
            .http
            .post(format!("{}/$batch", self.url))
            .bearer_auth(&self.token)
            .json(&json!({ "requests": requests }))
            .send()
            .await?;
        answer.error_for_status()?.bytes().await?;
        Ok(ids.len())
    }

    /// Changes a user; those that a local directory masters refuse.
    async fn rename(&self, id: &str) -> Fallible<bool> {
        let answer = self
            .http
            .patch(format!("{}/users/{id}", self.url))
            .bearer_auth(&self.token)
            .json(&json!({ "jobTitle": format!("Measured {id}") }))
            .send()
            .await?;
        Ok(answer.status().is_success())
    }
}

fn link_of(page: &[u8], name: &str) -> Option<String> {
    let head = String::from_utf8_lossy(&page[..page.len().min(4096)]);
    let (_, rest) = head.split_once(&format!("\"@odata.{name}\":\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

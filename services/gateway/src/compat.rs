//! The API of Microsoft Entra Backup and Recovery, as `microsoft.graph.entraRecoveryServices`
//! documents it, over Rewind's own services.
//!
//! Owns the paths `/{tenant}/v1.0/directory/recovery/…` and `/{tenant}/beta/…`, and what
//! is answered there. A preview job is a report, a recovery job a plan that is applied by
//! itself as soon as the tenant's approval policy allows. It calls nothing but the door,
//! in the caller's name, and remembers nothing.

mod answer;
mod calls;
mod changes;
mod criteria;
mod errors;
mod filter;
mod ids;
mod query;
mod resources;
mod target;

use answer::Trace;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::any;
use bytes::Bytes;
use calls::Calls;
use criteria::{Criteria, Members};
use errors::Refusal;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ids::Kind;
use model::TenantId;
use query::{Page, Query, Row, Takes};
use resources::{Job, Status};
use runtime::{Clock, Ids};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use target::{Place, Shape, Target};

use crate::auth::Caller;
use crate::error::GatewayError;
use crate::inside::Inside;
use crate::proxy::Proxy;

/// The versions, which answer alike.
const VERSIONS: [&str; 2] = ["v1.0", "beta"];
/// The largest body.
const MAX_BODY: usize = 1024 * 1024;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);
/// With which a client says that it knows of members of enumerations that came later.
const INCLUDE_MEMBERS: &str = "include-unknown-enum-members";

const LIST: &[&str] = &[
    "count",
    "filter",
    "format",
    "orderby",
    "select",
    "skip",
    "skiptoken",
    "top",
];
const COUNT: &[&str] = &["filter"];
const SINGLE: &[&str] = &["format", "select"];
const NONE: &[&str] = &[];

/// What the API works with.
#[derive(Debug)]
pub(crate) struct Site {
    /// The door that every call goes through.
    pub(crate) door: Arc<Proxy>,
    /// The wall time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Fresh request ids.
    pub(crate) ids: Arc<dyn Ids>,
    /// Whether this server speaks TLS itself.
    pub(crate) tls: bool,
}

/// The API's routes.
pub(crate) fn routes(site: Site) -> Router {
    let routes = VERSIONS.into_iter().fold(Router::new(), |routes, version| {
        routes.route(&format!("/{{tenant}}/{version}/{{*path}}"), any(serve))
    });
    routes.with_state(Arc::new(site))
}

async fn serve(
    State(site): State<Arc<Site>>,
    Path((tenant, path)): Path<(String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let trace = Trace::new(site.ids.uuid().to_string(), &parts.headers);
    let members = members(&parts);
    let answer = site.answer(&tenant, &path, &parts, body, &trace, members);
    let mut response = match answer.await {
        Ok(response) => response,
        Err(refusal) => refusal.answer(&trace, site.clock.now()),
    };
    if members == Members::All {
        response.headers_mut().insert(
            HeaderName::from_static("preference-applied"),
            HeaderValue::from_static(INCLUDE_MEMBERS),
        );
    }
    response
}

fn members(parts: &Parts) -> Members {
    let mut preferences = parts.headers.get_all("prefer").iter();
    let asked = preferences.any(|value| {
        let value = value.to_str().unwrap_or_default();
        value
            .split([',', ';'])
            .any(|one| one.trim() == INCLUDE_MEMBERS)
    });
    if asked { Members::All } else { Members::First }
}

impl Site {
    /// Who calls.
    async fn authenticate(&self, parts: &Parts) -> Result<Arc<Caller>, GatewayError> {
        self.door.authenticate(&parts.headers).await
    }

    async fn answer(
        &self,
        tenant: &str,
        path: &str,
        parts: &Parts,
        body: Body,
        trace: &Trace,
        members: Members,
    ) -> Result<Response<Body>, Refusal> {
        let caller = self.authenticate(parts).await?;
        let target = Target::read(path, &parts.method)?;
        let tenant = TenantId::parse(tenant)
            .map_err(|_| Refusal::bad("a tenant's GUID is expected before the version"))?;
        let origin = answer::origin(parts, self.tls);
        let address = parts.uri.path();
        // Where the API begins: the tenant and the version stay as the client wrote them.
        let below = address.find("/directory/recovery").unwrap_or(address.len());
        let request = Asked {
            calls: Calls {
                inside: Inside::new(Arc::clone(&self.door), caller),
                tenant,
                request_id: trace.request_id.clone(),
            },
            base: format!("{origin}{}", &address[..below]),
            address: format!("{origin}{address}"),
            query: parts.uri.query(),
            trace,
            members,
        };
        match target {
            Target::Root => request.root().await,
            Target::Snapshots(shape) => request.snapshots(shape).await,
            Target::Snapshot(id) => request.snapshot(&id).await,
            Target::Jobs(place, shape) => request.jobs(&place, shape).await,
            Target::Job(place, id) => request.job(&place, &id).await,
            Target::Changes(place, id, kind) => request.changes(&place, &id, kind).await,
            Target::Make(snapshot, kind) => {
                request.make(&snapshot, kind, &arrive(body).await?).await
            }
            Target::Cancel(place, id) => {
                arrive(body).await?;
                request.cancel(&place, &id).await
            }
        }
    }
}

/// The whole body of a request.
async fn arrive(body: Body) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(ARRIVAL, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large()),
        Ok(Err(_)) => Err(Refusal::bad("the body broke off")),
        Err(_) => Err(Refusal::too_slow()),
    }
}

/// A request on its way to an answer.
struct Asked<'a> {
    calls: Calls,
    /// The address up to the version.
    base: String,
    /// The address without the options.
    address: String,
    query: Option<&'a str>,
    trace: &'a Trace,
    members: Members,
}

impl Asked<'_> {
    fn read(
        &self,
        options: &'static [&'static str],
        properties: &'static [&'static str],
    ) -> Result<Query, Refusal> {
        Query::read(
            self.query,
            Takes {
                options,
                properties,
            },
        )
    }

    fn context(&self, of: &str) -> String {
        format!("{}/$metadata#{of}", self.base)
    }

    /// One resource.
    fn one(&self, mut row: Row, of: &str) -> Response<Body> {
        let context = self.context(&format!("{of}/$entity"));
        row.insert("@odata.context".to_owned(), json!(context));
        answer::json(StatusCode::OK, &Value::Object(row), self.trace)
    }

    /// A page of a collection.
    fn page(&self, query: &Query, page: Page, of: &str) -> Response<Body> {
        let rows = page.rows.into_iter().map(|row| query.selected(row));
        let mut body = json!({
            "@odata.context": self.context(of),
            "value": rows.collect::<Vec<Row>>(),
        });
        if query.count {
            body["@odata.count"] = json!(page.total);
        }
        if let Some(next) = page.next {
            body["@odata.nextLink"] = json!(query.next_link(&self.address, &next));
        }
        answer::json(StatusCode::OK, &body, self.trace)
    }

    async fn root(&self) -> Result<Response<Body>, Refusal> {
        let query = self.read(SINGLE, &["id"])?;
        self.calls.look().await?;
        let row = resources::row(json!({ "id": self.calls.tenant.to_string() }));
        Ok(self.one(query.selected(row), "directory/recovery"))
    }

    async fn snapshots(&self, shape: Shape) -> Result<Response<Body>, Refusal> {
        let query = self.read(options(shape), &resources::SNAPSHOT)?;
        let all = self.calls.all_snapshots().await?;
        let rows = all.iter().filter_map(resources::snapshot).collect();
        self.collection(shape, &query, rows, "directory/recovery/snapshots")
    }

    async fn snapshot(&self, id: &str) -> Result<Response<Body>, Refusal> {
        let query = self.read(SINGLE, &resources::SNAPSHOT)?;
        let (snapshot, _) = self.calls.snapshot(id).await?;
        let row = resources::snapshot(&snapshot).unwrap_or_default();
        Ok(self.one(query.selected(row), "directory/recovery/snapshots"))
    }

    async fn jobs(&self, place: &Place, shape: Shape) -> Result<Response<Body>, Refusal> {
        let query = self.read(options(shape), &resources::JOB)?;
        if let Place::Of(snapshot, _) = place {
            self.calls.snapshot(snapshot).await?;
        }
        let mut jobs = self.calls.jobs().await?;
        jobs.retain(|job| is_there(place, job));
        // Chosen by what is so; told by what the client knows of.
        let rows: Vec<Row> = jobs.into_iter().map(|job| job.row).collect();
        let of = match place {
            Place::Anywhere => "directory/recovery/jobs".to_owned(),
            Place::Of(snapshot, kind) => {
                format!(
                    "directory/recovery/snapshots/{snapshot}/{}",
                    kind.collection()
                )
            }
        };
        self.collection(shape, &query, rows, &of)
    }

    fn collection(
        &self,
        shape: Shape,
        query: &Query,
        rows: Vec<Row>,
        of: &str,
    ) -> Result<Response<Body>, Refusal> {
        let mut page = query.page(rows)?;
        if shape == Shape::Count {
            return Ok(answer::number(page.total, self.trace));
        }
        for row in &mut page.rows {
            if let Some(status) = row.get("status").and_then(Value::as_str) {
                let told = resources::gated(status, self.members);
                row.insert("status".to_owned(), told);
            }
        }
        Ok(self.page(query, page, of))
    }

    async fn find(&self, place: &Place, id: &str) -> Result<Job, Refusal> {
        let job = self.calls.job(id).await?;
        if is_there(place, &job) {
            return Ok(job);
        }
        Err(Refusal::not_found(format!("there is no job {id:?} there")))
    }

    async fn job(&self, place: &Place, id: &str) -> Result<Response<Body>, Refusal> {
        let query = self.read(SINGLE, &resources::JOB)?;
        let job = self.find(place, id).await?;
        let row = query.selected(job.told(self.members));
        Ok(self.one(row, "directory/recovery/jobs"))
    }

    async fn make(
        &self,
        snapshot: &str,
        kind: Kind,
        body: &[u8],
    ) -> Result<Response<Body>, Refusal> {
        self.read(NONE, &[])?;
        let criteria = Criteria::read(body)?;
        let request = self.trace.client_request_id();
        let job = self.calls.make(kind, snapshot, criteria, request).await?;
        let of = format!(
            "directory/recovery/snapshots/{snapshot}/{}",
            kind.collection()
        );
        let location = format!("{}/{of}/{}", self.base, job.id);
        let mut row = job.told(self.members);
        let context = self.context(&format!("{of}/$entity"));
        row.insert("@odata.context".to_owned(), json!(context));
        Ok(answer::accepted(
            &location,
            Some(&Value::Object(row)),
            self.trace,
        ))
    }

    async fn cancel(&self, place: &Place, id: &str) -> Result<Response<Body>, Refusal> {
        self.read(NONE, &[])?;
        let job = self.find(place, id).await?;
        if job.status.is_final() {
            let status = job.status.name();
            let problem = format!("job {id} is {status} and cannot be cancelled any more");
            return Err(Refusal::bad(problem));
        }
        self.calls.cancel(&job).await?;
        let location = format!("{}/directory/recovery/jobs/{}", self.base, job.id);
        Ok(answer::accepted(&location, None, self.trace))
    }

    /// The changes of a preview, or those of a recovery that failed.
    async fn changes(
        &self,
        place: &Place,
        id: &str,
        kind: Kind,
    ) -> Result<Response<Body>, Refusal> {
        let query = self.read(
            &[
                "count",
                "filter",
                "format",
                "select",
                "skip",
                "skiptoken",
                "top",
            ],
            &changes::CHANGE,
        )?;
        let job = self.find(place, id).await?;
        if job.kind != kind {
            let problem = format!("job {id} is a {}, which has none", job.kind.type_name());
            return Err(Refusal::bad(problem));
        }
        let ready = match kind {
            Kind::Preview => job.status == Status::Successful,
            Kind::Recovery => job.status.is_final(),
        };
        if !ready {
            let status = job.status.name();
            return Err(Refusal::bad(format!(
                "job {id} is {status}; ask again when it has ended"
            )));
        }
        let page = self.page_of_changes(&job, &query).await?;
        let of = format!(
            "Collection({}.recoveryChangeObjectBase)",
            criteria::NAMESPACE
        );
        Ok(self.page(&query, page, &of))
    }

    /// Goes through the changes until a page is full.
    async fn page_of_changes(&self, job: &Job, query: &Query) -> Result<Page, Refusal> {
        // Where the next one stands in Rewind's list, and how many of the wanted are to
        // be passed.
        let (mut token, mut pass) = match query.after.as_deref().map(|after| after.split_once(' '))
        {
            None => (String::new(), query.skip),
            Some(Some(("t", token))) => (token.to_owned(), 0),
            Some(Some(("o", passed))) => {
                let passed: u32 = passed.parse().map_err(|_| query::foreign_token())?;
                (String::new(), passed as usize)
            }
            Some(_) => return Err(query::foreign_token()),
        };
        let counted = query.count && query.filter.is_some();
        let straight = query.filter.is_none() && pass == 0;
        let size = if straight { query.top } else { 1000 };
        let (mut rows, mut wanted, mut more) = (Vec::new(), 0, false);
        let passed = pass;
        loop {
            let (found, next) = self.some_changes(job, size, &token).await?;
            for row in found.into_iter().filter(|row| query.wants(row)) {
                wanted += 1;
                if pass > 0 {
                    pass -= 1;
                } else if rows.len() < query.top {
                    rows.push(row);
                } else {
                    more = true;
                }
            }
            token = next;
            let full = rows.len() >= query.top && (more || straight) && !counted;
            if token.is_empty() || full {
                break;
            }
        }
        let next = if straight {
            (!token.is_empty()).then(|| format!("t {token}"))
        } else {
            more.then(|| format!("o {}", passed + rows.len()))
        };
        Ok(Page {
            total: if query.filter.is_some() {
                wanted
            } else {
                job.entries
            },
            rows,
            next,
        })
    }

    async fn some_changes(
        &self,
        job: &Job,
        size: usize,
        token: &str,
    ) -> Result<(Vec<Row>, String), Refusal> {
        let members = self.members;
        if job.kind == Kind::Preview {
            let (found, next) = self.calls.changes(job, size, token).await?;
            let rows = found
                .iter()
                .map(|change| changes::reported(change, members));
            return Ok((rows.collect(), next));
        }
        if let (Status::Failed, Some(failure)) = (job.status, &job.failure) {
            if job.entries == 0 {
                return Ok((Vec::new(), String::new()));
            }
            // Nothing was done, all for the one reason.
            let why = format!("{}: {}", failure.reason, failure.message);
            let size = calls::page_size(size);
            let (steps, next) = self.calls.steps(job, size, token.to_owned()).await?;
            let rows = steps
                .iter()
                .map(|step| changes::failed(step, &why, members));
            return Ok((rows.collect(), next.unwrap_or_default()));
        }
        if job.entries == 0 {
            return Ok((Vec::new(), String::new()));
        }
        let (found, next) = self.calls.failures(job, size, token).await?;
        let rows = found
            .iter()
            .map(|(step, outcome)| changes::failed(step, &changes::why(outcome), members));
        Ok((rows.collect(), next))
    }
}

fn options(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::List => LIST,
        Shape::Count => COUNT,
    }
}

/// Whether a job is where it is looked for.
fn is_there(place: &Place, job: &Job) -> bool {
    match place {
        Place::Anywhere => true,
        Place::Of(snapshot, kind) => *kind == job.kind && ids::snapshot(&job.target) == *snapshot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_not_waited_for() {
        let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let refusal = arrive(Body::from_stream(never))
            .await
            .expect_err("too slow");
        assert_eq!(refusal.status, StatusCode::REQUEST_TIMEOUT);
        let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
        let refusal = arrive(Body::from_stream(broken)).await.expect_err("broken");
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
    }
}

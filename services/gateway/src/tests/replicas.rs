//! Which of several differs a tenant's calls reach.

use super::support::{OPERATOR, Sandbox, listener, sandbox_before_differ, with};
use futures::{FutureExt, Stream, StreamExt};
use proto::v1::diff_service_client::DiffServiceClient;
use proto::v1::diff_service_server::{DiffService, DiffServiceServer};
use proto::v1::*;
use runtime::serve::ServeError;
use runtime::{Replicas, Server};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

const TENANTS: u32 = 40;

/// A differ whose reports say who made them.
#[derive(Clone)]
struct StandIn(u16);

impl StandIn {
    fn report(&self) -> Option<Report> {
        Some(Report {
            name: self.0.to_string(),
            ..Report::default()
        })
    }
}

#[tonic::async_trait]
impl DiffService for StandIn {
    async fn create_report(
        &self,
        _: Request<CreateReportRequest>,
    ) -> Result<Response<CreateReportResponse>, Status> {
        Ok(Response::new(CreateReportResponse {
            report: self.report(),
        }))
    }

    type WatchReportStream =
        Pin<Box<dyn Stream<Item = Result<WatchReportResponse, Status>> + Send>>;

    async fn watch_report(
        &self,
        _: Request<WatchReportRequest>,
    ) -> Result<Response<Self::WatchReportStream>, Status> {
        let message = WatchReportResponse {
            report: self.report(),
            ..WatchReportResponse::default()
        };
        let stream = futures::stream::once(async { Ok(message) });
        Ok(Response::new(stream.boxed()))
    }

    async fn cancel_report(
        &self,
        _: Request<CancelReportRequest>,
    ) -> Result<Response<CancelReportResponse>, Status> {
        Ok(Response::new(CancelReportResponse {
            report: self.report(),
        }))
    }

    async fn get_report(
        &self,
        _: Request<GetReportRequest>,
    ) -> Result<Response<GetReportResponse>, Status> {
        Ok(Response::new(GetReportResponse {
            report: self.report(),
        }))
    }

    async fn list_reports(
        &self,
        _: Request<ListReportsRequest>,
    ) -> Result<Response<ListReportsResponse>, Status> {
        Ok(Response::new(ListReportsResponse {
            reports: self.report().into_iter().collect(),
            ..ListReportsResponse::default()
        }))
    }

    async fn list_deleted_objects(
        &self,
        _: Request<ListDeletedObjectsRequest>,
    ) -> Result<Response<ListDeletedObjectsResponse>, Status> {
        Ok(Response::new(ListDeletedObjectsResponse::default()))
    }

    async fn list_changes(
        &self,
        _: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        Ok(Response::new(ListChangesResponse::default()))
    }
}

/// A stand-in, which is known by its port.
struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    async fn start() -> Self {
        let (listener, address) = listener().await;
        let routes = Routes::new(DiffServiceServer::new(StandIn(address.port())));
        let stop = CancellationToken::new();
        let server = Server::new(routes, &[]).grace(Duration::ZERO);
        Self {
            address,
            stop: stop.clone(),
            server: tokio::spawn(server.run(listener, stop)),
        }
    }

    /// Ends it; nobody listens there afterwards.
    async fn end(self) {
        self.stop.cancel();
        self.server.await.expect("no panic").expect("no error");
    }
}

/// A gateway whose differ has these addresses.
async fn gateway(addresses: &[SocketAddr]) -> Sandbox {
    let addresses = addresses.to_vec();
    let resolve: runtime::replicas::Resolve = Arc::new(move || {
        let addresses = addresses.clone();
        async move { Ok(addresses) }.boxed()
    });
    let replicas = Replicas::resolved("http://differ:7002", None, resolve);
    sandbox_before_differ(replicas.expect("valid")).await
}

fn tenant(n: u32) -> String {
    format!("tenants/{n:08x}-0000-4000-8000-000000000000")
}

/// Who answers each tenant's calls.
async fn served(gateway: &Sandbox) -> Vec<String> {
    let mut client = DiffServiceClient::new(gateway.channel.clone());
    let mut served = Vec::new();
    for n in 0..TENANTS {
        let name = format!("{}/reports/r1", tenant(n));
        let request = with(OPERATOR, GetReportRequest { name });
        let report = client.get_report(request).await.expect("answered");
        served.push(report.into_inner().report.unwrap_or_default().name);
    }
    served
}

#[tokio::test]
async fn all_calls_about_a_tenant_reach_the_same_replica() {
    let differs = [Running::start().await, Running::start().await];
    let gateway = gateway(&differs.each_ref().map(|differ| differ.address)).await;
    let mut client = DiffServiceClient::new(gateway.channel.clone());
    for (n, expected) in (0..).zip(served(&gateway).await) {
        let (parent, name) = (tenant(n), format!("{}/reports/r1", tenant(n)));
        let create = CreateReportRequest {
            parent: parent.clone(),
            ..CreateReportRequest::default()
        };
        let created = client.create_report(with(OPERATOR, create)).await;
        let watch = WatchReportRequest { name: name.clone() };
        let watch = client.watch_report(with(OPERATOR, watch)).await;
        let message = watch.expect("answered").into_inner().message().await;
        let cancel = CancelReportRequest {
            name,
            ..CancelReportRequest::default()
        };
        let cancelled = client.cancel_report(with(OPERATOR, cancel)).await;
        let list = ListReportsRequest {
            parent,
            ..ListReportsRequest::default()
        };
        let listed = client.list_reports(with(OPERATOR, list)).await;
        let all = [
            created.expect("answered").into_inner().report,
            message.expect("answered").expect("one").report,
            cancelled.expect("answered").into_inner().report,
            listed.expect("answered").into_inner().reports.pop(),
        ];
        for report in all {
            assert_eq!(report.unwrap_or_default().name, expected, "{n}");
        }
    }
}

#[tokio::test]
async fn a_replica_that_is_gone_moves_only_its_own_tenants() {
    let differs = [
        Running::start().await,
        Running::start().await,
        Running::start().await,
    ];
    let addresses = differs.each_ref().map(|differ| differ.address);
    let before = served(&gateway(&addresses).await).await;
    let all: BTreeSet<_> = before.iter().collect();
    assert_eq!(all.len(), 3, "each has some");
    assert_eq!(
        served(&gateway(&addresses).await).await,
        before,
        "another gateway finds the same"
    );

    let [gone, ..] = differs;
    let lost = gone.address.port().to_string();
    gone.end().await;
    // One to which the name still leads, and one that it leads to no more.
    for listed in [&addresses[..], &addresses[1..]] {
        let after = served(&gateway(listed).await).await;
        for (before, after) in before.iter().zip(after) {
            match *before == lost {
                true => assert_ne!(after, lost),
                false => assert_eq!(after, *before),
            }
        }
    }
}

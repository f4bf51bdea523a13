//! The endpoint from which a service's metrics are read.
//!
//! Owns the form and the address of what is told; what is measured, and under
//! which names, is in one file of each service. It answers whoever can reach it,
//! so no metric may tell more of a tenant than how much of it there is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The form: text of OpenMetrics 1.0.
const FORM: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics, and where they can be read, if anywhere.
#[derive(Debug)]
pub struct Endpoint {
    registry: Registry,
    listener: Option<TcpListener>,
}

impl Endpoint {
    /// Takes metrics that are read nowhere yet.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            listener: None,
        }
    }

    /// Opens an address for `GET /metrics`, by plain HTTP/1.1.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        self.listener = Some(listener);
        Ok(address)
    }

    /// Answers beside the service until the token is cancelled; where the listener
    /// fails, the service goes on without.
    pub fn spawn(self, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(async move {
            if let Err(error) = self.run(stop).await {
                tracing::error!(%error, "metrics can no longer be read");
            }
        })
    }

    async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let Some(listener) = self.listener else {
            stop.cancelled().await;
            return Ok(());
        };
        let registry = Arc::new(self.registry);
        let answer = move || {
            let registry = Arc::clone(&registry);
            async move { told(&registry) }
        };
        let routes = Router::new().route("/metrics", get(answer));
        axum::serve(listener, routes)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
    }
}

fn told(registry: &Registry) -> impl IntoResponse + use<> {
    let mut text = String::new();
    encode(&mut text, registry).expect("invariant: a string takes any text");
    ([(CONTENT_TYPE, FORM)], text)
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::gauge::Gauge;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn metrics_are_read_while_the_service_runs() {
        let mut registry = Registry::default();
        let rows = Gauge::<i64>::default();
        registry.register("rewind_rows", "Rows", rows.clone());
        let mut endpoint = Endpoint::new(registry);
        let address = endpoint.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let stop = CancellationToken::new();
        let running = endpoint.spawn(stop.clone());
        rows.set(7);
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains(&format!("content-type: {FORM}\r\n")),
            "{answer}"
        );
        assert!(
            answer.ends_with(
                "# HELP rewind_rows Rows.\n# TYPE rewind_rows gauge\nrewind_rows 7\n# EOF\n"
            ),
            "{answer}"
        );
        stop.cancel();
        running.await.unwrap();
    }
}

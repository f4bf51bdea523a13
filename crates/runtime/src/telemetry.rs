//! Logs.
//!
//! Owns the one initialisation of logging. Standard output belongs to results,
//! so logs go to standard error. It never decides what is worth logging.

use crate::config::{Environment, Source};
use std::sync::Arc;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What is logged where nothing else is asked for.
const DEFAULT_FILTER: &str = "warn,runtime=info,graph=info,store=info,snapshotter=info,differ=info,restorer=info,gateway=info,rewind=info";

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object a line, for collectors.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Flushes what is left when it is dropped; held until the end of `main`.
#[must_use = "telemetry ends when the guard is dropped"]
#[derive(Debug)]
pub struct Guard {
    service: &'static str,
}

impl Drop for Guard {
    fn drop(&mut self) {
        tracing::debug!(service = self.service, "telemetry ends");
    }
}

/// Starts logging. `REWIND_LOG`, else `RUST_LOG`, says what is logged. A second
/// call in one process changes nothing.
pub fn init(service: &'static str, format: Format) -> Guard {
    let (subscriber, problem) = subscriber(format, &Environment, std::io::stderr);
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        if let Some(problem) = problem {
            tracing::warn!(problem, "the log filter is not valid, the default is used");
        }
        tracing::info!(
            service,
            version = env!("CARGO_PKG_VERSION"),
            "telemetry started"
        );
    }
    Guard { service }
}

type Subscriber = Arc<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(format: Format, source: &dyn Source, writer: W) -> (Subscriber, Option<String>)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, problem) = filter(source);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    let subscriber: Subscriber = match format {
        Format::Json => Arc::new(
            builder
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .finish(),
        ),
        Format::Text => Arc::new(builder.with_ansi(false).finish()),
    };
    (subscriber, problem)
}

fn filter(source: &dyn Source) -> (EnvFilter, Option<String>) {
    let asked = ["REWIND_LOG", "RUST_LOG"]
        .iter()
        .find_map(|key| source.get(key).filter(|value| !value.is_empty()));
    match asked.map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(DEFAULT_FILTER), Some(error.to_string())),
        None => (EnvFilter::new(DEFAULT_FILTER), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixed;
    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, source: &dyn Source) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let (subscriber, _) = subscriber(format, source, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!(target: "gateway", "rpc", request_id = "r1").entered();
            tracing::info!(target: "gateway", tenant = "t", "kept");
            tracing::info!(target: "hyper", "dropped");
        });
        String::from_utf8(sink.0.lock().clone()).expect("text")
    }

    #[test]
    fn a_line_is_one_object_with_its_spans() {
        let text = logged(Format::Json, &fixed([]));
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in [
            r#""message":"kept""#,
            r#""tenant":"t""#,
            r#""request_id":"r1""#,
            r#""level":"INFO""#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn the_filter_is_chosen_and_a_bad_one_is_not_fatal() {
        assert_eq!(
            logged(Format::Text, &fixed([("RUST_LOG", "info")]))
                .lines()
                .count(),
            2
        );
        assert_eq!(
            logged(
                Format::Text,
                &fixed([("RUST_LOG", "info"), ("REWIND_LOG", "off")])
            ),
            ""
        );
        let (_, problem) = filter(&fixed([("REWIND_LOG", "a=b=c")]));
        assert!(problem.is_some());
    }

    #[test]
    fn a_second_start_is_harmless() {
        let first = init("one", Format::Json);
        let second = init("two", Format::Text);
        drop((first, second));
    }
}

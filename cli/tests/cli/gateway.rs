//! Running the fake gateway, and `rewind` against it.

use std::process::{Command, Stdio};
use std::sync::Arc;

use proto::v1::audit_service_server::AuditServiceServer;
use proto::v1::diff_service_server::DiffServiceServer;
use proto::v1::grant_service_server::GrantServiceServer;
use proto::v1::key_service_server::KeyServiceServer;
use proto::v1::lifecycle_service_server::LifecycleServiceServer;
use proto::v1::protection_service_server::ProtectionServiceServer;
use proto::v1::restore_service_server::RestoreServiceServer;
use proto::v1::signal_service_server::SignalServiceServer;
use proto::v1::snapshot_service_server::SnapshotServiceServer;
use proto::v1::store_service_server::StoreServiceServer;
use proto::v1::tenant_service_server::TenantServiceServer;
use serde_json::Value;

use crate::canned::TOKEN;
use crate::fake::Fake;

/// A fake gateway on a port of its own, with a token file.
pub(crate) struct Gateway {
    pub(crate) fake: Arc<Fake>,
    url: String,
    directory: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

/// What a run of `rewind` left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().expect("rewind ends by itself"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

impl Gateway {
    pub(crate) fn start(fake: Fake) -> Self {
        let fake = Arc::new(fake);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tonic::transport::Server::builder()
            .add_service(TenantServiceServer::from_arc(fake.clone()))
            .add_service(SnapshotServiceServer::from_arc(fake.clone()))
            .add_service(GrantServiceServer::from_arc(fake.clone()))
            .add_service(StoreServiceServer::from_arc(fake.clone()))
            .add_service(DiffServiceServer::from_arc(fake.clone()))
            .add_service(RestoreServiceServer::from_arc(fake.clone()))
            .add_service(KeyServiceServer::from_arc(fake.clone()))
            .add_service(LifecycleServiceServer::from_arc(fake.clone()))
            .add_service(ProtectionServiceServer::from_arc(fake.clone()))
            .add_service(SignalServiceServer::from_arc(fake.clone()))
            .add_service(AuditServiceServer::from_arc(fake.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        runtime.spawn(server);
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("token"), format!("{TOKEN}\n")).expect("a token file");
        Self {
            fake,
            url,
            directory,
            _runtime: runtime,
        }
    }

    /// Runs `rewind` with the gateway and token of this fake.
    pub(crate) fn rewind(&self, arguments: &[&str]) -> Run {
        run(self.command().args(arguments))
    }

    /// The same, with standard output into a pipe.
    pub(crate) fn rewind_into(&self, pipe: std::io::PipeWriter, arguments: &[&str]) -> Run {
        let child = self
            .command()
            .args(arguments)
            .stdout(pipe)
            .stderr(Stdio::piped())
            .spawn()
            .expect("rewind runs");
        Run::of(child.wait_with_output().expect("rewind ends"))
    }

    fn command(&self) -> Command {
        let mut command = rewind();
        command
            .env("REWIND_GATEWAY", &self.url)
            .env("REWIND_TOKEN_FILE", self.directory.path().join("token"));
        command
    }
}

/// `rewind` without any of its environment.
pub(crate) fn rewind() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rewind"));
    for name in ["REWIND_GATEWAY", "REWIND_TOKEN_FILE", "REWIND_TENANT"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

pub(crate) fn run(command: &mut Command) -> Run {
    Run::of(command.output().expect("rewind runs"))
}

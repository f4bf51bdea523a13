//! All four services in one process, over real gRPC on loopback.
//!
//! Owns the folder that an installation without a cloud lives in, and the
//! settings that each service gets. The services are configured exactly as
//! when they run alone; nothing is shared between them but the store.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use runtime::config::{Environment, Settings, Source};
use runtime::exit;
use runtime::ids::{Ids, SystemIds};
use runtime::program::Ended;
use store::Kek;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The file, below the data folder, that holds the token of the operator.
const TOKEN_FILE: &str = "operator.token";
/// The file, beside it, that holds the token of a second person.
const APPROVER_FILE: &str = "approver.token";
/// The file that says who the second person is and what others there are; whoever runs
/// the installation may add to it.
const TOKENS_FILE: &str = "tokens.toml";
/// What it says at first.
const TOKENS: &str = r#"# Who may call beside the operator; read when the installation starts.
# Two entries of one name are one person, who cannot approve plans of their own.

[[token]]
name = "approver"
roles = ["reader", "approver"]
token = "file:approver.token"
"#;
/// What the embedded services still take from the environment.
const FROM_ENVIRONMENT: [&str; 24] = [
    "REWIND_CREDENTIAL_",
    "REWIND_READER_",
    "REWIND_WRITER_",
    "REWIND_CONSENT_REDIRECT_URL",
    "REWIND_FEDERATED_TOKEN_FILE",
    "REWIND_KEYS_URL",
    "REWIND_OLD_KEY_FILE",
    "REWIND_COPY_",
    "AZURE_FEDERATED_TOKEN_FILE",
    "REWIND_SCHEDULE",
    "REWIND_GUARDED_CHANGES_WAIT",
    "REWIND_RECONCILE_EVERY",
    "REWIND_GRAPH_LIMITS",
    "REWIND_CACHE_BYTES",
    "REWIND_DELIVERY_SWEEP",
    "REWIND_SIGNAL_POLL",
    "OTEL_EXPORTER_OTLP_",
    "REWIND_GRACE",
    "REWIND_OIDC_",
    "REWIND_ROLES_FILE",
    "REWIND_CALLER_",
    "REWIND_TENANT_",
    "REWIND_CALLS",
    "REWIND_DEADLINE",
];

/// A running installation.
pub(crate) struct Installation {
    /// Where the gateway serves.
    pub(crate) url: String,
    /// The file that holds the operator's token.
    pub(crate) token_file: PathBuf,
    /// The file that holds the token of a second person, who approves plans.
    pub(crate) approver_file: PathBuf,
    services: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

/// The settings of one embedded service: what is fixed here, then the few keys
/// that the environment may set.
#[derive(Clone)]
struct Embedded(BTreeMap<String, String>);

impl Source for Embedded {
    fn get(&self, key: &str) -> Option<String> {
        let open = FROM_ENVIRONMENT
            .iter()
            .any(|prefix| key.starts_with(prefix));
        self.0
            .get(key)
            .cloned()
            .or_else(|| open.then(|| Environment.get(key)).flatten())
    }
}

impl Embedded {
    fn with(&self, pairs: &[(&str, String)]) -> Self {
        let mut settings = self.clone();
        settings.0.extend(
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone())),
        );
        settings
    }
}

impl Installation {
    /// Starts everything in a folder, which is made where it is missing.
    /// `extra` are further settings for all services.
    ///
    /// # Errors
    /// Where the folder, a port or the store cannot be had.
    pub(crate) async fn start(
        data: &Path,
        listen: SocketAddr,
        extra: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        runtime::tls::install_provider();
        let data = prepare(data)?;
        let token_file = token(&data, TOKEN_FILE)?;
        let approver_file = token(&data, APPROVER_FILE)?;
        let tokens_file = data.join(TOKENS_FILE);
        create_private(&tokens_file, TOKENS)?;
        let key_file = data.join("key");
        key(&key_file, &data.join("store"))
            .with_context(|| format!("the key file {} cannot be had", key_file.display()))?;
        let common = Embedded(BTreeMap::new()).with(extra).with(&[
            ("REWIND_STORE_URL", file_url(&data.join("store"))?),
            ("REWIND_KEY_FILE", text(&key_file)),
            ("REWIND_LISTEN", "127.0.0.1:0".to_owned()),
            ("REWIND_CUSTOM_CLOUDS", "allow".to_owned()),
        ]);
        let reader = common.with(&[(
            "REWIND_CREDENTIALS_DIR",
            text(&data.join("credentials/reader")),
        )]);
        let writer = common.with(&[(
            "REWIND_CREDENTIALS_DIR",
            text(&data.join("credentials/writer")),
        )]);

        let stop = CancellationToken::new();
        let mut services = JoinSet::new();

        let config = differ::Config::read(&Settings::load(&reader)?)?;
        let app = differ::App::open(&config, Arc::new(reader.clone()))
            .await
            .context("the differ cannot start")?;
        let differ_url = http_url(app.address());
        services.spawn(serve("differ", app.run(stop.clone())));

        let reader = reader.with(&[("REWIND_DIFFER_URL", differ_url.clone())]);
        let config = snapshotter::Config::read(&Settings::load(&reader)?)?;
        let app = snapshotter::App::open(&config, Arc::new(reader.clone()))
            .await
            .context("the snapshotter cannot start")?;
        let snapshotter_url = http_url(app.address());
        services.spawn(serve("snapshotter", app.run(stop.clone())));

        let writer = writer.with(&[("REWIND_DIFFER_URL", differ_url.clone())]);
        let config = restorer::Config::read(&Settings::load(&writer)?)?;
        let app = restorer::App::open(&config, Arc::new(writer.clone()))
            .await
            .context("the restorer cannot start")?;
        let restorer_url = http_url(app.address());
        services.spawn(serve("restorer", app.run(stop.clone())));

        let door = common.with(&[
            ("REWIND_LISTEN", listen.to_string()),
            ("REWIND_SNAPSHOTTER_URL", snapshotter_url),
            ("REWIND_DIFFER_URL", differ_url),
            ("REWIND_RESTORER_URL", restorer_url),
            ("REWIND_DEVELOPMENT_TOKEN_FILE", text(&token_file)),
            ("REWIND_TOKENS_FILE", text(&tokens_file)),
        ]);
        let config = gateway::Config::read(&Settings::load(&door)?)?;
        let app = gateway::App::open(&config, Arc::new(door.clone()))
            .await
            .context("the gateway cannot start")?;
        let url = http_url(app.address());
        services.spawn(serve("gateway", app.run(stop.clone())));
        Ok(Self {
            url,
            token_file,
            approver_file,
            services,
            stop,
        })
    }

    /// Waits until one of the services ends, which it does only by itself where
    /// something is wrong.
    ///
    /// # Errors
    /// What ended it.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        match self.services.join_next().await {
            Some(result) => result?,
            None => Ok(()),
        }
    }

    /// Stops everything and waits for it.
    ///
    /// # Errors
    /// The first failure of a service.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(result) = self.services.join_next().await {
            result??;
        }
        Ok(())
    }
}

async fn serve<E: std::error::Error + Send + Sync + 'static>(
    name: &'static str,
    app: impl Future<Output = Result<(), E>>,
) -> anyhow::Result<()> {
    app.await.with_context(|| format!("the {name} ended"))
}

fn http_url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A folder as the URL of a file store.
fn file_url(folder: &Path) -> anyhow::Result<String> {
    let url = url::Url::from_directory_path(folder)
        .map_err(|()| anyhow::anyhow!("{} is no absolute path", folder.display()))?;
    Ok(url.to_string())
}

/// Makes the folder and those inside it, readable to their owner alone.
fn prepare(data: &Path) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    for folder in ["", "store", "credentials/reader", "credentials/writer"] {
        let folder = data.join(folder);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    data.canonicalize()
        .with_context(|| format!("{} cannot be opened", data.display()))
}

/// Makes a file that only its owner may read, unless it is there. It appears
/// whole or not at all.
fn create_private(path: &Path, content: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let staged = path.with_extension(SystemIds.short());
    let mut options = std::fs::OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&staged)
        .and_then(|mut file| {
            file.write_all(content.as_bytes())
                .and_then(|()| file.sync_all())
        });
    let linked = written.and_then(|()| match std::fs::hard_link(&staged, path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = std::fs::remove_file(&staged);
    linked
        .and(removed)
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Loads the key file. One is made only for an installation that keeps nothing
/// yet: a new key in the place of a lost one would open nothing.
fn key(path: &Path, store: &Path) -> Result<Kek, Ended> {
    let empty = std::fs::read_dir(store)?.next().is_none();
    let key = if empty {
        Kek::load_or_create(path)
    } else {
        Kek::load(path)
    };
    key.map_err(|error| {
        let error = store::StoreError::from(error);
        let text = format!("{error} [{}]", error.reason());
        Ended::new(exit::UNAVAILABLE, text)
    })
}

fn token(data: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = data.join(name);
    let token = format!("{}{}", SystemIds.uuid().simple(), SystemIds.uuid().simple());
    create_private(&path, &token)?;
    Ok(path)
}

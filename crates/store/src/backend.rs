//! Object stores by URL: memory, disk, Amazon S3, Azure Blob Storage and Google
//! Cloud Storage.
//!
//! Owns which settings of a cloud are looked at, how long a request may take and
//! how often it is repeated. It must never put a setting's value into an error,
//! since most are secrets, nor send one over plain HTTP to another machine.

mod discreet;
mod prefixed;

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as S3, Checksum, S3ConditionalPut};
use object_store::azure::{AzureConfigKey as Azure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey as Google};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::{Host, Url};

use self::discreet::Discreet;
use crate::error::StoreError;

pub(crate) use self::prefixed::{own_place, prefixed};

/// Looks up a setting by the name of its environment variable.
pub type Setting<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// How long a request may take, its body included: a file of a gibibyte passes
/// at 100 Mbit/s.
const REQUEST: Duration = Duration::from_secs(120);
/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a request is repeated after a fault of the store.
const RETRIES: usize = 5;
/// How long after the first try no further one begins.
const RETRYING: Duration = Duration::from_secs(60);

/// What is looked at for `s3://`.
const S3_SETTINGS: [(&str, S3); 16] = [
    ("AWS_REGION", S3::Region),
    ("AWS_DEFAULT_REGION", S3::DefaultRegion),
    ("AWS_ENDPOINT", S3::Endpoint),
    ("AWS_ENDPOINT_URL", S3::Endpoint),
    ("AWS_ENDPOINT_URL_S3", S3::S3Endpoint),
    (
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
        S3::VirtualHostedStyleRequest,
    ),
    ("AWS_ACCESS_KEY_ID", S3::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", S3::SecretAccessKey),
    ("AWS_SESSION_TOKEN", S3::Token),
    ("AWS_ROLE_ARN", S3::RoleArn),
    ("AWS_ROLE_SESSION_NAME", S3::RoleSessionName),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", S3::WebIdentityTokenFile),
    ("AWS_ENDPOINT_URL_STS", S3::StsEndpoint),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        S3::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        S3::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        S3::ContainerAuthorizationTokenFile,
    ),
];

/// What is looked at for `az://`.
const AZURE_SETTINGS: [(&str, Azure); 10] = [
    ("AZURE_STORAGE_ACCOUNT_NAME", Azure::AccountName),
    ("AZURE_STORAGE_ENDPOINT", Azure::Endpoint),
    ("AZURE_STORAGE_ACCOUNT_KEY", Azure::AccessKey),
    ("AZURE_STORAGE_SAS_TOKEN", Azure::SasKey),
    ("AZURE_TENANT_ID", Azure::AuthorityId),
    ("AZURE_CLIENT_ID", Azure::ClientId),
    ("AZURE_CLIENT_SECRET", Azure::ClientSecret),
    ("AZURE_FEDERATED_TOKEN_FILE", Azure::FederatedTokenFile),
    ("AZURE_AUTHORITY_HOST", Azure::AuthorityHost),
    ("IDENTITY_ENDPOINT", Azure::MsiEndpoint),
];

/// What is looked at for `gs://`.
const GOOGLE_SETTINGS: [(&str, Google); 4] = [
    ("GOOGLE_BASE_URL", Google::BaseUrl),
    (
        "GOOGLE_APPLICATION_CREDENTIALS",
        Google::ApplicationCredentials,
    ),
    ("GOOGLE_SERVICE_ACCOUNT", Google::ServiceAccount),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", Google::ServiceAccountKey),
];

/// Opens the object store at a URL: `memory:///`, which is empty at every call,
/// `file:///path`, `s3://bucket/prefix`, `az://container/prefix` or
/// `gs://bucket/prefix`. Everything is kept below the prefix. Nothing is sent
/// yet. `setting` is asked for what the cloud's own tools take from the
/// environment; docs/storage.md lists the names.
///
/// # Errors
/// `Invalid` for a URL or settings that name no store; `Unavailable` where the
/// folder of a `file:` URL cannot be made. Neither repeats a value.
pub fn open_store(url: &str, setting: Setting<'_>) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let url = Url::parse(url)
        .map_err(|error| StoreError::Invalid(format!("the store's URL cannot be read: {error}")))?;
    let secretive = !url.username().is_empty() || url.password().is_some();
    if secretive || url.query().is_some() || url.fragment().is_some() {
        return Err(StoreError::Invalid(
            "the store's URL holds more than a place: credentials and options are settings"
                .to_owned(),
        ));
    }
    let setting = |name: &str| setting(name).filter(|value| !value.is_empty());
    match url.scheme() {
        "memory" => Ok(Arc::new(InMemory::new())),
        "file" => disk(&url),
        "s3" => below(&url, s3(host(&url)?, &setting)?),
        "az" => below(&url, azure(host(&url)?, &setting)?),
        "gs" => below(&url, google(host(&url)?, &setting)?),
        scheme => Err(StoreError::Invalid(format!(
            "a store of the kind {scheme:?} is not supported: memory, file, s3, az and gs are"
        ))),
    }
}

fn disk(url: &Url) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let folder = url
        .to_file_path()
        .map_err(|()| StoreError::Invalid("the store's URL names no local path".to_owned()))?;
    std::fs::create_dir_all(&folder).map_err(|error| {
        StoreError::unavailable(
            "",
            object_store::Error::Generic {
                store: "file",
                source: error.into(),
            },
        )
    })?;
    let disk = LocalFileSystem::new_with_prefix(folder)
        .map_err(|error| StoreError::unavailable("", error))?;
    // Without it a power cut could take back a manifest that was reported as written.
    Ok(Arc::new(disk.with_fsync(true)))
}

/// The bucket or container that a URL names.
fn host(url: &Url) -> Result<&str, StoreError> {
    url.host_str()
        .filter(|host| !host.is_empty() && url.port().is_none())
        .ok_or_else(|| {
            StoreError::Invalid("the store's URL names no bucket or container".to_owned())
        })
}

/// The store as seen from the URL's path.
fn below(url: &Url, store: impl ObjectStore) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let prefix = Path::from_url_path(url.path())
        .map_err(|_| StoreError::Invalid("the path of the store's URL is no prefix".to_owned()))?;
    let store = Discreet(store);
    Ok(if prefix.is_root() {
        Arc::new(store)
    } else {
        Arc::new(PrefixStore::new(store, prefix))
    })
}

fn s3(bucket: &str, setting: Setting<'_>) -> Result<impl ObjectStore + use<>, StoreError> {
    let endpoints = ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"];
    let transport = transport(setting, &endpoints)?;
    let builder = given(setting, S3_SETTINGS)
        .fold(AmazonS3Builder::new(), |builder, (key, value)| {
            builder.with_config(key, value)
        });
    builder
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_client_options(client(transport))
        .with_retry(retry())
        .build()
        .map_err(|_| {
            unusable(
                "s3",
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together",
            )
        })
}

fn azure(container: &str, setting: Setting<'_>) -> Result<impl ObjectStore + use<>, StoreError> {
    let transport = transport(setting, &["AZURE_STORAGE_ENDPOINT"])?;
    let builder = given(setting, AZURE_SETTINGS).fold(
        MicrosoftAzureBuilder::new(),
        |builder, (key, value)| match key {
            Azure::Endpoint => builder.with_config(key, value.trim_end_matches('/')),
            _ => builder.with_config(key, value),
        },
    );
    builder
        .with_container_name(container)
        .with_client_options(client(transport))
        .with_retry(retry())
        .build()
        .map_err(|_| {
            unusable(
                "az",
                "AZURE_STORAGE_ACCOUNT_NAME is needed, and keys are in base64",
            )
        })
}

fn google(bucket: &str, setting: Setting<'_>) -> Result<impl ObjectStore + use<>, StoreError> {
    let transport = transport(setting, &["GOOGLE_BASE_URL"])?;
    let builder = given(setting, GOOGLE_SETTINGS).fold(
        GoogleCloudStorageBuilder::new(),
        |builder, (key, value)| match key {
            Google::BaseUrl => builder.with_config(key, value.trim_end_matches('/')),
            _ => builder.with_config(key, value),
        },
    );
    builder
        .with_bucket_name(bucket)
        .with_client_options(client(transport))
        .with_retry(retry())
        .build()
        .map_err(|_| {
            unusable(
                "gs",
                "a credentials file must be there and hold a service account or an authorized user",
            )
        })
}

/// The settings that have a value.
fn given<K, const N: usize>(
    setting: Setting<'_>,
    settings: [(&'static str, K); N],
) -> impl Iterator<Item = (K, String)> {
    settings
        .into_iter()
        .filter_map(move |(name, key)| Some((key, setting(name)?)))
}

/// How requests may travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    /// Over TLS alone.
    Tls,
    /// Also over plain HTTP, to an emulator on this machine.
    Plain,
}

/// What the settings for an endpoint, if any, allow.
fn transport(setting: Setting<'_>, endpoints: &[&str]) -> Result<Transport, StoreError> {
    let mut transport = Transport::Tls;
    for name in endpoints {
        let Some(text) = setting(name) else {
            continue;
        };
        let url = Url::parse(&text).ok().filter(Url::has_host);
        match url.as_ref().map(|url| (url.scheme(), is_loopback(url))) {
            Some(("https", _)) => {}
            Some(("http", true)) => transport = Transport::Plain,
            _ => {
                return Err(StoreError::Invalid(format!(
                    "{name} is not valid: an https URL is expected, or an http URL on this machine"
                )));
            }
        }
    }
    Ok(transport)
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn client(transport: Transport) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(transport == Transport::Plain)
        .with_timeout(REQUEST)
        .with_connect_timeout(CONNECT)
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES,
        retry_timeout: RETRYING,
    }
}

/// What the client's builder says is left out: it may repeat a value.
fn unusable(scheme: &str, hint: &str) -> StoreError {
    StoreError::Invalid(format!(
        "the settings for a store of the kind {scheme:?} cannot be used: {hint}"
    ))
}

#[cfg(test)]
mod tests;

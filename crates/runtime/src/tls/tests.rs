//! Certificates from files, also from files that change.

use super::followed::LOOK;
use super::*;
use std::sync::Arc;

fn write(paths: &TlsPaths, name: &str) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("made");
    std::fs::write(&paths.cert, made.cert.pem()).expect("written");
    std::fs::write(&paths.key, made.signing_key.serialize_pem()).expect("written");
    made.cert.der().clone()
}

fn paths(folder: &Path) -> TlsPaths {
    TlsPaths {
        cert: folder.join("tls.crt"),
        key: folder.join("tls.key"),
        ca: None,
    }
}

fn client_of(trusted: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let builder = ClientConfig::builder().with_root_certificates(roots);
    Arc::new(builder.with_no_client_auth())
}

/// Whether both sides come to terms about a name.
fn agree(client: Arc<ClientConfig>, server: Arc<ServerConfig>, name: &str) -> bool {
    let name = name.to_owned().try_into().expect("a name");
    let mut client = rustls::ClientConnection::new(client, name).expect("a client");
    let mut server = rustls::ServerConnection::new(server).expect("a server");
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).expect("memory");
        server.read_tls(&mut &bytes[..]).expect("memory");
        if server.process_new_packets().is_err() {
            return false;
        }
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).expect("memory");
        client.read_tls(&mut &bytes[..]).expect("memory");
        if client.process_new_packets().is_err() {
            return false;
        }
    }
    true
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_is_served_without_a_restart() {
    install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let paths = paths(folder.path());
    let first = write(&paths, "first.test");
    let tls = Tls::load(&paths).expect("read");
    let server = tls.server(Clients::Certified, &[b"h2"]).expect("fit");
    let served = |trusted, name| agree(client_of(trusted), server.newest(), name);
    assert!(served(&first, "first.test"));

    let second = write(&paths, "second-name.test");
    assert!(served(&first, "first.test"), "not looked at yet");
    tokio::time::advance(LOOK).await;
    assert!(served(&second, "second-name.test"));
    assert!(!served(&first, "first.test"));

    std::fs::write(&paths.key, "half a key").expect("written");
    tokio::time::advance(LOOK).await;
    assert!(
        served(&second, "second-name.test"),
        "what cannot be used changes nothing"
    );
    let third = write(&paths, "a-third-name.test");
    tokio::time::advance(LOOK).await;
    assert!(served(&third, "a-third-name.test"));
}

#[tokio::test(start_paused = true)]
async fn a_client_shows_and_trusts_what_its_files_say_now() {
    install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let of = |name: &str| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).expect("made");
        paths(&folder)
    };
    let (here, there) = (of("client"), of("server"));
    write(&here, "client.test");
    write(&there, "server.test");
    let with_ca = |paths: &TlsPaths, ca: &TlsPaths| TlsPaths {
        ca: Some(ca.cert.clone()),
        ..paths.clone()
    };
    let server = Tls::load(&with_ca(&there, &here)).expect("read");
    let server = server.server(Clients::Certified, &[]).expect("fit");
    let client = Tls::load(&with_ca(&here, &there)).expect("read");
    let client = client.client().expect("fit");
    let agreed = || agree(client.newest(), server.newest(), "server.test");
    assert!(agreed());
    write(&here, "another-client.test");
    tokio::time::advance(LOOK).await;
    assert!(agreed(), "both sides see the new certificate of the client");
    // A client that shows nothing, and one that trusts another, come to no terms.
    let trusted = write(&there, "server.test");
    tokio::time::advance(LOOK).await;
    assert!(!agree(client_of(&trusted), server.newest(), "server.test"));
    assert!(agreed());
    assert!(!agree(client.newest(), server.newest(), "another.test"));
}

#[test]
fn a_missing_file_is_named_and_a_key_is_never_shown() {
    install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let mut paths = paths(folder.path());
    let error = Tls::load(&paths).expect_err("nothing there").to_string();
    assert!(
        error.starts_with("cannot read") && error.contains("/tls.crt\""),
        "{error}"
    );
    let unusable = |paths: &TlsPaths, file: &str| {
        let tls = Tls::load(paths).expect("read");
        let error = tls
            .server(Clients::Any, &[])
            .expect_err("unfit")
            .to_string();
        assert!(error.contains(file), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    };
    write(&paths, "first.test");
    std::fs::write(&paths.key, "hunter2").expect("written");
    unusable(&paths, "tls.key");
    write(&paths, "first.test");
    std::fs::write(&paths.cert, "hunter2").expect("written");
    unusable(&paths, "tls.crt");
    write(&paths, "first.test");
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, "").expect("written");
    paths.ca = Some(ca);
    unusable(&paths, "ca.crt");
}

#[test]
fn a_client_alone_cannot_serve() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca");
    std::fs::write(&ca, "ca").expect("written");
    let tls = Tls::trusting(&ca).expect("read");
    let served = tls.server(Clients::Any, &[]);
    assert!(matches!(served, Err(TlsError::NoIdentity)));
}

#[test]
fn the_provider_may_be_chosen_twice() {
    install_provider();
    install_provider();
    assert!(rustls::crypto::CryptoProvider::get_default().is_some());
}

//! A certificate that changes while it is served.

use super::*;

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

/// The certificate that a connection sees.
fn served(acceptor: &Acceptor, trusted: &CertificateDer<'static>, name: &str) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = name.to_owned().try_into().expect("a name");
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut server = rustls::ServerConnection::new(acceptor.config()).expect("a server");
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
    crate::tls::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let paths = paths(folder.path());
    let first = write(&paths, "first.test");
    let acceptor = Acceptor::new(paths.clone(), Clients::Certified, &[b"h2"]).expect("read");
    assert!(served(&acceptor, &first, "first.test"));

    let second = write(&paths, "second-name.test");
    assert!(served(&acceptor, &first, "first.test"), "not looked at yet");
    tokio::time::advance(LOOK).await;
    assert!(served(&acceptor, &second, "second-name.test"));
    assert!(!served(&acceptor, &first, "first.test"));

    std::fs::write(&paths.key, "half a key").expect("written");
    tokio::time::advance(LOOK).await;
    assert!(
        served(&acceptor, &second, "second-name.test"),
        "what cannot be used changes nothing"
    );
    let third = write(&paths, "a-third-name.test");
    tokio::time::advance(LOOK).await;
    assert!(served(&acceptor, &third, "a-third-name.test"));
}

#[test]
fn what_cannot_serve_is_named() {
    crate::tls::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let mut paths = paths(folder.path());
    write(&paths, "first.test");
    std::fs::write(&paths.key, "hunter2").expect("written");
    let error = Acceptor::new(paths.clone(), Clients::Certified, &[]).expect_err("no key");
    assert!(error.to_string().contains("tls.key"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    write(&paths, "first.test");
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, "").expect("written");
    paths.ca = Some(ca);
    let error = Acceptor::new(paths, Clients::Certified, &[]).expect_err("no authority");
    assert!(error.to_string().contains("ca.crt"), "{error}");
}

use super::*;

fn secret(text: &str) -> SecretSlice<u8> {
    SecretSlice::from(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_key_opens_what_it_wrapped_in_the_same_context_only() {
    let (kek, other) = (Kek::from_bytes([1; 32]), Kek::from_bytes([2; 32]));
    let wrapped = kek.wrap(&secret("data key"), b"tenant 1").await.unwrap();
    let opened = kek.unwrap(&wrapped, b"tenant 1").await.unwrap();
    assert_eq!(opened.expose_secret(), b"data key");
    assert_ne!(kek.id(), other.id());
    assert_ne!(
        kek.wrap(&secret("data key"), b"tenant 1")
            .await
            .unwrap()
            .nonce,
        wrapped.nonce
    );

    let mut bent = wrapped.clone();
    bent.ciphertext[0] ^= 1;
    let mut short = wrapped.clone();
    short.nonce.pop();
    for outcome in [
        kek.unwrap(&wrapped, b"tenant 2").await,
        other.unwrap(&wrapped, b"tenant 1").await,
        kek.unwrap(&bent, b"tenant 1").await,
        kek.unwrap(&short, b"tenant 1").await,
    ] {
        assert_eq!(outcome.map(|_| ()).unwrap_err(), KeyError::Refused);
    }
}

#[test]
fn a_key_file_is_made_once_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new").join("kek");
    assert_eq!(
        Kek::load(&path).unwrap_err(),
        KeyError::Unreadable(ErrorKind::NotFound)
    );
    let ids: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Kek::load_or_create(&path).unwrap().id))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    let id = Kek::load(&path).unwrap().id;
    assert!(ids.iter().all(|found| *found == id), "{ids:?} {id}");
    let names: Vec<_> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["kek"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn a_key_file_without_a_key_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kek");
    for text in ["", "not base64!", "c2hvcnQ="] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(Kek::load_or_create(&path).unwrap_err(), KeyError::Malformed);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

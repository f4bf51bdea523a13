use model::TenantId;
use object_store::path::Path;

use super::*;

fn key(n: u32) -> DataKey {
    DataKey::generate(TenantId::parse(&format!("{n:08x}-0000-4000-8000-000000000000")).unwrap())
}

fn detail<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> String {
    match outcome.unwrap_err() {
        StoreError::Corrupt { path, detail } => format!("{path}: {detail}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_plain_age() {
    let key = key(1);
    let sealed = encrypt(&key, b"content").unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
    assert_eq!(age::decrypt(key.identity(), &sealed).unwrap(), b"content");
}

#[test]
fn sizes_around_the_chunks_of_age_come_back() {
    let (key, path) = (key(1), Path::from("a/b"));
    for size in [0, 1, 65_535, 65_536, 65_537, 200_000] {
        let content: Vec<u8> = (0..size)
            .map(|n: usize| (n % 251).to_le_bytes()[0])
            .collect();
        let sealed = seal_document(&key, &path, &content).unwrap();
        assert_eq!(open_document(&key, &path, &sealed).unwrap(), content);
        assert!(
            detail(open_document(&key, &path, &sealed[..sealed.len() - 1]))
                .contains("cannot be decrypted")
        );
    }
}

#[test]
fn a_document_belongs_to_its_place() {
    let (key, path) = (key(1), Path::from("a/b"));
    let sealed = seal_document(&key, &path, b"content").unwrap();
    assert!(
        detail(open_document(&key, &Path::from("a/c"), &sealed))
            .starts_with("a/c: it was not written by this vault")
    );
    assert!(detail(open_document(&self::key(1), &path, &sealed)).contains("cannot be decrypted"));
}

#[test]
fn a_forger_with_the_public_key_is_noticed() {
    let (key, path) = (key(1), Path::from("a/b"));
    let forge = |plain: &str| {
        detail(open_document(
            &key,
            &path,
            &encrypt(&key, plain.as_bytes()).unwrap(),
        ))
    };
    let zeros = "0".repeat(64);
    assert!(
        forge(&format!("rewind-document 1 {zeros}\ncontent")).contains("not written by this vault")
    );
    assert!(forge("rewind-document 1 short\ncontent").contains("not written by this vault"));
    assert!(
        forge(&format!("rewind-document 2 {zeros}\ncontent"))
            .contains("format \"2\" is not known to this version")
    );
    for plain in ["", "\n", "content", "rewind-document", "rewind-document 1"] {
        assert!(
            forge(plain).contains("no document of the vault"),
            "{plain:?}"
        );
    }
}

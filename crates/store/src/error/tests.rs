use super::*;

fn check(error: StoreError, kind: ErrorKind, reason: &str, text: &str) {
    assert_eq!(
        (error.kind(), error.reason().0, error.to_string().as_str()),
        (kind, reason, text)
    );
}

#[test]
fn every_error_has_its_kind_reason_and_text() {
    let what = || "snapshot s1".to_owned();
    let source = object_store::Error::Generic {
        store: "x",
        source: "https://host/?sig=hidden".into(),
    };
    let unavailable = StoreError::unavailable("tenants/t", source);
    check(
        unavailable,
        ErrorKind::Unavailable,
        reason::STORE_UNAVAILABLE,
        "the object store cannot serve tenants/t",
    );
    check(
        StoreError::NotFound { what: what() },
        ErrorKind::NotFound,
        reason::NOT_FOUND,
        "snapshot s1 does not exist",
    );
    check(
        StoreError::Exists { what: what() },
        ErrorKind::Conflict,
        reason::ALREADY_EXISTS,
        "snapshot s1 exists already",
    );
    let changed = StoreError::Changed { what: what() };
    check(
        changed,
        ErrorKind::Conflict,
        reason::CONFLICT,
        "snapshot s1 was changed by another writer",
    );
    let taken = StoreError::SlotTaken {
        slot: "s1".to_owned(),
        holder: "pod-1".to_owned(),
        until: DateTime::UNIX_EPOCH,
    };
    let text = "slot s1 is held by pod-1 until 1970-01-01 00:00:00 UTC";
    check(taken, ErrorKind::Conflict, reason::SLOT_TAKEN, text);
    let corrupt = StoreError::corrupt("tenants/t/x", "it is missing");
    check(
        corrupt,
        ErrorKind::Corrupt,
        reason::STORE_CORRUPT,
        "stored file tenants/t/x is damaged: it is missing",
    );
    check(
        StoreError::Invalid("no".to_owned()),
        ErrorKind::Invalid,
        reason::INVALID_ARGUMENT,
        "no",
    );
    check(
        StoreError::SameStore,
        ErrorKind::Invalid,
        reason::NO_COPY_STORE,
        "the copies would lie in the store that is to be copied",
    );
    check(
        StoreError::NotFound { what: what() }.in_copy(),
        ErrorKind::NotFound,
        reason::NOT_FOUND,
        "in the copy: snapshot s1 does not exist",
    );
    check(
        StoreError::Internal("oh".to_owned()),
        ErrorKind::Internal,
        reason::INTERNAL,
        "oh",
    );
    for (key, kind, text) in [
        (
            KeyError::Refused,
            ErrorKind::Denied,
            "the tenant's data key cannot be opened with this wrapping key",
        ),
        (
            KeyError::Absent,
            ErrorKind::Denied,
            "the tenant has no data key",
        ),
        (
            KeyError::Unreadable(std::io::ErrorKind::NotFound),
            ErrorKind::Unavailable,
            "the key file cannot be read: entity not found",
        ),
        (
            KeyError::Malformed,
            ErrorKind::Invalid,
            "the key file does not hold 32 bytes, in base64 or as they are",
        ),
        (
            KeyError::Unreachable("timed out".to_owned()),
            ErrorKind::Unavailable,
            "the key holder cannot be reached: timed out",
        ),
        (
            KeyError::Throttled {
                vault: "v".to_owned(),
                retry_after: Some(Duration::from_secs(30)),
            },
            ErrorKind::Throttled {
                retry_after: Some(Duration::from_secs(30)),
            },
            "Key Vault v is asked too often",
        ),
        (
            KeyError::SignIn {
                vault: "v".to_owned(),
                why: "AADSTS700016".to_owned(),
            },
            ErrorKind::Denied,
            "the service cannot sign in to Key Vault v: AADSTS700016",
        ),
        (
            KeyError::NotAllowed {
                vault: "v".to_owned(),
                permission: "wrapKey",
            },
            ErrorKind::Denied,
            "Key Vault v does not let the service use the key: the permission wrapKey is missing, on the identity or on the key",
        ),
        (
            KeyError::Unusable {
                vault: "v".to_owned(),
                why: "it is disabled",
            },
            ErrorKind::Denied,
            "the key in Key Vault v cannot be used: it is disabled",
        ),
    ] {
        check(key.into(), kind, reason::KEY_UNAVAILABLE, text);
    }
    check(
        KeyError::Erased.into(),
        ErrorKind::Denied,
        reason::KEY_ERASED,
        "the tenant was erased: its data key was deleted, and nothing of it can be read",
    );
}

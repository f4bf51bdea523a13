//! Signatures of callers, by whom they are made and when they count.

use super::*;
use crate::ManualClock;
use chrono::TimeZone;
use secrecy::SecretSlice;

const PATH: &str = "/rewind.v1.RestoreService/ApplyPlan";
const TENANT: &str = "0a1b2c3d-0000-4000-8000-00000000000a";

fn keys(byte: u8) -> Keys {
    Keys::new(&[SecretSlice::from(vec![byte; 32])]).expect("long enough")
}

fn clock() -> Arc<ManualClock> {
    let now = Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap();
    Arc::new(ManualClock::new(now))
}

fn signed(keys: Keys, clock: &Arc<ManualClock>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(REQUEST_ID, HeaderValue::from_static("call-1"));
    let said = Said {
        caller: "anna",
        path: PATH,
        tenant: TENANT,
    };
    Signer::new("gateway", Some(keys), clock.clone()).write(&mut headers, said);
    headers
}

#[test]
fn a_call_past_the_gateway_has_no_caller() {
    let mut request = Request::new(());
    assert_eq!(of(&request), None);
    for (value, expected) in [("", None), ("anna", Some("anna")), ("service:differ", None)] {
        let value = value.parse().expect("plain text");
        request.metadata_mut().insert(HEADER, value);
        assert_eq!(of(&request).as_deref(), expected);
    }
}

#[test]
fn a_signature_is_for_one_call_alone() {
    let clock = clock();
    let check = Check::new(keys(1), clock.clone());
    let headers = signed(keys(1), &clock);
    check.verify(PATH, &headers).expect("signed");
    let refused = |path: &str, headers: &HeaderMap| {
        assert!(check.verify(path, headers).is_err(), "{path} {headers:?}");
    };
    refused("/rewind.v1.RestoreService/CancelRestore", &headers);
    for (name, value) in [
        (HEADER, "ben"),
        (REQUEST_ID, "call-2"),
        (SIGNATURE, ""),
        (SIGNATURE, "v1;1;;00"),
    ] {
        let mut changed = headers.clone();
        changed.insert(name, HeaderValue::from_static(value));
        refused(PATH, &changed);
    }
    for name in [HEADER, REQUEST_ID, SIGNATURE] {
        let mut changed = headers.clone();
        changed.remove(name);
        refused(PATH, &changed);
    }
    let mut twice = headers.clone();
    twice.append(HEADER, HeaderValue::from_static("ben"));
    refused(PATH, &twice);
    let signature = headers[SIGNATURE].to_str().expect("text");
    let other = signature.replace(TENANT, "0a1b2c3d-0000-4000-8000-00000000000b");
    let mut changed = headers.clone();
    changed.insert(SIGNATURE, other.parse().expect("text"));
    refused(PATH, &changed);
    refused(PATH, &signed(keys(2), &clock));
    refused(PATH, &HeaderMap::new());
}

#[test]
fn a_signature_counts_for_a_minute_and_before_the_clock_by_as_much() {
    let signer = clock();
    let headers = signed(keys(1), &signer);
    for (seconds, counts) in [
        (-61, false),
        (-60, true),
        (0, true),
        (60, true),
        (61, false),
    ] {
        let clock = clock();
        clock.advance(TimeDelta::seconds(seconds));
        let verified = Check::new(keys(1), clock).verify(PATH, &headers);
        assert_eq!(verified.is_ok(), counts, "{seconds} s later");
    }
}

#[test]
fn an_older_key_counts_until_it_is_dropped() {
    let clock = clock();
    let headers = signed(keys(1), &clock);
    let both = Check::new(keys(2).and(&keys(1)), clock.clone());
    both.verify(PATH, &headers).expect("the older one");
    let dropped = Check::new(keys(2), clock);
    assert!(dropped.verify(PATH, &headers).is_err());
}

#[test]
fn health_and_reflection_need_nobody() {
    let check = Check::new(keys(1), clock());
    for path in ["/grpc.health.v1.Health/Check", "/metrics"] {
        check.verify(path, &HeaderMap::new()).expect("open");
    }
}

#[test]
fn without_a_key_the_name_goes_alone_and_a_service_stays_unnamed() {
    let signer = Signer::new("restorer", None, clock());
    let mut headers = HeaderMap::new();
    signer.write_service(&mut headers, PATH, TENANT);
    assert!(headers.is_empty());
    let said = Said {
        caller: "anna",
        path: PATH,
        tenant: "",
    };
    signer.write(&mut headers, said);
    assert_eq!(headers.len(), 1);
    assert_eq!(headers[HEADER], "anna");
}

#[test]
fn a_service_calls_as_itself_unless_somebody_else_does() {
    let clock = clock();
    let signer = Signer::new("restorer", Some(keys(1)), clock.clone());
    let check = Check::new(keys(1), clock.clone());
    let mut headers = HeaderMap::new();
    signer.write_service(&mut headers, PATH, TENANT);
    assert_eq!(headers[HEADER], "service:restorer");
    check.verify(PATH, &headers).expect("signed");
    let mut persons = signed(keys(1), &clock);
    let before = persons.clone();
    signer.write_service(&mut persons, PATH, TENANT);
    assert_eq!(persons, before);
}

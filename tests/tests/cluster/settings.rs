//! Settings: what manifests set and what services read are the same names.
//!
//! The services' own names are had by letting each read its settings and noting what it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use runtime::config::{Settings, Source};
use runtime::credentials::Kind;

use crate::rendered::{Rendered, SERVICES, all};

/// Answers what has to be there, and notes every name.
#[derive(Default)]
struct Noted {
    asked: Mutex<BTreeSet<String>>,
}

impl Source for Noted {
    fn get(&self, key: &str) -> Option<String> {
        self.asked
            .lock()
            .expect("one thread")
            .insert(key.to_owned());
        let url = |port: u16| Some(format!("http://127.0.0.1:{port}"));
        match key {
            "REWIND_STORE_URL" => Some("memory:///".to_owned()),
            "REWIND_SNAPSHOTTER_URL" => url(7001),
            "REWIND_DIFFER_URL" => url(7002),
            "REWIND_RESTORER_URL" => url(7003),
            _ => None,
        }
    }
}

/// Every name that a service asks for.
fn asked(service: &str) -> BTreeSet<String> {
    let noted = Noted::default();
    let settings = Settings::load(&noted).expect("no file");
    let read = match service {
        "snapshotter" => snapshotter::Config::read(&settings).map(drop),
        "differ" => differ::Config::read(&settings).map(drop),
        "restorer" => restorer::Config::read(&settings).map(drop),
        "gateway" => gateway::Config::read(&settings).map(drop),
        other => panic!("the service {other}"),
    };
    read.expect("everything is read to its end");
    let asked = noted.asked.into_inner().expect("one thread");
    let mut ours: BTreeSet<String> = asked
        .into_iter()
        .filter(|key| key.starts_with("REWIND_"))
        .collect();
    // Read where logging starts, before the settings.
    ours.insert("REWIND_LOG".to_owned());
    ours
}

/// The names of variables that hold credentials, of which each service resolves its own kinds.
fn prefixes(service: &str) -> Vec<&'static str> {
    let kinds: &[Kind] = match service {
        "snapshotter" => &[Kind::Reader, Kind::Webhook],
        "differ" => &[Kind::Reader],
        "restorer" => &[Kind::Writer],
        _ => &[],
    };
    kinds.iter().map(|kind| kind.prefix()).collect()
}

/// What no manifest sets, and why.
const NOT_SET: [(&str, &str); 27] = [
    ("REWIND_CONFIG", "in a cluster the environment is the file"),
    ("REWIND_LOG", "what is logged by default suits"),
    (
        "REWIND_KEY_VAULT_KEY",
        "in the place of the mounted key, where somebody chooses it",
    ),
    ("REWIND_OLD_KEY_FILE", "while the wrapping key is changed"),
    (
        "REWIND_OLD_KEY_VAULT_KEY",
        "while the wrapping key is changed",
    ),
    (
        "REWIND_COPY_URL",
        "a second store is the installation's own",
    ),
    (
        "REWIND_COPY_KEYS_URL",
        "a second store is the installation's own",
    ),
    ("REWIND_SCHEDULE", "daily by default"),
    ("REWIND_RECONCILE_EVERY", "the default suits"),
    ("REWIND_PRUNE_GRACE", "the default suits"),
    ("REWIND_VERIFY_DAYS", "the default suits"),
    ("REWIND_AUDIT_INTERVAL", "the default suits"),
    ("REWIND_DELIVERY_SWEEP", "the default suits"),
    ("REWIND_SIGNAL_POLL", "the default suits"),
    (
        "REWIND_CALLER_KEY_FILE",
        "derived from the wrapping key, unless that is in Key Vault",
    ),
    ("REWIND_TLS_CLIENTS", "clients are asked for no certificate"),
    ("REWIND_CALLER_RATE", "the default suits"),
    ("REWIND_CALLER_CALLS", "the default suits"),
    ("REWIND_TENANT_RATE", "the default suits"),
    ("REWIND_TENANT_CALLS", "the default suits"),
    ("REWIND_CALLS", "the default suits"),
    ("REWIND_DEADLINE", "the default suits"),
    (
        "REWIND_OIDC_NAME_CLAIM",
        "Entra ID's claims are the default",
    ),
    (
        "REWIND_OIDC_ROLES_CLAIM",
        "Entra ID's claims are the default",
    ),
    (
        "REWIND_OIDC_CLIENT_SECRET_FILE",
        "Entra ID takes PKCE alone",
    ),
    ("REWIND_ROLES_FILE", "the four app roles are the default"),
    ("REWIND_GUARDED_CHANGES_WAIT", "the default suits"),
];

/// What a service is given in an overlay, of our own names.
fn given(rendered: &Rendered, service: &str) -> BTreeSet<String> {
    let environment = rendered.environment(&format!("rewind-{service}"));
    let keys = environment.into_keys();
    keys.filter(|key| key.starts_with("REWIND_")).collect()
}

#[test]
fn what_is_set_is_read_and_what_is_read_is_set() {
    let known: BTreeMap<&str, BTreeSet<String>> =
        SERVICES.map(|service| (service, asked(service))).into();
    let mut set = BTreeSet::new();
    for rendered in all() {
        for service in SERVICES {
            for key in given(&rendered, service) {
                let credential = prefixes(service)
                    .iter()
                    .any(|prefix| key.starts_with(prefix));
                assert!(
                    credential || known[service].contains(&key),
                    "{}: the {service} does not read {key}",
                    rendered.name
                );
                set.insert(key);
            }
        }
    }
    let read: BTreeSet<&str> = known.values().flatten().map(String::as_str).collect();
    for (key, reason) in NOT_SET {
        assert!(read.contains(key), "nobody reads {key}");
        assert!(!set.contains(key), "{key} is set, although: {reason}");
    }
    let excused: BTreeSet<&str> = NOT_SET.map(|(key, _)| key).into();
    let missing: Vec<&&str> = read
        .iter()
        .filter(|key| !set.contains(**key) && !excused.contains(**key))
        .collect();
    assert!(missing.is_empty(), "no manifest sets {missing:?}");
}

/// Each service would start with what an overlay gives it, as far as settings go.
#[test]
fn the_services_take_what_they_are_given() {
    for rendered in all() {
        for service in SERVICES {
            let environment = rendered.environment(&format!("rewind-{service}"));
            let settings = Settings::load(&environment).expect("no file");
            let taken = match service {
                "snapshotter" => snapshotter::Config::complete(&settings).map(drop),
                "differ" => differ::Config::complete(&settings).map(drop),
                "restorer" => restorer::Config::complete(&settings).map(drop),
                // Who may call is read from files of the pod.
                "gateway" => {
                    gateway::Config::read(&settings).and_then(|config| config.common.required_key())
                }
                other => panic!("the service {other}"),
            };
            if let Err(error) = taken {
                panic!("{service} in {}: {error}", rendered.name);
            }
        }
    }
}

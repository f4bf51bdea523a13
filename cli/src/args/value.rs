//! Reading single argument values.
//!
//! Owns the shape of each kind of value. It never repeats a value that may be a
//! secret.

use std::time::Duration;

use model::drift::{InvalidWatch, Switches, Table};
use model::retention::{InvalidPolicy, Policy};
use model::{ObjectId, ObjectType, ProofKind, TenantId, approval};
use runtime::credentials::WORKLOAD_IDENTITY;

/// An `http://` or `https://` URL, without a trailing slash.
pub(crate) fn http_url(text: &str) -> Result<String, String> {
    let uri: tonic::transport::Uri = text.parse().map_err(|_| "a URL is expected".to_owned())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("a URL is expected that begins with http:// or https://".to_owned()),
    }
}

/// The URL of a webhook, as it is: what a server allows it says itself.
pub(crate) fn webhook_url(text: &str) -> Result<String, String> {
    let fits = url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match fits {
        true => Ok(text.to_owned()),
        false => Err("a URL is expected that begins with https://".to_owned()),
    }
}

/// An address on loopback.
pub(crate) fn loopback(text: &str) -> Result<std::net::SocketAddr, String> {
    let address: std::net::SocketAddr = text
        .parse()
        .map_err(|_| "an address such as 127.0.0.1:8443 is expected".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("a loopback address is expected".to_owned())
    }
}

/// Whether an `http://` URL leads away from this machine.
pub(crate) fn is_in_the_clear(url: &str) -> bool {
    let uri: Option<tonic::transport::Uri> = url.parse().ok();
    let host = uri
        .as_ref()
        .and_then(tonic::transport::Uri::host)
        .unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    let local = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    url.starts_with("http:") && !local
}

/// A tenant's GUID or resource name.
pub(crate) fn tenant(text: &str) -> Result<TenantId, String> {
    proto::name::parse_tenant("tenant", text).map_err(|error| error.to_string())
}

/// A retention policy.
pub(crate) fn retention(text: &str) -> Result<String, String> {
    let policy: Result<Policy, InvalidPolicy> = text.parse();
    policy
        .map(|policy| policy.to_string())
        .map_err(|error| error.to_string())
}

/// A policy of approval.
pub(crate) fn window(text: &str) -> Result<String, String> {
    let window: model::schedule::Window = text
        .parse()
        .map_err(|error: model::schedule::InvalidWindow| error.to_string())?;
    Ok(window.to_string())
}

pub(crate) fn approval(text: &str) -> Result<String, String> {
    let policy: Result<approval::Policy, approval::InvalidPolicy> = text.parse();
    policy
        .map(|policy| policy.to_string())
        .map_err(|error| error.to_string())
}

/// A rule of a table with its limit.
pub(crate) fn rule<T: Table>(text: &str) -> Result<String, String> {
    let fits: Result<(), InvalidWatch> = Switches::<T>::default().set(text);
    fits.map(|()| text.to_owned())
        .map_err(|error| error.to_string())
}

/// The name of an object type, as Graph writes it.
pub(crate) fn object_type(text: &str) -> Result<String, String> {
    if ObjectType::from_name(text).is_some() {
        return Ok(text.to_owned());
    }
    let known: Vec<&str> = model::catalogue::TYPES
        .iter()
        .map(|spec| spec.object_type.name())
        .collect();
    Err(format!("one of {} is expected", known.join(", ")))
}

/// The id of a directory object.
pub(crate) fn object_id(text: &str) -> Result<String, String> {
    ObjectId::parse(text)
        .map(|id| id.to_string())
        .map_err(|error| error.to_string())
}

/// A relation and the id of the other end of a link: `members:ID`.
pub(crate) fn link(text: &str) -> Result<String, String> {
    proto::convert::model_parts(&[], &[text.to_owned()])
        .map(|_| text.to_owned())
        .map_err(|error| error.problem)
}

/// An id and the one that stands in its place: `OLD=NEW`.
pub(crate) fn mapping(text: &str) -> Result<(String, String), String> {
    let (old, new) = text
        .split_once('=')
        .ok_or_else(|| "OLD=NEW is expected".to_owned())?;
    Ok((object_id(old)?, object_id(new)?))
}

/// Checks that a recipient is an age public key.
///
/// As with [`reference()`], the error keeps silent about what was given: it may be
/// the secret half.
pub(crate) fn recipient(text: &str) -> Result<(), String> {
    let fits = text.len() == 62
        && text.starts_with("age1")
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if fits {
        Ok(())
    } else {
        Err("--recipient takes an age public key: age1 and 58 letters and digits".to_owned())
    }
}

/// Text that is there.
pub(crate) fn text(text: &str) -> Result<String, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        Err("it is empty".to_owned())
    } else {
        Ok(trimmed.to_owned())
    }
}

/// A duration such as `90s`, `15m` or `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("a duration such as 15m is expected: {error}"))
}

/// A share, from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a number from 0 to 1 is expected".to_owned()),
    }
}

/// A number of seconds, at most a day.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds up to a day is expected".to_owned()),
    }
}

/// Checks that a credential is a reference, not a value.
///
/// clap repeats what it refuses, so this is called on the plain text afterwards
/// and its error keeps silent about it: people paste secrets.
pub(crate) fn reference(flag: &'static str, kind: ProofKind, text: &str) -> Result<String, String> {
    let name_ok = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let fits = match (kind, text.split_once(':')) {
        (ProofKind::Secret, Some(("env", name))) => name_ok(name),
        (_, Some(("file", path))) => !path.is_empty(),
        (ProofKind::FederatedToken, None) => text == WORKLOAD_IDENTITY,
        _ => false,
    };
    if fits {
        return Ok(text.to_owned());
    }
    let forms = match kind {
        ProofKind::Secret => "env:NAME or file:PATH",
        ProofKind::Certificate | ProofKind::FederatedToken => "file:PATH",
    };
    Err(format!(
        "{flag} takes a reference, {forms}, never the {} itself",
        kind.name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_credential_is_not_repeated() {
        let all = [
            ProofKind::Secret,
            ProofKind::Certificate,
            ProofKind::FederatedToken,
        ];
        for kind in all {
            for pasted in [
                "hunter2",
                "env:",
                "env:A B",
                "file:",
                "https://hunter2",
                "env:hunter2!",
            ] {
                let error = reference("--reader-x", kind, pasted).expect_err(pasted);
                assert!(!error.contains("hunter2"), "{error}");
            }
        }
        let fits = |kind, text: &str| reference("--reader-x", kind, text).is_ok();
        assert!(fits(ProofKind::Secret, "env:REWIND_CREDENTIAL_READER_A"));
        assert!(fits(ProofKind::Secret, "file:/run/secrets/a"));
        assert!(fits(ProofKind::Certificate, "file:a.pem"));
        assert!(!fits(
            ProofKind::Certificate,
            "env:REWIND_CREDENTIAL_READER_A"
        ));
        assert!(fits(ProofKind::FederatedToken, "workload-identity"));
        assert!(!fits(ProofKind::Secret, "workload-identity"));
    }

    #[test]
    fn a_refused_recipient_is_not_repeated() {
        let letters = "q".repeat(58);
        assert_eq!(recipient(&format!("age1{letters}")), Ok(()));
        let secret = format!("AGE-SECRET-KEY-1{}", letters.to_uppercase());
        for bad in [
            secret.as_str(),
            "age1",
            &letters,
            &format!("age1{letters}q"),
        ] {
            let error = recipient(bad).expect_err("refused");
            assert!(!error.contains("qq") && !error.contains("QQ"), "{error}");
        }
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(
            http_url("http://localhost:1/"),
            Ok("http://localhost:1".to_owned())
        );
        for bad in ["", "localhost:1", "ftp://a", "http://"] {
            assert!(http_url(bad).is_err(), "{bad}");
        }
        assert!(is_in_the_clear("http://rewind.example:8443"));
        for local in [
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://localhost:1",
            "https://a",
        ] {
            assert!(!is_in_the_clear(local), "{local}");
        }
        assert!(loopback("127.0.0.1:0").is_ok() && loopback("0.0.0.0:1").is_err());
        assert!(object_type("user").is_ok());
        assert!(
            object_type("users")
                .expect_err("unknown")
                .contains("conditionalAccessPolicy")
        );
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert!(duration("15").is_err());
        assert!(share("0.1") == Ok(0.1) && share("1.1").is_err() && share("NaN").is_err());
        assert!(seconds("2.5") == Ok(2.5) && seconds("-1").is_err());
    }
}

//! The names in a client certificate.
//!
//! Owns which of them count. That the certificate itself counts, TLS has seen to.

use tonic::transport::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What is at the start of a name, by where it stands.
const KINDS: [&str; 3] = ["uri:", "dns:", "cn:"];

/// Whether a text is a name of one of the kinds.
pub(crate) fn is_name(text: &str) -> bool {
    let rest = KINDS.iter().find_map(|kind| text.strip_prefix(kind));
    rest.is_some_and(|rest| !rest.is_empty())
}

/// The names of a certificate: alternative names that are URIs or hosts, and the common
/// name of the subject where there is none of those.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let alternative = alternative
        .into_iter()
        .flat_map(|it| &it.value.general_names);
    let named = alternative.filter_map(|name| match name {
        GeneralName::URI(uri) => Some(format!("uri:{uri}")),
        GeneralName::DNSName(host) => Some(format!("dns:{host}")),
        _ => None,
    });
    let named: Vec<String> = named.collect();
    if !named.is_empty() {
        return named;
    }
    let common = certificate.subject().iter_common_name();
    let common = common.filter_map(|name| name.as_str().ok());
    common.map(|name| format!("cn:{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn made(common: &str, alternative: Vec<SanType>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = alternative;
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("made").der().clone()
    }

    #[test]
    fn alternative_names_come_before_the_common_name() {
        let uri = SanType::URI("spiffe://contoso/ci".try_into().expect("a URI"));
        let host = SanType::DnsName("ci.contoso.com".try_into().expect("a host"));
        let address = SanType::IpAddress([127, 0, 0, 1].into());
        assert_eq!(
            names(&made("ci", vec![uri, host])),
            ["uri:spiffe://contoso/ci", "dns:ci.contoso.com"]
        );
        assert_eq!(names(&made("ci", vec![address])), ["cn:ci"]);
        assert_eq!(names(&made("ci", Vec::new())), ["cn:ci"]);
        assert!(names(&CertificateDer::from(vec![1, 2, 3])).is_empty());
    }

    #[test]
    fn a_name_says_where_it_stands() {
        for (text, expected) in [
            ("uri:spiffe://a", true),
            ("dns:a", true),
            ("cn:a b", true),
            ("cn:", false),
            ("a", false),
            ("ip:127.0.0.1", false),
        ] {
            assert_eq!(is_name(text), expected, "{text}");
        }
    }
}

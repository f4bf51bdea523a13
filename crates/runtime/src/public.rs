//! Which addresses are in the public internet.
//!
//! Owns the lists of those that are not: this machine, its network, and what a cloud
//! answers inside. Whoever calls a URL that a caller chose asks here about each
//! address that it connects to; a name says nothing.
//! Source: the IANA special-purpose address registries for IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// What of IPv4 is not public, as a first address and the length of its prefix.
const NOT_PUBLIC_V4: [([u8; 4], u32); 17] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    // Between a provider and its customers; in some clouds also what they answer
    // inside.
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    // Azure's own services, which answer to its virtual machines alone.
    ([168, 63, 129, 16], 32),
    // Link-local, with the metadata of most clouds.
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast, and what is reserved, with broadcast.
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// What of IPv6's global unicast addresses is not public.
const NOT_PUBLIC_V6: [(u128, u32); 4] = [
    // Protocols' own, such as tunnels that lead to any IPv4 address.
    (0x2001_0000 << 96, 23),
    (0x2001_0db8 << 96, 32),
    // A tunnel, too.
    (0x2002_0000 << 96, 16),
    (0x3fff_0000 << 96, 20),
];

/// IPv4 behind a translator: the address is in the last four bytes.
const TRANSLATED: (u128, u32) = (0x0064_ff9b << 96, 96);

/// Whether an address is in the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !NOT_PUBLIC_V4.iter().any(|(first, length)| {
        let first = Ipv4Addr::from(*first).to_bits();
        (bits ^ first) >> (32 - length) == 0
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let bits = address.to_bits();
    let is_in = |(first, length): (u128, u32)| (bits ^ first) >> (128 - length) == 0;
    if is_in(TRANSLATED) {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    is_in((0x2000_0000 << 96, 3)) && !NOT_PUBLIC_V6.into_iter().any(is_in)
}

/// Whether a URL may lead to a public address, as far as it says: an address that is
/// written out is looked at, a name is not looked up.
#[must_use]
pub fn may_be_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_public_v4(address),
        Some(Host::Ipv6(address)) => is_public_v6(address),
        Some(Host::Domain(name)) => !name.is_empty(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_and_its_cloud_are_not_public() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "64:ff9b::7f00:1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            let parsed: IpAddr = address.parse().expect(address);
            assert!(!is_public(parsed), "{address}");
        }
    }

    #[test]
    fn the_internet_is_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "128.0.0.1",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.167.255.255",
            "192.169.0.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
        ] {
            let parsed: IpAddr = address.parse().expect(address);
            assert!(is_public(parsed), "{address}");
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_looked_at() {
        for (url, expected) in [
            ("https://127.0.0.1/", false),
            ("https://127.1/", false),
            ("https://2130706433/", false),
            ("https://0x7f.0.0.1/", false),
            ("https://0177.0.0.1/", false),
            ("https://[::ffff:127.0.0.1]/", false),
            ("https://[::1]:8443/", false),
            ("https://169.254.169.254/latest/meta-data", false),
            ("https://1.1.1.1/", true),
            ("https://[2606:4700:4700::1111]/", true),
            ("https://hooks.example/", true),
            ("data:text/plain,hello", false),
        ] {
            let parsed = Url::parse(url).expect(url);
            assert_eq!(may_be_public(&parsed), expected, "{url}");
        }
    }
}

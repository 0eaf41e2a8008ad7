//! IP addresses of either family in one fixed-size form.

/// The network-layer protocol family (netfilter's `NFPROTO_IPV4`, `NFPROTO_IPV6`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// IPv4.
    V4 = 2,
    /// IPv6.
    V6 = 10,
}

/// An address in network byte order. An IPv4 address fills the first four octets, the rest is
/// zero; which family it is stands beside it (in the tuple, in [`crate::Parsed`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 16]);

impl Address {
    /// From four octets of an IPv4 address.
    #[must_use]
    pub const fn v4(o: [u8; 4]) -> Self {
        Self([o[0], o[1], o[2], o[3], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// From sixteen octets of an IPv6 address.
    #[must_use]
    pub const fn v6(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The first four octets: the whole of an IPv4 address.
    #[must_use]
    pub const fn v4_octets(self) -> [u8; 4] {
        [self.0[0], self.0[1], self.0[2], self.0[3]]
    }

    /// As inet_ntop(3) writes it.
    #[must_use]
    pub const fn written(self, family: Family) -> Written {
        Written(self, family)
    }

    /// As RFC 5952 writes it.
    #[must_use]
    pub const fn compressed(self, family: Family) -> Compressed {
        Compressed(self, family)
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn ip(self, family: Family) -> core::net::IpAddr {
        match family {
            Family::V4 => {
                let o = self.v4_octets();
                core::net::IpAddr::V4(core::net::Ipv4Addr::new(o[0], o[1], o[2], o[3]))
            }
            Family::V6 => core::net::IpAddr::V6(ipv6(self.0)),
        }
    }
}

/// An address as inet_ntop(3) writes it: the last 32 bits of an IPv6 address that has nothing but
/// zeros before them are written like an IPv4 address, unless 16 bits would do.
#[derive(Clone, Copy, Debug)]
pub struct Written(Address, Family);

impl core::fmt::Display for Written {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(address, family) = *self;
        let [head @ .., a, b, c, d] = address.0;
        let compatible = family == Family::V6 && head == [0; 12] && [a, b] != [0; 2];
        if compatible { write!(f, "::{a}.{b}.{c}.{d}") } else { address.ip(family).fmt(f) }
    }
}

/// An address as RFC 5952 writes it, with the last 32 bits like an IPv4 address where that is embedded
/// (RFC 4291, 2.5.5.2; RFC 5214, 6.1).
#[derive(Clone, Copy, Debug)]
pub struct Compressed(Address, Family);

impl core::fmt::Display for Compressed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(address, family) = *self;
        let [head @ .., a, b, c, d] = address.0;
        let [.., universal, 0, 0x5e, 0xfe] = head else { return self.plain(f) };
        if family == Family::V4 || universal & !2 != 0 {
            return self.plain(f);
        }
        // Two groups of which nothing is left out stand in for the four octets.
        let mut plain = address.0;
        if let Some(last) = plain.last_chunk_mut() {
            *last = [0xff; 4];
        }
        let text = alloc::format!("{}", ipv6(plain));
        let head = text.strip_suffix("ffff:ffff").unwrap_or(&text);
        write!(f, "{head}{a}.{b}.{c}.{d}")
    }
}

impl Compressed {
    fn plain(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&self.0.ip(self.1), f)
    }
}

const fn ipv6(o: [u8; 16]) -> core::net::Ipv6Addr {
    core::net::Ipv6Addr::from_bits(u128::from_be_bytes(o))
}

impl From<core::net::IpAddr> for Address {
    fn from(ip: core::net::IpAddr) -> Self {
        match ip {
            core::net::IpAddr::V4(a) => Self::v4(a.octets()),
            core::net::IpAddr::V6(a) => Self::v6(a.octets()),
        }
    }
}

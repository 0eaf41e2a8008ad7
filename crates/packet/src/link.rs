//! What the link layer says of a packet: interface names, the source hardware address, the packet
//! type; and the way from a captured frame of any supported link type to its IP header.

/// An interface name: at most 15 bytes, no NUL (Linux `IFNAMSIZ`), zero padded.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName([u8; 16]);

impl InterfaceName {
    /// From text; `None` when empty, longer than 15 bytes, or holding NUL, `/` or white space.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        let bad = |b: &u8| *b == 0 || *b == b'/' || b.is_ascii_whitespace();
        if bytes.is_empty() || bytes.len() > 15 || bytes.iter().any(bad) {
            return None;
        }
        let mut octets = [0; 16];
        for (to, from) in octets.iter_mut().zip(bytes) {
            *to = *from;
        }
        Some(Self(octets))
    }

    /// The zero-padded octets.
    #[must_use]
    pub const fn octets(&self) -> &[u8; 16] {
        &self.0
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(self.0.len());
        core::str::from_utf8(self.0.get(..len).unwrap_or(&[])).unwrap_or("")
    }
}

impl core::fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

/// To whom the frame was addressed (Linux `PACKET_*`, `iptables-extensions(8)` `pkttype`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PacketType {
    /// To this host.
    #[default]
    Unicast,
    /// To the broadcast hardware address.
    Broadcast,
    /// To a group hardware address.
    Multicast,
    /// To somebody else; a host drops it before any hook, a bump in the wire forwards it.
    OtherHost,
}

/// What is known of the frame the packet came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkInfo {
    /// Source hardware address, where the link has one.
    pub source: Option<[u8; 6]>,
    /// Destination hardware address, where the link has one.
    pub destination: Option<[u8; 6]>,
    /// To whom the frame was addressed.
    pub packet_type: PacketType,
}

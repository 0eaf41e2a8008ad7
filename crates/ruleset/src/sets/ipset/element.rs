//! One element: its parts, and the bytes that it is stored as and found by.

use super::types::Layout;
use keepstate_packet::{Address, Family};

/// Most bytes of a key: networks of IPv6 with ports.
pub const KEY_MAX: usize = 40;
/// Bytes of an interface name.
pub const IFACE_LENGTH: usize = 16;

/// The parts of an element; those that its type does not have are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// First address, or base of a network.
    pub ip: Address,
    /// Length of the first network's prefix.
    pub cidr: u8,
    /// Second address.
    pub ip2: Address,
    /// Length of the second network's prefix.
    pub cidr2: u8,
    /// Port; type and code of an ICMP message.
    pub port: u16,
    /// Protocol.
    pub proto: u8,
    /// Hardware address.
    pub mac: [u8; 6],
    /// Whether there is a hardware address (`bitmap:ip,mac`).
    pub has_mac: bool,
    /// Mark.
    pub mark: u32,
    /// Interface, zero padded.
    pub iface: [u8; IFACE_LENGTH],
    /// The interface is a port of a bridge.
    pub physdev: bool,
    /// Number of a set, or place in a bitmap.
    pub id: u32,
}

/// The bytes of an element without its marks. The order of sets of the kernel depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    bytes: [u8; KEY_MAX],
    length: usize,
    /// Bytes that are hashed; the rest are only compared.
    hashed: usize,
}

impl Key {
    const fn new() -> Self {
        Self { bytes: [0; KEY_MAX], length: 0, hashed: 0 }
    }

    fn push(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.length + bytes.len();
        if let Some(to) = self.bytes.get_mut(self.length..end) {
            to.copy_from_slice(bytes);
            self.length = end;
        }
        self
    }

    fn address(&mut self, address: Address, family: Family) -> &mut Self {
        match family {
            Family::V4 => self.push(&address.v4_octets()),
            Family::V6 => self.push(&address.0),
        }
    }

    /// All bytes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }

    /// The bytes that are hashed.
    #[inline]
    #[must_use]
    pub fn hashed(&self) -> &[u8] {
        self.bytes.get(..self.hashed).unwrap_or(&[])
    }
}

/// Bytes of a key of this layout.
#[must_use]
pub fn width(layout: Layout, family: Family) -> usize {
    pack(layout, family, &Element::default()).length
}

/// The key of an element. Prefix lengths are at least 1 where one byte holds them with a mark.
#[must_use]
pub fn pack(layout: Layout, family: Family, e: &Element) -> Key {
    let mut key = Key::new();
    let port = e.port.to_be_bytes();
    let less = |cidr: u8| cidr.wrapping_sub(1) & 0x7f;
    match layout {
        Layout::BitmapIp | Layout::BitmapPort | Layout::ListSet => key.push(&e.id.to_le_bytes()),
        Layout::BitmapIpMac => {
            key.push(&e.id.to_le_bytes()).push(&e.mac).push(&[u8::from(e.has_mac), 0])
        }
        Layout::HashIp => key.address(e.ip, family),
        Layout::HashIpMark => key.address(e.ip, family).push(&e.mark.to_le_bytes()),
        Layout::HashIpPort => key.address(e.ip, family).push(&port).push(&[e.proto, 0]),
        Layout::HashIpPortIp => {
            key.address(e.ip, family).address(e.ip2, family).push(&port).push(&[e.proto, 0])
        }
        Layout::HashIpPortNet => {
            let key = key.address(e.ip, family).address(e.ip2, family);
            key.push(&port).push(&[less(e.cidr2), e.proto])
        }
        Layout::HashIpMac => key.address(e.ip, family).push(&e.mac).push(&[0, 0]),
        Layout::HashMac => key.push(&e.mac).push(&[0, 0]),
        Layout::HashNet => key.address(e.ip, family).push(&[0, 0, 0, e.cidr]),
        Layout::HashNetPort => key.address(e.ip, family).push(&port).push(&[e.proto, less(e.cidr)]),
        Layout::HashNetNet => {
            key.address(e.ip, family).address(e.ip2, family).push(&[0, 0, e.cidr, e.cidr2])
        }
        Layout::HashNetPortNet => {
            let key = key.address(e.ip, family).address(e.ip2, family);
            key.push(&port).push(&[e.cidr, e.cidr2, 0, 0, 0, e.proto])
        }
        Layout::HashNetIface => {
            key.address(e.ip, family).push(&[u8::from(e.physdev), e.cidr, 0, 1]).push(&e.iface)
        }
    };
    key.hashed = match layout {
        Layout::HashNetIface => key.length - IFACE_LENGTH,
        _ => key.length,
    };
    key
}

/// Reads what [`pack`] wrote.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((first, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *first
    }

    fn address(&mut self, family: Family) -> Address {
        match family {
            Family::V4 => Address::v4(self.take()),
            Family::V6 => Address::v6(self.take()),
        }
    }

    fn port(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }
}

/// The element of a key.
#[must_use]
pub fn unpack(layout: Layout, family: Family, bytes: &[u8]) -> Element {
    let mut e = Element::default();
    let mut from = Reader(bytes);
    match layout {
        Layout::BitmapIp | Layout::BitmapPort | Layout::ListSet => {
            e.id = u32::from_le_bytes(from.take());
        }
        Layout::BitmapIpMac => {
            e.id = u32::from_le_bytes(from.take());
            e.mac = from.take();
            let [has_mac] = from.take();
            e.has_mac = has_mac != 0;
        }
        Layout::HashMac => e.mac = from.take(),
        _ => {
            e.ip = from.address(family);
            rest_of_hash(layout, family, &mut from, &mut e);
        }
    }
    e
}

/// What stands behind the first address.
fn rest_of_hash(layout: Layout, family: Family, from: &mut Reader<'_>, e: &mut Element) {
    match layout {
        Layout::HashIpMark => e.mark = u32::from_le_bytes(from.take()),
        Layout::HashIpPort => {
            e.port = from.port();
            [e.proto] = from.take();
        }
        Layout::HashIpPortIp => {
            e.ip2 = from.address(family);
            e.port = from.port();
            [e.proto] = from.take();
        }
        Layout::HashIpPortNet => {
            e.ip2 = from.address(family);
            e.port = from.port();
            [e.cidr2, e.proto] = from.take();
            e.cidr2 += 1;
        }
        Layout::HashIpMac => e.mac = from.take(),
        Layout::HashNet => [_, _, _, e.cidr] = from.take(),
        Layout::HashNetPort => {
            e.port = from.port();
            [e.proto, e.cidr] = from.take();
            e.cidr += 1;
        }
        Layout::HashNetNet => {
            e.ip2 = from.address(family);
            [_, _, e.cidr, e.cidr2] = from.take();
        }
        Layout::HashNetPortNet => {
            e.ip2 = from.address(family);
            e.port = from.port();
            [e.cidr, e.cidr2, _, _, _, e.proto] = from.take();
        }
        Layout::HashNetIface => {
            let [physdev, cidr, _, _] = from.take();
            (e.physdev, e.cidr) = (physdev != 0, cidr);
            e.iface = from.take();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::ipset::types::SETS;

    #[test]
    fn an_element_comes_back_from_its_key() {
        for family in [Family::V4, Family::V6] {
            for kind in SETS {
                let mut octets = [0; 16];
                octets[0] = 10;
                octets[3] = 7;
                let all = Element {
                    ip: Address(octets),
                    cidr: 24,
                    ip2: Address(octets),
                    cidr2: 32,
                    port: 443,
                    proto: 6,
                    mac: [1, 2, 3, 4, 5, 6],
                    has_mac: true,
                    mark: 0x1234_5678,
                    iface: *b"eth0\0\0\0\0\0\0\0\0\0\0\0\0",
                    physdev: true,
                    id: 0x0102_0304,
                };
                let key = pack(kind.layout, family, &all);
                let back = unpack(kind.layout, family, key.bytes());
                assert_eq!(pack(kind.layout, family, &back), key, "{}", kind.name);
                assert!(key.bytes().len() <= KEY_MAX);
            }
        }
    }
}

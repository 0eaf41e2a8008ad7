//! Hardware addresses of Ethernet, and the EtherTypes that have a name, as arptables and ebtables
//! read and print them.

use alloc::string::String;
use core::fmt::Write;

/// An address and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// Address, already masked.
    pub address: [u8; 6],
    /// Mask.
    pub mask: [u8; 6],
}

const ALL: [u8; 6] = [0xff; 6];
const GROUP: [u8; 6] = [1, 0, 0, 0, 0, 0];

/// Names of addresses, as printed; read in any case.
const NAMES: [(&str, Hardware); 4] = [
    ("Unicast", Hardware { address: [0; 6], mask: GROUP }),
    ("Multicast", Hardware { address: GROUP, mask: GROUP }),
    ("Broadcast", Hardware { address: ALL, mask: ALL }),
    ("BGA", Hardware { address: [1, 0x80, 0xc2, 0, 0, 0], mask: ALL }),
];

impl Hardware {
    /// `ADDRESS[/MASK]` or a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((_, named)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Some(*named);
        }
        let (address, mask) = match text.split_once('/') {
            None => (octets(text)?, ALL),
            Some((address, mask)) => (octets(address)?, octets(mask)?),
        };
        let mut masked = address;
        masked.iter_mut().zip(mask).for_each(|(octet, mask)| *octet &= mask);
        Some(Self { address: masked, mask })
    }

    /// Whether an address is meant.
    #[must_use]
    pub fn contains(&self, address: [u8; 6]) -> bool {
        let mut same = address.iter().zip(self.address).zip(self.mask);
        same.all(|((found, wanted), mask)| found & mask == wanted)
    }

    /// Its name, where it has one.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        NAMES.iter().find(|(_, named)| named == self).map(|(name, _)| *name)
    }

    /// Whether no bit counts.
    #[must_use]
    pub fn is_anything(&self) -> bool {
        self.mask == [0; 6]
    }

    /// Appends it in numbers.
    pub fn print(&self, out: &mut String) {
        print_octets(out, self.address);
        if self.mask != ALL {
            out.push('/');
            print_octets(out, self.mask);
        }
    }
}

/// Six numbers in hexadecimal, of one or two digits. As with ether_aton(3), what stands behind two
/// digits of the last one is passed over.
#[must_use]
pub fn octets(text: &str) -> Option<[u8; 6]> {
    let mut octets = [0; 6];
    let mut parts = text.splitn(6, ':');
    for (at, octet) in octets.iter_mut().enumerate() {
        let part = parts.next()?;
        let two = part.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        let part = if at == 5 { two.unwrap_or(part) } else { part };
        let part = Some(part).filter(|part| (1..=2).contains(&part.len()))?;
        *octet = u8::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+'))?;
    }
    Some(octets)
}

/// Appends an address with two digits an octet.
pub fn print_octets(out: &mut String, octets: [u8; 6]) {
    for (at, octet) in octets.into_iter().enumerate() {
        let _ = write!(out, "{}{octet:02x}", if at == 0 { "" } else { ":" });
    }
}

/// Any EtherType below this is a length (IEEE 802.3), and stands for all of them.
pub const LENGTH: u16 = 0x0600;

/// EtherTypes by the names that the file /etc/ethertypes of a usual system has; the first one of a
/// number is printed.
const ETHERTYPES: &[(u16, &str)] = &[
    (0x0800, "IPv4"),
    (0x0800, "ip"),
    (0x0800, "ip4"),
    (0x0805, "X25"),
    (0x0806, "ARP"),
    (0x0806, "ether-arp"),
    (0x0808, "FR_ARP"),
    (0x08ff, "BPQ"),
    (0x22f3, "TRILL"),
    (0x22f4, "L2-IS-IS"),
    (0x6558, "TEB"),
    (0x6559, "RAW_FR"),
    (0x8035, "RARP"),
    (0x809b, "ATALK"),
    (0x80f3, "AARP"),
    (0x8100, "802_1Q"),
    (0x8100, "8021q"),
    (0x8100, "1q"),
    (0x8100, "802.1q"),
    (0x8100, "dot1q"),
    (0x8137, "IPX"),
    (0x8191, "NetBEUI"),
    (0x86dd, "IPv6"),
    (0x86dd, "ip6"),
    (0x880b, "PPP"),
    (0x8847, "MPLS"),
    (0x8848, "MPLS_MULTI"),
    (0x884c, "ATMMPOA"),
    (0x8863, "PPP_DISC"),
    (0x8864, "PPP_SES"),
    (0x8884, "ATMFATE"),
    (0x888e, "EAPOL"),
    (0x88a8, "S-TAG"),
    (0x88c7, "EAP_PREAUTH"),
    (0x88cc, "LLDP"),
    (0x88e5, "MACSEC"),
    (0x88e7, "PBB"),
    (0x88e7, "macinmac"),
    (0x88f5, "MVRP"),
    (0x88f7, "PTP"),
    (0x8906, "FCOE"),
    (0x8914, "FIP"),
    (0x8915, "ROCE"),
    (0xa0ed, "LoWPAN"),
];

/// The EtherType of a name.
#[must_use]
pub fn ethertype_named(name: &str) -> Option<u16> {
    let found = ETHERTYPES.iter().find(|(_, one)| one.eq_ignore_ascii_case(name));
    found.map(|(number, _)| *number)
}

/// The name of an EtherType.
#[must_use]
pub fn ethertype_name(number: u16) -> Option<&'static str> {
    ETHERTYPES.iter().find(|(one, _)| *one == number).map(|(_, name)| *name)
}

/// The names of EtherTypes.
pub fn ethertype_names() -> impl Iterator<Item = &'static str> + Clone {
    ETHERTYPES.iter().map(|(_, name)| *name)
}

/// What ARP packets are for (the opcode), by name, from 1 on.
pub const OPCODES: [&str; 9] = [
    "Request",
    "Reply",
    "Request_Reverse",
    "Reply_Reverse",
    "DRARP_Request",
    "DRARP_Reply",
    "DRARP_Error",
    "InARP_Request",
    "ARP_NAK",
];

/// The opcode of a name.
#[must_use]
pub fn opcode_named(name: &str) -> Option<u16> {
    (1..).zip(OPCODES).find(|(_, one)| one.eq_ignore_ascii_case(name)).map(|(number, _)| number)
}

/// The name of an opcode.
#[must_use]
pub fn opcode_name(opcode: u16) -> Option<&'static str> {
    OPCODES.get(usize::from(opcode).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn printed(text: &str) -> Option<String> {
        let mut out = String::new();
        Hardware::parse(text)?.print(&mut out);
        Some(out)
    }

    #[test]
    fn addresses() {
        for (text, wanted) in [
            ("0:1:2:a:B:fF", Some("00:01:02:0a:0b:ff")),
            ("1:2:3:4:5:6/ff:ff:0:0:0:0", Some("01:02:00:00:00:00/ff:ff:00:00:00:00")),
            ("1:2:3:4:5:6/ff:ff:ff:ff:ff:ff", Some("01:02:03:04:05:06")),
            ("unicast", Some("00:00:00:00:00:00/01:00:00:00:00:00")),
            ("BGA", Some("01:80:c2:00:00:00")),
            ("1:2:3:4:5", None),
            ("1:2:3:4:5:6:7", None),
            ("1:2:3:4:5:66:7", Some("01:02:03:04:05:66")),
            ("1:2:3:4:5:006", Some("01:02:03:04:05:00")),
            ("1:2:3:4:005:6", None),
            ("1:2:3:4:5:+6", None),
            ("1:2:3:4:5:6/", None),
            ("1:2:3:4:5:6/48", None),
            ("", None),
        ] {
            assert_eq!(printed(text).as_deref(), wanted, "{text}");
        }
        let name = |text: &str| Hardware::parse(text).and_then(|one| one.name());
        assert_eq!(name("ff:ff:ff:ff:ff:ff"), Some("Broadcast"));
        assert_eq!(name("1:0:0:0:0:0/1:0:0:0:0:0"), Some("Multicast"));
        assert_eq!(name("1:0:0:0:0:0"), None);
        let vendor = Hardware::parse("1:2:3:0:0:0/ff:ff:ff:0:0:0").unwrap();
        assert!(vendor.contains([1, 2, 3, 9, 9, 9]) && !vendor.contains([1, 2, 4, 9, 9, 9]));
        assert!(Hardware::parse("1:2:3:4:5:6/0:0:0:0:0:0").unwrap().is_anything());
    }

    #[test]
    fn names() {
        assert_eq!(ethertype_named("IP"), Some(0x0800));
        assert_eq!(ethertype_name(0x8100), Some("802_1Q"));
        assert_eq!(opcode_named("arp_nak"), Some(9));
        assert_eq!(
            (opcode_name(1), opcode_name(0), opcode_name(10)),
            (Some("Request"), None, None)
        );
        assert!(
            ETHERTYPES.is_sorted_by_key(|(number, _)| *number),
            "{}",
            format!("{ETHERTYPES:?}")
        );
    }
}

//! Neighbour discovery (RFC 4861): what is heard of solicitations and advertisements, and the packets
//! that are sent, from the IPv6 header on.

use super::Hardware;
use keepstate_packet::checksum::{self, Sum, Verified};
use keepstate_packet::icmpv6::{NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, PROTOCOL};
use keepstate_packet::{Address, Family, L4, Parsed};

/// What only a neighbour can have sent: no router has passed it on.
const HOP_LIMIT: u8 = 255;
/// Bytes of a solicitation or an advertisement without options.
const MESSAGE_LENGTH: usize = 24;
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;
/// Most options of a message that are looked at: as many as its bytes can hold in a jumbo-less packet
/// would take long, and nobody sends more than a few.
pub const OPTIONS_MAX: usize = 16;

const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// All nodes on the link.
pub const ALL_NODES: Address = Address::v6([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// Something about IPv6 addresses on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Who has the target?
    Solicitation {
        /// Who asks; `None` for one that has no address yet and asks whether this one is free.
        sender: Option<Address>,
        /// Where it is, where it says so.
        hardware: Option<Hardware>,
        /// Who is asked for.
        target: Address,
    },
    /// Here is the target.
    Advertisement {
        /// Who it is about.
        target: Address,
        /// Where it is, where it says so.
        hardware: Option<Hardware>,
        /// It answers a question.
        is_solicited: bool,
        /// What was known before is no longer so.
        overrides: bool,
    },
}

impl Heard {
    /// From a packet, its IP header first; `None` for anything else and for messages that are not to
    /// be believed (RFC 4861, 7.1.1 and 7.1.2; RFC 6980).
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Self> {
        let parsed = Parsed::of_family(Family::V6, packet).ok()?;
        let L4::Icmpv6(header) = &parsed.l4 else { return None };
        if parsed.ttl != HOP_LIMIT || header.code != 0 || parsed.fragment.is_some() {
            return None;
        }
        let message = parsed.l4_bytes(packet);
        let target = Address::v6(*message.get(8..MESSAGE_LENGTH)?.first_chunk()?);
        if is_group(target) || checksum::verify(&parsed, packet) != Verified::Valid {
            return None;
        }
        let options = message.get(MESSAGE_LENGTH..)?;
        match header.kind {
            NEIGHBOUR_SOLICITATION => solicitation(&parsed, target, options),
            NEIGHBOUR_ADVERTISEMENT => {
                let flags = (header.rest >> 24) as u8;
                let is_solicited = flags & SOLICITED != 0;
                if is_solicited && is_group(parsed.destination) {
                    return None;
                }
                let hardware = link_address(options, TARGET_LINK_ADDRESS)?;
                let overrides = flags & OVERRIDE != 0;
                Some(Self::Advertisement { target, hardware, is_solicited, overrides })
            }
            _ => None,
        }
    }
}

fn solicitation(parsed: &Parsed, target: Address, options: &[u8]) -> Option<Heard> {
    let hardware = link_address(options, SOURCE_LINK_ADDRESS)?;
    let sender = Some(parsed.source).filter(|source| *source != Address::default());
    // Who has no address asks the group of those that might have it, and is nowhere yet.
    if sender.is_none() && (hardware.is_some() || !is_solicited_node(parsed.destination)) {
        return None;
    }
    Some(Heard::Solicitation { sender, hardware, target })
}

/// The link-layer address in the options; `Some(None)` without one, `None` when an option is empty or
/// not whole, and then the message is not to be believed.
fn link_address(mut options: &[u8], wanted: u8) -> Option<Option<Hardware>> {
    let mut found = None;
    for _ in 0..OPTIONS_MAX {
        let Some(kind) = options.first() else { return Some(found) };
        let length = usize::from(*options.get(1)?) * 8;
        let option = options.get(..length).filter(|option| !option.is_empty())?;
        if *kind == wanted && length == 8 {
            found = option.get(2..8).and_then(<[u8]>::first_chunk).copied();
            found = found.filter(|hardware| super::is_station(*hardware));
        }
        options = options.get(length..)?;
    }
    options.is_empty().then_some(found)
}

fn is_group(address: Address) -> bool {
    address.0[0] == 0xff
}

fn is_solicited_node(address: Address) -> bool {
    address.0[..13] == [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]
}

/// The group that whoever has this address listens to (RFC 4291, 2.7.1).
#[must_use]
pub const fn solicited_node(address: Address) -> Address {
    let [.., a, b, c] = address.0;
    Address::v6([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// The packet that asks for `target`: all that might have it, or the one that had it.
#[must_use]
pub fn ask(own: Hardware, source: Address, target: Address, is_known: bool) -> Vec<u8> {
    let to = if is_known { target } else { solicited_node(target) };
    let option = (SOURCE_LINK_ADDRESS, own);
    message((source, to), NEIGHBOUR_SOLICITATION, 0, target, option)
}

/// The packet that says to who has asked that `target` is at `own`. `is_address`: it is an address
/// of this router itself, not one that it answers for in another's place.
#[must_use]
pub fn answer(own: Hardware, asked: Option<Address>, target: Address, is_address: bool) -> Vec<u8> {
    let solicited = if asked.is_some() { SOLICITED } else { 0 };
    let overrides = if is_address { OVERRIDE } else { 0 };
    let flags = ROUTER | solicited | overrides;
    let addresses = (target, asked.unwrap_or(ALL_NODES));
    message(addresses, NEIGHBOUR_ADVERTISEMENT, flags, target, (TARGET_LINK_ADDRESS, own))
}

fn message(
    (source, destination): (Address, Address),
    kind: u8,
    flags: u8,
    target: Address,
    (option, own): (u8, Hardware),
) -> Vec<u8> {
    const LENGTH: u16 = MESSAGE_LENGTH as u16 + 8;
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&LENGTH.to_be_bytes());
    packet.extend_from_slice(&[PROTOCOL, HOP_LIMIT]);
    packet.extend_from_slice(&source.0);
    packet.extend_from_slice(&destination.0);
    let start = packet.len();
    packet.extend_from_slice(&[kind, 0, 0, 0, flags, 0, 0, 0]);
    packet.extend_from_slice(&target.0);
    packet.extend_from_slice(&[option, 1]);
    packet.extend_from_slice(&own);
    let sum = Sum::ZERO.bytes(&source.0).bytes(&destination.0).number(LENGTH);
    let sum = sum.number(u16::from(PROTOCOL)).bytes(&packet[start..]);
    packet[start + 2..start + 4].copy_from_slice(&sum.checksum().to_be_bytes());
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Hardware = [2, 0, 0, 0, 0, 1];

    fn address(last: u8) -> Address {
        Address::v6([0xfd, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, last])
    }

    /// The checksum made right again after a change.
    fn sealed(mut packet: Vec<u8>) -> Vec<u8> {
        packet[42..44].fill(0);
        let length = (packet.len() - 40) as u16;
        let sum = Sum::ZERO.bytes(&packet[8..40]).number(length).number(58).bytes(&packet[40..]);
        packet[42..44].copy_from_slice(&sum.checksum().to_be_bytes());
        packet
    }

    #[test]
    fn questions_and_answers() {
        let asked = ask(OWN, address(1), address(2), false);
        assert_eq!(asked[24..40], solicited_node(address(2)).0);
        let (sender, hardware, target) = (Some(address(1)), Some(OWN), address(2));
        let heard = Heard::Solicitation { sender, hardware, target };
        assert_eq!(Heard::read(&asked), Some(heard));
        let told = answer(OWN, Some(address(2)), address(1), true);
        let (is_solicited, overrides) = (true, true);
        let target = address(1);
        let heard = Heard::Advertisement { target, hardware, is_solicited, overrides };
        assert_eq!(Heard::read(&told), Some(heard));
        // Who asks whether an address is free is told with all others, without being named.
        let told = answer(OWN, None, address(1), true);
        assert_eq!(told[24..40], ALL_NODES.0);
        let (is_solicited, overrides) = (false, true);
        let heard = Heard::Advertisement { target, hardware, is_solicited, overrides };
        assert_eq!(Heard::read(&told), Some(heard));
    }

    #[test]
    fn a_free_address_is_asked_for_by_nobody() {
        let mut probe = ask(OWN, Address::default(), address(2), false);
        assert_eq!(Heard::read(&probe), None, "it names a place");
        probe.truncate(40 + MESSAGE_LENGTH);
        probe[5] = MESSAGE_LENGTH as u8;
        let probe = sealed(probe);
        let heard = Heard::Solicitation { sender: None, hardware: None, target: address(2) };
        assert_eq!(Heard::read(&probe), Some(heard));
        let mut to_one = probe;
        to_one[24..40].copy_from_slice(&address(2).0);
        assert_eq!(Heard::read(&sealed(to_one)), None);
    }

    #[test]
    fn what_is_not_to_be_believed() {
        let good = ask(OWN, address(1), address(2), false);
        let with = |at: usize, value: u8| {
            let mut packet = good.clone();
            packet[at] = value;
            sealed(packet)
        };
        assert!(Heard::read(&with(60, 9)).is_some());
        for (at, value, why) in [
            (7, 254, "a router has passed it on"),
            (41, 1, "a code"),
            (48, 0xff, "a group as target"),
            (65, 0, "an empty option"),
            (65, 2, "an option that is not whole"),
            (40, 133, "another message"),
        ] {
            assert_eq!(Heard::read(&with(at, value)), None, "{why}");
        }
        let mut wrong = good.clone();
        wrong[43] ^= 1;
        assert_eq!(Heard::read(&wrong), None, "its checksum is wrong");
        for length in 0..good.len() {
            assert_eq!(Heard::read(&good[..length]), None);
        }
        let solicited = answer(OWN, Some(ALL_NODES), address(1), true);
        assert_eq!(Heard::read(&solicited), None, "nobody answers all");
        // A place that is no station's is as good as none.
        let heard = Heard::read(&with(66, 3)).expect("a solicitation");
        assert!(matches!(heard, Heard::Solicitation { hardware: None, .. }));
    }

    #[test]
    fn options_are_counted() {
        let with = |count: usize| {
            let mut packet = ask(OWN, address(1), address(2), false);
            for _ in 1..count {
                packet.extend_from_slice(&[14, 1, 0, 0, 0, 0, 0, 0]);
            }
            let length = (packet.len() - 40) as u16;
            packet[4..6].copy_from_slice(&length.to_be_bytes());
            sealed(packet)
        };
        assert!(Heard::read(&with(OPTIONS_MAX)).is_some());
        assert!(Heard::read(&with(OPTIONS_MAX + 1)).is_none());
    }
}

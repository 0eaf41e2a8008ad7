//! Address resolution over Ethernet (RFC 826): what is heard, and the frames that are sent. A request
//! from nobody (RFC 5227) asks whether anybody has an address; one about the sender itself tells all.

use super::Hardware;
use keepstate_packet::{arp, ethernet::HEADER_LENGTH};

/// EtherType of ARP.
pub const ETHERTYPE: u16 = 0x0806;

/// Bytes of the frames that are sent.
pub const FRAME_LENGTH: usize = HEADER_LENGTH + arp::LENGTH;

/// To all on the link.
pub const BROADCAST: Hardware = [0xff; 6];

const ETHERNET: u16 = 1;
/// IEEE 802 networks number themselves so.
const IEEE_802: u16 = 6;
const IPV4: u16 = 0x0800;

/// Something about IPv4 addresses on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// It asks for the target; else it answers.
    pub is_request: bool,
    /// Who speaks: hardware address.
    pub hardware: Hardware,
    /// Who speaks; 0.0.0.0 for one that has no address yet.
    pub sender: [u8; 4],
    /// Who is asked for, or answered.
    pub target: [u8; 4],
}

impl Heard {
    /// From a packet, behind the link header; `None` for what is not about IPv4 over Ethernet, and
    /// when who speaks is not one station (RFC 1812, 3.3.2).
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Self> {
        let read = arp::Arp::read(packet)?;
        let is_ours = matches!(read.hardware_type, ETHERNET | IEEE_802)
            && read.protocol_type == IPV4
            && (read.hardware_length, read.protocol_length) == (6, 4);
        let is_request = match read.opcode {
            arp::REQUEST => true,
            arp::REPLY => false,
            _ => return None,
        };
        let hardware = read.sender_hardware;
        let heard = Self { is_request, hardware, sender: read.sender, target: read.target };
        (is_ours && super::is_station(hardware)).then_some(heard)
    }

    /// Whether it tells all on the link about its sender.
    #[must_use]
    pub fn is_gratuitous(&self) -> bool {
        self.sender == self.target
    }
}

/// The frame that asks for `target`: all on the link, or one station whether it is still there.
#[must_use]
pub fn request(
    own: Hardware,
    sender: [u8; 4],
    target: [u8; 4],
    to: Option<Hardware>,
) -> [u8; FRAME_LENGTH] {
    frame(arp::REQUEST, to.unwrap_or(BROADCAST), (own, sender), (to.unwrap_or([0; 6]), target))
}

/// The frame that says to who has asked that `target` is at `own`.
#[must_use]
pub fn reply(own: Hardware, asked: &Heard) -> [u8; FRAME_LENGTH] {
    let to = asked.hardware;
    frame(arp::REPLY, to, (own, asked.target), (to, asked.sender))
}

/// The frame that tells all on the link that an address is at `own`.
#[must_use]
pub fn announcement(own: Hardware, address: [u8; 4]) -> [u8; FRAME_LENGTH] {
    frame(arp::REQUEST, BROADCAST, (own, address), ([0; 6], address))
}

fn frame(
    opcode: u16,
    to: Hardware,
    (own, sender): (Hardware, [u8; 4]),
    (target_hardware, target): (Hardware, [u8; 4]),
) -> [u8; FRAME_LENGTH] {
    let mut frame = [0; FRAME_LENGTH];
    let mut rest = frame.as_mut_slice();
    let parts: [&[u8]; 9] = [
        &to,
        &own,
        &ETHERTYPE.to_be_bytes(),
        &[0, 1, 8, 0, 6, 4],
        &opcode.to_be_bytes(),
        &own,
        &sender,
        &target_hardware,
        &target,
    ];
    for part in parts {
        if let Some(place) = rest.split_off_mut(..part.len()) {
            place.copy_from_slice(part);
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Hardware = [2, 0, 0, 0, 0, 1];
    const OTHER: Hardware = [2, 0, 0, 0, 0, 9];

    #[test]
    fn a_request_is_heard_and_answered() {
        let asked = request(OTHER, [10, 0, 0, 9], [10, 0, 0, 1], None);
        assert_eq!(asked[..6], BROADCAST);
        let heard = Heard::read(&asked[HEADER_LENGTH..]).expect("a request");
        assert!(heard.is_request && !heard.is_gratuitous());
        let answer = reply(OWN, &heard);
        assert_eq!((&answer[..6], &answer[6..12]), (&OTHER[..], &OWN[..]));
        let heard = Heard::read(&answer[HEADER_LENGTH..]).expect("a reply");
        let told = Heard {
            is_request: false,
            hardware: OWN,
            sender: [10, 0, 0, 1],
            target: [10, 0, 0, 9],
        };
        assert_eq!(heard, told);
    }

    #[test]
    fn an_announcement_is_about_its_sender() {
        let frame = announcement(OWN, [10, 0, 0, 1]);
        assert!(Heard::read(&frame[HEADER_LENGTH..]).expect("a request").is_gratuitous());
    }

    #[test]
    fn other_networks_and_impossible_stations_are_not_heard() {
        let good = request(OTHER, [10, 0, 0, 9], [10, 0, 0, 1], None);
        let good = &good[HEADER_LENGTH..];
        // Types, lengths, opcode; the sender as a group and as nobody.
        for (at, value) in [(1, 2), (2, 9), (4, 5), (5, 16), (7, 3), (8, 3)] {
            let mut bad = good.to_vec();
            bad[at] = value;
            assert_eq!(Heard::read(&bad), None, "byte {at}");
        }
        let mut nobody = good.to_vec();
        nobody[8..14].fill(0);
        assert_eq!(Heard::read(&nobody), None);
        for length in 0..arp::LENGTH {
            assert_eq!(Heard::read(&good[..length]), None);
        }
    }
}

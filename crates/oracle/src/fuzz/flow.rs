//! Who talks to whom: few addresses and ports, so that conversations meet.

use super::draft::Network;
use super::random::Random;
use crate::observation::Side;
use keepstate_packet::{Address, Family};

/// Networks behind side A, as [`crate::kernel::Config::inside`] takes them.
pub const INSIDE: [&str; 2] = ["10.0.0.0/8", "fd00:a::/32"];

/// Two endpoints; end 0 opens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) family: Family,
    pub(crate) addresses: [Address; 2],
    pub(crate) ports: [u16; 2],
    pub(crate) sides: [Side; 2],
}

impl Flow {
    pub(crate) fn new(random: &mut Random, server_ports: &[u16]) -> Self {
        let family = if random.chance(65) { Family::V4 } else { Family::V6 };
        let inside_opens = random.chance(60);
        let sides = if inside_opens { [Side::A, Side::B] } else { [Side::B, Side::A] };
        let host = [random.below(2) as u8 + 1, random.below(2) as u8 + 1];
        let address = |side: Side, host: u8| address(family, side, host);
        Self {
            family,
            addresses: [address(sides[0], host[0]), address(sides[1], host[1])],
            ports: [1024 + random.below(4) as u16, random.pick(server_ports)],
            sides,
        }
    }

    /// The network part of a packet from `end`.
    pub(crate) fn network(&self, end: usize, random: &mut Random) -> Network {
        Network {
            family: self.family,
            source: self.addresses[end],
            destination: self.addresses[1 - end],
            ttl: random.pick(&[64, 64, 64, 128, 255]),
            tos: 0,
            identification: random.half(),
        }
    }
}

/// Host `host` of a side.
pub(crate) fn address(family: Family, side: Side, host: u8) -> Address {
    match (family, side) {
        (Family::V4, Side::A) => Address::v4([10, 1, 0, host]),
        (Family::V4, Side::B) => Address::v4([198, 51, 100, host]),
        (Family::V6, side) => {
            let mut octets = [0; 16];
            octets[..2].copy_from_slice(&if side == Side::A { [0xfd, 0] } else { [0x20, 1] });
            octets[3] = if side == Side::A { 0x0a } else { 0x0b };
            octets[15] = host;
            Address::v6(octets)
        }
    }
}

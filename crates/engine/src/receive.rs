//! What the IP layer looks at before any hook: whether there is a whole packet, the IPv4 header
//! checksum, IPv6 addresses that never are on a wire, IPv6 hop-by-hop options.

use crate::cause::Cause;
use keepstate_packet::{Address, Family, L4, Malformed, Parsed, Quoted, checksum, ipv6};

/// Why a packet ends before its first hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Without a word.
    Silently(Cause),
    /// With an ICMPv6 parameter problem: code, and which octet of the packet is at fault.
    ParameterProblem { code: u8, pointer: u16 },
}

/// Parses a packet, straight into where the caller keeps it.
#[inline(always)]
pub(crate) fn parse(bytes: &[u8], family: Option<Family>) -> Result<Parsed, Malformed> {
    match family {
        Some(family) => Parsed::of_family(family, bytes),
        None => Parsed::new(bytes),
    }
}

/// Checks a packet that came in.
#[inline]
pub(crate) fn admit(parsed: &Parsed, bytes: &[u8]) -> Result<(), Refused> {
    match parsed.family {
        Family::V4 if !checksum::ipv4_header_valid(bytes) => {
            Err(Refused::Silently(Cause::BadChecksum))
        }
        Family::V6 if never_on_a_wire(parsed.source, parsed.destination) => {
            Err(Refused::Silently(Cause::Martian))
        }
        Family::V4 | Family::V6 => Ok(()),
    }
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Short => Self::Silently(Cause::Short),
            Malformed::Version | Malformed::HeaderLength | Malformed::HopByHop => {
                Self::Silently(Cause::Malformed)
            }
            Malformed::ParameterProblem { code, pointer } => {
                Self::ParameterProblem { code, pointer }
            }
        }
    }
}

/// Group and loopback sources, loopback destinations, groups of reserved or interface-local scope
/// (RFC 4291, 2.5.3 and 2.7).
fn never_on_a_wire(source: Address, destination: Address) -> bool {
    const LOOPBACK: Address = Address::v6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let scope_too_small = destination.0[0] == 0xff && destination.0[1] & 0x0f < 2;
    source.0[0] == 0xff || source == LOOPBACK || destination == LOOPBACK || scope_too_small
}

/// As much of an IPv6 packet whose hop-by-hop options are wrong as an answer needs; `None` when
/// its addresses take no answer.
pub(crate) fn faulty(bytes: &[u8]) -> Option<Parsed> {
    let header = bytes.first_chunk::<{ ipv6::HEADER_LENGTH }>()?;
    let quoted = Quoted::new(Family::V6, bytes);
    let source = Address::v6(*header.get(8..)?.first_chunk()?);
    let destination = Address::v6(*header.get(24..)?.first_chunk()?);
    let length = ipv6::HEADER_LENGTH + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let upper = quoted.map_or(0, |quoted| quoted.l4.len());
    (!never_on_a_wire(source, destination)).then_some(Parsed {
        family: Family::V6,
        protocol: quoted.map_or(ipv6::HOP_BY_HOP, |quoted| quoted.protocol),
        ttl: header[7],
        tos: header[0] << 4 | header[1] >> 4,
        source,
        destination,
        length: length.min(bytes.len()) as u32,
        l4_offset: (bytes.len() - upper).min(length) as u32,
        header_length: ipv6::HEADER_LENGTH as u16,
        has_options: true,
        fragment: None,
        l4: L4::Other,
    })
}

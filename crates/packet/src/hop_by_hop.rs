//! IPv6 hop-by-hop options (RFC 8200, 4.3), which every host on the path looks at before anything
//! else does, and the jumbo payload option among them (RFC 2675).
//!
//! What makes Linux drop a packet here, and what makes it answer, was found by asking it. CALIPSO
//! (RFC 5570) is the one difference: Linux checks the checksum in it, here every such packet drops.

use crate::Malformed;
use crate::ipv6::HEADER_LENGTH;
use crate::read::be32;

/// Most options besides padding in one header (`net.ipv6.max_hbh_opts_number`).
pub const OPTIONS_MAX: usize = 8;
/// Most bytes of padding between two options, and after the last.
pub const PADDING_MAX: usize = 7;

const PAD1: u8 = 0;
const PADN: u8 = 1;
const ROUTER_ALERT: u8 = 5;
const CALIPSO: u8 = 7;
const IOAM: u8 = 0x31;
const JUMBO_PAYLOAD: u8 = 0xc2;

/// Code of a parameter problem: a field that cannot be.
const ERRONEOUS_FIELD: u8 = 0;
/// Code of a parameter problem: an option that is not known.
const UNRECOGNIZED_OPTION: u8 = 2;

/// Checks the options at the head of `packet`, whose fixed header names them. Gives the length of
/// the packet: all of it, or what a jumbo payload option says.
pub(crate) fn check(packet: &[u8]) -> Result<usize, Malformed> {
    let header = packet.get(HEADER_LENGTH..).ok_or(Malformed::HopByHop)?;
    let length = header.get(1).map(|units| (usize::from(*units) + 1) * 8);
    let options = length.and_then(|length| header.get(..length)).ok_or(Malformed::HopByHop)?;
    let (mut at, mut padding, mut count) = (2, 0, 0);
    let mut packet_length = packet.len();
    while let Some(&kind) = options.get(at) {
        let size = if kind == PAD1 { 1 } else { 2 + usize::from(byte(options, at + 1)?) };
        let option = options.get(at..at + size).ok_or(Malformed::HopByHop)?;
        if kind == PAD1 || kind == PADN {
            padding += size;
            let zero = option.iter().skip(2).all(|b| *b == 0);
            if padding > PADDING_MAX || !zero {
                return Err(Malformed::HopByHop);
            }
        } else {
            (padding, count) = (0, count + 1);
            if count > OPTIONS_MAX {
                return Err(Malformed::HopByHop);
            }
            if let Some(jumbo) = known(option, at, packet)? {
                packet_length = jumbo;
            }
        }
        at += size;
    }
    Ok(packet_length)
}

/// Checks an option that is not padding; `at` counts from the hop-by-hop header. Gives the length
/// of the packet when it tells one.
fn known(option: &[u8], at: usize, packet: &[u8]) -> Result<Option<usize>, Malformed> {
    let kind = byte(option, 0)?;
    let accepted = match kind {
        JUMBO_PAYLOAD => return jumbo(option, at, packet).map(Some),
        ROUTER_ALERT => option.len() == 4,
        IOAM => at.is_multiple_of(4) && option.len() >= 4,
        CALIPSO => false,
        _ => return unknown(kind, at, packet),
    };
    if accepted { Ok(None) } else { Err(Malformed::HopByHop) }
}

/// The two highest bits of an unknown option's type say what is to become of the packet.
fn unknown(kind: u8, at: usize, packet: &[u8]) -> Result<Option<usize>, Malformed> {
    let to_group = packet.get(24) == Some(&0xff);
    match kind >> 6 {
        0 => Ok(None),
        2 => Err(problem(UNRECOGNIZED_OPTION, at)),
        3 if !to_group => Err(problem(UNRECOGNIZED_OPTION, at)),
        _ => Err(Malformed::HopByHop),
    }
}

fn jumbo(option: &[u8], at: usize, packet: &[u8]) -> Result<usize, Malformed> {
    let claimed = be32(option, 2).ok_or(Malformed::HopByHop)? as usize;
    if option.len() != 6 || at % 4 != 2 {
        Err(Malformed::HopByHop)
    } else if claimed <= usize::from(u16::MAX) {
        Err(problem(ERRONEOUS_FIELD, at + 2))
    } else if packet.get(4..6) != Some(&[0, 0]) {
        Err(problem(ERRONEOUS_FIELD, at))
    } else if claimed > packet.len() - HEADER_LENGTH {
        Err(Malformed::Short)
    } else {
        Ok(HEADER_LENGTH + claimed)
    }
}

fn problem(code: u8, at: usize) -> Malformed {
    Malformed::ParameterProblem { code, pointer: (HEADER_LENGTH + at) as u16 }
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, Malformed> {
    bytes.get(at).copied().ok_or(Malformed::HopByHop)
}

#[cfg(test)]
mod tests;

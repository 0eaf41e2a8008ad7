//! `--source-mac --destination-mac --h-length --opcode --h-type --proto-type` of arptables(8); `-s` and
//! `-d` are the addresses of the rule itself.
//!
//! A rule that says nothing of them asks for hardware of type 1 (Ethernet) with addresses of 6 bytes,
//! and every rule for protocol addresses of 4. Masks of numbers are kept and printed; what is compared
//! is the whole number, as iptables-nft has it compared.

use crate::explain::{Piece, Pieces, either};
use crate::extension::hardware::{Hardware, opcode_name};
use crate::extension::values;
use crate::model::Inverted;
use alloc::{format, string::String};
use core::fmt::Write;
use keepstate_packet::arp;

/// A number and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masked {
    /// Number.
    pub value: u16,
    /// Mask.
    pub mask: u16,
}

/// The header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArpHeader {
    /// `--source-mac`.
    pub source: Option<Inverted<Hardware>>,
    /// `--destination-mac`.
    pub destination: Option<Inverted<Hardware>>,
    /// `--h-length`; a length of 6 in any case.
    pub length: Inverted<Masked>,
    /// `--opcode`.
    pub opcode: Option<Inverted<Masked>>,
    /// `--h-type`; Ethernet where nothing is said.
    pub kind: Inverted<Masked>,
    /// `--proto-type`.
    pub protocol: Option<Inverted<Masked>>,
}

/// A length of hardware addresses.
pub const LENGTH: Masked = Masked { value: 6, mask: 0xff };
/// Ethernet, of hardware.
pub const ETHERNET: Masked = Masked { value: 1, mask: 0xffff };

impl Default for ArpHeader {
    fn default() -> Self {
        Self {
            source: None,
            destination: None,
            length: Inverted { inverted: false, value: LENGTH },
            opcode: None,
            kind: Inverted { inverted: false, value: ETHERNET },
            protocol: None,
        }
    }
}

impl ArpHeader {
    pub(super) fn matches(&self, bytes: &[u8]) -> bool {
        let Some(packet) = arp::Arp::read(bytes) else { return false };
        let number =
            |wanted: Inverted<Masked>, found: u16| (found == wanted.value.value) != wanted.inverted;
        let hardware = |wanted: Option<Inverted<Hardware>>, found: [u8; 6]| {
            wanted.is_none_or(|wanted| wanted.value.contains(found) != wanted.inverted)
        };
        number(self.kind, packet.hardware_type)
            && number(self.length, packet.hardware_length.into())
            && packet.protocol_length == 4
            && self.opcode.is_none_or(|wanted| number(wanted, packet.opcode))
            && self.protocol.is_none_or(|wanted| number(wanted, packet.protocol_type))
            && hardware(self.source, packet.sender_hardware)
            && hardware(self.destination, packet.target_hardware)
    }

    /// Appends everything but the addresses.
    pub fn print(&self, out: &mut String, numeric: bool) {
        let Inverted { inverted, value } = self.length;
        if inverted || value != LENGTH {
            let _ = write!(out, "{} --h-length {}", values::not(inverted), value.value);
            if value.mask != 0xff {
                let _ = write!(out, "/{}", value.mask);
            }
        }
        if let Some(Inverted { inverted, value }) = self.opcode {
            let _ = match opcode_name(value.value).filter(|_| !numeric) {
                Some(name) => write!(out, "{} --opcode {name}", values::not(inverted)),
                None => write!(out, "{} --opcode {}", values::not(inverted), value.value),
            };
            if value.mask != 0xffff {
                let _ = write!(out, "/{}", value.mask);
            }
        }
        let Inverted { inverted, value } = self.kind;
        if inverted || value != ETHERNET {
            let _ = match value.value {
                1 if !numeric => write!(out, "{} --h-type Ethernet", values::not(inverted)),
                kind => write!(out, "{} --h-type 0x{kind:x}", values::not(inverted)),
            };
            if value.mask != 0xffff {
                let _ = write!(out, "/{}", value.mask);
            }
        }
        if let Some(Inverted { inverted, value }) = self.protocol {
            let _ = match value.value {
                0x800 if !numeric => write!(out, "{} --proto-type IPv4", values::not(inverted)),
                kind => write!(out, "{} --proto-type 0x{kind:x}", values::not(inverted)),
            };
            if value.mask != 0xffff {
                let _ = write!(out, "/0x{:x}", value.mask);
            }
        }
    }

    /// Appends one of the two hardware addresses.
    pub fn print_hardware(out: &mut String, option: &str, wanted: Option<Inverted<Hardware>>) {
        if let Some(Inverted { inverted, value }) = wanted {
            let _ = write!(out, "{} {option} ", values::not(inverted));
            value.print(out);
        }
    }

    pub(super) fn explain(&self, out: &mut Pieces) {
        let whose = [("sender's", self.source), ("target's", self.destination)];
        for (whose, wanted) in whose {
            let Some(Inverted { inverted, value }) = wanted else { continue };
            let verb = either(inverted, "is", "is not");
            let who = super::ethernet::who(&value);
            out.push(Piece::Condition(format!("its {whose} hardware address {verb} {who}")));
        }
        if let Some(Inverted { inverted, value }) = self.opcode {
            let verb = either(inverted, "is", "is not");
            out.push(Piece::Condition(match value.value {
                1 => format!("it {verb} a request (who has this address?)"),
                2 => format!("it {verb} a reply (that address is mine)"),
                other => match opcode_name(other) {
                    Some(name) => format!("its opcode {verb} {other} ({name})"),
                    None => format!("its opcode {verb} {other}"),
                },
            }));
        }
        let Inverted { inverted, value } = self.kind;
        if inverted || value != ETHERNET {
            let verb = either(inverted, "is", "is not");
            out.push(Piece::Condition(format!("its hardware type {verb} {}", value.value)));
        }
        if self.length.inverted {
            out.push(Piece::Condition("its hardware addresses are not of 6 bytes".into()));
        }
        if let Some(Inverted { inverted, value }) = self.protocol {
            let verb = either(inverted, "is", "is not");
            let kind = value.value;
            out.push(Piece::Condition(format!("its protocol type {verb} 0x{kind:04x}")));
        }
    }
}

//! The values of what the header of a rule asks.

use super::read::Reader;
use crate::diagnostic::{Diagnostic, code, nearest};
use crate::extension::hardware::{
    Hardware, LENGTH, ethertype_named, ethertype_names, opcode_named,
};
use crate::extension::{Given, values};
use crate::matches::header::arp::Masked;
use crate::model::{InterfacePattern, Inverted, Network, NfProto};
use crate::syntax::iptables_save::file::Draft;
use crate::syntax::iptables_save::options::Main;
use crate::syntax::iptables_save::{EXPANSION_MAX, interface_pattern};
use alloc::{format, vec::Vec};
use keepstate_packet::Family;

impl Reader<'_> {
    pub(super) fn interface(&mut self, given: &Given) -> Option<Inverted<InterfacePattern>> {
        if given.value.is_empty() && self.is_bridge() {
            return None;
        }
        let Some(value) = interface_pattern(&given.value) else {
            let text = format!("no interface can be called `{}`", given.value);
            let says = match given.value.as_str() {
                "" => "Empty interface is likely to be undesired".into(),
                name => format!("interface name `{name}' must be shorter than IFNAMSIZ (15)"),
            };
            let fault = Diagnostic::new(code::BAD_INTERFACE, given.value_span, text);
            self.fault(fault.says(says));
            return None;
        };
        let everything = value.length == 0 && !given.inverted;
        (!everything).then_some(Inverted { inverted: given.inverted, value })
    }

    pub(super) fn hardware(&mut self, main: Main, given: &Given) {
        let source = matches!(main, Main::Source | Main::SourceMac);
        let Some(value) = Hardware::parse(&given.value) else {
            let name = if source { "source" } else { "destination" };
            let says = match self.family {
                NfProto::Bridge => {
                    let address = given.value.split('/').next().unwrap_or("");
                    format!("Problem with specified {name} mac '{address}'")
                }
                _ => format!("Problem with specified {name} mac"),
            };
            let text = format!("`{}` is not a hardware address", given.value);
            let fault = Diagnostic::new(code::BAD_ADDRESS, given.value_span, text).says(says);
            return self.fault(fault.help("six bytes in hexadecimal: 00:11:22:aa:bb:cc"));
        };
        let wanted = Some(Inverted { inverted: given.inverted, value });
        if self.is_bridge() && value.is_anything() {
            let text = "a mask without bits asks for nothing";
            return self.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
        }
        let (ethernet, arp) = (&mut self.ethernet, &mut self.arp);
        let place = match (self.family, source) {
            (NfProto::Bridge, true) => &mut ethernet.source,
            (NfProto::Bridge, false) => &mut ethernet.destination,
            (_, true) => &mut arp.source,
            (_, false) => &mut arp.destination,
        };
        *place = wanted.filter(|wanted| !wanted.value.is_anything());
    }

    pub(super) fn networks(&mut self, given: &Given) -> Vec<Inverted<Network>> {
        let inverted = given.inverted;
        let mut networks = Vec::new();
        for text in given.value.split(',').take(EXPANSION_MAX) {
            match values::network(text, Family::V4) {
                Some(value) if inverted && value.mask.0 == [0; 16] => {
                    let text = "no address is outside of all";
                    self.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
                }
                Some(value) => networks.push(Inverted { inverted, value }),
                None => {
                    let address = text.split('/').next().unwrap_or("");
                    let says = match values::address(address, Family::V4) {
                        Some(_) => {
                            let mask = text.split_once('/').map_or("", |(_, mask)| mask);
                            format!("invalid mask `{mask}' specified")
                        }
                        None => format!("host/network `{address}' not found"),
                    };
                    let text = format!("`{text}` is not an address");
                    let fault = Diagnostic::new(code::BAD_ADDRESS, given.value_span, text);
                    self.fault(fault.says(says));
                }
            }
        }
        networks
    }

    pub(super) fn protocol(&mut self, given: &Given) {
        let text = given.value.as_str();
        let number = values::hexadecimal(text, u64::MAX);
        let value = match number {
            _ if text.eq_ignore_ascii_case("LENGTH") => Some(LENGTH),
            Some(number) if number > 0xffff => {
                let says = "Problem with the specified protocol";
                return self.problem(given.value_span, "an EtherType has 16 bits", says);
            }
            Some(number) => Some(number as u16),
            None => ethertype_named(text),
        };
        let Some(value) = value else {
            let says = format!(
                "Problem with the specified Ethernet protocol '{text}', perhaps /etc/ethertypes is \
                 missing"
            );
            let text = format!("no protocol is called `{text}`");
            let fault = Diagnostic::new(code::UNKNOWN_PROTOCOL, given.value_span, text).says(says);
            return self.fault(match nearest(&given.value, ethertype_names()) {
                Some(near) => fault.help(format!("did you mean `-p {near}`?")),
                None => fault,
            });
        };
        if value < LENGTH {
            let text = "what is below 0x0600 is a length, no protocol";
            let says = "Sorry, protocols have values above or equal to 0x0600";
            return self.problem(given.value_span, text, says);
        }
        self.ethernet.protocol = Some(Inverted { inverted: given.inverted, value });
    }

    /// `NUMBER[/MASK]` of arptables.
    pub(super) fn masked(&mut self, main: Main, given: &Given) {
        let (text, mask) = match given.value.split_once('/') {
            None => (given.value.as_str(), None),
            Some((text, mask)) => (text, Some(mask)),
        };
        let decimal = |text: &str| text.parse::<u16>().ok();
        let any = |text: &str| values::number(text, 0xffff).map(|number| number as u16);
        let (value, all, says) = match main {
            Main::HLength => {
                let value = any(text).filter(|length| *length == 6);
                (value, 0xff, "Only harware address length of 6 is supported currently.")
            }
            Main::Opcode => {
                let named = opcode_named(text).filter(|_| mask.is_none());
                (decimal(text).or(named), 0xffff, "Problem with specified opcode")
            }
            Main::HType => {
                let ethernet = text.eq_ignore_ascii_case("Ethernet").then_some(1);
                let number = values::hexadecimal(text, 0xffff).map(|number| number as u16);
                (number.or(ethernet), 0xffff, "Problem with specified hardware type")
            }
            _ => {
                let ipv4 = text.eq_ignore_ascii_case("ipv4").then_some(0x800);
                (any(text).or(ipv4), 0xffff, "Problem with specified protocol type")
            }
        };
        let mask = match mask {
            None => Some(all),
            Some(mask) if main == Main::HType => {
                values::hexadecimal(mask, all.into()).map(|number| number as u16)
            }
            Some(mask) => any(mask).filter(|mask| *mask <= all),
        };
        let Some((value, mask)) = value.zip(mask) else {
            let text = format!("`{}` is not a value of `--{}`", given.value, given.option.name);
            return self.problem(given.value_span, &text, says);
        };
        let wanted = Inverted { inverted: given.inverted, value: Masked { value, mask } };
        match main {
            Main::HLength => self.arp.length = wanted,
            Main::HType => self.arp.kind = wanted,
            Main::Opcode => self.arp.opcode = Some(wanted),
            _ => self.arp.protocol = Some(wanted),
        }
    }
}

impl Draft<'_> {
    /// Where the two ends of a bridge are known.
    pub(in crate::syntax) fn bridge_direction(&self, faults: &mut Vec<Diagnostic>) {
        let (leaving, arriving) = match self.chain.text.as_str() {
            "PREROUTING" | "INPUT" | "BROUTING" => (true, false),
            "OUTPUT" | "POSTROUTING" => (false, true),
            _ => return,
        };
        let wrong = [
            (arriving, Main::InInterface, "-i", "INPUT, FORWARD, PREROUTING and BROUTING"),
            (arriving, Main::LogicalIn, "--logical-in", "INPUT, FORWARD, PREROUTING and BROUTING"),
            (leaving, Main::OutInterface, "-o", "OUTPUT, FORWARD and POSTROUTING"),
            (leaving, Main::LogicalOut, "--logical-out", "OUTPUT, FORWARD and POSTROUTING"),
        ];
        for (_, main, option, chains) in wrong.into_iter().filter(|(wrong, ..)| *wrong) {
            let Some(span) = self.line.place(main) else { continue };
            let text = format!("`{option}` has no meaning in {}", self.chain.text);
            let fault = Diagnostic::new(code::INTERFACE_DIRECTION, span, text);
            faults.push(fault.says(format!("Use {option} only in {chains} chains")));
        }
    }
}

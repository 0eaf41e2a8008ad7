//! `TPROXY`: gives the packet to the socket of a transparent proxy on this host, addresses unchanged.
//!
//! Linux drops the packet where no such socket is: none of the connection, none that listens at the port,
//! or one without `IP_TRANSPARENT`; and where routing by the mark does not deliver it to this host. A host
//! model has no routing by marks, so that is what becomes of every packet here.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, names, valued, values};
use crate::model::TableName;
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::{Address, Family, tcp, udp};

const PORT: u8 = 0;
const IP: u8 = 1;
const MARK: u8 = 2;
const OPTIONS: &[OptionSpec] =
    &[valued("on-port", PORT), valued("on-ip", IP), valued("tproxy-mark", MARK)];

const MANUAL: &str = "\
# TPROXY

Gives the packet to the socket of a transparent proxy on this host without changing its addresses, sets its mark,
and ends the walk of the table. It stands in table mangle, in PREROUTING and in user chains that only PREROUTING
leads to, and needs `-p tcp` or `-p udp`.

`--on-port PORT`
: The port that the proxy listens at; 0 for the port that the packet is sent to. Needed.

`--on-ip ADDRESS`
: The address that it listens at. Without it, that of the interface the packet came in on.

`--tproxy-mark VALUE[/MASK]`
: The mark: clears the bits of MASK (all, without one) and flips those of VALUE.

    -t mangle -A PREROUTING -p tcp --dport 80 -j TPROXY --on-port 3129 --tproxy-mark 0x1/0x1

Routing has to deliver the marked packets to this host: `ip rule add fwmark 1 lookup 100` and `ip route add local
0.0.0.0/0 dev lo table 100`. Where no transparent socket waits, the packet is dropped. `keepstate` has no routing
by marks, so it always drops it.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "TPROXY",
    families: BOTH,
    tables: &[TableName::Mangle],
    hooks: &[Hook::Prerouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Tproxy {
    family: Family,
    /// 0: the packet's own.
    pub port: u16,
    /// Unspecified: that of the interface.
    pub address: Address,
    /// Bits of the mark flipped.
    pub mark: u32,
    /// Bits of the mark cleared first.
    pub mask: u32,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let family = arguments.family;
    let given = arguments.required(PORT)?;
    let Some(port) = port(&given.value) else {
        let text = format!("`{}` is no port and no known service", given.value);
        arguments.fault(Diagnostic::new(code::UNKNOWN_PORT, given.value_span, text));
        return None;
    };
    let address = match arguments.option(IP) {
        None => Address::default(),
        Some(given) => {
            let Some(address) = values::host_address(&given.value, family) else {
                arguments.bad_value(given, "an address");
                return None;
            };
            address
        }
    };
    let (mark, mask) = match arguments.option(MARK) {
        None => (0, 0),
        Some(given) => arguments.mark(given)?,
    };
    arguments.needs_protocol(&[(tcp::PROTOCOL, "tcp"), (udp::PROTOCOL, "udp")])?;
    Some(Box::new(Tproxy { family, port, address, mark, mask }))
}

/// A decimal number, of which 16 bits count, nothing at all for 0, or a service of any protocol.
fn port(text: &str) -> Option<u16> {
    let number = text.trim_start_matches([' ', '\t']);
    let digits = number.strip_prefix('+').unwrap_or(number);
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return names::service_port(text, None);
    }
    let value = digits.parse().unwrap_or(if digits.is_empty() { 0 } else { u64::MAX });
    // The resolver reads it into 32 bits and takes what is negative then for no number.
    let low = (value & u64::from(u32::MAX)) as u32;
    (low >> 31 == 0).then_some((low & 0xffff) as u16)
}

impl Target for Tproxy {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, _: &mut Traversal<'_>, _: &mut State) -> Step {
        Step::Verdict(Verdict::Drop)
    }

    fn effect(&self) -> Effect {
        Effect::verdict(Verdict::Drop)
    }

    fn print(&self, out: &mut String) {
        let address = self.address.written(self.family);
        let _ = write!(out, " --on-port {} --on-ip {address}", self.port);
        let _ = write!(out, " --tproxy-mark {:#x}/{:#x}", self.mark, self.mask);
    }

    fn list(&self, out: &mut String, _: bool) {
        let address = self.address.written(self.family);
        let _ = write!(out, " TPROXY redirect {address}:{}", self.port);
        let _ = write!(out, " mark {:#x}/{:#x}", self.mark, self.mask);
    }

    fn explain(&self, out: &mut Pieces) {
        let port = match self.port {
            0 => String::from("its own port"),
            port => format!("port {port}"),
        };
        let address = match self.address == Address::default() {
            true => String::from("the address of the interface it came in on"),
            false => format!("{}", self.address.written(self.family)),
        };
        let mark = match (self.mark, self.mask) {
            (0, 0) => String::new(),
            (mark, mask) => format!(", with the bits {mask:#x} of its mark set to {mark:#x}"),
        };
        out.push(Piece::Effect(format!(
            "gives it to the proxy that listens on this host at {address}, {port}{mark}, addresses \
             unchanged; without one it drops it"
        )));
        out.push(Piece::Caution(
            "It needs a socket with IP_TRANSPARENT, and routing that delivers the marked packets to \
             this host. keepstate has neither: in its runs the packet is dropped, as Linux drops it \
             while the proxy is down."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, send};
    use crate::verdict::Verdict;
    use keepstate_conntrack::Hook;
    use keepstate_packet::Family::{V4, V6};

    #[test]
    fn texts() {
        check(
            V4,
            "mangle",
            "PREROUTING",
            &[
                (
                    "-p tcp -j TPROXY --on-port http",
                    "-p tcp -j TPROXY --on-port 80 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0",
                    " TPROXY redirect 0.0.0.0:80 mark 0x0/0x0",
                    "=",
                ),
                (
                    "-p udp -j TPROXY --on-port 70000 --on-ip 1.2.3 --tproxy-mark 1",
                    "-p udp -j TPROXY --on-port 4464 --on-ip 1.2.0.3 --tproxy-mark 0x1/0xffffffff",
                    " TPROXY redirect 1.2.0.3:4464 mark 0x1/0xffffffff",
                    "=",
                ),
                ("-p tcp -j TPROXY --on-port 0x10", "", "", ""),
                ("-p tcp -j TPROXY --on-port -1", "", "", ""),
                ("-p tcp -j TPROXY --on-port 4294967295", "", "", ""),
                ("-p tcp -j TPROXY --on-port 99999999999999999999", "", "", ""),
                ("-p tcp -j TPROXY --on-ip 1.2.3.4", "", "", ""),
                ("-p sctp -j TPROXY --on-port 1", "", "", ""),
                ("! -p tcp -j TPROXY --on-port 1", "", "", ""),
                ("-j TPROXY --on-port 1", "", "", ""),
            ],
        );
        check(
            V6,
            "mangle",
            "PREROUTING",
            &[(
                "-p tcp -j TPROXY --on-port 00080 --on-ip ::1 --tproxy-mark 0x1/0x2",
                "-p tcp -j TPROXY --on-port 80 --on-ip ::1 --tproxy-mark 0x1/0x2",
                " TPROXY redirect ::1:80 mark 0x1/0x2",
                "=",
            )],
        );
    }

    #[test]
    fn without_a_proxy_it_drops() {
        let packet = [
            0x45, 0, 0, 28, 0, 7, 0, 0, 64, 17, 1, 2, 10, 0, 0, 1, 192, 0, 2, 1, 0, 67, 0, 68, 0,
            8, 0, 0,
        ];
        let after = send("mangle", Hook::Prerouting, "-p udp -j TPROXY --on-port 1", &packet);
        assert_eq!(after.verdict, Verdict::Drop);
    }
}

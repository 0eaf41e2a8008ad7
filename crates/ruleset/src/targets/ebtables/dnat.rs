//! `dnat`: another destination address for the frame; to whom it is on the link is found anew.

use super::{Then, hardware_address};
use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::hardware::print_octets;
use crate::extension::{Arguments, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::PacketType;

const TO: u8 = 0;
const THEN: u8 = 1;
const OPTIONS: &[OptionSpec] = &[
    valued("to-destination", TO).repeated(),
    valued("to-dst", TO).repeated(),
    valued("dnat-target", THEN).repeated(),
];

const MANUAL: &str = "\
Gives the frame another destination address. In PREROUTING and OUTPUT of the table nat, and in BROUTING.

- `--to-destination ADDRESS` (`--to-dst`): the address.
- `--dnat-target TARGET`: what follows: `ACCEPT` if not given, or `DROP`, `CONTINUE`, `RETURN`.

    ebtables -t nat -A PREROUTING -p IPv4 -d 02:00:00:00:00:01 -i port3 -j dnat --to-dst 02:00:00:00:00:02

Mind: it is the frame that gets to another station; the IP packet in it is not changed.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "dnat",
    families: &[],
    tables: &[TableName::Nat, TableName::Broute],
    hooks: &[Hook::Prerouting, Hook::Output],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Dnat {
    address: [u8; 6],
    then: Then,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let address = hardware_address(arguments, TO, "Problem with specified --to-destination mac")?;
    let then = Then::parse(arguments, THEN, Then::Accept)?;
    let Some(address) = address else {
        let text = "`dnat` needs `--to-destination`";
        let fault = Diagnostic::new(code::OPTION_MISSING, arguments.span, text);
        arguments.fault(fault.says("You must specify proper arguments"));
        return None;
    };
    Some(Box::new(Dnat { address, then }))
}

impl Target for Dnat {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        traversal.link.destination = Some(self.address);
        let bridge = traversal.frame.as_ref().and_then(|frame| frame.bridge);
        traversal.link.packet_type = match self.address {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => PacketType::Broadcast,
            [first, ..] if first & 1 != 0 => PacketType::Multicast,
            own if Some(own) == bridge => PacketType::Unicast,
            _ => PacketType::OtherHost,
        };
        self.then.step()
    }

    fn print(&self, out: &mut String) {
        out.push_str(" --to-dst ");
        print_octets(out, self.address);
        let _ = write!(out, " --dnat-target {}", self.then.as_str());
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let mut address = String::new();
        print_octets(&mut address, self.address);
        let then = self.then.words();
        out.push(Piece::Effect(format!(
            "sends its frame to hardware address {address} and {then}"
        )));
    }
}

//! `snat`: another source address for the frame.

use super::{Then, hardware_address};
use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::hardware::print_octets;
use crate::extension::{Arguments, Extension, OptionSpec, flag, valued};
use crate::model::TableName;
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::arp::{HARDWARE_LENGTH, SENDER_HARDWARE};

const TO: u8 = 0;
const THEN: u8 = 1;
const ARP: u8 = 2;
const OPTIONS: &[OptionSpec] = &[
    valued("to-source", TO).repeated(),
    valued("to-src", TO).repeated(),
    valued("snat-target", THEN).repeated(),
    flag("snat-arp", ARP).repeated(),
];

const MANUAL: &str = "\
Gives the frame another source address. In POSTROUTING of the table nat.

- `--to-source ADDRESS` (`--to-src`): the address.
- `--snat-target TARGET`: what follows: `ACCEPT` if not given, or `DROP`, `CONTINUE`, `RETURN`.
- `--snat-arp`: in ARP packets the sender's hardware address is changed too.

    ebtables -t nat -A POSTROUTING -o uplink -j snat --to-src 02:00:00:00:00:01 --snat-arp

Mind: answers come to the new address; `dnat` has to send them on to whoever asked.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "snat",
    families: &[],
    tables: &[TableName::Nat],
    hooks: &[Hook::Postrouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Snat {
    address: [u8; 6],
    arp: bool,
    then: Then,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let address = hardware_address(arguments, TO, "Problem with specified --to-source mac")?;
    let then = Then::parse(arguments, THEN, Then::Accept)?;
    let Some(address) = address else {
        let text = "`snat` needs `--to-source`";
        let fault = Diagnostic::new(code::OPTION_MISSING, arguments.span, text);
        arguments.fault(fault.says("You must specify proper arguments"));
        return None;
    };
    Some(Box::new(Snat { address, arp: arguments.option(ARP).is_some(), then }))
}

impl Target for Snat {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        traversal.link.source = Some(self.address);
        let carries_arp = traversal.frame.as_ref().is_some_and(|frame| frame.ethertype == 0x0806);
        if self.arp && carries_arp {
            // A packet that ends before what is to be written is dropped.
            match traversal.bytes.get(HARDWARE_LENGTH).filter(|_| traversal.bytes.len() >= 8) {
                None => return Step::Verdict(Verdict::Drop),
                Some(6) => {}
                Some(_) => return self.then.step(),
            }
            let sender = traversal.bytes.get_mut(SENDER_HARDWARE..SENDER_HARDWARE + 6);
            let Some(sender) = sender else { return Step::Verdict(Verdict::Drop) };
            sender.copy_from_slice(&self.address);
        }
        self.then.step()
    }

    fn print(&self, out: &mut String) {
        out.push_str(" --to-src ");
        print_octets(out, self.address);
        if self.arp {
            out.push_str(" --snat-arp");
        }
        let _ = write!(out, " --snat-target {}", self.then.as_str());
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let mut address = String::new();
        print_octets(&mut address, self.address);
        let arp = if self.arp { ", in ARP packets too," } else { "" };
        let then = self.then.words();
        out.push(Piece::Effect(format!(
            "sends its frame from hardware address {address}{arp} and {then}"
        )));
    }
}

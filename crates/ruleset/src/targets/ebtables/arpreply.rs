//! `arpreply`: answers an ARP request for a station.
//!
//! What is no ARP request for an IPv4 address with hardware addresses of 6 bytes is passed over, whatever
//! hardware it names; one that is cut is dropped.
//! The answer leaves by the port that the request came in at.

use super::{Then, hardware_address};
use crate::evaluate::{Answered, State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::hardware::print_octets;
use crate::extension::{Arguments, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::arp::{Arp, LENGTH, REPLY, REQUEST};

const MAC: u8 = 0;
const THEN: u8 = 1;
const OPTIONS: &[OptionSpec] =
    &[valued("arpreply-mac", MAC).repeated(), valued("arpreply-target", THEN).repeated()];

const MANUAL: &str = "\
Answers an ARP request in the place of the station that it asks for. In PREROUTING of the table nat; needs
`-p ARP`.

- `--arpreply-mac ADDRESS`: the hardware address in the answer; 00:00:00:00:00:00 if not given.
- `--arpreply-target TARGET`: what becomes of the request: `DROP` if not given, or `ACCEPT`, `CONTINUE`,
  `RETURN`.

    ebtables -t nat -A PREROUTING -p ARP --arp-op Request --arp-ip-dst 192.0.2.9 -j arpreply \\
        --arpreply-mac 02:00:00:00:00:09

Mind: without `--arp-ip-dst` it answers every request, for every address.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "arpreply",
    families: &[],
    tables: &[TableName::Nat],
    hooks: &[Hook::Prerouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct ArpReply {
    address: [u8; 6],
    then: Then,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let address = hardware_address(arguments, MAC, "Problem with specified --arpreply-mac mac")?;
    let then = Then::parse(arguments, THEN, Then::Drop)?;
    arguments.needs_ethertype(&[(0x0806, "ARP")])?;
    Some(Box::new(ArpReply { address: address.unwrap_or_default(), then }))
}

impl Target for ArpReply {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        const IPV4_ON_ETHERNET: [u8; 6] = [0, 1, 8, 0, 6, 4];
        const LENGTHS: [u8; 4] = [8, 0, 6, 4];
        let bytes = &*traversal.bytes;
        let Some(head) = bytes.first_chunk::<8>() else { return Step::Verdict(Verdict::Drop) };
        let [_, _, kind @ .., high, low] = *head;
        if kind != LENGTHS || u16::from_be_bytes([high, low]) != REQUEST {
            return Step::Continue;
        }
        let Some(request) = Arp::read(bytes) else { return Step::Verdict(Verdict::Drop) };
        let mut answer = [0; LENGTH];
        let parts: [&[u8]; 6] = [
            &IPV4_ON_ETHERNET,
            &REPLY.to_be_bytes(),
            &self.address,
            &request.target,
            &request.sender_hardware,
            &request.sender,
        ];
        for (to, from) in answer.iter_mut().zip(parts.concat()) {
            *to = from;
        }
        if let Some(frame) = &mut traversal.frame {
            let (source, destination) = (self.address, request.sender_hardware);
            frame.answers.push(Answered { source, destination, packet: answer });
        }
        self.then.step()
    }

    fn print(&self, out: &mut String) {
        out.push_str(" --arpreply-mac ");
        print_octets(out, self.address);
        if self.then != Then::Drop {
            let _ = write!(out, " --arpreply-target {}", self.then.as_str());
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let mut address = String::new();
        print_octets(&mut address, self.address);
        let then = self.then.words();
        out.push(Piece::Effect(format!(
            "answers the ARP request with hardware address {address} and {then}"
        )));
        out.push(Piece::Note("What is no ARP request is passed over.".into()));
    }
}

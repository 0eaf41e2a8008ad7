//! `redirect`: the bridge's own address as destination of the frame.

use super::Then;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::PacketType;

const THEN: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("redirect-target", THEN).repeated()];

const MANUAL: &str = "\
Has the frame come to this host: its destination becomes the address of the bridge (in BROUTING: of the
port). In PREROUTING of the table nat, and in BROUTING.

- `--redirect-target TARGET`: what follows: `ACCEPT` if not given, or `DROP`, `CONTINUE`, `RETURN`.

    ebtables -t nat -A PREROUTING -p IPv4 --ip-proto tcp --ip-dport 80 -j redirect

Mind: the IP packet is as it was: iptables has to redirect it as well, or the host routes it on.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "redirect",
    families: &[],
    tables: &[TableName::Nat, TableName::Broute],
    hooks: &[Hook::Prerouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Redirect {
    then: Then,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let then = Then::parse(arguments, THEN, Then::Accept)?;
    Some(Box::new(Redirect { then }))
}

impl Target for Redirect {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        if let Some(address) = traversal.frame.as_ref().and_then(|frame| frame.bridge) {
            traversal.link.destination = Some(address);
        }
        traversal.link.packet_type = PacketType::Unicast;
        self.then.step()
    }

    fn print(&self, out: &mut String) {
        // The real tool leaves a blank where it leaves the default out.
        let _ = match self.then {
            Then::Accept => write!(out, " "),
            then => write!(out, " --redirect-target {}", then.as_str()),
        };
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let then = self.then.words();
        out.push(Piece::Effect(format!("has its frame come to the bridge itself and {then}")));
    }
}

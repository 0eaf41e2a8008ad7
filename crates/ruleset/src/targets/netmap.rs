//! `NETMAP`: translates a network to another of the same size, address by address. A mask that is no
//! prefix stands for a whole address, as in iptables.

use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::model::{Network, TableName};
use crate::nat_range::{Choice, range_of, set_up};
use crate::needs::Needs;
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use keepstate_conntrack::{Hook, nat::Manip};
use keepstate_packet::{Address, Family};

const TO: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("to", TO)];

const MANUAL: &str = "\
# NETMAP

Translates a whole network to another one of the same size: the first bits of the address are replaced, the
rest stays. In PREROUTING and OUTPUT of table nat it is the destination that changes, in POSTROUTING and
INPUT the source. It ends the walk of the table.

`--to ADDRESS[/MASK]`
: The new network, with a prefix length or a mask. Without one it is a single address.

    -t nat -A PREROUTING -d 198.51.100.0/24 -j NETMAP --to 10.0.0.0/24
    -t nat -A POSTROUTING -s 10.0.0.0/24 -j NETMAP --to 198.51.100.0/24

Let the rule match (`-d`, `-s`) a network of just this size: others are mapped too, several addresses to one.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "NETMAP",
    families: BOTH,
    tables: &[TableName::Nat],
    hooks: &[Hook::Prerouting, Hook::Input, Hook::Output, Hook::Postrouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct NetMap {
    family: Family,
    /// The new network; its mask is a prefix.
    pub to: Network,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let given = arguments.required(TO)?;
    let family = arguments.family;
    let Some(to) = network(&given.value, family) else {
        arguments.bad_value(given, "an address with a prefix length or a mask behind `/`");
        return None;
    };
    Some(Box::new(NetMap { family, to }))
}

fn network(text: &str, family: Family) -> Option<Network> {
    let (first, mask) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
    let address = values::host_address(first, family)?;
    let whole = if family == Family::V4 { 32 } else { 128 };
    let prefix = match mask.map(|mask| (mask, values::number(mask, whole))) {
        None => Some(whole as u32),
        Some((_, Some(length))) => u32::try_from(length).ok(),
        Some((mask, None)) => {
            let mask = values::host_address(mask, family)?;
            Some(values::prefix_length(mask, family).unwrap_or(whole as u32))
        }
    };
    let mask = values::prefix_mask(prefix?, family);
    let bits = u128::from_ne_bytes(address.0) & u128::from_ne_bytes(mask.0);
    Some(Network { address: Address(bits.to_ne_bytes()), mask })
}

impl Target for NetMap {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let manip = Manip::at(traversal.hook);
        let now = match manip {
            Manip::Source => traversal.packet.source,
            Manip::Destination => traversal.packet.destination,
        };
        let number = |address: Address| u128::from_ne_bytes(address.0);
        let moved = number(self.to.address) | number(now) & !number(self.to.mask);
        let address = Address(moved.to_ne_bytes());
        set_up(traversal, &range_of(address, None, Choice::default()), manip)
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn effect(&self) -> Effect {
        // Which of the two depends on the hook.
        let writes = [Change::any(Field::Source), Change::any(Field::Destination), Change::Bytes];
        Effect::change_and(Vec::from(writes), Verdict::Accept)
    }

    fn print(&self, out: &mut String) {
        out.push_str(" --to ");
        values::print_network(out, &self.to, self.family);
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" to:");
        values::print_network(out, &self.to, self.family);
    }

    fn explain(&self, out: &mut Pieces) {
        let mut network = String::new();
        values::print_network(&mut network, &self.to, self.family);
        out.push(Piece::Effect(format!(
            "moves its connection into the network {network}: the first bits of the address are \
             replaced, of the destination in PREROUTING and OUTPUT, of the source in POSTROUTING and \
             INPUT"
        )));
        out.push(Piece::Note(
            "The rule should match a network of the same size; of a larger one several addresses \
             become one."
                .into(),
        ));
    }
}

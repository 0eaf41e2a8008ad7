//! `cluster`: whether this node of a cluster is the one for a connection.
//!
//! The source address of the connection's original direction, of its master's where it has one, is
//! hashed and reduced to a node number. The hash is the one for arrays of 32-bit words of Bob Jenkins'
//! lookup3.c (2006, public domain), over one word as little-endian machines have it; a big-endian node
//! computes another number, as with the kernel. Of an IPv6 address the kernel hashes the first word alone, so
//! all of a provider's network fall to one node. What is not tracked never matches.
//!
//! A frame to a multicast hardware address that carries a unicast packet counts as sent to this host from
//! then on, so that a cluster may share one hardware address.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::needs::Needs;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_conntrack::Direction;
use keepstate_packet::{Address, Family, PacketType};

const TOTAL: u8 = 0;
const NODE: u8 = 1;
const MASK: u8 = 2;
const SEED: u8 = 3;
const OPTIONS: &[OptionSpec] = &[
    valued("cluster-total-nodes", TOTAL),
    valued("cluster-local-node", NODE).inverted(),
    valued("cluster-local-nodemask", MASK).inverted(),
    valued("cluster-hash-seed", SEED),
];

const MANUAL: &str = "\
Shares connections among the nodes of a cluster that all see every packet: each connection has one node, found
from its source address, and the rule matches on that one.

- `--cluster-total-nodes N`: how many nodes there are, 1 to 32.
- `[!] --cluster-local-node NODE`: this node's number, from 1 to N; or
- `[!] --cluster-local-nodemask MASK`: the nodes that this one stands for, one bit each (1 to 32: iptables
  takes no more, so further nodes can be named by their number only).
- `--cluster-hash-seed SEED`: a number that all nodes share.

All are needed, of the second and third one.

    -t mangle -A PREROUTING -i eth1 -m cluster --cluster-total-nodes 2 --cluster-local-node 1 \
--cluster-hash-seed 0xdeadbeef -j MARK --set-mark 0xffff
    -t mangle -A PREROUTING -i eth1 -m mark ! --mark 0xffff -j DROP

It needs connection tracking and `nf_conntrack_tcp_loose=0`, since the other nodes know nothing of a
connection. All connections of one source address go to one node; of IPv6 addresses Linux looks at the first 32
bits only, so that all of a /32 go to one.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "cluster",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Most nodes of a cluster, and, oddly, largest mask.
const NODES_MAX: u64 = 32;

/// An instance.
#[derive(Debug)]
pub struct Cluster {
    inverted: bool,
    total: u32,
    /// One bit a node.
    mask: u32,
    seed: u32,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let total = arguments.required(TOTAL)?;
    let seed = arguments.required(SEED)?;
    if arguments.option(NODE).is_some() && arguments.option(MASK).is_some() {
        arguments.exclusive(&[NODE, MASK])?;
    }
    let which = match arguments.option(MASK) {
        Some(given) => given,
        None => arguments.required(NODE)?,
    };
    let one_up = |arguments: &mut Arguments<'_>, given: &crate::extension::Given, max: u64| {
        let value = values::number(&given.value, max).filter(|value| *value > 0);
        if value.is_none() {
            arguments.bad_value(given, &format!("a number from 1 to {max}"));
        }
        u32::try_from(value?).ok()
    };
    let total = one_up(arguments, total, NODES_MAX)?;
    let seed = arguments.number32(seed)?;
    let mask = match which.option.id {
        MASK => one_up(arguments, which, NODES_MAX)?,
        _ => 1 << (one_up(arguments, which, total.into())? - 1),
    };
    if total < 32 && mask >> total != 0 {
        let text = format!("this mask names a node above number {total}, which is the last one");
        arguments.fault(Diagnostic::new(code::BAD_VALUE, which.value_span, text));
        return None;
    }
    Some(Box::new(Cluster { inverted: which.inverted, total, mask, seed }))
}

impl Cluster {
    /// The number from 0 of the node for a source address.
    fn node(&self, family: Family, source: Address) -> u32 {
        let octets = match family {
            Family::V4 => source.v4_octets(),
            Family::V6 => source.0.first_chunk::<4>().copied().unwrap_or_default(),
        };
        let hash = hash_word(u32::from_le_bytes(octets), self.seed);
        ((u64::from(hash) * u64::from(self.total)) >> 32) as u32
    }
}

/// Jenkins' hash of an array of one word.
const fn hash_word(word: u32, seed: u32) -> u32 {
    const ONE_WORD: u32 = 0xdead_beef + (1 << 2);
    let start = ONE_WORD.wrapping_add(seed);
    last(start.wrapping_add(word), start, start)
}

/// Mixes three words into the last one.
const fn last(mut a: u32, mut b: u32, mut c: u32) -> u32 {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

fn is_multicast(family: Family, address: Address) -> bool {
    match family {
        Family::V4 => address.v4_octets()[0] >> 4 == 0xe,
        Family::V6 => address.0[0] == 0xff,
    }
}

impl Match for Cluster {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let (family, destination) = (traversal.packet.family, traversal.packet.destination);
        if traversal.link.packet_type == PacketType::Multicast && !is_multicast(family, destination)
        {
            traversal.link.packet_type = PacketType::Unicast;
        }
        let Some(conn) = traversal.tracked.and_then(|tracked| tracked.conn) else {
            return Answer::No;
        };
        let whose = traversal.conntrack.master(conn).unwrap_or(conn);
        let tuple = traversal.conntrack.tuple(whose, Direction::Original);
        let Some(tuple) = tuple else { return Answer::No };
        let node = self.node(tuple.family, tuple.source);
        ((self.mask >> node & 1 == 1) != self.inverted).into()
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "cluster-local-nodemask");
        let _ = write!(
            out,
            " 0x{:08x} --cluster-total-nodes {} --cluster-hash-seed 0x{:08x}",
            self.mask, self.total, self.seed
        );
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(
            out,
            " cluster {}node_mask=0x{:08x} total_nodes={} hash_seed=0x{:08x}",
            either(self.inverted, "", "!"),
            self.mask,
            self.total,
            self.seed
        );
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let nodes = (0..32).filter(|node| self.mask >> node & 1 == 1);
        let nodes: Vec<String> = nodes.map(|node| format!("{}", node + 1)).collect();
        let verb = either(self.inverted, "falls", "does not fall");
        out.push(Piece::Condition(format!(
            "by its source address its connection {verb} to node {} of {} of the cluster",
            nodes.join(" or "),
            self.total
        )));
        out.push(Piece::Note(
            "Packets that are not tracked never match. Of IPv6 addresses Linux looks at the first 32 bits \
             only."
                .into(),
        ));
        if self.mask > 32 {
            out.push(Piece::Caution(
                "iptables saves this rule with a mask above 32, which it does not read back."
                    .into(),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, check, ipv4, listed, saved};
    use super::*;

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    (
                        "-m cluster --cluster-total-nodes 3 --cluster-local-node 1 --cluster-hash-seed 5",
                        "-m cluster --cluster-local-nodemask 0x00000001 --cluster-total-nodes 3 --cluster-hash-seed 0x00000005",
                        " cluster node_mask=0x00000001 total_nodes=3 hash_seed=0x00000005",
                        "=",
                    ),
                    (
                        "-m cluster --cluster-total-nodes 3 ! --cluster-local-nodemask 5 --cluster-hash-seed 0xdeadbeef",
                        "-m cluster ! --cluster-local-nodemask 0x00000005 --cluster-total-nodes 3 --cluster-hash-seed 0xdeadbeef",
                        " cluster !node_mask=0x00000005 total_nodes=3 hash_seed=0xdeadbeef",
                        "=",
                    ),
                    (
                        "-m cluster --cluster-total-nodes 3 --cluster-local-nodemask 8 --cluster-hash-seed 5",
                        "",
                        "",
                        "",
                    ),
                    (
                        "-m cluster --cluster-total-nodes 3 --cluster-local-nodemask 0 --cluster-hash-seed 5",
                        "",
                        "",
                        "",
                    ),
                    (
                        "-m cluster --cluster-total-nodes 32 --cluster-local-nodemask 33 --cluster-hash-seed 5",
                        "",
                        "",
                        "",
                    ),
                    (
                        "-m cluster --cluster-total-nodes 33 --cluster-local-node 1 --cluster-hash-seed 5",
                        "",
                        "",
                        "",
                    ),
                    (
                        "-m cluster --cluster-total-nodes 3 --cluster-local-node 4 --cluster-hash-seed 5",
                        "",
                        "",
                        "",
                    ),
                    (
                        "-m cluster --cluster-total-nodes 3 --cluster-local-node 0 --cluster-hash-seed 5",
                        "",
                        "",
                        "",
                    ),
                    ("-m cluster --cluster-total-nodes 3 --cluster-local-node 3", "", "", ""),
                    ("-m cluster --cluster-total-nodes 3 --cluster-hash-seed 3", "", "", ""),
                    (
                        "-m cluster --cluster-total-nodes 3 --cluster-local-node 3 --cluster-local-nodemask 1 --cluster-hash-seed 5",
                        "",
                        "",
                        "",
                    ),
                    (
                        "-m cluster --cluster-total-nodes 3 --cluster-local-node 3 --cluster-hash-seed 4294967296",
                        "",
                        "",
                        "",
                    ),
                ],
            );
        }
        // What iptables saves and does not read back.
        let rule =
            "-m cluster --cluster-total-nodes 32 --cluster-local-node 32 --cluster-hash-seed 5";
        let text = saved(Family::V4, rule).expect("a rule");
        assert!(text.contains("--cluster-local-nodemask 0x80000000 "), "{text}");
        assert_eq!(
            listed(Family::V4, rule)[0],
            " cluster node_mask=0x80000000 total_nodes=32 hash_seed=0x00000005"
        );
        assert!(saved(Family::V4, &text).is_err());
    }

    #[test]
    fn nodes_are_those_of_the_kernel() {
        let node = |family, source, total, seed| {
            Cluster { inverted: false, total, mask: 1, seed }.node(family, source)
        };
        for (source, total, seed, wanted) in [
            ([10, 0, 0, 1], 32, 0, 5),
            ([10, 0, 0, 1], 32, 0xdead_beef, 10),
            ([192, 0, 2, 1], 32, 7, 2),
            ([255, 255, 255, 255], 2, 1, 0),
        ] {
            assert_eq!(node(Family::V4, Address::v4(source), total, seed), wanted, "{source:?}");
        }
        // Of IPv6 the first 32 bits alone.
        for end in [1, 2] {
            let mut source = [0; 16];
            source[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
            source[15] = end;
            assert_eq!(node(Family::V6, Address::v6(source), 32, 99), 23);
        }
    }

    #[test]
    fn untracked_packets_have_no_node() {
        let rule =
            "-m cluster --cluster-total-nodes 1 --cluster-local-node 1 --cluster-hash-seed 0";
        assert_eq!(answer(rule, &ipv4(17, &[0; 8])), Answer::No);
        let not = rule.replace("--cluster-local-node ", "! --cluster-local-node ");
        assert_eq!(answer(&not, &ipv4(17, &[0; 8])), Answer::No);
    }
}

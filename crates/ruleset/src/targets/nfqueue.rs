//! `NFQUEUE`: hands the packet to a program, which decides about it.
//!
//! Which queues a program listens to is a fact of the host; without one the packet is dropped, or, with
//! `--queue-bypass`, leaves the table as if it had been accepted: the rules behind this one do not see it
//! (the name of the option promises more). Which of several queues a packet goes to the kernel draws at
//! random for each pair of addresses, anew at each start; here it hangs on the addresses alone, and both
//! directions of a connection go to the same one, as there.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued, values};
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;

const NUMBER: u8 = 0;
const BALANCE: u8 = 1;
const BYPASS: u8 = 2;
const FANOUT: u8 = 3;
const OPTIONS: &[OptionSpec] = &[
    valued("queue-num", NUMBER),
    valued("queue-balance", BALANCE),
    flag("queue-bypass", BYPASS),
    flag("queue-cpu-fanout", FANOUT),
];

const MANUAL: &str = "\
# NFQUEUE

Hands the packet to a program that listens to a queue (an intrusion prevention system, a filter of one's own).
The program lets it go on, drops it or changes it. No rule behind this one sees the packet.

`--queue-num NUMBER`
: The queue, 0 (the default) to 65535.

`--queue-balance FIRST:LAST`
: Spreads packets over these queues by their addresses, so that those of a connection meet the same program. At
  most 65535 queues; FIRST and LAST are 0 and 65535 where they are left out. Not together with `--queue-num`.

`--queue-cpu-fanout`
: With `--queue-balance`: the queue is that of the processor which works on the packet.

`--queue-bypass`
: Where no program listens, the packet goes on, past the rest of this table, instead of being dropped.

    -A FORWARD -p tcp --dport 80 -j NFQUEUE --queue-num 1 --queue-bypass

`keepstate` asks no program: it says `queue` of packets for queues that the host model names
(`queues = [0, 1]`); without them nobody listens, and packets are dropped as the kernel does it.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "NFQUEUE",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Most queues that packets are spread over.
pub const QUEUES_MAX: u32 = 65_535;

/// An instance: the queues from the first to the last.
#[derive(Debug)]
pub struct Nfqueue {
    /// The first queue.
    pub first: u16,
    /// The last one, of `--queue-balance`.
    pub last: Option<u16>,
    /// `--queue-bypass`.
    pub bypass: bool,
    /// `--queue-cpu-fanout`.
    pub cpu_fanout: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let bypass = arguments.option(BYPASS).is_some();
    let (number, balance) = (arguments.option(NUMBER), arguments.option(BALANCE));
    if number.is_some() && balance.is_some() {
        return arguments.exclusive(&[NUMBER, BALANCE]).and(None);
    }
    let (first, last) = match (number, balance) {
        (None, None) => (0, None),
        (Some(given), _) => {
            let number = arguments.number(given, u16::MAX.into())?;
            (u16::try_from(number).ok()?, None)
        }
        (None, Some(given)) => {
            let (first, last) = balanced(arguments, given)?;
            (first, Some(last))
        }
    };
    let fanout = arguments.option(FANOUT);
    if let (Some(given), None) = (fanout, last) {
        let text = "`--queue-cpu-fanout` also needs `--queue-balance`";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, given.span, text));
        return None;
    }
    Some(Box::new(Nfqueue { first, last, bypass, cpu_fanout: fanout.is_some() }))
}

fn balanced(arguments: &mut Arguments<'_>, given: &Given) -> Option<(u16, u16)> {
    let end = |text: &str, empty| match text {
        "" => Some(empty),
        text => values::number(text, u16::MAX.into()).and_then(|end| u16::try_from(end).ok()),
    };
    let ends = given.value.split_once(':');
    let ends = ends.and_then(|(first, last)| Some((end(first, 0)?, end(last, u16::MAX)?)));
    match ends {
        Some((first, last)) if first >= last => {
            let text = format!("{first} is not less than {last}: two queues at least");
            arguments.fault(Diagnostic::new(code::RANGE_BACKWARDS, given.value_span, text));
            None
        }
        Some((first, last)) if u32::from(last) - u32::from(first) + 1 > QUEUES_MAX => {
            let text = format!("the kernel spreads packets over at most {QUEUES_MAX} queues");
            arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
            None
        }
        Some(ends) => Some(ends),
        None => {
            arguments.bad_value(given, "a range FIRST:LAST of queues from 0 to 65535");
            None
        }
    }
}

impl Nfqueue {
    /// The queue of a packet.
    fn queue(&self, traversal: &Traversal<'_>) -> u16 {
        let Some(last) = self.last else { return self.first };
        let count = u32::from(last.saturating_sub(self.first)) + 1;
        let offset = if self.cpu_fanout {
            traversal.host.cpu().unwrap_or(0).checked_rem(count).unwrap_or(0)
        } else {
            let packet = &*traversal.packet;
            let ends = [packet.source, packet.destination].map(|end| u128::from_be_bytes(end.0));
            ((u64::from(spread(ends)) * u64::from(count)) >> 32) as u32
        };
        self.first.saturating_add(u16::try_from(offset).unwrap_or(0))
    }
}

/// 32 bits of a pair of addresses, the same whichever comes first.
const fn spread([one, other]: [u128; 2]) -> u32 {
    let (low, high) = if one < other { (one, other) } else { (other, one) };
    let mixed = low.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) ^ high;
    let mixed = mixed.wrapping_mul(0xda94_2042_e4dd_58b5_94d0_49bb_1331_11eb);
    (mixed >> 96) as u32
}

impl Target for Nfqueue {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let queue = self.queue(traversal);
        Step::Verdict(match (traversal.host.listens(queue), self.bypass) {
            (true, _) => Verdict::Queue(queue),
            (false, true) => Verdict::Accept,
            (false, false) => Verdict::Drop,
        })
    }

    fn effect(&self) -> Effect {
        let unheard = if self.bypass { Verdict::Accept } else { Verdict::Drop };
        let steps = [Verdict::Queue(self.first), unheard].map(Step::Verdict);
        Effect { steps: Vec::from(steps), writes: Vec::new() }
    }

    fn print(&self, out: &mut String) {
        let _ = match self.last {
            Some(last) => write!(out, " --queue-balance {}:{last}", self.first),
            None => write!(out, " --queue-num {}", self.first),
        };
        out.push_str(if self.bypass { " --queue-bypass" } else { "" });
        out.push_str(if self.cpu_fanout { " --queue-cpu-fanout" } else { "" });
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = match self.last {
            Some(last) => write!(out, " NFQUEUE balance {}:{last}", self.first),
            None => write!(out, " NFQUEUE num {}", self.first),
        };
        out.push_str(if self.bypass { " bypass" } else { "" });
        out.push_str(if self.cpu_fanout { " cpu-fanout" } else { "" });
    }

    fn explain(&self, out: &mut Pieces) {
        let queue = match (self.last, self.cpu_fanout) {
            (None, _) => format!("to queue {}", self.first),
            (Some(last), false) => {
                format!("to one of the queues {} to {last}, by its addresses", self.first)
            }
            (Some(last), true) => {
                format!("to one of the queues {} to {last}, by the processor", self.first)
            }
        };
        let otherwise = if self.bypass {
            "lets it pass this table where no program listens there"
        } else {
            "drops it where no program listens there"
        };
        out.push(Piece::Effect(format!(
            "hands it {queue}, where a program decides about it, and {otherwise}"
        )));
        out.push(Piece::Note(if self.bypass {
            "--queue-bypass does not go on with the next rule: without a program the packet is done \
             with this table, as with ACCEPT."
                .into()
        } else {
            "When the program ends, so does the traffic: --queue-bypass lets it pass instead.".into()
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::{Nfqueue, spread};
    use crate::testing::{check, send};
    use crate::verdict::Verdict;
    use keepstate_conntrack::Hook;
    use keepstate_packet::Family::{V4, V6};

    #[test]
    fn texts() {
        let rows = &[
            ("-j NFQUEUE", "-j NFQUEUE --queue-num 0", " NFQUEUE num 0", "="),
            ("-j NFQUEUE --queue-num 65535", "=", " NFQUEUE num 65535", "="),
            ("-j NFQUEUE --queue-num 0x12", "-j NFQUEUE --queue-num 18", " NFQUEUE num 18", "="),
            (
                "-j NFQUEUE --queue-bypass",
                "-j NFQUEUE --queue-num 0 --queue-bypass",
                " NFQUEUE num 0 bypass",
                "=",
            ),
            ("-j NFQUEUE --queue-balance 0:65534", "=", " NFQUEUE balance 0:65534", "="),
            (
                "-j NFQUEUE --queue-balance 6:",
                "-j NFQUEUE --queue-balance 6:65535",
                " NFQUEUE balance 6:65535",
                "=",
            ),
            (
                "-j NFQUEUE --queue-balance :4",
                "-j NFQUEUE --queue-balance 0:4",
                " NFQUEUE balance 0:4",
                "=",
            ),
            (
                "-j NFQUEUE --queue-cpu-fanout --queue-balance 0:6 --queue-bypass",
                "-j NFQUEUE --queue-balance 0:6 --queue-bypass --queue-cpu-fanout",
                " NFQUEUE balance 0:6 bypass cpu-fanout",
                "=",
            ),
            ("-j NFQUEUE --queue-num 65536", "", "", ""),
            ("-j NFQUEUE --queue-num 3:5", "", "", ""),
            ("-j NFQUEUE --queue-num 3 --queue-cpu-fanout", "", "", ""),
            ("-j NFQUEUE --queue-cpu-fanout", "", "", ""),
            ("-j NFQUEUE --queue-balance 0:65535", "", "", ""),
            ("-j NFQUEUE --queue-balance 0:65536", "", "", ""),
            ("-j NFQUEUE --queue-balance 4", "", "", ""),
            ("-j NFQUEUE --queue-balance 4:4", "", "", ""),
            ("-j NFQUEUE --queue-balance 4:3", "", "", ""),
            ("-j NFQUEUE --queue-balance 2-3", "", "", ""),
            ("-j NFQUEUE --queue-balance 2:3:4", "", "", ""),
            ("-j NFQUEUE --queue-balance 2:3 --queue-num 4", "", "", ""),
            ("-j NFQUEUE --queue-bypass --queue-bypass", "", "", ""),
        ];
        check(V4, "filter", "FORWARD", rows);
        check(V6, "raw", "PREROUTING", rows);
    }

    const PACKET: [u8; 20] = [0x45, 0, 0, 20, 0, 1, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];

    #[test]
    fn without_a_listener_it_is_dropped_or_passes() {
        let verdict = |options: &str| {
            let rule = alloc::format!("-j NFQUEUE {options}");
            send("filter", Hook::Forward, &rule, &PACKET).verdict
        };
        assert_eq!(verdict("--queue-num 3"), Verdict::Drop);
        assert_eq!(verdict("--queue-balance 3:5"), Verdict::Drop);
        assert_eq!(verdict("--queue-num 3 --queue-bypass"), Verdict::Accept);
    }

    #[test]
    fn both_directions_meet_and_every_queue_is_used() {
        let queues: alloc::collections::BTreeSet<u32> = (0..1000_u128)
            .map(|n| {
                let (one, other) = (0x0a00_0000 << 96 | n << 96, 0x0a01_0000 << 96);
                assert_eq!(spread([one, other]), spread([other, one]));
                spread([one, other]) >> 29
            })
            .collect();
        assert_eq!(queues.len(), 8);
        let plain = Nfqueue { first: 3, last: None, bypass: false, cpu_fanout: false };
        assert_eq!(plain.first, 3);
    }
}

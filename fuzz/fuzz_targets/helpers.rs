//! What anybody says to a conntrack helper: one connection with it, any payloads from both ends in
//! any order, and on the connections that it announces. No panic, and every limit holds.
//!
//! The input begins with a helper's name, `6` for IPv6 or anything else for IPv4 (`n` and `N`: the same,
//! and the connections are translated), and a colon (few
//! expectations may wait) or a semicolon (more than one class of any helper may have); then records: a
//! byte (bit 0: which end; bit 1: sent again, the place in the stream stays; bit 3: a byte more of
//! length; bits 4-7: seconds that pass), the length, the payload.
//!
//! With bit 2 a record is no payload, but the first packet of what is expected; the first byte of it
//! says which one, the oldest without it. With bit 0 more that is talked on from here, and with bit 1
//! the first connection again.
#![no_main]

use keepstate_conntrack::Sysctls;
use keepstate_conntrack::helpers::{HELPERS, Helper};
use keepstate_fuzz::{Between, Connection};
use keepstate_packet::Family;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

const FEW_EXPECTATIONS: u32 = 6;
const MANY_EXPECTATIONS: u32 = 64;
const TEXT_MAX: usize = 60_000;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().take(16).position(|byte| matches!(byte, b':' | b';'));
    let (name, mut rest) = data.split_at(end.unwrap_or(0));
    let few = rest.first() != Some(&b';');
    rest = rest.strip_prefix(if few { b":" } else { b";" }).unwrap_or(rest);
    let (helper, family) = helper(name);
    let is_translated = matches!(name.last(), Some(b'n' | b'N'));
    let expect_max = if few { FEW_EXPECTATIONS } else { MANY_EXPECTATIONS };
    let sysctls = Sysctls { expect_max, ..Sysctls::default() };
    let mut between = Between::new(helper, helper.protocol, family, sysctls);
    if is_translated {
        between.translate();
    }
    let mut first = Connection::with(helper, helper.protocol, family);
    between.open(&mut first);
    let mut further = None;
    while let [head, length, tail @ ..] = rest {
        let (mut length, mut tail) = (usize::from(*length), tail);
        if let (true, [more, beyond @ ..]) = (head & 8 != 0, tail) {
            (length, tail) = (length << 8 | usize::from(*more), beyond);
        }
        let (text, tail) = tail.split_at(length.min(TEXT_MAX).min(tail.len()));
        rest = tail;
        between.now = between.now.plus(Duration::from_secs(u64::from(head >> 4)));
        match head & 7 {
            0..4 => {
                let connection = further.as_mut().unwrap_or(&mut first);
                between.say(connection, usize::from(head & 1), head & 2 != 0, text);
            }
            4 | 5 => {
                let number = text.first().map_or(0, |number| usize::from(*number));
                let Some(mut expected) = between.expected(number) else { continue };
                if head & 1 == 0 {
                    between.begin(&expected);
                } else {
                    between.open(&mut expected);
                    further = Some(expected);
                }
            }
            _ => further = None,
        }
    }
    between.end();
});

fn helper(name: &[u8]) -> (&'static Helper, Family) {
    let (family, plain) = name.split_last().unwrap_or((&b'4', name));
    let named = HELPERS.iter().find(|one| one.name.as_bytes() == plain && one.port != 0);
    let any = name.iter().map(|byte| usize::from(*byte)).sum::<usize>() % HELPERS.len();
    let helper = named.unwrap_or(&HELPERS[any]);
    let six = matches!(family, b'6' | b'N') && helper.families.contains(&Family::V6);
    (helper, if six { Family::V6 } else { Family::V4 })
}

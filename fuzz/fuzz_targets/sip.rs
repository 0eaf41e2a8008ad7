//! Any messages on one SIP connection: no panic, and every limit holds.
//!
//! The first byte chooses: bit 0 TCP or UDP, bit 1 IPv6 or IPv4, bits 2 to 4 the options of the module, bit 5 translation.
//! The rest is what is said, divided by bytes of 255; of each piece the first byte says who speaks (bit
//! 0) and how many seconds pass before (the others). 10.0.0.1 or fd00::1 calls 10.0.0.2 or fd00::2.
#![no_main]

use keepstate_conntrack::Sysctls;
use keepstate_conntrack::helpers::{HELPERS, Helper};
use keepstate_fuzz::{Between, Connection, End, TCP, UDP};
use keepstate_packet::Family;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

/// One more than all classes of one connection may have.
const EXPECTATIONS_MAX: u32 = 12;
const TEXT_MAX: usize = 60_000;

fuzz_target!(|data: &[u8]| {
    let [choice, said @ ..] = data else { return };
    let mut sysctls = Sysctls { expect_max: EXPECTATIONS_MAX, ..Sysctls::default() };
    let options = [
        &mut sysctls.sip.direct_signalling,
        &mut sysctls.sip.direct_media,
        &mut sysctls.sip.external_media,
    ];
    for (bit, option) in (2..).zip(options) {
        *option = choice >> bit & 1 != 0;
    }
    let protocol = if choice & 1 == 0 { UDP } else { TCP };
    let family = if choice & 2 == 0 { Family::V4 } else { Family::V6 };
    let is_it = |helper: &&Helper| (helper.name, helper.protocol) == ("sip", protocol);
    let helper = HELPERS.iter().find(is_it).expect("there is one");
    let mut between = Between::new(helper, protocol, family, sysctls);
    if choice & 0x20 != 0 {
        between.translate();
    }
    let mut connection = Connection::new(protocol, [end(family, 1, 20_000), end(family, 2, 5060)]);
    between.open(&mut connection);
    for piece in said.split(|byte| *byte == 255) {
        let [head, text @ ..] = piece else { continue };
        between.now = between.now.plus(Duration::from_secs(u64::from(head >> 1)));
        let text = &text[..text.len().min(TEXT_MAX)];
        between.say(&mut connection, usize::from(head & 1), false, text);
    }
    between.end();
});

fn end(family: Family, host: u8, port: u16) -> End {
    let mut octets = [0; 16];
    match family {
        Family::V4 => octets[..4].copy_from_slice(&[10, 0, 0, host]),
        Family::V6 => (octets[0], octets[15]) = (0xfd, host),
    }
    (octets, port)
}

//! Any ASN.1 where the H.323 helpers read it, a message an input: no panic, and every limit holds.
//!
//! The first byte chooses: bits 0-1 RAS, Q.931, H.245, or Q.931 without anything put around the rest;
//! bit 2 IPv6 or IPv4; bit 3 who speaks; bits 4-7 (Q.931) the type of the message.
#![no_main]

use keepstate_conntrack::Sysctls;
use keepstate_conntrack::helpers::{HELPERS, Helper};
use keepstate_fuzz::{Between, Connection, TCP, UDP};
use keepstate_packet::Family;
use libfuzzer_sys::fuzz_target;

/// One more than a connection may have.
const EXPECTATIONS_MAX: u32 = 33;
const TEXT_MAX: usize = 60_000;
const HELPER_NAMES: [&str; 4] = ["RAS", "Q.931", "H.245", "Q.931"];

fuzz_target!(|data: &[u8]| {
    let [choice, text @ ..] = data else { return };
    let text = &text[..text.len().min(TEXT_MAX)];
    let kind = usize::from(choice & 3);
    let family = if choice & 4 == 0 { Family::V4 } else { Family::V6 };
    let helper = helper(HELPER_NAMES[kind]);
    let protocol = if kind == 0 { UDP } else { TCP };
    let sysctls = Sysctls { expect_max: EXPECTATIONS_MAX, ..Sysctls::default() };
    let mut between = Between::new(helper, protocol, family, sysctls);
    let mut connection = Connection::with(helper, protocol, family);
    between.open(&mut connection);
    let message = match kind {
        1 => tpkt(&call(choice >> 4, text)),
        2 => tpkt(text),
        _ => text.to_vec(),
    };
    between.say(&mut connection, usize::from(choice >> 3 & 1), false, &message);
    between.end();
});

fn helper(name: &str) -> &'static Helper {
    HELPERS.iter().find(|helper| helper.name == name).expect("there is one")
}

/// A message of Q.931 with nothing but H323-UserInformation.
fn call(kind: u8, information: &[u8]) -> Vec<u8> {
    let length = (1 + information.len() as u16).to_be_bytes();
    let mut message = vec![8, 2, 0, 1, kind, 0x7e, length[0], length[1], 5];
    message.extend(information);
    message
}

/// RFC 1006.
fn tpkt(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![3, 0];
    bytes.extend((4 + message.len() as u16).to_be_bytes());
    bytes.extend(message);
    bytes
}

//! What is expected here was asked of Linux 6.18.

use super::addresses;
use std::vec::Vec;

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = std::vec![tag, u8::try_from(content.len()).expect("short")];
    bytes.extend(content);
    bytes
}

const NAME: &[u8] = &[6, 1, 0x2b];
const ADDRESS: &[u8] = &[0x40, 4, 10, 0, 0, 5];

fn message(version: u8, kind: u8, values: &[&[u8]]) -> Vec<u8> {
    let bindings: Vec<Vec<u8>> = values.iter().map(|value| element(0x30, &[NAME, value])).collect();
    let bindings = element(0x30, &[&bindings.concat()]);
    let number: &[u8] = &[2, 1, 0];
    let pdu = element(kind, &[number, number, number, &bindings]);
    element(0x30, &[&[2, 1, version], &[4, 1, b'p'], &pdu])
}

#[test]
fn addresses_are_found_where_they_stand() {
    let message = message(1, 0xa2, &[&[2, 1, 5], ADDRESS, &[5, 0], ADDRESS]);
    let found = addresses(&message).expect("a message");
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|at| message.get(*at..*at + 4) == Some(&[10, 0, 0, 5])));
}

#[test]
fn what_cannot_be_read() {
    let readable = |message: &[u8]| addresses(message).is_some();
    for kind in [0xa0, 0xa1, 0xa2, 0xa3, 0xa5, 0xa6, 0xa7, 0xa8] {
        assert!(readable(&message(0, kind, &[ADDRESS])), "{kind:x}");
    }
    // The trap of version 1, what is none at all, version 3, an address of three octets, no bindings.
    assert!(!readable(&message(0, 0xa4, &[ADDRESS])));
    assert!(!readable(&message(0, 0xa9, &[ADDRESS])));
    assert!(!readable(&message(3, 0xa2, &[ADDRESS])));
    assert!(!readable(&message(1, 0xa2, &[&[0x40, 3, 10, 0, 0]])));
    assert!(!readable(&message(1, 0xa2, &[])));
    let whole = message(1, 0xa2, &[ADDRESS]);
    for end in 0..whole.len() {
        assert!(!readable(whole.get(..end).expect("within")), "{end}");
    }
    // What follows a message is none of it.
    assert!(readable(&[whole, std::vec![1, 2, 3]].concat()));
}

//! Values encoded by hand after X.691, and what Linux 6.18 makes of odd ones.

use super::*;
use Component::{Always, Optional};
use std::vec::Vec;

const NUMBER: Type = Type::Heard(Mark::TimeToLive, &Type::Integer(1, 255));

const UNKNOWN: Option<Additions> = Some(Additions { known: 0, read: &[] });

fn values(message: &[u8], kind: &Type) -> Result<Vec<u32>, Fault> {
    walk(message, kind).map(|notes| notes.iter().map(|note| note.value).collect())
}

#[test]
fn numbers_take_bits_octets_or_a_length_by_their_range() {
    let read = |message: &[u8], low, high| {
        let mut walk = Walk { message, at: 0, notes: Vec::new() };
        walk.integer(low, high).map(|value| (value, walk.at))
    };
    assert_eq!(read(&[0b0110_0000], 0, 7), Ok((3, 3)));
    assert_eq!(read(&[0xff], 1, 255), Ok((256, 8)), "not held to its range");
    assert_eq!(read(&[0xff], 1, 256), Ok((256, 8)));
    assert_eq!(read(&[0x12, 0x34], 0, 65_535), Ok((0x1234, 16)));
    assert_eq!(read(&[0x12], 0, 65_535), Err(Fault::Short));
    assert_eq!(read(&[0x40, 0x12, 0x34], 0, u32::MAX), Ok((0x1234, 24)));
    assert_eq!(read(&[0xc0, 0xff, 0xff, 0xff, 0xff], 1, u32::MAX), Ok((0, 40)), "wraps");
}

#[test]
fn strings_begin_at_an_octet_unless_they_are_short() {
    let kind = Type::Sequence(&Sequence {
        root: &[Always(Type::Boolean), Always(Type::Octets(Size::Fixed(2))), Always(NUMBER)],
        additions: None,
    });
    assert_eq!(values(&[0, 0, 0b0000_0001, 0b0000_0000], &kind), Ok(Vec::from([3])));
    let kind = Type::Sequence(&Sequence {
        root: &[Always(Type::Boolean), Always(Type::Octets(Size::Fixed(3))), Always(NUMBER)],
        additions: None,
    });
    assert_eq!(walk(&[0, 1, 2, 3], &kind), Err(Fault::Short));
}

#[test]
fn a_length_needs_two_octets_to_be_there() {
    let kind = Type::Octets(Size::Any);
    assert_eq!(walk(&[0], &kind), Err(Fault::Short));
    assert_eq!(walk(&[0, 0], &kind), Ok(Vec::new()));
    assert_eq!(walk(&[1, 0], &kind), Ok(Vec::new()));
    assert_eq!(walk(&[2, 0], &kind), Err(Fault::Short));
    assert_eq!(walk(&[0x80, 1, 0], &kind), Ok(Vec::new()));
}

#[test]
fn a_choice_beyond_the_known_is_passed_over_by_its_length() {
    let kind = Type::Choice(&Choice { root: &[Type::Null, NUMBER], additions: UNKNOWN });
    assert_eq!(walk(&[0b1000_0000, 1, 7], &kind), Ok(Vec::new()));
    assert_eq!(walk(&[0b1000_0000, 2, 7], &kind), Err(Fault::Short));
    let three =
        Type::Choice(&Choice { root: &[Type::Null, Type::Null, Type::Null], additions: None });
    assert_eq!(walk(&[0b1100_0000], &three), Err(Fault::Range));
}

#[test]
fn the_length_of_a_known_later_alternative_needs_two_octets_as_well() {
    const TWO: Option<Additions> = Some(Additions { known: 2, read: &[(1, Type::Stop)] });
    let kind = Type::Choice(&Choice { root: &[Type::Null], additions: TWO });
    assert_eq!(walk(&[0x80, 0], &kind), Err(Fault::Short));
    assert_eq!(walk(&[0x80, 0, 0], &kind), Ok(Vec::new()));
    assert_eq!(walk(&[0x80], &kind), Err(Fault::Short));
    assert_eq!(walk(&[0x80, 0x80], &kind), Err(Fault::Short));
    assert_eq!(walk(&[0x80, 2, 0], &kind), Err(Fault::Short));
    assert_eq!(walk(&[0x81], &kind), Ok(Vec::new()), "not looked at");
    assert_eq!(walk(&[0x82, 0], &kind), Err(Fault::Short), "not known");
    assert_eq!(walk(&[0x82, 0, 0], &kind), Ok(Vec::new()));
}

/// Behind one bit, the number of the alternative ends within an octet.
#[test]
fn within_an_octet_it_needs_two_octets_like_others() {
    const KNOWN: Option<Additions> = Some(Additions { known: 1, read: &[] });
    const LATER: Type = Type::Choice(&Choice { root: &[Type::Null], additions: KNOWN });
    let kind = Type::Sequence(&Sequence {
        root: &[Always(Type::Boolean), Always(LATER)],
        additions: None,
    });
    assert_eq!(walk(&[0b0100_0000, 0, 0], &kind), Err(Fault::Short));
    assert_eq!(walk(&[0b0100_0000, 0, 0, 0], &kind), Ok(Vec::new()));
    assert_eq!(walk(&[0b0100_0000, 0, 1, 0], &kind), Ok(Vec::new()));
}

/// Behind one bit: the number begins as far into an octet as the length did.
#[test]
fn what_is_sealed_has_its_length_in_the_octet_that_has_begun() {
    let kind = Type::Sequence(&Sequence {
        root: &[Always(Type::Boolean), Always(Type::Sealed), Always(NUMBER)],
        additions: None,
    });
    assert_eq!(values(&[0x02, 9, 9, 0x0b, 0x20], &kind), Ok(Vec::from([0x17])));
    assert_eq!(walk(&[0x02, 9], &kind), Err(Fault::Short));
}

/// `SEQUENCE { ..., a NULL, b }` with as many additions in the encoding as `count` says, none of
/// them there.
fn with_additions(count: u8, kind: &Type, tail: &[u8]) -> Result<Vec<Note>, Fault> {
    let mut message = Vec::from([0x80 | (count - 1)]);
    message.resize(1 + usize::from(count).div_ceil(8), 0);
    message.extend(tail);
    walk(&message, kind)
}

#[test]
fn additions_beyond_the_known_are_taken_to_be_there() {
    let kind =
        Type::Sequence(&Sequence { root: &[], additions: Some(Additions { known: 2, read: &[] }) });
    assert_eq!(with_additions(2, &kind, &[]), Ok(Vec::new()));
    assert_eq!(with_additions(3, &kind, &[]), Err(Fault::Short));
    assert_eq!(with_additions(3, &kind, &[1, 0]), Ok(Vec::new()));
    let stops = Type::Sequence(&Sequence {
        root: &[],
        additions: Some(Additions { known: 2, read: &[(1, Type::Stop)] }),
    });
    assert_eq!(with_additions(3, &stops, &[]), Ok(Vec::new()));
}

/// 29 additions behind three bits: the first of the 32 is the last but two of their number.
#[test]
fn bits_of_additions_that_fill_four_octets_with_what_is_before_are_taken_from_there() {
    const FOURTH: &[(u32, Type)] = &[(3, NUMBER)];
    let additions = Some(Additions { known: 29, read: FOURTH });
    let sequence = Sequence { root: &[], additions };
    let read = |bits: u8| {
        let message = [0b0001_0011, 0b1000_0000 | bits, 0, 0, 0, 1, 9, 1, 7];
        let mut walk = Walk { message: &message, at: 3, notes: Vec::new() };
        walk.sequence(&sequence, true).map(|()| (walk.notes.len(), walk.at))
    };
    assert_eq!(read(0), Ok((0, 56)));
    assert_eq!(read(0b0001_0000), Ok((1, 72)), "the first");
    assert_eq!(read(0b0000_0010), Ok((0, 72)), "the fourth");
}

#[test]
fn no_more_additions_are_read_than_there_may_be() {
    const MAX: u8 = ADDITIONS_MAX as u8;
    let kind = Type::Sequence(&Sequence {
        root: &[],
        additions: Some(Additions { known: ADDITIONS_MAX, read: &[] }),
    });
    assert_eq!(with_additions(MAX, &kind, &[]), Ok(Vec::new()));
    assert_eq!(with_additions(MAX + 1, &kind, &[0; 8]), Err(Fault::Range));
}

#[test]
fn items_beyond_the_heard_are_read_and_not_noted() {
    let kind = Type::SequenceOf(&NUMBER, 2);
    assert_eq!(values(&[3, 1, 2, 3, 0, 0, 0, 0], &kind).map(|notes| notes.len()), Ok(2));
}

#[test]
fn optional_components_come_in_the_order_of_their_bits() {
    let kind = Type::Sequence(&Sequence {
        root: &[Optional(NUMBER), Optional(Type::Null), Optional(NUMBER)],
        additions: None,
    });
    let behind = [0b0010_0000, 0b1010_0000, 0, 0];
    assert_eq!(values(&behind, &kind), Ok(Vec::from([6])));
}

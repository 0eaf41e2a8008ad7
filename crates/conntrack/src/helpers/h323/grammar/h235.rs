//! Types of H.235.0 (module H235-SECURITY-MESSAGES): the tokens that may stand in the way of what
//! is read.

use super::{closed, extensible, h225, sequence};
use crate::helpers::h323::per::{Choice, Component, Size, Type};
use Component::{Always, Optional};
use Type::{AnyInteger, Bits, Bmp, Integer, ObjectIdentifier, Octets, Sealed};

const TIME_STAMP: Type = Integer(1, u32::MAX);
const IDENTIFIER: Type = Bmp(Size::Between(1, 128));
const DIFFIE_HELLMAN_NUMBER: Type = Bits(Size::Between(0, 2048));
const DH_SET: Type = Type::Sequence(&sequence(
    &[Always(DIFFIE_HELLMAN_NUMBER), Always(DIFFIE_HELLMAN_NUMBER), Always(DIFFIE_HELLMAN_NUMBER)],
    0,
    &[],
));
const TYPED_CERTIFICATE: Type =
    Type::Sequence(&sequence(&[Always(ObjectIdentifier), Always(Octets(Size::Any))], 0, &[]));
const NON_STANDARD_PARAMETER: Type =
    Type::Sequence(&closed(&[Always(ObjectIdentifier), Always(Octets(Size::Any))]));

/// ClearToken: tokenOID, timeStamp, password, dhkey, challenge, random, certificate, generalID,
/// nonStandard.
pub const CLEAR_TOKEN: Type = Type::Sequence(&sequence(
    &[
        Always(ObjectIdentifier),
        Optional(TIME_STAMP),
        Optional(IDENTIFIER),
        Optional(DH_SET),
        Optional(Octets(Size::Between(8, 128))),
        Optional(AnyInteger),
        Optional(TYPED_CERTIFICATE),
        Optional(IDENTIFIER),
        Optional(NON_STANDARD_PARAMETER),
    ],
    2,
    &[],
));

const PARAMETERS: Type =
    Type::Sequence(&sequence(&[Optional(AnyInteger), Optional(Octets(Size::Fixed(8)))], 1, &[]));
const HASHED: Type = Type::Sequence(&closed(&[
    Always(ObjectIdentifier),
    Always(PARAMETERS),
    Always(Bits(Size::Any)),
]));
const ENCRYPTED: Type = Type::Sequence(&closed(&[
    Always(ObjectIdentifier),
    Always(PARAMETERS),
    Always(Octets(Size::Any)),
]));
const SIGNED: Type = Type::Sequence(&closed(&[
    Always(Sealed),
    Always(ObjectIdentifier),
    Always(PARAMETERS),
    Always(Bits(Size::Any)),
]));
const CRYPTO_TOKEN: Type = Type::Choice(&Choice {
    root: &[
        Type::Sequence(&closed(&[Always(ObjectIdentifier), Always(ENCRYPTED)])),
        Type::Sequence(&closed(&[Always(ObjectIdentifier), Always(SIGNED)])),
        Type::Sequence(&closed(&[Always(ObjectIdentifier), Always(CLEAR_TOKEN), Always(HASHED)])),
        ENCRYPTED,
    ],
    additions: extensible(0),
});

/// CryptoH323Token of H.225.0.
pub const CRYPTO_H323_TOKEN: Type = Type::Choice(&Choice {
    root: &[
        Type::Sequence(&closed(&[Always(h225::ALIAS_ADDRESS), Always(TIME_STAMP), Always(HASHED)])),
        Type::Sequence(&closed(&[Always(IDENTIFIER), Always(TIME_STAMP), Always(HASHED)])),
        ENCRYPTED,
        ENCRYPTED,
        SIGNED,
        SIGNED,
        SIGNED,
        CRYPTO_TOKEN,
    ],
    additions: extensible(0),
});

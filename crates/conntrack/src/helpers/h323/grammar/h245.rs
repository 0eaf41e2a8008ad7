//! Types of H.245 (module MULTIMEDIA-SYSTEM-CONTROL), down to what the helpers read: the opening of
//! logical channels.
//!
//! Additions that nothing is read of are left out: they are passed over by their lengths.

use super::{closed, extensible, later, sequence};
use crate::helpers::h323::Mark;
use crate::helpers::h323::per::{Choice, Component, Size, Type};
use Component::{Always, Optional};
use Type::{
    Boolean, Digits, Heard, Integer, Null, ObjectIdentifier, Octets, SequenceOf, Stop, Unheard,
};

// ---- Addresses, names, identifiers.

const PORT: Type = Integer(0, 65_535);
const LOGICAL_CHANNEL_NUMBER: Type = Integer(1, 65_535);
const IPV4_ADDRESS: Type = Type::Sequence(&sequence(
    &[Always(Heard(Mark::Ipv4, &Octets(Size::Fixed(4)))), Always(PORT)],
    0,
    &[],
));
const IPV6_ADDRESS: Type = Type::Sequence(&sequence(
    &[Always(Heard(Mark::Ipv6, &Octets(Size::Fixed(16)))), Always(PORT)],
    0,
    &[],
));
const UNICAST_ADDRESS: Type = Type::Choice(&Choice {
    root: &[
        IPV4_ADDRESS,
        // iPXAddress
        Type::Sequence(&sequence(
            &[
                Always(Octets(Size::Fixed(6))),
                Always(Octets(Size::Fixed(4))),
                Always(Octets(Size::Fixed(2))),
            ],
            0,
            &[],
        )),
        IPV6_ADDRESS,
        // netBios
        Octets(Size::Fixed(16)),
        // iPSourceRouteAddress
        Type::Sequence(&sequence(
            &[
                Always(Type::Choice(&Choice { root: &[Null, Null], additions: None })),
                Always(Octets(Size::Fixed(4))),
                Always(PORT),
                Always(SequenceOf(&Octets(Size::Fixed(4)), 0)),
            ],
            0,
            &[],
        )),
    ],
    additions: extensible(2),
});
const MULTICAST_ADDRESS: Type = Unheard(&Type::Choice(&Choice {
    root: &[IPV4_ADDRESS, IPV6_ADDRESS],
    additions: extensible(2),
}));
const TRANSPORT_ADDRESS: Type =
    Type::Choice(&Choice { root: &[UNICAST_ADDRESS, MULTICAST_ADDRESS], additions: extensible(0) });
const MEDIA_ADDRESS: Type = Heard(Mark::Media, &TRANSPORT_ADDRESS);

const NON_STANDARD_PARAMETER: Type = Type::Sequence(&closed(&[
    Always(Type::Choice(&Choice {
        root: &[
            ObjectIdentifier,
            // h221NonStandard
            Type::Sequence(&closed(&[
                Always(Integer(0, 255)),
                Always(Integer(0, 255)),
                Always(Integer(0, 65_535)),
            ])),
        ],
        additions: None,
    })),
    Always(Octets(Size::Any)),
]));

// ---- What a channel carries.

const H261_VIDEO: Type = Type::Sequence(&sequence(
    &[
        Optional(Integer(1, 4)),
        Optional(Integer(1, 4)),
        Always(Boolean),
        Always(Integer(1, 19_200)),
        Always(Boolean),
    ],
    1,
    &[],
));
const VIDEO_BIT_RATE: Type = Integer(0, 1_073_741_823);
const VBV_BUFFER_SIZE: Type = Integer(0, 262_143);
const SAMPLES: Type = Integer(0, 16_383);
const RATE_CODE: Type = Integer(0, 15);
const LUMINANCE_SAMPLE_RATE: Type = Integer(0, u32::MAX);
/// Eleven profiles and levels, then numbers.
const H262_VIDEO: Type = Type::Sequence(&sequence(
    &[
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Optional(VIDEO_BIT_RATE),
        Optional(VBV_BUFFER_SIZE),
        Optional(SAMPLES),
        Optional(SAMPLES),
        Optional(RATE_CODE),
        Optional(LUMINANCE_SAMPLE_RATE),
    ],
    1,
    &[],
));
const H263_INTERVAL: Type = Integer(1, 32);
const H263_VIDEO: Type = Type::Sequence(&sequence(
    &[
        Optional(H263_INTERVAL),
        Optional(H263_INTERVAL),
        Optional(H263_INTERVAL),
        Optional(H263_INTERVAL),
        Optional(H263_INTERVAL),
        Always(Integer(1, 192_400)),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Optional(Integer(0, 524_287)),
        Optional(Integer(0, 65_535)),
    ],
    8,
    &[],
));
const IS11172_VIDEO: Type = Type::Sequence(&sequence(
    &[
        Always(Boolean),
        Optional(VIDEO_BIT_RATE),
        Optional(VBV_BUFFER_SIZE),
        Optional(SAMPLES),
        Optional(SAMPLES),
        Optional(RATE_CODE),
        Optional(LUMINANCE_SAMPLE_RATE),
    ],
    1,
    &[],
));
const VIDEO_CAPABILITY: Type = Type::Choice(&Choice {
    root: &[NON_STANDARD_PARAMETER, H261_VIDEO, H262_VIDEO, H263_VIDEO, IS11172_VIDEO],
    additions: extensible(1),
});

const FRAMES: Type = Integer(1, 256);
/// Three layers, three sampling rates, one or two channels.
const IS11172_AUDIO: Type = Type::Sequence(&sequence(
    &[
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Integer(1, 448)),
    ],
    0,
    &[],
));
/// Three layers, six sampling rates, nine arrangements of channels, and two more switches.
const IS13818_AUDIO: Type = Type::Sequence(&sequence(
    &[
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Integer(1, 1130)),
    ],
    0,
    &[],
));
/// From g711Alaw64k to is13818AudioCapability.
const AUDIO_CAPABILITY: Type = Type::Choice(&Choice {
    root: &[
        NON_STANDARD_PARAMETER,
        FRAMES,
        FRAMES,
        FRAMES,
        FRAMES,
        FRAMES,
        FRAMES,
        FRAMES,
        // g7231
        Type::Sequence(&closed(&[Always(FRAMES), Always(Boolean)])),
        FRAMES,
        FRAMES,
        FRAMES,
        IS11172_AUDIO,
        IS13818_AUDIO,
    ],
    additions: extensible(8),
});

/// Seven that H.323 has no use for; separateLANStack comes later.
const DATA_PROTOCOL: Type = Type::Choice(&Choice {
    root: &[NON_STANDARD_PARAMETER, Null, Null, Null, Null, Null, Null],
    additions: later(7, &[(3, Heard(Mark::LanStack, &Null))]),
});
const OTHER_DATA_PROTOCOL: Type = Unheard(&DATA_PROTOCOL);
const T84_PROFILE: Type = Type::Choice(&Choice {
    root: &[
        Null,
        // t84Restricted
        Type::Sequence(&sequence(
            &[
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
                Always(Boolean),
            ],
            0,
            &[],
        )),
    ],
    additions: None,
});
const DATA_APPLICATION: Type = Type::Sequence(&sequence(
    &[
        Always(Type::Choice(&Choice {
            root: &[
                NON_STANDARD_PARAMETER,
                // t120
                DATA_PROTOCOL,
                OTHER_DATA_PROTOCOL,
                OTHER_DATA_PROTOCOL,
                // t84
                Type::Sequence(&closed(&[Always(OTHER_DATA_PROTOCOL), Always(T84_PROFILE)])),
                OTHER_DATA_PROTOCOL,
                OTHER_DATA_PROTOCOL,
                // nlpid
                Type::Sequence(&closed(&[Always(OTHER_DATA_PROTOCOL), Always(Octets(Size::Any))])),
                Null,
                OTHER_DATA_PROTOCOL,
            ],
            additions: extensible(4),
        })),
        // maxBitRate
        Always(Integer(0, u32::MAX)),
    ],
    0,
    &[],
));
const ENCRYPTION_MODE: Type =
    Type::Choice(&Choice { root: &[NON_STANDARD_PARAMETER, Null], additions: extensible(0) });
const DATA_TYPE: Type = Type::Choice(&Choice {
    root: &[
        NON_STANDARD_PARAMETER,
        Null,
        VIDEO_CAPABILITY,
        AUDIO_CAPABILITY,
        DATA_APPLICATION,
        ENCRYPTION_MODE,
    ],
    additions: extensible(3),
});

// ---- How it is carried.

const H222_PARAMETERS: Type = Type::Sequence(&sequence(
    &[
        Always(Integer(0, 65_535)),
        Always(Integer(0, 8191)),
        Optional(Integer(0, 8191)),
        Optional(Octets(Size::Any)),
        Optional(Octets(Size::Any)),
    ],
    0,
    &[],
));
const H223_PARAMETERS: Type = Type::Sequence(&sequence(
    &[
        Always(Type::Choice(&Choice {
            root: &[
                NON_STANDARD_PARAMETER,
                Null,
                Null,
                Null,
                Null,
                // al3
                Type::Sequence(&closed(&[Always(Integer(0, 2)), Always(Integer(0, 16_777_215))])),
            ],
            additions: extensible(3),
        })),
        Always(Boolean),
    ],
    0,
    &[],
));
const ONE_OF_THREE: Type =
    Type::Choice(&Choice { root: &[Null, Null, Null], additions: extensible(0) });
const V76_PARAMETERS: Type = Type::Sequence(&sequence(
    &[
        // hdlcParameters: crcLength, n401, loopbackTestProcedure
        Always(Type::Sequence(&sequence(
            &[Always(ONE_OF_THREE), Always(Integer(1, 4095)), Always(Boolean)],
            0,
            &[],
        ))),
        // suspendResume, uIH
        Always(ONE_OF_THREE),
        Always(Boolean),
        // mode
        Always(Type::Choice(&Choice {
            root: &[
                Type::Sequence(&sequence(&[Always(Integer(1, 127)), Always(ONE_OF_THREE)], 0, &[])),
                Null,
            ],
            additions: extensible(0),
        })),
        // v75Parameters
        Always(Type::Sequence(&sequence(&[Always(Boolean)], 0, &[]))),
    ],
    0,
    &[],
));
const H2250_PARAMETERS: Type = Type::Sequence(&sequence(
    &[
        Optional(SequenceOf(&NON_STANDARD_PARAMETER, 0)),
        // sessionID, associatedSessionID
        Always(Integer(0, 255)),
        Optional(Integer(1, 255)),
        Optional(MEDIA_ADDRESS),
        Optional(Boolean),
        Optional(MEDIA_ADDRESS),
        Optional(Stop),
        Optional(Stop),
        Optional(Stop),
        Optional(Stop),
        Optional(Stop),
    ],
    3,
    &[],
));
const H2250_ACK_PARAMETERS: Type = Type::Sequence(&sequence(
    &[
        Optional(SequenceOf(&NON_STANDARD_PARAMETER, 0)),
        Optional(Integer(1, 255)),
        Optional(MEDIA_ADDRESS),
        Optional(MEDIA_ADDRESS),
        // dynamicRTPPayloadType
        Optional(Integer(96, 127)),
    ],
    2,
    &[],
));

const Q2931_ADDRESS: Type = Type::Sequence(&sequence(
    &[
        Always(Type::Choice(&Choice {
            root: &[Digits(Size::Between(1, 16)), Octets(Size::Between(1, 20))],
            additions: extensible(0),
        })),
        Optional(Octets(Size::Between(1, 20))),
    ],
    0,
    &[],
));
/// NetworkAccessParameters: distribution, networkAddress, associateConference, externalReference.
const NETWORK_ACCESS: Type = Type::Sequence(&sequence(
    &[
        Optional(Type::Choice(&Choice { root: &[Null, Null], additions: extensible(0) })),
        Always(Type::Choice(&Choice {
            root: &[
                Q2931_ADDRESS,
                Digits(Size::Between(1, 128)),
                Heard(Mark::SeparateStack, &TRANSPORT_ADDRESS),
            ],
            additions: extensible(0),
        })),
        Always(Boolean),
        Optional(Octets(Size::Between(1, 255))),
    ],
    1,
    &[],
));

// ---- The messages.

const FORWARD_PARAMETERS: Type = Type::Sequence(&sequence(
    &[
        Optional(PORT),
        Always(DATA_TYPE),
        Always(Type::Choice(&Choice {
            root: &[H222_PARAMETERS, H223_PARAMETERS, V76_PARAMETERS],
            additions: later(2, &[(0, H2250_PARAMETERS)]),
        })),
    ],
    2,
    &[],
));
const REVERSE_PARAMETERS: Type = Type::Sequence(&sequence(
    &[
        Always(Unheard(&DATA_TYPE)),
        Optional(Type::Choice(&Choice {
            root: &[H223_PARAMETERS, V76_PARAMETERS],
            additions: later(1, &[(0, H2250_PARAMETERS)]),
        })),
    ],
    2,
    &[],
));
const REVERSE_ACK_PARAMETERS: Type = Type::Sequence(&sequence(
    &[
        Always(LOGICAL_CHANNEL_NUMBER),
        Optional(PORT),
        Optional(Type::Choice(&Choice {
            root: &[H222_PARAMETERS],
            additions: later(1, &[(0, H2250_PARAMETERS)]),
        })),
    ],
    1,
    &[],
));

/// OpenLogicalChannel.
pub const OPEN_LOGICAL_CHANNEL: Type = Type::Sequence(&sequence(
    &[Always(LOGICAL_CHANNEL_NUMBER), Always(FORWARD_PARAMETERS), Optional(REVERSE_PARAMETERS)],
    2,
    &[(0, NETWORK_ACCESS), (1, Stop)],
));
const OPEN_LOGICAL_CHANNEL_ACK: Type = Type::Sequence(&sequence(
    &[Always(LOGICAL_CHANNEL_NUMBER), Optional(REVERSE_ACK_PARAMETERS)],
    3,
    &[
        (0, NETWORK_ACCESS),
        (1, Type::Choice(&Choice { root: &[H2250_ACK_PARAMETERS], additions: extensible(0) })),
        (2, Stop),
    ],
));

/// RequestMessage: of eleven, openLogicalChannel is the fourth.
const REQUEST: Type = Type::Choice(&Choice {
    root: &[
        Null,
        Null,
        Null,
        Heard(Mark::Channel, &OPEN_LOGICAL_CHANNEL),
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
    ],
    additions: later(4, &[(0, Stop), (1, Stop), (2, Stop), (3, Stop)]),
});
/// ResponseMessage: of nineteen, openLogicalChannelAck is the sixth.
const RESPONSE: Type = Type::Choice(&Choice {
    root: &[
        Null,
        Null,
        Null,
        Null,
        Null,
        Heard(Mark::ChannelAck, &OPEN_LOGICAL_CHANNEL_ACK),
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
    ],
    additions: later(5, &[(0, Stop), (1, Stop), (2, Stop), (3, Stop), (4, Stop)]),
});

/// MultimediaSystemControlMessage, as far as the helper does anything: commands, indications, and
/// the other requests and responses are not read beyond their number.
pub const MESSAGE: Type =
    Type::Choice(&Choice { root: &[REQUEST, RESPONSE, Null, Null], additions: extensible(0) });

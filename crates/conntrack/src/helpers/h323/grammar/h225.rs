//! Types of H.225.0 (12/2009, Annex H, module H323-MESSAGES), down to what the helpers read.
//!
//! Additions that nothing is read of are left out: they are passed over by their lengths.

use super::{closed, extensible, h235, h245, later, sequence};
use crate::helpers::h323::Mark;
use crate::helpers::h323::per::{Choice, Component, Size, Type};
use Component::{Always, Optional};
use Type::{
    Bmp, Boolean, Digits, Heard, Integer, Null, ObjectIdentifier, Octets, Open, SequenceOf, Stop,
    Unheard,
};

/// Items of `fastStart` that are heard.
pub const FAST_START_MAX: usize = 30;
/// Messages of `h245Control` that are heard.
pub const H245_CONTROL_MAX: usize = 4;
/// Items of `callSignalAddress` and of `rasAddress` that are heard.
pub const ADDRESSES_MAX: usize = 10;

// ---- Addresses, names, identifiers.

const IPV4: Type = Heard(Mark::Ipv4, &Octets(Size::Fixed(4)));
const IPV6: Type = Heard(Mark::Ipv6, &Octets(Size::Fixed(16)));
const PORT: Type = Integer(0, 65_535);
const ROUTING: Type = Type::Choice(&Choice { root: &[Null, Null], additions: extensible(0) });

const TRANSPORT_ADDRESS: Type = Type::Choice(&Choice {
    root: &[
        Type::Sequence(&closed(&[Always(IPV4), Always(PORT)])),
        // ipSourceRoute
        Type::Sequence(&sequence(
            &[
                Always(Octets(Size::Fixed(4))),
                Always(PORT),
                Always(SequenceOf(&Octets(Size::Fixed(4)), 0)),
                Always(ROUTING),
            ],
            0,
            &[],
        )),
        // ipxAddress
        Type::Sequence(&closed(&[
            Always(Octets(Size::Fixed(6))),
            Always(Octets(Size::Fixed(4))),
            Always(Octets(Size::Fixed(2))),
        ])),
        Type::Sequence(&sequence(&[Always(IPV6), Always(PORT)], 0, &[])),
        // netBios, nsap, nonStandardAddress
        Octets(Size::Fixed(16)),
        Octets(Size::Between(1, 20)),
        NON_STANDARD_PARAMETER,
    ],
    additions: extensible(0),
});
/// An address that nothing is expected at.
const OTHER_ADDRESS: Type = Unheard(&TRANSPORT_ADDRESS);
const H245_ADDRESS: Type = Heard(Mark::H245Address, &TRANSPORT_ADDRESS);
const CALL_SIGNAL_ADDRESS: Type = Heard(Mark::CallSignalAddress, &TRANSPORT_ADDRESS);
const CALL_SIGNAL_ADDRESSES: Type = SequenceOf(&CALL_SIGNAL_ADDRESS, ADDRESSES_MAX);
const RAS_ADDRESS: Type = Heard(Mark::RasAddress, &TRANSPORT_ADDRESS);
const SOURCE_ADDRESS: Type = Heard(Mark::SourceCallSignalAddress, &TRANSPORT_ADDRESS);
const DEST_ADDRESS: Type = Heard(Mark::DestCallSignalAddress, &TRANSPORT_ADDRESS);

const H221_NON_STANDARD: Type = Type::Sequence(&sequence(
    &[Always(Integer(0, 255)), Always(Integer(0, 255)), Always(Integer(0, 65_535))],
    0,
    &[],
));
const NON_STANDARD_IDENTIFIER: Type = Type::Choice(&Choice {
    root: &[ObjectIdentifier, H221_NON_STANDARD],
    additions: extensible(0),
});
const NON_STANDARD_PARAMETER: Type =
    Type::Sequence(&closed(&[Always(NON_STANDARD_IDENTIFIER), Always(Octets(Size::Any))]));
/// dialledDigits and h323-ID.
pub(super) const ALIAS_ADDRESS: Type = Type::Choice(&Choice {
    root: &[Digits(Size::Between(1, 128)), Bmp(Size::Between(1, 256))],
    additions: extensible(5),
});
const ALIASES: Type = SequenceOf(&ALIAS_ADDRESS, 0);
/// EndpointIdentifier, GatekeeperIdentifier.
const IDENTIFIER: Type = Bmp(Size::Between(1, 128));
const PROTOCOL_IDENTIFIER: Type = ObjectIdentifier;
const REQUEST_SEQUENCE_NUMBER: Type = Integer(1, 65_535);
const BANDWIDTH: Type = Integer(0, u32::MAX);
const TIME_TO_LIVE: Type = Heard(Mark::TimeToLive, &Integer(1, u32::MAX));
/// ConferenceIdentifier, a GloballyUniqueID.
const GLOBALLY_UNIQUE_ID: Type = Octets(Size::Fixed(16));

// ---- What an end point is.

const VENDOR_IDENTIFIER: Type = Type::Sequence(&sequence(
    &[
        Always(H221_NON_STANDARD),
        Optional(Octets(Size::Between(1, 256))),
        Optional(Octets(Size::Between(1, 256))),
    ],
    0,
    &[],
));
/// H310Caps and its like: dataRatesSupported and supportedPrefixes are additions.
const CAPABILITIES: Type = Type::Sequence(&sequence(&[Optional(NON_STANDARD_PARAMETER)], 2, &[]));
/// protocol is an addition.
const MCU_INFO: Type = Type::Sequence(&sequence(&[Optional(NON_STANDARD_PARAMETER)], 1, &[]));
/// GatekeeperInfo, TerminalInfo.
const NON_STANDARD_DATA: Type =
    Type::Sequence(&sequence(&[Optional(NON_STANDARD_PARAMETER)], 0, &[]));
/// nonStandardData, and the capabilities from h310 to t120-only.
const SUPPORTED_PROTOCOLS: Type = Type::Choice(&Choice {
    root: &[
        NON_STANDARD_PARAMETER,
        CAPABILITIES,
        CAPABILITIES,
        CAPABILITIES,
        CAPABILITIES,
        CAPABILITIES,
        CAPABILITIES,
        CAPABILITIES,
        CAPABILITIES,
    ],
    additions: extensible(2),
});
const GATEWAY_INFO: Type = Type::Sequence(&sequence(
    &[Optional(SequenceOf(&SUPPORTED_PROTOCOLS, 0)), Optional(NON_STANDARD_PARAMETER)],
    0,
    &[],
));
/// nonStandardData, vendor, gatekeeper, gateway, mcu, terminal, mc, undefinedNode.
const ENDPOINT_TYPE: Type = Type::Sequence(&sequence(
    &[
        Optional(NON_STANDARD_PARAMETER),
        Optional(VENDOR_IDENTIFIER),
        Optional(NON_STANDARD_DATA),
        Optional(GATEWAY_INFO),
        Optional(MCU_INFO),
        Optional(NON_STANDARD_DATA),
        Always(Boolean),
        Always(Boolean),
    ],
    2,
    &[],
));

// ---- Calls.

const CALL_TYPE: Type =
    Type::Choice(&Choice { root: &[Null, Null, Null, Null], additions: extensible(0) });
const CALL_MODEL: Type = Type::Choice(&Choice { root: &[Null, Null], additions: extensible(0) });
const CALL_IDENTIFIER: Type = Type::Sequence(&sequence(&[Always(GLOBALLY_UNIQUE_ID)], 0, &[]));
const Q954_DETAILS: Type = Type::Sequence(&sequence(&[Always(Boolean), Always(Boolean)], 0, &[]));
const Q_SERIES_OPTIONS: Type = Type::Sequence(&sequence(
    &[
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Boolean),
        Always(Q954_DETAILS),
    ],
    0,
    &[],
));
const CONFERENCE_GOAL: Type =
    Type::Choice(&Choice { root: &[Null, Null, Null], additions: extensible(2) });
const SECURITY_SERVICE_MODE: Type =
    Type::Choice(&Choice { root: &[NON_STANDARD_PARAMETER, Null, Null], additions: extensible(0) });
const SECURITY_CAPABILITIES: Type = Type::Sequence(&sequence(
    &[
        Optional(NON_STANDARD_PARAMETER),
        Always(SECURITY_SERVICE_MODE),
        Always(SECURITY_SERVICE_MODE),
        Always(SECURITY_SERVICE_MODE),
    ],
    0,
    &[],
));
const H245_SECURITY: Type = Type::Choice(&Choice {
    root: &[NON_STANDARD_PARAMETER, Null, SECURITY_CAPABILITIES, SECURITY_CAPABILITIES],
    additions: extensible(0),
});

// ---- Call signalling.

const FAST_START: Type =
    SequenceOf(&Open(&Heard(Mark::Channel, &h245::OPEN_LOGICAL_CHANNEL)), FAST_START_MAX);

const SETUP: Type = Type::Sequence(&sequence(
    &[
        Always(PROTOCOL_IDENTIFIER),
        Optional(H245_ADDRESS),
        Optional(ALIASES),
        Always(ENDPOINT_TYPE),
        Optional(ALIASES),
        Optional(DEST_ADDRESS),
        Optional(ALIASES),
        // destExtraCRV
        Optional(SequenceOf(&Integer(0, 65_535), 0)),
        Always(Boolean),
        Always(GLOBALLY_UNIQUE_ID),
        Always(CONFERENCE_GOAL),
        Optional(Q_SERIES_OPTIONS),
        Always(CALL_TYPE),
    ],
    26,
    &[(0, SOURCE_ADDRESS), (6, FAST_START), (9, Stop)],
));
const PROCEEDING_ROOT: &[Component] =
    &[Always(PROTOCOL_IDENTIFIER), Always(ENDPOINT_TYPE), Optional(H245_ADDRESS)];
const CALL_PROCEEDING: Type = Type::Sequence(&sequence(PROCEEDING_ROOT, 9, &[(4, FAST_START)]));
const ALERTING: Type = Type::Sequence(&sequence(PROCEEDING_ROOT, 14, &[(4, FAST_START)]));
const CONNECT: Type = Type::Sequence(&sequence(
    &[
        Always(PROTOCOL_IDENTIFIER),
        Optional(H245_ADDRESS),
        Always(ENDPOINT_TYPE),
        Always(GLOBALLY_UNIQUE_ID),
    ],
    15,
    &[(4, FAST_START)],
));
const INFORMATION: Type = Type::Sequence(&sequence(&[Always(PROTOCOL_IDENTIFIER)], 6, &[]));
const RELEASE_COMPLETE_REASON: Type = Type::Choice(&Choice {
    root: &[Null, Null, Null, Null, Null, Null, Null, Null, Null, Null, Null, Null],
    additions: extensible(10),
});
const RELEASE_COMPLETE: Type = Type::Sequence(&sequence(
    &[Always(PROTOCOL_IDENTIFIER), Optional(RELEASE_COMPLETE_REASON)],
    9,
    &[],
));
const FACILITY_REASON: Type = Type::Choice(&Choice {
    root: &[Null, Heard(Mark::CallForwarded, &Null), Null, Null],
    additions: extensible(7),
});
const FACILITY: Type = Type::Sequence(&sequence(
    &[
        Always(PROTOCOL_IDENTIFIER),
        Optional(Heard(Mark::AlternativeAddress, &TRANSPORT_ADDRESS)),
        Optional(ALIASES),
        Optional(GLOBALLY_UNIQUE_ID),
        Always(FACILITY_REASON),
    ],
    16,
    &[(6, H245_ADDRESS), (7, FAST_START)],
));
/// Everything up to fastStart stands before the extension marker here.
const PROGRESS: Type = Type::Sequence(&sequence(
    &[
        Always(PROTOCOL_IDENTIFIER),
        Always(ENDPOINT_TYPE),
        Optional(H245_ADDRESS),
        Always(CALL_IDENTIFIER),
        Optional(H245_SECURITY),
        Optional(SequenceOf(&h235::CLEAR_TOKEN, 0)),
        Optional(SequenceOf(&h235::CRYPTO_H323_TOKEN, 0)),
        Optional(FAST_START),
    ],
    3,
    &[],
));

const MESSAGE_BODY: Type = Type::Choice(&Choice {
    root: &[SETUP, CALL_PROCEEDING, CONNECT, ALERTING, INFORMATION, RELEASE_COMPLETE, FACILITY],
    additions: later(6, &[(0, PROGRESS)]),
});
const H245_CONTROL: Type =
    SequenceOf(&Open(&Heard(Mark::Tunnelled, &h245::MESSAGE)), H245_CONTROL_MAX);
const H323_UU_PDU: Type = Type::Sequence(&sequence(
    &[Always(MESSAGE_BODY), Optional(NON_STANDARD_PARAMETER)],
    9,
    &[(2, H245_CONTROL), (3, Stop)],
));
/// H323-UserInformation, what a user-user information element of call signalling holds.
pub const USER_INFORMATION: Type =
    Type::Sequence(&sequence(&[Always(H323_UU_PDU), Optional(Stop)], 0, &[]));

// ---- Registration, admission and status.

const GATEKEEPER_REQUEST: Type = Type::Sequence(&sequence(
    &[
        Always(REQUEST_SEQUENCE_NUMBER),
        Always(PROTOCOL_IDENTIFIER),
        Optional(NON_STANDARD_PARAMETER),
        Always(RAS_ADDRESS),
        // endpointType
        Always(Stop),
        Optional(Stop),
        Optional(Stop),
        Optional(Stop),
    ],
    10,
    &[],
));
const GATEKEEPER_CONFIRM: Type = Type::Sequence(&sequence(
    &[
        Always(REQUEST_SEQUENCE_NUMBER),
        Always(PROTOCOL_IDENTIFIER),
        Optional(NON_STANDARD_PARAMETER),
        Optional(IDENTIFIER),
        Always(TRANSPORT_ADDRESS),
    ],
    9,
    &[(0, Stop)],
));
const REGISTRATION_REQUEST: Type = Type::Sequence(&sequence(
    &[
        Always(REQUEST_SEQUENCE_NUMBER),
        Always(PROTOCOL_IDENTIFIER),
        Optional(NON_STANDARD_PARAMETER),
        Always(Boolean),
        Always(CALL_SIGNAL_ADDRESSES),
        Always(SequenceOf(&RAS_ADDRESS, ADDRESSES_MAX)),
        Always(ENDPOINT_TYPE),
        Optional(ALIASES),
        Optional(IDENTIFIER),
        Always(VENDOR_IDENTIFIER),
    ],
    21,
    &[(1, TIME_TO_LIVE), (2, Stop)],
));
const REGISTRATION_CONFIRM: Type = Type::Sequence(&sequence(
    &[
        Always(REQUEST_SEQUENCE_NUMBER),
        Always(PROTOCOL_IDENTIFIER),
        Optional(NON_STANDARD_PARAMETER),
        Always(CALL_SIGNAL_ADDRESSES),
        Optional(ALIASES),
        Optional(IDENTIFIER),
        Always(IDENTIFIER),
    ],
    17,
    &[(1, TIME_TO_LIVE), (2, Stop)],
));
const UNREGISTRATION_REQUEST: Type = Type::Sequence(&sequence(
    &[
        Always(REQUEST_SEQUENCE_NUMBER),
        Always(CALL_SIGNAL_ADDRESSES),
        Optional(Stop),
        Optional(Stop),
        Optional(Stop),
    ],
    10,
    &[],
));
const ADMISSION_REQUEST: Type = Type::Sequence(&sequence(
    &[
        Always(REQUEST_SEQUENCE_NUMBER),
        Always(CALL_TYPE),
        Optional(CALL_MODEL),
        Always(IDENTIFIER),
        Optional(ALIASES),
        Optional(DEST_ADDRESS),
        // destExtraCallInfo, srcInfo
        Optional(ALIASES),
        Always(ALIASES),
        Optional(SOURCE_ADDRESS),
        // bandWidth
        Always(Stop),
        Optional(Stop),
        Optional(Stop),
    ],
    26,
    &[],
));
const ADMISSION_CONFIRM: Type = Type::Sequence(&sequence(
    &[
        Always(REQUEST_SEQUENCE_NUMBER),
        Always(BANDWIDTH),
        Always(CALL_MODEL),
        Always(TRANSPORT_ADDRESS),
        // irrFrequency
        Optional(Stop),
        Optional(Stop),
    ],
    21,
    &[],
));
const LOCATION_REQUEST: Type = Type::Sequence(&sequence(
    &[
        Always(REQUEST_SEQUENCE_NUMBER),
        Optional(IDENTIFIER),
        Always(ALIASES),
        Optional(NON_STANDARD_PARAMETER),
        // replyAddress
        Always(RAS_ADDRESS),
    ],
    12,
    &[(0, Stop)],
));
const LOCATION_CONFIRM: Type = Type::Sequence(&sequence(
    &[
        Always(REQUEST_SEQUENCE_NUMBER),
        Always(TRANSPORT_ADDRESS),
        Always(OTHER_ADDRESS),
        Optional(Stop),
    ],
    15,
    &[],
));
const INFO_REQUEST_RESPONSE: Type = Type::Sequence(&sequence(
    &[
        Optional(NON_STANDARD_PARAMETER),
        Always(REQUEST_SEQUENCE_NUMBER),
        Always(ENDPOINT_TYPE),
        Always(IDENTIFIER),
        Always(RAS_ADDRESS),
        Always(CALL_SIGNAL_ADDRESSES),
        // endpointAlias, perCallInfo
        Optional(Stop),
        Optional(Stop),
    ],
    7,
    &[],
));

/// RasMessage, as far as the helper does anything: the other messages are not read beyond their
/// number.
pub const RAS_MESSAGE: Type = Type::Choice(&Choice {
    root: &[
        Heard(Mark::GatekeeperRequest, &GATEKEEPER_REQUEST),
        Heard(Mark::GatekeeperConfirm, &GATEKEEPER_CONFIRM),
        Null,
        Heard(Mark::RegistrationRequest, &REGISTRATION_REQUEST),
        Heard(Mark::RegistrationConfirm, &REGISTRATION_CONFIRM),
        Null,
        Heard(Mark::UnregistrationRequest, &UNREGISTRATION_REQUEST),
        Null,
        Null,
        Heard(Mark::AdmissionRequest, &ADMISSION_REQUEST),
        Heard(Mark::AdmissionConfirm, &ADMISSION_CONFIRM),
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
        Null,
        Heard(Mark::LocationRequest, &LOCATION_REQUEST),
        Heard(Mark::LocationConfirm, &LOCATION_CONFIRM),
        Null,
        // infoRequest
        Null,
        Heard(Mark::InfoRequestResponse, &INFO_REQUEST_RESPONSE),
        Null,
        Null,
    ],
    additions: extensible(0),
});

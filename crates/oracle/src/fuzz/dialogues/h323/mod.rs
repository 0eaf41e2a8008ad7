//! H.323 dialogues: end points find a gatekeeper, register and are admitted (H.225.0 over UDP), call
//! each other (H.225.0 over TCP), and open channels in H.245 or in the signalling itself; media and
//! T.120 follow, some not as announced.

mod encode;

use super::Messages;
use super::stream::Stream;
use crate::fuzz::draft::{Body, Draft, UDP};
use crate::fuzz::flow::{Flow, address};
use crate::fuzz::random::Random;
use encode::{Say, encode};
use keepstate_conntrack::helpers::h323::Mark;
use keepstate_conntrack::helpers::h323::grammar::{h225, h245};
use keepstate_conntrack::helpers::h323::per::Type;
use keepstate_packet::{Address, Family};

/// Ports that are announced.
const PORTS: [u16; 8] = [1720, 1719, 5000, 5001, 5004, 1503, 30_000, 65_535];

/// What the three helpers read.
pub(super) const MESSAGES: [Messages; 3] = [
    Messages {
        helper: "RAS",
        kinds: &[
            "gatekeeperRequest",
            "gatekeeperConfirm",
            "registrationRequest",
            "registrationConfirm",
            "unregistrationRequest",
            "admissionRequest",
            "admissionConfirm",
            "locationRequest",
            "locationConfirm",
            "infoRequestResponse",
        ],
        kind: ras_kind,
    },
    Messages {
        helper: "Q.931",
        kinds: &[
            "setup",
            "callProceeding",
            "connect",
            "alerting",
            "information",
            "releaseComplete",
            "facility",
            "progress",
        ],
        kind: call_kind,
    },
    Messages {
        helper: "H.245",
        kinds: &["openLogicalChannel", "openLogicalChannelAck"],
        kind: control_kind,
    },
];

/// The number of the message, in five bits behind one that says whether it is an addition.
fn ras_kind(payload: &[u8]) -> Option<&'static str> {
    Some(match payload.first()? >> 2 {
        0 => "gatekeeperRequest",
        1 => "gatekeeperConfirm",
        3 => "registrationRequest",
        4 => "registrationConfirm",
        6 => "unregistrationRequest",
        9 => "admissionRequest",
        10 => "admissionConfirm",
        18 => "locationRequest",
        19 => "locationConfirm",
        22 => "infoRequestResponse",
        _ => return None,
    })
}

/// Behind the user-user information element's introduction: two bits of the outer sequence, two of
/// the inner one, and the number of the message.
fn call_kind(payload: &[u8]) -> Option<&'static str> {
    let at = payload.iter().position(|octet| *octet == 0x7e)?;
    Some(match payload.get(at + 4)? & 0xf {
        0 => "setup",
        1 => "callProceeding",
        2 => "connect",
        3 => "alerting",
        4 => "information",
        5 => "releaseComplete",
        6 => "facility",
        8 => "progress",
        _ => return None,
    })
}

/// Behind the TPKT header: three bits for requests or responses, four or five behind another one for
/// the number of the message.
fn control_kind(payload: &[u8]) -> Option<&'static str> {
    match *payload {
        [3, 0, _, _, 0x03, ..] => Some("openLogicalChannel"),
        [3, 0, _, _, 0x22, 0x80..=0xff, ..] => Some("openLogicalChannelAck"),
        _ => None,
    }
}

/// A dialogue.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    match random.below(24) {
        0 => datagrams(random),
        1..10 => {
            let flow = Flow::new(random, &[1719]);
            registration(random, flow)
        }
        10..20 => {
            let flow = Flow::new(random, &[1720]);
            call_on(random, flow)
        }
        _ => crowd(random),
    }
}

/// Several who talk with one, and listen where the others listen.
fn crowd(random: &mut Random) -> Vec<Draft> {
    let port = random.pick(&[1719, 1720]);
    let first = Flow::new(random, &[port]);
    let mut drafts = Vec::new();
    for host in 1..=2 + random.below(2) as u8 {
        let mut flow = first;
        flow.addresses[0] = address(flow.family, flow.sides[0], host);
        flow.ports[0] += u16::from(host);
        drafts.extend(match port {
            1719 => registration(random, flow),
            _ => call_on(random, flow),
        });
    }
    drafts
}

/// With a gatekeeper.
fn registration(random: &mut Random, flow: Flow) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let steps = [
        (0, Mark::GatekeeperRequest),
        (1, Mark::GatekeeperConfirm),
        (0, Mark::RegistrationRequest),
        (1, Mark::RegistrationConfirm),
        (0, Mark::AdmissionRequest),
        (1, Mark::AdmissionConfirm),
        (0, Mark::LocationRequest),
        (1, Mark::LocationConfirm),
        (0, Mark::InfoRequestResponse),
        (0, Mark::UnregistrationRequest),
    ];
    let settled = usual_port(random, &flow);
    for (end, message) in steps {
        if random.chance(30) {
            continue;
        }
        let end = if random.chance(8) { 1 - end } else { end };
        let mut say = said(random, &flow, end, Some(message));
        if random.chance(60) {
            say.port = settled;
        }
        if end == 1 && random.chance(40) {
            // What was registered, as the gatekeeper sees it.
            say.address = seen_outside(random, &flow);
        }
        for _ in 0..=usize::from(random.chance(15)) {
            let payload = message_of(random, &h225::RAS_MESSAGE, say);
            drafts.push(datagram(random, &flow, end, payload));
        }
        if random.chance(30) {
            let payload = random.bytes(20);
            drafts.push(datagram(random, &flow, 1 - end, payload));
        }
        if random.chance(50) {
            drafts.extend(announced(random, &flow, end, message, say));
        }
    }
    drafts
}

/// The address of the one who asks, as it may come out of a router.
fn seen_outside(random: &mut Random, flow: &Flow) -> Address {
    match flow.family {
        Family::V4 => {
            let [own, known] = [[100, 127, 254, 1], [203, 0, 113, 1]].map(Address::v4);
            random.pick(&[flow.addresses[0], own, known, known])
        }
        Family::V6 => flow.addresses[0],
    }
}

/// What follows a message of registration.
fn announced(random: &mut Random, flow: &Flow, end: usize, message: Mark, say: Say) -> Vec<Draft> {
    let mut next = towards(flow, end);
    next.addresses[1] = say.address;
    next.ports = [40_000 + random.below(3) as u16, say.port];
    match message {
        Mark::GatekeeperConfirm => {
            let say = said(random, &next, 0, Some(Mark::RegistrationRequest));
            let payload = message_of(random, &h225::RAS_MESSAGE, say);
            Vec::from([datagram(random, &next, 0, payload)])
        }
        Mark::UnregistrationRequest | Mark::GatekeeperRequest | Mark::LocationRequest => Vec::new(),
        _ => call_on(random, next),
    }
}

/// A connection to the end that has announced it.
fn towards(flow: &Flow, listener: usize) -> Flow {
    let opener = 1 - listener;
    Flow {
        addresses: [flow.addresses[opener], flow.addresses[listener]],
        sides: [flow.sides[opener], flow.sides[listener]],
        ..*flow
    }
}

/// Signalling, and the control of media on a connection of its own.
fn call_on(random: &mut Random, flow: Flow) -> Vec<Draft> {
    let mut call = Stream::open(random, flow);
    for _ in 0..=call.random.below(4) {
        let end = call.random.below(2);
        let message = call.random.chance(12).then_some(Mark::CallForwarded);
        let say = said(call.random, &flow, end, message);
        let information = message_of(call.random, &h225::USER_INFORMATION, say);
        let message = q931(call.random, &information);
        talk(&mut call, end, &message);
        if call.random.chance(60) {
            let followers = followers(call.random, &flow, end, say.port);
            call.drafts.extend(followers);
        }
    }
    if call.random.chance(60) {
        call.close();
    }
    call.drafts
}

/// What follows signalling or control: H.245, T.120, media.
fn followers(random: &mut Random, flow: &Flow, end: usize, port: u16) -> Vec<Draft> {
    let mut next = towards(flow, end);
    next.ports = [41_000 + random.below(3) as u16, port];
    match random.below(6) {
        0 => {
            let mut tcp = Stream::open(random, next);
            tcp.say(0, b"T.120 or so");
            tcp.drafts
        }
        1..4 => control(random, next),
        _ => {
            let mut drafts = Vec::new();
            for _ in 0..2 {
                next.ports[1] ^= 1;
                let payload = random.bytes(24);
                drafts.push(datagram(random, &next, 0, payload));
                if random.chance(40) {
                    drafts.push(datagram(random, &next, 1, vec![0; 12]));
                }
            }
            drafts
        }
    }
}

/// An H.245 connection.
fn control(random: &mut Random, flow: Flow) -> Vec<Draft> {
    let mut control = Stream::open(random, flow);
    let most = if control.random.chance(10) { 14 } else { 5 };
    for _ in 0..=control.random.below(most) {
        let end = control.random.below(2);
        let mut say = said(control.random, &flow, end, None);
        if control.random.chance(60) {
            say.port = control.random.pick(&PORTS);
        }
        let message = message_of(control.random, &h245::MESSAGE, say);
        talk(&mut control, end, &message);
    }
    control.drafts
}

/// H.245 in datagrams, as the helper reads them: with the length of a TCP header in the octet where
/// a segment has it.
fn datagrams(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &[1718]);
    let mut drafts = Vec::new();
    for n in 0..2 + random.below(4) {
        let end = if n < 2 { n } else { random.below(2) };
        let mut say = said(random, &flow, end, None);
        say.port = random.pick(&PORTS);
        let words = random.pick(&[5, 5, 5, 6, 8, 15, 4, 2, 0]);
        let mut payload = random.bytes((4 * words).max(20) - 8);
        payload[4] = (words as u8) << 4 | payload[4] & 0xf;
        let message = message_of(random, &h245::MESSAGE, say);
        payload.extend([3, 0]);
        payload.extend((message.len() as u16 + 4).to_be_bytes());
        payload.extend(message);
        if random.chance(10) {
            payload.truncate(random.below(16));
        }
        drafts.push(datagram(random, &flow, end, payload));
    }
    drafts
}

/// Where those who talk with one end are likely to listen, all of them.
fn usual_port(random: &mut Random, flow: &Flow) -> u16 {
    let [.., last] = flow.addresses[1].0;
    let last = if flow.family == Family::V4 { flow.addresses[1].0[3] } else { last };
    if random.chance(60) { [5000, 5001][usize::from(last & 1)] } else { random.pick(&PORTS) }
}

/// What an end has to say: mostly its own address.
fn said(random: &mut Random, flow: &Flow, end: usize, message: Option<Mark>) -> Say {
    let foreign = match message {
        Some(Mark::AdmissionConfirm | Mark::LocationConfirm | Mark::CallForwarded) => 60,
        _ => 6,
    };
    let mut address = flow.addresses[end];
    if random.chance(foreign) {
        address = flow.addresses[1 - end];
        if random.chance(70) {
            address.0[3] ^= 3;
        }
    }
    let port = if random.chance(4) { 0 } else { usual_port(random, flow) };
    let own = (flow.addresses[end], flow.ports[end]);
    Say { family: flow.family, message, address, port, own }
}

/// A message, sometimes spoilt.
fn message_of(random: &mut Random, kind: &Type, say: Say) -> Vec<u8> {
    let mut bytes = encode(random, kind, say);
    while random.chance(18) && !bytes.is_empty() {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes[at] = random.byte(),
            2 => bytes.insert(at, random.byte()),
            3 => drop(bytes.remove(at)),
            _ => bytes[at] ^= 1 << random.below(8),
        }
    }
    bytes
}

/// Information elements before the one that counts, and that one.
fn q931(random: &mut Random, information: &[u8]) -> Vec<u8> {
    let mut message = vec![if random.chance(2) { random.byte() } else { 8 }];
    let reference = random.pick(&[2, 2, 2, 2, 1, 0, 4]);
    message.push(reference);
    message.extend(random.bytes(usize::from(reference)));
    message.push(random.pick(&[5, 2, 7, 1, 0x62, 0x5a]));
    if random.chance(8) {
        message.push(0xa1);
    }
    for _ in 0..random.below(3) {
        let length = random.below(6);
        message.extend([random.pick(&[0x04, 0x28, 0x6c, 0x70, 0x88]), length as u8]);
        message.extend(random.bytes(length));
    }
    let off = if random.chance(4) { random.pick(&[-2, -1, 1, 5]) } else { 0 };
    message.push(0x7e);
    message.extend((information.len() as u16 + 1).wrapping_add_signed(off).to_be_bytes());
    message.push(5);
    message.extend(information);
    if random.chance(5) {
        message.extend(random.bytes(3));
    }
    message
}

/// A message in a TPKT: alone, with another one, in two segments after its header, or with a wrong
/// length.
fn talk(stream: &mut Stream<'_>, end: usize, message: &[u8]) {
    let random = &mut *stream.random;
    let off = if random.chance(4) { random.pick(&[-5, -1, 1, 4]) } else { 0 };
    let mut header = vec![3, if random.chance(2) { 1 } else { 0 }];
    header.extend((message.len() as u16 + 4).wrapping_add_signed(off).to_be_bytes());
    let packet = [&header[..], message].concat();
    match random.below(14) {
        0 => {
            stream.say(end, &header);
            stream.say(end, message);
        }
        1 => stream.say(end, &[&packet[..], &packet].concat()),
        2 => stream.say(end, &[&packet[..], &[3, 0, 0, 4]].concat()),
        3 => stream.say(end, &[&[3, 0, 0, 9, 8, 2, 0, 1, 5][..], &packet].concat()),
        _ => stream.say(end, &packet),
    }
}

fn datagram(random: &mut Random, flow: &Flow, end: usize, payload: Vec<u8>) -> Draft {
    let body = Body::Udp {
        ports: (flow.ports[end], flow.ports[1 - end]),
        length_error: 0,
        payload,
        unsummed: false,
    };
    Draft::new(flow.sides[end], flow.network(end, random), UDP, body)
}

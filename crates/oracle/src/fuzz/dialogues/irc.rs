//! IRC dialogues (RFC 1459) with DCC offers (CTCP), the connections that follow them, and offers
//! that are nobody's or not whole.

use super::Messages;
use super::stream::Stream;
use crate::fuzz::draft::Draft;
use crate::fuzz::flow::Flow;
use crate::fuzz::random::Random;
use keepstate_packet::Family;

/// The kinds of offer.
pub(crate) const MESSAGES: Messages =
    Messages { helper: "irc", kinds: &["SEND", "CHAT", "MOVE", "TSEND", "SCHAT"], kind };

fn kind(payload: &[u8]) -> Option<&'static str> {
    let introduction = b"\x01DCC ";
    let at = payload.windows(introduction.len()).position(|window| window == introduction)?;
    let word = payload.get(at + introduction.len()..)?.split(|byte| *byte == b' ').next()?;
    MESSAGES.kinds.iter().copied().find(|kind| word == kind.as_bytes())
}

/// A dialogue.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &[6667]);
    let mut dialogue = Stream::open(random, flow);
    if dialogue.random.chance(60) {
        dialogue.say(0, b"NICK a\r\nUSER a 0 * :a\r\n");
        dialogue.say(1, b":irc.example 001 a :Welcome\r\n");
    }
    for _ in 0..=dialogue.random.below(4) {
        let port = 2000 + dialogue.random.below(20) as u16;
        let offer = offer(&mut dialogue, port);
        let end = usize::from(dialogue.random.chance(8));
        dialogue.say(end, &offer);
        if dialogue.random.chance(80) {
            answer(&mut dialogue, port);
        }
    }
    if dialogue.random.chance(50) {
        dialogue.say(0, b"QUIT\r\n");
        dialogue.close();
    }
    dialogue.drafts
}

/// A line with an offer, or with two.
fn offer(dialogue: &mut Stream<'_>, port: u16) -> Vec<u8> {
    let own = dialogue.flow.addresses[0].v4_octets();
    let random = &mut *dialogue.random;
    let address = match random.below(16) {
        0 => u32::from_be_bytes(own) ^ 0x20,
        1 => u32::from_be_bytes(dialogue.flow.addresses[1].v4_octets()),
        _ => u32::from_be_bytes(own),
    };
    let kind = random.pick(MESSAGES.kinds);
    let mut line = String::new();
    line.push_str(random.pick(&["", "", "", "", " ", "\r\n", "  \n", "\0", "@"]));
    line.push_str(random.pick(&[
        "PRIVMSG b :\x01DCC ",
        "PRIVMSG b :\x01DCC ",
        "PRIVMSG b :\x01DCC ",
        "PRIVMSG #channel :\x01DCC ",
        "privmsg b :\x01DCC ",
        "PrivMsg b :\x01DCC ",
        "PRIVMSG b : :\x01DCC ",
        "PRIVMSG b:\x01DCC ",
        "PRIVMSG  :\x01DCC ",
        "PRIVMSG b :hello :\x01DCC ",
        "PRIVMSG b :\x01dcc ",
        "PRIVMSG b :DCC ",
        "NOTICE b :\x01DCC ",
        "PRIVMSG b :\x01DCC SEND x 1 1\n :\x01DCC ",
    ]));
    line.push_str(kind);
    line.push_str(
        random.pick(&[" ", " ", " ", " ", "  ", "", " CHAT ", " TSEND ", " SCHAT ", "\t"]),
    );
    line.push_str(random.pick(&["file", "chat", "a", "", "\"a b\"", "a-long-name-of-a-file.txt"]));
    line.push_str(random.pick(&[" ", " ", " ", " ", "", "  "]));
    match random.below(12) {
        0 => line.push_str(&format!("{}", u64::from(address) + (1 << 32))),
        1 => line.push_str(&format!("00{address}")),
        2 => line.push_str(random.pick(&["", "-1", "0", "x", "10.1.0.1", "+1", "0x0a010001"])),
        _ => line.push_str(&address.to_string()),
    }
    line.push_str(random.pick(&[" ", " ", " ", " ", "  ", "     ", "", "\t", "\n"]));
    match random.below(12) {
        0 => line.push_str(&format!("{}", u32::from(port) + 65_536)),
        1 => line.push_str(random.pick(&["", "0", "65536", "-1", "x", "99999999999999999999"])),
        _ => line.push_str(&port.to_string()),
    }
    line.push_str(random.pick(&["", "", "", " 12345", " 1 2 3 4 5", "x"]));
    line.push_str(random.pick(&["\x01\r\n", "\x01\r\n", "\x01\r\n", "\x01\n", "\n", "\x01\r", ""]));
    match random.below(16) {
        0 => line.push_str("PRIVMSG c :\x01DCC CHAT chat 1 1\x01\r\n"),
        1 => line.push_str(&"x".repeat(random.below(40))),
        2 => line = format!("{}{line}", "\r\n".repeat(random.pick(&[1, 100, 2030, 2040, 2047]))),
        3 => line = format!("PRIVMSG b :{}{line}", "y".repeat(random.below(4100))),
        _ => {}
    }
    super::spoilt(random, line).into_bytes()
}

/// Somebody takes up the offer.
fn answer(dialogue: &mut Stream<'_>, port: u16) {
    let talk = dialogue.flow;
    let mut from = talk.addresses[1];
    from.0[if talk.family == Family::V4 { 3 } else { 15 }] ^= dialogue.random.pick(&[0, 3]);
    let port = if dialogue.random.chance(10) { port ^ 1 } else { port };
    let flow = Flow {
        addresses: [from, talk.addresses[0]],
        sides: [talk.sides[1], talk.sides[0]],
        ports: [40_000 + dialogue.random.below(4) as u16, port],
        ..talk
    };
    dialogue.another(flow);
}

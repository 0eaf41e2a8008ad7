//! Amanda dialogues: a backup server's request, the client's answer with the ports of its data
//! connections, and these.

use super::Messages;
use super::datagrams::Datagrams;
use super::stream::Stream;
use crate::fuzz::draft::Draft;
use crate::fuzz::flow::Flow;
use crate::fuzz::random::Random;

/// What an answer announces.
pub(crate) const MESSAGES: Messages =
    Messages { helper: "amanda", kinds: &["DATA", "MESG", "INDEX", "STATE", "no CONNECT"], kind };

/// The first that is announced: each stands alone often enough.
fn kind(payload: &[u8]) -> Option<&'static str> {
    let holds = |text: &[u8]| payload.windows(text.len()).any(|window| window == text);
    if !holds(b"CONNECT ") {
        return MESSAGES.kinds.last().copied();
    }
    MESSAGES.kinds.iter().copied().find(|kind| holds(kind.as_bytes()))
}

/// A dialogue.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &[10_080]);
    let mut dialogue = Datagrams::new(random, flow);
    let mut announced = Vec::new();
    for _ in 0..=dialogue.random.below(3) {
        dialogue.say(0, b"Amanda 2.6 REQ HANDLE 000-1 SEQ 1\nSERVICE sendbackup\n");
        if dialogue.random.chance(60) {
            dialogue.say(1, b"Amanda 2.6 ACK HANDLE 000-1 SEQ 1\n");
        }
        let ports = [(); 4].map(|()| 2000 + dialogue.random.below(20) as u16);
        let answer = answer(dialogue.random, ports);
        let end = usize::from(!dialogue.random.chance(6));
        dialogue.say(end, answer.as_bytes());
        if dialogue.random.chance(10) {
            dialogue.say(end, answer.as_bytes());
        }
        if dialogue.random.chance(5) {
            dialogue.say(1, b"");
        }
        announced.extend(ports);
    }
    let Datagrams { random, mut drafts, .. } = dialogue;
    for port in announced {
        if random.chance(50) {
            let port = if random.chance(10) { port ^ 1 } else { port };
            let ports = [40_000 + random.below(4) as u16, port];
            drafts.extend(Stream::alone(random, Flow { ports, ..flow }));
        }
    }
    drafts
}

fn answer(random: &mut Random, ports: [u16; 4]) -> String {
    let mut text = String::from("Amanda 2.6 REP HANDLE 000-1 SEQ 1\n");
    text.push_str(random.pick(&["CONNECT ", "CONNECT ", "CONNECT ", "CONNECT", "connect ", "\n"]));
    for (kind, port) in ["DATA", "MESG", "INDEX", "STATE"].iter().zip(ports) {
        if random.chance(20) {
            continue;
        }
        text.push_str(kind);
        text.push_str(random.pick(&[" ", " ", " ", " ", " ", " ", " ", "  ", "\t", ""]));
        match random.below(16) {
            0 => text.push_str(random.pick(&["0", "", "x", "-1", "65536", "70000", "+5", "000"])),
            1 => text.push_str(&format!("{}", u32::from(port) + 65_536)),
            2 => text.push_str(&format!("{port}{port}")),
            3 => text.push_str(&format!("0{port}")),
            _ => text.push_str(&port.to_string()),
        }
        text.push_str(random.pick(&[" ", " ", " ", " ", "\n", "", "x"]));
    }
    text.push_str(random.pick(&["\n", "\n", "\n", "\n", "", "\r\n", "\nCONNECT DATA 2001 \n"]));
    text.push_str(random.pick(&["OPTIONS ;\n", "", ""]));
    super::spoilt(random, text)
}

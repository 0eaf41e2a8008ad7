//! A memory is lost in mid-connection: an end's (it was restarted), or the filter's.

use super::super::writer::{DATA_LOST, Tcp, Writer};
use super::super::{Content, Conversation, Nature, Parties, Script, Segment, Who};
use keepstate_packet::tcp::{ACK, PSH, RST};
use std::time::Duration;

pub(super) const RESTARTED: Conversation = Conversation {
    code: "half-open",
    title: "A connection that the server has forgotten (it was restarted): its reset ends it",
    when_broken: "A client of a restarted server hangs for a quarter of an hour where it could have connected \
                  anew at once.",
    nature: Nature::Mishap,
    script: restarted,
    ..super::tcp::SERVICE
};

pub(super) const PICKED_UP: Conversation = Conversation {
    code: "mid-stream",
    title: "A connection whose beginning the filter has not seen",
    when_broken: "Connections that were open when the filter was restarted hang.",
    script: picked_up,
    ..RESTARTED
};

fn restarted(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    script.data(&mut tcp, Who::Client, 100);
    script.data(&mut tcp, Who::Server, 300);
    let data = tcp.segment(Who::Client, PSH | ACK, &[b'q'; 100]);
    let label = "100 bytes, after the server's restart";
    let lost = "The client's data does not reach the server, which could have told it.";
    script.step(Who::Client, Who::Server, label, data, lost);
    script.after(Duration::from_secs(60));
    // The number that the client acknowledges is all that the server knows.
    let reset = Content::Tcp(Segment {
        source_port: parties.server_port,
        destination_port: parties.client_port,
        sequence: tcp.server_next,
        flags: RST,
        ..Segment::default()
    });
    let lost = "The client is not told that the server knows nothing of it: it repeats its data until it \
                gives up, after a quarter of an hour.";
    script.step(Who::Server, Who::Client, "RST", reset, lost);
    script.finish()
}

fn picked_up(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    tcp.client_next = 7_000_000;
    tcp.server_next = 9_000_000;
    let mut script = Writer::new();
    let lost = "A connection that is older than the filter's memory of it (after a restart, a flush, a change \
                of route) is cut.";
    let data = tcp.segment(Who::Client, PSH | ACK, &[b'q'; 100]);
    script.step(Who::Client, Who::Server, "ACK (no SYN seen)", data, lost);
    let data = tcp.segment(Who::Server, PSH | ACK, &[b'a'; 500]);
    script.step(Who::Server, Who::Client, "ACK, 500 bytes", data, lost);
    let data = tcp.segment(Who::Client, ACK, &[]);
    script.step(Who::Client, Who::Server, "ACK", data, DATA_LOST);
    script.finish()
}

//! An end of one TCP connection, as far as a filter between the ends can make a difference: it keeps
//! what it has sent and what it waits for, believes a reset that carries just that number (RFC 5961, 3.2),
//! and answers what is of no connection with a reset (RFC 9293, 3.10.7.1).

use super::tcp_whole;
use keepstate_packet::checksum::{self, Verified};
use keepstate_packet::tcp::{ACK, PSH, RST, SYN, TcpHeader};
use keepstate_packet::{L4, Parsed};

/// What the endpoints announce as their window, in bytes; [`tcp_whole`] writes it.
pub(crate) const WINDOW: u32 = 0x2000;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Listening,
    Calling,
    Open,
    /// A reset has ended it.
    Reset,
}

/// One end.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) state: State,
    own: ([u8; 4], u16),
    peer: ([u8; 4], u16),
    /// The next number that it sends.
    pub(crate) send_next: u32,
    /// The number that it waits for.
    pub(crate) receive_next: u32,
    /// What it has been told, in order.
    pub(crate) heard: Vec<u8>,
}

impl Endpoint {
    pub(crate) fn new(own: ([u8; 4], u16), first: u32) -> Self {
        let peer = ([0; 4], 0);
        let (state, heard) = (State::Listening, Vec::new());
        Self { state, own, peer, send_next: first, receive_next: 0, heard }
    }

    /// Calls somebody: the SYN.
    pub(crate) fn call(&mut self, peer: ([u8; 4], u16)) -> Vec<u8> {
        (self.state, self.peer) = (State::Calling, peer);
        let syn = self.segment(SYN, self.send_next, &[]);
        self.send_next = self.send_next.wrapping_add(1);
        syn
    }

    /// The next data.
    pub(crate) fn say(&mut self, data: &[u8]) -> Vec<u8> {
        assert_eq!(self.state, State::Open, "only a connection carries data");
        let segment = self.segment(ACK | PSH, self.send_next, data);
        self.send_next = self.send_next.wrapping_add(data.len() as u32);
        segment
    }

    /// Data from so many bytes further on, which nobody has asked for yet: a stray.
    pub(crate) fn say_astray(&self, further: u32, data: &[u8]) -> Vec<u8> {
        self.segment(ACK, self.send_next.wrapping_add(further), data)
    }

    fn segment(&self, flags: u8, sequence: u32, data: &[u8]) -> Vec<u8> {
        let ack = if flags & ACK == 0 { 0 } else { self.receive_next };
        tcp_whole(self.own, self.peer, flags, (sequence, ack), &[], data)
    }

    /// Takes a packet; what it answers.
    pub(crate) fn hear(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let parsed = Parsed::new(packet).expect("a packet");
        let L4::Tcp(segment) = parsed.l4 else { panic!("no segment: {packet:x?}") };
        assert_eq!(checksum::verify(&parsed, packet), Verified::Valid, "{packet:x?}");
        let to = (parsed.destination.v4_octets(), segment.destination_port);
        assert_eq!(to, self.own, "somebody else's");
        let from = (parsed.source.v4_octets(), segment.source_port);
        let is_mine = self.peer == from;
        match self.state {
            State::Listening if segment.flags & (SYN | ACK | RST) == SYN => {
                (self.state, self.peer) = (State::Open, from);
                self.receive_next = segment.sequence.wrapping_add(1);
                let answer = self.segment(SYN | ACK, self.send_next, &[]);
                self.send_next = self.send_next.wrapping_add(1);
                Some(answer)
            }
            State::Calling if is_mine && segment.flags & (SYN | ACK) == SYN | ACK => {
                assert_eq!(segment.acknowledgment, self.send_next);
                self.state = State::Open;
                self.receive_next = segment.sequence.wrapping_add(1);
                Some(self.segment(ACK, self.send_next, &[]))
            }
            State::Open if is_mine => self.hear_of_connection(&segment, parsed.payload(packet)),
            State::Listening | State::Calling | State::Open | State::Reset => {
                stranger(self.own, from, &segment, parsed.payload(packet).len())
            }
        }
    }

    fn hear_of_connection(&mut self, segment: &TcpHeader, data: &[u8]) -> Option<Vec<u8>> {
        let ahead = segment.sequence.wrapping_sub(self.receive_next);
        if segment.flags & RST != 0 {
            match ahead {
                0 => self.state = State::Reset,
                // In the window, but not the exact number: a challenge.
                1..WINDOW => return Some(self.segment(ACK, self.send_next, &[])),
                _ => {}
            }
            return None;
        }
        if ahead == 0 {
            self.heard.extend(data);
            self.receive_next = self.receive_next.wrapping_add(data.len() as u32);
        }
        // What comes out of order is asked for again, which is no different from an acknowledgment.
        (!data.is_empty()).then(|| self.segment(ACK, self.send_next, &[]))
    }
}

/// What is said to a segment of no connection.
fn stranger(
    own: ([u8; 4], u16),
    from: ([u8; 4], u16),
    segment: &TcpHeader,
    length: usize,
) -> Option<Vec<u8>> {
    if segment.flags & RST != 0 {
        return None;
    }
    let (flags, numbers) = match segment.flags & ACK {
        0 => {
            let controls = u32::from(segment.flags & SYN != 0);
            let end = segment.sequence.wrapping_add(controls).wrapping_add(length as u32);
            (RST | ACK, (0, end))
        }
        _ => (RST, (segment.acknowledgment, 0)),
    };
    Some(tcp_whole(own, from, flags, numbers, &[], &[]))
}

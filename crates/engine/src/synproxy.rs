//! SYNPROXY: what is sent in the place of the two ends, and the numbers and clocks that are translated
//! between them from then on.
//!
//! A SYN is answered with a cookie; the ACK that brings it back opens the connection to the server with
//! the client's own number, by a SYN that carries the cookie where an acknowledgment would stand, so
//! that it is at hand once the connection is there ([`complete`]). When the server answers, both get
//! an ACK: the client one that opens its window.

use crate::answer;
use crate::facts::Made;
use crate::recorder::Recorder;
use crate::route::{Forwarding, InterfaceIndex};
use crate::walk::{Sending, Stop, Walk};
use alloc::vec::Vec;
use keepstate_conntrack::conn::ConnId;
use keepstate_conntrack::proto::tcp::State;
use keepstate_conntrack::synproxy::Proxied;
use keepstate_conntrack::table::Template;
use keepstate_conntrack::{CtState, Direction, Hook, Tracked};
use keepstate_packet::tcp::{self, TcpHeader, TcpOption, TcpOptions};
use keepstate_packet::{Instant, L4, Parsed, rewrite};
use keepstate_ruleset::targets::synproxy::cookies::{Ends, Foretold};
use keepstate_ruleset::verdict::Announced;

/// Largest window scale (RFC 7323, 2.3); a larger one counts as this.
const SCALE_MAX: u8 = 14;

/// What a cookie's timestamp says of the SYN's options: the low bits of its value.
mod stamp {
    /// The window scale, or that there is none.
    pub(super) const SCALE: u32 = 0x0f;
    pub(super) const NO_SCALE: u32 = 0x0f;
    pub(super) const SACK: u32 = 1 << 4;
    pub(super) const ECN: u32 = 1 << 5;
    /// All of them.
    pub(super) const OPTIONS: u32 = 0x3f;
}

/// The options of a segment, read or to be written.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    mss: Option<u16>,
    window_scale: Option<u8>,
    sack_permitted: bool,
    /// Value and echo.
    stamps: Option<(u32, u32)>,
    ecn: bool,
}

impl Options {
    fn of(packet: &Parsed, bytes: &[u8]) -> Self {
        let mut read = Self::default();
        for option in TcpOptions::of(packet, bytes) {
            match option {
                TcpOption::MaximumSegmentSize(size) => read.mss = Some(size),
                TcpOption::WindowScale(shift) => read.window_scale = Some(shift.min(SCALE_MAX)),
                TcpOption::SackPermitted => read.sack_permitted = true,
                TcpOption::Timestamps { value, echo } => read.stamps = Some((value, echo)),
                TcpOption::Sack(_) | TcpOption::Other { .. } => {}
            }
        }
        read
    }

    /// In the order and with the padding of Linux.
    fn write(&self, out: &mut Vec<u8>) {
        if let Some(size) = self.mss {
            out.extend_from_slice(&[2, 4]);
            out.extend_from_slice(&size.to_be_bytes());
        }
        let sack = if self.sack_permitted { [4, 2] } else { [1, 1] };
        if let Some((value, echo)) = self.stamps {
            out.extend_from_slice(&sack);
            out.extend_from_slice(&[8, 10]);
            out.extend_from_slice(&value.to_be_bytes());
            out.extend_from_slice(&echo.to_be_bytes());
        } else if self.sack_permitted {
            out.extend_from_slice(&[1, 1, 4, 2]);
        }
        if let Some(shift) = self.window_scale {
            out.extend_from_slice(&[1, 3, 3, shift]);
        }
    }

    /// What is left of a client's offer when the server's is this; the value of the timestamp then
    /// holds the rest of it.
    fn answered(self, announced: Announced, clock: u32) -> Self {
        let mss = self.mss.and(announced.mss());
        let Some((value, _)) = self.stamps.filter(|_| announced.timestamp()) else {
            return Self { mss, ..Self::default() };
        };
        let window_scale = self.window_scale.filter(|_| announced.window_scale().is_some());
        let sack_permitted = self.sack_permitted && announced.sack_permitted();
        let ecn = self.ecn && announced.ecn();
        let held = window_scale.map_or(stamp::NO_SCALE, u32::from)
            | if sack_permitted { stamp::SACK } else { 0 }
            | if ecn { stamp::ECN } else { 0 };
        Self {
            mss,
            window_scale: window_scale.and(announced.window_scale()),
            sack_permitted,
            stamps: Some((clock & !stamp::OPTIONS | held, value)),
            ecn,
        }
    }

    /// What the client had offered, by the timestamp that it echoes.
    fn recalled(mut self) -> Self {
        if let Some((_, echo)) = self.stamps {
            let scale = echo & stamp::SCALE;
            if scale != stamp::NO_SCALE || self.window_scale.is_some() {
                self.window_scale = Some(scale as u8);
            }
            self.sack_permitted |= echo & stamp::SACK != 0;
            self.ecn = echo & stamp::ECN != 0;
        }
        self
    }
}

/// The numbers of a segment to send.
struct Numbers {
    sequence: u32,
    acknowledgment: u32,
    flags: u8,
    window: u16,
}

/// Who a segment is sent to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    /// To where the packet comes from.
    Back,
    /// To where it goes.
    On,
}

/// What SYNPROXY does with a SYN, and with an ACK that should bring a cookie.
#[inline(never)]
pub(crate) fn open<R: Recorder>(walk: &mut Walk<'_, R>, announced: Announced) -> Result<(), Stop> {
    let L4::Tcp(header) = walk.parsed.l4 else { return Err(Stop::Rule) };
    let mut offered = Options::of(walk.parsed, walk.bytes);
    if header.flags & tcp::SYN == 0 {
        return match client_ack(walk, &header, offered, header.sequence) {
            true => Err(Stop::Stolen),
            false => Err(Stop::Rule),
        };
    }
    offered.ecn = header.flags & (tcp::ECE | tcp::CWR) == tcp::ECE | tcp::CWR;
    let ends = ends(walk.parsed, &header);
    let cookies = &mut walk.stores.cookies;
    let size = offered.mss.unwrap_or(0);
    let cookie = cookies.make(walk.now, &ends, header.sequence, size);
    let foretold = cookies.take_foretold().and_then(|Foretold { stamp, .. }| stamp);
    let answer = offered.answered(announced, foretold.unwrap_or_else(|| clock(walk.now)));
    let numbers = Numbers {
        sequence: cookie,
        acknowledgment: header.sequence.wrapping_add(1),
        flags: tcp::SYN | tcp::ACK | if answer.ecn { tcp::ECE } else { 0 },
        window: 0,
    };
    let tracked = walk.tracked.and_then(|tracked| established(&tracked));
    send(walk, To::Back, &numbers, &answer, tracked);
    Err(Stop::Stolen)
}

/// Opens the connection to the server with a SYN numbered one before `sequence`, when an ACK brings a
/// cookie. Whether it does.
fn client_ack<R: Recorder>(
    walk: &mut Walk<'_, R>,
    header: &TcpHeader,
    options: Options,
    sequence: u32,
) -> bool {
    let first = header.sequence.wrapping_sub(1);
    let cookie = header.acknowledgment.wrapping_sub(1);
    let ends = ends(walk.parsed, header);
    let Some(size) = walk.stores.cookies.check(walk.now, &ends, first, cookie) else {
        return false;
    };
    let offer = Options { mss: Some(size), ..options.recalled() };
    let numbers = Numbers {
        sequence: sequence.wrapping_sub(1),
        acknowledgment: cookie,
        flags: tcp::SYN | if offer.ecn { tcp::ECE | tcp::CWR } else { 0 },
        window: header.window,
    };
    let template = Template { is_proxied: true, attached: true, ..Template::default() };
    let bytes = segment(walk, To::On, &numbers, &offer);
    let out = way(walk, To::On);
    let (made, unsummed, tracked) = (Made::Reset, true, None);
    walk.send_made(Sending { bytes, made, unsummed, tracked, template, out });
    true
}

/// What is done to a packet of a connection that was opened so, on its way out.
#[inline(never)]
pub(crate) fn complete<R: Recorder>(walk: &mut Walk<'_, R>) -> Result<(), Stop> {
    let Some(Tracked { conn: Some(conn), direction: Some(direction), .. }) = walk.tracked else {
        return Ok(());
    };
    let looped = walk.hook == Some(Hook::Input) && walk.interface == Some(walk.routing.loopback());
    if looped || walk.parsed.protocol != tcp::PROTOCOL {
        return Ok(());
    }
    let (Some(mut known), L4::Tcp(header)) = (walk.conntrack.proxied(conn), walk.parsed.l4) else {
        return Err(Stop::Rule);
    };
    let flags = header.flags;
    let has = |flag: u8| flags & flag != 0;
    let original = direction == Direction::Original;
    match walk.conntrack.tcp_state(conn) {
        Some(State::Close) if has(tcp::RST) && !original => {
            // A closed port answers with no number of its own.
            let by = known.isn.wrapping_sub(header.sequence).wrapping_add(1);
            walk.conntrack.shift_all(conn, direction, by);
        }
        Some(State::Close) if !has(tcp::SYN) || has(tcp::ACK) || !original => {}
        Some(state @ (State::Close | State::SynSent)) => {
            if state == State::Close {
                // The time that it was answered with stays until a segment with another one comes.
                known.clock_shift = 0;
            }
            known = begin(walk, conn, original, &header, known)?;
        }
        Some(State::SynRecv) if has(tcp::SYN) && has(tcp::ACK) => {
            return Err(join(walk, conn, direction, &header, known));
        }
        _ => {}
    }
    set_clock(walk.parsed, walk.bytes, direction, known);
    Ok(())
}

/// The SYN to the server, or the client that asks once more before that has answered.
fn begin<R: Recorder>(
    walk: &mut Walk<'_, R>,
    conn: ConnId,
    original: bool,
    header: &TcpHeader,
    mut known: Proxied,
) -> Result<Proxied, Stop> {
    check_header(walk, header)?;
    let options = Options::of(walk.parsed, walk.bytes);
    if header.flags & tcp::SYN == 0 && header.flags & tcp::ACK != 0 && original {
        // A keep-alive is numbered one before what is to come (RFC 9293, 3.8.4).
        let taken = client_ack(walk, header, options, header.sequence.wrapping_add(1));
        return Err(if taken { Stop::Stolen } else { Stop::Rule });
    }
    known.isn = header.acknowledgment;
    if let Some((_, echo)) = options.stamps {
        known.stamp = echo;
    }
    walk.conntrack.set_proxied(conn, known);
    Ok(known)
}

/// The server has answered: each side gets its ACK.
fn join<R: Recorder>(
    walk: &mut Walk<'_, R>,
    conn: ConnId,
    direction: Direction,
    header: &TcpHeader,
    mut known: Proxied,
) -> Stop {
    if let Err(stop) = check_header(walk, header) {
        return stop;
    }
    let options = Options::of(walk.parsed, walk.bytes);
    if let Some((value, _)) = options.stamps {
        known.clock_shift = value.wrapping_sub(known.stamp);
        walk.conntrack.set_proxied(conn, known);
    }
    let scale = options.window_scale.unwrap_or(0);
    let to_client = Options { stamps: options.stamps, ..Options::default() };
    let swapped = options.stamps.map(|(value, echo)| (echo, value));
    let to_server = Options { stamps: swapped, ..Options::default() };
    let numbers = Numbers {
        sequence: header.acknowledgment,
        acknowledgment: header.sequence.wrapping_add(1),
        flags: tcp::ACK,
        window: walk.conntrack.max_window(conn, Direction::Original) as u16,
    };
    send(walk, To::Back, &numbers, &to_server, None);
    walk.conntrack.shift_all(conn, direction, known.isn.wrapping_sub(header.sequence));
    walk.conntrack.tell_shifts(conn);
    let numbers = Numbers {
        sequence: header.sequence.wrapping_add(1),
        acknowledgment: header.acknowledgment,
        flags: tcp::ACK,
        window: header.window >> scale,
    };
    let tracked = walk.tracked.and_then(|tracked| established(&tracked));
    send(walk, To::On, &numbers, &to_client, tracked);
    Stop::Stolen
}

/// Options beyond the segment are none.
fn check_header<R>(walk: &Walk<'_, R>, header: &TcpHeader) -> Result<(), Stop> {
    let length = usize::from(header.header_length);
    let whole = (tcp::HEADER_LENGTH_MIN..=walk.parsed.l4_bytes(walk.bytes).len()).contains(&length);
    if whole { Ok(()) } else { Err(Stop::Rule) }
}

/// Translates the server's clock for the client, and back, wherever it stands.
fn set_clock(packet: &Parsed, bytes: &mut [u8], direction: Direction, known: Proxied) {
    const STAMPS: (u8, usize) = (8, 10);
    let L4::Tcp(header) = &packet.l4 else { return };
    if known.clock_shift == 0 {
        return;
    }
    let end = usize::from(header.header_length);
    let mut at = tcp::HEADER_LENGTH_MIN;
    while let Some([kind, rest @ ..]) = packet.l4_bytes(bytes).get(at..end) {
        let length = rest.first().copied().map(usize::from);
        match (kind, length) {
            (0, _) | (2.., None) => return,
            (1, _) => at += 1,
            (_, Some(length)) if length < 2 || at + length > end => return,
            (kind, Some(length)) if (*kind, length) == STAMPS => {
                let by = known.clock_shift;
                let (word, by) = match direction {
                    Direction::Reply => (at + 2, by.wrapping_neg()),
                    Direction::Original => (at + 6, by),
                };
                let old = packet.l4_bytes(bytes).get(word..).and_then(<[u8]>::first_chunk);
                let Some(old) = old.copied().map(u32::from_be_bytes) else { return };
                rewrite::put_tcp_word(packet, bytes, word, old.wrapping_add(by));
                at += STAMPS.1;
            }
            (_, Some(length)) => at += length,
        }
    }
}

/// Milliseconds, as timestamps count.
const fn clock(now: Instant) -> u32 {
    (now.0 / 1_000_000) as u32
}

fn ends(packet: &Parsed, header: &TcpHeader) -> Ends {
    Ends {
        family: packet.family,
        source: packet.source,
        destination: packet.destination,
        source_port: header.source_port,
        destination_port: header.destination_port,
    }
}

/// What an answer in the place of the server carries: it is a reply, whatever it answers.
fn established(tracked: &Tracked) -> Option<Tracked> {
    tracked.conn?;
    let direction = Some(Direction::Reply);
    Some(Tracked { state: CtState::Established, direction, ..*tracked })
}

/// A bump in the wire sends by one of its two sides.
fn way<R>(walk: &Walk<'_, R>, to: To) -> Option<InterfaceIndex> {
    match (walk.routing.host().forwarding, to) {
        (Forwarding::Router | Forwarding::Off, _) => None,
        (Forwarding::Wire, To::Back) => walk.interface,
        (Forwarding::Wire, To::On) => walk.out,
    }
}

fn send<R: Recorder>(
    walk: &mut Walk<'_, R>,
    to: To,
    numbers: &Numbers,
    options: &Options,
    tracked: Option<Tracked>,
) {
    let (bytes, out) = (segment(walk, to, numbers, options), way(walk, to));
    let template = Template::default();
    let (made, unsummed) = (Made::Reset, true);
    walk.send_made(Sending { bytes, made, unsummed, tracked, template, out });
}

/// A segment between the ends of the packet.
fn segment<R>(walk: &Walk<'_, R>, to: To, numbers: &Numbers, options: &Options) -> Vec<u8> {
    let packet = &*walk.parsed;
    let L4::Tcp(header) = &packet.l4 else { return Vec::new() };
    let (mut ends, mut ports) =
        ([packet.source, packet.destination], [header.source_port, header.destination_port]);
    if to == To::Back {
        ends.reverse();
        ports.reverse();
    }
    let mut written = Vec::with_capacity(40);
    options.write(&mut written);
    let words = 5 + (written.len() / 4) as u8;
    let mut segment = Vec::with_capacity(tcp::HEADER_LENGTH_MIN + written.len());
    ports.iter().for_each(|port| segment.extend_from_slice(&port.to_be_bytes()));
    segment.extend_from_slice(&numbers.sequence.to_be_bytes());
    segment.extend_from_slice(&numbers.acknowledgment.to_be_bytes());
    segment.extend_from_slice(&[words << 4, numbers.flags]);
    segment.extend_from_slice(&numbers.window.to_be_bytes());
    segment.extend_from_slice(&[0; 4]);
    segment.extend_from_slice(&written);
    answer::segment(walk.routing, packet.family, ends, &segment)
}

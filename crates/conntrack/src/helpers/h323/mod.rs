//! The H.323 helpers: `RAS` reads what end points and gatekeepers settle (H.225.0 over UDP), `Q.931`
//! the signalling of calls (H.225.0 over TCP), `H.245` the control of their media.
//!
//! RAS announces gatekeepers and signalling, signalling announces H.245 connections, and both ways
//! of opening logical channels (in H.245, or in signalling with fastStart and tunnelling) announce
//! media and T.120 connections. A message that cannot be read does nothing and passes, with all that
//! stands behind it in its segment; one that announces what cannot be expected is dropped. An
//! address counts when it is of the connection's family and, where media and H.245 are concerned,
//! the speaker's own.
//!
//! Of translated connections, over IPv4 alone, what they announce is said as it is seen on the other
//! side, and so are some addresses that announce nothing. A place where nothing is free stays as it
//! was said, and nothing is expected. As observed on Linux 6.18.
//!
//! ASN.1 is read by [`per`] along the types of [`grammar`].

pub mod grammar;
pub(super) mod h245;
pub mod per;
pub(super) mod q931;
pub(super) mod ras;
pub(super) mod tpkt;

use crate::expect::Request;
use crate::helping::Helping;
use crate::table::Drop;
use crate::tuple::{Direction, Tuple};
use keepstate_packet::{Address, Family, L4, udp};
use per::Note;

/// Pairs of RTP and RTCP ports of a translated connection that are remembered. No more of them are
/// expected.
const MEDIA_MAX: usize = 4;

/// Why a message of these helpers is wanted, and what of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// GatekeeperRequest.
    GatekeeperRequest,
    /// GatekeeperConfirm; its address is where registration goes.
    GatekeeperConfirm,
    /// RegistrationRequest.
    RegistrationRequest,
    /// RegistrationConfirm.
    RegistrationConfirm,
    /// UnregistrationRequest.
    UnregistrationRequest,
    /// AdmissionRequest.
    AdmissionRequest,
    /// AdmissionConfirm; its address is where the call goes.
    AdmissionConfirm,
    /// LocationRequest.
    LocationRequest,
    /// LocationConfirm; its address is where the call goes.
    LocationConfirm,
    /// InfoRequestResponse.
    InfoRequestResponse,
    /// callSignalAddress of an end point.
    CallSignalAddress,
    /// rasAddress of an end point, or replyAddress.
    RasAddress,
    /// srcCallSignalAddress or sourceCallSignalAddress: of who calls.
    SourceCallSignalAddress,
    /// destCallSignalAddress: of who is called.
    DestCallSignalAddress,
    /// timeToLive, seconds.
    TimeToLive,
    /// h245Address.
    H245Address,
    /// alternativeAddress of a Facility.
    AlternativeAddress,
    /// callForwarded as the reason of a Facility.
    CallForwarded,
    /// An H.245 message within call signalling.
    Tunnelled,
    /// OpenLogicalChannel.
    Channel,
    /// OpenLogicalChannelAck.
    ChannelAck,
    /// separateLANStack as the protocol of T.120 data.
    LanStack,
    /// mediaChannel or mediaControlChannel.
    Media,
    /// separateStack with a local area address.
    SeparateStack,
    /// The octets of an IPv4 address; a port follows them.
    Ipv4,
    /// The octets of an IPv6 address; a port follows them.
    Ipv6,
}

/// A number for each direction, the original one's first; 0 for none.
#[derive(Clone, Copy, Debug, Default)]
struct Both([u16; 2]);

impl Both {
    const fn of(self, direction: Direction) -> u16 {
        let [original, reply] = self.0;
        match direction {
            Direction::Original => original,
            Direction::Reply => reply,
        }
    }

    const fn of_mut(&mut self, direction: Direction) -> &mut u16 {
        let [original, reply] = &mut self.0;
        match direction {
            Direction::Original => original,
            Direction::Reply => reply,
        }
    }
}

/// What is remembered of a translated connection's ports.
#[derive(Clone, Copy, Debug, Default)]
struct Ports {
    /// Where calls are expected (RAS) or H.245 is (Q.931): the speaker's own port under the direction in
    /// which he speaks, the one that is seen outside under the other.
    signalling: Both,
    /// RTP, in the same way.
    media: [Both; MEDIA_MAX],
}

impl Ports {
    /// What is said in the place of a port where calls or H.245 are expected: what was said before.
    fn seen_outside(&self, port: u16, direction: Direction) -> u16 {
        let known = self.signalling.of(direction) == port;
        if known { self.signalling.of(direction.invert()) } else { port }
    }

    fn settle(&mut self, port: u16, outside: u16, direction: Direction) {
        *self.signalling.of_mut(direction) = port;
        *self.signalling.of_mut(direction.invert()) = outside;
    }
}

/// A message, or a part of one, in a packet.
#[derive(Clone, Copy, Debug)]
struct Message {
    /// Where it is read, in octets from the upper-layer header on.
    begin: usize,
    length: usize,
    /// Where it is written, in octets of the payload. It is the same place, but for H.245 in datagrams:
    /// there Linux reads behind the header of TCP that it takes them to have, and writes as if they
    /// had none.
    place: usize,
}

impl Message {
    /// All that the packet carries.
    fn whole(helping: &Helping<'_>) -> Self {
        let length = helping.payload().len();
        Self { begin: helping.upper_layer().len() - length, length, place: 0 }
    }

    /// What of it lies from `start` to `end`.
    const fn part(&self, start: usize, end: usize) -> Self {
        Self {
            begin: self.begin + start,
            length: end.saturating_sub(start),
            place: self.place + start,
        }
    }

    fn octets<'h>(&self, helping: &'h Helping<'_>) -> &'h [u8] {
        helping.said_whole().get(self.begin..self.begin + self.length).unwrap_or(&[])
    }
}

/// One end of a connection that speaks, and what it says.
#[derive(Clone, Copy, Debug)]
struct Speech {
    message: Message,
    /// The connection's tuple in the direction of the packet.
    tuple: Tuple,
    /// The connection's tuple in the other direction.
    inverse: Tuple,
    /// The connection is translated and of a family of which that is heeded.
    is_translated: bool,
}

impl Speech {
    fn new(helping: &Helping<'_>, message: Message) -> Option<Self> {
        let (tuple, inverse) = (helping.tuple()?, helping.inverse()?);
        let is_translated = tuple.family == Family::V4 && helping.is_translated();
        Some(Self { message, tuple, inverse, is_translated })
    }

    /// Whether the speaker has another address outside.
    fn is_renamed(&self) -> bool {
        self.is_translated && self.tuple.source != self.inverse.destination
    }

    /// Address and port at a note, when they are of the connection's family.
    fn place(&self, helping: &Helping<'_>, note: &Note) -> Option<(Address, u16)> {
        let at = self.message.begin + note.value as usize;
        let octets = helping.said_whole().get(at..)?;
        let (address, length) = match (note.mark, self.tuple.family) {
            (Mark::Ipv4, Family::V4) => (Address::v4(*octets.first_chunk()?), 4),
            (Mark::Ipv6, Family::V6) => (Address::v6(*octets.first_chunk()?), 16),
            _ => return None,
        };
        let port = octets.get(length..)?.first_chunk()?;
        Some((address, u16::from_be_bytes(*port)))
    }

    /// The port at a note, when the address is the speaker's own and the port is not 0.
    fn own_port(&self, helping: &Helping<'_>, note: &Note) -> Option<u16> {
        let (address, port) = self.place(helping, note)?;
        (address == self.tuple.source && port != 0).then_some(port)
    }

    /// Says an IPv4 address and a port in the place of those at a note.
    fn say(
        &mut self,
        helping: &mut Helping<'_>,
        note: &Note,
        (address, port): (Address, u16),
    ) -> Result<(), Drop> {
        let mut octets = [0; 6];
        octets[..4].copy_from_slice(&address.v4_octets());
        octets[4..].copy_from_slice(&port.to_be_bytes());
        let at = self.message.place + note.value as usize;
        let part = at..at + octets.len();
        if helping.said().get(part.clone()).is_none() {
            return Err(refuse(helping));
        }
        helping.say(part, &octets)?;
        if !matches!(helping.packet.l4, L4::Tcp(_)) {
            // From now on Linux reads where the datagram's payload begins.
            self.message.begin = udp::HEADER_LENGTH;
        }
        Ok(())
    }

    /// Says the speaker's own place as it is seen outside.
    fn say_own(&mut self, helping: &mut Helping<'_>, note: &Note, port: u16) -> Result<(), Drop> {
        self.say(helping, note, (self.inverse.destination, port))
    }

    /// A connection from the other end to a port of the speaker.
    fn towards_speaker(&self, protocol: u8, port: u16) -> Request {
        self.to(protocol, (self.inverse.destination, port))
    }

    /// A connection from the other end to anybody.
    fn to(&self, protocol: u8, place: (Address, u16)) -> Request {
        Request::new(protocol, (Some(self.inverse.source), None), place, self.inverse.family)
    }
}

/// The notes of the values that stand behind a mark. Of one that is no IP address, it is none of these.
fn marked(notes: &[Note], mark: Mark) -> impl Iterator<Item = &Note> {
    let behind = notes.iter().skip(1).chain(notes.last());
    notes.iter().zip(behind).filter(move |(note, _)| note.mark == mark).map(|(_, place)| place)
}

fn expect(helping: &mut Helping<'_>, request: Request) -> Result<(), Drop> {
    helping.expect(request).map_err(|_| refuse(helping))
}

/// Expects a connection at a port that is free on the other side, and says that in the place of what
/// stands at a note. The port; `None` when none is free.
fn expect_outside(
    helping: &mut Helping<'_>,
    speech: &mut Speech,
    place: &Note,
    request: Request,
) -> Result<Option<u16>, Drop> {
    let Some(port) = helping.expect_at_some_port(request) else { return Ok(None) };
    let said = speech.say_own(helping, place, port);
    said.inspect_err(|_| helping.withdraw(&request.at_port(port)))?;
    Ok(Some(port))
}

fn refuse(helping: &mut Helping<'_>) -> Drop {
    let name = helping.helper.name();
    helping.refuse(format_args!("cannot process {name} message"))
}

#[cfg(test)]
mod tests;

//! The H.323 helpers: `RAS` reads what end points and gatekeepers settle (H.225.0 over UDP), `Q.931`
//! the signalling of calls (H.225.0 over TCP), `H.245` the control of their media.
//!
//! RAS announces gatekeepers and signalling, signalling announces H.245 connections, and both ways
//! of opening logical channels (in H.245, or in signalling with fastStart and tunnelling) announce
//! media and T.120 connections. A message that cannot be read does nothing and passes, with all that
//! stands behind it in its segment; one that announces what cannot be expected is dropped. An
//! address counts when it is of the connection's family and, where media and H.245 are concerned,
//! the speaker's own. As observed on Linux 6.18.
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
use crate::tuple::Tuple;
use keepstate_packet::{Address, Family};
use per::Note;

/// Why a message of these helpers is wanted, and what of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// GatekeeperConfirm; its address is where registration goes.
    GatekeeperConfirm,
    /// RegistrationRequest.
    RegistrationRequest,
    /// RegistrationConfirm.
    RegistrationConfirm,
    /// UnregistrationRequest.
    UnregistrationRequest,
    /// AdmissionConfirm; its address is where the call goes.
    AdmissionConfirm,
    /// LocationConfirm; its address is where the call goes.
    LocationConfirm,
    /// callSignalAddress of an end point that registers.
    CallSignalAddress,
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

/// One end of a connection that speaks, and what it says.
#[derive(Clone, Copy, Debug)]
struct Speech<'a> {
    message: &'a [u8],
    /// The connection's tuple in the direction of the packet.
    tuple: Tuple,
    /// The connection's tuple in the other direction.
    inverse: Tuple,
}

impl<'a> Speech<'a> {
    fn new(helping: &Helping<'_>, message: &'a [u8]) -> Option<Self> {
        Some(Self { message, tuple: helping.tuple()?, inverse: helping.inverse()? })
    }

    /// Address and port at a note, when they are of the connection's family.
    fn place(&self, note: &Note) -> Option<(Address, u16)> {
        let at = note.value as usize;
        let (address, length) = match (note.mark, self.tuple.family) {
            (Mark::Ipv4, Family::V4) => (Address::v4(*self.message.get(at..)?.first_chunk()?), 4),
            (Mark::Ipv6, Family::V6) => (Address::v6(*self.message.get(at..)?.first_chunk()?), 16),
            _ => return None,
        };
        let port = self.message.get(at + length..)?.first_chunk()?;
        Some((address, u16::from_be_bytes(*port)))
    }

    /// The port at a note, when the address is the speaker's own and the port is not 0.
    fn own_port(&self, note: &Note) -> Option<u16> {
        let (address, port) = self.place(note)?;
        (address == self.tuple.source && port != 0).then_some(port)
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

fn expect(helping: &mut Helping<'_>, request: Request) -> Result<(), Drop> {
    helping.expect(request).map_err(|_| refuse(helping))
}

fn refuse(helping: &mut Helping<'_>) -> Drop {
    let name = helping.helper.name();
    helping.refuse(format_args!("cannot process {name} message"))
}

#[cfg(test)]
mod tests;

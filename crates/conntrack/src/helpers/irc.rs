//! The IRC helper: a client's `PRIVMSG` with a DCC offer (CTCP, DCC) announces a connection to the
//! client from anywhere.
//!
//! Only what clients say is read, segment by segment; an offer has to begin and end in one. The
//! address in it has to be the client's, else it is taken for forged and passed over. As observed
//! on Linux 6.18, with its oddities: numbers are taken modulo 2^32 and 2^16; an offer must be some
//! bytes away from the end of the segment, however it is written; words that are no kind of offer
//! are passed over, an offer that cannot be read ends the search.

use super::Policy;
use crate::CtState;
use crate::expect::Request;
use crate::helping::Helping;
use crate::sysctl::module::Modules;
use crate::table::Drop;
use crate::timeout::waited;
use crate::tuple::Direction;
use alloc::format;
use core::ops::Range;
use core::time::Duration;
use keepstate_packet::{Address, L4, tcp};

/// Connections that wait for one client; `max_dcc_channels` and `dcc_timeout` change it.
pub const POLICY: Policy = Policy { name: "irc", max: 8, timeout: Duration::from_secs(300) };

/// The policy that the parameters of the module ask for.
pub(super) fn policy(modules: &Modules) -> Policy {
    Policy { max: modules.irc_max_dcc_channels, timeout: waited(modules.irc_dcc_timeout), ..POLICY }
}

/// No more of a segment is read, bytes.
const SEARCH_MAX: usize = 4095;
/// A command begins at least so many bytes before the end: `PRIVMSG x `.
const COMMAND_ROOM: usize = 10;
/// The text begins at least so many bytes before the end: ` :`, `\1DCC SEND t AAAAAAAA P\1\n`.
const TEXT_ROOM: usize = 26;
/// The name of what is offered ends at least so many bytes before the end: `AAAAAAAA P\1\n`.
const PLACE_ROOM: usize = 12;

const COMMAND: &[u8] = b"PRIVMSG ";
const TEXT: &[u8] = b" :";
const DCC: &[u8] = b"\x01DCC ";
/// The kinds of offer.
const OFFERS: [&[u8]; 5] = [b"SEND ", b"CHAT ", b"MOVE ", b"TSEND ", b"SCHAT "];

/// The address and port of an offer, and where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    address: u32,
    port: u16,
    text: Range<usize>,
}

pub(super) fn help(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let (CtState::Established, Direction::Original, L4::Tcp(_)) =
        (helping.state, helping.direction, helping.packet.l4)
    else {
        return Ok(());
    };
    let (Some(original), Some(reply)) = (helping.tuple(), helping.inverse()) else { return Ok(()) };
    let payload = helping.payload();
    let text = payload.get(..SEARCH_MAX).unwrap_or(payload);
    let own = |place: &Place| {
        let address = Address::v4(place.address.to_be_bytes());
        place.port != 0 && (address == original.source || address == reply.destination)
    };
    let Some(offered) = offer(text, own) else { return Ok(()) };
    let place = (reply.destination, offered.port);
    let connection = Request::new(tcp::PROTOCOL, (None, None), place, reply.family);
    if !helping.is_translated() {
        return helping.expect_or_drop(connection);
    }
    let port = helping.expect_somewhere(connection.following(Direction::Reply))?;
    let address = u32::from_be_bytes(reply.destination.v4_octets());
    let said = helping.say(offered.text, format!("{address} {port}").as_bytes());
    said.inspect_err(|_| helping.withdraw(&connection.at_port(port)))
}

/// The first offer, if it is `own`.
fn offer(segment: &[u8], own: impl Fn(&Place) -> bool) -> Option<Place> {
    let mut rest = segment;
    while let [b' ' | b'\r' | b'\n', tail @ ..] = rest
        && tail.len() >= COMMAND_ROOM
    {
        rest = tail;
    }
    if rest.len() > COMMAND_ROOM {
        let (command, tail) = rest.split_at_checked(COMMAND.len())?;
        if !command.eq_ignore_ascii_case(COMMAND) {
            return None;
        }
        rest = tail;
    }
    while rest.len() > TEXT_ROOM {
        let Some(text) = rest.strip_prefix(TEXT) else {
            rest = rest.get(1..)?;
            continue;
        };
        rest = text.strip_prefix(DCC)?;
        if let Some(told) = OFFERS.iter().find_map(|kind| rest.strip_prefix(*kind)) {
            return place(told, segment.len() - told.len()).filter(own);
        }
    }
    None
}

/// `NAME ADDRESS PORT`, and a line feed somewhere behind; the text stands `at` bytes from the start.
fn place(text: &[u8], at: usize) -> Option<Place> {
    let name = text.iter().position(|byte| *byte == b' ')?;
    // The first byte may be the space, wherever it stands.
    if name > 0 && text.len() - name < PLACE_ROOM {
        return None;
    }
    let numbers = text.get(name + 1..)?;
    if !numbers.contains(&b'\n') {
        return None;
    }
    let (address, rest) = number(numbers);
    let blanks = rest.iter().position(|byte| *byte != b' ')?;
    let (port, behind) = number(rest.get(blanks..)?);
    let text = at + name + 1..at + text.len() - behind.len();
    Some(Place { address, port: port as u16, text })
}

/// Decimal digits, and what follows them; none are 0, what is too large wraps around.
fn number(text: &[u8]) -> (u32, &[u8]) {
    let length = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(length);
    let add = |n: u32, d: &u8| n.wrapping_mul(10).wrapping_add(u32::from(d - b'0'));
    (digits.iter().fold(0, add), rest)
}

#[cfg(test)]
mod tests;

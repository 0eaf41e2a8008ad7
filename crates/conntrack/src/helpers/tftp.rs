//! The TFTP helper: a read or write request (RFC 1350, 5) announces the transfer, which the server
//! sends from a port of its own choice.
//!
//! Only the opcode is looked at, in every datagram of the connection and in both directions. The
//! first request comes before the connection is confirmed: when it does not get to the end of its
//! way, what it announced goes with it. As observed on Linux 6.18.

use super::Policy;
use crate::expect::{Fulfilled, Request};
use crate::helping::Helping;
use crate::nat::{Following, follow_master};
use crate::table::Drop;
use crate::tuple::Direction;
use core::time::Duration;
use keepstate_packet::udp;

/// One transfer at a time.
pub const POLICY: Policy = Policy { name: "tftp", max: 1, timeout: Duration::from_secs(300) };

/// Read request and write request.
const REQUESTS: [[u8; 2]; 2] = [[0, 1], [0, 2]];

pub(super) fn help(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let opcode = helping.payload().first_chunk();
    if !opcode.is_some_and(|opcode| REQUESTS.contains(opcode)) {
        return Ok(());
    }
    let Some(reply) = helping.tuple_in(Direction::Reply) else { return Ok(()) };
    let place = (reply.destination, reply.destination_port);
    let transfer = Request::new(udp::PROTOCOL, (Some(reply.source), None), place, reply.family);
    match helping.tuple_in(Direction::Original).filter(|_| helping.is_translated()) {
        None => helping.expect_or_drop(transfer),
        Some(original) => {
            let direction = Direction::Reply;
            let following =
                Some(Following { direction, port: original.source_port, address: None });
            let fulfilled: Option<Fulfilled> = Some(follow_master);
            helping.expect_or_drop(Request { following, fulfilled, ..transfer })
        }
    }
}

#[cfg(test)]
mod tests;

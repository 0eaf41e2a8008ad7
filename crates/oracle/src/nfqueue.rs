//! NFQUEUE: packets that the kernel holds between two hooks until they are let go.

use crate::attribute::{Attributes, Messages, Writer, be32};
use crate::ctnetlink::request;
use keepstate_datapath::sys::netlink::{self, RECEIVE_MAX, Socket};
use std::io;

/// `NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_*`.
const MSG_PACKET: u16 = 0x300;
const MSG_VERDICT: u16 = 0x301;
const MSG_CONFIG: u16 = 0x302;
/// `NLM_F_REQUEST | NLM_F_ACK`.
const REQUEST_ACK: u16 = 5;
/// `NFQA_CFG_*`: `CMD` with `NFQNL_CFG_CMD_BIND`, `PARAMS` with `NFQNL_COPY_PACKET`.
const CONFIG_COMMAND: u16 = 1;
const CONFIG_PARAMETERS: u16 = 2;
const COMMAND_BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
/// `NFQA_*`.
const PACKET_HEADER: u16 = 1;
const VERDICT_HEADER: u16 = 2;
const PAYLOAD: u16 = 10;
/// `NF_ACCEPT`.
const ACCEPT: u32 = 1;
/// Room for one packet.
const SLOT: usize = 4096;
/// Receive queue, bytes.
const QUEUE: u32 = 1 << 20;

/// A packet that the kernel holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    id: u32,
    /// From the IP header on, as it came to the rule that holds it.
    pub bytes: Vec<u8>,
}

/// A queue of the calling thread's network namespace, as `-j NFQUEUE --queue-num` names it.
#[derive(Debug)]
pub struct Queue {
    socket: Socket,
    number: u16,
    buffer: Vec<u8>,
}

impl Queue {
    /// Becomes the one who decides about the packets of queue `number`.
    ///
    /// # Errors
    /// When the kernel has no queues, or somebody else has this one.
    pub fn open(number: u16) -> io::Result<Self> {
        let socket = Socket::open(netlink::NETFILTER, QUEUE)?;
        let whole = [&(SLOT as u32).to_be_bytes()[..], &[COPY_PACKET]].concat();
        let bind = vec![COMMAND_BIND, 0, 0, 0];
        for (kind, value) in [(CONFIG_COMMAND, bind), (CONFIG_PARAMETERS, whole)] {
            let mut message = Writer::new(MSG_CONFIG, REQUEST_ACK, 0, number);
            message.attribute(kind, &value);
            request(&socket, &message.finish())?;
        }
        Ok(Self { socket, number, buffer: vec![0; SLOT * RECEIVE_MAX] })
    }

    /// The packets held since this was last asked, at most [`RECEIVE_MAX`].
    ///
    /// # Errors
    /// When the socket fails.
    pub fn held(&mut self) -> io::Result<Vec<Held>> {
        let mut lengths = [0; RECEIVE_MAX];
        let count = self.socket.receive_many(&mut self.buffer, SLOT, &mut lengths)?;
        let datagrams = self.buffer.chunks(SLOT).zip(lengths).take(count);
        let messages = datagrams.flat_map(|(datagram, length)| Messages(&datagram[..length]));
        let packets = messages.filter(|message| message.kind == MSG_PACKET);
        Ok(packets.filter_map(|message| held(message.attributes())).collect())
    }

    /// Lets a packet go on with these bytes; what it meets, it meets before this returns.
    ///
    /// # Errors
    /// When the kernel does not hold it any more.
    pub fn release(&self, held: &Held, bytes: &[u8]) -> io::Result<()> {
        let mut message = Writer::new(MSG_VERDICT, REQUEST_ACK, 0, self.number);
        let verdict = [ACCEPT, held.id].map(u32::to_be_bytes).concat();
        message.attribute(VERDICT_HEADER, &verdict);
        message.attribute(PAYLOAD, bytes);
        request(&self.socket, &message.finish())
    }
}

fn held(attributes: Attributes<'_>) -> Option<Held> {
    let of = |kind| attributes.clone().find(|(k, _)| *k == kind).map(|(_, value)| value);
    Some(Held { id: be32(of(PACKET_HEADER)?), bytes: of(PAYLOAD)?.to_vec() })
}

//! Packets in memory: for tests, benches and programs that bring their own.

use crate::{
    batch::{Arrival, Batch, Content},
    run::{Datapath, Outgoing, Received},
};
use keepstate_engine::{Engine, InterfaceIndex};
use keepstate_packet::{Instant, link::LinkType};
use std::{collections::VecDeque, io};

/// A datapath without devices: frames are queued, and what leaves is collected.
#[derive(Debug, Default)]
pub struct Memory {
    waiting: VecDeque<(Instant, InterfaceIndex, Vec<u8>)>,
    /// What left: where, and the bytes from the IP header on (the whole frame, for frames that
    /// hold no IP).
    pub sent: Vec<(Option<InterfaceIndex>, Vec<u8>)>,
}

impl Memory {
    /// Queues an Ethernet frame.
    pub fn queue(&mut self, time: Instant, interface: InterfaceIndex, frame: Vec<u8>) {
        self.waiting.push_back((time, interface, frame));
    }
}

impl Datapath for Memory {
    fn receive(&mut self, _engine: &mut Engine, batch: &mut Batch) -> io::Result<Received> {
        while !batch.is_full()
            && let Some((time, interface, frame)) = self.waiting.pop_front()
        {
            let original_length = frame.len() as u32;
            batch.push(&Arrival {
                time,
                stamp: time,
                interface: Some(interface),
                link_type: LinkType::ETHERNET,
                original_length,
                content: Content::of(LinkType::ETHERNET, &frame, original_length),
                offload: None,
                bytes: &frame,
            });
        }
        Ok(if batch.slots().is_empty() { Received::End } else { Received::Frames })
    }

    fn send(&mut self, batch: &mut Batch, outgoing: &[Outgoing]) -> io::Result<()> {
        for outgoing in outgoing {
            self.sent.push(match outgoing {
                Outgoing::Packet { slot, interface, length } => {
                    let bytes = batch.slots().get(*slot).map_or(&[][..], |s| batch.packet(s));
                    let bytes = bytes.get(..*length as usize).unwrap_or(bytes);
                    (Some(*interface), bytes.to_vec())
                }
                Outgoing::Other { slot } => {
                    let frame = batch.slots().get(*slot).map_or(&[][..], |s| batch.frame(s));
                    (None, frame.to_vec())
                }
                Outgoing::Answer { transmit, .. } => {
                    (Some(transmit.interface), transmit.bytes.clone())
                }
            });
        }
        Ok(())
    }
}

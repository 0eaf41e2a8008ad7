//! Packets in memory: for tests, benches and programs that bring their own.

use crate::{
    batch::{Arrival, Batch, Content},
    router::links::{Arrived, LinkState, Links},
    run::{Datapath, Outgoing, Received},
    sys::packet::{Frame, OFFLOAD_LENGTH},
};
use keepstate_engine::{Engine, InterfaceIndex};
use keepstate_packet::{Instant, link::LinkType};
use std::{collections::VecDeque, io, time::Duration};

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

    fn send(
        &mut self,
        _engine: &mut Engine,
        batch: &mut Batch,
        outgoing: &[Outgoing],
    ) -> io::Result<()> {
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
                Outgoing::Delivered { .. } => continue,
            });
        }
        Ok(())
    }
}

/// The links of a router, in memory: frames come in at their times, time passes while the router
/// waits, and what it sends is collected.
#[derive(Debug, Default)]
pub struct Segments {
    count: usize,
    now: Instant,
    end: Instant,
    down: Option<usize>,
    waiting: VecDeque<(Instant, usize, Vec<u8>, [u8; OFFLOAD_LENGTH])>,
    /// What was sent: when, by which link, the frame, and what is left to a device.
    pub sent: Vec<(Instant, usize, Vec<u8>, [u8; OFFLOAD_LENGTH])>,
}

impl Segments {
    /// So many links; over as soon as nothing more comes in.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    /// A frame will come in at `time`, which is not before that of the frame queued last.
    pub fn queue(&mut self, time: Instant, link: usize, frame: Vec<u8>) {
        self.queue_offloaded(time, link, frame, [0; OFFLOAD_LENGTH]);
    }

    /// The same for one of which something is left to a device.
    pub fn queue_offloaded(
        &mut self,
        time: Instant,
        link: usize,
        frame: Vec<u8>,
        offload: [u8; OFFLOAD_LENGTH],
    ) {
        self.waiting.push_back((time, link, frame, offload));
    }

    /// A link goes down, and comes up again at once.
    pub fn take_down(&mut self, link: usize) {
        self.down = Some(link);
    }

    /// It is not over before `end`.
    pub fn last_until(&mut self, end: Instant) {
        self.end = end;
    }
}

impl Links for Segments {
    fn now(&self) -> Instant {
        self.now
    }

    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.now >= self.end
    }

    fn count(&self) -> usize {
        self.count
    }

    fn receive(
        &mut self,
        link: usize,
        frames_max: usize,
        mut take: impl FnMut(Arrived<'_>),
    ) -> io::Result<LinkState> {
        if self.down.take_if(|down| *down == link).is_some() {
            return Ok(LinkState::WentDown);
        }
        for _ in 0..frames_max {
            let here = |one: &(Instant, usize, Vec<u8>, _)| one.0 <= self.now && one.1 == link;
            let Some(at) = self.waiting.iter().position(here) else { break };
            let Some((_, _, bytes, offload)) = self.waiting.remove(at) else { break };
            take(Arrived { bytes: &bytes, offload, vlan: None });
        }
        Ok(LinkState::Same)
    }

    fn wait(&mut self, time: Duration) -> io::Result<()> {
        let next = self.waiting.front().map_or(self.end, |(time, ..)| *time);
        let until = self.now.plus(time).min(next.max(self.now));
        // When nothing is known to come, time passes all the same.
        self.now = until.max(self.now.plus(Duration::from_nanos(1)));
        Ok(())
    }

    fn send(&mut self, link: usize, frames: &[Frame<'_>]) -> usize {
        let sent = frames.iter().map(|one| (self.now, link, one.bytes.to_vec(), one.offload));
        self.sent.extend(sent);
        frames.len()
    }
}

//! The loop: packets from a [`Datapath`] through the [`Engine`], and on. Live traffic and captures
//! differ only in the datapath.

use crate::batch::{BATCH_MAX, Batch, Content, Slot};
use keepstate_engine::{Disposition, Engine, Event, InterfaceIndex, Origin, Transmit};
use keepstate_packet::Instant;
use std::io;

/// Where packets come from and go to.
pub trait Datapath {
    /// Fills `batch`, which is empty, with what is there, and waits for a packet when nothing is.
    /// It may declare interfaces to the engine that it has not seen before.
    ///
    /// # Errors
    /// When there is no going on.
    fn receive(&mut self, engine: &mut Engine, batch: &mut Batch) -> io::Result<Received>;

    /// Sends what is to leave, in order. It may have the engine send more.
    ///
    /// # Errors
    /// When there is no going on. A packet that does not fit into a queue is lost, as on any wire.
    fn send(
        &mut self,
        engine: &mut Engine,
        batch: &mut Batch,
        outgoing: &[Outgoing],
    ) -> io::Result<()>;
}

/// What [`Datapath::receive`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// At least one frame.
    Frames,
    /// Nothing, but time has passed.
    Idle(Instant),
    /// Nothing will come any more.
    End,
}

/// One thing to send, or a packet that goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A frame of the batch, rewritten by the filter.
    Packet {
        /// Its number in the batch.
        slot: usize,
        /// Way out.
        interface: InterfaceIndex,
        /// Bytes of it from the IP header on.
        length: u32,
    },
    /// Nothing: a packet of the batch has reached the host itself.
    Delivered {
        /// Its number in the batch.
        slot: usize,
    },
    /// A frame that is not for the filter, untouched.
    Other {
        /// Its number in the batch.
        slot: usize,
    },
    /// A packet that the filter made, or a piece of a datagram.
    Answer {
        /// Number in the batch of the frame it answers, or that completed the datagram.
        slot: usize,
        /// The packet.
        transmit: Transmit,
    },
}

/// One frame and what became of it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The engine, after the batch.
    pub engine: &'a Engine,
    /// The batch; the packet's bytes are as they leave.
    pub batch: &'a Batch,
    /// The frame.
    pub slot: &'a Slot,
    /// What became of it; `None` for a frame that is not for the filter.
    pub disposition: Option<&'a Disposition>,
    /// What the filter made in answer.
    pub outgoing: &'a [Outgoing],
}

impl Seen<'_> {
    /// The packet as it leaves, from the IP header on.
    #[must_use]
    pub fn output(&self) -> Option<(InterfaceIndex, &[u8])> {
        let output = self.disposition?.output?;
        let bytes = self.batch.packet(self.slot);
        Some((output.interface, bytes.get(..output.length as usize).unwrap_or(bytes)))
    }

    /// All that leaves of it, from the IP header on: one packet, or the pieces of the datagram that
    /// it completed.
    pub fn outputs(&self) -> impl Iterator<Item = (InterfaceIndex, &[u8])> {
        let pieces = self.transmits().filter(|one| one.origin == Origin::Forwarded);
        self.output().into_iter().chain(pieces.map(|one| (one.interface, one.bytes.as_slice())))
    }

    /// Packets that the filter made in answer, and copies.
    pub fn answers(&self) -> impl Iterator<Item = &Transmit> {
        self.transmits().filter(|transmit| transmit.origin != Origin::Forwarded)
    }

    fn transmits(&self) -> impl Iterator<Item = &Transmit> {
        self.outgoing.iter().filter_map(|outgoing| match outgoing {
            Outgoing::Answer { transmit, .. } => Some(transmit),
            Outgoing::Packet { .. } | Outgoing::Delivered { .. } | Outgoing::Other { .. } => None,
        })
    }
}

/// Sees everything that passes.
pub trait Observer {
    /// A batch has come in, nothing has been done to it.
    ///
    /// # Errors
    /// Ends the loop.
    fn received(&mut self, batch: &Batch) -> io::Result<()> {
        let _ = batch;
        Ok(())
    }

    /// One frame has been through.
    ///
    /// # Errors
    /// Ends the loop.
    fn frame(&mut self, seen: &Seen<'_>) -> io::Result<()> {
        let _ = seen;
        Ok(())
    }

    /// Whether events may come after the packets of their whole batch: then packets are walked
    /// abreast, which is faster. What becomes of each packet is the same.
    fn is_patient(&self) -> bool {
        true
    }

    /// Nothing has come in for a while.
    ///
    /// # Errors
    /// Ends the loop.
    fn idle(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Something happened to a connection, or a rule logged.
    ///
    /// # Errors
    /// Ends the loop.
    fn event(&mut self, now: Instant, event: &Event) -> io::Result<()> {
        let _ = (now, event);
        Ok(())
    }
}

impl Observer for () {}

/// Runs until the datapath ends or fails.
///
/// # Errors
/// Those of the datapath and of the observer.
pub fn run<D: Datapath, O: Observer>(
    engine: &mut Engine,
    datapath: &mut D,
    observer: &mut O,
) -> io::Result<()> {
    let mut batch = Batch::new();
    let mut walk = Walk::default();
    loop {
        batch.clear();
        match datapath.receive(engine, &mut batch)? {
            Received::Frames => {}
            Received::Idle(now) => {
                engine.handle_timeout(now);
                walk.events(engine, now, observer)?;
                observer.idle()?;
                continue;
            }
            Received::End => return Ok(()),
        }
        observer.received(&batch)?;
        let mut first = 0;
        while first < batch.slots().len() {
            let end = match observer.is_patient() {
                true => abreast(batch.slots(), first),
                false => first + 1,
            };
            walk.group(engine, &mut batch, first, end, observer)?;
            datapath.send(engine, &mut batch, &walk.outgoing)?;
            first = end;
        }
    }
}

/// How far from `first` on frames can be walked abreast: IP packets, or a single frame that holds
/// none.
fn abreast(slots: &[Slot], first: usize) -> usize {
    let is_ip = |slot: &&Slot| matches!(slot.content, Content::Ip { .. });
    first + slots.iter().skip(first).take_while(is_ip).count().max(1)
}

/// What the loop uses again for every batch.
#[derive(Debug, Default)]
struct Walk {
    times: Vec<Instant>,
    dispositions: Vec<Disposition>,
    outgoing: Vec<Outgoing>,
}

impl Walk {
    fn group<O: Observer>(
        &mut self,
        engine: &mut Engine,
        batch: &mut Batch,
        first: usize,
        end: usize,
        observer: &mut O,
    ) -> io::Result<()> {
        self.outgoing.clear();
        self.dispositions.clear();
        let Some(now) = batch.slots().get(first).map(|slot| slot.time) else { return Ok(()) };
        if engine.poll_timeout().is_some_and(|(deadline, _)| deadline <= now) {
            engine.handle_timeout(now);
            self.events(engine, now, observer)?;
        }
        if end - first == 1 {
            if let Some((now, packet)) = batch.engine_packet(first) {
                self.dispositions.push(engine.handle_packet(now, packet));
            }
        } else {
            self.times.clear();
            let slots = batch.slots().iter().skip(first).take(end - first);
            self.times.extend(slots.map(|slot| slot.time));
            let time = |number: usize| self.times.get(number).copied().unwrap_or(now);
            let mut packets = batch.engine_packets(first, end);
            let packets = packets.get_mut(..(end - first).min(BATCH_MAX)).unwrap_or(&mut []);
            engine.handle_batch_at(time, packets, &mut self.dispositions);
        }
        let mut answer = engine.poll_transmit();
        for (number, slot) in batch.slots().iter().enumerate().take(end).skip(first) {
            let mark = self.outgoing.len();
            let disposition = self.dispositions.get(number - first);
            match disposition {
                None => self.outgoing.push(Outgoing::Other { slot: number }),
                Some(Disposition { output: Some(output), .. }) => {
                    let (interface, length) = (output.interface, output.length);
                    self.outgoing.push(Outgoing::Packet { slot: number, interface, length });
                }
                Some(disposition) if disposition.is_delivered() => {
                    self.outgoing.push(Outgoing::Delivered { slot: number });
                }
                Some(_) => {}
            }
            while let Some(transmit) = answer.take_if(|t| first + t.answers as usize <= number) {
                self.outgoing.push(Outgoing::Answer { slot: number, transmit });
                answer = engine.poll_transmit();
            }
            let outgoing = self.outgoing.get(mark..).unwrap_or(&[]);
            observer.frame(&Seen { engine, batch, slot, disposition, outgoing })?;
        }
        self.events(engine, now, observer)
    }

    fn events<O: Observer>(
        &self,
        engine: &mut Engine,
        now: Instant,
        observer: &mut O,
    ) -> io::Result<()> {
        while let Some(event) = engine.poll_event() {
            observer.event(now, &event)?;
        }
        Ok(())
    }
}

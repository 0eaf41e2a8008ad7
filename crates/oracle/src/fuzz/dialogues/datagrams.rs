//! UDP datagrams between two ends, as generators of dialogues need them.

use crate::fuzz::draft::{Body, Draft, UDP};
use crate::fuzz::flow::Flow;
use crate::fuzz::random::Random;

/// Two ends, and all that was said so far.
pub(super) struct Datagrams<'r> {
    pub(super) random: &'r mut Random,
    pub(super) flow: Flow,
    pub(super) drafts: Vec<Draft>,
}

impl<'r> Datagrams<'r> {
    /// Nothing said yet; end 0 is the client.
    pub(super) fn new(random: &'r mut Random, flow: Flow) -> Self {
        Self { random, flow, drafts: Vec::new() }
    }

    /// Something said.
    pub(super) fn say(&mut self, end: usize, payload: &[u8]) {
        self.another(self.flow, end, payload);
    }

    /// Something said between two other ends, such as were announced.
    pub(super) fn another(&mut self, flow: Flow, end: usize, payload: &[u8]) {
        let draft = datagram(self.random, flow, end, payload);
        self.drafts.push(draft);
    }
}

/// One datagram, now and then with a wrong length or without a checksum.
pub(super) fn datagram(random: &mut Random, flow: Flow, end: usize, payload: &[u8]) -> Draft {
    let body = Body::Udp {
        ports: (flow.ports[end], flow.ports[1 - end]),
        length_error: if random.chance(2) { random.pick(&[-1, 1, -8, 5]) } else { 0 },
        payload: payload.to_vec(),
        unsummed: random.chance(8),
    };
    let network = flow.network(end, random);
    Draft::new(flow.sides[end], network, UDP, body)
}

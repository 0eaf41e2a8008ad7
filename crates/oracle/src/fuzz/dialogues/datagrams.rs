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
        let body = Body::Udp {
            ports: (flow.ports[end], flow.ports[1 - end]),
            length_error: if self.random.chance(2) { self.random.pick(&[-1, 1, -8, 5]) } else { 0 },
            payload: payload.to_vec(),
            unsummed: self.random.chance(8),
        };
        let network = flow.network(end, self.random);
        self.drafts.push(Draft::new(flow.sides[end], network, UDP, body));
    }
}

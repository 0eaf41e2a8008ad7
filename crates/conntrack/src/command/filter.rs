//! Which connections a command means.

use super::{Command, OptionKind, Verb};
use crate::flow::{DCCP, Flow, Half, ProtocolInfo};
use keepstate_packet::{Address, gre};

impl Command {
    /// Whether it means this connection.
    #[must_use]
    pub fn selects(&self, flow: &Flow) -> bool {
        let of_tuples = self.selects_tuples(flow) && self.selects_translation(flow);
        let labels = self
            .labels
            .is_none_or(|wanted| flow.labels.is_some_and(|labels| labels.contains(&wanted)));
        let by_id = self.flow.id.is_none_or(|id| flow.id == Some(id));
        let common = of_tuples && labels && by_id;
        match self.verb {
            Verb::Update => common,
            _ => {
                common
                    && self.selects_mark(flow)
                    && self.selects_zone(flow)
                    && self.selects_status(flow)
                    && self.selects_state(flow)
                    && self.selects_timeout(flow)
            }
        }
    }

    fn selects_tuples(&self, flow: &Flow) -> bool {
        let wanted = &self.flow;
        let same = |wanted: Option<u8>, has: Option<u8>| wanted.is_none_or(|w| has == Some(w));
        wanted.family.is_none_or(|family| flow.family == Some(family))
            && same(wanted.protocol, flow.protocol)
            && agrees(&self.original(), &flow.original, &self.masks)
            && agrees(&self.reply(), &flow.reply, &Half::default())
    }

    /// What is wanted of the reply: the type of the answer follows from that of the question.
    fn reply(&self) -> Half {
        self.compared(&Half { icmp_type: None, ..self.flow.reply })
    }

    fn original(&self) -> Half {
        self.compared(&self.flow.original)
    }

    /// What conntrack(8) compares of a half: not the keys of GRE.
    fn compared(&self, half: &Half) -> Half {
        match self.flow.protocol {
            // Of DCCP the kernel tells none.
            Some(DCCP) if self.verb == Verb::Update => {
                Half { source_port: None, destination_port: None, ..*half }
            }
            Some(gre::PROTOCOL) => Half { source_port: None, destination_port: None, ..*half },
            _ => *half,
        }
    }

    fn selects_mark(&self, flow: &Flow) -> bool {
        self.mark.is_none_or(|mark| flow.mark.unwrap_or(0) & mark.mask == mark.value)
    }

    fn selects_zone(&self, flow: &Flow) -> bool {
        let same = |wanted: Option<u16>, has: Option<u16>| {
            wanted.is_none_or(|wanted| has.unwrap_or(0) == wanted)
        };
        let [original, reply] = self.flow.zone_of;
        let [has_original, has_reply] = flow.zone_of;
        same(self.flow.zone, flow.zone) && same(original, has_original) && same(reply, has_reply)
    }

    fn selects_status(&self, flow: &Flow) -> bool {
        self.flow.status.is_none_or(|status| flow.status().contains(status))
    }

    /// `-D -t`: how much is left of its time, to the second; where nothing else is compared,
    /// conntrack(8) does not look at it.
    fn selects_timeout(&self, flow: &Flow) -> bool {
        !self.compares() || self.flow.timeout.is_none() || self.flow.timeout == flow.timeout
    }

    /// Whether connections are picked by anything that conntrack(8) compares itself.
    pub(super) fn compares(&self) -> bool {
        use OptionKind as O;
        self.given.any(&[
            O::OrigSrc,
            O::OrigDst,
            O::ReplySrc,
            O::ReplyDst,
            O::Protonum,
            O::Status,
            O::Mark,
            O::Secmark,
            O::Zone,
            O::OrigZone,
            O::ReplyZone,
            O::Label,
        ])
    }

    fn selects_state(&self, flow: &Flow) -> bool {
        match self.flow.info {
            ProtocolInfo::None | ProtocolInfo::Gre { .. } => true,
            wanted => wanted.state().is_none_or(|state| flow.info.state() == Some(state)),
        }
    }

    /// `-n`, `-g`, `-j`.
    fn selects_translation(&self, flow: &Flow) -> bool {
        let any = self.given.has(OptionKind::AnyNat);
        let source = self.given.has(OptionKind::SrcNat);
        let destination = self.given.has(OptionKind::DstNat);
        if self.verb == Verb::Create || !(any || source || destination) {
            return true;
        }
        let [wanted_source, wanted_destination] = self.flow.nat;
        let is = |wanted: Option<crate::flow::Translation>, address: bool, port: bool, to: Ends| {
            let Some(wanted) = wanted else { return address || port };
            let address = wanted.address.is_none_or(|wanted| address && to.0 == Some(wanted));
            let port = wanted.port.is_none_or(|wanted| port && to.1 == Some(wanted));
            address && port
        };
        let is_source = is(
            wanted_source,
            flow.is_source_translated(),
            flow.is_source_port_translated(),
            (flow.reply.destination, flow.reply.destination_port),
        );
        let is_destination = is(
            wanted_destination,
            flow.is_destination_translated(),
            flow.is_destination_port_translated(),
            (flow.reply.source, flow.reply.source_port),
        );
        if any {
            return is_source || is_destination;
        }
        (!source || is_source) && (!destination || is_destination)
    }
}

type Ends = (Option<Address>, Option<u16>);

/// Whether what is wanted of a half is what it has.
fn agrees(wanted: &Half, half: &Half, masks: &Half) -> bool {
    let address = |wanted: Option<Address>, has: Option<Address>, mask: Option<Address>| {
        let Some(wanted) = wanted else { return true };
        let Some(has) = has else { return false };
        let mask = mask.map_or(u128::MAX, |mask| u128::from_be_bytes(mask.0));
        (u128::from_be_bytes(wanted.0) ^ u128::from_be_bytes(has.0)) & mask == 0
    };
    fn same<T: PartialEq>(wanted: Option<T>, has: Option<T>) -> bool {
        wanted.is_none() || wanted == has
    }
    address(wanted.source, half.source, masks.source)
        && address(wanted.destination, half.destination, masks.destination)
        && same(wanted.source_port, half.source_port)
        && same(wanted.destination_port, half.destination_port)
        && same(wanted.icmp_type, half.icmp_type)
        && same(wanted.icmp_code, half.icmp_code)
        && same(wanted.icmp_id, half.icmp_id)
}

//! The walk of one packet. This page only says who is called in which order.

use crate::answer::{self, Report, Subject};
use crate::cause::Cause;
use crate::engine::{Disposition, Output, PolicyOrRule, UnknownMatch, Verdict, room::ROOM};
use crate::facts::Made;
use crate::hooks::traverse;
use crate::recorder::Recorder;
use crate::route::{Forwarding, InterfaceIndex, Routed};
use crate::routing::Routing;
use crate::rules::Rules;
use crate::transmit::{Bounded, Origin, Transmit};
use crate::{defrag, forward, helped, own, receive::Refused, reject};
use alloc::vec::Vec;
use keepstate_conntrack::table::{Prepared, Template};
use keepstate_conntrack::{self as conntrack, CtState, Direction, Hook, Reason, Tracked};
use keepstate_packet::checksum::{self, Unfinished};
use keepstate_packet::{Family, Instant, L4, LinkInfo, Parsed, icmp, icmpv6, rewrite, tcp, udp};
use keepstate_ruleset::{
    evaluate::{Logged, Stores},
    verdict::RejectWith,
};

/// A packet on its way, and the parts of the engine that it meets.
pub(crate) struct Walk<'w, R> {
    pub(crate) now: Instant,
    pub(crate) routing: &'w Routing,
    pub(crate) conntrack: &'w mut conntrack::Table,
    /// Packets of this family are tracked.
    pub(crate) is_tracking: bool,
    pub(crate) rules: Option<&'w mut Rules>,
    pub(crate) stores: &'w mut Stores,
    pub(crate) log: &'w mut Vec<Logged>,
    /// What is sent beside the packet.
    pub(crate) transmits: &'w mut Bounded<Transmit>,
    /// Which packet of the batch it is.
    pub(crate) answers: u32,
    pub(crate) recorder: &'w mut R,
    pub(crate) parsed: &'w mut Parsed,
    pub(crate) bytes: &'w mut [u8],
    /// Where the packet can go on once it has become longer than what it lies in.
    pub(crate) spares: &'w mut [Vec<u8>],
    pub(crate) link: LinkInfo,
    pub(crate) mark: u32,
    pub(crate) secmark: u32,
    pub(crate) priority: u32,
    /// A rule has every rule written down that the packet matches.
    pub(crate) traced: bool,
    /// A rule of this hook, or of one that it shares its checksum with, has found that right.
    pub(crate) verified: bool,
    /// Where it came in; `None`: the host itself sends it.
    pub(crate) interface: Option<InterfaceIndex>,
    /// Where it leaves, once routed.
    pub(crate) out: Option<InterfaceIndex>,
    pub(crate) hook: Option<Hook>,
    pub(crate) template: Template,
    pub(crate) tracked: Option<Tracked>,
    /// The look-up of its connection, when it was begun with those of a batch.
    pub(crate) prepared: Option<&'w Prepared>,
    pub(crate) rule: Option<PolicyOrRule>,
    /// The first match of which nobody knows what it says; before others one that matters.
    pub(crate) unknown: Option<UnknownMatch>,
    /// The most bytes that the way out takes at once, when the packet has more (IPv4).
    pub(crate) cut_to: Option<u32>,
    /// Bytes of the largest piece that the packet came in, 0 when it came whole: no piece is cut
    /// larger, and pieces that fitted each are never too big together.
    pub(crate) largest_piece: u32,
    /// The host's own answer to a packet, of whose connection it is said to be RELATED.
    pub(crate) is_answer: bool,
    /// The copy of a broadcast that comes back to the host which sends it.
    pub(crate) is_copy: bool,
    /// A copy that `TEE` has made, or an answer to one: of it there are no further copies.
    pub(crate) is_duplicate: bool,
    /// Where the packet came in whose copy it is: answers to the copy are chosen by it.
    pub(crate) copied_from: Option<InterfaceIndex>,
    /// A helper has changed what it says.
    pub(crate) is_said_anew: bool,
    /// Its checksum is left to a device.
    pub(crate) unfinished: Option<Unfinished>,
    /// What the host has made this packet as; `None` for one that came in or that a program sends.
    pub(crate) made: Option<Made>,
}

/// What the host has made on account of a packet.
pub(crate) struct Sending {
    pub(crate) bytes: Vec<u8>,
    pub(crate) made: Made,
    /// A TCP segment whose checksum is left to the device.
    pub(crate) unsummed: bool,
    /// The connection that it is attached to; `None`: it is tracked like any packet.
    pub(crate) tracked: Option<Tracked>,
    pub(crate) template: Template,
    /// Where it leaves; `None`: where its destination is.
    pub(crate) out: Option<InterfaceIndex>,
}

/// Why a walk ends before its last hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A rule or a policy drops it.
    Rule,
    /// A rule drops it and tells the sender.
    Reject(RejectWith),
    /// A rule hands it to a program, whose answer nobody waits for.
    Queue,
    /// SYNPROXY sends others in its place.
    Stolen,
    /// It is a piece of a datagram for the host itself.
    ForHost,
    /// It is dropped for a cause.
    Cause(Cause),
    /// It is dropped for a cause and the sender is told.
    Report(Cause, Report),
}

/// The parts of the engine that a packet meets.
pub(crate) struct Meets<'w> {
    pub(crate) routing: &'w Routing,
    pub(crate) conntrack: &'w mut conntrack::Table,
    /// Packets of this family are tracked.
    pub(crate) is_tracking: bool,
    pub(crate) rules: Option<&'w mut Rules>,
    pub(crate) stores: &'w mut Stores,
    pub(crate) log: &'w mut Vec<Logged>,
    pub(crate) transmits: &'w mut Bounded<Transmit>,
    /// Which packet of the batch comes.
    pub(crate) answers: u32,
}

impl Meets<'_> {
    /// The same for a packet in between.
    pub(crate) fn again(&mut self) -> Meets<'_> {
        Meets {
            routing: self.routing,
            conntrack: &mut *self.conntrack,
            is_tracking: self.is_tracking,
            rules: self.rules.as_deref_mut(),
            stores: &mut *self.stores,
            log: &mut *self.log,
            transmits: &mut *self.transmits,
            answers: self.answers,
        }
    }
}

impl<'w, R: Recorder> Walk<'w, R> {
    /// A packet of the host itself, before its first hook.
    #[inline]
    pub(crate) fn new(
        now: Instant,
        meets: Meets<'w>,
        recorder: &'w mut R,
        parsed: &'w mut Parsed,
        bytes: &'w mut [u8],
    ) -> Self {
        let Meets { routing, conntrack, is_tracking, rules, stores, log, transmits, answers } =
            meets;
        Self {
            now,
            routing,
            conntrack,
            is_tracking,
            rules,
            stores,
            log,
            transmits,
            answers,
            recorder,
            parsed,
            bytes,
            spares: &mut [],
            link: LinkInfo::default(),
            mark: 0,
            secmark: 0,
            priority: 0,
            traced: false,
            verified: false,
            interface: None,
            out: None,
            hook: None,
            template: Template::default(),
            tracked: None,
            prepared: None,
            rule: None,
            unknown: None,
            cut_to: None,
            largest_piece: 0,
            is_answer: false,
            is_copy: false,
            is_duplicate: false,
            copied_from: None,
            is_said_anew: false,
            unfinished: None,
            made: None,
        }
    }
}

impl<R: Recorder> Walk<'_, R> {
    /// From the first hook to the last.
    #[inline]
    pub(crate) fn walk(&mut self) -> Result<(), Stop> {
        if self.interface.is_none() {
            return self.send();
        }
        traverse(self, Hook::Prerouting)?;
        self.go_on()
    }

    /// From behind PREROUTING on.
    fn go_on(&mut self) -> Result<(), Stop> {
        let interface = self.interface.unwrap_or(InterfaceIndex(0));
        let routed = self.routing.route_in(self.parsed, self.routing.seen_as(interface));
        self.recorder.routed(&routed);
        match routed {
            Routed::Local => self.deliver(),
            Routed::Out(out) => self.forward(out),
            Routed::Dropped(cause) => Err(Stop::Cause(cause)),
            Routed::Unreachable => {
                let report = Report::unreachable(self.parsed.family, 0);
                Err(Stop::Report(Cause::NoRoute, report))
            }
        }
    }

    /// What the host itself sends.
    #[inline(never)]
    pub(crate) fn send(&mut self) -> Result<(), Stop> {
        self.out = Some(self.way_out()?);
        let destination = self.parsed.destination;
        traverse(self, Hook::Output)?;
        if self.parsed.destination != destination {
            // A rule of the mangle table sends it elsewhere.
            self.out = Some(self.way_out()?);
        }
        let (family, destination) = (self.parsed.family, self.parsed.destination);
        if self.routing.is_broadcast(family, destination) {
            self.is_copy = true;
            let copy = traverse(self, Hook::Postrouting);
            self.is_copy = false;
            // Of a copy that a rule drops nothing is left; the packet itself goes its own way.
            let _ = copy;
        }
        traverse(self, Hook::Postrouting)?;
        let comes_back = self.out == Some(self.routing.loopback());
        if comes_back || self.routing.is_own(family, destination) {
            self.come_back()
        } else {
            Ok(())
        }
    }

    /// The way of what the host itself sends.
    fn way_out(&self) -> Result<InterfaceIndex, Stop> {
        let (family, destination) = (self.parsed.family, self.parsed.destination);
        if self.routing.comes_back(family, destination) {
            return Ok(self.routing.loopback());
        }
        self.routing.route_out(family, destination).ok_or(Stop::Cause(Cause::NoRoute))
    }

    /// What the host sends to itself comes in on its loopback interface; mark, connection and way
    /// stay with it.
    fn come_back(&mut self) -> Result<(), Stop> {
        const NOBODY: Option<[u8; 6]> = Some([0; 6]);
        (self.interface, self.out) = (self.out, None);
        self.finish();
        self.link = LinkInfo { source: NOBODY, destination: NOBODY, ..LinkInfo::default() };
        if self.tracked.is_some_and(|tracked| tracked.state == CtState::Invalid) {
            // Of what tracking made nothing it has kept nothing: it looks again.
            (self.tracked, self.prepared) = (None, None);
        }
        let destination = self.parsed.destination;
        traverse(self, Hook::Prerouting)?;
        // An answer that is translated there has no way yet.
        if self.parsed.destination == destination { self.deliver() } else { self.go_on() }
    }

    #[inline(never)]
    fn deliver(&mut self) -> Result<(), Stop> {
        forward::take_in_options(self)?;
        let gathered = self.is_tracking || self.parsed.family == Family::V6;
        if self.parsed.fragment.is_some() && !gathered {
            return Err(Stop::ForHost);
        }
        self.arrive()
    }

    /// What reaches the host itself, whole.
    pub(crate) fn arrive(&mut self) -> Result<(), Stop> {
        self.verified = self.verified || self.is_verified();
        traverse(self, Hook::Input)?;
        if self.routing.host().answers_echo {
            own::answer_echo(self);
        }
        if self.routing.host().answers_tcp && matches!(self.parsed.l4, L4::Tcp(_)) {
            own::answer_segment(self);
        }
        Ok(())
    }

    fn forward(&mut self, out: InterfaceIndex) -> Result<(), Stop> {
        self.out = Some(out);
        let bridged = self.interface.and_then(|came| self.routing.bridged(came, out));
        if self.routing.host().forwarding == Forwarding::Wire || bridged.is_some() {
            traverse(self, Hook::Forward)?;
            traverse(self, Hook::Postrouting)?;
            self.out = bridged.or(self.out);
            return Ok(());
        }
        let recorded = forward::take_in_options(self)?;
        forward::check(self, out)?;
        let length = self.parsed.length;
        rewrite::decrement_ttl(self.parsed, self.bytes);
        traverse(self, Hook::Forward)?;
        forward::pass_on_options(self, &recorded, out);
        traverse(self, Hook::Postrouting)?;
        if self.parsed.length > length { forward::check_length(self, out) } else { Ok(()) }
    }

    /// Ends the walk: answers where an answer is due, forgets what did not survive.
    #[inline]
    pub(crate) fn end(&mut self, result: Result<(), Stop>) -> Disposition {
        let (verdict, cause) = match result {
            Ok(()) => (Verdict::Accept, None),
            Err(stop) => self.stop(stop),
        };
        self.recorder.end(verdict, cause);
        let mut leaves = if verdict == Verdict::Accept { self.out } else { None };
        if let (Some(most), Some(interface)) = (self.cut_to, leaves) {
            self.cut(most, interface);
            leaves = None;
        }
        Disposition {
            verdict,
            cause,
            hook: self.hook,
            tracked: self.tracked,
            rule: self.rule,
            unknown: self.unknown,
            mark: self.mark,
            output: leaves.map(|interface| Output { interface, length: self.parsed.length }),
        }
    }

    /// What becomes of a packet that does not get through, and why.
    #[inline(never)]
    pub(crate) fn stop(&mut self, stop: Stop) -> (Verdict, Option<Cause>) {
        let (verdict, cause) = match stop {
            Stop::Rule => (Verdict::Drop, None),
            Stop::ForHost => (Verdict::Held, None),
            Stop::Queue => (Verdict::Queue, None),
            Stop::Stolen => (Verdict::Stolen, None),
            Stop::Cause(cause) => (Verdict::Drop, Some(cause)),
            Stop::Reject(with) => {
                let mut subject = self.subject();
                if with == RejectWith::TcpReset {
                    subject.verified = self.needs_no_sum();
                }
                let mut answer = reject::answer(self.routing, &subject, with);
                // Before what the host sends has a device, Linux sends no error of a target's own.
                let is_own_error = matches!(with, RejectWith::Icmpv6HeaderField(_));
                answer = answer.filter(|_| !is_own_error || self.hook != Some(Hook::Output));
                if let (RejectWith::TcpReset, Some(_), Some(tracked)) =
                    (with, &answer, &self.tracked)
                {
                    self.conntrack.reset(self.now, tracked);
                }
                let made = if with == RejectWith::TcpReset { Made::Reset } else { Made::Error };
                self.answer(answer, made);
                (Verdict::Reject, None)
            }
            Stop::Report(cause, report) => {
                if self.is_said_anew {
                    // On Linux no device has made its checksum yet when it is quoted.
                    checksum::unfinish(self.parsed, self.bytes);
                }
                let answer = answer::error(self.routing, &self.subject(), report);
                self.answer(answer, Made::Error);
                (Verdict::Drop, Some(cause))
            }
        };
        if let Some(tracked) = &self.tracked {
            self.conntrack.discard(self.now, tracked);
        }
        (verdict, cause)
    }

    /// Sends a packet on in pieces of at most so many bytes.
    #[cold]
    fn cut(&mut self, most: u32, interface: InterfaceIndex) {
        let (origin, answers) = (Origin::Forwarded, self.answers);
        for bytes in defrag::cut_to(self.parsed.packet(self.bytes), self.parsed, most) {
            self.transmits.push(Transmit { origin, interface, answers, bytes });
        }
    }

    /// Keeps the first match that could not be told, one that matters before one that does not.
    pub(crate) fn note_unknown(&mut self, unknown: Option<UnknownMatch>) {
        if self.unknown.is_none_or(|first| first.is_settled) {
            let matters = unknown.filter(|new| !new.is_settled);
            self.unknown = matters.or(self.unknown).or(unknown);
        }
    }

    /// Whether nobody sums up the packet's segment again: its checksum has been found right by tracking,
    /// but once it is being forwarded that is forgotten, or by a rule.
    pub(crate) fn needs_no_sum(&self) -> bool {
        self.verified || self.hook != Some(Hook::Forward) && self.is_verified()
    }

    /// Whether tracking has looked at the packet's checksum and found it right.
    fn is_verified(&self) -> bool {
        let told = self.template.notrack || self.is_duplicate;
        let is_message = matches!(self.parsed.l4, L4::Icmp(_) | L4::Icmpv6(_));
        let looked = |tracked: Tracked| match tracked.invalid.map(|invalid| invalid.reason) {
            Some(Reason::Short | Reason::BadChecksum) => false,
            // What an error quotes is looked at behind its checksum.
            Some(Reason::Malformed) => is_message,
            Some(_) => true,
            // ICMPv6 messages that are not tracked are looked at first, unless a rule says so.
            None => tracked.state != CtState::Untracked || !told,
        };
        let verifies = match self.parsed.family {
            Family::V4 => [icmp::PROTOCOL, tcp::PROTOCOL, udp::PROTOCOL],
            Family::V6 => [icmpv6::PROTOCOL, tcp::PROTOCOL, udp::PROTOCOL],
        };
        let verifies = verifies.contains(&self.parsed.protocol);
        verifies && self.conntrack.sysctls().checksum && self.tracked.is_some_and(looked)
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            parsed: self.parsed,
            bytes: self.bytes,
            interface: self.interface.or(self.copied_from),
            now: self.now,
            verified: self.verified || self.is_verified(),
        }
    }

    /// Sends an answer through the hooks of what the host itself sends.
    fn answer(&mut self, answer: Option<Vec<u8>>, made: Made) {
        let Some(bytes) = answer else { return };
        let out = match self.routing.host().forwarding {
            Forwarding::Wire => self.interface,
            Forwarding::Router | Forwarding::Off => None,
        };
        let tracked = self.tracked.and_then(|tracked| attached(&tracked));
        // Linux leaves the sum of a reset over IPv4 to the device, and makes that over IPv6 itself.
        let unsummed = made == Made::Reset && bytes.first().is_some_and(|first| first >> 4 == 4);
        let template = Template::default();
        self.send_made(Sending { bytes, made, unsummed, tracked, template, out });
    }

    /// The parts of the engine for another packet on account of this one, and who is told of its steps.
    pub(crate) fn meets(&mut self) -> (Meets<'_>, &mut R) {
        let meets = Meets {
            routing: self.routing,
            conntrack: &mut *self.conntrack,
            is_tracking: self.is_tracking,
            rules: self.rules.as_deref_mut(),
            stores: &mut *self.stores,
            log: &mut *self.log,
            transmits: &mut *self.transmits,
            answers: self.answers,
        };
        (meets, &mut *self.recorder)
    }

    /// Sends what the host has made on account of the packet.
    pub(crate) fn send_made(&mut self, sending: Sending) {
        let Sending { mut bytes, made, unsummed, tracked, template, out: back } = sending;
        let Ok(mut parsed) = Parsed::new(&bytes) else { return };
        let unfinished = unsummed.then(|| Unfinished::begin(&parsed, &mut bytes));
        self.recorder.answer(&bytes);
        if self.rules.as_ref().is_some_and(|rules| rules.wants_room()) {
            bytes.resize(bytes.len() + ROOM, 0);
        }
        let (now, was_duplicate) = (self.now, self.is_duplicate);
        let mut spares = [const { Vec::new() }; helped::SPARES];
        let (meets, recorder) = self.meets();
        let mut walk = Walk::new(now, meets, recorder, &mut parsed, &mut bytes);
        walk.spares = &mut spares;
        (walk.tracked, walk.is_answer, walk.template) = (tracked, tracked.is_some(), template);
        (walk.made, walk.is_duplicate) = (Some(made), was_duplicate);
        (walk.unfinished, walk.verified) = (unfinished, unsummed);
        let sent = match back {
            Some(back) => {
                walk.out = Some(back);
                traverse(&mut walk, Hook::Output)
                    .and_then(|()| traverse(&mut walk, Hook::Postrouting))
            }
            None => walk.send(),
        };
        if let Err(stop) = sent {
            walk.stop(stop);
        }
        walk.finish();
        let (out, unknown, left) = (walk.out, walk.unknown, walk.spares.len());
        self.note_unknown(unknown);
        // What it quotes may have become longer.
        bytes = helped::take(&mut spares, left).unwrap_or(bytes);
        bytes.truncate(parsed.length as usize);
        let leaves = out.filter(|_| sent.is_ok());
        self.recorder.answered(leaves.map(|out| (out, &*bytes)));
        if let Some(interface) = leaves {
            let (origin, answers) = (Origin::Made, self.answers);
            self.transmits.push(Transmit { origin, interface, answers, bytes });
        }
    }

    /// Makes the checksum that has been left to the device.
    pub(crate) fn finish(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            unfinished.finish(self.parsed, self.bytes);
        }
    }
}

/// What tracking says of an answer to a packet with a connection: RELATED to it, the other way.
/// Without one, the answer is tracked like any packet.
fn attached(tracked: &Tracked) -> Option<Tracked> {
    let (conn, direction) = (tracked.conn?, tracked.direction.unwrap_or(Direction::Original));
    Some(Tracked {
        state: CtState::Related,
        direction: Some(direction.invert()),
        conn: Some(conn),
        ..*tracked
    })
}

/// How a packet stops that the IP layer refuses before any hook, when its sender is told.
pub(crate) const fn stop_of(refused: Refused) -> Option<Stop> {
    match refused {
        Refused::Silently(_) => None,
        Refused::ParameterProblem { code, pointer } => {
            Some(Stop::Report(Cause::Malformed, Report::parameter_problem_v6(code, pointer as u32)))
        }
    }
}

//! Which packets there can be: what their protocol, their length and tracking leave possible.
//!
//! Rules may name combinations that no packet has: a SYN-ACK that is NEW, a TCP packet of thirty bytes. A
//! difference that only such packets would show is none. Sources: RFC 791, RFC 8200, RFC 9293, RFC 792,
//! RFC 4443; what tracking makes of flags and ICMP types is the tracker's own table
//! (`conntrack/src/proto`).

use super::space::{Group, Packets, Result, STATES, Space};
use keepstate_conntrack::Direction;
use keepstate_conntrack::proto::tcp::Kind;
use keepstate_conntrack::proto::tcp::states::{State, Step, step};
use keepstate_packet::tcp::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};
use keepstate_packet::{Family, icmp, icmpv6, ipv6, sctp, tcp, udp};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::packet_set::Field;

/// Flags of segments that begin or belong to a connection, but for PSH, ECE and CWR, which may be set beside
/// any of them.
const SOUND_FLAGS: [u8; 9] =
    [SYN, SYN | URG, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN | ACK | URG, ACK, ACK | URG];
/// ICMPv6 messages that tracking leaves alone: multicast listener and neighbour discovery.
const ICMPV6_UNTRACKED: [u8; 10] = [130, 131, 132, 133, 134, 135, 136, 143, 151, 152];
/// The redirect of ICMPv6: an error, unless it quotes nothing.
const ICMPV6_REDIRECT: u8 = 137;

impl Space {
    /// The packets that there can be.
    pub fn possible_packets(&self) -> Result<Packets> {
        let mut all = self.every();
        let number = |protocol: u8| u128::from(protocol);
        let protocol =
            |one: u8| self.all_of(Group::Field(Field::Protocol), &[(number(one), number(one))]);
        let whole = self.all_of(Group::Field(Field::LaterFragment), &[(0, 0)])?;
        let header = if self.family() == Family::V4 { 20 } else { 40 };
        let last = u128::from(u16::MAX) + if self.family() == Family::V4 { 0 } else { 40 };
        let longer = |least: u128| self.all_of(Group::Field(Field::Length), &[(least, last)]);
        all = all.and(&longer(header)?)?;
        let lengths = [
            (tcp::PROTOCOL, 20),
            (udp::PROTOCOL, 8),
            (udp::PROTOCOL_LITE, 8),
            (icmp::PROTOCOL, 8),
            (icmpv6::PROTOCOL, 8),
            (sctp::PROTOCOL, 12),
        ];
        for (one, length) in lengths {
            let short = protocol(one)?.and(&whole)?.less(&longer(header + length)?)?;
            all = all.less(&short)?;
        }
        // Of an error it is told what it is about by the header that it quotes (RFC 792; RFC 4443, 3).
        let related = self.state(ct::RELATED)?.and(&whole)?.less(&longer(header + 8 + header)?)?;
        for one in [icmp::PROTOCOL, icmpv6::PROTOCOL] {
            all = all.less(&protocol(one)?.and(&related)?)?;
        }
        let fragment = whole.others()?;
        for (one, states) in [
            (tcp::PROTOCOL, self.segments()?),
            (icmp::PROTOCOL, self.messages(true)?),
            (icmpv6::PROTOCOL, self.messages(false)?),
        ] {
            let fits = states.or(&fragment)?;
            all = all.less(&protocol(one)?.less(&fits)?)?;
        }
        if self.family() == Family::V6 {
            // They are passed over: the protocol is what stands behind them.
            for one in (0..=u8::MAX).filter(|one| ipv6::is_extension_header(*one)) {
                all = all.less(&protocol(one)?)?;
            }
        }
        // A hop limit of zero is never sent on.
        all.and(&self.all_of(Group::Field(Field::Ttl), &[(1, 255)])?)
    }

    /// Packets that are not UNTRACKED, or that tracking leaves alone whatever rules say: of others only a rule
    /// (NOTRACK) makes that state, on their way.
    pub fn untracked_by_themselves(&self) -> Result<Packets> {
        let mut alone = self.none();
        if self.family() == Family::V6 {
            let protocol = u128::from(icmpv6::PROTOCOL);
            let protocol = self.all_of(Group::Field(Field::Protocol), &[(protocol, protocol)])?;
            let of = |kind: u8| (u128::from(kind) << 8, u128::from(kind) << 8 | 0xff);
            let kinds: Vec<_> = ICMPV6_UNTRACKED.into_iter().map(of).collect();
            alone = self.all_of(Group::Field(Field::Icmp), &kinds)?.and(&protocol)?;
        }
        self.state(ct::UNTRACKED)?.others()?.or(&alone)
    }

    fn state(&self, bits: u8) -> Result<Packets> {
        let ranges: Vec<_> = (0..)
            .zip(STATES)
            .filter(|(_, (bit, _))| bits & bit != 0)
            .map(|(at, _)| (at, at))
            .collect();
        self.all_of(Group::Field(Field::State), &ranges)
    }

    /// TCP: which flags go with which state.
    fn segments(&self) -> Result<Packets> {
        let mut fits = self.state(ct::INVALID | ct::UNTRACKED)?;
        let unanswered = unanswered();
        for flags in SOUND_FLAGS {
            let goes_on =
                |state: &State| step(Direction::Original, *state, Kind::of(flags)) != Step::Invalid;
            let states = match unanswered.iter().any(goes_on) {
                true => ct::NEW | ct::ESTABLISHED | ct::RELATED,
                false => ct::ESTABLISHED,
            };
            let beside = u128::from(PSH | ECE | CWR);
            let group = Group::Field(Field::TcpFlags);
            let bits = self.bits(group)?;
            let is = self.masked(&bits, 0xff & !beside, u128::from(flags))?;
            fits = fits.or(&is.and(&self.state(states)?)?)?;
        }
        Ok(fits)
    }

    /// ICMP: which type goes with which state.
    fn messages(&self, v4: bool) -> Result<Packets> {
        let group = Group::Field(Field::Icmp);
        let of = |kind: u8| {
            let low = u128::from(kind) << 8;
            self.all_of(group, &[(low, low | 0xff)])
        };
        let mut fits = self.state(ct::INVALID | ct::UNTRACKED)?;
        for kind in 0..=u8::MAX {
            let states = match (v4, kind) {
                (true, 8 | 13 | 15 | 17) | (false, 128 | 139) => ct::NEW | ct::ESTABLISHED,
                (true, 0 | 14 | 16 | 18) | (false, 129 | 140) => ct::ESTABLISHED,
                (true, kind) if icmp::is_error(kind) => ct::RELATED,
                (false, 0..128 | ICMPV6_REDIRECT) => ct::RELATED,
                (false, kind) if ICMPV6_UNTRACKED.contains(&kind) => ct::UNTRACKED,
                _ => continue,
            };
            fits = fits.or(&of(kind)?.and(&self.state(states)?)?)?;
        }
        Ok(fits)
    }
}

/// The states of TCP connections of which one side alone has been heard: its segments are NEW, or RELATED where the
/// connection was announced, the first as those behind it.
fn unanswered() -> Vec<State> {
    let mut all = vec![State::None];
    let mut at = 0;
    while let Some(state) = all.get(at).copied() {
        at += 1;
        for flags in SOUND_FLAGS {
            if let Step::To(next) = step(Direction::Original, state, Kind::of(flags))
                && !all.contains(&next)
            {
                all.push(next);
            }
        }
    }
    all
}

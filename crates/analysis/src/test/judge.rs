//! Whether what was expected has come.

use super::expect::{Answer, Decider, End, Expectation, Expected};
use super::mutate::Shift;
use super::observe::Observed;
use crate::experiment::{direction_name, state_name, verdict_name};
use crate::trace::packet;
use keepstate_conntrack::Tracked;
use keepstate_engine::{Engine, Verdict};
use keepstate_packet::{Address, Family, L4, Parsed};
use keepstate_ruleset::evaluate::Decision;
use keepstate_ruleset::model::{ChainIndex, TableName, builtin_name};
use std::net::SocketAddr;

/// What came instead, where something else was expected.
#[must_use]
pub fn instead(
    expectation: &Expectation,
    observed: &Observed,
    engine: &Engine,
    shift: Shift,
) -> Option<String> {
    let holds = holds(&expectation.what, observed, engine, shift) != expectation.not;
    (!holds).then(|| happened(&expectation.what, observed, engine))
}

fn holds(what: &Expected, observed: &Observed, engine: &Engine, shift: Shift) -> bool {
    let tracked = observed.tracked;
    let connection = observed.connection.as_ref();
    match what {
        Expected::Verdict(verdict) => observed.verdict == *verdict,
        Expected::Local => observed.is_local(),
        Expected::State(state) => tracked.is_some_and(|tracked| tracked.state == *state),
        Expected::Direction(way) => tracked.is_some_and(|t| t.direction == Some(*way)),
        Expected::At(hook) if observed.verdict == Verdict::Accept => observed.hooks.contains(hook),
        Expected::At(hook) => observed.hooks.last() == Some(hook),
        Expected::Out(name) => interface(observed, engine).as_ref() == Some(name),
        Expected::By(decider) => by(decider, observed, shift),
        Expected::Matches(Decider::Rules(rules)) => {
            observed.matched.iter().any(|rule| rules.contains(&shift.origin(*rule)))
        }
        Expected::Matches(decider @ Decider::Policy(..)) => by(decider, observed, shift),
        Expected::From(end) => fits(*end, ends(&observed.left).map(|[source, _]| source)),
        Expected::To(end) => fits(*end, ends(&observed.left).map(|[_, destination]| destination)),
        Expected::Untranslated => {
            let left = ends(&observed.left);
            left.is_some() && left == ends(&observed.came)
        }
        Expected::Mark(mark) => observed.mark == *mark,
        Expected::ConnMark(mark) => connection.is_some_and(|one| one.mark == *mark),
        Expected::Protocol(state) => {
            connection.and_then(|one| one.state).is_some_and(|is| is == state)
        }
        Expected::Helper(name) => {
            connection.and_then(|one| one.helper.as_ref()).is_some_and(|is| is == name)
        }
        Expected::Log(None) => !observed.log.is_empty(),
        Expected::Log(Some(text)) => observed.log.iter().any(|line| line.contains(text)),
        Expected::Reason(reason) => observed.reason() == Some(reason),
        Expected::Answer(answer) => observed.answers.iter().any(|bytes| answers(*answer, bytes)),
        // Of a conversation; judged where it is played.
        Expected::Fate => true,
    }
}

fn by(decider: &Decider, observed: &Observed, shift: Shift) -> bool {
    let Some(decided) = observed.decided.filter(|_| observed.cause.is_none()) else { return false };
    match (decider, decided.decision) {
        (
            Decider::Rules(rules),
            Decision::Rule { chain, rule } | Decision::Hotdrop { chain, rule },
        ) => rules.contains(&shift.origin((decided.table, chain, rule))),
        (Decider::Policy(table, of), Decision::Policy { chain }) => {
            (*table, *of) == (decided.table, chain)
        }
        _ => false,
    }
}

type Ends = [(Family, Address, Option<u16>); 2];

fn ends(bytes: &[u8]) -> Option<Ends> {
    let parsed = Parsed::new(bytes).ok()?;
    let ports = match &parsed.l4 {
        L4::Tcp(header) => (Some(header.source_port), Some(header.destination_port)),
        L4::Udp(header) | L4::UdpLite(header) => {
            (Some(header.source_port), Some(header.destination_port))
        }
        _ => (None, None),
    };
    let family = parsed.family;
    Some([(family, parsed.source, ports.0), (family, parsed.destination, ports.1)])
}

fn fits(wanted: End, end: Option<(Family, Address, Option<u16>)>) -> bool {
    let Some((family, address, port)) = end else { return false };
    wanted.address.is_none_or(|wanted| wanted == address.ip(family))
        && wanted.port.is_none_or(|wanted| Some(wanted) == port)
}

fn answers(wanted: Answer, bytes: &[u8]) -> bool {
    let Ok(parsed) = Parsed::new(bytes) else { return false };
    match (wanted, &parsed.l4) {
        (Answer::Any, _) | (Answer::Udp, L4::Udp(_) | L4::UdpLite(_)) => true,
        (Answer::Tcp(flags), L4::Tcp(segment)) => segment.flags & flags == flags,
        (Answer::Icmp(kind, code), L4::Icmp(message) | L4::Icmpv6(message)) => {
            (message.kind, message.code) == (kind, code)
        }
        _ => false,
    }
}

fn interface(observed: &Observed, engine: &Engine) -> Option<String> {
    let index = observed.out?;
    let name = engine.host().interface(index).map(|one| one.name.to_string());
    Some(name.unwrap_or_else(|| "lo".to_owned()))
}

/// What happened, in the words of what was expected.
fn happened(what: &Expected, observed: &Observed, engine: &Engine) -> String {
    let tracked = observed.tracked;
    let connection = observed.connection.as_ref();
    let none = || "of no connection".to_owned();
    match what {
        Expected::Verdict(_) | Expected::Local | Expected::By(_) | Expected::Fate => {
            outcome(observed, engine)
        }
        Expected::Matches(_) => {
            let rules = observed.matched.iter().map(|rule| place(engine, observed, *rule));
            let rules: Vec<_> = rules.collect();
            match rules.is_empty() {
                true => "no rule matches".to_owned(),
                false => format!("matches {}", rules.join(", ")),
            }
        }
        Expected::State(_) | Expected::Direction(_) | Expected::Reason(_) => {
            tracked.map_or_else(|| "not tracked".to_owned(), |tracked| state(&tracked, observed))
        }
        Expected::At(_) => {
            let hooks: Vec<_> = observed.hooks.iter().map(|hook| builtin_name(*hook)).collect();
            match hooks.is_empty() {
                true => format!("{}, before any hook", outcome(observed, engine)),
                false => format!("{} at {}", outcome(observed, engine), hooks.join(", ")),
            }
        }
        Expected::Out(_) => match interface(observed, engine) {
            Some(name) => format!("out {name}"),
            None => outcome(observed, engine),
        },
        Expected::From(_) | Expected::To(_) | Expected::Untranslated => {
            match ends(&observed.left) {
                Some([source, destination]) => {
                    format!("from {} to {}", end(source), end(destination))
                }
                None => outcome(observed, engine),
            }
        }
        Expected::Mark(_) => format!("mark=0x{:x}", observed.mark),
        Expected::ConnMark(_) => {
            connection.map_or_else(none, |connection| format!("ctmark=0x{:x}", connection.mark))
        }
        Expected::Protocol(_) => {
            let state = connection.map(|one| one.state.unwrap_or("none"));
            state.map_or_else(none, |state| format!("state={state}"))
        }
        Expected::Helper(_) => {
            let helper = connection.map(|one| one.helper.as_deref().unwrap_or("none"));
            helper.map_or_else(none, |helper| format!("helper={helper}"))
        }
        Expected::Log(_) => match observed.log.as_slice() {
            [] => "nothing is logged".to_owned(),
            lines => format!("log \"{}\"", lines.join("\", \"")),
        },
        Expected::Answer(_) => match observed.answers.as_slice() {
            [] => format!("{}, no answer", outcome(observed, engine)),
            all => {
                let all: Vec<_> = all.iter().map(|bytes| packet::line(bytes)).collect();
                format!("answer {}", all.join(", "))
            }
        },
    }
}

fn end((family, address, port): (Family, Address, Option<u16>)) -> String {
    let ip = address.ip(family);
    port.map_or_else(|| ip.to_string(), |port| SocketAddr::new(ip, port).to_string())
}

fn state(tracked: &Tracked, observed: &Observed) -> String {
    let mut words = state_name(tracked.state).to_owned();
    if let Some(direction) = tracked.direction {
        words.push(' ');
        words.push_str(direction_name(direction));
    }
    if let Some(reason) = observed.reason() {
        words.push_str(&format!(" ({reason})"));
    }
    words
}

/// The verdict, and who has decided it.
pub(super) fn outcome(observed: &Observed, engine: &Engine) -> String {
    let verdict = match observed.verdict {
        Verdict::Accept if observed.is_local() => "local",
        verdict => verdict_name(verdict),
    };
    if let Some(cause) = observed.cause {
        return format!("{verdict} ({})", cause.code());
    }
    let Some(decided) = observed.decided else { return verdict.to_owned() };
    let by = match decided.decision {
        Decision::Rule { chain, rule } | Decision::Hotdrop { chain, rule } => {
            place(engine, observed, (decided.table, chain, rule))
        }
        Decision::Policy { chain } => {
            let chain = chain_name(engine, observed, decided.table, chain);
            format!("{}:{chain}:policy", decided.table.as_str())
        }
    };
    format!("{verdict} by {by}")
}

fn family(observed: &Observed) -> Family {
    match observed.came.first() {
        Some(first) if first >> 4 == 6 => Family::V6,
        _ => Family::V4,
    }
}

fn chain_name(engine: &Engine, observed: &Observed, table: TableName, chain: ChainIndex) -> String {
    let ruleset = engine.ruleset(family(observed));
    let chain = ruleset.and_then(|ruleset| ruleset.table(table)?.chain(chain));
    chain.map_or_else(|| "?".to_owned(), |chain| chain.name.clone())
}

fn place(
    engine: &Engine,
    observed: &Observed,
    (table, chain, number): (TableName, ChainIndex, u32),
) -> String {
    format!("{}:{}:{}", table.as_str(), chain_name(engine, observed, table, chain), number + 1)
}

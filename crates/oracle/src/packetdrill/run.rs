//! A script through the engine and through the kernel.

use super::script::{self, Event, What, When};
use super::segments::{End, Ends};
use super::shell::{Shell, World};
use crate::compare::{self, Counter};
use crate::fuzz::INSIDE;
use crate::fuzz::random::Random;
use crate::kernel::{Config, Kernel};
use crate::model::Model;
use crate::namespace;
use crate::observation::{EventView, Fate, Observation};
use keepstate_conntrack::event::{EventKind, Snapshot};
use keepstate_conntrack::flow::Flow;
use keepstate_conntrack::listing::{Kind, Line, Shown};
use keepstate_packet::{Family, Instant};
use std::{io, thread, time::Duration};

/// Longest that the kernel is waited for in one script.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What a script says and what is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line of the script, from 1.
    pub line: usize,
    /// Who: `script` (it cannot be read), `engine`, `kernel`, or `comparison` of the two.
    pub who: &'static str,
    /// What.
    pub text: String,
}

/// What was seen of a packet, and at which line.
type Seen = Vec<(usize, Observation)>;

/// Runs a script over one family, with `kernel` through the kernel as well. Its faults, in order.
#[must_use]
pub fn run(text: &str, family: Family, kernel: bool) -> Vec<Fault> {
    let events = match script::parse(text) {
        Ok(events) => events,
        Err((line, text)) => return vec![Fault { line, who: "script", text }],
    };
    let (mut faults, ours) = match Engine::new(family) {
        Ok(mut engine) => pass(&events, family, &mut engine, "engine"),
        Err(text) => return vec![Fault { line: 0, who: "engine", text }],
    };
    if !kernel {
        return faults;
    }
    let asked = namespace::with(|| -> io::Result<_> {
        Ok(pass(&events, family, &mut Judge::new(family)?, "kernel"))
    });
    match asked {
        Ok(Ok((more, theirs))) => {
            faults.extend(more);
            faults.extend(compared(&theirs, &ours));
        }
        Ok(Err(error)) | Err(error) => {
            faults.push(Fault { line: 0, who: "kernel", text: error.to_string() });
        }
    }
    faults
}

fn compared(kernel: &Seen, engine: &Seen) -> Vec<Fault> {
    let mut faults = Vec::new();
    for ((line, kernel), (_, engine)) in kernel.iter().zip(engine) {
        let differences = compare::observations(kernel, engine);
        faults.extend(differences.into_iter().map(|difference| Fault {
            line: *line,
            who: "comparison",
            text: format!(
                "{}: kernel {}, engine {}",
                difference.what, difference.kernel, difference.ours
            ),
        }));
    }
    faults
}

/// The host's network lies behind side A.
fn config() -> Config {
    Config { inside: INSIDE.map(str::to_owned).to_vec(), ..Config::default() }
}

/// A world that packets cross.
trait Crossed: World {
    fn push(&mut self, end: End, family: Family, packet: &[u8]) -> Result<Observation, String>;
}

fn pass(
    events: &[Event],
    family: Family,
    world: &mut dyn Crossed,
    who: &'static str,
) -> (Vec<Fault>, Seen) {
    let first = events.iter().find_map(|event| match event.what {
        What::Sent(_) => Some(End::Host),
        What::Received(_) => Some(End::Peer),
        What::Shell(_) | What::Call(_) => None,
    });
    let mut ends = Ends::new(family, first.unwrap_or(End::Host));
    let mut shell = Shell::new(family);
    let (mut faults, mut seen) = (Vec::new(), Seen::new());
    let mut elapsed = Duration::ZERO;
    for event in events {
        let pause = match event.when {
            When::At(at) => at.saturating_sub(elapsed),
            When::After(after) => after,
        };
        elapsed += pause;
        world.pause(pause);
        let done = match &event.what {
            What::Call(_) => Ok(()),
            What::Shell(text) => command(&mut shell, world, text),
            What::Sent(text) => {
                packet(&mut ends, world, End::Host, family, text).and_then(|observation| {
                    let passed = observation.fate == Fate::Forwarded;
                    let state = observation.state;
                    seen.push((event.line, observation));
                    if passed {
                        Ok(())
                    } else {
                        Err(format!("`> {text}` is {state:?}, and stopped"))
                    }
                })
            }
            What::Received(text) => packet(&mut ends, world, End::Peer, family, text)
                .map(|observation| seen.push((event.line, observation))),
        };
        faults.extend(done.err().map(|text| Fault { line: event.line, who, text }));
    }
    (faults, seen)
}

fn command(shell: &mut Shell, world: &mut dyn Crossed, text: &str) -> Result<(), String> {
    if shell.run(world, text)? {
        return Ok(());
    }
    let table: Vec<String> = world.connections()?.iter().map(compare::connection).collect();
    let counters = world.counters()?;
    Err(format!("`{text}` fails; table: {table:?}; counters: {counters:?}"))
}

fn packet(
    ends: &mut Ends,
    world: &mut dyn Crossed,
    from: End,
    family: Family,
    text: &str,
) -> Result<Observation, String> {
    // Nothing that a script can write is left to chance.
    let bytes = ends.packet(from, text)?.bytes(&[], &mut Random::part(0, 0));
    world.push(from, family, &bytes)
}

/// The lines of `conntrack -E`.
fn lines(events: &[EventView]) -> Vec<String> {
    let line = |event: &EventView| {
        let kind = match event.kind {
            EventKind::New => Kind::New,
            EventKind::Update => Kind::Update,
            EventKind::Destroy => Kind::Destroy,
            EventKind::ExpectNew | EventKind::ExpectDestroy => return None,
        };
        let flow = Flow::of_event(&event.snapshot, 0, Instant(0));
        Some(Line { flow: &flow, kind, shown: Shown::default() }.to_string())
    };
    events.iter().filter_map(line).collect()
}

/// The engine as a world.
struct Engine {
    model: Model,
    family: Family,
    told: Vec<EventView>,
}

impl Engine {
    fn new(family: Family) -> Result<Self, String> {
        let model = Model::new(&config(), &[], &[String::new(), String::new()])?;
        Ok(Self { model, family, told: Vec::new() })
    }
}

impl World for Engine {
    fn connections(&mut self) -> Result<Vec<Snapshot>, String> {
        Ok(self.model.connections())
    }

    fn events(&mut self) -> Vec<String> {
        lines(&self.told)
    }

    fn counters(&mut self) -> Result<Vec<Counter>, String> {
        Ok(self.model.counters(self.family))
    }

    fn load_rules(&mut self, text: &str) -> Result<(), String> {
        self.model.load_rules(self.family, text)
    }

    fn set_sysctl(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.model.set_sysctl(name, value)
    }

    fn delete(&mut self, connection: &Snapshot) -> Result<(), String> {
        self.model.delete(&connection.original);
        Ok(())
    }

    fn pause(&mut self, duration: Duration) {
        self.model.advance(duration);
        self.told.extend(self.model.events());
    }
}

impl Crossed for Engine {
    fn push(&mut self, end: End, family: Family, packet: &[u8]) -> Result<Observation, String> {
        let seen = self.model.push(end.side(), family, packet);
        self.told.extend(seen.events.iter().cloned());
        Ok(seen)
    }
}

/// The kernel as a world.
struct Judge {
    kernel: Kernel,
    family: Family,
    told: Vec<EventView>,
    waited: Duration,
}

impl Judge {
    fn new(family: Family) -> io::Result<Self> {
        let kernel = Kernel::new(config())?;
        Ok(Self { kernel, family, told: Vec::new(), waited: Duration::ZERO })
    }
}

fn said<T>(result: io::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

impl World for Judge {
    fn connections(&mut self) -> Result<Vec<Snapshot>, String> {
        said(self.kernel.connections())
    }

    fn events(&mut self) -> Vec<String> {
        lines(&self.told)
    }

    fn counters(&mut self) -> Result<Vec<Counter>, String> {
        let text = said(self.kernel.save_rules(self.family))?;
        Ok(compare::saved_counters(&text))
    }

    fn load_rules(&mut self, text: &str) -> Result<(), String> {
        said(self.kernel.load_rules(self.family, text))
    }

    fn set_sysctl(&mut self, name: &str, value: &str) -> Result<(), String> {
        said(self.kernel.set_sysctl(name, value))
    }

    fn delete(&mut self, connection: &Snapshot) -> Result<(), String> {
        said(self.kernel.delete(&connection.original))
    }

    fn pause(&mut self, duration: Duration) {
        let left = WAIT_MAX.saturating_sub(self.waited);
        self.waited += duration;
        thread::sleep(duration.min(left));
        self.told.extend(self.kernel.stray_events().unwrap_or_default());
    }
}

impl Crossed for Judge {
    fn push(&mut self, end: End, family: Family, packet: &[u8]) -> Result<Observation, String> {
        let seen = said(self.kernel.push(end.side(), family, packet))?;
        self.told.extend(seen.events.iter().cloned());
        Ok(seen)
    }
}

//! Puts a command to a table and prints what conntrack(8) prints.

use super::options::ABOUT_LABELS;
use super::{Command, EventMask, Fault, OptionKind, TableKind, VERSION, Verb, help};
use crate::flow::{Expected, Flow, Half, LabelNames, Labels};
use crate::listing::expectation::{ExpectationLine, ExpectationProcLine, ExpectationXml};
use crate::listing::statistics::{CpuLine, ExpectCpuLine};
use crate::listing::{Kind, Line, ProcLine, SaveLine, Shown, Xml};
use crate::outside::{Ask, Refusal};
use crate::tuple::Direction;
use crate::zone::Zone;
use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write};
use keepstate_packet::{Address, Family, Instant, icmp, icmpv6, tcp};

/// What a command printed, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Exit status.
    pub status: u8,
}

/// Runs a command, any but `-E`. `label_names` are for `-o labels`, `now` for ages and
/// `-o timestamp`.
pub fn run(
    command: &Command,
    table: &mut dyn Ask,
    label_names: Option<&LabelNames>,
    now: Option<Instant>,
    printed: &mut Printed,
) {
    let mut run = Run { command, table, form: Form::new(command, label_names, now), printed };
    if let Err(fault) = run.run() {
        printed.fail(&fault);
    }
}

impl Printed {
    /// Ends with a fault.
    pub fn fail(&mut self, fault: &Fault) {
        self.status = fault.status;
        let _ = write!(self.err, "{fault}");
    }

    fn say(&mut self, text: impl fmt::Display) {
        let _ = writeln!(self.err, "conntrack v{VERSION} (conntrack-tools): {text}");
    }

    fn line(&mut self, text: impl fmt::Display) {
        let _ = writeln!(self.out, "{text}");
    }
}

/// How entries are printed.
#[derive(Clone, Debug)]
pub struct Form<'a> {
    command: &'a Command,
    shown: Shown<'a>,
    now: Option<Instant>,
    shown_count: usize,
}

impl<'a> Form<'a> {
    /// As a command asks for.
    #[must_use]
    pub fn new(
        command: &'a Command,
        label_names: Option<&'a LabelNames>,
        now: Option<Instant>,
    ) -> Self {
        let output = command.output;
        let shows_labels =
            command.verb != Verb::Delete && (output.labels || command.given.any(&ABOUT_LABELS));
        let shown = Shown {
            layer3: output.extended,
            id: output.id,
            timestamps: output.ktimestamp,
            labels: label_names.filter(|_| shows_labels),
            when: None,
            now,
        };
        Self { command, shown, now, shown_count: 0 }
    }

    /// An entry of the table, or an event, with all that stands before it; with a line end.
    pub fn flow(&mut self, f: &mut impl Write, flow: &Flow, kind: Kind) -> fmt::Result {
        let output = self.command.output;
        self.shown_count += 1;
        if output.save {
            return writeln!(f, "{}", SaveLine { flow, kind });
        }
        if output.proc {
            return writeln!(f, "{}", ProcLine { flow, now: self.now });
        }
        if output.xml {
            let begins = !matches!(self.command.verb, Verb::Update | Verb::Delete);
            if self.shown_count == 1 && begins {
                f.write_str(Xml::HEAD)?;
            }
            let when = self.now.filter(|_| output.timestamp && kind != Kind::Listed);
            let shown = Shown { when, ..self.shown };
            return writeln!(f, "{}", Xml { flow, kind, shown });
        }
        if output.timestamp && kind != Kind::Listed {
            self.stamp(f)?;
        }
        writeln!(f, "{}", Line { flow, kind, shown: self.shown })
    }

    /// The same for an expectation.
    pub fn expected(&mut self, f: &mut impl Write, expected: &Expected, kind: Kind) -> fmt::Result {
        let output = self.command.output;
        self.shown_count += 1;
        if output.xml {
            if self.shown_count == 1 {
                f.write_str(ExpectationXml::HEAD)?;
            }
            let shown = Shown { when: self.now.filter(|_| output.timestamp), ..self.shown };
            return writeln!(f, "{}", ExpectationXml { expected, kind, shown });
        }
        if output.proc {
            return writeln!(f, "{}", ExpectationProcLine::of(expected));
        }
        if output.timestamp {
            self.stamp(f)?;
        }
        writeln!(f, "{}", ExpectationLine { expected, kind })
    }

    /// `[seconds.microseconds]`.
    fn stamp(&self, f: &mut impl Write) -> fmt::Result {
        match self.now {
            Some(Instant(nanos)) => {
                write!(f, "[{}.{:06}]\t", nanos / 1_000_000_000, nanos / 1000 % 1_000_000)
            }
            None => Ok(()),
        }
    }

    /// Sets the time of day: events have their own.
    pub const fn set_now(&mut self, now: Instant) {
        self.now = Some(now);
        self.shown.now = Some(now);
    }

    /// What stands after the last entry.
    #[must_use]
    pub const fn foot(&self) -> &'static str {
        let ends = matches!(self.command.verb, Verb::List | Verb::Event);
        match self.command.table {
            _ if !self.command.output.xml || self.shown_count == 0 || !ends => "",
            TableKind::Expect => ExpectationXml::FOOT,
            TableKind::Conntrack | TableKind::Dying | TableKind::Unconfirmed => Xml::FOOT,
        }
    }

    /// What conntrack(8) says at the beginning of `-E`, with a line end.
    #[must_use]
    pub fn events_begin(&self) -> String {
        let Some(bytes) = self.command.buffer_size else { return String::new() };
        // The kernel takes twice as much, and no less than a small packet needs.
        let bytes = u64::from(bytes).saturating_mul(2).max(2304);
        format!("NOTICE: Netlink socket buffer size has been set to {bytes} bytes.\n")
    }

    /// What conntrack(8) says at the end of `-E`, with a line end.
    #[must_use]
    pub fn events_shown(&self) -> String {
        let what = match self.command.table {
            TableKind::Expect => "expectation",
            TableKind::Conntrack | TableKind::Dying | TableKind::Unconfirmed => "flow",
        };
        let count = self.shown_count;
        format!("conntrack v{VERSION} (conntrack-tools): {count} {what} events have been shown.\n")
    }
}

impl Command {
    /// Whether `-E` with these options tells this event.
    #[must_use]
    pub fn tells(&self, flow: &Flow, kind: Kind) -> bool {
        let mask = self.events.unwrap_or(EventMask::ALL);
        let wanted = match kind {
            Kind::Listed => true,
            Kind::New => mask.new,
            Kind::Update => mask.updates,
            Kind::Destroy => mask.destroy,
        };
        wanted && self.selects(flow)
    }
}

struct Run<'a, 'p> {
    command: &'a Command,
    table: &'a mut dyn Ask,
    form: Form<'a>,
    printed: &'p mut Printed,
}

/// What conntrack(8) finds wrong with a command only when it is to be run.
///
/// # Errors
/// [`Fault`].
pub fn check(command: &Command) -> Result<(), Fault> {
    use OptionKind as O;
    if command.table != TableKind::Conntrack
        || !matches!(command.verb, Verb::List | Verb::Event | Verb::Update | Verb::Delete)
    {
        return Ok(());
    }
    let given = &command.given;
    if command.verb == Verb::List && given.has(O::Zero) && command.compares() {
        return Err(Fault::parameter("Can't use -z with filtering parameters"));
    }
    if given.has(O::MaskSrc) && !given.has(O::OrigSrc) {
        return Err(Fault::parameter("Can't use --mask-src without --src"));
    }
    if given.has(O::MaskDst) && !given.has(O::OrigDst) {
        return Err(Fault::parameter("Can't use --mask-dst without --dst"));
    }
    Ok(())
}

impl Run<'_, '_> {
    fn run(&mut self) -> Result<(), Fault> {
        check(self.command)?;
        let is_expect = self.command.table == TableKind::Expect;
        match (self.command.verb, is_expect) {
            (Verb::None | Verb::Help, _) => self.printed.out.push_str(&help::text()),
            (Verb::Version, _) => {
                self.printed.line(format!("conntrack v{VERSION} (conntrack-tools)"))
            }
            (Verb::List, false) => self.list()?,
            (Verb::List, true) => self.list_expectations()?,
            (Verb::Create | Verb::Add, false) => self.create()?,
            (Verb::Create | Verb::Add, true) => self.expect()?,
            (Verb::Update, _) => self.update()?,
            (Verb::Delete, false) => self.delete()?,
            (Verb::Delete, true) => self.forget()?,
            (Verb::Get, false) => self.find()?,
            (Verb::Get, true) => self.find_expectation()?,
            (Verb::Flush, false) => {
                // Whatever family is named.
                self.table.flush().map_err(|r| self.failed(r))?;
                self.printed.say("connection tracking table has been emptied.");
            }
            (Verb::Flush, true) => {
                self.table.flush_expectations().map_err(|r| self.failed(r))?;
                self.printed.say("expectation table has been emptied.");
            }
            (Verb::Count, false) => {
                let flows = self.table.flows(TableKind::Conntrack).map_err(|r| self.failed(r))?;
                self.printed.line(flows.len());
            }
            (Verb::Count, true) => {
                let all = self.table.expectations().map_err(|r| self.failed(r))?;
                // Those of IPv4, as they are listed.
                let family = Some(self.command.flow.family.unwrap_or(Family::V4));
                self.printed.line(all.iter().filter(|expected| expected.family == family).count());
            }
            (Verb::Stats, is_expect) => self.statistics(is_expect),
            // Events come as they happen, not at once.
            (Verb::Event, _) => {}
        }
        Ok(())
    }

    /// What the table refused.
    fn failed(&self, refusal: Refusal) -> Fault {
        let is_expect = self.command.table == TableKind::Expect;
        Fault::other(match (refusal, self.command.verb, is_expect) {
            (Refusal::Exists, Verb::Create | Verb::Add, false) => {
                String::from("Operation failed: Such conntrack exists, try -U to update")
            }
            (Refusal::Missing, Verb::Get | Verb::Delete | Verb::Update, false) => {
                String::from("Operation failed: such conntrack doesn't exist")
            }
            (Refusal::Missing, Verb::Create, true) => {
                String::from("Operation failed: master conntrack not found")
            }
            (Refusal::Invalid, Verb::Add, false) => {
                String::from("Operation failed: Invalid argument")
            }
            (Refusal::Forbidden, ..) => String::from(
                "Operation failed: sorry, you must be root or get CAP_NET_ADMIN capability to do \
                 this",
            ),
            (refusal, ..) => format!("Operation failed: {refusal}"),
        })
    }

    fn show(&mut self, flow: &Flow) {
        let _ = self.form.flow(&mut self.printed.out, flow, Kind::Listed);
    }

    fn told(&mut self, what: &str) {
        let count = self.form.shown_count;
        self.printed.say(format_args!("{count} flow entries have been {what}."));
    }

    fn list(&mut self) -> Result<(), Fault> {
        let command = self.command;
        let asks_kernel = command.table == TableKind::Conntrack;
        let (mask, status) = (command.status_mask, command.flow.status());
        if asks_kernel && command.given.has(OptionKind::Status) && mask.0 == 0 {
            return Err(self.failed(Refusal::Invalid));
        }
        let mut flows = self.table.flows(command.table).map_err(|r| self.failed(r))?;
        if asks_kernel && !mask.contains(status) {
            flows.clear();
        }
        flows.iter().filter(|flow| command.selects(flow)).for_each(|flow| self.show(flow));
        self.printed.out.push_str(self.form.foot());
        if command.given.has(OptionKind::Zero) {
            self.table.zero(command.flow.family).map_err(|r| self.failed(r))?;
        }
        self.told("shown");
        Ok(())
    }

    fn list_expectations(&mut self) -> Result<(), Fault> {
        let all = self.table.expectations().map_err(|r| self.failed(r))?;
        // Where nothing says otherwise they are those of IPv4; the file in `/proc` has all.
        let default = (!self.command.output.proc).then_some(Family::V4);
        let family = self.command.flow.family.or(default);
        for expected in all.iter().filter(|e| family.is_none() || e.family == family) {
            let _ = self.form.expected(&mut self.printed.out, expected, Kind::Listed);
        }
        self.printed.out.push_str(self.form.foot());
        let count = self.form.shown_count;
        self.printed.say(format_args!("{count} expectations have been shown."));
        Ok(())
    }

    fn create(&mut self) -> Result<(), Fault> {
        let command = self.command;
        if command.impossible_label {
            return Err(self.failed(Refusal::OutOfRange));
        }
        let mark = command.mark.map(|mark| mark.value);
        let wanted = Flow { mark, labels: command.label_add, ..command.flow.clone() };
        let result = self.table.create(&wanted);
        let count = match (result, command.verb) {
            (Ok(()), _) => 1,
            (Err(Refusal::Exists), Verb::Add) => 0,
            (Err(refusal), _) => return Err(self.failed(refusal)),
        };
        let what = if command.verb == Verb::Add { "added" } else { "created" };
        self.printed.say(format_args!("{count} flow entries have been {what}."));
        Ok(())
    }

    fn update(&mut self) -> Result<(), Fault> {
        let command = self.command;
        let flows = self.table.flows(TableKind::Conntrack).map_err(|r| self.failed(r))?;
        let mut updated_count = 0_usize;
        for flow in flows.iter().filter(|flow| command.selects(flow)) {
            let Some(change) = change(command, flow) else { continue };
            // Whatever comes of it, conntrack(8) looks what has become of the connection.
            if let Err(refusal) = self.table.update(&change) {
                let text = match refusal {
                    Refusal::Missing => format!("Operation failed: {refusal}"),
                    _ => self.failed(refusal).text,
                };
                let _ = writeln!(self.printed.err, "{text}");
            }
            // Neither can be named where no family is.
            if command.flow.family.is_none() {
                return Err(self.failed(Refusal::Unsupported));
            }
            let Some(tuple) = flow.tuple(Direction::Original) else { continue };
            let found = match self.table.find(&tuple, Zone::default()) {
                // It has gone meanwhile.
                Err(Refusal::Missing) => continue,
                found => referenced(&found.map_err(|r| self.failed(r))?),
            };
            updated_count += 1;
            if command.selects(&found) {
                self.show(&found);
            }
        }
        self.printed.say(format_args!("{updated_count} flow entries have been updated."));
        self.printed.status = u8::from(updated_count == 0);
        Ok(())
    }

    fn delete(&mut self) -> Result<(), Fault> {
        let command = self.command;
        let flows = self.table.flows(TableKind::Conntrack).map_err(|r| self.failed(r))?;
        for flow in flows.iter().filter(|flow| command.selects(flow)) {
            let Some(tuple) = flow.tuple(Direction::Original) else { continue };
            self.table.delete(&tuple, flow.zone()).map_err(|r| self.failed(r))?;
            let kind = if command.output.save { Kind::Destroy } else { Kind::Listed };
            let _ = self.form.flow(&mut self.printed.out, flow, kind);
        }
        self.told("deleted");
        self.printed.status = u8::from(self.form.shown_count == 0);
        Ok(())
    }

    fn find(&mut self) -> Result<(), Fault> {
        let command = self.command;
        if self.asks_for_half_a_reply() {
            return Err(Fault::other(format!("Operation failed: {}", self.no_error())));
        }
        let tuple = asked_tuple(&command.flow).map_err(|r| self.failed(r))?;
        let flow = self.table.find(&tuple, Zone::default()).map_err(|r| self.failed(r))?;
        if command.selects(&flow) {
            let flow = referenced(&flow);
            self.show(&flow);
        }
        self.told("shown");
        self.printed.status = u8::from(self.form.shown_count == 0);
        Ok(())
    }

    /// Ports of the reply without its addresses cannot be asked for.
    fn asks_for_half_a_reply(&self) -> bool {
        let Half { source, destination, source_port, destination_port, .. } =
            self.command.flow.reply;
        source.is_none()
            && destination.is_none()
            && (source_port.is_some() || destination_port.is_some())
    }

    /// What conntrack(8) finds in `errno` where nobody has set it.
    fn no_error(&self) -> &'static str {
        let Flow { protocol, info, .. } = &self.command.flow;
        match (*protocol, info.state()) {
            (Some(tcp::PROTOCOL), None) => "No data available",
            // Looking for names that are not there has left its mark.
            _ if self.command.output.labels && self.form.shown.labels.is_none() => {
                "invalid parameters"
            }
            _ => "Success",
        }
    }

    fn statistics(&mut self, is_expect: bool) {
        let all = self.table.statistics();
        for (cpu, statistics) in (0..).zip(&all) {
            if is_expect {
                self.printed.line(ExpectCpuLine { cpu, statistics });
            } else {
                self.printed.line(CpuLine { cpu, statistics });
            }
        }
    }

    fn expect(&mut self) -> Result<(), Fault> {
        let command = self.command;
        let master = command.flow.original;
        let mut wanted =
            Expected { master, master_protocol: command.flow.protocol, ..command.expected.clone() };
        // Nothing of conntrack(8) says that what is expected is of TCP, and so it has no ports.
        if command.flow.protocol == Some(tcp::PROTOCOL) {
            wanted.protocol = Some(0);
            for half in [&mut wanted.tuple, &mut wanted.mask] {
                *half = Half { source_port: None, destination_port: None, ..*half };
            }
        }
        // conntrack(8) says nothing of it.
        self.table.expect(&wanted).map_err(|r| self.failed(r))
    }

    fn forget(&mut self) -> Result<(), Fault> {
        let tuple = self.expected_tuple()?;
        self.table.forget(&tuple).map_err(|r| self.failed(r))?;
        self.printed.say("1 expectations have been deleted.");
        Ok(())
    }

    fn find_expectation(&mut self) -> Result<(), Fault> {
        let tuple = self.expected_tuple()?;
        let all = self.table.expectations().map_err(|r| self.failed(r))?;
        let is = |expected: &&Expected| expected.covers(&tuple);
        let found = all.iter().find(is).ok_or(Refusal::Missing).map_err(|r| self.failed(r))?;
        let _ = self.form.expected(&mut self.printed.out, found, Kind::Listed);
        self.printed.say("1 expectations have been shown.");
        Ok(())
    }

    fn expected_tuple(&self) -> Result<crate::Tuple, Fault> {
        let flow = &self.command.flow;
        // Nothing can be said of the type, which is 0 then: that of no ICMPv6.
        match flow.protocol {
            Some(icmp::PROTOCOL) => return Err(self.failed(Refusal::Missing)),
            Some(icmpv6::PROTOCOL) => return Err(self.failed(Refusal::Invalid)),
            _ => {}
        }
        flow.tuple(Direction::Original).ok_or(Refusal::Invalid).map_err(|r| self.failed(r))
    }
}

/// A connection that somebody holds while it is printed.
fn referenced(flow: &Flow) -> Flow {
    Flow { uses: flow.uses.map(|uses| uses.saturating_add(1)), ..flow.clone() }
}

/// The original tuple that is asked for.
fn asked_tuple(wanted: &Flow) -> Result<crate::Tuple, Refusal> {
    let mut wanted = wanted.clone();
    let half = &mut wanted.original;
    // What is not said of a tuple is 0, unless all of it is.
    if half.source.is_some() || half.destination.is_some() {
        let zero = Some(Address([0; 16]));
        half.source = half.source.or(zero);
        half.destination = half.destination.or(zero);
        if half.source_port.is_some() || half.destination_port.is_some() {
            half.source_port = half.source_port.or(Some(0));
            half.destination_port = half.destination_port.or(Some(0));
        }
    }
    if let Some(kind) = wanted.original.icmp_type {
        crate::tuple::inverse_type(wanted.protocol.unwrap_or(0), kind).ok_or(Refusal::Invalid)?;
        wanted.original.icmp_id = Some(wanted.original.icmp_id.unwrap_or(0));
    }
    wanted.tuple(Direction::Original).ok_or(Refusal::Invalid)
}

/// What is to be changed of a connection; `None` when that is nothing. conntrack(8) does not say in
/// which zone, so that only connections in none are changed.
fn change(command: &Command, flow: &Flow) -> Option<Flow> {
    let mark = command.mark.map(|mark| (flow.mark.unwrap_or(0) & !mark.mask) ^ mark.value);
    let labels = (command.label_add.is_some() || command.label_del.is_some())
        .then(|| relabelled(command, flow.labels.unwrap_or_default()));
    let status = command.flow.status.map(|status| status | flow.status());
    let has_labels = flow.labels.is_some_and(|labels| labels != Labels::default());
    // What was left of its time has passed on since it was listed.
    let unchanged = command.flow.timeout.is_none()
        && mark.is_none_or(|mark| flow.mark == Some(mark))
        && labels.is_none_or(|_| command.label_add.is_none() && !has_labels)
        && status.is_none_or(|status| flow.status() == status)
        && command.flow.info.state().is_none_or(|state| flow.info.state() == Some(state));
    if unchanged {
        return None;
    }
    Some(Flow {
        family: command.flow.family,
        protocol: flow.protocol,
        original: flow.original,
        reply: Half::default(),
        timeout: command.flow.timeout,
        status,
        info: command.flow.info,
        mark,
        labels,
        // Which the kernel refuses to change.
        nat: command.flow.nat,
        ..Flow::default()
    })
}

fn relabelled(command: &Command, labels: Labels) -> Labels {
    let add = command.label_add.unwrap_or_default();
    let remove = command.label_del.unwrap_or_default();
    let mut out = Labels::default();
    let places = out.0.iter_mut().zip(labels.0).zip(add.0.iter().zip(remove.0));
    for ((out, had), (add, remove)) in places {
        *out = had & !remove | add;
    }
    out
}

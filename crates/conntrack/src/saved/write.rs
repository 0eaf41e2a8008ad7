//! Writes a saved table: the lines of `conntrack -L -o extended,id` and of `conntrack -L expect`,
//! with what those leave out added at the end, so that nothing is lost.

use super::SavedTable;
use crate::flow::{Expected, Flow, ProtocolInfo};
use crate::listing::expectation::ExpectationLine;
use crate::listing::{Kind, Line, Shown};
use alloc::string::String;
use core::fmt::{self, Write};

/// The first line.
const TITLE: &str = "# keepstate table: conntrack -L -o extended,id, and what it leaves out\n";

impl SavedTable {
    /// The table as a text that [`read`](super::read()) reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::from(TITLE);
        for flow in self.flows.values() {
            let _ = write!(out, "{}", SavedFlow(flow));
        }
        for expected in &self.expected {
            let _ = write!(out, "{}", SavedExpectation(expected));
        }
        out
    }
}

struct SavedFlow<'a>(&'a Flow);

impl fmt::Display for SavedFlow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = self.0;
        // An age would grow old in the file.
        let timeless = Flow { age: flow.age.filter(|_| flow.started.is_none()), ..flow.clone() };
        let timeless = Flow { started: None, ..timeless };
        let shown = Shown { layer3: true, id: true, ..Shown::default() };
        write!(f, "{}", Line { flow: &timeless, kind: Kind::Listed, shown })?;
        write!(f, " status={:#x}", flow.status().0)?;
        match flow.info {
            ProtocolInfo::Sctp { vtags: [original, reply], .. } => {
                number(f, "orig-vtag", original)?;
                number(f, "reply-vtag", reply)?;
            }
            ProtocolInfo::Dccp { role, .. } => number(f, "role", role.map(u32::from))?,
            ProtocolInfo::Gre { timeout, stream_timeout } => {
                write!(f, " gre-timeout={timeout} gre-stream-timeout={stream_timeout}")?;
            }
            ProtocolInfo::None | ProtocolInfo::Tcp { .. } => {}
        }
        if let Some(labels) = flow.labels {
            write!(f, " labels={:#x}", u128::from_le_bytes(labels.0))?;
        }
        if let Some(started) = flow.started {
            write!(f, " started={started}")?;
        }
        if let Some(master) = &flow.master {
            let (source, destination) =
                (master.source.ip(master.family), master.destination.ip(master.family));
            write!(f, " master={},{source},{destination}", master.protocol)?;
            write!(f, ",{},{}", master.source_port, master.destination_port)?;
        }
        f.write_char('\n')
    }
}

struct SavedExpectation<'a>(&'a Expected);

impl fmt::Display for SavedExpectation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = self.0;
        write!(f, "{}", ExpectationLine { expected, kind: Kind::Listed })?;
        number(f, "master-proto", expected.master_protocol.map(u32::from))?;
        f.write_char('\n')
    }
}

fn number(f: &mut fmt::Formatter<'_>, name: &str, value: Option<u32>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {name}={value}"),
        None => Ok(()),
    }
}

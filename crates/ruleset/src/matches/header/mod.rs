//! What the header of a rule for frames asks, beside what every rule has: as a match, the first of
//! the rule, that has no name to call it by.

pub mod arp;
pub mod ethernet;

use crate::evaluate::{State, Traversal};
use crate::explain::Pieces;
use crate::matches::Match;
use crate::verdict::Answer;
use alloc::string::String;
use arp::ArpHeader;
use core::any::Any;
use ethernet::EthernetHeader;

/// The header of a rule of ebtables or arptables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameHeader {
    /// ebtables.
    Ethernet(EthernetHeader),
    /// arptables.
    Arp(ArpHeader),
}

impl FrameHeader {
    /// The one of a rule, by its matches.
    #[must_use]
    pub fn of(matches: &[alloc::boxed::Box<dyn Match>]) -> Option<&Self> {
        let first: &dyn Any = &**matches.first()?;
        first.downcast_ref()
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Ethernet(header) => *header == EthernetHeader::default(),
            // Rules of arptables ask for Ethernet addresses where they ask for nothing else.
            Self::Arp(_) => false,
        }
    }
}

impl Match for FrameHeader {
    fn name(&self) -> &'static str {
        ""
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        match self {
            Self::Ethernet(header) => header.matches(traversal).into(),
            Self::Arp(header) => header.matches(traversal.bytes).into(),
        }
    }

    fn print(&self, out: &mut String) {
        match self {
            Self::Ethernet(header) => {
                header.print(out);
                header.print_logical_in(out);
                header.print_logical_out(out);
            }
            Self::Arp(header) => header.print(out, true),
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        match self {
            Self::Ethernet(_) => self.print(out),
            Self::Arp(header) => header.print(out, numeric),
        }
    }

    fn explain(&self, out: &mut Pieces) {
        match self {
            Self::Ethernet(header) => header.explain(out),
            Self::Arp(header) => header.explain(out),
        }
    }
}

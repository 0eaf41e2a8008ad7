//! Behaviour in Markdown that people read and that runs: `spec/*.md`.
//!
//! A case is a heading, prose, and fenced blocks: `sysctl`, `rules`, `rules6` and `local` say how
//! the filter is set up; `packets` and `conntrack` say, in order, what happens to packets and what
//! is in the connection table then. `spec/README.md` describes the notation. The same case runs
//! through the engine and through the kernel, and each has to do what is written.

mod describe;
mod markdown;
mod packet;
mod run;
mod sctp;

pub use markdown::{Case, Fault, Step, What, parse};
pub use run::{Asked, Mismatch, Ran, bless, packets, run};

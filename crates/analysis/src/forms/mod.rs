//! Texts that are no single rule: what each of their fields says, and what follows.

pub mod chains;
pub mod conntrack;
pub mod conntrack_command;
pub mod conntrack_xml;
pub mod diagnostic;
pub mod expect;
pub mod file;
pub mod frames;
pub mod frontends;
pub mod kernel;
pub mod lint;
pub mod log;
pub mod manual;
pub mod nft;
pub mod part;
pub mod policy;
pub mod statistics;
pub mod table;
pub mod trace;

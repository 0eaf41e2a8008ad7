//! The languages rule sets are written in.

pub mod frames;
pub mod ipset;
pub mod iptables_command;
pub mod iptables_list;
pub mod iptables_save;
pub mod iptables_xml;
pub mod nfacct;

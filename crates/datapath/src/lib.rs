//! Where packets come from: captures, devices, the clock; every system call of the house.

pub mod pcap;
pub mod sys;

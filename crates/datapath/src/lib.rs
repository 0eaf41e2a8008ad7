//! Where packets come from: captures, devices, the clock.

pub mod pcap;

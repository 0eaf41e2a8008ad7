//! `--nflog FILE`: what NFLOG rules hand to those who listen, as a capture of link type NFLOG. Each group
//! is an interface of it, `nflog:GROUP`; the interfaces of the packets are numbered from 1 as the host model
//! lists them.

use keepstate_conntrack::Hook;
use keepstate_datapath::pcap::{Note, Writer};
use keepstate_engine::Host;
use keepstate_packet::{Instant, InterfaceName, link::LinkType, nflog::Nflog};
use keepstate_ruleset::targets::nflog::Message;
use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
};

/// The capture.
pub(super) struct Messages {
    writer: Writer<BufWriter<File>>,
    interfaces: Vec<InterfaceName>,
    /// Time of the last packet.
    stamp: Instant,
    bytes: Vec<u8>,
}

impl Messages {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        let writer = Writer::new(BufWriter::new(file))?;
        let (interfaces, bytes) = (Vec::new(), Vec::new());
        Ok(Self { writer, interfaces, stamp: Instant(0), bytes })
    }

    /// The packet that the messages from here on are about.
    pub(super) fn packet(&mut self, host: &Host, stamp: Instant) {
        self.stamp = stamp;
        let known = self.interfaces.len();
        let new = host.interfaces.get(known..).unwrap_or_default();
        self.interfaces.extend(new.iter().map(|interface| interface.name));
    }

    pub(super) fn write(&mut self, message: &Message) -> io::Result<()> {
        let index = |name: Option<InterfaceName>| {
            let at = self.interfaces.iter().position(|known| Some(*known) == name)?;
            u32::try_from(at + 1).ok()
        };
        let came = message.in_interface.is_some();
        let read = Nflog {
            group: message.group,
            family: Some(message.family),
            hook: Some(message.hook as u8),
            mark: (message.mark != 0).then_some(message.mark),
            interface_in: index(message.in_interface),
            interface_out: index(message.out_interface),
            source: message.link.source.filter(|_| came),
            destination: message.link.destination.filter(|_| came),
            time: (came && message.hook != Hook::Postrouting).then_some(self.stamp),
            prefix: Some(message.prefix.as_bytes()),
            payload: Some((0, message.bytes.as_slice())).filter(|(_, bytes)| !bytes.is_empty()),
        };
        self.bytes.clear();
        read.write(&mut self.bytes);
        let note = Note {
            time: self.stamp,
            link_type: LinkType::NFLOG,
            interface: InterfaceName::new(&format!("nflog:{}", message.group)).unwrap_or_default(),
            outbound: false,
            original_length: self.bytes.len() as u32,
            comment: "",
        };
        self.writer.write(&note, &self.bytes)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

//! The devices of a router: packet sockets on devices that are there, and TAP devices that it makes.

use crate::clock::SystemClock;
use crate::sys::{
    interface::Interface,
    packet::{self, DEVICES_MAX, FRAME_LENGTH_MAX, Frame, OFFLOAD_LENGTH, Room, Socket},
    signal,
    tap::Tap,
};
use keepstate_packet::{Instant, InterfaceName};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// An Ethernet address.
pub type Hardware = [u8; 6];

/// Bytes of each device's receive queue.
const QUEUE: i32 = 16 << 20;

/// A frame that came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// From the Ethernet header on.
    pub bytes: &'a [u8],
    /// `struct virtio_net_hdr`.
    pub offload: [u8; OFFLOAD_LENGTH],
    /// The VLAN tag that the kernel has taken out: protocol and tag.
    pub vlan: Option<(u16, u16)>,
}

/// What has become of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It is as it was.
    Same,
    /// It was taken down since it was last asked; it may come up again.
    WentDown,
}

/// What a router stands between.
pub trait Links {
    /// Now.
    fn now(&self) -> Instant;

    /// Whether it is time to end.
    fn is_over(&self) -> bool;

    /// How many links there are.
    fn count(&self) -> usize;

    /// Takes up to `frames_max` frames that have come in on a link.
    ///
    /// # Errors
    /// When there is no going on. A link that is down brings nothing, as long as it is.
    fn receive(
        &mut self,
        link: usize,
        frames_max: usize,
        take: impl FnMut(Arrived<'_>),
    ) -> io::Result<LinkState>;

    /// Waits until a link has a frame, for at most this time.
    ///
    /// # Errors
    /// When there is no going on.
    fn wait(&mut self, time: Duration) -> io::Result<()>;

    /// Sends frames in order; how many the link took. The others are lost.
    fn send(&mut self, link: usize, frames: &[Frame<'_>]) -> usize;
}

/// Which device a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: InterfaceName,
    /// A TAP device that the router makes, or takes if it is there: this machine's own kernel is on
    /// the link then, and whoever shares a bridge with its end.
    pub is_tap: bool,
    /// The router's address on the link; that of the device, or one beside that of a TAP device's
    /// other end, when `None`.
    pub hardware: Option<Hardware>,
    /// MTU in bytes; that of the device when `None`. A TAP device is given it.
    pub mtu: Option<u32>,
}

#[derive(Debug)]
enum Link {
    Socket(Socket),
    Tap(Tap),
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(socket) => socket.as_fd(),
            Self::Tap(tap) => tap.as_fd(),
        }
    }
}

/// Devices of this machine.
#[derive(Debug)]
pub struct Devices {
    links: Vec<Link>,
    hardware: Vec<Hardware>,
    mtus: Vec<u32>,
    room: Room,
    /// Room for one frame of a TAP device.
    frame: Vec<u8>,
    clock: SystemClock,
    duration: Option<Duration>,
}

impl Devices {
    /// Opens the devices. Ends after `duration`, or when a signal asks for it
    /// ([`signal::catch_end`]).
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW` (`CAP_NET_ADMIN` for TAP devices), `ENODEV` when a device is not
    /// there, `EINVAL` for one that is no Ethernet or has a smaller MTU, and when there are more than
    /// [`DEVICES_MAX`].
    pub fn open(devices: &[Device], duration: Option<Duration>) -> io::Result<Self> {
        if devices.len() > DEVICES_MAX {
            let text = format!("a router has at most {DEVICES_MAX} interfaces");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut opened = Self {
            links: Vec::new(),
            hardware: Vec::new(),
            mtus: Vec::new(),
            room: Room::new(),
            frame: vec![0; OFFLOAD_LENGTH + FRAME_LENGTH_MAX],
            clock: SystemClock::start(),
            duration,
        };
        for device in devices {
            opened.add(device).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", device.name))
            })?;
        }
        Ok(opened)
    }

    fn add(&mut self, device: &Device) -> io::Result<()> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        let name = device.name.as_str();
        let interface = Interface::of(name)?;
        let link = match device.is_tap {
            true => Link::Tap(Tap::open_offloading(name)?),
            false => Link::Socket(Socket::open(name, QUEUE)?),
        };
        if device.is_tap {
            device.mtu.map_or(Ok(()), |mtu| interface.set_mtu(mtu))?;
            interface.set_up()?;
        }
        let hardware = interface.hardware()?;
        let hardware = hardware.ok_or_else(|| invalid("no Ethernet device".to_owned()))?;
        let mtu = interface.mtu()?;
        if let Some(wanted) = device.mtu.filter(|wanted| *wanted > mtu) {
            return Err(invalid(format!("its MTU is {mtu}, not {wanted}")));
        }
        self.links.push(link);
        self.hardware.push(device.hardware.unwrap_or(match device.is_tap {
            true => beside(hardware),
            false => hardware,
        }));
        self.mtus.push(device.mtu.unwrap_or(mtu));
        Ok(())
    }

    /// The router's address on each link.
    #[must_use]
    pub fn hardware(&self) -> &[Hardware] {
        &self.hardware
    }

    /// The MTU of each link, in bytes.
    #[must_use]
    pub fn mtus(&self) -> &[u32] {
        &self.mtus
    }

    /// Frames that came in and those lost because a queue was full, of each link, since the last
    /// call.
    #[must_use]
    pub fn statistics(&self) -> Vec<(u32, u32)> {
        let of = |link: &Link| match link {
            Link::Socket(socket) => socket.statistics().unwrap_or_default(),
            Link::Tap(_) => (0, 0),
        };
        self.links.iter().map(of).collect()
    }
}

/// An address for this end of a TAP device whose other end has the given one: a station's, and given by
/// nobody (IEEE 802's local bit).
fn beside(mut hardware: Hardware) -> Hardware {
    hardware[0] = hardware[0] & !1 | 2;
    hardware[5] ^= 1;
    hardware
}

impl Links for Devices {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn is_over(&self) -> bool {
        signal::end_asked() || self.duration.is_some_and(|end| self.clock.elapsed() >= end)
    }

    fn count(&self) -> usize {
        self.links.len()
    }

    fn receive(
        &mut self,
        link: usize,
        frames_max: usize,
        mut take: impl FnMut(Arrived<'_>),
    ) -> io::Result<LinkState> {
        match self.links.get(link) {
            Some(Link::Socket(socket)) => {
                match socket.receive(&mut self.room, frames_max) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NetworkDown => {
                        return Ok(LinkState::WentDown);
                    }
                    Err(error) => return Err(error),
                }
                for (received, bytes) in self.room.frames() {
                    take(Arrived { bytes, offload: received.offload, vlan: received.vlan });
                }
                Ok(LinkState::Same)
            }
            Some(Link::Tap(tap)) => {
                for _ in 0..frames_max {
                    match tap.read(&mut self.frame) {
                        Ok(Some(length)) => {
                            let read = self.frame.get(..length).unwrap_or(&[]);
                            let Some((offload, bytes)) = read.split_first_chunk() else { continue };
                            take(Arrived { bytes, offload: *offload, vlan: None });
                        }
                        Ok(None) => break,
                        // It is down, and may come up again.
                        Err(error) if error.raw_os_error() == Some(libc::EIO) => break,
                        Err(error) => return Err(error),
                    }
                }
                Ok(LinkState::Same)
            }
            None => Ok(LinkState::Same),
        }
    }

    fn wait(&mut self, time: Duration) -> io::Result<()> {
        // Up to the millisecond after, so that what is due then is due.
        let milliseconds = time.as_micros().div_ceil(1000);
        packet::wait(&self.links, i32::try_from(milliseconds).unwrap_or(i32::MAX))
    }

    fn send(&mut self, link: usize, frames: &[Frame<'_>]) -> usize {
        match self.links.get(link) {
            Some(Link::Socket(socket)) => socket.send(frames),
            Some(Link::Tap(tap)) => {
                let write = |frame: &&Frame<'_>| tap.write_parts([&frame.offload, frame.bytes]);
                frames.iter().filter(|frame| write(frame).is_ok()).count()
            }
            None => 0,
        }
    }
}

//! Packet sockets (packet(7)): whole frames in and out of a device, with the state of their
//! checksums and segmentation (`PACKET_VNET_HDR`) and their VLAN tag (`PACKET_AUXDATA`).

use std::ffi::CString;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Frames that one [`Socket::receive`] takes, or one [`Socket::send`] gives, at most.
pub const FRAMES_MAX: usize = 64;

/// Longest frame in bytes: a segmented packet of 64 KiB and its link header.
pub const FRAME_LENGTH_MAX: usize = 65_536 + 64;

/// Bytes of `struct virtio_net_hdr`.
pub const OFFLOAD_LENGTH: usize = 10;

// From <linux/if_packet.h>.
const PACKET_ADD_MEMBERSHIP: i32 = 1;
const PACKET_STATISTICS: i32 = 6;
const PACKET_AUXDATA: i32 = 8;
const PACKET_VNET_HDR: i32 = 15;
const PACKET_IGNORE_OUTGOING: i32 = 23;
const PACKET_MR_PROMISC: u16 = 1;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;

#[repr(C)]
struct Membership {
    interface: i32,
    kind: u16,
    address_length: u16,
    address: [u8; 8],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Auxiliary {
    status: u32,
    length: u32,
    captured_length: u32,
    mac: u16,
    net: u16,
    vlan_tag: u16,
    vlan_protocol: u16,
}

/// A packet socket bound to one device.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

/// Room for the frames that one call takes.
pub struct Room {
    frames: Vec<u8>,
    control: Vec<[u64; 8]>,
    received: Vec<Received>,
}

/// One frame that came in.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Its bytes in the room.
    start: usize,
    length: usize,
    /// `struct virtio_net_hdr`.
    pub offload: [u8; OFFLOAD_LENGTH],
    /// The outermost VLAN tag, which the kernel has taken out of the frame: protocol and tag.
    pub vlan: Option<(u16, u16)>,
}

/// One frame to send.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// `struct virtio_net_hdr`.
    pub offload: [u8; OFFLOAD_LENGTH],
    /// From the link header on.
    pub bytes: &'a [u8],
}

impl Room {
    /// Room for [`FRAMES_MAX`] frames.
    #[must_use]
    pub fn new() -> Self {
        Self {
            frames: vec![0; FRAMES_MAX * (OFFLOAD_LENGTH + FRAME_LENGTH_MAX)],
            control: vec![[0; 8]; FRAMES_MAX],
            received: Vec::with_capacity(FRAMES_MAX),
        }
    }

    /// What the last call took: the frames and what the kernel says of them.
    pub fn frames(&self) -> impl Iterator<Item = (&Received, &[u8])> {
        self.received.iter().map(|received| {
            let range = received.start..received.start + received.length;
            (received, self.frames.get(range).unwrap_or(&[]))
        })
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("received", &self.received).finish_non_exhaustive()
    }
}

impl Socket {
    /// A socket that sees every frame that comes in on the device, in promiscuous mode, and none
    /// that leaves it. `queue`: bytes of its queues, as far as privilege allows.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` when there is no such device.
    pub fn open(device: &str, queue: i32) -> io::Result<Self> {
        let name = CString::new(device).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: `name` ends in NUL and lives for the call.
        let interface = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if interface == 0 {
            return Err(io::Error::last_os_error());
        }
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // Protocol 0: nothing is queued before everything is set and the socket is bound.
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let socket = Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } };
        socket.set(libc::SOL_PACKET, PACKET_VNET_HDR, &1_i32)?;
        socket.set(libc::SOL_PACKET, PACKET_AUXDATA, &1_i32)?;
        socket.set(libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1_i32)?;
        for (forced, plain) in
            [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
        {
            if socket.set(libc::SOL_SOCKET, forced, &queue).is_err() {
                socket.set(libc::SOL_SOCKET, plain, &queue)?;
            }
        }
        let membership = Membership {
            interface: interface as i32,
            kind: PACKET_MR_PROMISC,
            address_length: 0,
            address: [0; 8],
        };
        socket.set(libc::SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership)?;
        socket.bind(interface)?;
        Ok(socket)
    }

    fn bind(&self, interface: u32) -> io::Result<()> {
        // SAFETY: all-zero bytes are a valid `sockaddr_ll`.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = interface as i32;
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address lives for the call and `length` is its size.
        match unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), length) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn set<T>(&self, level: i32, name: i32, value: &T) -> io::Result<()> {
        let length = size_of::<T>() as libc::socklen_t;
        let value: *const T = value;
        // SAFETY: `value` points to `length` bytes that live for the call.
        match unsafe { libc::setsockopt(self.fd.as_raw_fd(), level, name, value.cast(), length) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Takes up to `frames_max` frames that are there into `room`; how many.
    ///
    /// # Errors
    /// Those of recvmmsg(2), but none when nothing is there.
    pub fn receive(&self, room: &mut Room, frames_max: usize) -> io::Result<usize> {
        const SLOT: usize = OFFLOAD_LENGTH + FRAME_LENGTH_MAX;
        room.received.clear();
        let count = frames_max.min(FRAMES_MAX);
        // SAFETY: all-zero bytes are valid `iovec`s and `mmsghdr`s.
        let mut vectors: [libc::iovec; FRAMES_MAX] = unsafe { zeroed() };
        let mut messages: [libc::mmsghdr; FRAMES_MAX] = unsafe { zeroed() };
        let slots = room.frames.chunks_exact_mut(SLOT).zip(&mut room.control);
        for ((vector, message), (frame, control)) in
            vectors.iter_mut().zip(&mut messages).zip(slots).take(count)
        {
            vector.iov_base = frame.as_mut_ptr().cast();
            vector.iov_len = frame.len();
            message.msg_hdr.msg_iov = vector;
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_control = control.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = size_of_val(control);
        }
        // SAFETY: each of the first `count` messages points to a vector, a frame and a control
        // buffer of its own, which outlive the call; no timeout is given.
        let taken = unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                messages.as_mut_ptr(),
                count as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if taken < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) };
        }
        for (number, message) in messages.iter().take(taken as usize).enumerate() {
            let start = number * SLOT;
            let length = (message.msg_len as usize).saturating_sub(OFFLOAD_LENGTH);
            let head = room.frames.get(start..).and_then(<[u8]>::first_chunk);
            let truncated = message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            if let Some(offload) = head.filter(|_| !truncated) {
                room.received.push(Received {
                    start: start + OFFLOAD_LENGTH,
                    length,
                    offload: *offload,
                    vlan: vlan(&message.msg_hdr),
                });
            }
        }
        Ok(room.received.len())
    }

    /// Sends frames in order; how many the device took. The others, which did not fit into its
    /// queue or which it refuses, are lost, as on any wire.
    pub fn send(&self, frames: &[Frame<'_>]) -> usize {
        let mut sent = 0;
        let mut rest = frames;
        while !rest.is_empty() {
            let taken = self.send_some(rest);
            sent += taken;
            // The first one that was not taken is at fault: on with those behind it.
            rest = rest.get(taken.max(1)..).unwrap_or(&[]);
        }
        sent
    }

    fn send_some(&self, frames: &[Frame<'_>]) -> usize {
        // SAFETY: all-zero bytes are valid `iovec`s and `mmsghdr`s.
        let mut vectors: [[libc::iovec; 2]; FRAMES_MAX] = unsafe { zeroed() };
        let mut messages: [libc::mmsghdr; FRAMES_MAX] = unsafe { zeroed() };
        let count = frames.len().min(FRAMES_MAX);
        for ((pair, message), frame) in vectors.iter_mut().zip(&mut messages).zip(frames) {
            for (vector, bytes) in pair.iter_mut().zip([&frame.offload[..], frame.bytes]) {
                vector.iov_base = bytes.as_ptr().cast_mut().cast();
                vector.iov_len = bytes.len();
            }
            message.msg_hdr.msg_iov = pair.as_mut_ptr();
            message.msg_hdr.msg_iovlen = 2;
        }
        // SAFETY: each of the first `count` messages points to two vectors over bytes that outlive
        // the call; sendmmsg(2) only reads them.
        let taken =
            unsafe { libc::sendmmsg(self.fd.as_raw_fd(), messages.as_mut_ptr(), count as u32, 0) };
        usize::try_from(taken).unwrap_or(0)
    }

    /// Frames that came in, and those of them that were lost because the queue was full, since the
    /// last call.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn statistics(&self) -> io::Result<(u32, u32)> {
        let mut counts = [0_u32; 2];
        let mut length = size_of_val(&counts) as libc::socklen_t;
        // SAFETY: `counts` has `length` bytes and both live for the call.
        let result = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_STATISTICS,
                counts.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        match result {
            0 => Ok((counts[0], counts[1])),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// The VLAN tag in a message's control data.
fn vlan(header: &libc::msghdr) -> Option<(u16, u16)> {
    // SAFETY: the kernel has filled `msg_control` up to `msg_controllen`; the macros stay inside.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: not null, so it points to a whole `cmsghdr` in the control buffer.
        let found = unsafe { *control };
        let wanted = found.cmsg_level == libc::SOL_PACKET && found.cmsg_type == PACKET_AUXDATA;
        // SAFETY: takes no pointers.
        let whole = unsafe { libc::CMSG_LEN(size_of::<Auxiliary>() as u32) } as usize;
        if wanted && found.cmsg_len >= whole {
            // SAFETY: the data behind the header has the size of an `Auxiliary`, any bytes of
            // which are valid.
            let auxiliary: Auxiliary =
                unsafe { libc::CMSG_DATA(control).cast::<Auxiliary>().read_unaligned() };
            if auxiliary.status & TP_STATUS_VLAN_VALID == 0 {
                return None;
            }
            let protocol = match auxiliary.status & TP_STATUS_VLAN_TPID_VALID {
                0 => libc::ETH_P_8021Q as u16,
                _ => auxiliary.vlan_protocol,
            };
            return Some((protocol, auxiliary.vlan_tag));
        }
        // SAFETY: as above.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    None
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Most devices that [`wait`] looks at.
pub const DEVICES_MAX: usize = 64;

/// Waits until one of the devices has a frame, for at most `milliseconds`; those beyond
/// [`DEVICES_MAX`] are not looked at.
///
/// # Errors
/// Those of poll(2); a signal is none.
pub fn wait<D: AsFd>(devices: &[D], milliseconds: i32) -> io::Result<()> {
    let mut descriptors = [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; DEVICES_MAX];
    for (descriptor, device) in descriptors.iter_mut().zip(devices) {
        descriptor.fd = device.as_fd().as_raw_fd();
    }
    let count = devices.len().min(DEVICES_MAX) as libc::nfds_t;
    // SAFETY: `count` descriptors that live for the call.
    match unsafe { libc::poll(descriptors.as_mut_ptr(), count, milliseconds) } {
        0.. => Ok(()),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        },
    }
}

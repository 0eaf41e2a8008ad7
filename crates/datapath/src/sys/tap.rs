//! TAP devices (the kernel's `tuntap.rst`): Ethernet frames through a file descriptor. Writing a
//! frame runs the kernel's whole receive path inside the call.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

/// A TAP device, not blocking; it goes when this is dropped.
#[derive(Debug)]
pub struct Tap {
    file: File,
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Tap {
    /// Makes the device `name` (at most 15 bytes) in the calling thread's network namespace.
    ///
    /// # Errors
    /// Without `/dev/net/tun`, without privilege, or when the name is taken or too long.
    pub fn open(name: &str) -> io::Result<Self> {
        Self::open_as(name, libc::IFF_TAP | libc::IFF_NO_PI)
    }

    /// The same, but a `struct virtio_net_hdr` stands before each frame that is read or written, and
    /// checksums and segmentation are left to whoever reads.
    ///
    /// # Errors
    /// As [`Tap::open`].
    pub fn open_offloading(name: &str) -> io::Result<Self> {
        // From <linux/if_tun.h>: TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6.
        const OFFLOADS: libc::c_ulong = 1 | 2 | 4;
        let tap = Self::open_as(name, libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR)?;
        // SAFETY: `TUNSETOFFLOAD` takes a number.
        match unsafe { libc::ioctl(tap.file.as_raw_fd(), libc::TUNSETOFFLOAD, OFFLOADS) } {
            0 => Ok(tap),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn open_as(name: &str, flags: i32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")?;
        // SAFETY: all-zero bytes are a valid `ifreq`.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        if name.len() >= request.ifr_name.len() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        // SAFETY: `TUNSETIFF` reads and writes one `ifreq`, which lives for the whole call.
        match unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } {
            0 => Ok(Self { file }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Hands a frame to the kernel as if it had come in on the device.
    ///
    /// # Errors
    /// `EINVAL` when it is shorter than an Ethernet header, `EIO` when the device is down.
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        (&self.file).write(frame).map(|_| ())
    }

    /// The same for a frame in two parts, the first of which is a `struct virtio_net_hdr`.
    ///
    /// # Errors
    /// As [`Tap::write`].
    pub fn write_parts(&self, parts: [&[u8]; 2]) -> io::Result<()> {
        (&self.file).write_vectored(&parts.map(io::IoSlice::new)).map(|_| ())
    }

    /// Takes the oldest frame that the kernel sent out of the device; `None` when there is none.
    ///
    /// # Errors
    /// Any other than `EAGAIN`.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.file).read(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

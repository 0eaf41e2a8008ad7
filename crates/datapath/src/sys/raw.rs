//! Raw sockets (raw(7)): whole IP packets that the host itself sends.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Sends packets of both families, from the IP header on.
#[derive(Debug)]
pub struct Sender {
    v4: OwnedFd,
    v6: OwnedFd,
}

impl Sender {
    /// Sends in the calling thread's network namespace.
    ///
    /// # Errors
    /// `EPERM` without the right to.
    pub fn open() -> io::Result<Self> {
        Ok(Self { v4: open(libc::AF_INET)?, v6: open(libc::AF_INET6)? })
    }

    /// Sends a packet to where its header says.
    ///
    /// # Errors
    /// `EPERM` where netfilter drops it, `EMSGSIZE` for one longer than the way out takes, `ENETUNREACH`.
    pub fn send(&self, destination: IpAddr, packet: &[u8]) -> io::Result<()> {
        // SAFETY: all-zero bytes are a valid `sockaddr_storage`.
        let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
        let (socket, length) = match destination {
            IpAddr::V4(address) => {
                // SAFETY: `storage` is as large and as aligned as any socket address.
                let to = unsafe { &mut *(&raw mut storage).cast::<libc::sockaddr_in>() };
                to.sin_family = libc::AF_INET as libc::sa_family_t;
                to.sin_addr.s_addr = u32::from_ne_bytes(address.octets());
                (&self.v4, size_of::<libc::sockaddr_in>())
            }
            IpAddr::V6(address) => {
                // SAFETY: as above.
                let to = unsafe { &mut *(&raw mut storage).cast::<libc::sockaddr_in6>() };
                to.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                to.sin6_addr.s6_addr = address.octets();
                (&self.v6, size_of::<libc::sockaddr_in6>())
            }
        };
        // SAFETY: packet and address are valid for as many bytes as is said.
        let sent = unsafe {
            libc::sendto(
                socket.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                libc::MSG_DONTWAIT,
                (&raw const storage).cast(),
                length as libc::socklen_t,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// A socket that takes the IP header with the packet, and receives nothing.
fn open(family: i32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(family, kind, libc::IPPROTO_RAW) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was just opened and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

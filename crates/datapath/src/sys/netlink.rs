//! Netlink sockets (netlink(7)): raw messages out and in.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Messages that one [`Socket::receive_many`] takes at most.
pub const RECEIVE_MAX: usize = 32;

/// `NETLINK_NETFILTER`.
pub const NETFILTER: i32 = libc::NETLINK_NETFILTER;

/// A bound netlink socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// A socket of `protocol` in the calling thread's network namespace, with a receive queue of
    /// `queue` bytes (as far as privilege allows).
    ///
    /// # Errors
    /// When the protocol is not there, or without descriptors.
    pub fn open(protocol: i32, queue: u32) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let socket = Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } };
        // SAFETY: all-zero bytes are a valid `sockaddr_nl`.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        let length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: the address lives for the call and `length` is its size.
        if unsafe { libc::bind(fd, (&raw const address).cast(), length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        if socket.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, queue).is_err() {
            socket.set(libc::SOL_SOCKET, libc::SO_RCVBUF, queue)?;
        }
        Ok(socket)
    }

    /// Joins multicast group number `group`.
    ///
    /// # Errors
    /// When the protocol has no such group.
    pub fn join(&self, group: u32) -> io::Result<()> {
        self.set(libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, group)
    }

    fn set(&self, level: i32, name: i32, value: u32) -> io::Result<()> {
        let length = size_of::<u32>() as libc::socklen_t;
        let value = (&raw const value).cast();
        // SAFETY: `value` points to four bytes that live for the call.
        match unsafe { libc::setsockopt(self.fd.as_raw_fd(), level, name, value, length) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Sends one message to the kernel.
    ///
    /// # Errors
    /// Those of send(2).
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        // SAFETY: pointer and length are those of a live slice.
        let sent =
            unsafe { libc::send(self.fd.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits for one datagram; a longer one than `buffer` is cut.
    ///
    /// # Errors
    /// Those of recv(2); `ENOBUFS` when the queue has run over.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (pointer, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: pointer and length are those of a live, exclusively borrowed slice.
        let received = unsafe { libc::recv(self.fd.as_raw_fd(), pointer, length, 0) };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// Takes what is queued without waiting: at most [`RECEIVE_MAX`] datagrams, each into its own
    /// `slot` bytes of `buffer`, its length into `lengths`. Returns how many.
    ///
    /// # Errors
    /// Those of recvmmsg(2) other than `EAGAIN`; `ENOBUFS` when the queue has run over.
    pub fn receive_many(
        &self,
        buffer: &mut [u8],
        slot: usize,
        lengths: &mut [usize; RECEIVE_MAX],
    ) -> io::Result<usize> {
        // SAFETY: all-zero bytes are valid `iovec`s and `mmsghdr`s.
        let mut vectors: [libc::iovec; RECEIVE_MAX] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; RECEIVE_MAX] = unsafe { std::mem::zeroed() };
        let mut count = 0;
        for ((vector, header), chunk) in
            vectors.iter_mut().zip(&mut headers).zip(buffer.chunks_exact_mut(slot.max(1)))
        {
            vector.iov_base = chunk.as_mut_ptr().cast();
            vector.iov_len = chunk.len();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            count += 1;
        }
        // SAFETY: the first `count` headers point to vectors that point to disjoint chunks of
        // `buffer`; all of them outlive the call.
        let received = unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(received) = usize::try_from(received) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) };
        };
        for (length, header) in lengths.iter_mut().zip(&headers).take(received) {
            *length = header.msg_len as usize;
        }
        Ok(received)
    }
}

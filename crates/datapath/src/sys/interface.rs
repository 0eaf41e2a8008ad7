//! What the kernel says of its network devices (netdevice(7)).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Asks about one device.
#[derive(Debug)]
pub struct Interface {
    socket: OwnedFd,
    request: libc::ifreq,
}

impl Interface {
    /// The device of this name in the calling thread's network namespace, whether it is there or not.
    ///
    /// # Errors
    /// `EINVAL` when no device can have the name.
    pub fn of(name: &str) -> io::Result<Self> {
        // SAFETY: all-zero bytes are a valid `ifreq`.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        if name.len() >= request.ifr_name.len() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        Ok(Self { socket: unsafe { OwnedFd::from_raw_fd(fd) }, request })
    }

    fn ask(&self, what: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
        // SAFETY: each request used here reads and writes one `ifreq`, which lives for the call.
        match unsafe { libc::ioctl(self.socket.as_raw_fd(), what, std::ptr::from_mut(request)) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Its Ethernet address; `None` for a device that is no Ethernet.
    ///
    /// # Errors
    /// `ENODEV` when it is not there.
    pub fn hardware(&self) -> io::Result<Option<[u8; 6]>> {
        let mut request = self.request;
        self.ask(libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: the kernel has written a `sockaddr`, any bytes of which are valid.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr };
        let is_ethernet = address.sa_family == libc::ARPHRD_ETHER;
        let octets = address.sa_data.first_chunk::<6>().map(|o| o.map(|c| c.cast_unsigned()));
        Ok(octets.filter(|_| is_ethernet))
    }

    /// Its MTU in bytes.
    ///
    /// # Errors
    /// `ENODEV` when it is not there.
    pub fn mtu(&self) -> io::Result<u32> {
        let mut request = self.request;
        self.ask(libc::SIOCGIFMTU, &mut request)?;
        // SAFETY: the kernel has written a number.
        Ok(unsafe { request.ifr_ifru.ifru_mtu }.cast_unsigned())
    }

    /// Sets its MTU in bytes.
    ///
    /// # Errors
    /// `EPERM`, `EINVAL` for one that the device does not take.
    pub fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        let mut request = self.request;
        request.ifr_ifru.ifru_mtu = i32::try_from(mtu).unwrap_or(i32::MAX);
        self.ask(libc::SIOCSIFMTU, &mut request)
    }

    /// Brings it up.
    ///
    /// # Errors
    /// `EPERM`, `ENODEV`.
    pub fn set_up(&self) -> io::Result<()> {
        let mut request = self.request;
        self.ask(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: the kernel has written the flags.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
        self.ask(libc::SIOCSIFFLAGS, &mut request)
    }
}

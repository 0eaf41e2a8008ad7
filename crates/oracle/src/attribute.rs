//! Netlink messages and attributes (netlink(7)): a bounded reader that stops at the first thing
//! that does not fit, and a writer.

/// Length of `nlmsghdr`.
const HEADER: usize = 16;
/// Length of `nlmsghdr` and `nfgenmsg`.
pub(crate) const PREAMBLE: usize = 20;
/// The upper two bits of an attribute's type are flags.
const TYPE_MASK: u16 = 0x3fff;
/// Set on attributes that hold attributes.
const NESTED: u16 = 0x8000;

/// One message of subsystem `kind >> 8`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    /// After `nlmsghdr`.
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The attributes behind `nfgenmsg`.
    pub(crate) fn attributes(&self) -> Attributes<'a> {
        Attributes(self.body.get(PREAMBLE - HEADER..).unwrap_or(&[]))
    }

    /// The error number of `NLMSG_ERROR`.
    pub(crate) fn error(&self) -> Option<i32> {
        (self.kind == 2).then(|| -self.body.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b)))
    }
}

/// The messages of one datagram.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let header = self.0.first_chunk::<HEADER>()?;
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let body = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        Some(Message { kind: half(4), flags: half(6), body })
    }
}

/// Attributes side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = self.0.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((u16::from_ne_bytes([header[2], header[3]]) & TYPE_MASK, value))
    }
}

/// A number in network byte order.
pub(crate) fn be16(value: &[u8]) -> u16 {
    value.first_chunk().map_or(0, |b| u16::from_be_bytes(*b))
}

/// A number in network byte order.
pub(crate) fn be32(value: &[u8]) -> u32 {
    value.first_chunk().map_or(0, |b| u32::from_be_bytes(*b))
}

/// A number in network byte order.
pub(crate) fn be64(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |b| u64::from_be_bytes(*b))
}

/// Text up to its NUL.
pub(crate) fn text(value: &[u8]) -> &str {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).unwrap_or("")
}

/// Writes one message.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Begins a message: type, flags (`NLM_F_*`), family, resource (`res_id`, host order).
    pub(crate) fn new(kind: u16, flags: u16, family: u8, resource: u16) -> Self {
        let mut bytes = vec![0; PREAMBLE];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes[16] = family;
        bytes[18..20].copy_from_slice(&resource.to_be_bytes());
        Self(bytes)
    }

    /// Appends an attribute.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// Appends an attribute that holds what `inside` writes.
    pub(crate) fn nested(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) {
        let at = self.0.len();
        self.attribute(kind | NESTED, &[]);
        inside(self);
        let length = u16::try_from(self.0.len() - at).unwrap_or(u16::MAX);
        self.0[at..at + 2].copy_from_slice(&length.to_ne_bytes());
    }

    /// The finished message.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

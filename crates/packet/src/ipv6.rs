//! IPv6 (RFC 8200).

use crate::{Malformed, Parsed};

/// Most extension headers that are followed before a packet counts as malformed.
pub const EXTENSION_HEADERS_MAX: usize = 64;

pub(crate) fn parse(_bytes: &[u8]) -> Result<Parsed, Malformed> {
    Err(Malformed::Short)
}

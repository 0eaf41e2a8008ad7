//! IPv4 (RFC 791).

use crate::{Malformed, Parsed};

pub(crate) fn parse(_bytes: &[u8]) -> Result<Parsed, Malformed> {
    Err(Malformed::Short)
}

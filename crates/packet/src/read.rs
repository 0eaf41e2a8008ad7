//! Fixed-size reads. On a fixed-size header at a constant offset the compiler drops the check and
//! the default; elsewhere the caller sees `None`.

/// `N` octets at `at`.
#[inline(always)]
pub(crate) fn octets<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// The big-endian 16 bits at `at`.
#[inline(always)]
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    octets(bytes, at).map(u16::from_be_bytes)
}

/// The big-endian 32 bits at `at`.
#[inline(always)]
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    octets(bytes, at).map(u32::from_be_bytes)
}

/// As [`octets`] from a header known to reach there.
#[inline(always)]
pub(crate) fn field<const N: usize, const H: usize>(header: &[u8; H], at: usize) -> [u8; N] {
    octets(header, at).unwrap_or([0; N])
}

//! The Internet checksum (RFC 1071): verified, computed, updated incrementally (RFC 1624).

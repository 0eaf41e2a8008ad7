//! GRE (RFC 2784, RFC 2890) and its version 1 (RFC 2637).

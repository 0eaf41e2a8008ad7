//! Expectations: connections that a helper has announced.

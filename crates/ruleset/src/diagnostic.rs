//! Faults of a file, each with its place.

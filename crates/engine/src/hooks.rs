//! The stages of the hooks, by priority.

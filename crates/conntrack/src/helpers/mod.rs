//! Conntrack helpers: they read what a connection says and announce the connections it asks for.

//! Conntrack helpers: they read what a connection says and announce the connections it asks for.

/// Index of a helper by its name (`-j CT --helper NAME`), for
/// [`Template::helper`](crate::table::Template::helper); `None` when there is no such helper.
#[must_use]
pub fn index_of(name: &str) -> Option<u16> {
    (name == "ftp").then_some(0)
}

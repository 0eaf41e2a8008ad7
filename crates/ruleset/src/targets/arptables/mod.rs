//! The targets of arptables, one a file.

pub mod classify;
pub mod mangle;
pub mod mark;

use crate::extension::Extension;
use crate::targets::Target;
use alloc::boxed::Box;

/// Every target of arptables but ACCEPT, DROP and RETURN.
pub const TARGETS: &[Extension<Box<dyn Target>>] =
    &[classify::EXTENSION, mangle::EXTENSION, mark::EXTENSION];

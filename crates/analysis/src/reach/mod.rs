//! Who can open what to whom: the service matrix by address classes, one question, spoofing protection.
//!
//! [`sets`] follows the first packets of connections through all tables and says which of them pass; [`classes`]
//! reads the coarsest partition of addresses off those sets; [`matrix`] asks pair by pair, and shows each open one
//! with a packet ([`witness`]) that the engine is asked about (`confirm`).

mod answer;
pub mod around;
pub mod classes;
mod confirm;
pub mod ends;
pub mod matrix;
mod parts;
pub mod service;
pub mod services;
pub mod sets;
pub mod spoof;
mod text;
pub mod witness;

pub use answer::{Answer, Question, Unanswered};
pub use around::{Around, Toward};
pub use matrix::{Open, Shown};
pub use parts::in_parts;
pub use service::Service;
pub use sets::{Opener, Reach};
pub use text::render;

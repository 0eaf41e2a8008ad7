//! Deadlines, stored and compared; nothing runs by itself.

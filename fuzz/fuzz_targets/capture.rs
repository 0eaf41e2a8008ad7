//! Any bytes as a capture file: no panic, no hang, every frame inside the input.
#![no_main]

use keepstate_datapath::pcap::Capture;
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

/// gzip can say a lot with little: more frames than this end the run, as a caller's limit would.
const FRAMES_MAX: usize = 10_000;

fuzz_target!(|data: &[u8]| {
    let Ok(mut capture) = Capture::new(Cursor::new(data.to_vec())) else { return };
    let mut count = 0;
    while capture.next_frame().is_some() && count < FRAMES_MAX {
        count += 1;
    }
});

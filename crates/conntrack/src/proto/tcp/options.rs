//! TCP options: the three that tracking reads.

use super::Peer;
use super::window::{SCALE_MAX, past};

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;

/// NOP, NOP, timestamps: what nearly every segment of a modern connection carries, and nothing to
/// read in it.
const TIMESTAMPS_ALONE: [u8; 4] = [NO_OPERATION, NO_OPERATION, 8, 10];
const TIMESTAMPS_ALONE_LENGTH: usize = 12;

/// The options one by one as kind and contents; ends at the end mark and at the first option that
/// is cut or has an impossible length.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&kind, rest) = self.0.split_first()?;
            match kind {
                END => return None,
                NO_OPERATION => self.0 = rest,
                _ => {
                    let length = usize::from(*rest.first()?);
                    let contents = self.0.get(2..length)?;
                    self.0 = self.0.get(length..)?;
                    return Some((kind, contents));
                }
            }
        }
    }
}

/// What a SYN or SYN-ACK negotiates: its window scale, and [`Peer::WINDOW_SCALE`] and
/// [`Peer::SACK_PERMITTED`] as far as offered.
pub(super) fn negotiated(options: &[u8]) -> (u8, u8) {
    let (mut scale, mut flags) = (0, 0);
    for option in Options(options) {
        match option {
            (SACK_PERMITTED, []) => flags |= Peer::SACK_PERMITTED,
            (WINDOW_SCALE, &[shift]) => {
                scale = shift.min(SCALE_MAX);
                flags |= Peer::WINDOW_SCALE;
            }
            _ => {}
        }
    }
    (scale, flags)
}

/// The highest sequence number acknowledged: `ack`, or the highest right edge of the first sound
/// SACK option if that is beyond.
#[inline]
pub(super) fn highest_acknowledged(options: &[u8], ack: u32) -> u32 {
    let stamps = options.len() == TIMESTAMPS_ALONE_LENGTH
        && options.first_chunk::<4>() == Some(&TIMESTAMPS_ALONE);
    if options.is_empty() || stamps {
        return ack;
    }
    highest_edge(options, ack)
}

fn highest_edge(options: &[u8], ack: u32) -> u32 {
    let blocks = Options(options).find_map(|(kind, contents)| {
        (kind == SACK && !contents.is_empty() && contents.len() % 8 == 0).then_some(contents)
    });
    let edges = blocks.unwrap_or(&[]).chunks_exact(8).filter_map(|block| match block {
        &[_, _, _, _, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
    });
    edges.fold(ack, |highest, edge| if past(edge, highest).is_some() { edge } else { highest })
}

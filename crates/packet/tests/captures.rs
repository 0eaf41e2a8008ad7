//! Every frame of the captures in the shared test material, when it is there: as many frames have to
//! be skipped as its index says, and nothing panics.

use keepstate_packet::tcp::TcpOptions;
use keepstate_packet::{LinkType, Parsed, Quoted, Skipped, checksum, network_packet};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A frame: link type, bytes captured, bytes on the wire.
type Frame = (LinkType, Vec<u8>, u32);

#[test]
fn frames_count_as_the_index_says() {
    let Some(captures) = captures() else {
        eprintln!("skipped: no shared test material");
        return;
    };
    let index = std::fs::read_to_string(captures.join("INDEX.tsv")).unwrap();
    let mut wrong = Vec::new();
    for line in index.lines().skip(1) {
        let fields: Vec<_> = line.split('\t').collect();
        let count = count(&captures.join(fields[0]));
        // The index was made by a reader that does not look under MPLS.
        let skipped = count.frames - count.packets + count.under_mpls + count.cut_short;
        let judged = number_after(fields[11], "\"skipped\": ").unwrap_or(0);
        if (count.frames.to_string(), skipped as u64) != (fields[5].to_owned(), judged) {
            let frames = count.frames;
            let why = count.skipped;
            wrong.push(format!("{}: {frames} frames, {skipped} skipped: {why:?}", fields[0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[derive(Default)]
struct Count {
    frames: usize,
    packets: usize,
    under_mpls: usize,
    cut_short: usize,
    skipped: BTreeMap<String, usize>,
}

fn count(path: &Path) -> Count {
    let mut count = Count::default();
    for (link_type, frame, original) in frames(path) {
        count.frames += 1;
        match network_packet(link_type, &frame) {
            Ok(found) => {
                count.packets += 1;
                count.under_mpls += usize::from(is_mpls(link_type, &frame));
                let cut = found.cut_short(frame.len() as u32, original);
                count.cut_short += usize::from(cut.is_some());
                read_all(found.bytes);
            }
            Err(skipped) => *count.skipped.entry(reason(skipped)).or_default() += 1,
        }
    }
    count
}

fn reason(skipped: Skipped) -> String {
    let text = skipped.to_string();
    text.split(" (").next().unwrap_or_default().to_owned()
}

fn is_mpls(link_type: LinkType, frame: &[u8]) -> bool {
    let tagged = |at| frame.get(at..at + 2) == Some(&[0x88, 0x47]);
    link_type == LinkType::ETHERNET && (tagged(12) || frame[12] == 0x81 && tagged(16))
}

/// Everything that reads a packet.
fn read_all(bytes: &[u8]) {
    let Ok(parsed) = Parsed::new(bytes) else { return };
    assert!(parsed.l4_offset <= parsed.length && parsed.length as usize <= bytes.len());
    let _ = (checksum::verify(&parsed, bytes), TcpOptions::of(&parsed, bytes).count());
    let _ = Quoted::of(&parsed, bytes);
}

/// The directory beside the project's root, or beside a directory that holds it.
fn captures() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let candidates = root.ancestors().skip(1).map(|parent| parent.join("shared/captures"));
    candidates.into_iter().find(|captures| captures.join("INDEX.tsv").is_file())
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    let rest = &text[text.find(key)? + key.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The frames of a pcap or pcapng file as far as it goes.
fn frames(path: &Path) -> Vec<Frame> {
    let mut bytes = std::fs::read(path).unwrap();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
        bytes = plain;
    }
    match bytes.get(..4) {
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => pcapng(&bytes),
        Some([0xa1, ..]) => pcap(&bytes, u32::from_be_bytes),
        _ => pcap(&bytes, u32::from_le_bytes),
    }
}

fn word(bytes: &[u8], at: usize, order: fn([u8; 4]) -> u32) -> Option<u32> {
    Some(order(*bytes.get(at..)?.first_chunk()?))
}

fn pcap(bytes: &[u8], order: fn([u8; 4]) -> u32) -> Vec<Frame> {
    let modified = matches!(bytes[..4], [0x34, 0xcd, 0xb2, 0xa1]);
    let header = if modified { 24 } else { 16 };
    let link_type = LinkType(word(bytes, 20, order).unwrap_or(0) as u16);
    let mut frames = Vec::new();
    let mut at = 24;
    while let (Some(captured), Some(original)) =
        (word(bytes, at + 8, order), word(bytes, at + 12, order))
    {
        let Some(frame) = bytes.get(at + header..at + header + captured as usize) else { break };
        frames.push((link_type, frame.to_vec(), original));
        at += header + captured as usize;
    }
    frames
}

fn pcapng(bytes: &[u8]) -> Vec<Frame> {
    let mut order: fn([u8; 4]) -> u32 = u32::from_le_bytes;
    let (mut frames, mut interfaces, mut at) = (Vec::new(), Vec::new(), 0);
    while at + 12 <= bytes.len() {
        if bytes[at..at + 4] == [0x0a, 0x0d, 0x0d, 0x0a] {
            let little = bytes[at + 8] == 0x4d;
            order = if little { u32::from_le_bytes } else { u32::from_be_bytes };
            interfaces.clear();
        }
        let (Some(kind), Some(length)) = (word(bytes, at, order), word(bytes, at + 4, order))
        else {
            break;
        };
        let end = at + length as usize;
        if length < 12 || end > bytes.len() {
            break;
        }
        let block = &bytes[at + 8..end - 4];
        match kind {
            1 => interfaces.push(LinkType(word(block, 0, order).unwrap_or(0) as u16)),
            6 => frames.extend(enhanced(block, order, &interfaces)),
            3 => {
                let original = word(block, 0, order).unwrap_or(0);
                let captured = (original as usize).min(block.len() - 4);
                frames.push((interfaces[0], block[4..4 + captured].to_vec(), original));
            }
            _ => {}
        }
        at = end;
    }
    frames
}

fn enhanced(block: &[u8], order: fn([u8; 4]) -> u32, interfaces: &[LinkType]) -> Option<Frame> {
    let link_type = interfaces.get(word(block, 0, order)? as usize)?;
    let (captured, original) = (word(block, 12, order)?, word(block, 16, order)?);
    Some((*link_type, block.get(20..20 + captured as usize)?.to_vec(), original))
}

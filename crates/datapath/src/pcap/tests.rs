use super::*;

fn pcap(magic: [u8; 4], big_endian: bool, extra: usize, packets: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let word = |v: u32| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
    let mut file = magic.to_vec();
    file.extend([0; 16]);
    file.extend(word(1 | 0x1000_0000));
    for (seconds, ticks, bytes) in packets {
        for field in [*seconds, *ticks, bytes.len() as u32, bytes.len() as u32 + 1] {
            file.extend(word(field));
        }
        file.extend(vec![0; extra]);
        file.extend(*bytes);
    }
    file
}

/// Time, link type and bytes.
type Frame = (u64, u16, Vec<u8>);

fn read(bytes: Vec<u8>) -> (Vec<Frame>, Option<Fault>) {
    let mut capture = Capture::new(io::Cursor::new(bytes)).expect("a capture");
    let mut frames = Vec::new();
    while let Some(frame) = capture.next_frame() {
        frames.push((frame.time.0, frame.link_type.0, frame.bytes.to_vec()));
    }
    (frames, capture.fault().cloned())
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [code.to_le_bytes(), (value.len() as u16).to_le_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (body.len().next_multiple_of(4) + 12) as u32;
    let mut bytes = [kind.to_le_bytes(), length.to_le_bytes()].concat();
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(length.to_le_bytes());
    bytes
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]))
}

fn interface(link_type: u32, options: &[Vec<u8>]) -> Vec<u8> {
    block(1, &[words(&[link_type, 0]), options.concat()].concat())
}

fn enhanced(interface: u32, ticks: u64, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u32;
    let head = words(&[interface, (ticks >> 32) as u32, ticks as u32, length, length]);
    block(6, &[&head, bytes].concat())
}

#[test]
fn every_variant_of_pcap_gives_the_same_packets() {
    let packets: [(u32, u32, &[u8]); 2] = [(1_700_000_000, 5, b"ab"), (1_700_000_001, 6, b"")];
    let variants = [
        ([0xd4, 0xc3, 0xb2, 0xa1], false, 0, 1000),
        ([0xa1, 0xb2, 0xc3, 0xd4], true, 0, 1000),
        ([0x4d, 0x3c, 0xb2, 0xa1], false, 0, 1),
        ([0xa1, 0xb2, 0x3c, 0x4d], true, 0, 1),
        ([0x34, 0xcd, 0xb2, 0xa1], false, 8, 1000),
        ([0xa1, 0xb2, 0xcd, 0x34], true, 8, 1000),
    ];
    for (magic, big_endian, extra, tick) in variants {
        let (frames, fault) = read(pcap(magic, big_endian, extra, &packets));
        assert_eq!(fault, None);
        assert_eq!(
            frames,
            [
                (1_700_000_000_000_000_000 + 5 * tick, 1, b"ab".to_vec()),
                (1_700_000_001_000_000_000 + 6 * tick, 1, Vec::new()),
            ],
            "{magic:x?}"
        );
    }
}

#[test]
fn a_cut_capture_is_read_up_to_the_cut() {
    let whole = pcap([0xd4, 0xc3, 0xb2, 0xa1], false, 0, &[(1, 1, b"first"), (2, 2, b"second")]);
    let first = 24 + 16 + 5;
    for length in 24..whole.len() {
        let (frames, fault) = read(whole[..length].to_vec());
        assert_eq!(frames.len(), usize::from(length >= first), "{length}");
        let between = length == 24 || length == first;
        assert_eq!(fault, (!between).then_some(Fault::Cut), "{length}");
    }
}

#[test]
fn a_length_that_no_record_has_ends_the_capture_without_memory() {
    let mut file = pcap([0xd4, 0xc3, 0xb2, 0xa1], false, 0, &[(1, 1, b"x")]);
    file.extend(words(&[1, 1, RECORD_LENGTH_MAX as u32 + 1, 1]));
    let (frames, fault) = read(file.clone());
    assert_eq!(frames.len(), 1);
    assert_eq!(fault, Some(Fault::Length(RECORD_LENGTH_MAX as u64 + 1)));
    let at_limit = file.len() - 8;
    file[at_limit..at_limit + 4].copy_from_slice(&(RECORD_LENGTH_MAX as u32).to_le_bytes());
    assert_eq!(read(file).1, Some(Fault::Cut));
}

#[test]
fn gzip_is_seen_by_its_first_bytes_and_damage_is_told_apart_from_a_cut() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;
    let packets: Vec<Vec<u8>> = (0..200u32).map(|n| n.to_le_bytes().repeat(20)).collect();
    let list: Vec<_> = packets.iter().map(|p| (1, 1, p.as_slice())).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&pcap([0xd4, 0xc3, 0xb2, 0xa1], false, 0, &list)).expect("in memory");
    let file = encoder.finish().expect("in memory");
    assert_eq!(read(file.clone()).0.len(), 200);
    let (frames, fault) = read(file[..file.len() / 2].to_vec());
    assert!(!frames.is_empty() && frames.len() < 200);
    assert_eq!(fault, Some(Fault::Cut));
    let mut damaged = file;
    let end = damaged.len() - 6;
    damaged[end] ^= 0xff;
    assert!(matches!(read(damaged).1, Some(Fault::Compression(_))));
}

#[test]
fn pcapng_sections_interfaces_and_resolutions() {
    let mut file = section();
    file.extend(interface(1, &[option(2, b"wan0"), option(9, &[9])]));
    file.extend(interface(101, &[option(9, &[0x80 | 10])]));
    file.extend(interface(1, &[option(9, &[12]), option(14, &5i64.to_le_bytes())]));
    file.extend(block(4, b"name resolution is passed over"));
    file.extend(enhanced(0, 7, b"nano"));
    file.extend(enhanced(1, 1024 * 3 + 512, b"binary"));
    file.extend(enhanced(2, 9000, b"pico"));
    file.extend(enhanced(3, 0, b"of an unknown interface"));
    file.extend(block(3, &[words(&[3]), b"spb".to_vec()].concat()));
    file.extend(block(2, &[words(&[1, 0, 1024, 3, 3]), b"old".to_vec()].concat()));
    // A second section in the other byte order forgets the interfaces of the first.
    let big = |w: &[u32]| w.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
    file.extend(big(&[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 0x0001_0000, u32::MAX, u32::MAX, 28]));
    file.extend(big(&[1, 20, 0x0065_0000, 0, 20]));
    file.extend(big(&[6, 36, 0, 0, 4, 1, 9, 0x7a00_0000, 36]));
    let mut capture = Capture::new(io::Cursor::new(file)).expect("a capture");
    let mut seen = Vec::new();
    while let Some(frame) = capture.next_frame() {
        let name = frame.interface.map(|name| name.to_string());
        seen.push((frame.time.0, frame.link_type.0, name, frame.bytes.to_vec()));
    }
    let wan = Some("wan0".to_owned());
    assert_eq!(
        seen,
        [
            (7, 1, wan.clone(), b"nano".to_vec()),
            (3_500_000_000, 101, None, b"binary".to_vec()),
            (5_000_000_009, 1, None, b"pico".to_vec()),
            (5_000_000_009, 1, wan, b"spb".to_vec()),
            (1_000_000_000, 101, None, b"old".to_vec()),
            (4_000, 101, None, b"z".to_vec()),
        ]
    );
    assert_eq!(capture.fault(), None);
}

#[test]
fn interfaces_beyond_the_limit_are_passed_over() {
    let mut file = section();
    for _ in 0..=INTERFACES_MAX {
        file.extend(interface(1, &[]));
    }
    file.extend(enhanced(INTERFACES_MAX as u32 - 1, 1, b"last"));
    file.extend(enhanced(INTERFACES_MAX as u32, 1, b"beyond"));
    let (frames, fault) = read(file);
    assert_eq!(frames, [(1000, 1, b"last".to_vec())]);
    assert_eq!(fault, None);
}

#[test]
fn no_bytes_panic() {
    let mut file = section();
    file.extend(interface(1, &[option(2, b"eth0"), option(9, &[6])]));
    file.extend(enhanced(0, 7, b"packet"));
    file.extend(block(3, &words(&[3, 3])));
    for position in 0..file.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[position] = value;
            if let Ok(mut capture) = Capture::new(io::Cursor::new(damaged)) {
                while capture.next_frame().is_some() {}
            }
        }
        if let Ok(mut capture) = Capture::new(io::Cursor::new(file[..position].to_vec())) {
            while capture.next_frame().is_some() {}
        }
    }
    assert!(matches!(Capture::new(io::empty()), Err(OpenError::NotACapture)));
    assert!(matches!(
        Capture::new(io::Cursor::new(b"#!/bin/sh\nexit 0 # no capture".to_vec())),
        Err(OpenError::NotACapture)
    ));
}

#[test]
fn what_is_written_is_read_back() {
    let eth0 = InterfaceName::new("eth0").expect("a name");
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file).expect("in memory");
    let note = Note {
        time: Instant(1_700_000_000_123_456_789),
        link_type: LinkType::ETHERNET,
        interface: eth0,
        outbound: false,
        original_length: 5,
        comment: "filter:FORWARD:2 ACCEPT ct=NEW",
    };
    writer.write(&note, b"frame").expect("in memory");
    writer
        .write(&Note { link_type: LinkType::RAW, outbound: true, ..note }, b"made")
        .expect("in memory");
    writer.write(&note, b"again").expect("in memory");
    assert!(file.windows(30).any(|w| w == b"filter:FORWARD:2 ACCEPT ct=NEW"));
    let (frames, fault) = read(file);
    assert_eq!(fault, None);
    let time = 1_700_000_000_123_456_789;
    assert_eq!(
        frames,
        [(time, 1, b"frame".to_vec()), (time, 101, b"made".to_vec()), (time, 1, b"again".to_vec())]
    );
}

//! The kernel as judge, on packets whose fate is known. Skips where no namespace may be made.

use keepstate_conntrack::{
    CtState, Direction,
    event::{EventKind, Snapshot},
};
use keepstate_oracle::fuzz::{self, Area, Plan, report};
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::namespace;
use keepstate_oracle::observation::{Fate, Side};
use keepstate_oracle::verify::{self, Setup};
use keepstate_packet::Family;
use std::{fs, path::Path};

/// UDP from 10.1.0.1 to 10.2.0.1, or back; no UDP checksum.
fn udp(back: bool) -> Vec<u8> {
    let mut packet = vec![
        0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1, 0x10, 0, 0x20, 0, 0, 8,
        0, 0,
    ];
    if back {
        packet.splice(12..24, [10, 2, 0, 1, 10, 1, 0, 1, 0x20, 0, 0x10, 0]);
    }
    let sum: u32 = packet[..20].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn with_kernel(work: impl FnOnce(&mut Kernel) + Send) {
    let ran =
        namespace::with(|| Kernel::new(Config::default()).map(|mut kernel| work(&mut kernel)));
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(error)) | Err(error) => eprintln!("skipped: {error}"),
    }
}

#[test]
fn kernel_says_what_became_of_a_packet() {
    with_kernel(|kernel| {
        let there = kernel.push(Side::A, Family::V4, &udp(false)).expect("push");
        assert_eq!(there.fate, Fate::Forwarded);
        assert_eq!((there.state, there.direction), (Some(CtState::New), Some(Direction::Original)));
        assert_eq!(there.out.len(), 1);
        assert_eq!(there.out[0].side, Side::B);
        assert_eq!(there.out[0].bytes[8], 63, "TTL is decremented");
        assert_eq!(there.events.iter().map(|e| e.kind).collect::<Vec<_>>(), [EventKind::New]);

        let back = kernel.push(Side::B, Family::V4, &udp(true)).expect("push");
        assert_eq!(
            (back.state, back.direction),
            (Some(CtState::Established), Some(Direction::Reply))
        );
        assert_eq!(back.events.iter().map(|e| e.kind).collect::<Vec<_>>(), [EventKind::Update]);

        let table = kernel.connections().expect("dump");
        assert_eq!(table.len(), 1);
        let one = kernel.connection(&table[0].original).expect("get").expect("there");
        // The time left goes on running between the two questions.
        assert_eq!(Snapshot { timeout: table[0].timeout, ..one }, table[0]);
        assert_eq!(table[0].original.source_port, 0x1000);
        kernel.flush().expect("flush");
        assert_eq!(kernel.connections().expect("dump"), []);
    });
}

/// Generated conversations of every settled area: the engine and the kernel agree on all of it.
#[test]
fn engine_agrees_on_generated_conversations() {
    for (seed, (name, area)) in (1..).zip(Area::names()) {
        if !area.is_settled() {
            println!("skipped: {name} is known to differ, see docs/differences-from-linux.md");
            continue;
        }
        let packets = if area == Area::Expiry { 60 } else { 3000 };
        let plan = Plan { seed, packets, area, first: 0, only_first: false, findings_max: 3 };
        match namespace::with(|| fuzz::run(&plan, |_| {})) {
            Ok(Ok(outcome)) => {
                let texts = outcome.findings.iter().map(|found| report::text(seed, area, found));
                let texts: String = texts.collect();
                assert!(texts.is_empty(), "{name}:\n{texts}");
                assert!(outcome.progress.packets >= packets, "{name}: {:?}", outcome.progress);
            }
            Ok(Err(error)) | Err(error) => return eprintln!("skipped: {error}"),
        }
    }
}

/// The captures beside the repository and those in it, with the FTP helper.
#[test]
fn engine_agrees_on_captures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for directory in ["examples", "../shared/captures"] {
        match fs::read_dir(root.join(directory)) {
            Ok(entries) => files.extend(entries.flatten().map(|entry| entry.path())),
            Err(error) => eprintln!("skipped: {directory}: {error}"),
        }
    }
    files.retain(|file| {
        let name = file.to_string_lossy();
        ["pcap", "pcapng", "cap", "pcap.gz", "pcapng.gz"].iter().any(|end| name.ends_with(end))
    });
    files.sort();
    let helper = "*raw\n-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\nCOMMIT\n";
    let setup = Setup { rules: [helper.to_owned(), helper.to_owned()], ..Setup::default() };
    let mut texts = String::new();
    let ran = verify::captures(&setup, &files, |found| {
        let (file, packet) = (found.file.display(), found.packet);
        texts += &format!("{file} {packet:?} {:?}\n", found.differences);
    });
    match ran {
        Ok(summary) => {
            assert!(texts.is_empty(), "{texts}");
            assert_eq!(summary.captures, files.len() as u64);
        }
        Err(error) => eprintln!("skipped: {error}"),
    }
}

//! The kernel as judge, on packets whose fate is known. Skips where no namespace may be made.

use keepstate_conntrack::{CtState, Direction, event::EventKind};
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::namespace;
use keepstate_oracle::observation::{Fate, Side};
use keepstate_packet::Family;

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
        assert_eq!(kernel.connection(&table[0].original).expect("get"), Some(table[0].clone()));
        assert_eq!(table[0].original.source_port, 0x1000);
        kernel.flush().expect("flush");
        assert_eq!(kernel.connections().expect("dump"), []);
    });
}

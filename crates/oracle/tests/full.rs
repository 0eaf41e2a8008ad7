//! The table at `nf_conntrack_max`, ours and the kernel's: who gives way to newcomers, who is turned
//! away, what is counted. As root on Linux; elsewhere it says why it is skipped.

use keepstate_conntrack::table::{Drop, Statistics, Table, Template};
use keepstate_conntrack::{CtStatus, Hook, Sysctls, Tuple};
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::namespace;
use keepstate_oracle::observation::{Fate, Side};
use keepstate_packet::{Address, Family, Instant, Parsed, checksum, udp};
use std::{io, time::Duration};

/// The kernel's limit is that of the machine; a larger one would take too much of its memory.
const MAX: u32 = 1 << 19;
/// Packets that begin connections once the table is full.
const NEWCOMERS: u32 = 100;
/// How long what fills the kernel's table lives.
const SECONDS: u32 = 1000;
const ASSURED: CtStatus =
    CtStatus(CtStatus::SEEN_REPLY.0 | CtStatus::ASSURED.0 | CtStatus::CONFIRMED.0);

/// The connection of that number.
fn tuple(number: u32) -> Tuple {
    let [_, high, middle, low] = number.to_be_bytes();
    Tuple {
        source: Address::v4([10, 1, 100 + high, middle]),
        destination: Address::v4([10, 2, 0, 1]),
        source_port: 1024 + u16::from(low),
        destination_port: 4000,
        protocol: udp::PROTOCOL,
        family: Family::V4,
    }
}

fn packet(tuple: &Tuple) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 28, 0, 1, 0, 0, 64, tuple.protocol, 0, 0];
    bytes.extend(tuple.source.v4_octets());
    bytes.extend(tuple.destination.v4_octets());
    bytes.extend(tuple.source_port.to_be_bytes());
    bytes.extend(tuple.destination_port.to_be_bytes());
    bytes.extend([0, 8, 0, 0]);
    checksum::fill_ipv4_header(&mut bytes);
    bytes
}

struct Ours(Table, Instant);

impl Ours {
    fn push(&mut self, tuple: &Tuple) -> Result<(), Drop> {
        let bytes = packet(tuple);
        let parsed = Parsed::new(&bytes).expect("a datagram");
        let Self(table, now) = self;
        let template = Template::default();
        let mut tracked = table.track_in(*now, Hook::Prerouting, &parsed, &bytes, &template)?;
        table.confirm(*now, &mut tracked)
    }

    /// A table with so many connections, of which the first ones are ASSURED.
    fn full(count: u32, assured: u32) -> Self {
        let sysctls = Sysctls { max: count, ..Sysctls::default() };
        let mut ours = Self(Table::new([1, 2], sysctls), Instant(1_000_000_000_000));
        for number in 0..assured {
            let there = tuple(number);
            ours.push(&there).expect("room");
            ours.push(&there.invert().expect("an answer")).expect("its own");
        }
        // UDP's connections are ASSURED once they have been used for two seconds.
        ours.1 = ours.1.plus(Duration::from_secs(3));
        for number in 0..count {
            ours.push(&tuple(number)).expect("room");
        }
        ours
    }

    fn assured_count(&self) -> usize {
        let Self(table, now) = self;
        let all = table.connections(*now).into_iter();
        let status = all.filter_map(|conn| table.status(conn));
        status.filter(|status| status.contains(CtStatus::ASSURED)).count()
    }
}

/// What was counted of newcomers.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    drop: u64,
    early_drop: u64,
    insert_failed: u64,
}

impl Counted {
    fn between(before: &Statistics, now: &Statistics) -> Self {
        Self {
            drop: now.drop - before.drop,
            early_drop: now.early_drop - before.early_drop,
            insert_failed: now.insert_failed - before.insert_failed,
        }
    }

    /// Every connection that was thrown out made a place, and every newcomer took one; the kernel
    /// throws out all of a bucket at once.
    fn fits(&self, passed: u32, free: u32) -> bool {
        let Self { drop, early_drop, insert_failed } = *self;
        [drop, early_drop, insert_failed] == [NEWCOMERS - passed, passed + free, 0].map(u64::from)
    }
}

/// Fills both, pushes newcomers, and gives how many of them passed.
fn compare(kernel: &mut Kernel, count: u32, assured: u32) -> io::Result<u32> {
    kernel.flush()?;
    kernel.create_connections((0..assured).map(tuple), ASSURED, SECONDS)?;
    kernel.create_connections((assured..count).map(tuple), CtStatus::CONFIRMED, SECONDS)?;
    let there = kernel.sysctl("nf_conntrack_count")?;
    assert_eq!(there, count.to_string(), "the kernel's table is full");
    let mut ours = Ours::full(count, assured);
    assert_eq!(ours.assured_count(), assured as usize);
    let (theirs_before, ours_before) = (kernel.statistics()?, *ours.0.statistics());
    let mut passed = 0;
    for number in count..count + NEWCOMERS {
        let newcomer = tuple(number);
        let theirs = kernel.push(Side::A, Family::V4, &packet(&newcomer))?.fate;
        let fate = match ours.push(&newcomer) {
            Ok(()) => Fate::Forwarded,
            Err(_) => Fate::Dropped,
        };
        assert_eq!(fate, theirs, "{number} with {assured} ASSURED");
        passed += u32::from(fate == Fate::Forwarded);
    }
    let theirs = Counted::between(&theirs_before, &kernel.statistics()?);
    let counted = Counted::between(&ours_before, ours.0.statistics());
    let (left, ours_left) = (kernel.connections()?, ours.0.connections(ours.1).len());
    let free = |left: usize| count - left as u32;
    assert!(theirs.fits(passed, free(left.len())), "{theirs:?} with {assured} ASSURED");
    assert!(counted.fits(passed, free(ours_left)), "{counted:?} with {assured} ASSURED");
    let status = left.iter().filter(|one| one.status.contains(CtStatus::ASSURED));
    assert_eq!([status.count(), ours.assured_count()], [assured as usize; 2]);
    Ok(passed)
}

#[test]
fn the_full_table_turns_away_and_gives_way_as_the_kernels_does() {
    let ran = namespace::with(|| {
        let mut kernel = Kernel::new(Config::default())?;
        let max: u32 = kernel.sysctl("nf_conntrack_max")?.parse().unwrap_or(0);
        if max == 0 || max > MAX {
            eprintln!("skipped: nf_conntrack_max is {max} on this machine");
            return Ok(());
        }
        kernel.set_sysctl("nf_conntrack_events", "0")?;
        assert_eq!(compare(&mut kernel, max, 0)?, NEWCOMERS);
        assert_eq!(compare(&mut kernel, max, max / 2)?, NEWCOMERS);
        assert_eq!(compare(&mut kernel, max, max)?, 0);
        kernel.flush()
    });
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(error)) | Err(error) => eprintln!("skipped: {error}"),
    }
}

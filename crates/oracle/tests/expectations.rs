//! Expectations made from outside and as many as there may be, by the engine and by the kernel.
//! Skips where no namespace may be made.

use keepstate_conntrack::Tuple;
use keepstate_conntrack::event::Snapshot;
use keepstate_conntrack::expect::NewExpectation;
use keepstate_datapath::clock::SystemClock;
use keepstate_oracle::compare;
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::model::Model;
use keepstate_oracle::namespace;
use keepstate_oracle::observation::{EventView, Fate, Side};
use keepstate_packet::{Address, Family, Parsed, checksum};

const CLIENT: [u8; 4] = [10, 1, 0, 2];
const SERVER: [u8; 4] = [198, 51, 100, 7];
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const RULES: &str = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\n\
    -A PREROUTING -p tcp -m tcp --dport 6566 -j CT --helper sane\n\
    -A PREROUTING -p udp -m udp --dport 5060 -j CT --helper sip\nCOMMIT\n";

/// Both routers.
struct Both {
    kernel: Kernel,
    model: Model,
    /// A slow machine takes seconds for a flood.
    clock: SystemClock,
}

impl Both {
    fn run(work: impl FnOnce(&mut Self) + Send) {
        let ran = namespace::with(|| {
            let config = Config { inside: vec!["10.0.0.0/8".to_owned()], ..Config::default() };
            let rules = [RULES.to_owned(), String::new()];
            let kernel = Kernel::new(config)?;
            kernel.load_rules(Family::V4, RULES)?;
            let model = Model::new(kernel.config(), &[], &rules).map_err(std::io::Error::other)?;
            work(&mut Self { kernel, model, clock: SystemClock::start() });
            Ok::<(), std::io::Error>(())
        });
        match ran {
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => eprintln!("skipped: {error}"),
        }
    }

    /// What became of a packet, the same for both.
    fn send(&mut self, packet: &[u8]) -> Fate {
        let side = if packet[12] == 10 { Side::A } else { Side::B };
        let kernel = self.kernel.push(side, Family::V4, packet).expect("push");
        self.model.set_elapsed(self.clock.elapsed());
        let ours = self.model.push(side, Family::V4, packet);
        let differences = compare::observations(&kernel, &ours);
        assert!(differences.is_empty(), "{differences:#?}");
        ours.fate
    }

    /// The same done from outside of both.
    fn outside(
        &mut self,
        what: &str,
        kernel: impl FnOnce(&Kernel) -> std::io::Result<()>,
        ours: impl FnOnce(&mut Model) -> Result<(), i32>,
    ) {
        self.kernel.stray_events().expect("the socket");
        let kernel = kernel(&self.kernel).map_err(|e| e.raw_os_error().unwrap_or(0));
        assert_eq!(kernel, ours(&mut self.model), "{what}");
        let (kernel, ours) = (self.kernel.stray_events().expect("events"), self.model.events());
        assert_eq!(told(&kernel), told(&ours), "events of {what}");
        let kernel = self.kernel.expectations().expect("dump");
        assert_eq!(shown(kernel), shown(self.model.expectations()), "{what}");
    }
}

fn told(events: &[EventView]) -> Vec<String> {
    let one =
        |e: &EventView| format!("{:?} {:?} {:?}", e.kind, e.snapshot.original, e.snapshot.master);
    events.iter().map(one).collect()
}

/// Expectations without an order, and with whole seconds that may be rounded either way.
fn shown(expectations: Vec<Snapshot>) -> Vec<String> {
    let one = |e: Snapshot| {
        let seconds = e.timeout.map_or(0, |left| (left.as_secs() + 2) / 5);
        format!(
            "{:?} {:?} {:?} {:?} {:?} {seconds}",
            e.original, e.reply, e.master, e.helper, e.announcement
        )
    };
    let mut all: Vec<String> = expectations.into_iter().map(one).collect();
    all.sort();
    all
}

fn packet(ends: [[u8; 4]; 2], protocol: u8, upper: &[u8]) -> Vec<u8> {
    let length = (20 + upper.len() as u16).to_be_bytes();
    let mut bytes = vec![0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    bytes.extend(ends.as_flattened());
    bytes.extend(upper);
    checksum::fill_ipv4_header(&mut bytes);
    let parsed = Parsed::new(&bytes).expect("an IP packet");
    checksum::fill(&parsed, &mut bytes);
    bytes
}

fn tcp(ends: [[u8; 4]; 2], ports: [u16; 2], flags: u8, numbers: [u32; 2], data: &[u8]) -> Vec<u8> {
    let mut upper: Vec<u8> = ports.iter().flat_map(|port| port.to_be_bytes()).collect();
    upper.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    upper.extend([0x50, flags, 0x72, 0x10, 0, 0, 0, 0]);
    upper.extend(data);
    packet(ends, 6, &upper)
}

fn tuple(ends: [[u8; 4]; 2], ports: [u16; 2], protocol: u8) -> Tuple {
    Tuple {
        source: Address::v4(ends[0]),
        destination: Address::v4(ends[1]),
        source_port: ports[0],
        destination_port: ports[1],
        protocol,
        family: Family::V4,
    }
}

/// A generator of numbers from a seed (Knuth's multiplier).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// The masters: with the FTP helper, with SANE's, with SIP's (four classes), with none, and none.
const MASTERS: [(u16, u16, u8); 7] = [
    (1000, 21, 6),
    (1001, 21, 6),
    (1002, 6566, 6),
    (1003, 5060, 17),
    (1004, 5060, 17),
    (1005, 80, 6),
    (1006, 21, 17),
];

fn wanted(random: &mut Numbers) -> NewExpectation {
    let (from, to, protocol) = random.pick(&MASTERS);
    let ends = [CLIENT, SERVER];
    let master = match random.below(8) {
        0 => tuple([SERVER, CLIENT], [to, from], protocol),
        _ => tuple(ends, [from, to], protocol),
    };
    let expected = random.pick(&[6, 6, 17]);
    let source = random.pick(&[SERVER, [198, 51, 100, 8]]);
    let ports = [random.pick(&[0, 20, 21]), random.pick(&[400, 401])];
    let any = tuple([[0; 4]; 2], [0; 2], expected);
    let mask = Tuple {
        source: Address::v4(random.pick(&[[255; 4], [255; 4], [0; 4], [255, 255, 255, 0]])),
        source_port: random.pick(&[0, 0xffff, 0xffff, 1]),
        ..any
    };
    NewExpectation {
        master,
        tuple: tuple([source, CLIENT], ports, expected),
        mask,
        zone: Default::default(),
        class: random.pick(&[0, 0, 0, 0, 1, 3, 4, 255, u32::MAX]),
        flags: random.pick(&[0, 0, 0, 1, 2, 3, 4, 5, 8]),
    }
}

/// Expectations of any kind made, changed, deleted and fulfilled in any order.
#[test]
fn made_from_outside() {
    Both::run(|both| {
        for seed in 0..200 {
            let random = &mut Numbers(seed);
            both.kernel.flush().expect("flush");
            both.model.flush();
            for (from, to, protocol) in MASTERS {
                let ends = [CLIENT, SERVER];
                if protocol == 6 {
                    both.send(&tcp(ends, [from, to], SYN, [1, 0], b""));
                } else if to == 5060 {
                    let [f, t] = [from.to_be_bytes(), to.to_be_bytes()];
                    both.send(&packet(ends, 17, &[f[0], f[1], t[0], t[1], 0, 8, 0, 0]));
                }
            }
            for _ in 0..40 {
                step(both, random);
            }
        }
    });
}

fn step(both: &mut Both, random: &mut Numbers) {
    let wanted = wanted(random);
    let zone = wanted.zone;
    match random.below(16) {
        0..9 => both.outside(
            "create",
            |kernel| kernel.create_expectation(&wanted),
            |model| {
                let (table, now) = model.table_mut();
                table.create_expectation(now, &wanted).map_err(|error| error.errno())
            },
        ),
        9 => {
            let seconds = random.pick(&[10, 100, 1000, u32::MAX]);
            both.outside(
                "change",
                |kernel| kernel.change_expectation(&wanted, seconds),
                |model| {
                    let (table, now) = model.table_mut();
                    let changed = table.change_expectation(now, &wanted.tuple, zone, seconds);
                    changed.map_err(|error| error.errno())
                },
            );
        }
        10 | 11 => both.outside(
            "delete",
            |kernel| kernel.delete_expectation(&wanted.tuple),
            |model| {
                let (table, now) = model.table_mut();
                let gone = table.delete_expectation(now, &wanted.tuple, zone);
                gone.map_err(|error| error.errno())
            },
        ),
        12 => {
            let helper = random.pick(&[None, Some("ftp"), Some("sip"), Some("sane"), Some("no")]);
            // Which of several goes first hangs on the kernel's hash: one at a time is compared.
            if both.model.expectations().len() < 2 {
                both.outside(
                    "flush",
                    |kernel| kernel.flush_expectations(helper),
                    |model| {
                        let (table, now) = model.table_mut();
                        table.flush_expectations(now, helper);
                        Ok(())
                    },
                );
            }
        }
        _ => {
            let Tuple { source, source_port, destination_port, .. } = wanted.tuple;
            let ends = [source.v4_octets(), CLIENT];
            let port = if source_port == 0 { 20 } else { source_port };
            both.send(&tcp(ends, [port, destination_port], SYN, [1, 0], b""));
        }
    }
}

/// As many clients as `nf_conntrack_expect_max` allows expectations announce one each. The next
/// announcement drops, until one of them is fulfilled.
#[test]
fn a_flood_of_expectations() {
    const MAX: u32 = 4096;
    Both::run(|both| {
        let theirs = both.kernel.sysctl("nf_conntrack_expect_max").expect("readable");
        if theirs != MAX.to_string() {
            return eprintln!("skipped: nf_conntrack_expect_max is {theirs} here");
        }
        let client = |n: u32| {
            let [_, _, high, low] = n.to_be_bytes();
            [10, 1, high, low]
        };
        let announce = |both: &mut Both, n: u32, again: bool| {
            let (there, back) = ([client(n), SERVER], [SERVER, client(n)]);
            let [_, _, high, low] = n.to_be_bytes();
            if !again {
                both.send(&tcp(there, [1000, 21], SYN, [100, 0], b""));
                both.send(&tcp(back, [21, 1000], SYN_ACK, [500, 101], b""));
                both.send(&tcp(there, [1000, 21], ACK, [101, 501], b""));
                both.send(&tcp(there, [1000, 21], ACK, [101, 501], b"USER a\r\n"));
            }
            let line = format!("PORT 10,1,{high},{low},4,1\r\n");
            both.send(&tcp(there, [1000, 21], ACK, [109, 501], line.as_bytes()))
        };
        for n in 0..MAX {
            assert_eq!(announce(both, n, false), Fate::Forwarded, "{n}");
        }
        let (table, _) = both.model.table_mut();
        let bytes = table.bytes();
        for n in MAX..MAX + 50 {
            assert_eq!(announce(both, n, false), Fate::Dropped, "{n}");
        }
        assert_eq!(both.model.expectations().len(), MAX as usize);
        assert_eq!(both.model.table_mut().0.bytes(), bytes, "no more memory is taken");
        assert_eq!(
            both.send(&tcp([SERVER, client(7)], [20, 1025], SYN, [1, 0], b"")),
            Fate::Forwarded
        );
        assert_eq!(announce(both, MAX, true), Fate::Forwarded, "there is room for one");
        assert_eq!(announce(both, MAX + 1, true), Fate::Dropped);
        assert_eq!(
            shown(both.kernel.expectations().expect("dump")),
            shown(both.model.expectations())
        );
    });
}

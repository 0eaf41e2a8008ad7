//! Connections under a gateway's rules, by the engine and by the kernel, packet by packet. Skips where no
//! namespace may be made.

use keepstate_oracle::compare;
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::model::Model;
use keepstate_oracle::namespace;
use keepstate_oracle::observation::{Fate, Side};
use keepstate_packet::{Family, Parsed, checksum};

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const UDP: u8 = 17;
const TCP: u8 = 6;
const ICMP: u8 = 1;
const SCTP: u8 = 132;
const GRE: u8 = 47;

const SERVER: &str = "198.51.100.1";
const PUBLIC: &str = "203.0.113.1";

/// Both routers.
struct Both {
    kernel: Kernel,
    model: Model,
    /// Both have drawn the same, so that tables and counters are to be the same.
    draw_alike: bool,
}

impl Both {
    /// Under these rules of table nat, and helpers at their ports.
    fn run(nat: &str, work: impl FnOnce(&mut Self) + Send) {
        let chains = ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"];
        let chains: String = chains.iter().map(|name| format!(":{name} ACCEPT [0:0]\n")).collect();
        let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                   -A PREROUTING -p udp -m udp --dport 69 -j CT --helper tftp\nCOMMIT\n";
        let rules = format!("{raw}*nat\n{chains}{nat}COMMIT\n");
        let ran = namespace::with(|| {
            let inside = vec!["10.0.0.0/8".to_owned()];
            let config = Config { inside, is_silent: true, ..Config::default() };
            let kernel = Kernel::new(config)?;
            kernel.load_rules(Family::V4, &rules)?;
            let rules = [rules, String::new()];
            let model = Model::new(kernel.config(), &[], &rules).map_err(std::io::Error::other)?;
            let mut both = Self { kernel, model, draw_alike: true };
            work(&mut both);
            if both.draw_alike {
                both.compare_ends();
            }
            Ok::<(), std::io::Error>(())
        });
        match ran {
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => eprintln!("skipped: {error}"),
        }
    }

    /// The packet as it leaves, the same from both; `None` when it does not.
    fn send(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let side = if packet[12] == 10 { Side::A } else { Side::B };
        let kernel = self.kernel.push(side, Family::V4, packet).expect("push");
        self.model.foretell(packet, &kernel, &[], &[]);
        let ours = self.model.push(side, Family::V4, packet);
        let differences = compare::observations(&kernel, &ours);
        assert!(differences.is_empty(), "{}\n{differences:#?}", compare::hex(packet));
        assert!(ours.fate != Fate::Held);
        ours.out.into_iter().next().map(|sent| sent.bytes)
    }

    /// Tables and counters.
    fn compare_ends(&mut self) {
        let kernel = self.kernel.connections().expect("dump");
        let differences = compare::tables(kernel, self.model.connections());
        assert!(differences.is_empty(), "{differences:#?}");
        let kernel = self.kernel.save_rules(Family::V4).expect("rules");
        let kernel = compare::saved_counters(&kernel);
        let differences = compare::counters(&kernel, &self.model.counters(Family::V4));
        assert!(differences.is_empty(), "{differences:#?}");
    }
}

fn packet(protocol: u8, source: &str, destination: &str, upper: &[u8]) -> Vec<u8> {
    let octets = |text: &str| text.parse::<std::net::Ipv4Addr>().expect("an address").octets();
    let length = (20 + upper.len() as u16).to_be_bytes();
    let mut bytes = vec![0x45, 0, length[0], length[1], 0, 1, 0x40, 0, 64, protocol, 0, 0];
    bytes.extend(octets(source));
    bytes.extend(octets(destination));
    bytes.extend(upper);
    checksum::fill_ipv4_header(&mut bytes);
    let parsed = Parsed::new(&bytes).expect("an IP packet");
    match protocol {
        SCTP => checksum::fill_sctp(&mut bytes[20..]),
        _ => checksum::fill(&parsed, &mut bytes),
    }
    bytes
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes()].concat()
}

fn udp(source: (&str, u16), destination: (&str, u16), payload: &[u8]) -> Vec<u8> {
    let mut upper = ports(source.1, destination.1);
    upper.extend((8 + payload.len() as u16).to_be_bytes());
    upper.extend([0, 0]);
    upper.extend(payload);
    packet(UDP, source.0, destination.0, &upper)
}

fn tcp(
    source: (&str, u16),
    destination: (&str, u16),
    flags: u8,
    [sequence, acknowledgment]: [u32; 2],
) -> Vec<u8> {
    let mut upper = ports(source.1, destination.1);
    upper.extend(sequence.to_be_bytes());
    upper.extend(acknowledgment.to_be_bytes());
    upper.extend([0x50, flags, 0xfd, 0xe8, 0, 0, 0, 0]);
    packet(TCP, source.0, destination.0, &upper)
}

fn icmp(source: &str, destination: &str, head: [u8; 8], payload: &[u8]) -> Vec<u8> {
    packet(ICMP, source, destination, &[&head, payload].concat())
}

/// Source address and port of what has left.
fn sender(sent: &[u8]) -> (String, u16) {
    let address = std::net::Ipv4Addr::new(sent[12], sent[13], sent[14], sent[15]);
    (address.to_string(), u16::from_be_bytes([sent[20], sent[21]]))
}

/// What the far end of a packet answers: with both ends exchanged.
fn answer(sent: &[u8]) -> Vec<u8> {
    let mut bytes = sent.to_vec();
    bytes[12..16].copy_from_slice(&sent[16..20]);
    bytes[16..20].copy_from_slice(&sent[12..16]);
    bytes[20..22].copy_from_slice(&sent[22..24]);
    bytes[22..24].copy_from_slice(&sent[20..22]);
    bytes
}

#[test]
fn many_clients_share_few_ports() {
    let rules = format!(
        "-A POSTROUTING -o eth1 -p tcp -j SNAT --to-source {PUBLIC}:5000-5003\n\
         -A POSTROUTING -o eth1 -p udp -j SNAT --to-source {PUBLIC}:6000-6063\n"
    );
    Both::run(&rules, |both| {
        let client = |number: u32| format!("10.0.0.{number}");
        let mut left = Vec::new();
        for number in 1..=6 {
            let sent = tcp((&client(number), 4000), (SERVER, 80), SYN, [100 * number, 0]);
            left.extend(both.send(&sent));
        }
        assert_eq!(left.len(), 4, "as many as there are ports");
        // One has ended: the next SYN has its port, if its numbers come after.
        for (flags, sequence) in [(SYN | ACK, 8), (RST | ACK, 9)] {
            let (address, port) = sender(&left[1]);
            both.send(&tcp((SERVER, 80), (&address, port), flags, [sequence, 201]));
        }
        assert!(both.send(&tcp((&client(7), 4000), (SERVER, 80), SYN, [50, 0])).is_none());
        assert!(both.send(&tcp((&client(7), 4000), (SERVER, 80), SYN, [5000, 0])).is_some());
        for number in 1..=70 {
            both.send(&udp((&client(number), 4000), (SERVER, 53), b"a"));
        }
        // The same end has the same port to another server.
        let [one, other] = [SERVER, "198.51.100.2"].map(|server| {
            both.send(&udp((&client(90), 6010), (server, 54), b"a")).map(|sent| sender(&sent))
        });
        assert_eq!(one, other);
    });
}

#[test]
fn what_is_not_translated_gets_another_port_where_its_tuple_is_taken() {
    Both::run("-A POSTROUTING -s 10.0.0.1/32 -j SNAT --to-source 10.0.0.2\n", |both| {
        let sent = both.send(&udp(("10.0.0.1", 4000), (SERVER, 53), b"a")).expect("it leaves");
        assert_eq!(sender(&sent), ("10.0.0.2".to_owned(), 4000));
        for port in [4000, 600, 123] {
            both.send(&udp(("10.0.0.1", port), (SERVER, 53), b"a"));
            let sent = both.send(&udp(("10.0.0.2", port), (SERVER, 53), b"a")).expect("it leaves");
            assert_ne!(sender(&sent).1, port);
            both.send(&answer(&sent));
        }
        // Without ports there is nothing to vary.
        let plain = |source: &str| packet(89, source, SERVER, &[0; 8]);
        assert!(both.send(&plain("10.0.0.1")).is_some());
        assert!(both.send(&plain("10.0.0.2")).is_none());
        let echo = |source: &str| icmp(source, SERVER, [8, 0, 0, 0, 0, 7, 0, 1], b"ping");
        assert!(both.send(&echo("10.0.0.1")).is_some());
        assert!(both.send(&echo("10.0.0.2")).is_some());
    });
}

#[test]
fn errors_come_back_from_third_hosts() {
    let rules = format!("-A POSTROUTING -o eth1 -j SNAT --to-source {PUBLIC}\n");
    Both::run(&rules, |both| {
        let mut subjects = vec![
            udp(("10.0.0.1", 4000), (SERVER, 53), b"question"),
            tcp(("10.0.0.1", 4000), (SERVER, 80), SYN, [1, 0]),
            icmp("10.0.0.1", SERVER, [8, 0, 0, 0, 0, 7, 0, 1], b"ping"),
            packet(89, "10.0.0.1", SERVER, &[0; 12]),
            packet(GRE, "10.0.0.1", SERVER, &[0, 0, 8, 0, 1, 2, 3, 4]),
        ];
        let mut init = [&ports(4000, 2905)[..], &[0; 8]].concat();
        init.extend([1, 0, 0, 20, 0, 0, 0, 9, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 1]);
        subjects.push(packet(SCTP, "10.0.0.1", SERVER, &init));
        // UDP without a checksum stays without.
        let mut bare = udp(("10.0.0.1", 4001), (SERVER, 53), b"bare");
        bare[26..28].fill(0);
        subjects.push(bare);
        for subject in subjects {
            let left = both.send(&subject).expect("it leaves");
            for length in [left.len(), 40, 32, 28, 26, 24, 22] {
                let quoted = left.get(..length).unwrap_or(&left);
                for head in [[3, 1, 0, 0, 0, 0, 0, 0], [11, 0, 0, 0, 0, 0, 0, 0]] {
                    both.send(&icmp("192.0.2.7", PUBLIC, head, quoted));
                }
            }
            // Redirects of what is translated go nowhere, nor do errors with a wrong checksum.
            both.send(&icmp("192.0.2.7", PUBLIC, [5, 1, 0, 0, 192, 0, 2, 9], &left));
            let mut wrong = icmp("192.0.2.7", PUBLIC, [3, 1, 0, 0, 0, 0, 0, 0], &left);
            wrong[22] ^= 1;
            both.send(&wrong);
        }
    });
}

#[test]
fn a_port_forward_with_hairpin() {
    let rules = format!(
        "-A PREROUTING -d {PUBLIC}/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.80:8080\n\
         -A PREROUTING -d {PUBLIC}/32 -p udp -j DNAT --to-destination 10.0.0.80:2000-2010/53\n\
         -A POSTROUTING -s 10.0.0.0/8 -d 10.0.0.0/8 -j MASQUERADE\n\
         -A POSTROUTING -o eth1 -j MASQUERADE --random\n"
    );
    Both::run(&rules, |both| {
        for client in ["10.0.0.5", "192.0.2.5"] {
            let syn =
                both.send(&tcp((client, 4000), (PUBLIC, 80), SYN, [1, 0])).expect("it leaves");
            let (address, port) = sender(&syn);
            let back = tcp(("10.0.0.80", 8080), (&address, port), SYN | ACK, [7, 2]);
            let back = both.send(&back).expect("it comes back");
            assert_eq!(sender(&back), (PUBLIC.to_owned(), 80));
            both.send(&tcp((client, 4000), (PUBLIC, 80), ACK, [2, 8]));
            // What is too big on the way, and who says so.
            both.send(&icmp("10.0.0.81", &address, [3, 4, 0, 0, 0, 0, 5, 0], &syn));
            for asked in [53, 60, 70] {
                let question = udp((client, 4000), (PUBLIC, asked), b"question");
                let sent = both.send(&question).expect("it leaves");
                both.send(&answer(&sent));
            }
        }
        // One that the router itself says: the time is up, seen from before the translation.
        let mut late = udp(("192.0.2.5", 4000), (PUBLIC, 53), b"late");
        late[8] = 1;
        checksum::fill_ipv4_header(&mut late);
        both.send(&late);
    });
}

#[test]
fn to_the_host_itself_and_network_by_network() {
    let rules = "-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128-3130\n\
         -A PREROUTING -p udp -j REDIRECT\n\
         -A PREROUTING -i eth1 -d 203.0.113.0/24 -j NETMAP --to 10.7.7.0/24\n\
         -A INPUT -s 10.0.0.0/24 -p tcp -j SNAT --to-source 192.0.2.1-192.0.2.99:1000-1001\n\
         -A POSTROUTING -o eth1 -s 10.7.7.0/24 -j NETMAP --to 203.0.113.0/24\n\
         -A POSTROUTING -o eth1 -j SNAT --to-source 203.0.113.250-203.0.113.254 --persistent\n";
    Both::run(rules, |both| {
        for number in 1..=9 {
            let client = format!("10.0.0.{number}");
            for port in [3128, 4000] {
                both.send(&tcp((&client, port), (SERVER, 80), SYN, [1, 0]));
            }
            both.send(&udp((&client, 4000), (SERVER, 53), b"a"));
            both.send(&packet(89, &client, SERVER, &[0; 8]));
            both.send(&packet(90, &client, "198.51.100.9", &[0; 8]));
        }
        let out = both.send(&packet(89, "10.7.7.9", SERVER, &[0; 8])).expect("it leaves");
        assert_eq!(out[12..16], [203, 0, 113, 9]);
        let back = both.send(&packet(89, SERVER, "203.0.113.9", &[0; 8])).expect("it comes back");
        assert_eq!(back[16..20], [10, 7, 7, 9]);
        let new = both.send(&packet(90, SERVER, "203.0.113.77", &[0; 8])).expect("it comes in");
        assert_eq!(new[16..20], [10, 7, 7, 77]);
    });
}

/// The transfer comes from another port of the server, and finds the client.
#[test]
fn a_tftp_transfer_follows_its_request() {
    let rules = format!(
        "-A PREROUTING -d {PUBLIC}/32 -p udp -m udp --dport 69 -j DNAT --to-destination 10.0.0.80\n\
         -A POSTROUTING -o eth1 -p udp -m udp --dport 69 -j SNAT --to-source {PUBLIC}:7000\n\
         -A POSTROUTING -j SNAT --to-source 192.0.2.200\n"
    );
    Both::run(&rules, |both| {
        for (client, server) in [("10.0.0.5", SERVER), ("192.0.2.5", PUBLIC)] {
            let request = udp((client, 4000), (server, 69), b"\0\x01file\0octet\0");
            let sent = both.send(&request).expect("it leaves");
            let seen = sender(&sent);
            let reached = answer(&sent);
            let from = std::net::Ipv4Addr::new(reached[12], reached[13], reached[14], reached[15]);
            let from = from.to_string();
            let data = udp((&from, 5000), (&seen.0, seen.1), b"\0\x03\0\x01data");
            let data = both.send(&data).expect("it finds the client");
            assert_eq!(sender(&data), (server.to_owned(), 5000));
            both.send(&udp((client, 4000), (server, 5000), b"\0\x04\0\x01"));
        }
    });
}

/// As many connections to one server as there are ports, from as many clients with the same one. Either
/// router draws for itself: nearly all find a port, no two the same; once they have gone, all ports are there
/// again.
#[test]
fn ports_run_out_as_they_do_in_the_kernel() {
    const LOWEST: usize = 1024;
    const PORTS: usize = 65_536 - LOWEST;
    let rules = format!("-A POSTROUTING -o eth1 -j SNAT --to-source {PUBLIC}\n");
    let buckets = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_buckets");
    let buckets = buckets.ok().and_then(|text| text.trim().parse::<usize>().ok());
    if buckets.is_some_and(|buckets| buckets < PORTS) {
        eprintln!(
            "skipped: the kernel's table is too small to hold so many (nf_conntrack_buckets)"
        );
        return;
    }
    Both::run(&rules, |both| {
        for (name, value) in [("nf_conntrack_udp_timeout", "600"), ("nf_conntrack_events", "0")] {
            both.kernel.set_sysctl(name, value).expect("a sysctl");
            both.model.set_sysctl(name, value).expect("a sysctl");
        }
        for asked in [65_536, 2_000] {
            let mut served = [vec![false; 65_536], vec![false; 65_536]];
            for number in 0..asked {
                let client = std::net::Ipv4Addr::from(0x0a00_0000 + number + 1).to_string();
                let packet = udp((&client, 4000), (SERVER, 53), b"");
                let kernel = both.kernel.push(Side::A, Family::V4, &packet).expect("push");
                let ours = both.model.push(Side::A, Family::V4, &packet);
                for (served, seen) in served.iter_mut().zip([&kernel, &ours]) {
                    let Some(sent) = seen.out.first() else { continue };
                    let (_, port) = sender(&sent.bytes);
                    let before = std::mem::replace(&mut served[usize::from(port)], true);
                    assert!(!before && usize::from(port) >= LOWEST, "{port}");
                }
            }
            let [kernels, ours] = served.map(|served| served.iter().filter(|one| **one).count());
            println!("of {asked} the kernel served {kernels}, keepstate {ours}");
            let all = PORTS.min(asked as usize);
            assert!(ours.abs_diff(kernels) <= all / 100 && ours >= all - all / 50);
            assert_eq!(both.kernel.connections().expect("dump").len(), kernels);
            assert_eq!(both.model.connections().len(), ours);
            both.kernel.flush().expect("flush");
            both.model.flush();
            let table = both.model.table();
            assert_eq!((table.count(), table.kept_beside_count()), (0, 0));
        }
        both.draw_alike = false;
    });
}

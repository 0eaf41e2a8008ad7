//! Telephones behind a gateway, by the engine and by the kernel, packet by packet: what they say to servers
//! outside and to each other, few ports, so that their calls meet. Skips where no namespace may be made.

use keepstate_conntrack::Tuple;
use keepstate_conntrack::event::EventKind;
use keepstate_oracle::compare;
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::model::Model;
use keepstate_oracle::namespace;
use keepstate_oracle::observation::Side;
use keepstate_packet::{Family, Parsed, checksum};

const PUBLIC: &str = "203.0.113.1";
const PHONES: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const SERVERS: [&str; 2] = ["198.51.100.1", "198.51.100.2"];
const PORTS: [u16; 6] = [4000, 4002, 4004, 4006, 5060, 5070];
/// Packets of one gateway.
const STEPS: usize = 700;

/// An address and a port.
type Place = (String, u16);

/// Both routers, and who drives them.
struct Gateway {
    kernel: Kernel,
    model: Model,
    random: Numbers,
    cseq: u32,
    /// What has left that can be answered: as it was sent, and as it left.
    left: Vec<[Place; 2]>,
    expected: Vec<Tuple>,
}

/// A generator of numbers from a seed (Knuth's multiplier).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

impl Gateway {
    /// Under these rules of table nat and parameters of the helper.
    fn run(seed: u64, nat: &str, parameters: &[(&str, &str)], work: impl FnOnce(&mut Self) + Send) {
        let chains = ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"];
        let chains: String = chains.iter().map(|name| format!(":{name} ACCEPT [0:0]\n")).collect();
        let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                   -A PREROUTING -p udp -m udp --dport 5060 -j CT --helper sip\nCOMMIT\n";
        let rules = [format!("{raw}*nat\n{chains}{nat}COMMIT\n"), String::new()];
        let ran = namespace::with(|| {
            let inside = vec!["10.0.0.0/8".to_owned()];
            let config = Config { inside, is_silent: true, ..Config::default() };
            let mut kernel = Kernel::new(config)?;
            kernel.load_rules(Family::V4, &rules[0])?;
            for (name, value) in parameters {
                kernel.set_sysctl(name, value)?;
            }
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let sysctls: Vec<_> = parameters.iter().map(owned).collect();
            let model =
                Model::new(kernel.config(), &sysctls, &rules).map_err(std::io::Error::other)?;
            let random = Numbers(seed);
            let (left, expected) = (Vec::new(), Vec::new());
            let mut gateway = Self { kernel, model, random, cseq: 1, left, expected };
            work(&mut gateway);
            let kernel = gateway.kernel.connections()?;
            let differences = compare::tables(kernel, gateway.model.connections());
            assert!(differences.is_empty(), "{differences:#?}");
            Ok::<(), std::io::Error>(())
        });
        match ran {
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => eprintln!("skipped: {error}"),
        }
    }

    fn send(&mut self, from: &Place, to: &Place, payload: &[u8]) -> Option<Vec<u8>> {
        let packet = udp(from, to, payload);
        let side = if from.0.starts_with("10.") { Side::A } else { Side::B };
        let kernel = self.kernel.push(side, Family::V4, &packet).expect("push");
        self.model.foretell(&packet, &kernel, &[], &[]);
        let ours = self.model.push(side, Family::V4, &packet);
        let differences = compare::observations(&kernel, &ours);
        let said = String::from_utf8_lossy(payload);
        assert!(differences.is_empty(), "{from:?} > {to:?}\n{said}\n{differences:#?}");
        for event in &kernel.events {
            match event.kind {
                EventKind::ExpectNew => self.expected.push(event.snapshot.original),
                EventKind::ExpectDestroy => {
                    self.expected.retain(|expected| *expected != event.snapshot.original);
                }
                _ => {}
            }
        }
        let sent = ours.out.into_iter().next().map(|sent| sent.bytes)?;
        let seen = [place(&sent, 12, 20), place(&sent, 16, 22)];
        self.left.push(seen);
        Some(sent)
    }

    fn step(&mut self) {
        let known = self.left.len();
        match self.random.below(10) {
            0..4 => {
                let from = (self.random.pick(&PHONES).to_owned(), self.port_of_phone());
                let to = match self.random.below(6) {
                    0 => PUBLIC,
                    1 => self.random.pick(&PHONES),
                    _ => self.random.pick(&SERVERS),
                };
                let to = (to.to_owned(), 5060);
                let text = self.message(&from, &to);
                self.send(&from, &to, text.as_bytes());
            }
            4..7 if known > 0 => {
                // What the receiver has seen it answers, most of it lately.
                let late = self.random.below(known.min(12));
                let [from, to] = self.left[known - 1 - late].clone();
                let text = self.message(&to, &from);
                self.send(&to, &from, text.as_bytes());
            }
            7 | 8 if !self.expected.is_empty() => {
                let count = self.expected.len();
                let expected = self.expected[self.random.below(count)];
                let to =
                    (expected.destination.ip(Family::V4).to_string(), expected.destination_port);
                let all: Vec<&str> = PHONES.into_iter().chain(SERVERS).collect();
                let from = (self.random.pick(&all).to_owned(), self.random.pick(&PORTS));
                self.send(&from, &to, &[0x80; 12]);
            }
            _ => {
                let from = (self.random.pick(&SERVERS).to_owned(), 5060);
                let to = (PUBLIC.to_owned(), self.random.pick(&PORTS));
                let text = self.message(&from, &to);
                self.send(&from, &to, text.as_bytes());
            }
        }
    }

    fn port_of_phone(&mut self) -> u16 {
        self.random.pick(&[5060, 5060, 1024])
    }

    /// Somebody who can be named in the place of `own`.
    fn other(&mut self, own: &str) -> String {
        match self.random.below(8) {
            0 | 1 => PUBLIC.to_owned(),
            2 => self.random.pick(&PHONES).to_owned(),
            _ => own.to_owned(),
        }
    }

    fn message(&mut self, from: &Place, to: &Place) -> String {
        self.cseq += u32::from(self.random.below(3) == 0);
        let cseq = self.cseq;
        let method =
            self.random.pick(&["INVITE", "INVITE", "REGISTER", "REGISTER", "UPDATE", "BYE", "ACK"]);
        let is_answer = self.random.below(2) == 0;
        let (start, via) = match is_answer {
            true => {
                let code = self.random.pick(&[200, 200, 200, 183, 404]);
                (format!("SIP/2.0 {code} Well"), to)
            }
            false => (format!("{method} sip:a@{}:{} SIP/2.0", to.0, to.1), from),
        };
        let via_port = if self.random.below(5) == 0 { 5070 } else { via.1 };
        let mut text = format!("{start}\r\nVia: SIP/2.0/UDP {}:{via_port};branch=z9", via.0);
        if self.random.below(2) == 0 {
            text += &format!(";received={};rport={}", to.0, to.1);
        }
        if self.random.below(4) == 0 {
            text += &format!(";maddr={}", from.0);
        }
        let contact = match is_answer && method == "REGISTER" {
            true => to,
            false => from,
        };
        let (host, port) = (self.other(&contact.0), contact.1);
        let port = if self.random.below(2) == 0 { port } else { self.random.pick(&PORTS) };
        text += &format!(
            "\r\nFrom: <sip:a@{}:{}>;tag=1\r\nTo: <sip:b@{}:{}>\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:a@{host}:{port}>;expires=60, <sip:{}:5070>\r\n",
            from.0, from.1, to.0, to.1, from.0
        );
        let mut body = String::new();
        if matches!(method, "INVITE" | "UPDATE" | "ACK") && self.random.below(5) > 0 {
            body = format!("v=0\r\no=- 1 1 IN IP4 {}\r\ns=-\r\n", from.0);
            body += &format!("c=IN IP4 {}\r\nt=0 0\r\n", self.other(&from.0));
            for _ in 0..=self.random.below(3) {
                let kind = self.random.pick(&["audio", "audio", "video", "image"]);
                body += &format!("m={kind} {} RTP/AVP 0\r\n", self.random.pick(&PORTS));
                if self.random.below(4) == 0 {
                    body += &format!("c=IN IP4 {}\r\n", self.other(&from.0));
                }
            }
        }
        text + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }
}

fn place(packet: &[u8], address: usize, port: usize) -> Place {
    let octets: [u8; 4] = packet[address..address + 4].try_into().expect("four octets");
    let number = u16::from_be_bytes([packet[port], packet[port + 1]]);
    (std::net::Ipv4Addr::from(octets).to_string(), number)
}

fn udp(from: &Place, to: &Place, payload: &[u8]) -> Vec<u8> {
    let octets = |text: &str| text.parse::<std::net::Ipv4Addr>().expect("an address").octets();
    let length = 28 + payload.len() as u16;
    let mut bytes = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 17, 0, 0];
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes.extend(octets(&from.0));
    bytes.extend(octets(&to.0));
    for half in [from.1, to.1, length - 20, 0] {
        bytes.extend(half.to_be_bytes());
    }
    bytes.extend(payload);
    checksum::fill_ipv4_header(&mut bytes);
    let parsed = Parsed::new(&bytes).expect("an IP packet");
    checksum::fill(&parsed, &mut bytes);
    bytes
}

const MEDIA: &str = "nf_conntrack_sip.sip_direct_media";
const SIGNALLING: &str = "nf_conntrack_sip.sip_direct_signalling";

#[test]
fn telephones_behind_a_gateway() {
    let gateways = [
        format!("-A POSTROUTING -o eth1 -p udp -j SNAT --to-source {PUBLIC}\n"),
        format!("-A POSTROUTING -s 10.0.0.1/32 -o eth1 -p udp -j SNAT --to-source {PUBLIC}\n"),
        format!(
            "-A PREROUTING -d {PUBLIC}/32 -p udp -m udp --dport 5060 -j DNAT --to-destination 10.0.0.1\n\
             -A POSTROUTING -p udp -j SNAT --to-source {PUBLIC}\n"
        ),
        format!(
            "-A PREROUTING -d {PUBLIC}/32 -p udp -j DNAT --to-destination 10.0.0.1\n\
             -A POSTROUTING -s 10.0.0.0/8 -d 10.0.0.0/8 -j SNAT --to-source 10.0.0.9\n\
             -A POSTROUTING -o eth1 -p udp -j MASQUERADE\n"
        ),
        "-A PREROUTING -s 10.0.0.0/8 -p udp -m udp --dport 5060 -j DNAT --to-destination 198.51.100.1\n"
            .to_owned(),
    ];
    let directs = [("0", "0"), ("0", "1"), ("1", "1"), ("1", "0")];
    for (seed, nat) in gateways.iter().enumerate() {
        for (more, (media, signalling)) in directs.iter().enumerate() {
            let seed = (seed * directs.len() + more) as u64;
            let parameters = [(MEDIA, *media), (SIGNALLING, *signalling)];
            Gateway::run(seed, nat, &parameters, |gateway| {
                for _ in 0..STEPS {
                    gateway.step();
                }
            });
        }
    }
}

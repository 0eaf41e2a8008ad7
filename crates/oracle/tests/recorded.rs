//! What helpers make of odd lines: `recorded/*.txt` holds what clients and servers said and what
//! Linux 6.18 made of it. The engine has to say the same, and as root on Linux the running kernel is
//! asked again. `KEEPSTATE_BLESS=1` writes down what it says.
//!
//! The first line of a file names the helper, protocol, port and family. Each other line is a
//! connection of its own: what is said, in turn, then ` => ` and what became of each packet. A
//! packet is `c:` or `s:` and what the client or the server says, `c-4:` so many bytes before the
//! place in the stream where it would be, `c+4:` so many behind; in the text, `\*N,TEXT;` stands for
//! N times the text. A packet passes (`P`) or is dropped (`D`); behind it, the ports that are
//! expected from then on.

use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::observation::{Fate, Side};
use keepstate_oracle::{model::Model, namespace};
use keepstate_packet::tcp::{ACK, PSH, SYN};
use keepstate_packet::{Family, Parsed, checksum};
use std::path::{Path, PathBuf};
use std::{env, fs};

const CLIENT: u16 = 20_001;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A file.
struct Recording {
    path: PathBuf,
    head: String,
    helper: String,
    protocol: u8,
    port: u16,
    family: Family,
    /// What is said, and what became of it.
    lines: Vec<(String, String)>,
}

/// Those who judge.
enum Judge {
    Engine(Box<Model>),
    Kernel(Box<Kernel>),
}

impl Judge {
    fn push(&mut self, side: Side, family: Family, packet: &[u8]) -> Fate {
        match self {
            Self::Engine(model) => model.push(side, family, packet).fate,
            Self::Kernel(kernel) => kernel.push(side, family, packet).expect("pushed").fate,
        }
    }

    fn expected(&mut self) -> Vec<u16> {
        let all = match self {
            Self::Engine(model) => model.table().expectations(model.now()),
            Self::Kernel(kernel) => kernel.expectations().expect("listed"),
        };
        let mut ports: Vec<u16> = all.iter().map(|one| one.original.destination_port).collect();
        ports.sort_unstable();
        ports
    }

    fn flush(&mut self) {
        match self {
            Self::Engine(model) => model.flush(),
            Self::Kernel(kernel) => kernel.flush().expect("flushed"),
        }
    }
}

impl Recording {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).expect("readable");
        let (head, rest) = text.split_once('\n').expect("a first line");
        let words: Vec<&str> = head.split(' ').collect();
        let [helper, protocol, port, family] = words[..] else { panic!("{head}: four words") };
        let split = |line: &str| {
            let (said, became) = line.split_once(" => ").unwrap_or((line, ""));
            (said.to_owned(), became.to_owned())
        };
        Self {
            helper: helper.to_owned(),
            protocol: if protocol == "tcp" { TCP } else { UDP },
            port: port.parse().expect("a port"),
            family: if family == "ipv6" { Family::V6 } else { Family::V4 },
            lines: rest.lines().map(split).collect(),
            head: head.to_owned(),
            path,
        }
    }

    fn rules(&self) -> [String; 2] {
        let protocol = if self.protocol == TCP { "tcp" } else { "udp" };
        let (port, helper) = (self.port, &self.helper);
        let text = format!(
            "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A PREROUTING -p {protocol} \
             -m {protocol} --dport {port} -j CT --helper {helper}\nCOMMIT\n"
        );
        match self.family {
            Family::V4 => [text, String::new()],
            Family::V6 => [String::new(), text],
        }
    }

    /// What becomes of a line.
    fn play(&self, judge: &mut Judge, said: &str) -> String {
        judge.flush();
        let mut next = [1000u32, 9000];
        if self.protocol == TCP {
            for (end, flags) in [(0, SYN), (1, SYN | ACK), (0, ACK)] {
                let packet = self.packet(end, next[end], next[1 - end], flags, b"");
                judge.push([Side::A, Side::B][end], self.family, &packet);
                next[end] += u32::from(flags & SYN != 0);
            }
        }
        let mut became = Vec::new();
        for part in said.split('\t') {
            let (who, text) = part.split_once(':').expect("who says it");
            let end = usize::from(who.starts_with('s'));
            let offset: i32 = who[1..].parse().unwrap_or(0);
            let text = unescaped(text);
            let sequence = next[end].wrapping_add_signed(offset);
            let packet = self.packet(end, sequence, next[1 - end], ACK | PSH, &text);
            let fate = judge.push([Side::A, Side::B][end], self.family, &packet);
            let passes = fate == Fate::Forwarded;
            if passes {
                next[end] = sequence.wrapping_add(text.len() as u32);
            }
            let ports: Vec<String> = judge.expected().iter().map(u16::to_string).collect();
            became.push(format!("{}{}", if passes { 'P' } else { 'D' }, ports.join(",")));
        }
        became.join(" ")
    }

    fn packet(&self, end: usize, sequence: u32, ack: u32, flags: u8, text: &[u8]) -> Vec<u8> {
        let ports = if end == 0 { [CLIENT, self.port] } else { [self.port, CLIENT] };
        let mut l4: Vec<u8> = ports.iter().flat_map(|port| port.to_be_bytes()).collect();
        if self.protocol == TCP {
            l4.extend(sequence.to_be_bytes());
            l4.extend(if flags & ACK == 0 { [0; 4] } else { ack.to_be_bytes() });
            l4.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        } else {
            l4.extend((8 + text.len() as u16).to_be_bytes());
            l4.extend([0, 0]);
        }
        l4.extend(text);
        let mut bytes = match self.family {
            Family::V4 => {
                let mut bytes = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, self.protocol, 0, 0];
                bytes[2..4].copy_from_slice(&(20 + l4.len() as u16).to_be_bytes());
                let mut ends = [[10, 1, 0, 2], [198, 51, 100, 2]];
                ends.rotate_left(end);
                bytes.extend(ends.concat());
                checksum::fill_ipv4_header(&mut bytes);
                bytes
            }
            Family::V6 => {
                let mut bytes = vec![0x60, 0, 0, 0, 0, 0, self.protocol, 64];
                bytes[4..6].copy_from_slice(&(l4.len() as u16).to_be_bytes());
                let mut ends: [[u8; 16]; 2] = ["fd00:a::2", "2001:b::2"]
                    .map(|text| text.parse::<std::net::Ipv6Addr>().expect("an address").octets());
                ends.rotate_left(end);
                bytes.extend(ends.concat());
                bytes
            }
        };
        bytes.extend(l4);
        let parsed = Parsed::new(&bytes).expect("a packet");
        checksum::fill(&parsed, &mut bytes);
        bytes
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let (kind, tail) = after.split_at(1);
        rest = tail;
        match kind {
            "n" => bytes.push(b'\n'),
            "r" => bytes.push(b'\r'),
            "t" => bytes.push(b'\t'),
            "0" => bytes.push(0),
            "x" => {
                bytes.push(u8::from_str_radix(&tail[..2], 16).expect("two digits"));
                rest = &tail[2..];
            }
            "*" => {
                let (repeated, tail) = tail.split_once(';').expect("an end");
                let (count, text) = repeated.split_once(',').expect("a text");
                bytes.extend(unescaped(text).repeat(count.parse().expect("a number")));
                rest = tail;
            }
            _ => panic!("{text}: \\{kind}"),
        }
    }
    bytes.extend(rest.as_bytes());
    bytes
}

fn recordings() -> Vec<Recording> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let entries = fs::read_dir(directory).expect("the recordings");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(Recording::read).collect()
}

fn config() -> Config {
    let inside = ["10.0.0.0/8", "fd00:a::/32"].map(str::to_owned).to_vec();
    Config { inside, ..Config::default() }
}

#[test]
fn the_engine_says_what_was_recorded() {
    for recording in recordings() {
        let model = Model::new(&config(), &[], &recording.rules()).expect("a model");
        let mut judge = Judge::Engine(Box::new(model));
        for (said, became) in &recording.lines {
            assert_eq!(&recording.play(&mut judge, said), became, "{}: {said}", recording.helper);
        }
    }
}

#[test]
fn so_does_the_kernel() {
    let bless = env::var_os("KEEPSTATE_BLESS").is_some();
    let asked = namespace::with(|| {
        let mut kernel = match Kernel::new(config()) {
            Ok(kernel) => kernel,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        for recording in recordings() {
            for (family, rules) in [Family::V4, Family::V6].into_iter().zip(recording.rules()) {
                if !rules.is_empty() {
                    kernel.load_rules(family, &rules).expect("rules");
                }
            }
            let mut judge = Judge::Kernel(Box::new(kernel));
            let mut text = format!("{}\n", recording.head);
            for (said, became) in &recording.lines {
                let theirs = recording.play(&mut judge, said);
                assert!(bless || theirs == *became, "{}: {said}: {theirs}", recording.helper);
                text += &format!("{said} => {theirs}\n");
            }
            if bless {
                fs::write(&recording.path, text).expect("written");
            }
            let Judge::Kernel(back) = judge else { return };
            kernel = *back;
        }
    });
    if let Err(error) = asked {
        eprintln!("skipped: {error}");
    }
}

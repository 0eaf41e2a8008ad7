//! What rules name that an administrator makes beside them, and what goes beside the packet: accounting objects,
//! fingerprints of systems, rate estimators, copies that TEE sends. The kernel and the engine get the same rules
//! and packets. As root on Linux with nfacct and nfnl_osf; elsewhere it says why it is skipped.

mod pieces;

use keepstate_datapath::clock::SystemClock;
use keepstate_oracle::compare;
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::model::Model;
use keepstate_oracle::namespace;
use keepstate_oracle::observation::{Observation, Side};
use keepstate_packet::{Family, Parsed, checksum};
use keepstate_ruleset::matches::osf::fingerprints::{Fingerprint, Fingerprints, Window};
use pieces::piece;
use std::{fs, io, sync::Mutex, thread, time::Duration};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Runs `work` with a router of each make.
fn with_both(work: impl FnOnce(&mut Kernel, &mut Model) -> io::Result<()> + Send) {
    let config = Config::default();
    let mut model = Model::new(&config, &[], &[String::new(), String::new()]).expect("a model");
    let ran = namespace::with(|| {
        let mut kernel = Kernel::new(config)?;
        work(&mut kernel, &mut model)
    });
    if let Ok(Err(error)) | Err(error) = ran {
        println!("skipped: {error}");
    }
}

/// A file of one family, each built-in chain of its tables with its policy, so that counters are there.
fn load(kernel: &Kernel, model: &mut Model, family: Family, rules: &[&str]) -> io::Result<()> {
    let mut text = String::new();
    for table in ["raw", "mangle", "filter"] {
        let chains: &[&str] = match table {
            "raw" => &["PREROUTING", "OUTPUT"],
            "filter" => &["INPUT", "FORWARD", "OUTPUT"],
            _ => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
        };
        text += &format!("*{table}\n");
        text.extend(chains.iter().map(|chain| format!(":{chain} ACCEPT [0:0]\n")));
        let own = rules.iter().filter_map(|rule| rule.strip_prefix(table)?.strip_prefix(' '));
        text.extend(own.map(|rule| format!("{rule}\n")));
        text += "COMMIT\n";
    }
    kernel.load_rules(family, &text)?;
    model.load_rules(family, &text).map_err(io::Error::other)
}

fn same_counters(kernel: &Kernel, model: &mut Model, family: Family, of: &str) -> io::Result<()> {
    let theirs = compare::saved_counters(&kernel.save_rules(family)?);
    let differences = compare::counters(&theirs, &model.counters(family));
    assert!(differences.is_empty(), "{of}: {differences:#?}");
    Ok(())
}

/// A packet of 10.1.0.1 or fd00:a::1 to an address beyond the router, or to the router itself.
fn packet(family: Family, own: bool, protocol: u8, ttl: u8, l4: &[u8]) -> Vec<u8> {
    let mut bytes = match family {
        Family::V4 => {
            let [high, low] = (20 + l4.len() as u16).to_be_bytes();
            let to = if own { [100, 127, 253, 1] } else { [198, 51, 100, 2] };
            let mut bytes = vec![0x45, 0x08, high, low, 0x12, 0x34, 0, 0, ttl, protocol, 0, 0];
            bytes.extend([10, 1, 0, 1]);
            bytes.extend(to);
            bytes
        }
        Family::V6 => {
            let [high, low] = (l4.len() as u16).to_be_bytes();
            let mut bytes = vec![0x60, 0, 0, 0, high, low, protocol, ttl];
            bytes.extend([0xfd, 0, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            let to: [u8; 16] = match own {
                true => [0xfd, 0x4d, 0x41, 0x54, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
                false => [0x20, 1, 0, 0xb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
            };
            bytes.extend(to);
            bytes
        }
    };
    bytes.extend(l4);
    if family == Family::V4 {
        checksum::fill_ipv4_header(&mut bytes);
    }
    let parsed = Parsed::new(&bytes).expect("an IP packet");
    checksum::fill(&parsed, &mut bytes);
    bytes
}

/// An answer to an echo request that nobody has made: the router itself says nothing to it.
fn echo_reply(family: Family, ttl: u8, length: usize) -> Vec<u8> {
    let (protocol, kind) = if family == Family::V4 { (1, 0) } else { (58, 129) };
    let mut icmp = vec![kind, 0, 0, 0, 0x12, 0x34, 0, 1];
    icmp.resize(8 + length, 7);
    packet(family, true, protocol, ttl, &icmp)
}

fn datagram(family: Family, ttl: u8, length: usize) -> Vec<u8> {
    let [high, low] = (8 + length as u16).to_be_bytes();
    let mut udp = vec![0x12, 0x34, 0x56, 0x78, high, low, 0, 0];
    udp.resize(8 + length, 7);
    packet(family, false, 17, ttl, &udp)
}

/// Everything that left, wherever it came from: side and bytes, what the kernel draws left out.
fn sent(observed: &Observation) -> Vec<(Side, Vec<u8>)> {
    let all = observed.out.iter().chain(&observed.generated);
    let mut all: Vec<_> = all
        .map(|sent| {
            let mut bytes = sent.bytes.clone();
            // The identification of an error, and the checksum over it.
            if bytes[0] >> 4 == 4 && bytes[9] == 1 {
                bytes[4..6].fill(0);
                bytes[10..12].fill(0);
            }
            (sent.side, bytes)
        })
        .collect();
    all.sort_by_key(|(side, bytes)| (*side as u8, bytes.clone()));
    all
}

/// Rules with TEE and others at which copies show, for gateways on both sides.
const TEES: [&[&str]; 14] = [
    &["mangle -A PREROUTING -j TEE --gateway B"],
    &["mangle -A FORWARD -j TEE --gateway B"],
    &["mangle -A POSTROUTING -j TEE --gateway A"],
    &["filter -A INPUT -j TEE --gateway B", "filter -A OUTPUT -j TEE --gateway A"],
    &["mangle -A PREROUTING -j TEE --gateway B --oif eth1", "mangle -A OUTPUT -o eth1"],
    &["mangle -A PREROUTING -j TEE --gateway B --oif none", "mangle -A OUTPUT -o eth1"],
    &["mangle -A PREROUTING -j TEE --gateway FAR", "mangle -A POSTROUTING -o eth1"],
    &[
        "mangle -A PREROUTING -j TEE --gateway A",
        "mangle -A PREROUTING -j TEE --gateway B",
        "mangle -A OUTPUT -j TEE --gateway B",
        "mangle -A POSTROUTING -j TEE --gateway B",
    ],
    &[
        "mangle -A PREROUTING -j MARK --set-mark 5",
        "mangle -A PREROUTING -j TEE --gateway B",
        "mangle -A PREROUTING -j MARK --set-mark 6",
        "mangle -A OUTPUT -m mark --mark 5",
        "mangle -A POSTROUTING -m mark --mark 5",
        "mangle -A POSTROUTING -m mark --mark 6",
        "mangle -A POSTROUTING -j TOS --set-tos 0x10",
    ],
    &[
        "mangle -A PREROUTING -j TEE --gateway B",
        "raw -A OUTPUT -m conntrack --ctstate UNTRACKED",
        "raw -A OUTPUT -j CT --zone 5",
        "mangle -A OUTPUT -m conntrack --ctstate UNTRACKED",
        "mangle -A OUTPUT -m conntrack --ctstate NEW",
        "mangle -A POSTROUTING -m conntrack --ctstate UNTRACKED",
        "mangle -A POSTROUTING -m conntrack --ctstate NEW",
    ],
    &["raw -A PREROUTING -j TEE --gateway B", "filter -A OUTPUT -j DROP"],
    &["raw -A PREROUTING -j TEE --gateway B", "filter -A OUTPUT -p udp -j REJECT"],
    &["mangle -A PREROUTING -j TEE --gateway B", "mangle -A PREROUTING -j DROP"],
    &["mangle -A PREROUTING -i eth0 -j TEE --gateway OWN", "filter -A OUTPUT -j DROP"],
];

#[test]
fn copies_go_where_the_kernel_sends_them() {
    with_both(|kernel, model| {
        let mut compared = 0;
        for family in FAMILIES {
            let gateways = match family {
                Family::V4 => [
                    ("gateway A", "gateway 100.127.253.2"),
                    ("gateway B", "gateway 100.127.254.2"),
                    ("gateway FAR", "gateway 203.0.113.77"),
                    ("gateway OWN", "gateway 100.127.254.1"),
                ],
                Family::V6 => [
                    ("gateway A", "gateway fd4d:4154:a::2"),
                    ("gateway B", "gateway fd4d:4154:b::2"),
                    ("gateway FAR", "gateway 2001:db8::77"),
                    ("gateway OWN", "gateway fd4d:4154:b::1"),
                ],
            };
            for rules in TEES {
                let rules: Vec<String> = rules
                    .iter()
                    .map(|rule| {
                        gateways.iter().fold((*rule).to_owned(), |rule, (name, address)| {
                            rule.replace(name, address)
                        })
                    })
                    .collect();
                let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
                load(kernel, model, family, &rules)?;
                for (own, ttl, length) in
                    [(false, 64, 0), (false, 2, 9), (false, 1, 5), (true, 64, 3), (true, 1, 1400)]
                {
                    let bytes = match own {
                        true => echo_reply(family, ttl, length),
                        false => datagram(family, ttl, length),
                    };
                    let theirs = kernel.push(Side::A, family, &bytes)?;
                    let ours = model.push(Side::A, family, &bytes);
                    let of = format!("{rules:?}, own {own}, TTL {ttl}");
                    assert_eq!(sent(&ours), sent(&theirs), "{of}");
                    compared += 1;
                }
                same_counters(kernel, model, family, &format!("{rules:?}"))?;
            }
        }
        println!("{compared} packets and what goes beside them are equal");
        Ok(())
    });
}

/// A copy of a datagram that came in pieces leaves in pieces.
#[test]
fn copies_of_pieces_go_in_pieces() {
    with_both(|kernel, model| {
        let mut number = 0;
        for chain in ["PREROUTING", "FORWARD", "POSTROUTING"] {
            let rule = format!("mangle -A {chain} -j TEE --gateway 100.127.253.2");
            load(kernel, model, Family::V4, &[&rule])?;
            for lengths in [[1400, 600], [600, 1400], [800, 800], [16, 8]] {
                number += 1;
                let [first, second] = lengths;
                for bytes in [
                    piece(Family::V4, number, 0, first, true),
                    piece(Family::V4, number, first, second, false),
                ] {
                    let theirs = kernel.push(Side::A, Family::V4, &bytes)?;
                    let ours = model.push(Side::A, Family::V4, &bytes);
                    assert_eq!(sent(&ours), sent(&theirs), "{rule} {lengths:?}");
                }
            }
            same_counters(kernel, model, Family::V4, &rule)?;
        }
        println!("{number} datagrams and their copies leave in the same pieces");
        Ok(())
    });
}

#[test]
fn accounting_objects_count_as_the_kernel_counts() {
    const OBJECTS: &str = "\
{ pkts = 0, bytes = 0 } = all;
{ pkts = 0, bytes = 0, quota = 3, mode = packet, overquota = no } = three;
{ pkts = 0, bytes = 0, quota = 100, mode = byte, overquota = no } = hundred;
{ pkts = 0, bytes = 0, quota = 0, mode = byte, overquota = no } = nothing;
{ pkts = 0, bytes = 0, quota = 400, mode = byte, overquota = no } = far;
";
    let rules: Vec<String> = ["all", "three", "hundred", "nothing", "far", "all"]
        .map(|name| format!("mangle -A FORWARD -m nfacct --nfacct-name {name}"))
        .into();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    with_both(|kernel, model| {
        kernel.load_accounts(OBJECTS)?;
        model.load_accounts(OBJECTS).map_err(io::Error::other)?;
        for family in FAMILIES {
            load(kernel, model, family, &rules)?;
            for length in [0, 1, 22, 23, 24, 300] {
                let bytes = datagram(family, 64, length);
                kernel.push(Side::A, family, &bytes)?;
                model.push(Side::A, family, &bytes);
                assert_eq!(model.save_accounts(), kernel.save_accounts()?, "{family:?} {length}");
                same_counters(kernel, model, family, &format!("{length} bytes"))?;
            }
        }
        println!("12 packets are counted alike");
        Ok(())
    });
}

/// A segment with these flags, window and options.
fn segment(flags: u8, window: u16, ttl: u8, dont_fragment: bool, options: &[u8]) -> Vec<u8> {
    let mut tcp = vec![0x12, 0x34, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0];
    tcp.extend([((20 + options.len()) as u8 / 4) << 4, flags]);
    tcp.extend(window.to_be_bytes());
    tcp.extend([0; 4]);
    tcp.extend(options);
    let mut bytes = packet(Family::V4, false, 6, ttl, &tcp);
    bytes[6] = if dont_fragment { 0x40 } else { 0 };
    checksum::fill_ipv4_header(&mut bytes);
    bytes
}

/// The kernel has one list of fingerprints for all: one test after the other.
static FINGERPRINTS_OF_ALL: Mutex<()> = Mutex::new(());

/// Names that no other file has.
const FINGERPRINTS: &str = "\
# for this test
S4:64:1:60:M*,S,T,N,W7:KsLinux:2.6::Linux
S4:63:1:60:M*,S,T,N,W9:KsOther:1.0:x y:one hop less
T2:64:1:44:M1460:@KsMtu:1::of MTUs
%8:255:0:48:M*,N,N,S:*KsModulo:2:sub:a multiple
*:128:1:48:M*,N,N,S:\t\tKsAny:XP:SP1:any window
0:128:1:40:.:KsBare:3::no options
";

#[test]
fn systems_are_recognised_as_the_kernel_recognises_them() {
    const NAMES: [&str; 7] =
        ["KsLinux", "KsOther", "KsMtu", "KsModulo", "KsAny", "KsBare", "KsNone"];
    let mut rules = Vec::new();
    for name in NAMES {
        for level in ["", " --ttl 0", " --ttl 1", " --ttl 2"] {
            rules.push(format!("mangle -A PREROUTING -p tcp -m osf --genre {name}{level}"));
        }
        rules.push(format!("mangle -A FORWARD -p tcp -m osf ! --genre {name} --ttl 1"));
    }
    for log in 0..3 {
        for level in 0..3 {
            rules.push(format!(
                "mangle -A PREROUTING -p tcp -m osf --genre KsNone --ttl {level} --log {log}"
            ));
        }
    }
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    with_both(|kernel, model| {
        let _alone = FINGERPRINTS_OF_ALL.lock();
        let _loaded = kernel.load_fingerprints(FINGERPRINTS)?;
        model.load_fingerprints(FINGERPRINTS).map_err(io::Error::other)?;
        load(kernel, model, Family::V4, &rules)?;
        let (mss, sack, nop, scale) = (&[2, 4, 5, 180][..], &[4, 2][..], &[1][..], &[3, 3, 7][..]);
        let time = &[8, 10, 0, 0, 0, 1, 0, 0, 0, 0][..];
        let options = [
            [mss, sack, time, nop, scale].concat(),
            [&[2, 4, 5, 120], sack, time, nop, scale].concat(),
            [mss, sack, time, scale, nop].concat(),
            [&[2, 3, 5, 180], sack, time, nop, &[3, 2, 7]].concat(),
            mss.to_vec(),
            [2, 4, 2, 0].to_vec(),
            [mss, nop, nop, sack].concat(),
            [mss, sack, nop, nop].concat(),
            Vec::new(),
        ];
        let windows = [0, 8, 9, 1104, 3000, 2976, 5600, 5840, 5792, 65_535];
        let mut compared = 0;
        for options in &options {
            for window in windows {
                for (flags, ttl, whole) in [
                    (2, 64, true),
                    (2, 63, true),
                    (0x12, 128, true),
                    (2, 255, false),
                    (16, 64, true),
                ] {
                    let bytes = segment(flags, window, ttl, whole, options);
                    let theirs = kernel.push(Side::A, Family::V4, &bytes)?;
                    let ours = model.push(Side::A, Family::V4, &bytes);
                    let of = format!("{options:?} {window} {flags} {ttl} {whole}");
                    assert_eq!(ours.logged, theirs.logged, "{of}");
                    compared += 1;
                }
            }
            same_counters(kernel, model, Family::V4, &format!("{options:?}"))?;
        }
        println!("{compared} segments are recognised alike");
        Ok(())
    });
}

/// A SYN that fits a fingerprint, with a window of so many segment sizes where it counts those.
fn fitting(one: &Fingerprint, size: u16) -> Vec<u8> {
    let [high, low] = size.to_be_bytes();
    let mut options = Vec::new();
    for wanted in &one.options {
        let option: &[u8] = match wanted.kind {
            2 => &[2, 4, high, low],
            3 => &[3, 3, 9],
            4 => &[4, 2],
            8 => &[8, 10, 0, 0, 0, 1, 0, 0, 0, 0],
            ref kind => std::slice::from_ref(kind),
        };
        assert_eq!(option.len(), usize::from(wanted.length));
        options.extend(option);
    }
    let size = u32::from(size);
    let window = match one.window {
        Window::Plain(window) => window,
        Window::SegmentSizes(count) => count * size,
        Window::Mtus(count) => count * (size + 40),
        Window::Multiple(of) => of * 3,
    };
    segment(0x02, window as u16, one.ttl, one.dont_fragment, &options)
}

/// The file that nftables brings: each of its systems is recognised by both, and as the same ones.
#[test]
fn the_fingerprints_of_others_are_read_as_the_kernels_tool_reads_them() {
    let Ok(file) = fs::read_to_string("/usr/share/doc/nftables/examples/pf.os") else {
        return println!("skipped: no pf.os");
    };
    let mut read = Fingerprints::default();
    read.load(&file).expect("fingerprints");
    let rules: Vec<String> = [(0, 0), (1, 0), (2, 0), (2, 1)]
        .map(|(ttl, log)| {
            format!("mangle -A PREROUTING -p tcp -m osf --genre none --ttl {ttl} --log {log}")
        })
        .into();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    with_both(|kernel, model| {
        let _alone = FINGERPRINTS_OF_ALL.lock();
        let _loaded = kernel.load_fingerprints(&file)?;
        model.load_fingerprints(&file).map_err(io::Error::other)?;
        load(kernel, model, Family::V4, &rules)?;
        let (mut compared, mut lines) = (0, 0);
        for one in read.iter() {
            // Options that are no whole words fill no header.
            let length: usize = one.options.iter().map(|option| usize::from(option.length)).sum();
            if !length.is_multiple_of(4) || length > 40 {
                continue;
            }
            for size in [1460, 1400] {
                let bytes = fitting(one, size);
                let theirs = kernel.push(Side::A, Family::V4, &bytes)?;
                let ours = model.push(Side::A, Family::V4, &bytes);
                assert_eq!(ours.logged, theirs.logged, "{one:?}");
                compared += 1;
                lines += ours.logged.len();
            }
        }
        same_counters(kernel, model, Family::V4, "pf.os")?;
        println!("{compared} segments of {} systems, {lines} lines alike", read.iter().count());
        Ok(())
    });
}

/// The kernel's intervals begin when the rules are loaded, the engine's with the first packet: what is asked
/// in the middle of both is the same.
#[test]
fn rates_are_measured_as_the_kernel_measures_them() {
    let made = "mangle -A PREROUTING -p udp -j RATEEST --rateest-name NAME --rateest-interval 1s \
                --rateest-ewmalog TIME";
    let made = [("a", "2s"), ("b", "5s")]
        .map(|(name, time)| made.replace("NAME", name).replace("TIME", time));
    let mut rules: Vec<String> = made.into();
    // 40 packets of 128 bytes in the second: 20 and 10 packets a second after it, 10 and 7 after two.
    for count in [4, 5, 6, 7, 8, 9, 10, 11, 12, 19, 20, 21] {
        for (name, how) in [("a", "lt"), ("a", "eq"), ("b", "gt"), ("b", "eq")] {
            for what in [format!("pps {count}"), format!("bps {}bps", count * 128)] {
                rules.push(format!(
                    "filter -A FORWARD -p tcp -m rateest --rateest {name} --rateest-{how} --rateest-{what}"
                ));
            }
        }
        rules.push(format!(
            "filter -A FORWARD -p tcp -m rateest --rateest-delta --rateest a --rateest-pps1 {count} \
             --rateest-gt --rateest-pps2 1"
        ));
    }
    for how in ["lt", "gt", "eq"] {
        rules.push(format!(
            "filter -A FORWARD -p tcp -m rateest --rateest1 a ! --rateest-{how} --rateest2 b --rateest-bps"
        ));
    }
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    with_both(|kernel, model| {
        load(kernel, model, Family::V4, &rules)?;
        let clock = SystemClock::start();
        let bytes = datagram(Family::V4, 64, 100);
        thread::sleep(Duration::from_millis(100));
        model.advance(Duration::from_millis(100));
        for _ in 0..40 {
            kernel.push(Side::A, Family::V4, &bytes)?;
            model.push(Side::A, Family::V4, &bytes);
        }
        let asks = segment(0x02, 1000, 64, true, &[]);
        for second in 0..5_u64 {
            let at = Duration::from_millis(600 + 1000 * second);
            thread::sleep(at.saturating_sub(clock.elapsed()));
            if clock.elapsed() > at + Duration::from_millis(300) {
                println!("skipped: the machine is too busy to measure rates");
                return Ok(());
            }
            model.advance(Duration::from_millis(if second == 0 { 500 } else { 1000 }));
            kernel.push(Side::A, Family::V4, &asks)?;
            model.push(Side::A, Family::V4, &asks);
            same_counters(kernel, model, Family::V4, &format!("after {at:?}"))?;
        }
        println!("rates are the same after 0 to 4 intervals");
        Ok(())
    });
}

//! Matches and targets that no field of the diagrams stands for, and those of extension headers.

use super::{Draw, Pools, network, not};
use keepstate_packet::Family;

/// What a rule is drawn for.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) family: Family,
    pub(super) table: &'a str,
    /// A built-in chain.
    pub(super) base: &'a str,
    /// Its `-p`, where it is not inverted.
    pub(super) protocol: &'a str,
    /// Only what the packet's own bytes say may be asked.
    pub(super) is_of_packet: bool,
}

/// Of [`further`]: what the bytes of a packet say, or what counts and draws.
const OF_PACKET: [u64; 12] = [6, 10, 11, 13, 14, 15, 19, 20, 21, 23, 26, 26];

impl Place<'_> {
    fn comes_in(self) -> bool {
        matches!(self.base, "PREROUTING" | "INPUT" | "FORWARD")
    }

    fn goes_out(self) -> bool {
        matches!(self.base, "OUTPUT" | "POSTROUTING" | "FORWARD")
    }
}

/// Matches that need no protocol; empty where the one that was drawn does not stand there.
pub(super) fn further(draw: &mut Draw, place: Place<'_>, pools: &mut Pools) -> String {
    let not = not(draw);
    let v4 = place.family == Family::V4;
    let which = match place.is_of_packet {
        true => draw.pick(&OF_PACKET),
        false => draw.below(26),
    };
    match which {
        0 => {
            format!("-m addrtype {not}--dst-type {} ", draw.of(&["LOCAL", "BROADCAST", "UNICAST"]))
        }
        1 => format!("-m connmark {not}--mark {:#x}/{:#x} ", draw.below(4), draw.below(8)),
        2 => format!("-m connlabel {not}--label {} ", draw.below(4)),
        3 if place.table != "raw" => conntrack(draw, place.family, pools),
        4 => format!("-m helper {not}--helper {} ", draw.of(&["ftp", "sip", "tftp"])),
        5 if place.comes_in() => {
            format!("-m physdev {not}--physdev-in {} ", draw.of(&["eth0", "tap+"]))
        }
        6 if v4 => format!("{not}-f "),
        6 => format!("-m frag {} ", draw.of(&["--fragfirst", "--fragmore", "--fraglast"])),
        7 if matches!(place.base, "OUTPUT" | "POSTROUTING") => {
            format!("-m owner {not}--uid-owner {} ", draw.below(3))
        }
        8 if place.comes_in() => {
            format!("-m policy --dir in --pol {} ", draw.of(&["none", "ipsec"]))
        }
        8 if place.goes_out() => String::from("-m policy --dir out --pol none "),
        9 => format!("-m realm {not}--realm {:#x} ", draw.below(3)),
        10 => {
            let what = draw.of(&["--set", "--rcheck", "--update --seconds 60"]);
            format!("-m recent {not}{what} --name {} ", draw.of(&["one", "two"]))
        }
        11 => String::from("-m hashlimit --hashlimit-upto 1/hour --hashlimit-name h "),
        12 => format!("-m connlimit --connlimit-{} 3 ", draw.of(&["above", "upto"])),
        13 => format!("-m quota {not}--quota {} ", draw.below(200)),
        14 => format!("-m time --timestart {:02}:00 --timestop 23:00 ", draw.below(20)),
        15 => format!(
            "-m u32 {not}--u32 \"{}&0xff={:#x}\" ",
            draw.pick(&[2, 6, 12, 16]),
            draw.below(99)
        ),
        16 => format!("-m cpu {not}--cpu {} ", draw.below(3)),
        17 => format!("-m cgroup {not}--cgroup {} ", draw.below(3)),
        18 if place.base == "PREROUTING" && matches!(place.table, "raw" | "mangle") => {
            format!("-m rpfilter {}", draw.of(&["", "--loose ", "--invert "]))
        }
        19 => format!("-m statistic --mode nth {not}--every 2 --packet {} ", draw.below(2)),
        20 => format!("-m ecn {not}--ecn-ip-ect {} ", draw.below(4)),
        21 => format!("-m dscp {not}--dscp-class {} ", draw.of(&["CS1", "AF11", "EF", "BE"])),
        22 => format!(
            "-m connbytes {not}--connbytes 100:200 --connbytes-dir both --connbytes-mode packets "
        ),
        23 if !v4 => extension_header(draw),
        24 => format!(
            "-m devgroup {not}--{}-group 0x1 ",
            if place.comes_in() { "src" } else { "dst" }
        ),
        25 if place.comes_in() && matches!(place.table, "raw" | "mangle") => {
            String::from("-m socket ")
        }
        _ => String::new(),
    }
}

/// What tracking knows beside the state.
fn conntrack(draw: &mut Draw, family: Family, pools: &mut Pools) -> String {
    let not = not(draw);
    let asked = match draw.below(6) {
        0 => format!(
            "--ctstatus {}",
            draw.of(&["ASSURED", "SEEN_REPLY", "EXPECTED,CONFIRMED", "NONE"])
        ),
        1 => return format!("-m conntrack --ctdir {} ", draw.of(&["ORIGINAL", "REPLY"])),
        2 => format!("--ctorigdst {}", network(draw, family, pools)).replace("/255.0.3.255", ""),
        3 => format!("--ctproto {}", draw.of(&["6", "17", "47"])),
        4 => format!("--ctexpire {}:{}", draw.below(10), 100 + draw.below(1000)),
        _ => format!("--ctstate {}", draw.of(&["SNAT", "DNAT", "DNAT,NEW", "SNAT,ESTABLISHED"])),
    };
    format!("-m conntrack {not}{asked} ")
}

/// Of IPv6.
fn extension_header(draw: &mut Draw) -> String {
    let not = not(draw);
    match draw.below(5) {
        0 => format!("-m hbh {not}--hbh-len 8 "),
        1 => format!("-m dst {not}--dst-len 8 "),
        2 => {
            let names = draw.of(&["hop-by-hop", "dst", "frag", "none", "hop-by-hop,prot"]);
            let soft = if draw.one_in(2) { " --soft" } else { "" };
            format!("-m ipv6header {not}--header {names}{soft} ")
        }
        3 => format!("-m rt {not}--rt-type 0 "),
        _ => String::from("-m eui64 "),
    }
}

/// Matches of one protocol beside those of ports and flags.
pub(super) fn of_protocol(draw: &mut Draw, protocol: &str) -> String {
    let not = not(draw);
    match protocol {
        "tcp" => match draw.below(4) {
            0 => format!("-m tcpmss {not}--mss 536:1460 "),
            1 => format!("-m tcp {not}--tcp-option {} ", draw.pick(&[2, 3, 8])),
            2 => format!("-m ecn {not}--ecn-tcp-{} ", draw.of(&["cwr", "ece"])),
            _ => String::from("-m osf --genre Linux --ttl 2 "),
        },
        "sctp" => format!("-m sctp {not}--dport {} ", draw.pick(&[22, 80, 443])),
        "esp" => format!("-m esp {not}--espspi {}:7 ", draw.below(3)),
        "ah" => format!("-m ah {not}--ahspi {} ", draw.below(3)),
        "dccp" => format!("-m dccp {not}--dport 80 "),
        _ => String::new(),
    }
}

/// Targets of a table that write, or decide on what no field says; empty where the one that was drawn does not stand
/// there.
pub(super) fn target(draw: &mut Draw, place: Place<'_>) -> String {
    let (raw, mangle) = (place.table == "raw", place.table == "mangle");
    let tcp = place.protocol == "tcp";
    let first = matches!(place.base, "PREROUTING" | "OUTPUT");
    match draw.below(20) {
        0 if raw && first && tcp => String::from("-j CT --helper ftp"),
        1 if raw && first => format!("-j CT --zone {}", draw.below(3)),
        2 if raw => String::from("-j NOTRACK"),
        3 if raw => String::from("-j TRACE"),
        4 if !raw => {
            let what = ["--set-xmark 0x1/0x3", "--save-mark", "--restore-mark", "--or-mark 0x2"];
            format!("-j CONNMARK {}", draw.of(&what))
        }
        5 if mangle => format!("-j DSCP --set-dscp {:#x}", draw.below(3) * 8),
        6 if mangle && tcp => {
            format!(
                "-j ECN {}",
                draw.of(&["--ecn-tcp-remove", "--ecn-ip-ect 1", "--ecn-tcp-ece 0"])
            )
        }
        7 if mangle => {
            let name = if place.family == Family::V4 { "TTL --ttl" } else { "HL --hl" };
            format!("-j {name}-{} {}", draw.of(&["dec", "inc"]), draw.pick(&[1, 3, 255]))
        }
        8 if mangle => {
            format!("-j MARK --{}-mark {:#x}", draw.of(&["and", "or", "xor"]), draw.below(20))
        }
        9 if mangle && matches!(place.base, "FORWARD" | "OUTPUT" | "POSTROUTING") => {
            String::from("-j CLASSIFY --set-class 1:10")
        }
        10 if mangle && tcp => {
            let stripped = draw.of(&["wscale", "timestamp", "sack-permitted"]);
            format!("-j TCPOPTSTRIP --strip-options {stripped}")
        }
        11 if mangle && place.base == "PREROUTING" && matches!(place.protocol, "tcp" | "udp") => {
            String::from("-j TPROXY --on-port 3128 --tproxy-mark 0x1/0x1")
        }
        12 if mangle => String::from(
            "-j HMARK --hmark-tuple src,dst --hmark-mod 4 --hmark-rnd 0x1 --hmark-offset 8",
        ),
        13 if mangle => String::from("-j CHECKSUM --checksum-fill"),
        14 => format!("-j NFQUEUE --queue-num {}", draw.below(3)),
        15 => String::from("-j NFLOG --nflog-group 5"),
        16 => String::from("-j AUDIT --type accept"),
        17 if place.table == "filter" && tcp && place.base != "OUTPUT" => {
            String::from("-j SYNPROXY --sack-perm --mss 1460")
        }
        18 if mangle && tcp => {
            String::from("-m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400")
        }
        19 if mangle => {
            format!("-j TOS --{}-tos {:#x}", draw.of(&["and", "or", "xor"]), draw.below(64))
        }
        _ => String::new(),
    }
}

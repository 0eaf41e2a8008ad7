//! Real rule sets of thousands of rules with a mix of real traffic, through the engine and the kernel:
//! verdict, state, bytes and events of every packet, at the end all counters and connections.
//!
//! They are shared test material, as save files and as listings. Rules of the table nat are taken out
//! of both, since the engine does not walk it. `KEEPSTATE_PACKETS` says how many packets of the
//! capture; a short run is the default.

use keepstate_datapath::clock::SystemClock;
use keepstate_oracle::kernel::Config;
use keepstate_oracle::verify::{Setup, captures};
use keepstate_oracle::{describe, fuzz::report, observation::Side};
use keepstate_packet::Family;
use keepstate_ruleset::syntax::iptables_list::{is_column_head, read_chain_head, read_row};
use keepstate_ruleset::syntax::iptables_save::{Print, parse, print};
use std::path::{Path, PathBuf};
use std::{env, fs};

const TUM: &str = "net-network/configs_chair_for_Network_Architectures_and_Services__";
const CHEATING: &str = "Iptables_Semantics/thy__Iptables_Semantics__Examples__TUM_Net_Firewall__iptables_20.11.2013_cheating.derived";

/// Rule sets, by what follows the common beginning of their names, with the interfaces that most of
/// their rules name. A save file may stand beside one of the other family.
const RULESETS: [(&[&str], [&str; 2]); 10] = [
    (&["iptables_25.07.2014.derived"], ["eth1.96", "eth1.152"]),
    (&["iptables_25.07.2014.derived"], ["eth1.152", "eth1.1011"]),
    (&["iptables_20.10.2013.derived"], ["vlan96", "vlan152"]),
    (&["ip6tables-save-2016-03-16_13-53-28.derived"], ["eth1.96", "eth1.152"]),
    (
        &["iptables_25.07.2014.derived", "ip6tables-save-2016-03-16_13-53-28.derived"],
        ["eth1.110", "eth1.152"],
    ),
    (&[CHEATING], ["vlan110", "vlan96"]),
    (&["iptables_Lnv_25.07.2014"], ["eth1.96", "eth1.152"]),
    (&["iptables_Ln_29.11.2013"], ["eth0", "eth1"]),
    (&["ip6tables-Lnv-2016-03-16_13-53-28"], ["eth1.96", "eth1.152"]),
    (&["ip6tables-Ln-2016-03-16_13-53-28", "iptables_Ln_25.07.2014"], ["eth0", "eth1"]),
];

/// Timeouts that no run outlasts: a run takes minutes, and the kernel's collector comes when it sees fit.
const TIMEOUTS: [&str; 18] = [
    "udp_timeout",
    "udp_timeout_stream",
    "icmp_timeout",
    "icmpv6_timeout",
    "generic_timeout",
    "gre_timeout",
    "gre_timeout_stream",
    "tcp_timeout_syn_sent",
    "tcp_timeout_syn_recv",
    "tcp_timeout_fin_wait",
    "tcp_timeout_close_wait",
    "tcp_timeout_last_ack",
    "tcp_timeout_time_wait",
    "tcp_timeout_close",
    "tcp_timeout_max_retrans",
    "tcp_timeout_unacknowledged",
    "sctp_timeout_closed",
    "sctp_timeout_cookie_wait",
];

/// The least that a rule set has to have.
const RULES_MIN: usize = 1000;

fn shared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared")
}

fn family_of(name: &str) -> Family {
    if name.contains("ip6tables") { Family::V6 } else { Family::V4 }
}

/// A rule set without the table nat, in the form that both load, and without rules that iptables
/// 1.8.11 refuses.
fn read(name: &str) -> String {
    let path = if name == CHEATING { name.to_owned() } else { format!("{TUM}{name}") };
    let text = fs::read_to_string(shared().join("rulesets").join(path)).expect("readable");
    let family = family_of(name);
    let mut text = if text.starts_with('*') { text } else { of_listing(&text) };
    // Which packet a rate lets through hangs on microseconds of two clocks.
    text = text.replace("--limit 100/min", "--limit 1/day");
    if let Err(faults) = parse(&text, family) {
        let lines: Vec<usize> =
            faults.iter().map(|fault| text[..fault.span.start as usize].lines().count()).collect();
        for (fault, line) in faults.iter().zip(&lines) {
            println!("{name}:{line} left out: {}", fault.text);
        }
        let kept = (1..).zip(text.lines()).filter(|(number, _)| !lines.contains(number));
        text = kept.map(|(_, line)| format!("{line}\n")).collect();
    }
    let mut ruleset =
        parse(&text, family).unwrap_or_else(|faults| panic!("{name}: {:?}", faults.first()));
    ruleset.tables.retain(|table| table.name.as_str() != "nat");
    let printed = print(&ruleset, Print::default());
    let count = printed.lines().filter(|line| line.starts_with("-A")).count();
    assert!(count > RULES_MIN, "{name} has {count} rules");
    printed
}

/// A listing as a save file of the table filter. Rows that name what no rule can are left out: an
/// anonymised hardware address.
fn of_listing(text: &str) -> String {
    let heads = text.lines().filter_map(read_chain_head);
    let heads = heads.map(|(name, policy)| format!(":{name} {} [0:0]\n", policy.unwrap_or("-")));
    let heads: String = heads.collect();
    let (mut rules, mut chain, mut unread) = (String::new(), "", 0);
    for line in text.lines().filter(|line| !line.trim().is_empty() && !is_column_head(line)) {
        if let Some((name, _)) = read_chain_head(line) {
            chain = name;
            continue;
        }
        let rule = read_row(line).map(|row| format!("-A {chain} {}\n", row.save_words()));
        match rule.filter(|rule| !rule.contains("XX:XX")) {
            Some(rule) => rules += &rule,
            None => unread += 1,
        }
    }
    println!("{unread} rows left out");
    format!("*filter\n{heads}{rules}COMMIT\n")
}

#[test]
fn thousands_of_rules_and_a_busy_mix() {
    let capture = shared().join("captures-large/busy-mix.pcap.gz");
    if !capture.exists() || !shared().join("rulesets").exists() {
        println!("skipped: no shared test material");
        return;
    }
    let packets = env::var("KEEPSTATE_PACKETS").ok().and_then(|text| text.parse().ok());
    let only = env::var("KEEPSTATE_RULESET").ok().and_then(|text| text.parse::<usize>().ok());
    let mut different = 0;
    for (number, (names, interfaces)) in RULESETS.iter().enumerate() {
        if only.is_some_and(|only| only != number) {
            continue;
        }
        let mut rules = [String::new(), String::new()];
        for name in *names {
            rules[usize::from(family_of(name) == Family::V6)] = read(name);
        }
        let config = Config { interfaces: interfaces.map(str::to_owned), ..Config::default() };
        let owned = |name: &str, value: &str| (format!("nf_conntrack_{name}"), value.to_owned());
        let mut sysctls = TIMEOUTS.map(|name| owned(name, "40000")).to_vec();
        // When a connection of UDP is two seconds old hangs on microseconds as well.
        sysctls.push(owned("events", "0"));
        let packets_max = Some(packets.unwrap_or(2000));
        let setup = Setup { config, rules, sysctls, packets_max, ..Setup::default() };
        let clock = SystemClock::start();
        let mut shown = 0;
        let summary = captures(&setup, std::slice::from_ref(&capture), |report| {
            shown += 1;
            if shown <= 3 {
                println!("{names:?}: packet {:?}", report.packet);
                if let Some((bytes, kernel, ours)) = &report.seen {
                    println!("  {}", describe::packet(Side::A, bytes));
                    println!("  kernel {}\n  ours   {}", report::view(kernel), report::view(ours));
                }
                for one in report.differences.iter().take(5) {
                    println!("  {}: kernel {} ours {}", one.what, one.kernel, one.ours);
                }
            }
        });
        let summary = match summary {
            Ok(summary) => summary,
            Err(why) if number == 0 && why.kind() == std::io::ErrorKind::PermissionDenied => {
                println!("skipped: no network namespace ({why})");
                return;
            }
            Err(why) => panic!("{names:?}: {why}"),
        };
        let rate = summary.packets as f64 / clock.elapsed().as_secs_f64();
        println!("{names:?} {interfaces:?}: {summary:?}, {rate:.0} packets/s");
        different += summary.differences;
    }
    assert_eq!(different, 0);
}

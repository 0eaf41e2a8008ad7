//! The whole text of the main examples. `KEEPSTATE_BLESS=1 cargo test -p keepstate-analysis`
//! writes it anew; the difference is then to be read like any other change.

use keepstate_analysis::explain_text;
use keepstate_analysis::render::{Style, renderer};
use std::path::Path;

const EXAMPLES: &[(&str, &str)] = &[
    // The question that began it all, then ten lines of the kind that people paste.
    ("web-page-row", "ACCEPT     tcp  --             state RELATED,ESTABLISHED "),
    ("new-ssh", "-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT"),
    ("tcp-flags", "-A INPUT -p tcp --tcp-flags ALL NONE -j DROP"),
    (
        "limit",
        "iptables -A INPUT -p tcp --dport 22 --syn -m limit --limit 1/min --limit-burst 3 -j ACCEPT",
    ),
    (
        "recent",
        "iptables -A INPUT -p tcp --dport 22 -m state --state NEW -m recent --update --seconds 60 \
         --hitcount 4 --name SSH -j DROP",
    ),
    ("masquerade", "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE"),
    ("reject-all", "-A INPUT -j REJECT --reject-with icmp-host-prohibited"),
    ("return-in-chain", "-A LOGDROP -s 192.168.1.0/24 -j RETURN"),
    ("not-loopback", "-A INPUT ! -i lo -s 127.0.0.0/8 -j DROP"),
    (
        "ip6-neighbour",
        "ip6tables -A INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -m hl --hl-eq 255 -j \
         ACCEPT",
    ),
    ("icmp-related", "-A INPUT -p icmp -m conntrack --ctstate RELATED -j ACCEPT"),
    ("forward-invalid", "-A FORWARD -m state --state INVALID -j DROP"),
    ("ftp-helper", "-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp"),
    ("reject", "iptables -A INPUT -p tcp --dport 113 -j REJECT --reject-with tcp-reset"),
    (
        "conntrack-line",
        "tcp      6 431998 ESTABLISHED src=10.0.0.2 dst=10.0.0.1 sport=50804 dport=21 packets=5 \
         bytes=274 src=10.0.0.1 dst=10.0.0.2 sport=21 dport=50804 packets=4 bytes=269 [ASSURED] \
         mark=0 helper=ftp use=2",
    ),
    (
        "log-line",
        "FW: IN=eth0 OUT= MAC=02:00:00:00:00:02:02:00:00:00:00:01:08:00 SRC=203.0.113.9 \
         DST=192.0.2.10 LEN=60 TOS=0x00 PREC=0x00 TTL=52 ID=1234 DF PROTO=TCP SPT=34567 DPT=22 \
         WINDOW=29200 RES=0x00 SYN URGP=0",
    ),
];

#[test]
fn the_main_examples_read_as_they_should() {
    let text = renderer("text").expect("text is a format");
    let mut wrong = Vec::new();
    for (name, input) in EXAMPLES {
        let answer = explain_text(input).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = (text.render)(&answer, &Style::default());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
        if std::env::var_os("KEEPSTATE_BLESS").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let wanted = std::fs::read_to_string(&path).unwrap_or_default();
        if found != wanted {
            wrong.push(*name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?} differ; to accept: KEEPSTATE_BLESS=1 cargo test");
}

#[test]
fn text_stays_within_its_width_except_where_it_is_to_be_pasted() {
    let text = renderer("text").expect("text is a format");
    for (name, input) in EXAMPLES {
        let answer = explain_text(input).unwrap();
        let found = (text.render)(&answer, &Style::default());
        for line in found.lines().skip_while(|line| !line.starts_with("WHAT THIS IS")) {
            let pasted = line.starts_with("      ");
            let word = line.split("  ").any(|part| part.trim().len() > 40 && !part.contains(". "));
            let table = line.contains("accept") || line.contains("DROP") || line.contains("  <--");
            assert!(
                line.chars().count() <= 100 || pasted || (word && !table),
                "{name}: {} columns: {line}",
                line.chars().count()
            );
        }
    }
}

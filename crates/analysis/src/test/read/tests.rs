//! Test files that can be read, and everything that is told of those that cannot.

use super::*;
use crate::test::testing::Nowhere;
use crate::test::{Fate, What, expect::Expected};

const RULES: &str = "```rules\n*filter\n:INPUT DROP [0:0]\n:web - [0:0]\n-A INPUT -i eth0 -j web\n-A web -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n```\n";

fn suite(text: &str) -> Suite {
    read("t.md", text, &Nowhere).unwrap_or_else(|faults| {
        let told: Vec<_> = faults.iter().map(|fault| fault.render("t.md", text)).collect();
        panic!("{}", told.join("\n"))
    })
}

/// The faults of a file: the words underlined, and what is said of them.
fn faults(text: &str) -> Vec<(String, String)> {
    let faults = read("t.md", text, &Nowhere).expect_err(text);
    let told = |fault: Diagnostic| {
        let at = fault.span.start as usize..fault.span.end as usize;
        let help = fault.help.map(|help| format!(" | {help}")).unwrap_or_default();
        (text.get(at).expect("a place in the file").to_owned(), format!("{}{help}", fault.text))
    };
    faults.into_iter().map(told).collect()
}

#[test]
fn headings_name_tests_and_settings_hold_further_in() {
    let text = format!(
        "# Title\n\n{RULES}\nProse: of no interest.\n\n## One\n- Sysctl: `nf_conntrack_tcp_loose=0`\n\n### Inner\n\
         ```packets\nicmp 10.0.0.1 > 192.0.2.1 echo-request -> drop\n```\nmore\n```packets\n\
         +5s\nicmp 10.0.0.1 > 192.0.2.1 echo-request -> drop\n```\n## Two\n```packets\n\
         tcp-client 10.0.0.1 > 192.0.2.1 -> passes\n```\n"
    );
    let suite = suite(&text);
    let names: Vec<_> =
        suite.tests.iter().map(|test| (test.name.as_str(), test.items.len())).collect();
    assert_eq!(names, [("One / Inner", 2), ("Two", 1)]);
    let loose: Vec<_> = suite.setups.iter().map(|setup| setup.sysctls.tcp_loose).collect();
    assert_eq!(loose, [false, true], "the sysctl holds in its own section only");
    assert_eq!(suite.tests[0].items[1].wait, Duration::from_secs(5));
    assert_eq!(suite.tests[0].line, 17);
}

#[test]
fn expectations_are_read_with_their_places() {
    let line = "tcp 10.0.0.1:1 > 192.0.2.1:80 syn -> accept NEW original at FORWARD out eth1 by filter:web:1 \
                matches line 7 not by \"-A INPUT -i eth0 -j web\" from 10.0.0.1 to :80 untranslated mark=0x1 \
                ctmark=2 state=SYN_SENT helper=ftp log \"IN\" log any (seq-over) answer tcp RST ACK with \
                icmp-port-unreachable answer icmp 3/3 answer any answer udp local";
    let text = format!("# t\n{RULES}## x\n```packets\n{line}\n```\n");
    let suite = suite(&text);
    let What::Packet(_, expected) = &suite.tests[0].items[0].what else { panic!("a packet") };
    let texts: Vec<_> = expected.iter().map(|one| one.text.as_str()).collect();
    let behind: String = line
        .split(" -> ")
        .nth(1)
        .expect("an arrow")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(texts.join(" "), behind, "every word is of one expectation");
    for one in expected {
        let at = one.span.start as usize..one.span.end as usize;
        assert_eq!(text.get(at), Some(one.text.as_str()));
    }
    assert_eq!(expected.iter().filter(|one| one.not).count(), 1);
    assert!(expected.iter().any(|one| one.what == Expected::Log(None)));
}

#[test]
fn conversations_come_to_something() {
    let of = |line: &str| {
        let suite = suite(&format!("# t\n{RULES}## x\n```packets\n{line}\n```\n"));
        let item = suite.tests.into_iter().next().and_then(|test| test.items.into_iter().next());
        match item.map(|item| (item.times, item.what)) {
            Some((times, What::Conversation(one))) => (times, *one),
            other => panic!("{other:?}"),
        }
    };
    let (times, one) = of(
        "tcp-client 10.0.0.1:5 > 192.0.2.1:80 times=3 router=192.0.2.9 data=7 mark=0x2 icmp=3/1 flags=syn,ack \
         protocol=50 -> breaks at 2 drop; 1: accept NEW; 2: by filter:INPUT:policy",
    );
    assert_eq!((times, one.mark, one.parties.data_port, one.parties.protocol), (3, 2, 7, 50));
    assert_eq!((one.parties.client_port, one.parties.server_port), (5, 80));
    assert_eq!((one.parties.icmp, one.parties.flags), (Some((3, 1)), Some(0x12)));
    assert_eq!(
        one.fate.map(|(fate, told)| (fate, told.text)),
        Some((Fate::Breaks(2), "breaks at 2".to_owned()))
    );
    let packets: Vec<_> =
        one.packets.iter().map(|(number, one)| (*number, one.text.as_str())).collect();
    assert_eq!(packets, [(2, "drop"), (1, "accept"), (1, "NEW"), (2, "by filter:INPUT:policy")]);
    let (_, one) = of("ping-client 10.0.0.1 > 192.0.2.1 -> never begins drop");
    assert_eq!(one.fate.map(|(fate, _)| fate), Some(Fate::Breaks(1)));
    let (_, one) = of("ping-client 10.0.0.1 > 192.0.2.1 -> 2: ESTABLISHED");
    assert!(one.fate.is_none() && one.packets.len() == 1);
}

/// Lines of a block of packets, the words at fault, and what is said of them.
const LINES: [(&str, &str, &str); 45] = [
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn ->", "->", "nothing stands behind the arrow"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> acept", "acept", "did you mean `accept`?"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> NEEW", "NEEW", "did you mean `NEW`?"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> zzzzzzzzz", "zzzzzzzzz", "docs/tests.md"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> \"text\"", "\"text\"", "a text in quotes stands behind"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> not", "not", "an expectation is to stand behind it"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> at", "at", "a hook is to stand behind it"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> at FORWRD", "FORWRD", "no hook"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> out eth9", "eth9", "it has eth0, eth1"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> by", "by", "a rule is to stand behind it"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> by web:1", "web:1", "want TABLE:CHAIN:NUMBER"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> by nat:web:1", "nat:web:1", "have no table nat"),
    (
        "tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> by filter:wbe:1",
        "filter:wbe:1",
        "did you mean `filter:web:1`?",
    ),
    (
        "tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> by filter:web:2",
        "filter:web:2",
        "has no rule 2; it has 1",
    ),
    (
        "tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> by filter:web:x",
        "filter:web:x",
        "want a number or `policy`",
    ),
    (
        "tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> by filter:web:policy",
        "filter:web:policy",
        "has no policy",
    ),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> by line x", "x", "want the number of a line"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> by line 4", "4", "is no rule"),
    (
        "tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> by \"-A INPUT -j ACCEPT\"",
        "\"-A INPUT -j ACCEPT\"",
        "no such rule",
    ),
    (
        "udp [2001:db8::1]:1 > [2001:db8:1::1]:2 -> by filter:INPUT:1",
        "filter:INPUT:1",
        "no rules of ip6tables",
    ),
    (
        "tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> from 10.0.0",
        "10.0.0",
        "want ADDRESS, ADDRESS:PORT or :PORT",
    ),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> mark=", "mark=", "a value is to stand behind it"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> mark=x", "x", "not a number"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> log text", "text", "want a text in quotes, or `any`"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> log \"\"", "\"\"", "an empty text"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> (seq-ovr)", "(seq-ovr)", "did you mean `(seq-over)`?"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> answer arp", "arp", "want `any`, `tcp`"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> answer tcp", "tcp", "flags, such as `RST ACK`,"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> answer tcp TSR", "TSR", "no flag of TCP"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> answer icmp x", "x", "want TYPE/CODE"),
    (
        "tcp 10.0.0.1:1 > 192.0.2.1:2 syn -> with icmp-port",
        "icmp-port",
        "nothing that REJECT rejects with",
    ),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn in eth7 -> drop", "eth7", "no interface eth7"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 sny -> drop", "sny", "no word"),
    ("tcp 10.0.0.1:1 > 192.0.2.1 syn -> drop", "192.0.2.1", "want ADDRESS:PORT"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 \"syn -> drop", " ", "a quote without an end"),
    ("tcp 10.0.0.1:1 > 192.0.2.1:2 syn times=0 -> drop", "times=0", "want 1 to 10000 times"),
    ("+5x", "+5x", "want +NUMBER and ms, s, min, h or d"),
    ("tcp-clent 10.0.0.1 > 192.0.2.1 -> passes", "tcp-clent", "did you mean `tcp-client`?"),
    ("tcp-client 10.0.0.1", "10.0.0.1", "want tcp-client CLIENT[:PORT] > SERVER[:PORT]"),
    ("tcp-client 10.0.0.1 < 192.0.2.1 -> passes", "<", "want `>` between client and server"),
    ("tcp-client 10.0.0.1 > 2001:db8::1 -> passes", "2001:db8::1", "of different families"),
    ("tcp-client 10.0.0.1 > 10.0.0.1 -> passes", "10.0.0.1", "have the same address"),
    ("tcp-client 10.0.0.1 > 192.0.2.1 fast -> passes", "fast", "no word for a conversation"),
    (
        "tcp-client 10.0.0.1 > 192.0.2.1 router=::1 -> passes",
        "router=::1",
        "want an address of the same family",
    ),
    (
        "tcp-client 10.0.0.1 > 192.0.2.1 -> accept",
        "accept",
        "what a conversation comes to stands first",
    ),
];

/// The same of conversations.
const FATES: [(&str, &str, &str); 7] = [
    ("breaks at 99", "99", "want the number of one of its"),
    ("breaks at", "breaks", "what a conversation comes to stands first"),
    ("passes; drop", "drop", "want NUMBER: behind `;`"),
    ("passes; 0: drop", "0:", "want the number of one of its"),
    ("passes; 1:", "1:", "nothing is expected of it"),
    ("passes; 1: dorp", "dorp", "did you mean `drop`?"),
    ("never", "never", "what a conversation comes to stands first"),
];

#[test]
fn every_fault_of_a_line_has_its_place() {
    let fates = FATES
        .map(|(fate, at, said)| (format!("tcp-client 10.0.0.1 > 192.0.2.1 -> {fate}"), at, said));
    let lines = LINES.map(|(line, at, said)| (line.to_owned(), at, said));
    for (line, at, said) in lines.into_iter().chain(fates) {
        let text = format!(
            "# t\n{RULES}## x\n```packets\n{line}\nudp 10.0.0.1:1 > 192.0.2.1:2 -> drop\n```\n"
        );
        let faults = faults(&text);
        let [(place, told)] = faults.as_slice() else { panic!("{line}: {faults:?}") };
        assert!(told.contains(said), "{line}\n{told}");
        if at != " " {
            assert_eq!(place, at, "{line}\n{told}");
        }
    }
}

#[test]
fn every_fault_of_a_file_has_its_place() {
    let drop = "```packets\nudp 10.0.0.1:1 > 192.0.2.1:2 -> drop\n```\n";
    let with = |above: &str| format!("# t\n{RULES}{above}\n## x\n{drop}");
    for (text, at, said) in [
        ("".to_owned(), "", "there is no test in this file"),
        (format!("{RULES}{drop}"), "packets", "packets stand below a heading"),
        (format!("# t\n{drop}"), "packets", "no rules stand above this test"),
        (
            format!("# t\n{RULES}## x\n```packets\nudp 10.0.0.1:1 > 192.0.2.1:2\n```\n"),
            "packets",
            "nothing is expected",
        ),
        (format!("# t\n{RULES}## x\n```packets\n"), "```packets", "this block does not end"),
        (with("```packtes\nx\n```"), "packtes", "did you mean `packets`?"),
        (with("```conversation\nx\n```"), "conversation", "no block that tests are made of"),
        (with("Rules:"), "Rules", "nothing stands behind `Rules:`"),
        (with("Rules: none.rules"), "none.rules", "nowhere"),
        (with("Rules6: bad.rules"), "bad.rules", "bad.rules:2:4-8: error[KS"),
        (with("Host: none.toml"), "none.toml", "nowhere"),
        (with("Host: bad.toml"), "bad.toml", "bad.toml:1: no host"),
        (with("```host\nbad\n```"), "bad", "no host"),
        (with("Sysctl: nf_conntrack_tcp_loose"), "nf_conntrack_tcp_loose", "want NAME=VALUE"),
        (with("```sysctl\nnf_conntrack_loose=1\n```"), "nf_conntrack_loose=1", "no such sysctl"),
        (with("Sysctl: nf_conntrack_tcp_loose=x"), "nf_conntrack_tcp_loose=x", "not a value"),
        (with("Local: here"), "here", "want ADDRESS or ADDRESS/LENGTH"),
        (with("```local\n10.0.0.1/33\n```"), "10.0.0.1/33", "want ADDRESS or ADDRESS/LENGTH"),
        (with("Sets: none"), "none", "nowhere"),
        (with("```ipset\nmake x\n```"), "make x", "line 1 of the sets"),
        (with("Tracking: some"), "some", "want `always` or `needed`"),
        (with("Host answers: perhaps"), "perhaps", "want `yes` or `no`"),
        (
            format!("# t\n{RULES}## x\n{drop}Sysctl: nf_conntrack_tcp_loose=0\n"),
            "Sysctl",
            "stands below the packets",
        ),
        (format!("# t\n{RULES}## x\n{drop}{RULES}"), "rules", "stands below the packets"),
        (
            format!("# t\n```rules\n*filter\n-A INPUT -j ACEPT\nCOMMIT\n```\n## x\n{drop}"),
            "ACEPT",
            "did you mean",
        ),
        (
            format!(
                "# t\n```rules\n*filter\n-A INPUT -m set --match-set a src -j DROP\nCOMMIT\n```\n## x\n{drop}"
            ),
            "a",
            "there is no set a",
        ),
    ] {
        let faults = faults(&text);
        let [(place, told)] = faults.as_slice() else { panic!("{text}: {faults:?}") };
        assert!(told.contains(said), "{text}\n{told}");
        assert_eq!(place, at, "{text}\n{told}");
    }
}

#[test]
fn all_faults_are_told_and_their_line_is_shown() {
    let text = format!(
        "# t\n{RULES}## x\n```packets\nudp 10.0.0.1:1 > 192.0.2.1:2 -> dorp\nudp 1 > 2 -> drop\n```\n"
    );
    let faults = read("t.md", &text, &Nowhere).expect_err("two faults");
    let told: Vec<_> = faults.iter().map(|fault| fault.render("t.md", &text)).collect();
    assert_eq!(told.len(), 2);
    assert_eq!(
        told[0],
        "t.md:12:33-36: error[KS0703]: dorp: nothing that can be expected\n  \
         12 | udp 10.0.0.1:1 > 192.0.2.1:2 -> dorp\n     |                                 ^^^^\n  \
         help: did you mean `drop`?\n"
    );
}

#[test]
fn amounts_are_bounded() {
    let packet = "udp 10.0.0.1:1 > 192.0.2.1:2 -> drop\n";
    let test =
        |lines: usize| format!("# t\n{RULES}## x\n```packets\n{}```\n", packet.repeat(lines));
    assert_eq!(suite(&test(ITEMS_MAX)).tests[0].items.len(), ITEMS_MAX);
    let faults = faults(&test(ITEMS_MAX + 1));
    assert!(faults[0].1.contains("more than 2000 lines"), "{faults:?}");
    let many = |tests: usize| {
        format!("# t\n{RULES}{}", format!("## x\n```packets\n{packet}```\n").repeat(tests))
    };
    assert_eq!(suite(&many(TESTS_MAX)).tests.len(), TESTS_MAX);
    let faults = self::faults(&many(TESTS_MAX + 1));
    assert!(faults[0].1.contains("more than 10000 tests"), "{:?}", faults[0]);
    let long = " ".repeat(FILE_MAX + 1);
    let faults = read("t.md", &long, &Nowhere).expect_err("too long");
    assert!(faults[0].text.contains("at most 4194304 are read"), "{faults:?}");
    let faulty = "udp 10.0.0.1:1 > 192.0.2.1:2 -> dorp\n".repeat(FAULTS_MAX + 1);
    let faulty = format!("# t\n{RULES}## x\n```packets\n{faulty}```\n");
    assert_eq!(read("t.md", &faulty, &Nowhere).expect_err("faults").len(), FAULTS_MAX);
}

#[test]
fn the_page_of_the_form_names_every_conversation() {
    let page = include_str!("../../../../../docs/tests.md");
    for conversation in crate::conversation::LIBRARY {
        let name = if conversation.code == "tcp" { "tcp-client" } else { conversation.code };
        let row = format!("| `{name}` | {} |", conversation.title);
        assert!(page.contains(&row), "{row}");
        let ends = match conversation.speaks(keepstate_packet::Family::V4) {
            true => "10.0.0.1 > 192.0.2.1",
            false => "fd00::1 > 2001:db8::1",
        };
        let line = format!("{name} {ends} -> passes");
        suite(&format!("# t\n{RULES}## x\n```packets\n{line}\n```\n"));
    }
}

/// A file in TOML, with what it says below the rules.
fn in_toml(rest: &str) -> String {
    format!(
        "# tests\nrules = '''\n*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n-A FORWARD -i eth0 -j ACCEPT\nCOMMIT\n'''\n{rest}"
    )
}

#[test]
fn the_same_can_be_written_in_toml() {
    let text = in_toml(
        "sysctl = ['nf_conntrack_tcp_loose=0']\nhost-answers = true\n\n\
         [[test]]\nname = 'One'\npackets = '''\n# a comment\n+5s\n\
         icmp 10.0.0.1 > 192.0.2.1 echo-request -> accept by line 6\n'''\n\n\
         [[test]]\nname = \"Two\"\nsysctl = 'nf_conntrack_tcp_loose=1'\n\
         packets = ['tcp-client 10.0.0.1 > 192.0.2.1 -> passes', \"udp 10.0.0.1:1 > 192.0.2.1:2 -> accept\"]\n",
    );
    let suite = match read("t.toml", &text, &Nowhere) {
        Ok(suite) => suite,
        Err(faults) => panic!("{}", faults[0].render("t.toml", &text)),
    };
    let names: Vec<_> =
        suite.tests.iter().map(|test| (test.name.as_str(), test.items.len(), test.line)).collect();
    let line = |what: &str| text.lines().position(|line| line == what).expect(what) as u32 + 1;
    assert_eq!(names, [("One", 1, line("name = 'One'")), ("Two", 2, line("name = \"Two\""))]);
    let loose: Vec<_> = suite.setups.iter().map(|setup| setup.sysctls.tcp_loose).collect();
    assert_eq!(loose, [false, true]);
    assert!(suite.setups.iter().all(|setup| setup.host.answers_tcp));
    let What::Packet(_, expected) = &suite.tests[0].items[0].what else { panic!("a packet") };
    for one in expected {
        let at = one.span.start as usize..one.span.end as usize;
        assert_eq!(text.get(at), Some(one.text.as_str()));
    }
}

#[test]
fn faults_in_toml_have_their_places() {
    let packets = "packets = 'udp 10.0.0.1:1 > 192.0.2.1:2 -> drop'\n";
    for (rest, at, said) in [
        (format!("[[test]]\nname = 'x'\n{}", packets.replace("drop", "dorp")), "dorp", "`drop`"),
        (format!("[[test]]\n{packets}"), "", "no name"),
        ("[[test]]\nname = 'x'\n".to_owned(), "x", "no packets"),
        (format!("rulse = 'a'\n[[test]]\nname = 'x'\n{packets}"), "rulse", "`rules`"),
        (format!("[[test]]\nname = 'x'\nnmae = 'y'\n{packets}"), "nmae", "`name`"),
        ("[[test]]\nname = 'x'\npackets = 1\n".to_owned(), "1", "in quotes"),
        ("[[test]]\nname = 'x'\npackets = \"a\\tb\"\n".to_owned(), "\"a\\tb\"", "single quotes"),
        (format!("sysctl = 'no_such=1'\n[[test]]\nname = 'x'\n{packets}"), "no_such=1", "no such"),
        ("test = 'x'\n".to_owned(), "'x'", "[[test]]"),
        ("test = [1]\n".to_owned(), "1", "[[test]]"),
        ("[[test]\n".to_owned(), "", ""),
        (String::new(), "# tests", "no test"),
    ] {
        let text = in_toml(&rest);
        let faults = read("t.toml", &text, &Nowhere).expect_err(&text);
        let [fault] = faults.as_slice() else { panic!("{text}: {faults:?}") };
        let place = fault.span.start as usize..fault.span.end as usize;
        let place = text.get(place).expect("a place in the file");
        assert!(at.is_empty() || place == at, "{text}\n{place}");
        let help = fault.help.clone().unwrap_or_default();
        assert!(fault.text.contains(said) || help.contains(said), "{text}\n{fault:?}");
    }
}

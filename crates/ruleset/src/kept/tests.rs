use super::{Kept, Restore, Variant, ask};
use crate::labels::LabelNames;
use crate::model::Span;
use crate::syntax::iptables_save::words::Word;
use alloc::{string::String, vec::Vec};
use keepstate_packet::Family;

extern crate std;

/// Runs commands, separated by `;`, and gives what is printed, with the status of what is refused.
fn run(kept: &mut Kept, commands: &str) -> String {
    let mut out = String::new();
    for command in commands.split(';') {
        let words: Vec<Word> = command
            .split_whitespace()
            .map(|text| {
                let start = (text.as_ptr().addr() - command.as_ptr().addr()) as u32;
                let span = Span { start, end: start + text.len() as u32 };
                Word { text: text.into(), span, quoted: false }
            })
            .collect();
        let (family, variant) = (kept.family, kept.variant);
        let result = ask(&words, command, family, variant)
            .and_then(|asked| kept.apply(&asked, LabelNames::NONE, true));
        match result {
            Ok(text) => out.push_str(&text),
            Err(refusal) => {
                let text = refusal.text("iptables", variant, None, ("command", ""));
                let first = text.lines().next().unwrap_or("");
                out.push_str(&std::format!("{} {first}\n", refusal.status));
            }
        }
    }
    let again = Kept::read(&kept.text(), kept.family, kept.variant).expect("its own text");
    assert_eq!(again.text(), kept.text());
    out
}

fn nft() -> Kept {
    Kept::new(Family::V4, Variant::Nft)
}

fn legacy() -> Kept {
    Kept::new(Family::V4, Variant::Legacy)
}

#[test]
fn rules_are_put_found_and_taken_away() {
    let mut kept = nft();
    let out = run(
        &mut kept,
        "-A INPUT -p tcp --dport 22 -j ACCEPT; -I INPUT -s 10.0.0.1,10.0.0.2 -j DROP; \
         -I INPUT 3 -j LOG; -R INPUT 1 -j RETURN -c 4 5; -C INPUT --jump=LOG; -D INPUT 2; -vS INPUT",
    );
    assert_eq!(
        out,
        "-P INPUT ACCEPT -c 0 0\n\
         -A INPUT -c 4 5 -j RETURN\n\
         -A INPUT -c 0 0 -j LOG\n\
         -A INPUT -p tcp -m tcp --dport 22 -c 0 0 -j ACCEPT\n"
    );
    let out = run(&mut kept, "-D INPUT -p tcp --dport 22 -j ACCEPT; -D INPUT -j LOG,x; -S INPUT 2");
    assert_eq!(
        out,
        "2 iptables v1.8.11 (nf_tables): Chain 'LOG,x' does not exist\n-A INPUT -j LOG\n"
    );
}

#[test]
fn a_list_of_addresses_is_deleted_as_a_whole_or_not_at_all() {
    let mut kept = nft();
    let out = run(&mut kept, "-A INPUT -s 1.1.1.1,2.2.2.2; -D INPUT -s 1.1.1.1,9.9.9.9; -S INPUT");
    assert_eq!(
        out,
        "1 iptables: Bad rule (does a matching rule exist in that chain?).\n\
         -P INPUT ACCEPT\n-A INPUT -s 1.1.1.1/32\n-A INPUT -s 2.2.2.2/32\n"
    );
    assert_eq!(run(&mut kept, "-D INPUT -s 1.1.1.1,2.2.2.2; -S INPUT 1"), "");
}

#[test]
fn chains_are_made_renamed_and_deleted() {
    let mut kept = nft();
    let out =
        run(&mut kept, "-N b; -N a; -N a; -A INPUT -j a; -A b -g a; -E a z; -S; -X z; -F; -X; -S");
    assert_eq!(
        out,
        "1 iptables: Chain already exists.\n\
         -P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n-N b\n-N z\n-A INPUT -j z\n-A b -g z\n\
         4 iptables v1.8.11 (nf_tables):  CHAIN_DEL failed (Device or resource busy): chain z\n\
         -P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"
    );
    let mut kept = legacy();
    let out =
        run(&mut kept, "-N a; -A a; -X a; -A INPUT -j a; -X a; -X INPUT; -E INPUT x; -E a INPUT");
    assert_eq!(
        out,
        "1 iptables: Directory not empty.\n1 iptables: Too many links.\n\
         1 iptables: Invalid argument. Run `dmesg' for more information.\n\
         1 iptables: No chain/target/match by that name.\n1 iptables: File exists.\n"
    );
}

#[test]
fn what_is_refused_changes_nothing() {
    for (command, says) in [
        ("-A INPUT -j NOPE", "2 iptables v1.8.11 (nf_tables): Chain 'NOPE' does not exist"),
        ("-A NOPE -j DROP", "1 iptables: No chain/target/match by that name."),
        ("-D NOPE -j DROP", "1 iptables: Bad rule (does a matching rule exist in that chain?)."),
        ("-I INPUT 3 -j DROP", "1 iptables: Index of insertion too big."),
        ("-D INPUT 2", "1 iptables: Index of deletion too big."),
        ("-R INPUT 2 -j DROP", "1 iptables: Index of replacement too big."),
        ("-I INPUT 0", "2 iptables v1.8.11 (nf_tables): Invalid rule number `0'"),
        ("-P INPUT REJECT", "1 iptables: Bad policy name. Run `dmesg' for more information."),
        ("-P NOPE DROP", "1 iptables: Bad built-in chain name."),
        ("-P INPUT", "2 iptables v1.8.11 (nf_tables): -P requires a chain and a policy"),
        ("-E a", "2 iptables v1.8.11 (nf_tables): -E requires old-chain-name and new-chain-name"),
        ("-N ACCEPT", "2 iptables v1.8.11 (nf_tables): chain name may not clash with target name"),
        ("-N LOG", "2 iptables v1.8.11 (nf_tables): chain name may not clash with target name"),
        ("-F INPUT 1", "2 Bad argument `1'"),
        ("-L -n -f", "2 iptables v1.8.11 (nf_tables): Illegal option `-f' with this command"),
        ("-A INPUT -n", "2 iptables v1.8.11 (nf_tables): Illegal option `-n' with this command"),
        (
            "-D INPUT 1 -g x",
            "2 iptables v1.8.11 (nf_tables): Illegal option `-j' with this command",
        ),
        ("-A INPUT -D INPUT", "2 iptables v1.8.11 (nf_tables): Cannot use -D with -A"),
        ("-t nope -F", "3 iptables v1.8.11 (nf_tables): table 'nope' does not exist"),
        ("", "2 iptables v1.8.11 (nf_tables): no command specified"),
        ("-A INPUT -o e", "2 iptables v1.8.11 (nf_tables): Can't use -o with INPUT"),
        (
            "-A INPUT -j INPUT",
            "4 iptables v1.8.11 (nf_tables):  RULE_APPEND failed (Operation not supported): rule in chain INPUT",
        ),
        (
            "-I c -j c",
            "4 iptables v1.8.11 (nf_tables):  RULE_INSERT failed (Too many links): rule in chain c",
        ),
        ("-A INPUT -p ! tcp", "2 iptables v1.8.11 (nf_tables): unknown protocol \"!\" specified"),
        ("-A INPUT -s ! 1.1.1.1", "2 Bad argument `1.1.1.1'"),
        ("-6 -A INPUT", "2 Try `iptables -h' or 'iptables --help' for more information."),
    ] {
        let mut kept = nft();
        assert_eq!(run(&mut kept, "-N c; -A INPUT -j c"), "");
        let before = kept.text();
        assert_eq!(run(&mut kept, command), std::format!("{says}\n"), "{command}");
        assert_eq!(kept.text(), before, "{command}");
    }
}

#[test]
fn tables_come_to_be_as_the_variants_have_it() {
    let mut kept = nft();
    run(
        &mut kept,
        "-t nat -S; -t nat -F; -t nat -D OUTPUT -j DROP; -C INPUT; -D INPUT 1; -Z INPUT 1; -R INPUT 1",
    );
    assert_eq!(kept.text(), "");
    run(&mut kept, "-t nat -A OUTPUT; -t raw -P OUTPUT DROP; -N x");
    let names: Vec<_> = kept.order().into_iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["raw", "filter", "nat"]);
    let mut kept = legacy();
    run(&mut kept, "-t nat -F; -t raw -A OUTPUT; -N x");
    let names: Vec<_> = kept.order().into_iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["filter", "raw", "nat"]);
}

#[test]
fn counters_are_shown_and_set_to_zero() {
    let mut kept = nft();
    let out =
        run(&mut kept, "-A INPUT -c 7 8 -j DROP; -P INPUT DROP -c 1 2; -vS INPUT; -Z -vL INPUT 1");
    assert_eq!(
        out,
        "-P INPUT DROP -c 1 2\n-A INPUT -c 7 8 -j DROP\n    7     8 DROP       all  --  any    any     \
         anywhere             anywhere            \n"
    );
    assert_eq!(run(&mut kept, "-vS INPUT 1"), "-A INPUT -c 0 0 -j DROP\n");
}

fn restore(kept: &mut Kept, source: &str, how: Restore) -> Option<String> {
    let (_, result) = kept.restore(source, how, LabelNames::NONE);
    let text = |(refusal, line): (super::Refusal, _)| {
        let text = refusal.text("iptables-restore", kept.variant, line, ("-", source));
        let first = text.lines().next().unwrap_or("");
        std::format!("{} {first}", refusal.status)
    };
    result.err().map(text)
}

#[test]
fn a_file_is_taken_table_by_table() {
    let file = "*filter\n:INPUT DROP [5:6]\n:x - [0:0]\n[1:2] -A INPUT -j x\nCOMMIT\n";
    let counted = Restore { counters: true, ..Restore::default() };
    let mut kept = nft();
    assert_eq!(restore(&mut kept, file, counted), None);
    let text = "*filter\n:INPUT DROP [5:6]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                :x - [0:0]\n[1:2] -A INPUT -j x\nCOMMIT\n";
    assert_eq!(kept.text(), text);
    let more = "*filter\n-D INPUT 1\n-X x\n-A INPUT -j DROP\nCOMMIT\n";
    assert_eq!(restore(&mut kept, more, Restore { test: true, noflush: true, ..counted }), None);
    assert_eq!(kept.text(), text);
    assert_eq!(restore(&mut kept, more, Restore { noflush: true, ..counted }), None);
    assert_eq!(kept.rule_count(), 1);
    // What was committed before the fault stays.
    let wrong = "*mangle\n-A INPUT\nCOMMIT\n*filter\n-A INPUT -j NOPE\nCOMMIT\n";
    let says = "2 iptables-restore v1.8.11 (nf_tables): Chain 'NOPE' does not exist";
    assert_eq!(restore(&mut kept, wrong, Restore::default()).as_deref(), Some(says));
    assert_eq!(kept.rule_count(), 2);
}

#[test]
fn a_file_is_refused_as_the_real_tool_refuses_it() {
    for (file, says) in [
        ("*filter\n-A INPUT\n", "1 iptables-restore: COMMIT expected at line 3"),
        ("foo\n", "1 iptables-restore: line 1 failed"),
        ("*filter\n*nat\nCOMMIT\n", "2 Bad argument `*nat'"),
        (
            "*filter\n-D INPUT -j DROP\n",
            "1 iptables-restore: line 2 failed: Bad rule (does a matching rule exist in that chain?).",
        ),
        ("*filter\n:INPUT REJECT [0:0]\n", "1 iptables-restore: line 2 failed: Bad policy name."),
        (
            "*filter\n:INPUT\n",
            "2 iptables-restore v1.8.11 (nf_tables): iptables-restore: line 2 policy invalid",
        ),
        (
            "*nope\n",
            "2 iptables-restore v1.8.11 (nf_tables): iptables-restore: line 1 table name 'nope' invalid",
        ),
        (
            "*filter\n-A INPUT -t nat\n",
            "2 iptables-restore v1.8.11 (nf_tables): The -t option cannot be used in iptables-restore.",
        ),
    ] {
        let mut kept = nft();
        assert_eq!(restore(&mut kept, file, Restore::default()).as_deref(), Some(says), "{file}");
        assert_eq!(kept.text(), "");
    }
}

#[test]
fn a_damaged_text_is_told_by_its_line() {
    for (text, line) in [
        ("*filter\n", 1),
        ("*filter\nx\nCOMMIT\n", 2),
        ("*filter\n:x - [0:0]\n[0:0] -A y -j DROP\nCOMMIT\n", 3),
        ("COMMIT\n", 1),
        ("*nope\nCOMMIT\n", 1),
    ] {
        assert_eq!(Kept::read(text, Family::V4, Variant::Nft).err(), Some(line), "{text}");
    }
}

#[test]
fn legacy_takes_tcpmss_only_where_syn_is_asked_for() {
    let rows = [
        ("-p tcp", false),
        ("-p tcp -m tcp --dport 80", false),
        ("-p tcp -m tcp ! --syn", false),
        ("-p tcp -m tcp --tcp-flags SYN,ACK ACK", false),
        ("-p tcp -m tcp --syn", true),
        ("-p tcp --dport 80 --tcp-flags SYN,RST SYN", true),
        ("-p tcp -m tcp --tcp-flags ALL SYN,ACK", true),
    ];
    for (matches, taken) in rows {
        for target in ["TCPMSS --set-mss 42", "TCPMSS --clamp-mss-to-pmtu"] {
            let command = std::format!("-t mangle -A FORWARD {matches} -j {target}");
            let refused = "1 iptables: Invalid argument. Run `dmesg' for more information.\n";
            let wanted = if taken { "" } else { refused };
            assert_eq!(run(&mut legacy(), &command), wanted, "{command}");
            assert_eq!(run(&mut nft(), &command), "", "{command}");
        }
    }
}

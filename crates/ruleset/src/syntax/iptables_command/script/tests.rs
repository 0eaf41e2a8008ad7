use super::super::shell;
use super::{Script, is_script, run};
use crate::diagnostic::code;
use crate::labels::LabelNames;
use alloc::{format, string::String, vec::Vec};

/// The rules that a script leaves behind, as -A lines, and its faults.
fn rules(source: &str) -> (Vec<String>, Vec<String>) {
    let script = run(source, LabelNames::NONE);
    let text = format!("{}{}", script.v4.text(), script.v6.text());
    let rule = |line: &str| line.strip_prefix("[0:0] -A ").map(String::from);
    let fault = |script: &Script| {
        let each = script.faults.iter().map(|one| {
            let place = source.get(one.span.start as usize..one.span.end as usize).unwrap_or("");
            format!("{} `{place}`", one.code)
        });
        each.collect()
    };
    (text.lines().filter_map(rule).collect(), fault(&script))
}

fn clean(source: &str) -> Vec<String> {
    let (rules, faults) = rules(source);
    assert!(faults.is_empty(), "{source}: {faults:?}");
    rules
}

#[test]
fn variables_quotes_and_continued_lines() {
    let source = "#!/bin/sh\nIPT=/sbin/iptables\nLAN=\"10.0.0.0/8\" # the office\n\
                  export PORTS='22 80'\nset -- $PORTS\n\
                  $IPT -A INPUT -s $LAN \\\n  -m comment --comment \"from $LAN; it's\" -j ACCEPT\n\
                  sudo ${IPT} -A INPUT -i \"${EXT:-eth0}\" -j DROP; ip6tables -A INPUT -j DROP";
    assert_eq!(
        clean(source),
        [
            "INPUT -s 10.0.0.0/8 -m comment --comment \"from 10.0.0.0/8; it\\'s\" -j ACCEPT",
            "INPUT -i eth0 -j DROP",
            "INPUT -j DROP",
        ]
    );
}

#[test]
fn loops_over_words_functions_and_conditions_on_known_values() {
    let source = "IPT=$(which iptables)\nopen() {\n  $IPT -A INPUT -p tcp --dport $1 -j ACCEPT\n}\n\
                  for port in 22 {80..81} 4{4,5}; do open $port; done\n\
                  STATE=1\nif [ \"$STATE\" -eq 1 ] && [ -n \"$STATE\" ]; then\n $IPT -P INPUT DROP\n\
                  else $IPT -A INPUT -j LOG; fi\n\
                  iptables -N x || iptables -F x\niptables -N x 2>/dev/null || iptables -A x -j DROP";
    let (rules, faults) = rules(source);
    let ports: Vec<String> = ["22", "80", "81", "44", "45"]
        .iter()
        .map(|p| format!("INPUT -p tcp -m tcp --dport {p} -j ACCEPT"))
        .collect();
    assert_eq!(rules[..5], ports);
    assert_eq!(rules[5..], ["x -j DROP"]);
    // The second -N fails, as the script expects.
    assert!(faults.is_empty(), "{faults:?}");
    let script = run(source, LabelNames::NONE);
    assert!(script.v4.text().contains(":INPUT DROP"));
}

#[test]
fn what_cannot_be_told_is_named_and_not_carried_out() {
    for (source, fault) in [
        ("iptables -A INPUT -s $OFFICE -j DROP", "KS0112 `$OFFICE`"),
        ("iptables -A INPUT -s `hostname -i` -j DROP", "KS0112 ``hostname -i``"),
        ("if [ -f /etc/x ]; then iptables -A INPUT -j DROP; fi", "KS0112 `if`"),
        ("test -f /x && iptables -A INPUT -j DROP", "KS0112 `iptables -A INPUT -j DROP`"),
        ("cat ips | while read ip; do iptables -A INPUT -s $ip; done", "KS0112 `cat`"),
        ("for f in /etc/fw/*; do iptables -A INPUT -j DROP; done", "KS0112 `for`"),
        ("case $MODE in start) iptables -A INPUT -j DROP;; *) ;; esac", "KS0112 `case`"),
        ("case $1 in up) iptables -A INPUT -j DROP;; *) ;; esac", "KS0112 `case`"),
        ("M=ab; case $M in a*) iptables -A INPUT -j DROP;; *) ;; esac", "KS0112 `case`"),
        ("start() { iptables -A INPUT -j DROP; }", "KS0112 `start`"),
        ("iptables-restore < /etc/rules", "KS0112 `iptables-restore`"),
        ("ebtables -A INPUT -j DROP", "KS0112 `ebtables -A INPUT -j DROP`"),
        ("if [ -f /x ]; then iptables -F; exit 0; fi", "KS0112 `if`"),
        ("iptables -A INPUT -m comment --comment \"open", "KS0112 `\"`"),
        ("x=1; if ifup; then x=2; fi; iptables -A INPUT --ttl $x", "KS0112 `$x`"),
    ] {
        let (rules, faults) = rules(source);
        assert_eq!(faults, [fault], "{source}");
        assert!(rules.is_empty(), "{source}");
        assert!(!run(source, LabelNames::NONE).told, "{source}");
    }
}

#[test]
fn a_refused_command_leaves_the_others_as_a_shell_would() {
    let source = "iptables -A INPUT -s localhost -j ACCEPT\niptables -A INPUT -p tpc -j DROP\n\
                  ip6tables -A INPUT -s LocalHost -j DROP\niptables -R OUTPUT 3 -j DROP\n";
    let (left, faults) = rules(source);
    assert_eq!(left, ["INPUT -s 127.0.0.1/32 -j ACCEPT", "INPUT -s ::1/128 -j DROP"]);
    assert_eq!(faults.len(), 2);
    assert!(run(source, LabelNames::NONE).told);
}

#[test]
fn other_commands_are_passed_over() {
    let source = "modprobe ip_tables\necho 1 > /proc/sys/net/ipv4/ip_forward\n\
                  [ -x /sbin/modprobe ] && modprobe x\ncat <<END\niptables -A INPUT -j LOG\nEND\n\
                  iptables -A INPUT -j DROP 2>&1 >/dev/null\nexit 0\niptables -F";
    assert_eq!(clean(source), ["INPUT -j DROP"]);
}

#[test]
fn faults_of_rules_have_their_place_in_the_script() {
    let source = "iptables -A INPUT -p tpc -j DROP\niptables -R INPUT 3 -j DROP\n";
    assert_eq!(rules(source).1, ["KS0403 `tpc`", "KS0113 `iptables -R INPUT 3 -j DROP`"]);
    let source = "iptables -N a\niptables -A a -j a\niptables -A INPUT -j a\n";
    let script = run(source, LabelNames::NONE);
    let faults = script.v4.ruleset_of_commands(LabelNames::NONE).unwrap_err();
    assert_eq!(faults[0].code, code::LOOP);
    assert_eq!((faults[0].span.start, faults[0].span.end), (14, 32));
}

#[test]
fn a_construct_has_so_many_words() {
    let head = "iptables -A INPUT -j DROP\nif true; then\n";
    let body = |commands: usize| format!("{head}{}fi\n", "a b c\n".repeat(commands));
    // Three words and the end of the line.
    assert_eq!(rules(&body(shell::WORDS_MAX / 4 - 2)).1.len(), 0);
    let faults = rules(&body(shell::WORDS_MAX / 4 + 2)).1;
    assert_eq!(faults.len(), 1);
    // One after the other they may be as many as there are.
    let many = "a b c\n".repeat(shell::WORDS_MAX / 4 + 2);
    assert_eq!(rules(&format!("iptables -A INPUT -j DROP\n{many}")).1.len(), 0);
}

#[test]
fn work_is_bounded() {
    let deep = "( ".repeat(100_000);
    assert_eq!(rules(&deep).1.len(), 1);
    let mut loops = String::new();
    for at in 0..8 {
        loops.push_str(&format!("for v{at} in {{1..100}}; do "));
    }
    loops.push_str("iptables -F; ");
    loops.push_str(&"done; ".repeat(8));
    assert!(rules(&loops).1.iter().any(|fault| fault.starts_with("KS0108")));
    assert_eq!(rules("f() { f; iptables -F; }; f").1.len(), 1);
    assert_eq!(rules("iptables -A INPUT -s {1..99}{1..99}{1..99}").1.len(), 1);
    let mut grow = String::from("x=ab\n");
    for _ in 0..40 {
        grow.push_str("x=\"$x$x\"\n");
    }
    grow.push_str("iptables -A INPUT -m comment --comment $x");
    assert_eq!(rules(&grow).1, ["KS0112 `$x`"]);
}

#[test]
fn scripts_are_told_from_rule_files() {
    for source in
        ["#!/bin/sh\n", "iptables -F\n", "  /sbin/ip6tables -F", "# x\nsudo iptables -F", "$IPT -F"]
    {
        assert!(is_script(source), "{source}");
    }
    for source in ["*filter\nCOMMIT\n", "-A INPUT -j DROP", "Chain INPUT (policy ACCEPT)", ""] {
        assert!(!is_script(source), "{source}");
    }
}

/// Each note with its place.
fn notes(source: &str) -> Vec<String> {
    let place = |span: crate::model::Span| source.get(span.start as usize..span.end as usize);
    let script = run(source, LabelNames::NONE);
    script.notes.iter().map(|one| format!("{} `{}`", one.text, place(one.span).unwrap())).collect()
}

#[test]
fn a_script_that_asks_whether_a_rule_is_there_is_run_on_tables_without_it() {
    let rule = "INPUT -p tcp -m tcp --dport 22 -j ACCEPT";
    for source in [
        "iptables -C INPUT -p tcp --dport 22 -j ACCEPT || iptables -A INPUT -p tcp --dport 22 -j ACCEPT",
        "if ! iptables -C INPUT -p tcp --dport 22 -j ACCEPT\nthen iptables -A INPUT -p tcp --dport 22 -j ACCEPT; fi",
        "iptables -D INPUT -p tcp --dport 22 -j ACCEPT 2>/dev/null\niptables -A INPUT -p tcp --dport 22 -j ACCEPT",
        "iptables -F GONE >/dev/null 2>&1\niptables -D INPUT -j GONE &>/dev/null\niptables -A INPUT -p tcp --dport 22 -j ACCEPT",
        "iptables -A GONE -j DROP || true\niptables -A INPUT -p tcp --dport 22 -j ACCEPT",
        "iptables -A INPUT -p tcp --dport 22 -j ACCEPT\nif iptables -C INPUT -p tcp --dport 22 -j ACCEPT; then :; else iptables -F; fi",
    ] {
        assert_eq!(clean(source), [rule], "{source}");
        assert!(notes(source).is_empty(), "{source}");
    }
    // Nobody asks, and nothing is lost.
    let source = "iptables -X GONE\niptables -A INPUT -p tcp --dport 22 -j ACCEPT\n";
    assert_eq!(clean(source), [rule]);
    let [note] = &notes(source)[..] else { panic!("{:?}", notes(source)) };
    assert!(note.ends_with("`iptables -X GONE`"), "{note}");
    // Errors of another command are thrown away, or only what is printed.
    for source in [
        "iptables -A GONE -j DROP; true 2>/dev/null",
        "iptables -A GONE -j DROP >/dev/null",
        "iptables -A GONE -j DROP 2>&1",
        "iptables -A INPUT --bogus || true",
    ] {
        assert_eq!(rules(source).1.len(), 1, "{source}");
    }
}

#[test]
fn a_service_script_is_run_as_by_start() {
    let source = "case \"$1\" in\n  start|restart)\n    iptables -P INPUT DROP\n    iptables -A INPUT -i lo -j ACCEPT\n    ;;\n\
                  stop) iptables -F ;;\n  *) echo usage; exit 1 ;;\nesac\n";
    assert_eq!(clean(source), ["INPUT -i lo -j ACCEPT"]);
    assert_eq!(notes(source), ["the script is taken to be called with `start` `case`"]);
    let known = "M=b\ncase $M in a) iptables -A INPUT -j LOG;; b) iptables -A INPUT -j DROP;; *) iptables -F;; esac";
    assert_eq!(clean(known), ["INPUT -j DROP"]);
    assert!(notes(known).is_empty());
}

#[test]
fn a_guard_is_taken_to_let_the_script_go_on() {
    for source in [
        "if [ \"$(id -u)\" != 0 ]; then echo root; exit 1; fi\niptables -A INPUT -j DROP",
        "[ -x /sbin/iptables ] || exit 0\niptables -A INPUT -j DROP",
    ] {
        assert_eq!(clean(source), ["INPUT -j DROP"]);
        assert_eq!(notes(source).len(), 1, "{source}");
    }
}

#[test]
fn what_a_rule_of_a_script_needs_stands_at_its_command() {
    let source = "#!/bin/sh\n# something longer than the rules as they are kept\n\
                  iptables -A INPUT -m set --match-set guests src -j DROP\n";
    let ruleset = run(source, LabelNames::NONE).v4.ruleset_of_commands(LabelNames::NONE).unwrap();
    let span = ruleset.needs().sets[0].span;
    let place = source.get(span.start as usize..span.end as usize);
    assert_eq!(place, Some("iptables -A INPUT -m set --match-set guests src -j DROP"));
}

#[test]
fn what_bash_has_beside_the_shell_is_read() {
    let port = |ports: &[&str]| -> Vec<String> {
        ports.iter().map(|port| format!("INPUT -p tcp -m tcp --dport {port} -j ACCEPT")).collect()
    };
    let body = "; do iptables -A INPUT -p tcp --dport $p -j ACCEPT; done\n";
    for (source, ports) in [
        ("P=(22 80)\nfor p in \"${P[@]}\"", &["22", "80"][..]),
        ("P=(22 # ssh\n  80\n)\nP+=(443)\nfor p in ${P[*]}", &["22", "80", "443"]),
        ("declare -a P=(22)\nfor p in \"${P[@]}\"", &["22"]),
        ("P=()\nfor p in \"${P[@]}\" 53", &["53"]),
        ("P=2\nP+=2\nfor p in $P", &["22"]),
        ("A=a\nif [[ $A == a ]]; then L=22; else L=80; fi\nfor p in $L", &["22"]),
        ("while IFS= read -r line; do echo $line; done < <(ls)\nfor p in 22", &["22"]),
        ("IFS=, read -r -a X <<< $(cat file)\nfor p in 22", &["22"]),
        ("for ((i=0; i<5; i++)); do echo $i; done\nfor p in 22", &["22"]),
        ("[[ $B =~ ^(a|b)$ && -n $C ]] && echo yes\n((i++))\nfor p in 22", &["22"]),
    ] {
        assert_eq!(clean(&format!("{source}{body}")), port(ports), "{source}");
    }
    // What only a shell can tell is told at its place, and only that.
    let rule = "iptables -A INPUT -p tcp --dport";
    for (source, place) in [
        (format!("I=1\n((I++))\n{rule} $I -j DROP\n"), "$I"),
        (format!("{rule} $((20+2)) -j DROP\n"), "$((20+2))"),
        (format!("P=(22 80)\n{rule} $P -j DROP\n"), "$P"),
        (format!("P=(22 80)\nP[0]=23\n{rule} ${{P[@]}} -j DROP\n"), "${P[@]}"),
        (format!("P=(\"a b\")\n{rule} ${{P[@]}} -j DROP\n"), "${P[@]}"),
        (format!("for ((i=0; i<5; i++)); do {rule} 22 -j DROP; done\n"), "for"),
    ] {
        assert_eq!(rules(&source).1, [format!("KS0112 `{place}`")], "{source}");
    }
    assert_eq!(rules("A=b\nif [[ $A == b* ]]; then iptables -A INPUT -j DROP; fi\n").1.len(), 1);
}

#[test]
fn the_script_of_the_service_is_not_the_tool() {
    let rule = "iptables -A INPUT -j DROP\n";
    for line in ["/etc/init.d/iptables save", "/etc/rc.d/iptables start", "service iptables save"] {
        assert_eq!(clean(&format!("{rule}{line}\n")), ["INPUT -j DROP"], "{line}");
        assert_eq!(clean(&format!("{rule}if [ -e x ]; then {line}; fi\n")), ["INPUT -j DROP"]);
    }
}

#[test]
fn rules_that_no_tool_is_given_are_not_passed_over() {
    for source in [
        "#!/bin/sh\n-A INPUT -j DROP\n",
        "#!/bin/sh\nslstables -A INPUT -p tcp -j ACCEPT\n",
        "#!/bin/sh\necho done\n",
    ] {
        let script = run(source, LabelNames::NONE);
        assert!(!script.told && script.faults.len() == 1, "{source}: {:?}", script.faults);
    }
}

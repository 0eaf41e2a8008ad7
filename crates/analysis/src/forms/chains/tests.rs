use super::*;
use crate::forms::file;
use crate::recognise::Form;

/// The chains of a file as they are told, by table and chain.
fn told(text: &str) -> Vec<ChainTold> {
    let answer = file::explain(text, Form::SaveFile);
    let chain = |fact: &Fact| match fact {
        Fact::Chain(chain) => Some(chain.as_ref().clone()),
        Fact::Statement { .. }
        | Fact::Paste { .. }
        | Fact::Field { .. }
        | Fact::Experiment(_)
        | Fact::Comparison(_) => None,
    };
    answer.facts().filter_map(chain).collect()
}

fn chain(text: &str, name: &str) -> (String, Vec<String>) {
    let all = told(text);
    let chain = all.iter().find(|chain| chain.chain == name).expect("told");
    let rules = chain.rules.iter().map(|rule| match rule.first == rule.last {
        true => format!("{}: {}", rule.first, rule.text),
        false => format!("{}-{}: {}", rule.first, rule.last, rule.text),
    });
    (chain.purpose.join(" "), rules.collect())
}

const GATEWAY: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    :refused - [0:0]\n:unused - [0:0]\n:f2b-sshd - [0:0]\n\
    -A INPUT -i lo -j ACCEPT\n\
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 22 -j f2b-sshd\n\
    -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\n\
    -A INPUT -p icmp -j ACCEPT\n\
    -A FORWARD -i lan -j ACCEPT\n-A FORWARD -j refused\n-A FORWARD -i x -j ACCEPT\n\
    -A refused -m limit --limit 1/min -j LOG --log-prefix \"no: \"\n-A refused -j DROP\n\
    -A f2b-sshd -s 192.0.2.1/32 -j DROP\n-A f2b-sshd -s 192.0.2.9/32 -j DROP\n\
    -A f2b-sshd -s 198.51.100.0/24 -j DROP\n-A f2b-sshd -d 198.51.100.0/24 -j DROP\nCOMMIT\n";

#[test]
fn a_chain_is_summed_up_by_what_it_lets_through() {
    let (purpose, rules) = chain(GATEWAY, "INPUT");
    assert_eq!(
        purpose,
        "Decides what may reach this host itself. What is not named is refused by its policy. \
         Accepted: loopback; what belongs to connections that exist; ICMP; TCP to ports 22, 80 and \
         443. What else goes through depends on f2b-sshd."
    );
    assert_eq!(rules[0], "1: accepts when it came in on interface lo");
    assert_eq!(rules[1], "2: accepts when it is RELATED or ESTABLISHED");
    assert_eq!(rules[2], "3: goes through f2b-sshd when it is TCP and its destination port is 22");
    assert_eq!(rules[3], "4-6: accepts when it is TCP and its destination port is 22, 80 or 443");
}

#[test]
fn a_jump_into_a_chain_that_refuses_all_refuses_all() {
    let (purpose, rules) = chain(GATEWAY, "FORWARD");
    assert!(
        purpose.contains("What is not named is refused by rule 2. Accepted: everything in by lan")
    );
    assert!(purpose.ends_with("Rule 2 takes every packet: rule 3 is never reached."), "{purpose}");
    assert_eq!(rules[1], "2: every packet: goes through refused");
    let (purpose, rules) = chain(GATEWAY, "refused");
    assert_eq!(purpose, "Packets come to it from FORWARD 2. It logs and refuses what comes to it.");
    assert!(rules[0].starts_with("1: logs as \"no:\" when "), "{rules:?}");
}

#[test]
fn neighbours_that_differ_in_one_thing_are_told_together() {
    let (purpose, rules) = chain(GATEWAY, "f2b-sshd");
    assert!(purpose.starts_with("By its name of fail2ban: addresses that it has banned."));
    assert_eq!(
        rules,
        [
            "1-3: drops when its source is 192.0.2.1, 192.0.2.9 or in 198.51.100.0/24",
            "4: drops when its destination is in 198.51.100.0/24"
        ]
    );
    let (purpose, _) = chain(GATEWAY, "unused");
    assert!(purpose.contains("No rule leads here: no packet comes to it."));
}

#[test]
fn a_return_keeps_a_chain_from_refusing_all() {
    let text = "*filter\n:a - [0:0]\n-A INPUT -j a\n-A INPUT -p tcp -j ACCEPT\n\
                -A a -s 10.0.0.1/32 -j RETURN\n-A a -j DROP\nCOMMIT\n";
    let (purpose, _) = chain(text, "INPUT");
    assert!(!purpose.contains("never reached"), "{purpose}");
}

#[test]
fn what_no_capture_tells_and_what_is_refused_is_named() {
    let text = "*filter\n-A OUTPUT -m owner --uid-owner 33 -j DROP\n\
                -A INPUT -m nonsense --odd 1 -j DROP\n-A INPUT -p udp -j DROP\nCOMMIT\n";
    let answer = file::explain(text, Form::SaveFile);
    let of = |code: &str| answer.fact(code).map(Fact::text).unwrap_or_default().to_string();
    assert!(of("mind.unknown.owner").contains("owner asks for it (OUTPUT 1)"));
    assert!(of("fault.count").contains("1 fault."), "{}", of("fault.count"));
    let (_, rules) = chain(text, "INPUT");
    assert_eq!(rules.len(), 2);
    assert!(rules[0].ends_with("(keepstate refuses this rule)"), "{rules:?}");
    assert_eq!(rules[1], "2: drops when it is UDP");
}

#[test]
fn only_so_many_rules_are_told() {
    let mut text = String::from("*filter\n");
    for number in 0..=RULES_TOLD_MAX {
        // Two that differ in two things are not told together.
        text.push_str(&format!("-A INPUT -p {} -i eth{number} -j DROP\n", 100 + number % 2));
    }
    text.push_str("COMMIT\n");
    let all = told(&text);
    assert_eq!(all.iter().map(|chain| chain.rules.len()).sum::<usize>(), RULES_TOLD_MAX);
    let answer = file::explain(&text, Form::SaveFile);
    assert!(answer.fact("rules.cut").is_some());
}

#[test]
fn rules_that_others_hide_are_named() {
    let text = "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 10.0.0.0/8 -j ACCEPT\n\
                -A INPUT -s 10.1.0.0/16 -p tcp -j DROP\n-A INPUT -s 10.2.0.0/16 -j LOG\n\
                -A INPUT -m limit --limit 1/s -j DROP\n-A INPUT -m limit --limit 1/s -j DROP\n\
                -A INPUT -s 11.0.0.0/8 -j LOG\n-A INPUT -s 11.1.0.0/16 -j ACCEPT\nCOMMIT\n";
    let (purpose, _) = chain(text, "INPUT");
    assert!(purpose.ends_with("Rule 1 leaves nothing to rule 2-3."), "{purpose}");
    let changed = "*mangle\n-A FORWARD -m mark --mark 1 -j ACCEPT\n-A FORWARD -i eth0 -j MARK --set-mark 1\n\
                   -A FORWARD -i eth0 -m mark --mark 1 -j DROP\nCOMMIT\n";
    let (purpose, _) = chain(changed, "FORWARD");
    assert!(!purpose.contains("leaves nothing"), "{purpose}");
    let (purpose, _) = chain(&changed.replace("-i eth0 -j MARK --set-mark 1", "-j LOG"), "FORWARD");
    assert!(purpose.ends_with("Rule 1 leaves nothing to rule 3."), "{purpose}");
}

/// What is told in short of a text, a line each.
fn short(text: &str) -> Vec<String> {
    let form = crate::recognise::recognise(text).expect("recognised");
    let answer = file::explain(text, form);
    let line = |fact: &Fact| match fact {
        Fact::Field { field, text } => Some(format!("{field}: {text}")),
        Fact::Statement { .. }
        | Fact::Paste { .. }
        | Fact::Chain(_)
        | Fact::Experiment(_)
        | Fact::Comparison(_) => None,
    };
    answer.facts().filter_map(line).collect()
}

#[test]
fn what_a_text_does_not_hold_is_not_told_open() {
    let part = "*filter\n:ufw-before-input - [0:0]\n-A ufw-before-input -i lo -j ACCEPT\nCOMMIT\n";
    assert_eq!(short(part)[0], "to this host: not told here: its table filter has no INPUT");
    let (purpose, _) = chain(part, "ufw-before-input");
    assert!(purpose.contains("What leads here does not stand in this text."), "{purpose}");
    let nat = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n";
    assert_eq!(short(nat)[0], "to this host: not told here: it has no table filter");
    let early = "*raw\n-A PREROUTING -p udp -j DROP\nCOMMIT\n";
    let told = short(early);
    assert_eq!(told[0], "to this host: as far as is told here (it has no table filter):");
    assert_eq!(told[1], "to this host: not udp");
    let whole = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n";
    assert_eq!(short(whole)[0], "to this host: everything may begin");
}

#[test]
fn a_script_is_told_as_one_and_one_that_only_a_shell_can_tell_is_not_told_open() {
    let script = "#!/bin/sh\ncase $X in\n*)\n  iptables -A INPUT -i $IF -j ACCEPT;;\nesac\n";
    let told = short(script);
    assert_eq!(
        told,
        ["not told: what this script leaves behind: some of it only a shell can tell"]
    );
    let plain = "N=1\n*) echo;\niptables -A INPUT -j DROP\n";
    assert_eq!(crate::recognise::recognise(plain), Some(Form::Script));
}

#[test]
fn what_passes_in_part_only_is_said_so() {
    let text = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -o ppp+ -m set --match-set a dst -j ACCEPT\nCOMMIT\n";
    let told = short(text);
    assert!(
        told.iter().any(|line| line.contains("ICMP errors about them pass in part")),
        "{told:?}"
    );
}

#[test]
fn a_part_of_a_rule_set_is_told_without_what_stands_elsewhere() {
    let text = "*filter\n:ufw-before-input - [0:0]\n-A ufw-before-input -i lo -j ACCEPT\n\
                -A ufw-before-input -j ufw-logging-deny\nCOMMIT\n";
    assert_eq!(
        short(text),
        ["not told: what passes: ufw-logging-deny stands elsewhere", "chains of: ufw (1)"]
    );
    assert!(told(text).iter().all(|chain| chain.chain != "ufw-logging-deny"));
    let answer = file::explain(text, Form::SaveFile);
    assert!(answer.fact("fault.count").is_none() && answer.fact("form.part").is_some());
}

//! What is tried in the place of rules of a kind, and what stands beside them meanwhile.

use super::list::{Alternative, Around};
use crate::rule::words::{MatchWords, OptionWords, RuleWords};
use keepstate_packet::Family;

fn alternative(text: &str, lines: Vec<String>) -> Alternative {
    Alternative { text: text.to_string(), lines }
}

/// The header of the rule but its protocol: ` -i eth0`.
fn head(rule: &RuleWords) -> String {
    let options = rule.header.iter().filter(|option| option.name != "-p");
    options.map(|option| format!(" {}", option.text())).collect()
}

const fn icmp(rule: &RuleWords) -> &'static str {
    match rule.family {
        Family::V4 => "icmp",
        Family::V6 => "ipv6-icmp",
    }
}

/// What the side sends that the rule does not look at passes, on a router.
pub(super) fn other_side(rule: &RuleWords) -> Option<String> {
    let out = rule.header("-o").filter(|option| !option.not);
    let far = out.map_or("eth1", |option| option.value());
    (rule.chain == "FORWARD").then(|| format!("-A FORWARD -i {far} -j ACCEPT"))
}

pub(super) fn with_ftp(rule: &RuleWords) -> Around {
    let helper =
        |chain: &str| format!("-t raw -A {chain} -p tcp -m tcp --dport 21 -j CT --helper ftp");
    let mut before = vec![helper("PREROUTING")];
    if rule.chain == "INPUT" {
        before.push(helper("OUTPUT"));
    }
    before.extend(other_side(rule));
    Around { drops: Some(rule.chain.clone()), before, after: Vec::new() }
}

pub(super) fn with_answers(rule: &RuleWords) -> Around {
    let chain = &rule.chain;
    let answers = format!("-A {chain} -m conntrack --ctstate ESTABLISHED -j ACCEPT");
    let before = other_side(rule).into_iter().chain([answers]).collect();
    Around { drops: Some(chain.clone()), before, after: Vec::new() }
}

pub(super) fn instead_of_related(rule: &RuleWords) -> Vec<Alternative> {
    let (chain, head) = (&rule.chain, head(rule));
    let state = |more: &str, state: &str| {
        format!("-A {chain}{head}{more} -m conntrack --ctstate {state} -j ACCEPT")
    };
    let answers = state("", "ESTABLISHED");
    let errors = state(&format!(" -p {}", icmp(rule)), "RELATED");
    let data = state(" -p tcp -m tcp --dport 1024:65535 -m helper --helper ftp", "RELATED");
    vec![
        alternative(
            "Narrower: answers of every protocol, RELATED for ICMP errors and for what FTP's helper expects \
             above port 1023.",
            vec![answers.clone(), errors.clone(), data],
        ),
        alternative(
            "Narrower still, where no helper is used: answers and errors.",
            vec![answers, errors],
        ),
        alternative(
            "Without tracking: every TCP segment that asks for no connection. Weaker: whatever claims to be \
             an answer gets in, and of UDP and ICMP nothing does.",
            vec![format!(
                "-A {chain}{head} -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT"
            )],
        ),
    ]
}

/// The rule with other matches in the place of some.
fn with(rule: &RuleWords, without: &[&str], more: &str) -> String {
    let mut other = rule.clone();
    other.matches.retain(|m| !without.contains(&m.name.as_str()));
    let target = other.target.take();
    let mut words = format!("{}{more}", other.save());
    if let Some(target) = target {
        words.push_str(&format!(" -j {}", target.name));
        words.extend(target.options.iter().map(|option| format!(" {}", option.text())));
    }
    words
}

/// The rule with another target.
fn going_to(rule: &RuleWords, target: &str) -> String {
    let bare = RuleWords { target: None, ..rule.clone() };
    format!("{} -j {target}", bare.save())
}

fn by_source(rule: &RuleWords, asks: &str) -> String {
    let port = rule.options(&["--dport"]).next().map_or("all", |option| option.value());
    format!(
        " -m hashlimit {asks} --hashlimit-burst 3 --hashlimit-mode srcip --hashlimit-name port-{}",
        port.replace(':', "-")
    )
}

pub(super) fn instead_of_limit(rule: &RuleWords) -> Vec<Alternative> {
    let rate = rule.options(&["--limit"]).next().map_or("3/min", |option| option.value());
    let more = by_source(rule, &format!("--hashlimit-upto {rate}"));
    vec![
        alternative(
            "Each source has an allowance of its own: nobody can use up that of others.",
            vec![with(rule, &["limit"], &more)],
        ),
        alternative("Without the limit.", vec![with(rule, &["limit"], "")]),
    ]
}

pub(super) fn instead_of_limited_pings(rule: &RuleWords) -> Vec<Alternative> {
    let rate = rule.options(&["--limit"]).next().map_or("3/hour", |option| option.value());
    let burst = rule.options(&["--limit-burst"]).next().map_or("5", |option| option.value());
    let more = format!(
        " -m hashlimit --hashlimit-upto {rate} --hashlimit-burst {burst} --hashlimit-mode srcip \
         --hashlimit-name pings"
    );
    vec![
        alternative(
            "Each source has an allowance of its own: nobody can use up that of others.",
            vec![with(rule, &["limit"], &more)],
        ),
        alternative("Without the limit.", vec![with(rule, &["limit"], "")]),
    ]
}

pub(super) fn instead_of_stateless(rule: &RuleWords) -> Vec<Alternative> {
    let syn = " -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW";
    let often = by_source(rule, "--hashlimit-upto 3/min");
    let answers = format!("-A {} -m conntrack --ctstate ESTABLISHED -j ACCEPT", rule.chain);
    vec![
        alternative(
            "With states: beginnings here, and one rule for what belongs to connections that exist.",
            vec![answers.clone(), with(rule, &[], syn)],
        ),
        alternative(
            "The same, and from each source three beginnings at once, then three a minute.",
            vec![answers, with(rule, &[], &format!("{syn}{often}"))],
        ),
    ]
}

pub(super) fn instead_of_new(rule: &RuleWords) -> Vec<Alternative> {
    let syn = " -m tcp --tcp-flags FIN,SYN,RST,ACK SYN";
    let often = by_source(rule, "--hashlimit-upto 3/min");
    vec![
        alternative(
            "Narrower: beginnings only. NEW alone takes a segment in mid-stream, too.",
            vec![with(rule, &[], syn)],
        ),
        alternative(
            "Narrower still: beginnings, and from each source three at once, then three a minute.",
            vec![with(rule, &[], &format!("{syn}{often}"))],
        ),
    ]
}

pub(super) fn instead_of_new_all(rule: &RuleWords) -> Vec<Alternative> {
    let chain = &rule.chain;
    let head = head(rule);
    let echo = match rule.family {
        Family::V4 => "-p icmp -m icmp --icmp-type 8",
        Family::V6 => "-p ipv6-icmp -m icmp6 --icmpv6-type 128",
    };
    let state = "-m conntrack --ctstate NEW -j ACCEPT";
    let ssh = format!(
        "-A {chain}{head} -p tcp -m tcp --dport 22 -m tcp --tcp-flags FIN,SYN,RST,ACK SYN {state}"
    );
    let ping = format!("-A {chain}{head} {echo} {state}");
    vec![
        alternative(
            "Narrower: the services that are meant, one by one (here: ssh, and pings).",
            vec![ssh.clone(), ping],
        ),
        alternative("Narrower still: ssh alone.", vec![ssh]),
    ]
}

pub(super) fn instead_of_invalid(rule: &RuleWords) -> Vec<Alternative> {
    let invalid = |chain: &str| format!("-A {chain} -m conntrack --ctstate INVALID -j DROP");
    let untracked =
        |option: &str| format!("-t raw -A PREROUTING -p tcp -m tcp --{option} 443 -j CT --notrack");
    vec![
        alternative(
            "Wider, on a gateway that translates: in both chains, since what is not translated back comes \
             to the gateway itself.",
            vec![invalid("INPUT"), invalid("FORWARD")],
        ),
        alternative(
            "Narrower, where paths are asymmetric: what takes them is not tracked (here: port 443), and so \
             never INVALID. No rule of states holds for it then, nor any translation.",
            vec![untracked("dport"), untracked("sport"), super::own_line(rule)],
        ),
        alternative("Without it.", Vec::new()),
    ]
}

pub(super) fn instead_of_flags(rule: &RuleWords) -> Vec<Alternative> {
    let chain = &rule.chain;
    let invalid = format!("-A {chain} -m conntrack --ctstate INVALID -j DROP");
    let beginning = "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN";
    vec![
        alternative(
            "Wider and shorter: tracking knows all combinations that no sender makes, and segments of no \
             connection.",
            vec![invalid.clone()],
        ),
        alternative(
            "The same, and no connection begins with anything but a SYN (running ones are cut when the \
             filter forgets them).",
            vec![invalid, format!("-A {chain} {beginning} -m conntrack --ctstate NEW -j DROP")],
        ),
    ]
}

pub(super) fn instead_of_recent(rule: &RuleWords) -> Vec<Alternative> {
    let more = by_source(rule, "--hashlimit-above 3/min");
    vec![
        alternative(
            "A rate for each source instead of a list: it holds more sources than the 100 of a list, and \
             whoever goes on trying is let in now and then.",
            vec![with(rule, &["recent"], &more)],
        ),
        alternative("Without it.", Vec::new()),
    ]
}

/// The interface by which a rule of POSTROUTING lets connections leave, and the other one.
fn sides(rule: &RuleWords) -> (String, &'static str) {
    let named = rule.header("-o").filter(|option| !option.not);
    let outside =
        named.map_or_else(|| String::from("eth1"), |option| option.value().replace('+', "0"));
    let inside = if outside == "eth0" { "eth1" } else { "eth0" };
    (outside, inside)
}

pub(super) fn gateway(rule: &RuleWords) -> Around {
    let (outside, inside) = sides(rule);
    Around {
        drops: Some(String::from("FORWARD")),
        before: vec![
            String::from("-t raw -A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp"),
            String::from("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
            format!("-A FORWARD -i {inside} -o {outside} -j ACCEPT"),
        ],
        after: Vec::new(),
    }
}

pub(super) fn instead_of_masquerade(rule: &RuleWords) -> Vec<Alternative> {
    let (outside, _) = sides(rule);
    let named = |name: &str, value: String| OptionWords {
        not: false,
        name: name.to_string(),
        values: vec![value],
    };
    let leaving = |header: &[OptionWords]| {
        let mut other = rule.clone();
        other.header.retain(|option| option.name != "-o");
        other.header.extend(header.iter().cloned());
        other
    };
    let own = |rule: &RuleWords| super::own_line(rule);
    let out = named("-o", outside.clone());
    let mut tried = Vec::new();
    if rule.header("-o").is_none_or(|option| option.not) {
        tried.push(alternative(
            "Narrower: what leaves by the outer interface. Without -o, connections that come in from \
             outside are hidden as well: inner servers see this router in the place of their clients.",
            vec![own(&leaving(core::slice::from_ref(&out)))],
        ));
    }
    if rule.header("-s").is_none() {
        let inside = if rule.family == Family::V4 { "192.168.1.0/24" } else { "fd00:1::/64" };
        tried.push(alternative(
            "Narrower: what the inside network sends. Without -s it also hides whatever else is routed \
             through here, addresses that need no hiding among it.",
            vec![own(&leaving(&[named("-s", inside.to_string()), out.clone()]))],
        ));
    }
    let public = crate::conversation::gateway(rule.family);
    let fixed =
        format!("-t nat {}", going_to(&leaving(&[out]), &format!("SNAT --to-source {public}")));
    let invalid = |chain: &str| format!("-I {chain} 1 -m conntrack --ctstate INVALID -j DROP");
    tried.push(alternative(
        "Where the public address never changes: the same, and connections outlive an interface that \
         goes down for a moment.",
        vec![fixed],
    ));
    tried.push(alternative(
        "With the two rules that no translation should be without (they go first in their chains).",
        vec![own(rule), invalid("INPUT"), invalid("FORWARD")],
    ));
    tried
}

pub(super) fn instead_of_dnat(rule: &RuleWords) -> Vec<Alternative> {
    let Some((server, port)) = crate::witness::destination_of(rule) else { return Vec::new() };
    let called = rule.header("-d").filter(|option| !option.not);
    let public = crate::conversation::gateway(rule.family).to_string();
    let public = called.map_or(public, |option| option.value().to_string());
    let mut everywhere = rule.clone();
    everywhere.header.retain(|option| !matches!(option.name.as_str(), "-i" | "-d"));
    let option = |name: &str, value: &str| OptionWords {
        not: false,
        name: name.to_string(),
        values: vec![value.to_string()],
    };
    everywhere.header.insert(0, option("-d", &public));
    let dialled = rule.options(&["--dport"]).next().map(|option| option.value().to_string());
    let port = port.map(|port| port.to_string()).or(dialled);
    let port = port.map_or(String::new(), |port| format!(" -m tcp --dport {port}"));
    let network = match server {
        std::net::IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        std::net::IpAddr::V6(_) => format!("{server}/64"),
    };
    let hairpin =
        format!("-t nat -A POSTROUTING -s {network} -d {server} -p tcp{port} -j MASQUERADE");
    vec![
        alternative(
            "By the public address and from everywhere, and what the server's own network sends there is \
             masqueraded, so that the answers come back this way (hairpin).",
            vec![super::own_line(&everywhere), hairpin],
        ),
        alternative(
            "The same without the second: the server answers its neighbour directly, from an address that \
             it has not called.",
            vec![super::own_line(&everywhere)],
        ),
    ]
}

/// What the rule does not say: it refuses loudly where it is silent, and is silent where it refuses.
fn other_refusal(rule: &RuleWords) -> (&'static str, &'static str) {
    match rule.target_name() {
        "REJECT" => ("DROP", "DROP: nobody is told, and whoever connects waits for two minutes."),
        _ => (
            "REJECT",
            "REJECT: whoever connects is told at once, and does not wait for two minutes.",
        ),
    }
}

pub(super) fn instead_of_reject(rule: &RuleWords) -> Vec<Alternative> {
    let chain = &rule.chain;
    let answers = format!("-A {chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
    let own = super::own_line(rule);
    let reset = format!("-A {chain} -p tcp -j REJECT --reject-with tcp-reset");
    let (other, text) = other_refusal(rule);
    vec![
        alternative(
            "As it is meant: last, behind a rule that lets answers in (and behind those for services).",
            vec![answers.clone(), own],
        ),
        alternative(
            "The same; TCP is refused as if nobody listened there (\"connection refused\"), the rest by \
             an ICMP error.",
            vec![answers.clone(), reset, format!("-A {chain} -j REJECT")],
        ),
        alternative(text, vec![answers, going_to(rule, other)]),
    ]
}

pub(super) fn instead_of_reject_port(rule: &RuleWords) -> Vec<Alternative> {
    let (other, text) = other_refusal(rule);
    let mut tried = vec![alternative(text, vec![going_to(rule, other)])];
    let with = rule.target_option("--reject-with").map(|with| with.value());
    if rule.protocol() == Some(6) {
        let (text, target) = match (with, rule.family) {
            (Some("tcp-reset"), Family::V4) => (
                "With an ICMP error that says who refuses.",
                "REJECT --reject-with icmp-admin-prohibited",
            ),
            (Some("tcp-reset"), Family::V6) => (
                "With an ICMP error that says who refuses.",
                "REJECT --reject-with icmp6-adm-prohibited",
            ),
            _ => (
                "As if nobody listened there (\"connection refused\").",
                "REJECT --reject-with tcp-reset",
            ),
        };
        tried.push(alternative(text, vec![going_to(rule, target)]));
    }
    tried.push(alternative("Without it.", Vec::new()));
    tried
}

pub(super) fn instead_of_not_syn(rule: &RuleWords) -> Vec<Alternative> {
    let mut tried = Vec::new();
    if rule.target_name() == "DROP" {
        tried.push(alternative(
            "With a reset in the place of silence: who goes on with a connection that is cut hears of it at \
             once.",
            vec![going_to(rule, "REJECT --reject-with tcp-reset")],
        ));
    }
    tried.push(alternative(
        "What fits no connection only: one that is older than the filter's memory of it lives on, and a \
         scan with ACKs gets through.",
        vec![format!("-A {} -m conntrack --ctstate INVALID -j DROP", rule.chain)],
    ));
    tried.push(alternative("Without it.", Vec::new()));
    tried
}

pub(super) fn instead_of_rate(rule: &RuleWords) -> Vec<Alternative> {
    let counting = ["hashlimit", "connlimit"];
    let name = rule.options(&["--dport"]).next().map_or("all", |option| option.value());
    let list = format!("--name port-{}", name.replace(':', "-"));
    let mut noting = rule.clone();
    noting.target = None;
    // Without it the packets of one connection are as many attempts.
    let begins = rule.states().is_some() || rule.options(&["--tcp-flags"]).next().is_some();
    let new = if begins { "" } else { " -m conntrack --ctstate NEW" };
    let rate = match rule.has_match("connlimit") {
        true => alternative(
            "A rate for each source in the place of a count: it needs no connection to be remembered.",
            vec![with(rule, &counting, &by_source(rule, "--hashlimit-above 3/min"))],
        ),
        false => alternative(
            "One allowance for all sources (limit): whoever uses it up shuts out everybody.",
            vec![going_to(&limited(rule, &counting), "ACCEPT"), with(rule, &counting, "")],
        ),
    };
    vec![
        alternative(
            "A list of addresses: whoever goes on trying stays out, for as long as he does. It holds 100.",
            vec![
                with(&noting, &counting, &format!("{new} -m recent --set {list}")),
                with(
                    rule,
                    &counting,
                    &format!("{new} -m recent --update --seconds 60 --hitcount 4 {list}"),
                ),
            ],
        ),
        rate,
        alternative("Without it.", Vec::new()),
    ]
}

/// The rule with the allowance of all in the place of one by source.
fn limited(rule: &RuleWords, without: &[&str]) -> RuleWords {
    let option = |name: &str, value: &str| OptionWords {
        not: false,
        name: name.to_string(),
        values: vec![value.to_string()],
    };
    let rate = rule.options(&["--hashlimit-above"]).next().map_or("3/min", |option| option.value());
    let burst = rule.options(&["--hashlimit-burst"]).next().map_or("5", |option| option.value());
    let mut other = rule.clone();
    other.matches.retain(|m| !without.contains(&m.name.as_str()));
    other.matches.push(MatchWords {
        name: String::from("limit"),
        options: vec![option("--limit", rate), option("--limit-burst", burst)],
    });
    other
}

pub(super) fn instead_of_icmp(rule: &RuleWords) -> Vec<Alternative> {
    let (chain, icmp) = (&rule.chain, icmp(rule));
    let (echo, option) = match rule.family {
        Family::V4 => ("8", "-m icmp --icmp-type"),
        Family::V6 => ("128", "-m icmp6 --icmpv6-type"),
    };
    let head = head(rule);
    let state = format!("-A {chain}{head} -p {icmp} -m conntrack --ctstate RELATED -j ACCEPT");
    let ping =
        format!("-A {chain}{head} -p {icmp} {option} {echo} -m limit --limit 10/sec -j ACCEPT");
    // Discovery has no state, and nothing goes over a link without it.
    let found: &[&str] =
        if rule.family == Family::V6 { &["133", "134", "135", "136"] } else { &[] };
    let found = found
        .iter()
        .map(|kind| format!("-A {chain} -p {icmp} {option} {kind} -m hl --hl-eq 255 -j ACCEPT"));
    let found: Vec<String> = found.collect();
    let all = |lines: &[&String]| lines.iter().copied().chain(&found).cloned().collect();
    vec![
        alternative(
            "Narrower: errors about connections that exist, and pings, ten a second.",
            all(&[&state, &ping]),
        ),
        alternative("Narrower still: nobody is to ping.", all(&[&state])),
    ]
}

/// Whether the rule is about packets from outside with an address of the loopback network.
fn is_loopback_claim(rule: &RuleWords) -> bool {
    let named = |option: &str| {
        rule.header(option).is_some_and(|option| !option.not && option.value().starts_with("127."))
    };
    named("-s") || named("-d")
}

pub(super) fn instead_of_not_loopback(rule: &RuleWords) -> Vec<Alternative> {
    let chain = &rule.chain;
    if is_loopback_claim(rule) {
        let of = |option: &str| format!("-A {chain} {option} 127.0.0.0/8 ! -i lo -j DROP");
        return vec![
            alternative(
                "Both ways: what claims to come from the loopback network, and what is for it.",
                vec![of("-s"), of("-d")],
            ),
            alternative("Without it: routing stops such packets by itself.", Vec::new()),
        ];
    }
    let answers = format!("-A {chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
    vec![
        alternative(
            "Behind a rule that lets answers in: without one, this host hears nothing of what it asks \
             others.",
            vec![answers.clone(), super::own_line(rule)],
        ),
        alternative(
            "The other way round: the loopback and answers are let in, the rest is refused by the end of \
             the chain.",
            vec![format!("-A {chain} -i lo -j ACCEPT"), answers, format!("-A {chain} -j DROP")],
        ),
    ]
}

pub(super) fn in_chain(rule: &RuleWords) -> Around {
    let chain = &rule.chain;
    Around {
        drops: Some(String::from("INPUT")),
        before: vec![
            String::from("-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"),
            format!("-A INPUT -j {chain}"),
        ],
        after: vec![
            format!("-A {chain} -j DROP"),
            String::from("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"),
        ],
    }
}

pub(super) fn instead_of_return(rule: &RuleWords) -> Vec<Alternative> {
    let mut accepting = rule.clone();
    if let Some(target) = &mut accepting.target {
        target.name = String::from("ACCEPT");
    }
    vec![
        alternative(
            "ACCEPT in its place: wider, for the rules behind the jump are not asked any more.",
            vec![accepting.save()],
        ),
        alternative("Without it.", Vec::new()),
    ]
}

pub(super) fn instead_of_neighbour(rule: &RuleWords) -> Vec<Alternative> {
    let chain = &rule.chain;
    let of = |kind: u8, hops: &str| {
        format!("-A {chain} -p ipv6-icmp -m icmp6 --icmpv6-type {kind}{hops} -j ACCEPT")
    };
    let hops = " -m hl --hl-eq 255";
    let all = |hops: &str| [133, 134, 135, 136].map(|kind| of(kind, hops)).to_vec();
    vec![
        alternative(
            "All that a host needs on its link: to find routers and neighbours, and to be found.",
            all(hops),
        ),
        alternative(
            "The same without the hop limit: what somebody beyond a router has sent gets past the filter.",
            all(""),
        ),
        alternative(
            "All of ICMPv6: wider; with pings, errors and redirects.",
            vec![format!("-A {chain} -p ipv6-icmp -j ACCEPT")],
        ),
    ]
}

//! `keepstate why` and `keepstate diff` as people call them.

use keepstate_analysis::trace::notation::Reader;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn keepstate(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keepstate")).args(words).output().expect("keepstate")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// A folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let at = std::env::temp_dir().join(format!("keepstate-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&at).expect("a directory");
    at
}

fn shared(part: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(part);
    if !found.exists() {
        println!("skipped: no shared test material ({part})");
        return None;
    }
    Some(found)
}

const OLD: &str = "*filter\n:INPUT DROP [0:0]\n\
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 21 -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n";

#[test]
fn exit_statuses_say_equal_different_and_unreadable() {
    let at = folder("diff-status");
    let file = |name: &str, text: &str| {
        let path = at.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_string_lossy().into_owned()
    };
    let old = file("old.v4", OLD);
    let split = OLD
        .replace("--dport 80 -j", "--dport 80 ! -s 10.0.0.0/8 -j")
        .replace("COMMIT", "-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT");
    let (split, other) = (file("split.v4", &split), file("other.v4", &OLD.replace("21", "22")));
    let (broken, six) = (file("broken.v4", "*filter\n-A INPUT -j\n"), file("six.v6", OLD));
    for (new, status, text) in [
        (&old, 0, "Proven equal"),
        (&split, 0, "Proven equal"),
        (&other, 1, "accept -> drop"),
        (&broken, 2, ""),
        (&six, 2, ""),
    ] {
        let output = keepstate(&["diff", &old, new]);
        assert_eq!(output.status.code(), Some(status), "{new}: {output:?}");
        assert!(stdout(&output).contains(text), "{new}: {}", stdout(&output));
    }
    let json = keepstate(&["diff", "--format", "json", &old, &other]);
    let told: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let rows = told[0]["ways"][0]["rows"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["certain"] == true), "{rows:#?}");
    // The packet of each row can be pasted.
    for row in rows {
        let witness = &row["witness"];
        let command = witness["trace"].as_str().expect("a command");
        let (words, packet) = command.split_once(" --packet '").expect("a packet");
        let mut words: Vec<&str> = words.split(' ').skip(1).collect();
        words.extend(["--packet", packet.trim_end_matches('\'')]);
        let traced = keepstate(&words);
        assert_eq!(traced.status.code(), Some(0), "{traced:?}");
        let told = stdout(&traced);
        assert_eq!(told.contains("let in"), row["old"] == "accept", "{told}");
    }
}

/// Packets in the notation of `trace` as a capture, a second apart.
fn capture(at: &Path, lines: &str) -> String {
    let mut reader = Reader::default();
    reader.lines(lines).expect("the notation");
    // pcap, little-endian, link type RAW.
    let mut out = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        out.extend(word.to_le_bytes());
    }
    for (second, packet) in (1_700_000_000_u32..).zip(reader.finish()) {
        let length = u32::try_from(packet.bytes.len()).expect("short");
        for word in [second, 0, length, length] {
            out.extend(word.to_le_bytes());
        }
        out.extend(packet.bytes);
    }
    let path = at.join("capture.pcap");
    std::fs::write(&path, out).expect("a file");
    path.to_string_lossy().into_owned()
}

#[test]
fn connections_that_live_on_are_named_with_the_command_that_ends_them() {
    let at = folder("diff-capture");
    let file = |name: &str, rules: &str| {
        let text = format!(
            "*filter\n:FORWARD DROP [0:0]\n\
             -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n{rules}COMMIT\n"
        );
        std::fs::write(at.join(name), text).expect("a file");
        at.join(name).to_string_lossy().into_owned()
    };
    let web = "-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT\n";
    let old = file("old.v4", "-A FORWARD -j ACCEPT\n");
    let closed = file("closed.v4", web);
    let no_syn = "-A FORWARD -p tcp -m tcp --dport 22 --syn -j DROP\n-A FORWARD -j ACCEPT\n";
    let loose = file("loose.v4", no_syn);
    let mut lines = String::new();
    for port in [22, 80] {
        let (client, server) = ("10.0.0.5:40000", format!("192.0.2.1:{port}"));
        lines.push_str(&format!(
            "tcp {client} > {server} syn seq=100\ntcp {server} > {client} syn ack seq=900 ack=101\n\
             tcp {client} > {server} ack seq=101 ack=901\n"
        ));
    }
    // One that has ended is not told of.
    lines.push_str("tcp 10.0.0.5:40001 > 192.0.2.1:22 syn seq=5\n");
    lines.push_str("tcp 192.0.2.1:22 > 10.0.0.5:40001 rst ack seq=0 ack=6\n");
    let recording = capture(&at, &lines);
    let ssh = "conntrack -D -p tcp -s 10.0.0.5 -d 192.0.2.1 --sport 40000 --dport 22";
    for (new, comes_back) in [(&closed, false), (&loose, true)] {
        let output = keepstate(&["diff", "--format", "json", &old, new, &recording]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let recorded = &told[0]["recorded"];
        assert_eq!(recorded["packets"], 8, "{recorded:#}");
        assert_eq!(recorded["kept_alive_count"], 1, "{recorded:#}");
        let kept = &recorded["kept_alive"][0];
        assert_eq!(kept["delete"], ssh, "{kept:#}");
        assert_eq!(kept["is_readopted"], comes_back, "{kept:#}");
        let text = stdout(&keepstate(&["diff", &old, new, &recording]));
        assert!(text.contains(ssh), "{text}");
        assert_eq!(text.contains("nf_conntrack_tcp_loose=1"), comes_back, "{text}");
    }
}

/// What is not the first segment of a connection is NEW, or RELATED, as long as nobody has answered.
#[test]
fn segments_behind_one_that_nobody_has_answered_are_shown_by_what_came_before() {
    let at = folder("diff-unanswered");
    let rules = [
        "--tcp-flags RST RST -m conntrack --ctstate NEW",
        "--tcp-flags FIN FIN -m conntrack --ctstate NEW",
        "--tcp-flags RST RST -m conntrack --ctstate RELATED",
    ];
    let without = |left_out: usize| {
        let kept = (0..).zip(rules).filter(|(number, _)| *number != left_out);
        let rules: String =
            kept.map(|(_, rule)| format!("-A INPUT -p tcp -m tcp {rule} -j DROP\n")).collect();
        let path = at.join(format!("{left_out}.v4"));
        std::fs::write(&path, format!("*filter\n:INPUT ACCEPT [0:0]\n{rules}COMMIT\n"))
            .expect("a file");
        path.to_string_lossy().into_owned()
    };
    let old = without(rules.len());
    for (number, (packet, opens)) in
        [(" rst in", " syn"), (" fin ack in", " ack"), (" rst in", " syn")].into_iter().enumerate()
    {
        let output = keepstate(&["diff", &old, &without(number)]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = stdout(&output);
        let is_shown = |line: &str| line.contains("such as") && line.contains(packet);
        assert!(told.lines().any(is_shown), "{told}");
        assert!(told.contains("behind") && told.contains(opens), "{told}");
        assert!(!told.contains("no packet was found"), "{told}");
    }
}

/// Rule sets of different makers, with rules that nothing needs.
const REAL: [&str; 5] = [
    "Iptables_Semantics/thy__Iptables_Semantics__Examples__Ringofsaturn_com__iptables-save",
    "Iptables_Semantics/thy__Iptables_Semantics__Examples__sns.ias.edu__eduroam_iptables-save",
    "Iptables_Semantics/thy__Iptables_Semantics__Examples__SQRL_Shorewall__2015_aug_iptables-save-spoofing-protection",
    "Iptables_Semantics/thy__Iptables_Semantics__Examples__IPPartEval__gopherproxy.meulie.net__iptables-save",
    "net-network/config_vsrv__iptables-save.txt.derived",
];
/// The same, where every rule is asked about.
const MORE: [&str; 6] = [
    "Iptables_Semantics/thy__Iptables_Semantics__Examples__IPPartEval__medium-sized-company__iptables-save",
    "net-network/config_home_user__typical_home_user_iptables-save",
    "net-network/configs_sqrl_shorewall__2014_sep_iptables-saveakachan",
    "net-network/configs_serverfault__765855.txt",
    "net-network/configs_psa__team_a__about_NOTRACK.txt.derived",
    "tools-generated/ufw-desktop.iptables-save",
];

/// What `why` calls not needed is taken away, and recorded traffic fares as before. All of a rule set at once, or
/// where some of them stand in for others in halves; with `KEEPSTATE_ALL` each alone, and on more traffic.
#[test]
fn rules_that_are_not_needed_change_nothing_on_recorded_traffic() {
    let Some(rules) = shared("rulesets") else { return };
    let all = std::env::var_os("KEEPSTATE_ALL").is_some();
    let captures: Vec<PathBuf> = match all {
        true => shared("captures-large/busy-mix.pcap.gz").into_iter().collect(),
        false => {
            let Some(folder) = shared("captures") else { return };
            let names = ["ndpi__ftp.pcap", "arkime__IKEv2.pcap", "arkime__arkime_synthetic.pcap"];
            names.map(|name| folder.join(name)).into_iter().filter(|path| path.exists()).collect()
        }
    };
    if captures.is_empty() {
        return;
    }
    let more = if all { MORE.as_slice() } else { &[] };
    for name in REAL.iter().chain(more) {
        let path = rules.join(name);
        let path = path.to_string_lossy();
        let output = keepstate(&["why", "--rules", &path, "--all", "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let told = told.as_array().expect("a list");
        let source = std::fs::read_to_string(&*path).expect("rules");
        let count = source.lines().filter(|line| line.starts_with("-A")).count();
        assert_eq!(told.len(), count, "{name}: a rule without an answer");
        let idle = |one: &&serde_json::Value| {
            one["need"] == "not-needed" || one["need"] == "never-reached"
        };
        let idle = told.iter().filter(idle);
        let unneeded: Vec<u64> = idle.filter_map(|one| one["line"].as_u64()).collect();
        println!("{name}: {} of {count} rules are not needed", unneeded.len());
        assert!(!unneeded.is_empty(), "{name}: a rule set with such rules");
        let took = Took { name, path: &path, source: &source, captures: &captures };
        let together = if all { 1 } else { unneeded.len() };
        unneeded.chunks(together).for_each(|lines| took.away(lines));
    }
}

/// A rule set, and what has come past it.
struct Took<'a> {
    name: &'a str,
    path: &'a str,
    source: &'a str,
    captures: &'a [PathBuf],
}

impl Took<'_> {
    /// Rules that are not needed are taken away.
    fn away(&self, lines: &[u64]) {
        let kept = self.source.lines().zip(1..).filter(|(_, at)| !lines.contains(at));
        let text: String = kept.map(|(text, _)| format!("{text}\n")).collect();
        let new = folder("why-unneeded").join("new.v4");
        std::fs::write(&new, text).expect("a file");
        let new = new.to_string_lossy();
        let mut words = vec!["diff", "--format", "json", self.path, &new];
        let captures: Vec<_> = self.captures.iter().map(|one| one.to_string_lossy()).collect();
        words.extend(captures.iter().map(|one| &**one));
        let output = keepstate(&words);
        let told: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{}: {error} {output:?}", self.name));
        if told[0]["equal"] != true {
            // One does the work of another, which does not need it either.
            assert!(lines.len() > 1, "{}:{lines:?} {:#}", self.name, told[0]["ways"]);
            lines.chunks(lines.len().div_ceil(2)).for_each(|half| self.away(half));
            return;
        }
        let recorded = &told[0]["recorded"];
        assert_eq!(recorded["packets_differing"], 0, "{}:{lines:?} {recorded:#}", self.name);
        assert!(recorded["packets"].as_u64() > Some(0), "{recorded:#}");
    }
}

/// The page of docs/ holds the whole answer to the question that most people ask: `KEEPSTATE_BLESS=1` writes it
/// anew.
#[test]
fn the_page_about_a_whole_answer_is_what_the_command_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let words = ["why", "examples/rules/host.rules:7"];
    let output = Command::new(env!("CARGO_BIN_EXE_keepstate"))
        .args(words)
        .current_dir(&root)
        .env_remove("COLUMNS")
        .output()
        .expect("keepstate");
    let page = format!(
        "# Why a rule is needed: a whole answer\n\n\
         What `keepstate why` says of the rule that stands in nearly every rule set. A test prints it anew.\n\n    \
         keepstate {}\n\n```\n{}```\n",
        words.join(" "),
        stdout(&output)
    );
    let path = root.join("docs/why.md");
    if std::env::var_os("KEEPSTATE_BLESS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    for (found, wanted) in page.lines().zip(wanted.lines()) {
        assert_eq!(found, wanted);
    }
    assert_eq!(page, wanted, "to accept: KEEPSTATE_BLESS=1 cargo test -p keepstate-cli --test why");
}

#[test]
fn rules_that_do_each_others_work_are_told_to_be_asked_one_by_one() {
    let at = folder("why-together");
    let path = at.join("rules.v4");
    let alone = OLD.replace(" --dport 21 ", " --dport 80 ");
    let all = |text: &str| {
        std::fs::write(&path, text).expect("a file");
        stdout(&keepstate(&["why", "--rules", &path.to_string_lossy(), "--all"]))
    };
    let (both, one) = (all(&alone), all(OLD));
    std::fs::remove_dir_all(&at).expect("removed");
    assert!(both.contains("not needed") && both.contains("never reached"), "{both}");
    assert!(both.contains("as long as one of them stays"), "{both}");
    assert!(!one.contains("as long as"), "{one}");
}

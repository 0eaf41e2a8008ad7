//! The rule store under several commands at once and commands that are killed, and what the commands
//! say, held against the real tools in a namespace of their own. Skips, saying so, where there is
//! none.

mod links;

use links::{KEEPSTATE, Machine};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// Whether a namespace for the real tools can be made here.
fn real_tools_work() -> bool {
    let ran = Command::new("unshare").args(["-n", "iptables", "-S"]).output();
    ran.is_ok_and(|output| output.status.success())
}

#[test]
fn no_change_of_two_writers_is_lost() {
    let machine = Machine::new("store-writers");
    thread::scope(|scope| {
        for writer in 0..2 {
            let machine = &machine;
            scope.spawn(move || {
                for number in 0..40 {
                    let line = format!("-w -A INPUT -s 10.{writer}.0.{number} -j DROP");
                    let output = machine.run("iptables-legacy", &words(&line), "");
                    assert!(output.status.success(), "{output:?}");
                }
            });
        }
    });
    let saved = machine.saved("iptables-legacy");
    for writer in 0..2 {
        let prefix = format!("-A INPUT -s 10.{writer}.0.");
        let own: Vec<&str> = saved.lines().filter(|line| line.starts_with(&prefix)).collect();
        assert_eq!(own.len(), 40, "{saved}");
        let expected = (0..40).map(|number| format!("{prefix}{number}/32 -j DROP"));
        assert!(own.iter().copied().eq(expected), "{saved}");
    }
}

/// A restore of many rules is killed at a different moment each time: the store holds the old rules
/// or the new ones, whole, and is never left locked.
#[test]
fn who_is_killed_leaves_the_old_rules_or_the_new_ones() {
    let machine = Machine::new("store-killed");
    let file = |count: usize| {
        let mut text = String::from("*filter\n");
        for number in 0..count {
            let (high, low) = (number / 250, number % 250);
            text.push_str(&format!(
                "-A INPUT -s 10.{count_low}.{high}.{low}/32 -j DROP\n",
                count_low = count % 250
            ));
        }
        text + "COMMIT\n"
    };
    let path = machine.links.join("rules");
    let (mut count, mut cut) = (2000, 0);
    assert!(machine.run("iptables-restore", &[], &file(count)).status.success());
    for round in 0..30_u64 {
        let next = 2000 + (round as usize + 1);
        fs::write(&path, file(next)).expect("written");
        let mut child = machine
            .start("iptables-restore", &[path.display().to_string()])
            .spawn()
            .expect("the link");
        thread::sleep(Duration::from_millis(round * 2));
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
        let saved = machine.saved("iptables");
        let found = saved.lines().filter(|line| line.starts_with("-A INPUT")).count();
        assert!(found == count || found == next, "{found} rules, neither {count} nor {next}");
        cut += usize::from(found == count);
        count = found;
    }
    println!("{cut} of 30 were killed before their change, {} after it", 30 - cut);
    let output = machine.run("iptables-legacy", &words("-A INPUT -j ACCEPT"), "");
    assert!(output.status.success(), "left locked: {output:?}");
}

#[test]
fn a_held_lock_is_waited_for_only_when_told_to() {
    let machine = Machine::new("store-held");
    assert!(machine.run("iptables-legacy", &words("-N x"), "").status.success());
    let lock = fs::File::options().write(true).open(machine.store.join("lock")).expect("a lock");
    lock.lock().expect("locked");
    for (line, text) in
        [("-F", "Perhaps you want to use the -w option?"), ("-w 1 -F", "Stopped waiting after 1s.")]
    {
        let output = machine.run("iptables-legacy", &words(line), "");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{told}");
        assert!(told.contains("holding the xtables lock") && told.contains(text), "{told}");
    }
    // Who only looks needs no lock.
    assert!(machine.run("iptables-legacy", &words("-L -n"), "").status.success());
}

#[test]
fn the_store_is_named_by_option_or_environment_and_names_may_be_verbs() {
    let machine = Machine::new("store-named");
    let other = machine.store.with_file_name("other");
    let option = format!("--rule-store={}", other.display());
    let keepstate = |line: &[&str]| {
        let output = Command::new(KEEPSTATE)
            .args(line)
            .env("KEEPSTATE_RULE_STORE", &machine.store)
            .stdin(Stdio::null())
            .output()
            .expect("keepstate");
        assert!(output.status.success(), "{line:?}: {output:?}");
        String::from_utf8(output.stdout).expect("a text")
    };
    keepstate(&["iptables", &option, "-N", "here"]);
    keepstate(&["ip6tables-legacy", "-N", "there"]);
    keepstate(&["xtables-nft-multi", "ip6tables", "-N", "nft"]);
    assert!(
        keepstate(&["iptables-save", "--rule-store", &other.display().to_string()])
            .contains(":here -")
    );
    assert!(!keepstate(&["iptables-save"]).contains(":here -"));
    assert!(keepstate(&["ip6tables-legacy-save"]).contains(":there -"));
    assert!(machine.saved("ip6tables").contains(":nft -"));
    assert_eq!(keepstate(&["iptables", "--version"]), "iptables v1.8.11 (nf_tables)\n");
    assert_eq!(keepstate(&["iptables-legacy", "-V"]), "iptables v1.8.11 (legacy)\n");
}

/// What both say of the same commands: status, and standard error's own lines.
#[test]
fn commands_say_what_the_real_ones_say() {
    if !real_tools_work() {
        return println!("skipped: iptables in a namespace needs root");
    }
    let commands = include_str!("commands.txt");
    let machine = Machine::new("store-texts");
    for tool in ["iptables", "iptables-legacy", "ip6tables"] {
        let mut script = String::new();
        for line in commands.lines() {
            script.push_str(&format!("{tool} {line} >/dev/null 2>/tmp/keepstate-said; echo \"$? $(head -1 /tmp/keepstate-said)\"\n"));
        }
        let said = std::env::temp_dir().join(format!("keepstate-said-{}", std::process::id()));
        let script = script.replace("/tmp/keepstate-said", &said.display().to_string());
        let run = |command: &mut Command| {
            let output = command.args(["sh", "-c", &script]).output().expect("a shell");
            let text = String::from_utf8_lossy(&output.stdout).replace(" v1.8.9 ", " v1.8.11 ");
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let theirs = run(Command::new("unshare").arg("-n"));
        let path = std::env::var("PATH").unwrap_or_default();
        let ours = run(Command::new("env")
            .env("PATH", format!("{}:{path}", machine.links.display()))
            .env("KEEPSTATE_RULE_STORE", machine.store.join(tool)));
        let _ = fs::remove_file(said);
        assert_eq!(ours.len(), theirs.len());
        let mut odd = String::new();
        for ((line, ours), theirs) in commands.lines().zip(&ours).zip(&theirs) {
            if ours != theirs {
                odd.push_str(&format!("{tool} {line}\n  ours:   {ours}\n  theirs: {theirs}\n"));
            }
        }
        assert!(odd.is_empty(), "{odd}");
    }
}

/// Files of commands alone: of the rule sets, and what ferm makes of its tests.
fn command_files() -> Option<Vec<std::path::PathBuf>> {
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let rulesets = shared.join("rulesets");
    let index = fs::read_to_string(rulesets.join("INDEX.tsv")).ok()?;
    let commands = index.lines().filter(|line| line.split('\t').nth(1) == Some("iptables-cmds"));
    let mut files: Vec<_> =
        commands.filter_map(|line| Some(rulesets.join(line.split('\t').next()?))).collect();
    for folder in fs::read_dir(shared.join("suites/ferm-2.7/test")).ok()?.flatten() {
        let inside = fs::read_dir(folder.path()).ok().into_iter().flatten().flatten();
        files.extend(inside.map(|file| file.path()).filter(|path| {
            path.extension().is_some_and(|ending| ending == "result")
                && fs::read_to_string(path).is_ok_and(|text| text.lines().all(is_plain))
        }));
    }
    files.sort();
    Some(files)
}

fn is_command(line: &str) -> bool {
    line.starts_with("iptables ") || line.starts_with("ip6tables ")
}

/// Whether a line is a command of iptables and nothing else, and asks for no set, control group or name of a
/// host, which the real tools look for on the machine.
fn is_plain(line: &str) -> bool {
    is_command(line)
        && !line.contains(['$', '`', ';', '|', '>', '<', '('])
        && !["-set ", "--path ", "localhost"].iter().any(|of_machine| line.contains(of_machine))
}

/// Command files of the shared test material, each command run by the real tools and read here as a
/// script, with the chains that they are for made before and without them.
#[test]
fn command_files_leave_what_the_real_tools_leave() {
    let Some(files) = command_files() else {
        return println!("skipped: no shared test material");
    };
    if !real_tools_work() {
        return println!("skipped: iptables in a namespace needs root");
    }
    let machine = Machine::new("store-command-files");
    let (mut same, mut runs, mut odd) = (0, 0, String::new());
    for file in files {
        let name = file.display();
        let text = fs::read_to_string(&file).expect("readable");
        let commands: Vec<&str> = text.lines().filter(|line| is_command(line)).collect();
        let mut chains: Vec<String> = Vec::new();
        for line in &commands {
            let words: Vec<&str> = line.split(' ').collect();
            if let ([tool, ..], Some(at)) = (&words[..], words.iter().position(|w| *w == "-A")) {
                chains.push(format!("{tool} -N {}", words[at + 1]));
            }
        }
        chains.sort_unstable();
        chains.dedup();
        runs += 1;
        for with_chains in [true, false] {
            let before = if with_chains { chains.join("\n") } else { String::new() };
            let script = format!("{before}\n{}\n", commands.join("\n"));
            let ran = Command::new("unshare")
                .args([
                    "-n",
                    "sh",
                    "-c",
                    &format!("({script}) >/dev/null 2>&1; iptables-save; ip6tables-save"),
                ])
                .output()
                .expect("a shell");
            let read = keepstate_ruleset::syntax::iptables_command::script::run(
                &script,
                keepstate_ruleset::labels::LabelNames::NONE,
            );
            let mut ours = String::new();
            for kept in [&read.v4, &read.v6] {
                kept.order().into_iter().for_each(|table| kept.save(&mut ours, table, false));
            }
            let theirs: String = String::from_utf8_lossy(&ran.stdout)
                .lines()
                .filter(|line| !line.starts_with('#'))
                .map(|line| format!("{line}\n"))
                .collect();
            // 1.8.9 saves type 255 with a code as any type; 1.8.11 does not.
            if ours.replace("--icmp-type 255/255", "--icmp-type any") == theirs {
                same += 1;
            } else {
                odd.push_str(&format!("{name}\nours:\n{ours}theirs:\n{theirs}\n"));
            }
            let by_link = machine.store.join(format!("{runs}-{with_chains}"));
            let path = std::env::var("PATH").unwrap_or_default();
            let ran = Command::new("sh")
                .args(["-c", &format!("({script}) >/dev/null 2>&1; iptables-save; ip6tables-save")])
                .env("PATH", format!("{}:{path}", machine.links.display()))
                .env("KEEPSTATE_RULE_STORE", by_link)
                .output()
                .expect("a shell");
            let linked = String::from_utf8_lossy(&ran.stdout);
            let linked = linked.lines().filter(|line| !line.starts_with('#'));
            assert!(linked.eq(ours.lines()), "{name}: the links leave something else");
        }
    }
    println!("{same} the same");
    assert!(odd.is_empty(), "{odd}");
}

/// A script whose faults are commands that iptables refuses is printed without them, and the status says that
/// something was wrong; nothing is printed of one that only a shell could tell.
#[test]
fn convert_prints_what_refused_commands_leave() {
    let convert = |script: &str| {
        let mut child = Command::new(KEEPSTATE)
            .args(["convert", "--to", "iptables-save", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("keepstate starts");
        child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("taken");
        let output = child.wait_with_output().expect("ends");
        let texts = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), texts)
    };
    let (status, [rules, said]) =
        convert("iptables -A INPUT -i lo -j ACCEPT\niptables -A INPUT -p tpc -j DROP\n");
    assert_eq!(status, Some(1));
    assert!(rules.contains("-A INPUT -i lo -j ACCEPT\nCOMMIT"), "{rules}");
    assert!(said.contains("-:2:22-24: error[KS0403]"), "{said}");
    let (status, [rules, said]) =
        convert("iptables -A INPUT -i lo -j ACCEPT\niptables -A INPUT -i $IF -j DROP\n");
    assert_eq!((status, rules.as_str()), (Some(1), ""));
    assert!(said.contains("error[KS0112]"), "{said}");
}

/// Accounting objects are made before rules name them, and stay while rules do.
#[test]
fn accounting_objects_of_the_store() {
    let machine = Machine::new("nfacct");
    let run = |name: &str, line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let output = machine.run(name, &words, "");
        let texts = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), texts.concat())
    };
    let (status, said) = run("iptables", "-A INPUT -m nfacct --nfacct-name http");
    assert_eq!(status, Some(4), "{said}");
    assert!(said.contains("RULE_APPEND failed (No such file or directory): rule in chain INPUT"));
    let (status, said) = run("iptables-legacy", "-A INPUT -m nfacct --nfacct-name http");
    assert_eq!(
        (status, said.as_str()),
        (Some(1), "iptables: No chain/target/match by that name.\n")
    );
    assert_eq!(run("nfacct", "add http"), (Some(0), String::new()));
    assert_eq!(run("nfacct", "add few packet 3"), (Some(0), String::new()));
    let busy = String::from("nfacct v1.0.2: error: Device or resource busy\n");
    assert_eq!(run("nfacct", "add http"), (Some(1), busy.clone()));
    assert_eq!(run("iptables", "-A INPUT -m nfacct --nfacct-name http").0, Some(0));
    assert_eq!(run("nfacct", "delete http"), (Some(1), busy));
    let zero = "00000000000000000000";
    let http = format!("{{ pkts = {zero}, bytes = {zero} }} = http;\n");
    let few = format!(
        "{{ pkts = {zero}, bytes = {zero}, quota = 00000000000000000003, mode = packet, overquota = no }} \
         = few;\n"
    );
    assert_eq!(run("nfacct", "list"), (Some(0), format!("{http}{few}")));
    assert_eq!(run("nfacct", "get few"), (Some(0), few));
    assert_eq!(run("nfacct", "flush"), (Some(0), String::new()));
    assert_eq!(run("nfacct", "list"), (Some(0), http));
    let none = String::from("nfacct v1.0.2: error: No such file or directory\n");
    assert_eq!(run("nfacct", "get few"), (Some(1), none));
    assert_eq!(run("iptables", "-F").0, Some(0));
    assert_eq!(run("nfacct", "delete http"), (Some(0), String::new()));
    assert_eq!(run("nfacct", "list"), (Some(0), String::new()));
}

/// Rate estimators are made by one rule and asked by others, of both families and by both names of a tool.
#[test]
fn rate_estimators_of_the_store() {
    let machine = Machine::new("rateest");
    let run = |name: &str, line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let output = machine.run(name, &words, "");
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let ask = "-A INPUT -m rateest --rateest RE1 --rateest-gt --rateest-pps 5";
    let make =
        "-A OUTPUT -j RATEEST --rateest-name RE1 --rateest-interval 250ms --rateest-ewmalog 500ms";
    let other =
        "-A OUTPUT -j RATEEST --rateest-name RE1 --rateest-interval 250ms --rateest-ewmalog 1s";
    let (status, said) = run("iptables", ask);
    assert_eq!(status, Some(4));
    assert!(said.contains("RULE_APPEND failed (No such file or directory): rule in chain INPUT"));
    assert_eq!(run("ip6tables", make).0, Some(0));
    assert_eq!(run("iptables", ask).0, Some(0));
    let (status, said) = run("iptables-legacy", other);
    assert_eq!(status, Some(1));
    assert!(said.contains("Invalid argument"), "{said}");
    // The rule that asks keeps it.
    assert_eq!(run("ip6tables", "-F").0, Some(0));
    assert_eq!(run("iptables", ask).0, Some(0));
    assert_eq!(run("iptables", "-F").0, Some(0));
    assert_eq!(run("iptables", ask).0, Some(4));
}

/// Our XML of save files, beside the real tool's, with and without its options.
#[test]
fn xml_is_what_the_real_tool_prints() {
    if !Command::new("iptables-xml").arg("/dev/null").output().is_ok_and(|out| out.status.success())
    {
        return println!("skipped: no iptables-xml here");
    }
    let machine = Machine::new("store-xml");
    let mut texts: Vec<String> =
        include_str!("xml.txt").split("====\n").map(str::to_owned).collect();
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/rulesets");
    let index = fs::read_to_string(shared.join("INDEX.tsv")).unwrap_or_default();
    for line in index.lines().filter(|line| line.split('\t').nth(1) == Some("iptables-save")) {
        let name = line.split('\t').next().expect("a name");
        let text = fs::read(shared.join(name)).expect("readable");
        texts.extend(String::from_utf8(text).ok().filter(|text| text.len() < 300_000));
    }
    let real = |words: &[String], text: &str| {
        let mut child = Command::new("iptables-xml")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("iptables-xml");
        let mut stdin = child.stdin.take().expect("piped");
        let text = text.to_owned();
        let writer = thread::spawn(move || drop(stdin.write_all(text.as_bytes())));
        let output = child.wait_with_output().expect("ends");
        writer.join().expect("written");
        output
    };
    let mut odd = String::new();
    for text in &texts {
        for words in [vec![], words("-c"), words("-v"), words("--combine --verbose")] {
            let (theirs, ours) = (real(&words, text), machine.run("iptables-xml", &words, text));
            // Counters that are none it takes from wherever its memory was.
            if theirs.stdout != real(&words, text).stdout {
                continue;
            }
            let theirs_out = String::from_utf8_lossy(&theirs.stdout).replace("xptables-xml\n", "");
            let ours_out = String::from_utf8_lossy(&ours.stdout);
            if (&*theirs_out, theirs.status.code()) != (&*ours_out, ours.status.code()) {
                let mut lines = theirs_out.lines().zip(ours_out.lines());
                let first = lines.find(|(theirs, ours)| theirs != ours);
                let head: String = text.chars().take(200).collect();
                odd.push_str(&format!(
                    "{words:?} {:?} {:?}: {first:?}\n{head}\n",
                    theirs.status, ours.status
                ));
            }
        }
    }
    println!("{} texts", texts.len());
    assert!(odd.is_empty(), "{odd}");
}

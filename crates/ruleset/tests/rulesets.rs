//! Every iptables-save file of the shared rule sets: it loads and prints back as iptables-restore
//! and iptables-save print it, or it is refused with the place of everything that is in the way.

mod material;

use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::{Diagnostic, code};
use keepstate_ruleset::syntax::iptables_save::{Print, family_of, parse_bytes, print};
use material::Tool;
use std::collections::BTreeMap;

struct File {
    name: String,
    text: Vec<u8>,
    loads: bool,
}

fn files() -> Option<Vec<File>> {
    let folder = material::folder("rulesets")?;
    let index = std::fs::read_to_string(folder.join("INDEX.tsv")).ok()?;
    let mut files = Vec::new();
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        if columns.get(1) != Some(&"iptables-save") {
            continue;
        }
        let text = std::fs::read(folder.join(columns[0])).unwrap();
        files.push(File { name: columns[0].into(), text, loads: columns[9].contains("nft=yes") });
    }
    Some(files)
}

/// What may stand in the way of a file that iptables loads. A range that begins above its end is
/// refused by later versions of iptables.
const UNSUPPORTED: [keepstate_ruleset::diagnostic::Code; 3] =
    [code::MATCH_UNSUPPORTED, code::TARGET_UNSUPPORTED, code::RANGE_BACKWARDS];

fn describe(file: &File, faults: &[Diagnostic]) -> String {
    let source = String::from_utf8_lossy(&file.text);
    faults.iter().take(5).map(|fault| fault.render(&file.name, &source)).collect()
}

#[test]
fn every_file_prints_back_or_is_refused_by_name() {
    let Some(files) = files() else { return println!("skipped: no shared test material") };
    if !material::iptables_works() {
        return println!("skipped: iptables in a namespace needs root");
    }
    let (mut equal, mut refused, mut both_refuse) = (0, 0, 0);
    let mut missing: BTreeMap<String, usize> = BTreeMap::new();
    let mut problems = Vec::new();
    for file in &files {
        let source = String::from_utf8_lossy(&file.text);
        let family = family_of(&source);
        match parse_bytes(&file.text, family) {
            Ok(mut ruleset) => {
                for counters in [true, false] {
                    if !counters {
                        ruleset.zero_counters();
                    }
                    let ours = print(&ruleset, Print { counters, ..Print::default() });
                    let theirs = material::restore_and_save(family, Tool::Nft, &source, counters);
                    match theirs {
                        Ok(theirs) if theirs == ours => equal += usize::from(counters),
                        Ok(theirs) => problems.push(difference(&file.name, &theirs, &ours)),
                        // Sets are asked of the kernel by the tool, and of `needs` here.
                        Err(error)
                            if error.contains("Set ") && !ruleset.needs().sets.is_empty() =>
                        {
                            both_refuse += usize::from(counters);
                        }
                        // A file without counters, which `iptables-restore -c` insists on.
                        Err(error) if counters && error.contains("invalid policy counters") => {}
                        Err(error) => problems.push(format!("{}: they refuse: {error}", file.name)),
                    }
                }
            }
            Err(faults) => {
                let alone = faults.iter().all(|fault| UNSUPPORTED.contains(&fault.code));
                if file.loads && !alone {
                    let others: Vec<Diagnostic> = faults
                        .iter()
                        .filter(|fault| !UNSUPPORTED.contains(&fault.code))
                        .cloned()
                        .collect();
                    problems.push(format!("{}: {}", file.name, describe(file, &others)));
                }
                refused += usize::from(file.loads);
                both_refuse += usize::from(!file.loads);
                for fault in faults.iter().filter(|fault| UNSUPPORTED.contains(&fault.code)) {
                    *missing.entry(fault.text.clone()).or_default() += 1;
                }
            }
        }
    }
    println!(
        "{} files: {equal} load and print back the same, {refused} refused for what is not \
         supported yet, {both_refuse} refused by both",
        files.len()
    );
    for (text, count) in &missing {
        println!("{count:6} {text}");
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

fn difference(name: &str, theirs: &str, ours: &str) -> String {
    let mut lines = theirs.lines().zip(ours.lines()).filter(|(theirs, ours)| theirs != ours);
    let first = lines.next().unwrap_or(("(length)", "(length)"));
    format!("{name}:\n  theirs: {}\n  ours:   {}", first.0, first.1)
}

#[test]
fn printing_is_a_fixpoint() {
    let Some(files) = files() else { return println!("skipped: no shared test material") };
    for file in &files {
        let family = family_of(&String::from_utf8_lossy(&file.text));
        let Ok(ruleset) = parse_bytes(&file.text, family) else { continue };
        let how = Print { counters: true, ..Print::default() };
        let once = print(&ruleset, how);
        let again = parse_bytes(once.as_bytes(), family).unwrap_or_else(|faults| {
            panic!("{}: {}", file.name, faults[0].render(&file.name, &once))
        });
        assert_eq!(print(&again, how), once, "{}", file.name);
    }
}

#[test]
fn damaged_files_are_refused_or_read_but_never_a_panic() {
    let Some(files) = files() else { return println!("skipped: no shared test material") };
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below.max(1) as u64) as usize
    };
    for file in &files {
        let text = &file.text[..file.text.len().min(20_000)];
        for _ in 0..20 {
            let mut damaged = text.to_vec();
            for _ in 0..=random(8) {
                let at = random(damaged.len());
                match random(4) {
                    0 => damaged.truncate(at),
                    1 => drop(damaged.splice(at..at, *b"\" ! -")),
                    2 if at < damaged.len() => damaged[at] = (random(96) + 32) as u8,
                    _ => {
                        let end = (at + random(200)).min(damaged.len());
                        let piece = damaged[at..end].to_vec();
                        let to = random(damaged.len());
                        drop(damaged.splice(to..to, piece));
                    }
                }
            }
            for family in [Family::V4, Family::V6] {
                let source = String::from_utf8_lossy(&damaged);
                match parse_bytes(&damaged, family) {
                    Ok(ruleset) => {
                        let once = print(&ruleset, Print::default());
                        let again = parse_bytes(once.as_bytes(), family).unwrap_or_else(|faults| {
                            panic!("{}in\n{source}", faults[0].render("printed", &once))
                        });
                        assert_eq!(print(&again, Print::default()), once);
                    }
                    Err(faults) => {
                        assert!(!faults.is_empty());
                        for fault in &faults {
                            let text = fault.render("f", &source);
                            assert!(text.starts_with("f:"), "{text}");
                        }
                    }
                }
            }
        }
    }
}

/// What is left of a file that is refused when the lines at fault are taken away.
fn salvage(file: &File) -> Option<(Family, String)> {
    let source = String::from_utf8(file.text.clone()).ok()?;
    let family = family_of(&source);
    let faults = parse_bytes(source.as_bytes(), family).err()?;
    let mut nat = false;
    let mut start = 0;
    let mut left = String::new();
    for line in source.split_inclusive('\n') {
        let span = start..start + line.len() as u32;
        start = span.end;
        nat |= line.starts_with("*nat");
        if !nat && !faults.iter().any(|fault| span.contains(&fault.span.start)) {
            left.push_str(line);
        }
        nat &= !line.starts_with("COMMIT");
    }
    Some((family, left))
}

#[test]
fn what_is_supported_of_the_refused_files_prints_back() {
    let Some(files) = files() else { return println!("skipped: no shared test material") };
    if !material::iptables_works() {
        return println!("skipped: iptables in a namespace needs root");
    }
    let (mut equal, mut problems) = (0, Vec::new());
    for file in files.iter().filter(|file| file.loads) {
        let Some((family, text)) = salvage(file) else { continue };
        let Ok(ruleset) = parse_bytes(text.as_bytes(), family) else {
            problems.push(format!("{}: still refused", file.name));
            continue;
        };
        for tool in [Tool::Nft, Tool::Legacy] {
            let how = Print { counters: true, legacy: tool == Tool::Legacy };
            let ours = print(&ruleset, how);
            match material::restore_and_save(family, tool, &text, true) {
                Ok(theirs) if theirs == ours => equal += 1,
                Ok(theirs) => problems.push(difference(&file.name, &theirs, &ours)),
                Err(error) => problems.push(format!("{}: they refuse: {error}", file.name)),
            }
        }
    }
    println!("{equal} equal");
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

/// Commands that iptables-save never prints and iptables-restore carries out: what they leave of these rules,
/// or that they are refused, as the legacy tool has it (iptables-nft 1.8.9 breaks down over `-R` and `-E` of what
/// the same file made).
#[test]
fn commands_in_a_file_are_carried_out_as_the_real_tool_does() {
    if !material::iptables_works() {
        return println!("skipped: iptables in a namespace needs root");
    }
    let before = ":INPUT ACCEPT [0:0]\n:a - [0:0]\n:b - [0:0]\n[3:90] -A INPUT -s 10.0.0.1/32 -j a\n\
                  [1:2] -A INPUT -p tcp -j DROP\n-A a -j RETURN\n";
    let commands = [
        "-D INPUT 1",
        "-D INPUT 2",
        "-D INPUT 3",
        "-D INPUT 0",
        "-D INPUT -p tcp -j DROP",
        "-D INPUT -p udp",
        "-D a -j RETURN",
        "-D c 1",
        "-R INPUT 1 -j ACCEPT",
        "-R INPUT 9 -j ACCEPT",
        "-F INPUT",
        "-F",
        "-F a",
        "-F c",
        "-X b",
        "-X a",
        "-X",
        "-X c",
        "-X INPUT",
        "-Z",
        "-Z INPUT",
        "-Z INPUT 1",
        "-E b d",
        "-E a d",
        "-E b a",
        "-E c d",
        "-C INPUT -p tcp -j DROP",
        "-C INPUT -p udp",
        "-P INPUT DROP",
        "-P a DROP",
        "--delete INPUT 1",
        "--flush",
        "--zero INPUT",
        "--rename-chain b e",
        "-F\n-X",
        "-F\n-A INPUT -j DROP",
        "-D INPUT 1\n-D INPUT 1\n-X a",
        "-F a\n-D INPUT 1\n-X a\n-N a\n-A INPUT -j a",
    ];
    let mut odd = String::new();
    for family in [Family::V4, Family::V6] {
        for commands in commands {
            let source = format!("*filter\n{before}{commands}\nCOMMIT\n");
            let source = match family {
                Family::V4 => source,
                Family::V6 => source.replace("10.0.0.1/32", "fd00::1/128"),
            };
            // Whoever asks for counters has to give them to every line.
            let theirs = material::restore_and_save(family, Tool::Legacy, &source, false).ok();
            let ours = parse_bytes(source.as_bytes(), family).map(|mut ruleset| {
                ruleset.zero_counters();
                print(&ruleset, Print::default())
            });
            if ours.as_ref().ok() != theirs.as_ref() {
                odd.push_str(&format!("{commands}\nours: {ours:?}\ntheirs: {theirs:?}\n"));
            }
        }
    }
    assert!(odd.is_empty(), "{odd}");
}

#[test]
fn faults_beside_such_commands_are_all_told() {
    let source =
        "*filter\n-F INPUT\n-A INPUT -p tpc -j DROP\n-D INPUT 7\n-A INPUT -j NOWHERE\nCOMMIT\n";
    let places = |source: &str| -> Vec<String> {
        let faults = parse_bytes(source.as_bytes(), Family::V4).unwrap_err();
        let line = |fault: &Diagnostic| source[..fault.span.start as usize].lines().count();
        faults.iter().map(|fault| format!("{} {}", line(fault), fault.code)).collect()
    };
    assert_eq!(places(source), ["3 KS0403", "5 KS0303"]);
    let source = "*filter\n-F INPUT\n-D INPUT 7\nCOMMIT\n";
    assert_eq!(places(source), ["2 KS0113"]);
}

//! packetdrill scripts about connection tracking: those beside this test, and from the shared test
//! material the kernel's own selftests: `conntrack*.pkt`, and whatever else stands in a folder
//! `netfilter/packetdrill`. `KEEPSTATE_PACKETDRILL` names another folder to look into.

use keepstate_oracle::{namespace, packetdrill};
use keepstate_packet::Family;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Deepest folder that is looked into.
const DEPTH_MAX: usize = 12;

fn scripts(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() && depth < DEPTH_MAX {
            scripts(&path, depth + 1, found);
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let ours = folder.ends_with("netfilter/packetdrill");
            if ours || name.is_some_and(|name| name.starts_with("conntrack")) {
                found.push(path);
            }
        }
    }
}

/// What the scripts say that is not so.
fn faults(paths: &[PathBuf]) -> Vec<String> {
    let kernel = namespace::with(|| ()).is_ok();
    if !kernel {
        println!("the kernel is not asked, no namespace may be made");
    }
    let mut wrong = Vec::new();
    for path in paths {
        let text = fs::read_to_string(path).expect("readable");
        for family in [Family::V4, Family::V6] {
            // ICMP is named by its version.
            let text = match family {
                Family::V4 => text.clone(),
                Family::V6 => text.replace("< icmp ", "< icmpv6 "),
            };
            for packetdrill::Fault { line, who, text } in packetdrill::run(&text, family, kernel) {
                wrong.push(format!("{}:{line} ({family:?}, {who}): {text}", path.display()));
            }
        }
        println!("{}: IPv4 and IPv6", path.display());
    }
    wrong
}

#[test]
fn our_scripts_find_what_they_expect() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packetdrill");
    let entries = fs::read_dir(folder).expect("tests/packetdrill");
    let paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    assert!(paths.len() >= 3);
    let wrong = faults(&paths);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_script_that_expects_too_much_is_told_so() {
    let script = "+0 > S 0:0(0) win 65535\n\
                  +0 `conntrack -L -p tcp | grep -q SYN_SENT`\n\
                  +0 `conntrack -L -p tcp | grep -q ESTABLISHED`\n\
                  +0 `$xtables -A OUTPUT -j DROP`\n\
                  +0 > S 0:0(0) win 65535\n\
                  +0 > S 0:0(0) fin 1\n";
    let found = packetdrill::run(script, Family::V4, false);
    let lines: Vec<(usize, &str)> = found.iter().map(|fault| (fault.line, fault.who)).collect();
    assert_eq!(lines, [(3, "engine"), (5, "engine"), (6, "engine")]);
    let unread = packetdrill::run("+later > S 0:0(0)", Family::V4, false);
    assert_eq!((unread[0].line, unread[0].who), (1, "script"));
}

#[test]
fn the_kernels_scripts_find_what_they_expect() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/suites");
    let folder = env::var_os("KEEPSTATE_PACKETDRILL").map_or(shared, PathBuf::from);
    let mut found = Vec::new();
    scripts(&folder, 0, &mut found);
    found.sort();
    if found.is_empty() {
        println!("skipped: no packetdrill scripts in {}", folder.display());
        return;
    }
    let wrong = faults(&found);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! What is tracked only when rules ask for it: which rules do, and that fragments go by one by one
//! where none does. As root on Linux; elsewhere it says why it is skipped.

mod pieces;

use keepstate_engine::Tracking;
use keepstate_oracle::compare;
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::model::Model;
use keepstate_oracle::namespace;
use keepstate_oracle::observation::{Fate, Side};
use keepstate_packet::{Family, Parsed, checksum};
use pieces::piece;
use std::{io, thread, time::Duration};

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Table, chain and rule; those that ask for tracking, and those that do not.
const ASKING: [(&str, &str, &str); 16] = [
    ("filter", "FORWARD", "-m state --state NEW -j ACCEPT"),
    ("filter", "FORWARD", "-m conntrack --ctstate NEW -j ACCEPT"),
    ("filter", "INPUT", "-m conntrack --ctstate NEW -j ACCEPT"),
    ("filter", "unused", "-m conntrack --ctstate NEW -j ACCEPT"),
    ("filter", "FORWARD", "-m connmark --mark 0x1"),
    ("filter", "FORWARD", "-m connbytes --connbytes 1 --connbytes-mode bytes --connbytes-dir both"),
    ("filter", "FORWARD", "-m connlabel --label 1"),
    ("filter", "FORWARD", "-m connlimit --connlimit-above 100"),
    ("filter", "FORWARD", "-m helper --helper ftp"),
    ("raw", "PREROUTING", "-p tcp -j CT --helper ftp"),
    ("raw", "PREROUTING", "-p 99 -j CT --zone 3"),
    ("mangle", "FORWARD", "-p tcp -j CONNMARK --set-mark 0x1"),
    ("mangle", "FORWARD", "-j CONNMARK --save-mark"),
    ("mangle", "FORWARD", "-j CONNMARK --restore-mark"),
    ("mangle", "FORWARD", "-j CONNSECMARK --save"),
    ("mangle", "FORWARD", "-j CONNSECMARK --restore"),
];
const NOT_ASKING: [(&str, &str, &str); 7] = [
    ("raw", "PREROUTING", "-p udp -j CT --notrack"),
    ("raw", "PREROUTING", "-p udp -j NOTRACK"),
    ("filter", "FORWARD", "-p udp -j ACCEPT"),
    ("filter", "FORWARD", "-p 99 -j REJECT"),
    ("filter", "FORWARD", "-j LOG"),
    ("mangle", "FORWARD", "-j MARK --set-mark 0x1"),
    ("mangle", "FORWARD", "-m addrtype --src-type LOCAL"),
];

fn loaded((table, chain, rule): (&str, &str, &str)) -> String {
    let policy = if chain == "unused" { "-" } else { "ACCEPT" };
    // A table that a file does not name stays as it is; what was loaded before it has to go.
    let others = ["raw", "mangle", "filter"].into_iter().filter(|other| *other != table);
    let emptied: String = others.map(|other| format!("*{other}\nCOMMIT\n")).collect();
    format!("*{table}\n:{chain} {policy} [0:0]\n-A {chain} {rule}\nCOMMIT\n{emptied}")
}

/// Runs `work` with a router of each make, where nothing is tracked that no rule asks for.
fn with_both(
    family: Family,
    rules: &str,
    work: impl FnOnce(&mut Kernel, &mut Model) -> io::Result<()> + Send,
) -> bool {
    let config = Config { tracking: Tracking::WhenNeeded, ..Config::default() };
    let mut texts = [String::new(), String::new()];
    texts[usize::from(family == Family::V6)] = rules.to_owned();
    let mut model = Model::new(&config, &[], &texts).expect("a model");
    let ran = namespace::with(|| {
        let mut kernel = Kernel::new(config)?;
        if !rules.is_empty() {
            kernel.load_rules(family, rules)?;
        }
        work(&mut kernel, &mut model)
    });
    match ran {
        Ok(Ok(())) => true,
        Ok(Err(error)) | Err(error) => {
            eprintln!("skipped: {error}");
            false
        }
    }
}

const ASKING_STATES: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n\
    :OUTPUT ACCEPT [0:0]\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n";
const ASKING_NOTHING: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n\
    :OUTPUT ACCEPT [0:0]\nCOMMIT\n";

/// A segment between port 1024 of 10.0.0.1 and port 80 of 198.51.100.2.
fn segment(back: bool, flags: u8, [sequence, ack]: [u32; 2]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0];
    let (client, server) = ([10, 0, 0, 1], [198, 51, 100, 2]);
    bytes.extend(if back { [server, client] } else { [client, server] }.concat());
    let ports = [1024_u16, 80].map(u16::to_be_bytes);
    bytes.extend(if back { [ports[1], ports[0]] } else { ports }.concat());
    bytes.extend([sequence, ack].map(u32::to_be_bytes).concat());
    bytes.extend([0x50, flags, 0x10, 0, 0, 0, 0, 0]);
    checksum::fill_ipv4_header(&mut bytes);
    let parsed = Parsed::new(&bytes).expect("an IP packet");
    checksum::fill(&parsed, &mut bytes);
    bytes
}

/// Where tracking begins anew, connections that are still there take the windows that they find.
#[test]
fn a_connection_that_was_not_tracked_for_a_while_has_no_windows() {
    with_both(Family::V4, ASKING_STATES, |kernel, model| {
        let both = |kernel: &mut Kernel, model: &mut Model, back, flags, numbers| {
            let packet = segment(back, flags, numbers);
            let side = if back { Side::B } else { Side::A };
            let theirs = kernel.push(side, Family::V4, &packet)?;
            let ours = model.push(side, Family::V4, &packet);
            let differences = compare::observations(&theirs, &ours);
            assert!(differences.is_empty(), "{flags:#x} {numbers:?}: {differences:#?}");
            Ok::<Fate, io::Error>(ours.fate)
        };
        both(kernel, model, false, SYN, [100, 0])?;
        both(kernel, model, true, SYN | ACK, [500, 101])?;
        both(kernel, model, false, ACK, [101, 501])?;
        let far = [50_000_000, 60_000_000];
        assert_eq!(both(kernel, model, false, ACK, far)?, Fate::Dropped);
        kernel.load_rules(Family::V4, ASKING_NOTHING)?;
        model.load_rules(Family::V4, ASKING_NOTHING).expect("rules");
        // The kernel goes on tracking until it gets round to it.
        let mut number = 0;
        while kernel.push(Side::A, Family::V4, &piece(Family::V4, number, 0, 64, true))?.fate
            == Fate::Held
        {
            number += 1;
            assert!(number < 1000, "it still tracks");
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(both(kernel, model, false, ACK, far)?, Fate::Forwarded);
        kernel.load_rules(Family::V4, ASKING_STATES)?;
        model.load_rules(Family::V4, ASKING_STATES).expect("rules");
        for (back, numbers) in [(false, far), (true, [far[1], far[0]]), (false, [101, 501])] {
            both(kernel, model, back, ACK, numbers)?;
        }
        let differences = compare::tables(kernel.connections()?, model.connections());
        assert!(differences.is_empty(), "{differences:#?}");
        Ok(())
    });
}

/// A datagram in two pieces through both; what became of the first.
fn datagram(kernel: &mut Kernel, model: &mut Model, family: Family, number: u16) -> Fate {
    let fates = [0, 64].map(|offset| {
        let packet = piece(family, number, offset, 64 - offset / 2, offset == 0);
        let theirs = kernel.push(Side::A, family, &packet).expect("the kernel takes it");
        let ours = model.push(Side::A, family, &packet);
        let differences = compare::observations(&theirs, &ours);
        assert!(differences.is_empty(), "{family:?}: {differences:#?}");
        ours.fate
    });
    assert_eq!(fates[1], Fate::Forwarded, "{family:?}");
    fates[0]
}

#[test]
fn rules_that_ask_for_tracking_have_fragments_of_their_family_gathered() {
    for rule in ASKING {
        let text = loaded(rule);
        let ran = with_both(Family::V4, &text, |kernel, model| {
            assert_eq!(datagram(kernel, model, Family::V4, 1), Fate::Held, "{rule:?}");
            assert_eq!(datagram(kernel, model, Family::V6, 1), Fate::Forwarded, "{rule:?}");
            kernel.load_rules(Family::V6, &text)?;
            model.load_rules(Family::V6, &text).expect("rules");
            assert_eq!(datagram(kernel, model, Family::V6, 2), Fate::Held, "{rule:?}");
            Ok(())
        });
        if !ran {
            return;
        }
    }
}

#[test]
fn other_rules_let_fragments_go_by() {
    with_both(Family::V4, "", |kernel, model| {
        for (number, rule) in (0..).zip(NOT_ASKING) {
            for family in FAMILIES {
                kernel.load_rules(family, &loaded(rule))?;
                model.load_rules(family, &loaded(rule)).expect("rules");
                assert_eq!(datagram(kernel, model, family, number), Fate::Forwarded, "{rule:?}");
            }
        }
        Ok(())
    });
}

use super::{Operation, join, read, split};
use keepstate_packet::Family;

#[test]
fn a_command_with_all_its_trimmings() {
    let text = "user@host:~$ sudo /sbin/ip6tables -w 5 -t raw --insert PREROUTING 3 --protocol tcp \
                --dport 21 --jump CT --helper ftp # ftp";
    let command = read(text).unwrap();
    assert_eq!(command.family, Some(Family::V6));
    assert_eq!(command.table.as_deref(), Some("raw"));
    assert_eq!(command.operation, Operation::Insert(3));
    assert_eq!(command.chain, "PREROUTING");
    assert_eq!(join(&command.rule), "-p tcp --dport 21 -j CT --helper ftp");
}

#[test]
fn a_saved_line_keeps_its_counters_and_quotes() {
    let command = read(r#"[5:274] -A INPUT -m comment --comment "it's \"so\"" -j DROP"#).unwrap();
    assert_eq!(command.counters, Some((5, 274)));
    assert_eq!(command.rule.get(3).map(|word| word.as_str()), Some("it's \"so\""));
    assert_eq!(split(&join(&command.rule)).unwrap(), command.rule);
}

#[test]
fn an_exclamation_mark_moves_before_its_option() {
    let command = read("iptables -A INPUT -p ! tcp -s ! 10.0.0.0/8 -j DROP").unwrap();
    assert_eq!(join(&command.rule), "! -p tcp ! -s 10.0.0.0/8 -j DROP");
    let command = read("iptables -A INPUT ! -p tcp -j DROP").unwrap();
    assert_eq!(join(&command.rule), "! -p tcp -j DROP");
}

#[test]
fn policies_and_deletions() {
    let command = read("iptables -P INPUT DROP").unwrap();
    assert_eq!(command.operation, Operation::Policy("DROP".into()));
    let command = read("iptables -D FORWARD 2").unwrap();
    assert_eq!(command.operation, Operation::DeleteNumber(2));
    let command = read("iptables -D FORWARD -j DROP").unwrap();
    assert_eq!(command.operation, Operation::Delete);
}

#[test]
fn other_texts_are_no_commands() {
    for text in ["", "iptables", "ls -A INPUT", "-A", "iptables -A", "'-A INPUT", "hello world"] {
        assert_eq!(read(text), None, "{text}");
    }
}

//! What conntrack-tools 1.4.7 says, asked of it.

extern crate std;

use super::run::{self, Printed};
use super::*;
use crate::flow::{Contents, LabelNames};
use crate::saved::SavedTable;
use alloc::vec::Vec;

fn labels() -> LabelNames {
    label_names(
        "# comment\n0 zero\n1 one\n2 two words\n5\tfive\n127 last\n128 none\n3 three\n3 drei\n4 three\n",
    )
}

fn put(table: &mut SavedTable, line: &str) -> Printed {
    let mut printed = Printed::default();
    let words: Vec<&str> = line.split_whitespace().collect();
    let names = labels();
    match parse(&words, Some(&names), &mut printed.err) {
        Ok(command) => run::run(&command, table, Some(&names), None, &mut printed),
        Err(fault) => printed.fail(&fault),
    }
    printed
}

/// A conversation: `$ ` a command, `O ` and `E ` its output, `= ` its exit status.
fn converse(text: &str) {
    let mut table = SavedTable::new(Contents::default());
    let mut printed = Printed::default();
    let mut seen = Printed::default();
    let mut command = "";
    for line in text.lines() {
        let (kind, rest) = line.split_at(line.len().min(2));
        match kind {
            "$ " => {
                command = rest;
                printed = put(&mut table, rest);
                seen = Printed::default();
            }
            "O " => seen.out += &alloc::format!("{rest}\n"),
            "E " => seen.err += &alloc::format!("conntrack v1.4.7 (conntrack-tools): {rest}\n"),
            "T" | "T " => {
                seen.err += "Try `conntrack -h' or 'conntrack --help' for more information.\n";
            }
            "W " => seen.err += &alloc::format!("{rest}\n"),
            "= " => {
                seen.status = rest.parse().expect("a status");
                assert_eq!(printed, seen, "{command}");
            }
            _ => {}
        }
    }
}

#[test]
fn create_find_change_delete() {
    converse(
        "\
$ -I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 10 --dport 20 --state LISTEN -u SEEN_REPLY -t 50
E 1 flow entries have been created.
= 0
$ -I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 10 --dport 20 --state LISTEN -u SEEN_REPLY -t 50
E Operation failed: Such conntrack exists, try -U to update
= 1
$ -A -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 10 --dport 20 --state LISTEN -u SEEN_REPLY -t 50
E 0 flow entries have been added.
= 0
$ -L
O tcp      6 50 SYN_SENT2 src=1.1.1.1 dst=2.2.2.2 sport=10 dport=20 src=2.2.2.2 dst=1.1.1.1 sport=20 dport=10 mark=0 use=1
E 1 flow entries have been shown.
= 0
$ -G -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 10 --dport 20 -o extended
O ipv4     2 tcp      6 50 SYN_SENT2 src=1.1.1.1 dst=2.2.2.2 sport=10 dport=20 src=2.2.2.2 dst=1.1.1.1 sport=20 dport=10 mark=0 use=2
E 1 flow entries have been shown.
= 0
$ -G -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 10 --dport 21
E Operation failed: such conntrack doesn't exist
= 1
$ -U -s 1.1.1.1 -u ASSURED -m 0x15/0xf
O tcp      6 50 SYN_SENT2 src=1.1.1.1 dst=2.2.2.2 sport=10 dport=20 src=2.2.2.2 dst=1.1.1.1 sport=20 dport=10 [ASSURED] mark=21 use=2
E 1 flow entries have been updated.
= 0
$ -U -p tcp -m 5
W Operation failed: Operation not supported
E Operation failed: Operation not supported
= 1
$ -L -o save
O -A -t 50 -u SEEN_REPLY,ASSURED -s 1.1.1.1 -d 2.2.2.2 -r 2.2.2.2 -q 1.1.1.1 -p tcp --sport 10 --dport 20 --reply-port-src 20 --reply-port-dst 10 --state SYN_SENT2
E 1 flow entries have been shown.
= 0
$ -C
O 1
= 0
$ -D -p tcp --dport 20
O tcp      6 50 SYN_SENT2 src=1.1.1.1 dst=2.2.2.2 sport=10 dport=20 src=2.2.2.2 dst=1.1.1.1 sport=20 dport=10 [ASSURED] mark=21 use=1
E 1 flow entries have been deleted.
= 0
$ -D -p tcp --dport 20
E 0 flow entries have been deleted.
= 1
",
    );
}

#[test]
fn refusals_say_what_conntrack_says() {
    let faults = "\
$ -L -D
E Invalid commands combination
$ -X
E unknown option `-X'
$ -L --foo
E unknown option `--foo'
$ -L --state ESTABLISHED
E unknown option `--state'
$ -L --sport 10 -p tcp
E unknown option `--sport'
$ -L -p tcp --s 1
E unknown option `--s'
$ -L -s
E option `-s' requires an argument
$ -L -p tcp --sport
E option `--sport' requires an argument
$ -L foo
E unknown type `foo'
$ -L -s 1.1.1.1.1
E Invalid IP address `1.1.1.1.1'
$ -L -s 1.1.1.1/33
E Invalid netmask
$ -L -r 1.1.1.1/24
E CIDR notation unavailable for `--reply-src'
$ -L -s 1.1.1.1 -d ::1
E mismatched address family
$ -L -f 4
E `4' unsupported protocol
$ -L -p 256
E `256' unsupported protocol
$ -L -p tcp --state closed
E unknown TCP state `closed'
$ -L -p dccp --role foo
E Unknown DCCP role `foo'
$ -L -u A,B
E Bad parameter `B'
$ -L -n 1.1.1.1:
E No port specified after `:'
$ -L -n 1.1.1.1:99x
E Invalid port `99x'
$ -L -n -j
E cannot specify `--src-nat' or `--dst-nat' with `--any-nat'
$ -L -e NEW
E Illegal option `--event-mask' with this command
$ -L -z -m 1
E Can't use -z with filtering parameters
$ -L --mask-src 255.0.0.0
E Can't use --mask-src without --src
$ -L -l nope
E unknown label 'nope'
$ -L -l two
E unknown label 'two'
$ -I
E You need to supply the `--protonum' option for this command
$ -I -p udp -s 1.1.1.1 -d 2.2.2.2 -t 5
E you have to specify `--sport' and `--dport'
$ -I -p udp -s 1.1.1.1 -t 5
E you have to specify `--src' and `--dst'
$ -I -p sctp -s 1.1.1.1 -d 2.2.2.2 -t 5 --state CLOSED
E You need to supply the `--orig-vtag' option for this command
$ -A expect
E Can't do --add on expectations
$ -D dying -s 1.1.1.256
E Can't do that command with tables `dying' and `unconfirmed'
$ -L -s 1.1.1.256/8
E Invalid IP address `1.1.1.256/8'
$ -L -s ::1 -d 1.1.1.1/33
E mismatched address family
$ -L -q 1.1.1.1/32
E CIDR notation unavailable for `--reply-dst'
$ -L -p udp --tuple-port-src 3 --mask-src 255.0.0.0
E Illegal option `--tuple-port-src' with this command
$ -I -s 1.1.1.1 -d 2.2.2.2 -t 9 -p tcp --state NONE --tuple-port-src 3
E Illegal option `--tuple-port-src' with this command
$ -L -p ipv6-icmp --icmpv6-type 128
E unknown option `--icmpv6-type'
$ -L -p IPV6-ICMP
E `IPV6-ICMP' unsupported protocol
$ -F dying
E Can't do that command with tables `dying' and `unconfirmed'
$ -D expect -s 1.1.1.1
E You need to supply the `--dst' option for this command
$ -I expect -s 1.1.1.1 -d 2.2.2.2 -p tcp -t 5 --tuple-src 4.4.4.4 --tuple-dst 5.5.5.5
E You need to supply the `--mask-src' option for this command
";
    for pair in faults.lines().collect::<Vec<_>>().chunks(2) {
        converse(&alloc::format!("{}\n{}\nT \n= 2\n", pair[0], pair[1]));
    }
}

#[test]
fn numbers_wrap_and_end_as_in_c() {
    let flow = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let command = parse(&words, None, &mut String::new()).expect(line);
        (command.flow, command.mark)
    };
    assert_eq!(flow("-L -p tcp --sport 65546").0.original.source_port, Some(10));
    assert_eq!(flow("-L -p tcp --sport 021").0.original.source_port, Some(21));
    assert_eq!(flow("-L -p tcp --sport 0x21").0.original.source_port, Some(0));
    assert_eq!(flow("-L -p gre --srckey 0x21").0.original.source_port, Some(33));
    assert_eq!(flow("-L -w -1").0.zone, Some(65535));
    let mark = |value, mask| Some(Masked { value, mask });
    assert_eq!(flow("-L -m 010").1, mark(8, u32::MAX));
    assert_eq!(flow("-L -m 99999999999/0xf").1, mark(1_215_752_191, 15));
    assert_eq!(flow("-L -m -1").1, mark(u32::MAX, u32::MAX));
    // Unlike conntrack(8) 1.4.7, which takes what -u says for the mark.
    assert_eq!(flow("-L -m 5/7 -u ASSURED").1, mark(5, 7));
    assert_eq!(flow("-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 010").0.timeout, Some(10));
    assert_eq!(flow("-L -p mptcp").0.protocol, Some(6));
    assert_eq!(flow("-L -s 1.1").0.original.source, flow("-L -s 1.0.0.1").0.original.source);
}

#[test]
fn expectations_are_made_as_the_kernel_makes_them() {
    let master = "tcp 6 600 ESTABLISHED src=1.1.1.1 dst=2.2.2.2 sport=5 dport=21 src=2.2.2.2 dst=1.1.1.1 \
                  sport=21 dport=5 [ASSURED] mark=0 helper=ftp use=1\n";
    let mut table = SavedTable::new(crate::saved::read(master).expect("a line"));
    let expect = |table: &mut SavedTable, source: &str, mask: &str| {
        let line = alloc::format!(
            "-I expect -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 5 --dport 21 --tuple-src {source} \
             --tuple-dst 9.9.9.9 --mask-src {mask} --mask-dst 0.0.0.0 --tuple-port-src 1 \
             --tuple-port-dst 2 --mask-port-src 0 --mask-port-dst 0 -t 5000"
        );
        put(table, &line)
    };
    assert_eq!(expect(&mut table, "8.8.8.8", "255.255.255.0"), Printed::default());
    let listed = put(&mut table, "-L expect").out;
    // The timeout is that of its class; the destination counts wholly; nothing says TCP.
    let line = "300 proto=0 src=8.8.8.8 dst=9.9.9.9 mask-src=255.255.255.0 mask-dst=255.255.255.255 \
                master-src=1.1.1.1 master-dst=2.2.2.2 sport=5 dport=21 class=0 helper=ftp\n";
    assert_eq!(listed, line);
    assert!(expect(&mut table, "8.8.8.7", "255.255.255.255").err.contains("File exists"));
    assert!(expect(&mut table, "8.8.9.8", "255.255.0.0").err.contains("Device or resource busy"));
    // A second one takes the place of the first: more FTP does not allow.
    assert_eq!(expect(&mut table, "7.7.7.7", "255.255.255.255").status, 0);
    assert_eq!(put(&mut table, "-C expect").out, "1\n");
    let found = put(&mut table, "-G expect -s 7.7.7.7 -d 9.9.9.9 -p 0");
    assert!(found.err.contains("1 expectations have been shown."), "{found:?}");
    assert!(put(&mut table, "-D expect -s 7.7.7.7 -d 9.9.9.9 -p 0").err.contains("1 expectations"));
}

#[test]
fn what_conntrack_does_not_compare() {
    let mut table = SavedTable::new(Contents::default());
    put(&mut table, "-I -s 1.1.1.1 -d 2.2.2.2 -p gre --srckey 5 --dstkey 7 -t 600 -m 4");
    assert!(put(&mut table, "-L -p gre --srckey 6").err.contains("1 flow entries"));
    let both =
        put(&mut table, "-G -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2 --reply-port-src 3");
    assert!(both.err.contains("Operation failed: Success"));
}

#[test]
fn labels_are_added_removed_and_asked_for() {
    let mut table = SavedTable::new(Contents::default());
    let made = put(&mut table, "-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 50 --label-add one,last");
    assert_eq!(made.status, 0);
    let shown = |table: &mut SavedTable, line: &str| put(table, line).out;
    assert!(shown(&mut table, "-L -o labels").ends_with("mark=0 use=1 labels=one,last\n"));
    assert!(
        shown(&mut table, "-L -o labels,xml")
            .contains("<mark>0</mark><labels><label>one</label><label>last</label></labels><use>")
    );
    assert!(!shown(&mut table, "-L").contains("labels"));
    assert!(!shown(&mut table, "-L -l one").is_empty());
    assert!(!shown(&mut table, "-L -l one,last").is_empty());
    assert!(shown(&mut table, "-L -l zero").is_empty());
    let both = put(&mut table, "-U -s 1.1.1.1 --label-add zero --label-del one -o labels");
    assert!(both.err.contains("cannot use --label-add and --label-del at the same time"));
    assert_eq!(both.status, 1);
    put(&mut table, "-U -s 1.1.1.1 --label-del one");
    let changed = put(&mut table, "-U -s 1.1.1.1 --label-add zero -o labels");
    assert!(changed.out.ends_with("use=2 labels=zero,last\n"), "{changed:?}");
    assert!(put(&mut table, "-U -s 1.1.1.1 --label-del").err.contains("1 flow entries"));
    assert!(!shown(&mut table, "-L -o labels").contains("labels"));
    let impossible = put(&mut table, "-I -s 1.1.1.1 -d 2.2.2.3 -p 99 -t 50 --label-add none");
    assert!(impossible.err.contains("Operation failed: Numerical result out of range"));
}

#[test]
fn files_of_commands_are_read_whole_before_anything_is_done() {
    let load = |text: &str, table: &mut SavedTable| {
        let mut printed = Printed::default();
        match Loaded::read(text, None, &mut printed.err) {
            Ok(loaded) => loaded.run(table, None, None, &mut printed),
            Err(fault) => printed.fail(&fault),
        }
        printed
    };
    let one = "-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t \"50\"";
    let mut table = SavedTable::new(Contents::default());
    let listing = load(&alloc::format!("{one}\n-L\n"), &mut table);
    assert!(listing.err.contains("Cannot use command `-L' with --load-file"));
    assert!(table.contents().flows.is_empty());
    assert_eq!(load(&alloc::format!("\n# a comment\n \t\n{one}"), &mut table).status, 0);
    let again = load(&alloc::format!("{one}\n-I -s 1.1.1.1 -d 2.2.2.3 -p 99 -t 5"), &mut table);
    assert_eq!((again.status, table.contents().flows.len()), (1, 1));
    assert_eq!(load("-D -w 123", &mut table), Printed::default());
}

#[test]
fn a_value_that_may_stand_apart_must() {
    converse(
        "\
$ -I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 900 -n9.9.9.9 --dst-nat=8.8.8.8
E 1 flow entries have been created.
= 0
$ --dump=expect
O unknown  99 900 src=1.1.1.1 dst=2.2.2.2 [UNREPLIED] src=2.2.2.2 dst=1.1.1.1 mark=0 use=1
E 1 flow entries have been shown.
= 0
$ -V foo
E unknown type `foo'
T
= 2
$ -S dying
E Can't do that command with tables `dying' and `unconfirmed'
T
= 2
$ -L -g 9.9.9.9:+5
E Invalid port `+5'
T
= 2
",
    );
}

#[test]
fn labels_are_shown_to_those_who_speak_of_them() {
    converse(
        "\
$ -I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 900 --label-add one,three
E 1 flow entries have been created.
= 0
$ -L -l one
O unknown  99 900 src=1.1.1.1 dst=2.2.2.2 [UNREPLIED] src=2.2.2.2 dst=1.1.1.1 mark=0 use=1 labels=one,three
E 1 flow entries have been shown.
= 0
$ -U -s 1.1.1.1 --label-add one
O unknown  99 900 src=1.1.1.1 dst=2.2.2.2 [UNREPLIED] src=2.2.2.2 dst=1.1.1.1 mark=0 use=2 labels=one,three
E 1 flow entries have been updated.
= 0
$ -U -s 1.1.1.1 --label-del=one
O unknown  99 900 src=1.1.1.1 dst=2.2.2.2 [UNREPLIED] src=2.2.2.2 dst=1.1.1.1 mark=0 use=2
E 1 flow entries have been updated.
= 0
$ -U -s 1.1.1.1 --label-del
E 0 flow entries have been updated.
= 1
$ -U --label-add one --label-del nope
E cannot use --label-add and --label-del at the same time
= 1
$ -U -s 1.1.1.9/24 --label-add one
O unknown  99 900 src=1.1.1.1 dst=2.2.2.2 [UNREPLIED] src=2.2.2.2 dst=1.1.1.1 mark=0 use=2 labels=one
E 1 flow entries have been updated.
= 0
$ -D -l one -o labels
O unknown  99 900 src=1.1.1.1 dst=2.2.2.2 [UNREPLIED] src=2.2.2.2 dst=1.1.1.1 mark=0 use=1
E 1 flow entries have been deleted.
= 0
",
    );
}

#[test]
fn what_is_not_said_of_a_tuple_is_zero() {
    converse(
        "\
$ -I -s 1.1.1.1 -d 0.0.0.0 -r 2.2.2.2 -q 1.1.1.7 -p 99 -t 900
E 1 flow entries have been created.
= 0
$ -G -s 1.1.1.1 -r 2.2.2.2 -q 1.1.1.7 -p 99
O unknown  99 900 src=1.1.1.1 dst=0.0.0.0 [UNREPLIED] src=2.2.2.2 dst=1.1.1.7 mark=0 use=2
E 1 flow entries have been shown.
= 0
$ -G -s 1.1.1.1 -d 0.0.0.0 -r 2.2.2.3 -p 99
E 0 flow entries have been shown.
= 1
$ -D expect -s 1.1.1.1 -d 1.1.1.2 -p icmp
E Operation failed: No such file or directory
= 1
$ -A -p icmp --icmp-type 17 --icmp-code 0 -t 900 -s 1.1.1.1 -d 2.2.2.2
E Operation failed: Invalid argument
= 1
$ -F -f ipv6
E connection tracking table has been emptied.
= 0
$ -C
O 0
= 0
$ -L -z -p tcp
E Can't use -z with filtering parameters
T
= 2
",
    );
}

#[test]
fn what_a_change_comes_to_is_looked_up() {
    converse(
        "\
$ -I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 900 -g 9.9.9.9 -u FIXED_TIMEOUT
E 1 flow entries have been created.
= 0
$ -U -s 1.1.1.1 -g 9.9.9.9 -m 7
O unknown  99 900 src=1.1.1.1 dst=2.2.2.2 [UNREPLIED] src=9.9.9.9 dst=1.1.1.1 mark=0 use=2
W Operation failed: Operation not supported
E 1 flow entries have been updated.
= 0
$ -U -s 1.1.1.1 -t 100 -m 5
O unknown  99 900 src=1.1.1.1 dst=2.2.2.2 [UNREPLIED] src=9.9.9.9 dst=1.1.1.1 mark=0 use=2
W Operation failed: sorry, you must be root or get CAP_NET_ADMIN capability to do this
E 1 flow entries have been updated.
= 0
$ -U -s 1.1.1.1 -u EXPECTED
O unknown  99 900 src=1.1.1.1 dst=2.2.2.2 [UNREPLIED] src=9.9.9.9 dst=1.1.1.1 mark=0 use=2
W Operation failed: Device or resource busy
E 1 flow entries have been updated.
= 0
$ -L -p tcp -z --mask-dst 0.0.0.0
E Can't use -z with filtering parameters
T
= 2
$ -L -u FIXED_TIMEOUT -u SEEN_REPLY
E 0 flow entries have been shown.
= 0
$ -L -o userspace,save
E 1 flow entries have been shown.
O -A -t 900 -u FIXED_TIMEOUT -s 1.1.1.1 -d 2.2.2.2 -g 9.9.9.9 -q 1.1.1.1 -p 99
= 0
$ -L -V dying
E Can't do that command with tables `dying' and `unconfirmed'
T
= 2
$ -L -V foo
E unknown type `foo'
T
= 2
$ -D -p 99 -t 899
E 0 flow entries have been deleted.
= 1
$ -I -s 2.2.2.2 -d 1.1.1.1 -p 97 -t 900
E 1 flow entries have been created.
= 0
$ -I -s 1.1.1.1 -d 2.2.2.2 -p 97 -t 900 --orig-zone 16
E Operation failed: Such conntrack exists, try -U to update
= 1
$ -D -g -t 899
O unknown  99 900 src=1.1.1.1 dst=2.2.2.2 [UNREPLIED] src=9.9.9.9 dst=1.1.1.1 mark=0 use=1
E 1 flow entries have been deleted.
= 0
$ -D --mask-dst 0.0.0.0
E Can't use --mask-dst without --dst
T
= 2
$ -h -p tcp --sport 1 -o xml
E Illegal option `--output' with this command
T
= 2
",
    );
    let mut nameless = String::new();
    parse(&["-L", "-o", "labels", "-o", "id"], None, &mut nameless).expect("a command");
    assert_eq!(nameless.matches("nfct_labelmap_new").count(), 2);
    let mut table = SavedTable::default();
    put(&mut table, "-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 900");
    assert!(put(&mut table, "-U -s 1.1.1.1 -m 1 -o xml").out.starts_with("<flow>"));
    let told = parse(&["-E", "-b", "1153"], None, &mut String::new()).expect("a command");
    let begins = run::Form::new(&told, None, None).events_begin();
    assert_eq!(begins, "NOTICE: Netlink socket buffer size has been set to 2306 bytes.\n");
}

fn load(table: &mut SavedTable, text: &str) -> Printed {
    let mut printed = Printed::default();
    match Loaded::read(text, Some(&labels()), &mut printed.err) {
        Ok(loaded) => loaded.run(table, Some(&labels()), None, &mut printed),
        Err(fault) => printed.fail(&fault),
    }
    printed
}

#[test]
fn lines_of_a_file_share_what_they_show_and_are_judged_when_all_are_read() {
    let mut table = SavedTable::default();
    load(&mut table, "-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 9\n-I -s 1.1.1.1 -d 2.2.2.2 -p 98 -t 9");
    let deleted = load(&mut table, "-D -p 98\n-D -p 99 -o xml\n").out;
    assert_eq!(deleted.matches("<flow>").count(), 2, "{deleted}");
    assert!(load(&mut table, "-F\n-F -f ipv6\n").err.matches("emptied").count() == 2);
    for (text, fault) in [
        ("-D -p 98 -o save\n-D -p 99 -o xml\n", "cannot combine save output"),
        ("-L\n-X\n", "unknown option `-X'"),
        ("-L\n-F\n", "Cannot use command `-L'"),
        ("-V expect\n", "Cannot use command `-V'"),
        ("-F\n  ", "Cannot use command `unknown'"),
    ] {
        assert!(load(&mut table, text).err.contains(fault), "{text}");
    }
}

#[test]
fn ports_of_dccp_are_nobodys_business() {
    let mut table = SavedTable::default();
    let line = "-I -s 1.1.1.1 -d 2.2.2.2 -p dccp --sport 1 --dport 2 --state OPEN --role cl -t 900";
    put(&mut table, line);
    assert!(put(&mut table, "-U -f ipv4 -p dccp --sport 11 -m 5").err.contains(" 1 flow"));
    assert!(put(&mut table, "-L -p dccp --sport 1").err.contains(" 0 flow"));
}

#[test]
fn who_asks_for_help_need_not_say_more() {
    let mut warnings = String::new();
    assert!(parse(&["-h", "expect", "-p", "tcp"], None, &mut warnings).is_ok());
    assert!(parse(&["-h", "-o", "id"], None, &mut warnings).is_err());
}

use crate::diagnostic::code;
use crate::testing::{check, saved, send};
use crate::verdict::Verdict;
use alloc::vec::Vec;
use keepstate_conntrack::Hook;
use keepstate_packet::checksum::{self, Verified};
use keepstate_packet::{Family::V4, Family::V6, L4, Parsed};

#[test]
fn texts() {
    check(
        V4,
        "filter",
        "INPUT",
        &[
            (
                "-p tcp -j TCPMSS --set-mss 0x10",
                "-p tcp -j TCPMSS --set-mss 16",
                " TCPMSS set 16",
                "=",
            ),
            ("-p tcp -j TCPMSS --set-mss 65515", "=", " TCPMSS set 65515", "="),
            ("-p tcp -j TCPMSS --set-mss 65516", "", "", ""),
            ("-p tcp -j TCPMSS", "", "", ""),
            ("-j TCPMSS --set-mss 1", "", "", ""),
            ("! -p tcp -j TCPMSS --set-mss 1", "", "", ""),
            ("-p tcp -j TCPMSS --clamp-mss-to-pmtu", "", "", ""),
        ],
    );
    check(
        V6,
        "mangle",
        "FORWARD",
        &[
            (
                "-p tcp -j TCPMSS --set-mss 9 --clamp-mss-to-pmtu",
                "-p tcp -j TCPMSS --clamp-mss-to-pmtu",
                " TCPMSS clamp to PMTU",
                "=",
            ),
            ("-p tcp -j TCPMSS --set-mss 65496", "", "", ""),
        ],
    );
    let refused = saved(V4, "mangle", "FORWARD", "-j TCPMSS --set-mss 1").unwrap_err();
    let number = alloc::format!("{}", code::PROTOCOL_NEEDED);
    assert!(refused.contains(&number), "{refused}");
}

/// A SYN with these options and this data, with right checksums.
fn syn(options: &[u8], data: &[u8]) -> Vec<u8> {
    let length = (40 + options.len() + data.len()) as u8;
    let mut packet = Vec::from([0x45, 0, 0, length, 0, 7, 0, 0, 64, 6, 0, 0]);
    packet.extend([10, 0, 0, 1, 192, 0, 2, 1]);
    let offset = (20 + options.len() as u8) << 2;
    packet.extend([4, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, offset, 2, 9, 9, 0, 0, 0, 0]);
    packet.extend(options);
    packet.extend(data);
    checksum::fill_ipv4_header(&mut packet);
    let parsed = Parsed::new(&packet).unwrap();
    checksum::fill(&parsed, &mut packet);
    packet
}

fn through(option: &str, packet: &[u8]) -> Vec<u8> {
    let rule = alloc::format!("-p tcp -j TCPMSS {option}");
    let after = send("mangle", Hook::Forward, &rule, packet);
    assert_eq!(after.verdict, Verdict::Accept);
    let parsed = Parsed::new(&after.bytes).unwrap();
    assert_eq!(checksum::verify(&parsed, &after.bytes), Verified::Valid);
    assert!(checksum::ipv4_header_valid(&after.bytes));
    after.bytes[40..parsed.length as usize].to_vec()
}

#[test]
fn a_size_is_lowered_and_never_raised() {
    for (size, options, after) in [
        ("1400", [2, 4, 5, 0xb4], [2, 4, 5, 0x78]),
        ("1460", [2, 4, 5, 0xb4], [2, 4, 5, 0xb4]),
        ("1500", [2, 4, 5, 0xb4], [2, 4, 5, 0xb4]),
    ] {
        assert_eq!(through(&alloc::format!("--set-mss {size}"), &syn(&options, &[])), after);
    }
    // Behind the end of the list too, and behind an option without a length.
    let hidden = [0, 9, 0, 0, 2, 4, 5, 0xb4];
    assert_eq!(through("--set-mss 1", &syn(&hidden, &[]))[4..], [2, 4, 0, 1]);
}

#[test]
fn the_option_is_put_in_with_what_its_absence_stands_for() {
    assert_eq!(through("--set-mss 1400", &syn(&[], &[])), [2, 4, 2, 24]);
    assert_eq!(through("--set-mss 100", &syn(&[3, 3, 7, 1], &[])), [2, 4, 0, 100, 3, 3, 7, 1]);
    // Not before data, nor into a header that is full.
    assert_eq!(through("--set-mss 100", &syn(&[], &[7])), [7]);
    assert_eq!(through("--set-mss 100", &syn(&[1; 40], &[])), [1; 40]);
    assert_eq!(through("--set-mss 100", &syn(&[1; 36], &[]))[..5], [2, 4, 0, 100, 1]);
}

#[test]
fn a_broken_header_is_dropped() {
    let mut packet = syn(&[], &[]);
    packet[32] = 4 << 4;
    let rule = "-p tcp -j TCPMSS --set-mss 100";
    assert_eq!(send("mangle", Hook::Input, rule, &packet).verdict, Verdict::Drop);
    packet[32] = 6 << 4;
    assert_eq!(send("mangle", Hook::Input, rule, &packet).verdict, Verdict::Drop);
    packet[32] = 5 << 4;
    assert!(matches!(Parsed::new(&packet).unwrap().l4, L4::Tcp(_)));
    assert_eq!(send("mangle", Hook::Input, rule, &packet).verdict, Verdict::Accept);
}

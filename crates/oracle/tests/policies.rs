//! Timeout policies that rules name, by the engine and by the kernel. As root on Linux; elsewhere it
//! says why it is skipped.

use keepstate_conntrack::policy::text;
use keepstate_oracle::compare;
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::model::Model;
use keepstate_oracle::namespace;
use keepstate_oracle::observation::Side;
use keepstate_packet::{Family, Parsed, checksum};
use std::io;

const POLICY: &str = "add timeout odd inet tcp syn_sent 50 syn_recv 51 established 1000 fin_wait 52 \
    close_wait 53 last_ack 54 time_wait 55 close 56 syn_sent2 57 retrans 58 unacknowledged 59\n";
const RULES: &str = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A PREROUTING -p tcp -m tcp --dport 80 -j CT --timeout odd\nCOMMIT\n\
    *filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A FORWARD -p tcp -m tcp --tcp-flags PSH PSH -j REJECT --reject-with tcp-reset\nCOMMIT\n";
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

fn segment(back: bool, port: u16, flags: u8, [sequence, ack]: [u32; 2]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0];
    let (client, server) = ([10, 0, 0, 1], [198, 51, 100, 2]);
    bytes.extend(if back { [server, client] } else { [client, server] }.concat());
    let ports = [1024, port].map(u16::to_be_bytes);
    bytes.extend(if back { [ports[1], ports[0]] } else { ports }.concat());
    bytes.extend([sequence, ack].map(u32::to_be_bytes).concat());
    bytes.extend([0x50, flags, 0x10, 0, 0, 0, 0, 0]);
    checksum::fill_ipv4_header(&mut bytes);
    let parsed = Parsed::new(&bytes).expect("an IP packet");
    checksum::fill(&parsed, &mut bytes);
    bytes
}

/// What REJECT resets closes: by the policy of its connection where it has one, else by the sysctl.
#[test]
fn a_reset_of_reject_closes_by_the_connections_own_policy() {
    let declared = text::parse(POLICY).expect("a policy");
    let rules = [RULES.to_owned(), String::new()];
    let config = Config { inside: vec!["10.0.0.0/8".to_owned()], ..Config::default() };
    let mut model = Model::new(&config, &[], &rules).expect("a model");
    model.add_timeout_policies(&declared).expect("a policy");
    let packets: Vec<_> = [80, 81]
        .into_iter()
        .flat_map(|port| {
            [
                (Side::A, segment(false, port, SYN, [100, 0])),
                (Side::B, segment(true, port, SYN | ACK, [500, 101])),
                (Side::A, segment(false, port, ACK, [101, 501])),
                (Side::A, segment(false, port, ACK | PSH, [101, 501])),
            ]
        })
        .collect();
    let ours: Vec<_> =
        packets.iter().map(|(side, packet)| model.push(*side, Family::V4, packet)).collect();
    let left = model.connections().into_iter();
    let left: Vec<_> = left.map(|c| (c.protocol_state, c.timeout.map(|t| t.as_secs()))).collect();
    assert_eq!(left, [(Some("CLOSE"), Some(56)), (Some("CLOSE"), Some(10))]);

    let asked = namespace::with(|| {
        let mut kernel = Kernel::new(config)?;
        declared.iter().try_for_each(|one| kernel.add_timeout_policy(one))?;
        kernel.load_rules(Family::V4, RULES)?;
        for ((side, packet), ours) in packets.iter().zip(&ours) {
            let theirs = kernel.push(*side, Family::V4, packet)?;
            let differences = compare::observations(&theirs, ours);
            assert!(differences.is_empty(), "{differences:#?}");
        }
        let differences = compare::tables(kernel.connections()?, model.connections());
        assert!(differences.is_empty(), "{differences:#?}");
        Ok::<(), io::Error>(())
    });
    match asked {
        Ok(Ok(())) => {}
        Ok(Err(error)) | Err(error) => eprintln!("skipped: {error}"),
    }
}

//! Packets in words, any text as somebody might write it: an error with its place, or packets whose way
//! through a masquerading gateway is told, never a panic.
#![no_main]

use keepstate_analysis::render::Style;
use keepstate_analysis::trace::notation::{Reader, Way};
use keepstate_analysis::trace::{Tracer, render};
use keepstate_conntrack::Sysctls;
use keepstate_engine::{Engine, Host, InterfaceIndex, Packet};
use keepstate_packet::{Family, Instant, InterfaceName, LinkInfo};
use keepstate_ruleset::syntax::iptables_save;
use libfuzzer_sys::fuzz_target;

const RULES: &str = include_str!("../../examples/rules/masquerade.rules");
/// Packets that go through; telling of more says nothing new.
const TOLD_MAX: usize = 64;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut reader = Reader::default();
    if let Err(fault) = reader.lines(text) {
        assert!(fault.line > 0 && fault.column > 0);
        let _ = fault.to_string();
    }
    let names = ["eth0", "eth1"].map(|name| InterfaceName::new(name).expect("a name"));
    let mut host = Host::router(names[0], names[1]);
    host.answers_tcp = true;
    let ruleset = iptables_save::parse(RULES, Family::V4).expect("rules");
    let sysctls = Sysctls { max: 64, ..Sysctls::default() };
    let mut engine = Engine::new([1, 2], host, sysctls, vec![ruleset]);
    let mut tracer = Tracer::new([(Family::V4, RULES)].into_iter());
    for mut one in reader.finish().into_iter().take(TOLD_MAX) {
        let interface = match one.way {
            Way::Host => None,
            Way::Interface(name) => Some(InterfaceIndex(u16::from(name == names[1]))),
            Way::Unsaid => Some(InterfaceIndex(0)),
        };
        let link = LinkInfo::default();
        let bytes = &mut one.bytes;
        let packet = Packet { bytes, interface, family: None, link, mark: one.mark };
        let told = tracer.packet(&mut engine, Instant(1_000_000_000).plus(one.at), packet);
        assert!(!render(&told, &Style::default()).is_empty());
    }
});

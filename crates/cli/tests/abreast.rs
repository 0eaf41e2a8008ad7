//! Packets of a capture walked abreast fare as they do one by one.

use keepstate_conntrack::Sysctls;
use keepstate_datapath::{
    Observer, Seen,
    clock::CaptureClock,
    replay::{Checksums, Options, Replay},
    run,
};
use keepstate_engine::{Disposition, Engine, Host, InterfaceIndex};
use keepstate_packet::InterfaceName;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Fates {
    patient: bool,
    all: Vec<(Option<Disposition>, Option<Vec<u8>>, usize)>,
}

impl Observer for Fates {
    fn is_patient(&self) -> bool {
        self.patient
    }

    fn frame(&mut self, seen: &Seen<'_>) -> io::Result<()> {
        let output = seen.output().map(|(_, bytes)| bytes.to_vec());
        self.all.push((seen.disposition.copied(), output, seen.answers().count()));
        Ok(())
    }
}

fn fates(captures: &[PathBuf], patient: bool, clock: CaptureClock) -> Fates {
    let name = |name| InterfaceName::new(name).expect("a name");
    let host = Host::router(name("eth0"), name("eth1"));
    let mut engine = Engine::new([1, 2], host, Sysctls::default(), Vec::new());
    let options = Options {
        interface: InterfaceIndex(0),
        local: Vec::new(),
        clock,
        checksums: Checksums::AsCaptured,
    };
    let mut fates = Fates { patient, all: Vec::new() };
    let mut replay = Replay::new(options, captures.to_vec());
    run(&mut engine, &mut replay, &mut fates).expect("captures");
    assert_eq!(replay.faults, []);
    fates
}

#[test]
fn the_examples_abreast_and_one_by_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/captures");
    let captures: Vec<PathBuf> =
        ["ftp.pcap", "mix.pcap", "ftp-v6.pcap"].iter().map(|name| folder.join(name)).collect();
    for clock in [CaptureClock::capture(), CaptureClock::frozen()] {
        let abreast = fates(&captures, true, clock).all;
        let single = fates(&captures, false, clock).all;
        assert!(abreast.len() > 100);
        assert_eq!(abreast, single);
    }
}

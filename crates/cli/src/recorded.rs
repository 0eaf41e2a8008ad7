//! Captures past two filters at once.

use crate::{exit::Exit, setting::Prepared, terminal::Terminal};
use keepstate_analysis::diff::Recorded;
use keepstate_datapath::clock::CaptureClock;
use keepstate_datapath::replay::{Checksums, Options, Replay};
use keepstate_datapath::{Batch, Datapath, Received};
use std::path::PathBuf;

/// Runs captures past the filters with the old rules and the new ones, both on the host of the first.
pub(crate) fn run(
    old: Prepared,
    new: Prepared,
    captures: &[PathBuf],
    terminal: &Terminal,
) -> Result<Recorded, Exit> {
    let options = Options {
        interface: old.interface(),
        local: old.own_addresses(),
        clock: CaptureClock::capture(),
        checksums: Checksums::FinishOffloaded,
    };
    let mut recorded = Recorded::new(old.engine(terminal)?, new.engine(terminal)?);
    let mut replay = Replay::new(options, captures.to_vec());
    let mut batch = Batch::new();
    loop {
        batch.clear();
        match replay.receive(recorded.engine_mut(), &mut batch) {
            Ok(Received::Frames) => {}
            Ok(Received::Idle(_) | Received::End) => break,
            Err(error) => {
                terminal.error(error);
                return Err(Exit::Usage);
            }
        }
        for number in 0..batch.slots().len() {
            if let Some((now, packet)) = batch.engine_packet(number) {
                recorded.packet(now, packet);
            }
        }
    }
    for (path, fault) in &replay.faults {
        terminal.warning(format_args!("{}: {fault}", path.display()));
    }
    Ok(recorded)
}

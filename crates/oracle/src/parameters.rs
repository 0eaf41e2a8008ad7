//! Parameters of the kernel's modules: unlike sysctls they are the whole machine's, so that whoever
//! sets one has to be alone, and puts back what was there.
//!
//! Everyone who asks the kernel holds a lock: together with others as long as nothing is set, alone
//! as long as something is. Who waits to be alone keeps others from coming in.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

/// What is locked; nobody else locks directories of the kernel.
const HELD: &str = "/sys/module";
/// What is locked on the way there.
const GATE: &str = "/sys/module/nf_conntrack";

/// Parameters that tracking here has too; what they are set to when nobody asks for anything else
/// is the machine's affair.
const KNOWN: [&str; 9] = [
    "nf_conntrack_ftp.loose",
    "nf_conntrack_amanda.master_timeout",
    "nf_conntrack_sip.sip_direct_signalling",
    "nf_conntrack_sip.sip_direct_media",
    "nf_conntrack_sip.sip_external_media",
    "nf_conntrack_sip.sip_timeout",
    "nf_conntrack_h323.default_rrq_ttl",
    "nf_conntrack_h323.gkrouted_only",
    "nf_conntrack_h323.callforward_filter",
];

/// The right to rely on the parameters as they are, or to set them.
#[derive(Debug)]
pub(crate) struct Parameters {
    /// `None` on a machine that has nothing to lock.
    held: Option<[File; 2]>,
    /// What was there before.
    before: Vec<(String, String)>,
}

impl Parameters {
    /// Waits until nobody sets any.
    pub(crate) fn open() -> io::Result<Self> {
        let held = File::open(HELD).and_then(|held| Ok([held, File::open(GATE)?])).ok();
        let parameters = Self { held, before: Vec::new() };
        parameters.share()?;
        Ok(parameters)
    }

    /// Those known, as they are.
    pub(crate) fn values(&self) -> Vec<(String, String)> {
        let read = |name: &&str| Some((name.to_string(), value(name).ok()?));
        KNOWN.iter().filter_map(read).collect()
    }

    /// Brings the machine to these and no others, and lets others in when there are none.
    pub(crate) fn set_all<'s>(
        &mut self,
        wanted: impl Iterator<Item = (&'s str, &'s str)>,
    ) -> io::Result<()> {
        self.restore()?;
        let mut wanted = wanted.peekable();
        if wanted.peek().is_none() {
            return self.share();
        }
        wanted.into_iter().try_for_each(|(name, value)| self.set(name, value))
    }

    /// Sets one, `MODULE.PARAMETER`.
    pub(crate) fn set(&mut self, name: &str, new: &str) -> io::Result<()> {
        if self.before.is_empty() {
            self.be_alone()?;
        }
        if !self.before.iter().any(|(known, _)| known == name) {
            self.before.push((name.to_owned(), value(name)?));
        }
        write(name, new)
    }

    /// Lets whoever waits to be alone go first, where nothing is set: a long run would keep them, and
    /// all who come after them, waiting to its end.
    pub(crate) fn give_way(&self) -> io::Result<()> {
        if self.before.is_empty() { self.share() } else { Ok(()) }
    }

    fn restore(&mut self) -> io::Result<()> {
        self.before.drain(..).try_for_each(|(name, value)| write(&name, &value))
    }

    fn be_alone(&self) -> io::Result<()> {
        let Some([held, gate]) = &self.held else { return Ok(()) };
        held.unlock()?;
        gate.lock()?;
        held.lock()?;
        gate.unlock()
    }

    fn share(&self) -> io::Result<()> {
        let Some([held, gate]) = &self.held else { return Ok(()) };
        held.unlock()?;
        gate.lock_shared()?;
        held.lock_shared()?;
        gate.unlock()
    }
}

impl Drop for Parameters {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.restore();
    }
}

fn path(name: &str) -> io::Result<PathBuf> {
    let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("{name}: no parameter"));
    let (module, parameter) = name.split_once('.').ok_or_else(unknown)?;
    if name.contains('/') || module.is_empty() || parameter.is_empty() {
        return Err(unknown());
    }
    Ok(PathBuf::from(format!("/sys/module/{module}/parameters/{parameter}")))
}

fn value(name: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path(name)?)?.trim().to_owned())
}

fn write(name: &str, value: &str) -> io::Result<()> {
    fs::write(path(name)?, value)
        .map_err(|error| io::Error::new(error.kind(), format!("{name}={value}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread, time::Duration};

    #[test]
    fn who_waits_to_be_alone_goes_first_where_another_gives_way() {
        let name = format!("keepstate-lock-{}", std::process::id());
        let places = ["held", "gate"].map(|place| std::env::temp_dir().join(&name).join(place));
        for place in &places {
            fs::create_dir_all(place).unwrap();
        }
        let open = || {
            let files = places.each_ref().map(|place| File::open(place).unwrap());
            Parameters { held: Some(files), before: Vec::new() }
        };
        let (long_run, setter) = (open(), open());
        long_run.share().unwrap();
        let (tell, told) = mpsc::channel();
        let waiting = thread::spawn(move || {
            setter.be_alone().unwrap();
            tell.send(()).unwrap();
        });
        assert!(told.recv_timeout(Duration::from_millis(100)).is_err(), "alone beside another");
        let let_in = (0..1000).any(|_| {
            long_run.give_way().unwrap();
            told.recv_timeout(Duration::from_millis(1)).is_ok()
        });
        assert!(let_in, "kept waiting");
        waiting.join().unwrap();
        fs::remove_dir_all(std::env::temp_dir().join(name)).unwrap();
    }
}

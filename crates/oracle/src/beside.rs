//! What rules name that an administrator makes beside them, in the kernel and in the engine alike.

use crate::kernel::{Kernel, run};
use crate::model::Model;
use keepstate_ruleset::matches::nfacct::{Accounts, Unit};
use keepstate_ruleset::matches::osf::Fingerprints;
use keepstate_ruleset::syntax::nfacct;
use std::{env, fs, io, path::PathBuf, process};

impl Kernel {
    /// Makes accounting objects of nfacct(8), as it lists them but with nothing counted.
    ///
    /// # Errors
    /// When nfacct refuses them.
    pub fn load_accounts(&self, text: &str) -> io::Result<()> {
        let mut accounts = Accounts::default();
        nfacct::load(&mut accounts, text).map_err(|fault| io::Error::other(fault.text))?;
        for (name, account) in accounts.iter() {
            let quota = account.quota.map(|quota| (quota.unit, quota.most.to_string()));
            let mut words = vec!["add", name];
            if let Some((unit, most)) = &quota {
                words.push(if *unit == Unit::Bytes { "byte" } else { "packet" });
                words.push(most);
            }
            run("nfacct", &words, "")?;
        }
        Ok(())
    }

    /// Has `-m osf` know these fingerprints, of a text as pf.os, until what is given back is dropped. The
    /// kernel has one list for all network namespaces: no two can have the same ones.
    ///
    /// # Errors
    /// When nfnl_osf fails.
    pub fn load_fingerprints(&self, text: &str) -> io::Result<FingerprintsLoaded> {
        let path = env::temp_dir().join(format!("keepstate-osf-{}", process::id()));
        fs::write(&path, text)?;
        let loaded = FingerprintsLoaded(path);
        loaded.nfnl_osf(&[])?;
        Ok(loaded)
    }

    /// The accounting objects, as `nfacct list` prints them.
    ///
    /// # Errors
    /// When nfacct fails.
    pub fn save_accounts(&self) -> io::Result<String> {
        run("nfacct", &["list"], "")
    }
}

/// Fingerprints that the kernel knows, and their file.
#[derive(Debug)]
pub struct FingerprintsLoaded(PathBuf);

impl FingerprintsLoaded {
    fn nfnl_osf(&self, more: &[&str]) -> io::Result<String> {
        let path = self.0.display().to_string();
        let words = [&["-f", path.as_str()], more].concat();
        run("nfnl_osf", &words, "")
    }
}

impl Drop for FingerprintsLoaded {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.nfnl_osf(&["-d"]);
        let _ = fs::remove_file(&self.0);
    }
}

impl Model {
    /// Makes accounting objects of nfacct(8), as it lists them.
    ///
    /// # Errors
    /// What is refused.
    pub fn load_accounts(&mut self, text: &str) -> Result<(), String> {
        let mut accounts = Accounts::default();
        nfacct::load(&mut accounts, text)
            .map_err(|fault| format!("accounting objects, line {}: {}", fault.line, fault.text))?;
        self.engine.set_accounts(accounts);
        Ok(())
    }

    /// Has `-m osf` know these fingerprints, of a text as pf.os.
    ///
    /// # Errors
    /// What is no fingerprint.
    pub fn load_fingerprints(&mut self, text: &str) -> Result<(), String> {
        let mut fingerprints = Fingerprints::default();
        fingerprints
            .load(text)
            .map_err(|fault| format!("fingerprints, line {}: {}", fault.line, fault.text))?;
        self.engine.set_fingerprints(fingerprints);
        Ok(())
    }

    /// The accounting objects, as `nfacct list` prints them.
    #[must_use]
    pub fn save_accounts(&self) -> String {
        nfacct::print_all(self.engine.accounts())
    }
}

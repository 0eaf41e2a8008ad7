//! What rules name that an administrator makes beside them, in the kernel and in the engine alike.

use crate::kernel::{Kernel, run};
use crate::model::Model;
use keepstate_ruleset::matches::nfacct::{Accounts, Unit};
use keepstate_ruleset::syntax::nfacct;
use std::io;

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

    /// The accounting objects, as `nfacct list` prints them.
    ///
    /// # Errors
    /// When nfacct fails.
    pub fn save_accounts(&self) -> io::Result<String> {
        run("nfacct", &["list"], "")
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

    /// The accounting objects, as `nfacct list` prints them.
    #[must_use]
    pub fn save_accounts(&self) -> String {
        nfacct::print_all(self.engine.accounts())
    }
}

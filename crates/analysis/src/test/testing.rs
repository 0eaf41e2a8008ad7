//! A machine without files, for tests.

use super::setup::{Hosted, Outside};
use keepstate_engine::Host;
use keepstate_packet::{Family, InterfaceName};
use std::ops::Range;

/// Two files, both at fault, and one host.
pub(crate) struct Nowhere;

impl Outside for Nowhere {
    fn file(&self, _: &str, path: &str) -> Result<(String, String), String> {
        match path {
            "bad.rules" => {
                Ok((path.to_owned(), "*filter\n-A INPTU -j ACCEPT\nCOMMIT\n".to_owned()))
            }
            "bad.toml" => Ok((path.to_owned(), "bad".to_owned())),
            _ => Err(format!("{path}: nowhere")),
        }
    }

    fn host(&self, text: &str) -> Result<Hosted, (Option<Range<usize>>, String)> {
        if text.trim() == "bad" {
            return Err((Some(0..3), "no host".to_owned()));
        }
        let name = |name| InterfaceName::new(name).unwrap_or_default();
        Ok(Hosted { host: Host::router(name("eth0"), name("eth1")), declared: Vec::new() })
    }

    fn family(&self, _: &str, _: &str) -> Family {
        Family::V4
    }
}

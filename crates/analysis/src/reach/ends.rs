//! From where to where, as people write it.

use super::around::{self, Around};
use super::service::Service;
use crate::algebra::rows::Values;
use keepstate_packet::Family;

/// One end of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Any address.
    Any,
    /// Any address of the public internet.
    Internet,
    /// The host itself.
    Host,
    /// What is behind an interface.
    Interface(String),
    /// The class of this name of the service's matrix.
    Class(String),
    /// Addresses.
    Addresses(Values),
}

/// An end with the service that was written behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The end.
    pub end: End,
    /// The service.
    pub service: Option<Service>,
    /// As it was written, without the service.
    pub text: String,
}

/// What an end may be.
const WANTED: &str =
    "want an address, a network, any, internet, host, class:NAME or the name of an interface";

impl Written {
    /// Reads `10.0.0.5`, `192.0.2.0/24`, `192.0.2.1:443`, `[2001:db8::1]:443`, `any:udp/53`, `internet`, `host:5432`,
    /// `class:b`, or one of these interfaces.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str, family: Family, interfaces: &[String]) -> Result<Self, String> {
        let plain = |end, text: &str| Ok(Self { end, service: None, text: text.to_string() });
        if text.is_empty() {
            return Err(format!("nothing is written; {WANTED}"));
        }
        if let Some(end) = word(text, interfaces) {
            return plain(end, text);
        }
        let unbracketed =
            text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(values) = around::ranges(unbracketed, family) {
            return plain(End::Addresses(values), unbracketed);
        }
        let (front, service) = split(text).ok_or_else(|| format!("{text}: {WANTED}"))?;
        let service = Some(Service::parse(service, family)?);
        let end = match word(front, interfaces) {
            Some(end) => end,
            None => End::Addresses(
                around::ranges(front, family).map_err(|why| format!("{text}: {why}; {WANTED}"))?,
            ),
        };
        Ok(Self { end, service, text: front.to_string() })
    }

    /// Any end.
    #[must_use]
    pub fn any() -> Self {
        Self { end: End::Any, service: None, text: "any".into() }
    }

    /// The addresses of the end, as far as they are told by it alone.
    #[must_use]
    pub fn addresses(&self, around: &Around, family: Family) -> Values {
        match &self.end {
            End::Addresses(values) => values.clone(),
            End::Internet => around::internet(family),
            End::Host => around.local.clone().unwrap_or_else(|| around.domain(family)),
            End::Any | End::Interface(_) | End::Class(_) => around.domain(family),
        }
    }
}

fn word(text: &str, interfaces: &[String]) -> Option<End> {
    match text {
        "any" | "*" => Some(End::Any),
        "internet" => Some(End::Internet),
        "host" => Some(End::Host),
        _ => match text.strip_prefix("class:") {
            Some(name) => super::classes::place(name).map(|_| End::Class(name.to_string())),
            None => {
                interfaces.iter().any(|name| name == text).then(|| End::Interface(text.to_string()))
            }
        },
    }
}

/// What stands before the last colon that is no part of an address, and behind it.
fn split(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None if text.starts_with("class:") => {
            let (name, service) = text.strip_prefix("class:")?.split_once(':')?;
            Some((text.get(..name.len() + "class:".len())?, service))
        }
        None => text.split_once(':'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_as_people_write_them() {
        let interfaces = ["eth0".to_string()];
        let read = |text: &str| Written::parse(text, Family::V4, &interfaces);
        let tcp = |port| Some(Service::of_ports(6, port, port));
        let one = vec![(0xc000_0201, 0xc000_0201)];
        for (text, end, service) in [
            ("any", End::Any, None),
            ("192.0.2.1:443", End::Addresses(one.clone()), tcp(443)),
            ("192.0.2.1", End::Addresses(one), None),
            (
                "192.0.2.0/24:udp/53",
                End::Addresses(vec![(0xc000_0200, 0xc000_02ff)]),
                Some(Service::of_ports(17, 53, 53)),
            ),
            ("host:5432", End::Host, tcp(5432)),
            ("eth0", End::Interface("eth0".into()), None),
            ("eth0:22", End::Interface("eth0".into()), tcp(22)),
            ("class:b", End::Class("b".into()), None),
            ("class:b:22", End::Class("b".into()), tcp(22)),
            ("internet", End::Internet, None),
        ] {
            let written = read(text).unwrap();
            assert_eq!((written.end, written.service), (end, service), "{text}");
        }
        for text in ["eth1", "192.0.2.1:", "2001:db8::1", "10.0.0.1:9x", ""] {
            assert!(read(text).is_err(), "{text}");
        }
        let six = Written::parse("[2001:db8::1]:443", Family::V6, &[]).unwrap();
        assert_eq!(six.service, tcp(443));
        let six = Written::parse("2001:db8::/32", Family::V6, &[]).unwrap();
        assert_eq!(six.service, None);
    }
}

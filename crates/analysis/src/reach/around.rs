//! What is known of the networks around the filter: which addresses are behind which interface, and which are the
//! host's own.

use crate::algebra::Apart;
use crate::algebra::rows::{Values, addresses, complement, tidy};
use crate::algebra::space::{Group, Interface, Packets, Result, Space};
use keepstate_packet::{Address, Family};
use keepstate_ruleset::packet_set::Field;
use std::net::IpAddr;

/// Where packets are going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Toward {
    /// To addresses that are not the host's own.
    #[default]
    Beyond,
    /// To an address of the host.
    Host,
}

/// What is known.
#[derive(Clone, Debug)]
pub struct Around {
    /// The addresses behind each interface of which that is known.
    pub networks: Vec<(String, Values)>,
    /// There are no other interfaces.
    pub is_complete: bool,
    /// A packet comes in where its source belongs.
    pub trusts_sources: bool,
    /// A packet leaves where its destination belongs.
    pub trusts_routes: bool,
    /// The host's own addresses, where they are known.
    pub local: Option<Values>,
    /// Where packets are going, where its addresses are not known.
    pub toward: Toward,
    /// Source ports of a client; all where they are not told.
    pub source_ports: Option<(u16, u16)>,
    /// Also packets that no router takes (RFC 1812, 5.3.7): those of a loopback address, say.
    pub martians: bool,
    /// Other addresses that will be asked about.
    pub asked: Values,
}

impl Default for Around {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            is_complete: false,
            trusts_sources: true,
            trusts_routes: true,
            local: None,
            toward: Toward::default(),
            source_ports: None,
            martians: false,
            asked: Values::new(),
        }
    }
}

/// The last address of a family, as a number.
#[must_use]
pub const fn last(family: Family) -> u128 {
    match family {
        Family::V4 => u32::MAX as u128,
        Family::V6 => u128::MAX,
    }
}

/// An address as a number.
#[must_use]
pub const fn number(family: Family, address: Address) -> u128 {
    let number = u128::from_be_bytes(address.0);
    match family {
        Family::V4 => number >> 96,
        Family::V6 => number,
    }
}

/// A number as an address.
#[must_use]
pub const fn address(family: Family, number: u128) -> Address {
    match family {
        Family::V4 => Address((number << 96).to_be_bytes()),
        Family::V6 => Address(number.to_be_bytes()),
    }
}

/// `10.0.0.0/8`, `10.0.0.5`, `10.0.0.5-10.0.0.9`; also an address with the length of its network.
///
/// # Errors
/// What is wrong with it, in words.
pub fn range(text: &str, family: Family) -> std::result::Result<(u128, u128), String> {
    let name = if family == Family::V4 { "IPv4" } else { "IPv6" };
    let one = |word: &str| -> std::result::Result<u128, String> {
        let wrong = |_| format!("{text}: {word} is no address");
        let ip: IpAddr = word.trim().parse().map_err(wrong)?;
        match (ip.is_ipv4(), family) {
            (true, Family::V4) | (false, Family::V6) => Ok(number(family, Address::from(ip))),
            _ => Err(format!("{word}: the rules are for {name}")),
        }
    };
    if let Some((low, high)) = text.split_once('-') {
        let (low, high) = (one(low)?, one(high)?);
        return if low <= high {
            Ok((low, high))
        } else {
            Err(format!("{text}: the end is first"))
        };
    }
    let Some((address, length)) = text.split_once('/') else {
        let address = one(text)?;
        return Ok((address, address));
    };
    let width = if family == Family::V4 { 32 } else { 128 };
    let length = length.trim().parse::<u32>().ok().filter(|length| *length <= width);
    let length = length.ok_or_else(|| format!("{text}: want a length from 0 to {width}"))?;
    let rest = last(family).checked_shr(length).unwrap_or(0);
    let address = one(address)?;
    Ok((address & !rest, address | rest))
}

/// Several ranges with commas between.
///
/// # Errors
/// What is wrong with the first that cannot be read.
pub fn ranges(text: &str, family: Family) -> std::result::Result<Values, String> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let mut values =
        words.map(|word| range(word, family)).collect::<std::result::Result<Values, _>>()?;
    tidy(&mut values);
    Ok(values)
}

/// Those of all numbers that no unicast packet has as its source.
#[must_use]
pub fn unroutable(family: Family) -> Values {
    let words: &[&str] = match family {
        Family::V4 => &["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255"],
        Family::V6 => &["::/127", "ff00::/8"],
    };
    words.iter().filter_map(|word| range(word, family).ok()).collect()
}

/// Addresses of the public internet: unicast ones that are not set apart for private networks (RFC 1918, RFC 6598,
/// RFC 3927, RFC 4193, RFC 4291).
#[must_use]
pub fn internet(family: Family) -> Values {
    let mut others = unroutable(family);
    let words: &[&str] = match family {
        Family::V4 => &[
            "10.0.0.0/8",
            "100.64.0.0/10",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "240.0.0.0/4",
        ],
        Family::V6 => &["fc00::/7", "fe80::/10"],
    };
    others.extend(words.iter().filter_map(|word| range(word, family).ok()));
    tidy(&mut others);
    complement(&others, last(family))
}

/// Addresses as people write them; `among`: those that could be meant.
#[must_use]
pub fn shown(family: Family, values: &Values, among: &Values) -> String {
    if values.is_empty() {
        return String::from("none");
    }
    let own = addresses(family, values);
    if values == among {
        let all = [complement(&unroutable(family), last(family)), vec![(0, last(family))]];
        return if all.contains(among) { String::from("any") } else { own };
    }
    let mut wide = complement(among, last(family));
    wide.extend(values.iter().copied());
    tidy(&mut wide);
    let wide = addresses(family, &wide).replace("not ", "all but ");
    if wide.len() < own.len() { wide } else { own }
}

impl Around {
    /// The addresses that packets may come from and go to.
    #[must_use]
    pub fn domain(&self, family: Family) -> Values {
        match self.martians {
            true => vec![(0, last(family))],
            false => complement(&unroutable(family), last(family)),
        }
    }

    /// The addresses that questions name.
    pub(super) fn apart(&self, family: Family) -> Apart {
        let mut apart = Apart::new(family);
        apart.add_values(&self.domain(family));
        apart.add_values(&internet(family));
        apart.add_values(&self.asked);
        let networks = self.networks.iter().map(|(_, values)| values);
        networks.chain(&self.local).for_each(|values| apart.add_values(values));
        apart
    }

    /// Adds what a file says of the form `eth0 = [10.0.0.0/8, 192.0.2.0-192.0.2.9]`, also
    /// `all_but_those_ips [...]`, `#` beginning comments.
    ///
    /// # Errors
    /// The line, from 1, and what is wrong with it.
    pub fn read(&mut self, text: &str, family: Family) -> std::result::Result<(), (usize, String)> {
        let mut rest = text;
        let line = |rest: &str| text.len().saturating_sub(rest.len());
        let at = |rest: &str| {
            text.get(..line(rest)).map_or(0, |before| before.matches('\n').count()) + 1
        };
        loop {
            rest = skipped(rest);
            if rest.is_empty() {
                return Ok(());
            }
            let here = at(rest);
            let wrong = |what: String| (here, what);
            let Some((name, after)) = rest.split_once('=') else {
                return Err(wrong("want `INTERFACE = [ADDRESSES]`".into()));
            };
            let name = name.trim().trim_matches('"');
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(wrong(format!("`{name}` is no name of an interface")));
            }
            let (list, behind) =
                list(after).ok_or_else(|| wrong(format!("{name}: want [ADDRESSES]")))?;
            let words: Vec<String> = list
                .lines()
                .map(|line| line.split('#').next().unwrap_or("").replace('"', ""))
                .collect();
            let mut values = ranges(&words.join(" "), family).map_err(wrong)?;
            if after.trim_start().starts_with("all_but") {
                values = complement(&values, last(family));
            }
            self.add(name, values);
            rest = behind;
        }
    }

    /// Addresses that are behind an interface, beside those that are known to be.
    pub fn add(&mut self, name: &str, values: Values) {
        match self.networks.iter_mut().find(|(own, _)| own == name) {
            Some((_, known)) => {
                known.extend(values);
                tidy(known);
            }
            None => self.networks.push((name.to_string(), values)),
        }
    }

    /// Packets whose address fits the interface: `address` is their source with [`Group::In`], their
    /// destination with [`Group::Out`].
    pub(super) fn fitting(
        &self,
        space: &Space,
        side: Group,
        address: impl Fn(&Values) -> Result<Packets>,
    ) -> Result<Packets> {
        let mut fitting = space.none();
        for (place, interface) in space.interfaces().iter().enumerate() {
            let place = place as u128;
            let (is_one, is_loopback) = match interface {
                Interface::Named(name) => (true, name == "lo"),
                Interface::None | Interface::Beginning(_) | Interface::Other => (false, false),
            };
            let here =
                self.networks.iter().filter(|(name, _)| space.interface_number(name) == place);
            let mut known: Values = here.clone().flat_map(|(_, values)| values.clone()).collect();
            tidy(&mut known);
            let is_known = here.count() > 0;
            let is_trusted =
                if side == Group::In { self.trusts_sources } else { self.trusts_routes };
            let packets = space.all_of(side, &[(place, place)])?;
            let packets = match (*interface == Interface::None, is_known) {
                (true, _) => packets,
                (_, true) if !is_trusted => packets,
                (_, true) if is_one || self.is_complete => packets.and(&address(&known)?)?,
                // Nothing from outside comes in by the loopback interface.
                (_, false) if self.is_complete || is_loopback => continue,
                (_, _) => packets,
            };
            fitting = fitting.or(&packets)?;
        }
        Ok(fitting)
    }

    /// Whether anything is known of interfaces.
    #[must_use]
    pub fn knows_interfaces(&self) -> bool {
        !self.networks.is_empty()
    }
}

/// Source or destination addresses of packets as they came in.
pub(super) fn of(space: &Space, field: Field, values: &Values) -> Result<Packets> {
    space.all_of(Group::Field(field), values)
}

/// Behind blanks and comments.
fn skipped(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        match text.strip_prefix('#') {
            Some(comment) => {
                text = comment.find('\n').and_then(|at| comment.get(at..)).unwrap_or("")
            }
            None => return text,
        }
    }
}

/// What stands in the next brackets, and what is behind them.
fn list(text: &str) -> Option<(&str, &str)> {
    let (before, rest) = text.split_once('[')?;
    let before = before.trim();
    if !matches!(before, "" | "all_but_those_ips" | "all_but") {
        return None;
    }
    rest.split_once(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_assignments_are_read_in_both_spellings() {
        let mut around = Around::default();
        let text = "# ours\nlo = [127.0.0.0/8]\neth1.96 = [131.159.14.3/25]\n\
                    up = all_but_those_ips [\n  10.0.0.0/8, # private\n  192.168.0.0/16\n]\nno = []\n";
        around.read(text, Family::V4).unwrap();
        let shown: Vec<_> = around
            .networks
            .iter()
            .map(|(name, values)| (name.as_str(), addresses(Family::V4, values)))
            .collect();
        let expected = [
            ("lo", "127.0.0.0/8"),
            ("eth1.96", "131.159.14.0/25"),
            ("up", "not 10.0.0.0/8,192.168.0.0/16"),
            ("no", ""),
        ];
        assert_eq!(
            shown.iter().map(|(name, text)| (*name, text.as_str())).collect::<Vec<_>>(),
            expected
        );
        for (text, line) in [
            ("\n\neth0 10.0.0.0/8", 3),
            ("a = [1.2.3]\n", 1),
            ("a = b [1.2.3.4]", 1),
            ("b c = []", 1),
        ] {
            let mut around = Around::default();
            assert_eq!(
                around.read(text, Family::V4).map_err(|(line, _)| line),
                Err(line),
                "{text}"
            );
        }
    }

    #[test]
    fn ranges_have_three_forms() {
        let read = |text: &str| range(text, Family::V4);
        assert_eq!(read("10.0.0.5/8"), Ok((0x0a00_0000, 0x0aff_ffff)));
        assert_eq!(read("0.0.0.0/0"), Ok((0, 0xffff_ffff)));
        assert_eq!(read("1.2.3.4"), Ok((0x0102_0304, 0x0102_0304)));
        assert_eq!(read("0.0.0.1-0.0.0.9"), Ok((1, 9)));
        for text in ["0.0.0.9-0.0.0.1", "10.0.0.0/33", "::1", "x"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(range("::/0", Family::V6), Ok((0, u128::MAX)));
    }
}

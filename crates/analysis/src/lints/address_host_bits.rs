//! A network written with bits of a host.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use keepstate_packet::Family;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "address-host-bits",
    severity: Severity::Note,
    title: "a network written with bits of a host",
    page: include_str!("address_host_bits.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let family = linted.ruleset.family;
    let width = if family == Family::V4 { 32 } else { 128 };
    for rule in &linted.rules {
        let span = rule.rule.span;
        let mut words = linted.text(span).split_whitespace();
        while let Some(word) = words.next() {
            if !matches!(word, "-s" | "-d" | "--source" | "--destination" | "--src" | "--dst") {
                continue;
            }
            for one in words.next().unwrap_or("").split(',') {
                let Some((address, length)) = one.split_once('/') else { continue };
                let Some(network) = network(address, length, width) else { continue };
                found.push(
                    Finding::new(
                        span,
                        format!("`{one}` is the network {network}, not the host {address}"),
                    )
                    .evidence(format!("bits behind the first {length} are not compared"))
                    .help(format!("for the host alone: {address}"))
                    .fix(linted.rewrite(
                        rule,
                        one,
                        &network,
                        Expected::Nothing,
                    )),
                );
            }
        }
    }
    Ok(())
}

/// The network, where the address has bits that are not of it.
fn network(address: &str, length: &str, width: u32) -> Option<String> {
    let length: u32 = length.parse().ok().filter(|length| *length <= width)?;
    let address: std::net::IpAddr = address.parse().ok()?;
    let (number, own) = match address {
        std::net::IpAddr::V4(four) => (u128::from(u32::from(four)), 32),
        std::net::IpAddr::V6(six) => (u128::from(six), 128),
    };
    if own != width {
        return None;
    }
    let rest = width - length;
    let masked = number.checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0);
    let text = match width {
        32 => std::net::Ipv4Addr::from(masked as u32).to_string(),
        _ => std::net::Ipv6Addr::from(masked).to_string(),
    };
    (masked != number).then(|| format!("{text}/{length}"))
}

//! What a rule asks for that no packet tells, given to a conversation such that its packets meet the rule: the sets
//! that it names, and the program that packets of this host are of.

use super::Scene;
use crate::conversation::{Place, Who};
use crate::rule::words::{OptionWords, RuleWords};
use keepstate_packet::{Address, Family};
use keepstate_ruleset::evaluate::{End, Socket};

/// Gives it.
pub(super) fn give(scene: &mut Scene, rule: &RuleWords) {
    scene.sets = sets(scene, rule);
    if rule.target_name() == "TCPMSS" {
        for (number, interface) in scene.host.interfaces.iter_mut().rev().enumerate() {
            interface.mtu = if number == 0 { MTU_PPPOE } else { MTU_ETHERNET };
        }
    }
    let sends = scene.place == Place::On(scene.sender);
    if let (true, Some((user, group))) = (sends, owner(rule)) {
        scene.host.sockets.push(Socket {
            protocol: rule.protocol().unwrap_or(6),
            local: End {
                address: Some(Address::from(scene.addresses.of(scene.sender))),
                ..End::default()
            },
            uid: Some(user),
            gid: Some(group),
            ..Socket::default()
        });
    }
}

/// MTU of a line through PPPoE (RFC 2516), bytes.
const MTU_PPPOE: u32 = 1492;
/// MTU of Ethernet, bytes.
const MTU_ETHERNET: u32 = 1500;

/// What is given to the runs of a rule, for their assumptions.
pub(crate) fn said(rule: &RuleWords) -> Vec<String> {
    let mut said = Vec::new();
    if rule.target_name() == "TCPMSS" {
        said.push(format!(
            "One interface has an MTU of {MTU_PPPOE} bytes in the runs (PPPoE), others have {MTU_ETHERNET}."
        ));
    }
    for (name, flags, not) in asked_sets(rule) {
        said.push(match not {
            true => format!("The set {name} is empty in the runs."),
            false => format!(
                "The set {name} holds in the runs what the conversations have as {flags}, and nothing else."
            ),
        });
    }
    if let Some((user, group)) = owner(rule) {
        said.push(format!(
            "What this host sends in the runs is of a program of user {user} and group {group}."
        ));
    }
    said
}

/// The sets that a rule asks: name, parts, and whether it is asked for what is not in it.
fn asked_sets(rule: &RuleWords) -> impl Iterator<Item = (&str, &str, bool)> {
    let asked = rule.options(&["--match-set"]);
    asked.filter_map(|option| {
        let [name, flags] = option.values.as_slice() else { return None };
        Some((name.as_str(), flags.as_str(), option.not))
    })
}

/// The sets of a rule, as `ipset save` prints them: those that are asked hold what the packets of interest have.
fn sets(scene: &Scene, rule: &RuleWords) -> String {
    let mut text = String::new();
    let mut made: Vec<&str> = Vec::new();
    let family = if scene.family == Family::V6 { "inet6" } else { "inet" };
    for (name, flags, not) in asked_sets(rule) {
        if made.contains(&name) {
            continue;
        }
        made.push(name);
        let parts: Vec<&str> = flags.split(',').collect();
        let kind = match parts.len() {
            1 => "hash:ip",
            2 => "hash:ip,port",
            _ => "hash:ip,port,ip",
        };
        text.push_str(&format!("create {name} {kind} family {family}\n"));
        if !not {
            let element =
                parts.iter().enumerate().map(|(at, side)| part(scene, rule, side, at == 1));
            text.push_str(&format!("add {name} {}\n", element.collect::<Vec<_>>().join(",")));
        }
    }
    let written = ["--add-set", "--del-set", "--map-set"];
    for name in
        written.iter().filter_map(|option| rule.target_option(option)).map(OptionWords::value)
    {
        if !made.contains(&name) {
            made.push(name);
            text.push_str(&format!("create {name} hash:ip family {family}\n"));
        }
    }
    text
}

/// A part of an element: the address or the port of the packets of interest on this side.
fn part(scene: &Scene, rule: &RuleWords, side: &str, is_port: bool) -> String {
    let other = if scene.sender == Who::Server { Who::Client } else { Who::Server };
    let who = if side == "src" { scene.sender } else { other };
    if !is_port {
        return scene.addresses.of(who).to_string();
    }
    let port = match who {
        Who::Server => scene.parties.server_port,
        Who::Client | Who::Router => scene.parties.client_port,
    };
    let protocol = if rule.protocol() == Some(17) { "udp" } else { "tcp" };
    format!("{protocol}:{port}")
}

/// User and group of a program that meets `-m owner`.
fn owner(rule: &RuleWords) -> Option<(u32, u32)> {
    if !rule.has_match("owner") {
        return None;
    }
    let wanted = |name: &str| {
        let names = [name];
        let option: Option<&OptionWords> = rule.options(&names).next();
        let first = option.and_then(|option| option.value().split('-').next()?.parse().ok());
        match (first, option.is_some_and(|option| option.not)) {
            (Some(id), false) => id,
            (Some(id), true) => u32::wrapping_add(id, 1),
            (None, _) => 1000,
        }
    };
    Some((wanted("--uid-owner"), wanted("--gid-owner")))
}

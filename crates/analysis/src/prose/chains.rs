//! What chains are for: what the built-in ones see, and who makes the user chains whose names are known.

use keepstate_ruleset::model::Ruleset;
use std::collections::{BTreeMap, BTreeSet};

/// What a built-in chain of a table is for, a sentence; `None` for a user chain.
#[must_use]
pub fn built_in(table: &str, chain: &str) -> Option<String> {
    let packets = match chain {
        "INPUT" => "packets for this host itself",
        "FORWARD" => "packets that this host passes on from one interface to another",
        "OUTPUT" => "packets that this host's own programs send",
        "PREROUTING" => "packets that have just arrived, before it is known where they go",
        "POSTROUTING" => "packets that are about to leave",
        _ => return None,
    };
    Some(match (table, chain) {
        ("filter", "INPUT") => "Decides what may reach this host itself.".into(),
        ("filter", "FORWARD") => {
            "Decides what may pass through this host from one interface to another.".into()
        }
        ("filter", "OUTPUT") => "Decides what programs of this host may send.".into(),
        ("nat", "PREROUTING") => {
            "Sends connections that arrive to other destinations, by the first packet of each."
                .into()
        }
        ("nat", "OUTPUT") => {
            "Sends connections of this host's own programs to other destinations, \
                              by the first packet of each."
                .into()
        }
        ("nat", "POSTROUTING") => {
            "Gives connections that leave another source, by the first packet of each.".into()
        }
        ("nat", _) => "Gives connections to this host itself another source, by the first packet \
                       of each."
            .into(),
        ("mangle", _) => format!("Changes fields and marks of {packets}."),
        ("raw", _) => format!("Says before tracking happens what of it applies to {packets}."),
        ("security", _) => format!("Gives security contexts to {packets}."),
        _ => format!("Sees {packets}."),
    })
}

/// Whose a user chain is: by the beginning of its name, or by all of it (without `*`). The longest that fits
/// counts.
const MADE_BY: &[(&str, &str)] = &[
    ("DOCKER", "Docker: the ports that containers publish"),
    ("DOCKER-BRIDGE", "Docker: what may enter each of its bridges"),
    ("DOCKER-CT", "Docker: replies to connections of containers"),
    ("DOCKER-FORWARD", "Docker: what may pass between containers and the rest"),
    ("DOCKER-INGRESS", "Docker: published ports of swarm services"),
    ("DOCKER-INTERNAL", "Docker: networks without a way out"),
    ("DOCKER-ISOLATION-STAGE-1", "Docker: keeps its networks apart (what leaves one bridge)"),
    ("DOCKER-ISOLATION-STAGE-2", "Docker: keeps its networks apart (what would enter another)"),
    (
        "DOCKER-USER",
        "Docker: asked before its own rules and never changed by it, the place for the administrator's",
    ),
    ("KUBE-EXTERNAL-SERVICES", "Kubernetes (kube-proxy): ports of services from outside"),
    ("KUBE-EXT-*", "Kubernetes (kube-proxy): a service from outside"),
    ("KUBE-FIREWALL", "Kubernetes: drops packets that were marked for it"),
    ("KUBE-FORWARD", "Kubernetes (kube-proxy): forwards the traffic of services"),
    ("KUBE-FW-*", "Kubernetes (kube-proxy): a service behind a load balancer"),
    ("KUBE-KUBELET-CANARY", "Kubernetes: stands there to show that nobody flushed the table"),
    ("KUBE-MARK-DROP", "Kubernetes: marks what is to be dropped"),
    ("KUBE-MARK-MASQ", "Kubernetes: marks what is to leave with the node's own address"),
    ("KUBE-NODEPORTS", "Kubernetes (kube-proxy): services on ports of the node"),
    ("KUBE-NODE-PORT", "Kubernetes (kube-proxy): services on ports of the node"),
    ("KUBE-POSTROUTING", "Kubernetes: gives marked packets the node's own address"),
    ("KUBE-PROXY-CANARY", "Kubernetes: stands there to show that nobody flushed the table"),
    ("KUBE-PROXY-FIREWALL", "Kubernetes (kube-proxy): who may use a load balancer"),
    ("KUBE-SEP-*", "Kubernetes (kube-proxy): one endpoint of a service"),
    ("KUBE-SERVICES", "Kubernetes (kube-proxy): the services, by their addresses"),
    ("KUBE-SVC-*", "Kubernetes (kube-proxy): chooses an endpoint of a service"),
    ("KUBE-XLB-*", "Kubernetes (kube-proxy): a service from outside, on this node alone"),
    ("LIBVIRT_FWI", "libvirt: what may go to guests"),
    ("LIBVIRT_FWO", "libvirt: what guests may send"),
    ("LIBVIRT_FWX", "libvirt: between guests of one network"),
    ("LIBVIRT_INP", "libvirt: DNS and DHCP of guests to this host"),
    ("LIBVIRT_OUT", "libvirt: DNS and DHCP of this host to guests"),
    ("LIBVIRT_PRT", "libvirt: translates what leaves a guest network"),
    ("CNI-*", "a container network plugin (CNI)"),
    ("FLANNEL-*", "flannel: the pod network"),
    ("NETAVARK*", "Podman (netavark)"),
    ("WEAVE-*", "Weave Net"),
    ("cali-*", "Calico"),
    ("CILIUM_*", "Cilium"),
    ("ISTIO_*", "Istio: turns the traffic of a pod to its proxy"),
    ("RH-Firewall-1-INPUT", "Red Hat: the installer's firewall"),
    ("f2b-*", "fail2ban: addresses that it has banned"),
    ("fail2ban-*", "fail2ban: addresses that it has banned"),
    ("sshguard", "sshguard: addresses that it has banned"),
    ("ts-forward", "Tailscale"),
    ("ts-input", "Tailscale"),
    ("ts-postrouting", "Tailscale"),
    ("ufw-*", "ufw"),
    ("ufw6-*", "ufw"),
    ("ufw-user-*", "ufw: the rules that the administrator gave it"),
    ("ufw6-user-*", "ufw: the rules that the administrator gave it"),
    ("ufw-before-*", "ufw: what comes before the administrator's rules (before.rules)"),
    ("ufw6-before-*", "ufw: what comes before the administrator's rules (before6.rules)"),
    ("ufw-after-*", "ufw: what comes after the administrator's rules (after.rules)"),
    ("ufw6-after-*", "ufw: what comes after the administrator's rules (after6.rules)"),
    ("ufw-not-local", "ufw: what is for none of this host's addresses"),
    ("ufw-logging-*", "ufw: writes log lines"),
    ("ufw-skip-to-policy-*", "ufw: the default policy without a log line"),
    ("neutron-*", "OpenStack neutron"),
    ("nova-*", "OpenStack nova"),
    ("FWDI_*", "firewalld: forwarded, by the zone it came from"),
    ("FWDO_*", "firewalld: forwarded, by the zone it goes to"),
    ("FWD_*", "firewalld: forwarded within a zone"),
    ("IN_*", "firewalld: for this host, by the zone it came from"),
    ("PRE_*", "firewalld: on arrival, by zone"),
    ("POST_*", "firewalld: on departure, by zone"),
    ("INPUT_ZONES*", "firewalld: chooses the zone"),
    ("INPUT_direct", "firewalld: direct rules"),
    ("FORWARD_direct", "firewalld: direct rules"),
    ("OUTPUT_direct", "firewalld: direct rules"),
    ("FORWARD_IN_ZONES*", "firewalld: chooses the zone"),
    ("FORWARD_OUT_ZONES*", "firewalld: chooses the zone"),
    ("zone_*", "OpenWrt: a zone of its firewall"),
    ("delegate_*", "OpenWrt: where its firewall begins"),
    ("MULTI-*", "a policy plugin of Kubernetes (multi-networkpolicy)"),
    ("DOCKER-*", "Docker"),
    ("dynamic", "Shorewall: addresses that its command refuses while it runs"),
    ("logdrop", "Shorewall: what its command logs and drops while it runs"),
    ("logreject", "Shorewall: what its command logs and rejects while it runs"),
    ("logflags", "Shorewall: logs and drops segments with flags that no sender makes"),
    ("sha-lh-*", "Shorewall: refuses addresses that are not those of an interface"),
    ("sha-rh-*", "Shorewall: refuses addresses that are not those of an interface"),
    ("shorewall", "Shorewall: stands there to show that it has started"),
    ("tcin", "Shorewall: traffic shaping, on the way in"),
    ("tcout", "Shorewall: traffic shaping, of what this host sends"),
    ("tcfor", "Shorewall: traffic shaping, of what is forwarded"),
    ("tcpre", "Shorewall: traffic shaping, on arrival"),
    ("tcpost", "Shorewall: traffic shaping, on departure"),
    ("reject", "usual name for a chain that refuses with an answer"),
];

/// Names that people give to chains of their own as well: they say whose a chain is in the company of others.
const ANYBODYS: &[&str] = &[
    "IN_*",
    "FWD_*",
    "FWDI_*",
    "FWDO_*",
    "PRE_*",
    "POST_*",
    "dynamic",
    "logdrop",
    "logreject",
    "logflags",
    "tcin",
    "tcout",
    "tcfor",
    "tcpre",
    "tcpost",
];

/// How many kinds of names that anybody may give make a program as sure as one that is its own.
const COMPANY_MIN: usize = 3;

/// The programs that have made chains of a rule set, by the names of all its chains.
#[derive(Clone, Debug, Default)]
pub struct Makers {
    sure: BTreeSet<&'static str>,
}

impl Makers {
    /// Of these chains.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut sure = BTreeSet::new();
        let mut company: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (known, whose) in names.filter_map(entry) {
            let program = program(whose);
            if !ANYBODYS.contains(&known) {
                sure.insert(program);
            }
            company.entry(program).or_default().insert(known);
        }
        let many = company.into_iter().filter(|(_, known)| known.len() >= COMPANY_MIN);
        sure.extend(many.map(|(program, _)| program));
        Self { sure }
    }

    /// Of the chains of a rule set.
    #[must_use]
    pub fn of_ruleset(ruleset: &Ruleset) -> Self {
        let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
        Self::of(chains.map(|chain| chain.name.as_str()))
    }

    /// Whose a user chain is, where its name tells.
    #[must_use]
    pub fn made_by(&self, name: &str) -> Option<&'static str> {
        let (_, whose) = entry(name)?;
        self.sure.contains(program(whose)).then_some(whose)
    }

    /// Who makes chains of this name: `Docker`, `Kubernetes (kube-proxy)`.
    #[must_use]
    pub fn maker(&self, name: &str) -> Option<&'static str> {
        let maker = program(self.made_by(name)?);
        // A name that anybody may give says of nobody.
        (!maker.starts_with("usual")).then_some(maker)
    }
}

/// What is known of a name: how it is known, and whose it is.
fn entry(name: &str) -> Option<(&'static str, &'static str)> {
    let fits = |known: &str| match known.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == known,
    };
    let found = MADE_BY.iter().filter(|(known, _)| fits(known));
    found.max_by_key(|(known, _)| known.len()).copied()
}

/// The program of which an entry speaks.
fn program(whose: &'static str) -> &'static str {
    let whose = whose.split(" calls ").next().unwrap_or(whose);
    whose.split(':').next().unwrap_or(whose)
}

/// What no capture tells, by the match that asks: what it is, as the host file gives it or an answer misses it.
#[must_use]
pub fn unknown(name: &str) -> Option<&'static str> {
    Some(match name {
        "owner" => "which user or group a sender runs as",
        "socket" => "which sockets the host has open",
        "cgroup" => "which control group a sender belongs to",
        "policy" => "which IPsec policy a packet came or leaves by",
        "devgroup" => "which group an interface is in",
        "realm" => "the realm of a route",
        "cpu" => "which processor handles a packet",
        "physdev" => "which port of a bridge a packet came or leaves by",
        "set" => "what the sets hold",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_counts() {
        let alone = |name: &str| Makers::of([name].into_iter()).made_by(name);
        assert_eq!(alone("ufw-user-input"), Some("ufw: the rules that the administrator gave it"));
        assert_eq!(alone("ufw-track-input"), Some("ufw"));
        assert_eq!(alone("DOCKER"), Some("Docker: the ports that containers publish"));
        assert_eq!(alone("DOCKERS"), None);
        let makers = Makers::of(["DOCKER-USER", "KUBE-SVC-ABC", "reject"].into_iter());
        assert_eq!(makers.maker("DOCKER-USER"), Some("Docker"));
        assert_eq!(makers.maker("KUBE-SVC-ABC"), Some("Kubernetes (kube-proxy)"));
        assert_eq!(makers.maker("reject"), None);
    }

    #[test]
    fn a_name_that_anybody_may_give_needs_company() {
        let of = |names: &[&'static str], name: &str| Makers::of(names.iter().copied()).maker(name);
        assert_eq!(of(&["logdrop", "mydrop"], "logdrop"), None);
        assert_eq!(of(&["IN_WEB", "IN_SSH", "IN_DNS"], "IN_WEB"), None);
        assert_eq!(of(&["logdrop", "shorewall"], "logdrop"), Some("Shorewall"));
        assert_eq!(of(&["logdrop", "logflags", "dynamic"], "logdrop"), Some("Shorewall"));
        assert_eq!(of(&["IN_public", "INPUT_ZONES"], "IN_public"), Some("firewalld"));
    }

    #[test]
    fn every_built_in_chain_is_told() {
        for table in ["filter", "nat", "mangle", "raw", "security"] {
            for chain in ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] {
                assert!(built_in(table, chain).is_some());
            }
        }
        assert_eq!(built_in("filter", "input"), None);
    }
}

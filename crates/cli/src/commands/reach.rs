//! `keepstate reach`: what is asked, and how the answer is printed. What it says is the analysis' business.

use crate::rulesets::Loaded;
use crate::setting::{HOST_HELP, Setting};
use crate::terminal::Color;
use crate::{exit::Exit, graphs, rulesets, terminal::Terminal};
use keepstate_analysis::algebra::rows::{Values, complement, tidy};
use keepstate_analysis::algebra::space::{self, Interface};
use keepstate_analysis::graph::Graph;
use keepstate_analysis::reach::ends::{End, Written};
use keepstate_analysis::reach::{
    Answer, Around, Open, Opener, Question, Reach, Service, Shown, Toward, Unanswered, around,
    in_parts, render, spoof,
};
use keepstate_conntrack::Hook;
use keepstate_engine::{Host, Network};
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::{Policy, Ruleset, TableName};
use std::io::{self, Write};
use std::path::PathBuf;

const ENDS_HELP: &str = "\
FROM, TO:
  10.0.0.5  192.0.2.0/24  10.0.0.1-10.0.0.9   addresses
  any  internet  host                         every address; the public ones; this host itself
  eth0                                        what comes in, or goes out, by an interface
  class:b                                     a class of the matrix of the service
  TO may have a service behind it: 192.0.2.1:443, any:udp/53, host:ssh, [2001:db8::1]:443

Exit status: 0 when something asked for is open or may be, 1 when all of it is closed; with
--spoofing, 0 when all interfaces are certified, 1 when one is not.

Examples:
  keepstate reach --rules rules.v4 any host:5432
  keepstate reach --rules rules.v4 10.0.0.5 192.0.2.1:443
  keepstate reach --rules rules.v4 --service tcp/22
  keepstate reach --rules rules.v4 --all internet
  keepstate reach --rules rules.v4 --spoofing --interface eth0=10.0.0.0/8 --interface eth1=192.0.2.0/24
";

/// Arguments of `keepstate reach`.
#[derive(clap::Args)]
#[command(after_help = format!("{ENDS_HELP}\n{HOST_HELP}"))]
pub(crate) struct Arguments {
    #[command(flatten)]
    setting: Setting,
    /// The matrix of a service: tcp/22, udp/53, ssh, icmp, gre
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    service: Vec<String>,
    /// All services, a row for those that are treated alike; also where none is named
    #[arg(long)]
    all: bool,
    /// The addresses behind an interface
    #[arg(long, value_name = "IFACE=NETWORK[,...]")]
    interface: Vec<String>,
    /// The same in a file, a line an interface: eth0 = [10.0.0.0/8], up = all_but_those_ips [...]
    #[arg(long, value_name = "FILE")]
    interfaces: Option<PathBuf>,
    /// Certify interface by interface that no other addresses open connections there
    #[arg(long)]
    spoofing: bool,
    /// Where packets are going, when the host's addresses are not told: to it, or through it
    #[arg(long, value_enum)]
    way: Option<Way>,
    /// The port that clients take, or the ports FROM-TO
    #[arg(long, value_name = "PORT[-PORT]", value_parser = ports)]
    source_port: Option<(u16, u16)>,
    /// Draw the matrix of the service: a picture where the name ends in .svg, else in the language of
    /// graphviz; `-` is stdout (`keepstate explain --graph` draws chains)
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Who
    #[arg(value_name = "FROM")]
    from: Option<String>,
    /// To whom, and to what
    #[arg(value_name = "TO")]
    to: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    /// INPUT
    In,
    /// FORWARD
    Through,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("{text} is not PORT or PORT-PORT");
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (low.parse().map_err(|_| wrong())?, high.parse().map_err(|_| wrong())?);
    if low <= high { Ok((low, high)) } else { Err(wrong()) }
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    match reach(arguments, terminal) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn reach(arguments: &Arguments, terminal: &Terminal) -> Result<Exit, Exit> {
    let prepared =
        arguments.setting.prepare_with(Some("whether a packet is in it is left open"), terminal)?;
    let mut answers = Vec::new();
    let mut faults = Vec::new();
    for file in prepared.loaded() {
        let asked = Asked { arguments, host: prepared.host(), file };
        match asked.answer() {
            Ok(answer) => answers.push((file, answer)),
            Err(fault) => faults.push(fault),
        }
    }
    // An address is of one family, and asks nothing of the rules of the other.
    if answers.is_empty() {
        faults.iter().for_each(|fault| terminal.error(fault));
        if faults.is_empty() {
            terminal.error("--rules FILE: whose rules?");
        }
        return Err(Exit::Usage);
    }
    if let Some(path) = &arguments.graph {
        let mut matrices = answers.iter().flat_map(|(_, answer)| &answer.matrices);
        match (matrices.next(), matrices.next()) {
            (Some(matrix), None) => graphs::draw(path, &Graph::of_matrix(matrix), terminal)?,
            _ => {
                terminal.error("--graph draws the matrix of one service (--service) of one family");
                return Err(Exit::Usage);
            }
        }
    }
    if arguments.graph.as_ref().is_none_or(|path| path.as_os_str() != "-") {
        print(arguments, &answers, terminal);
    }
    let is_open = answers.iter().any(|(_, answer)| answer.open() != Open::No);
    Ok(if is_open != arguments.spoofing { Exit::Clean } else { Exit::Findings })
}

fn print(arguments: &Arguments, answers: &[(&Loaded, Answer)], terminal: &Terminal) {
    let style = terminal.page();
    let text = match arguments.format {
        Format::Json => {
            let all: Vec<&Answer> = answers.iter().map(|(_, answer)| answer).collect();
            serde_json::to_string_pretty(&all).map(|text| text + "\n").unwrap_or_default()
        }
        Format::Text => {
            let shown = answers.iter().map(|(file, answer)| {
                let name = file.path.display().to_string();
                render(answer, &name, &style)
            });
            shown.collect::<Vec<_>>().join("\n")
        }
    };
    // A reader that has seen enough (`| head`) is no fault.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// One rule file, and what is asked of it.
struct Asked<'a> {
    arguments: &'a Arguments,
    host: &'a Host,
    file: &'a Loaded,
}

impl Asked<'_> {
    fn answer(&self) -> Result<Answer, String> {
        let ruleset = &self.file.ruleset;
        let mut around = self.around()?;
        let question = self.question(&around)?;
        for end in [&question.from, &question.to] {
            let addresses = end.addresses(&around, ruleset.family);
            around.asked.extend(addresses);
        }
        let opener = match question.from.end {
            End::Host => Opener::Host,
            _ => Opener::Other,
        };
        if around.local.is_none() {
            around.toward = match (self.arguments.way, &question.to.end) {
                (_, End::Host) | (Some(Way::In), _) => Toward::Host,
                (Some(Way::Through), _) => Toward::Beyond,
                (None, _) if forwards(ruleset) => Toward::Beyond,
                (None, _) => Toward::Host,
            };
        }
        let lines = Lines::of(&self.file.source);
        let quiet = Terminal::new(Color::Never, true);
        let load = || -> Option<Ruleset> {
            let loaded = self.arguments.setting.rules(&quiet)?;
            let same = loaded.into_iter().find(|file| file.ruleset.family == ruleset.family)?;
            Some(same.ruleset)
        };
        let shown = Shown { lines: &lines, load: &load };
        if self.arguments.spoofing {
            return self.spoofing(&around, &shown);
        }
        let services = if question.all { &[] } else { question.services.as_slice() };
        let known = around.clone();
        let answer = Reach::of_services(ruleset, around, opener, services)
            .map_err(Unanswered::from)
            .and_then(|reach| reach.answer(&question, &shown));
        match answer {
            Err(Unanswered::Exhausted) if question.all => {
                in_parts(ruleset, &known, opener, &question).map_err(|why| why.to_string())
            }
            answer => answer.map_err(|why| why.to_string()),
        }
    }

    fn spoofing(&self, around: &Around, shown: &Shown<'_>) -> Result<Answer, String> {
        if around.networks.is_empty() {
            let text =
                "--spoofing: say what is behind each interface (--interface, --interfaces, --host)";
            return Err(text.into());
        }
        let towards: &[Toward] = match (self.arguments.way, &around.local) {
            (Some(Way::In), _) => &[Toward::Host],
            (Some(Way::Through), _) | (None, Some(_)) => &[Toward::Beyond],
            (None, None) => &[Toward::Beyond, Toward::Host],
        };
        let found = spoof::spoofing(&self.file.ruleset, around, towards, shown);
        let spoofing = found.map_err(|error| error.to_string())?;
        let assumptions = vec![
            "asked of the first packet of a connection: state NEW, of TCP a SYN; rp_filter is off"
                .into(),
        ];
        Ok(Answer { spoofing, assumptions, ..Answer::default() })
    }

    fn question(&self, around: &Around) -> Result<Question, String> {
        let family = self.file.ruleset.family;
        let names = self.interfaces(around);
        let end = |text: &Option<String>| match text {
            None => Ok(Written::any()),
            Some(text) => Written::parse(text, family, &names),
        };
        let (from, to) = (end(&self.arguments.from)?, end(&self.arguments.to)?);
        let words = self.arguments.service.iter().map(|word| Service::parse(word, family));
        let mut services = words.collect::<Result<Vec<_>, _>>()?;
        services.extend(to.service.clone());
        if let Some(service) = &from.service {
            return Err(format!("{service}: the service stands behind TO"));
        }
        let all = self.arguments.all || services.is_empty();
        Ok(Question { from, to, services, all })
    }

    /// The names of interfaces that are known.
    fn interfaces(&self, around: &Around) -> Vec<String> {
        let mut names: Vec<String> = around.networks.iter().map(|(name, _)| name.clone()).collect();
        names.extend(space::interfaces([&self.file.ruleset]).into_iter().filter_map(
            |one| match one {
                Interface::Named(name) => Some(name),
                Interface::None | Interface::Beginning(_) | Interface::Other => None,
            },
        ));
        names
    }

    fn around(&self) -> Result<Around, String> {
        let family = self.file.ruleset.family;
        let setting = &self.arguments.setting;
        let mut around = match setting.describes_host() {
            true => of_host(self.host, family),
            false => Around::default(),
        };
        if let Some(local) = setting.local() {
            let mut own: Values =
                local.iter().filter(|one| one.family == family).map(values).collect();
            tidy(&mut own);
            around.local = Some(own);
        }
        around.source_ports = self.arguments.source_port;
        for word in &self.arguments.interface {
            let (name, networks) = word
                .split_once('=')
                .ok_or_else(|| format!("--interface {word}: want IFACE=NETWORK"))?;
            let values = around::ranges(networks, family);
            around.add(name, values.map_err(|why| format!("--interface {word}: {why}"))?);
        }
        if let Some(path) = &self.arguments.interfaces {
            let name = path.display();
            let text = rulesets::read(path).map_err(|error| format!("{name}: {error}"))?;
            around.read(&text, family).map_err(|(line, why)| format!("{name}:{line}: {why}"))?;
        }
        Ok(around)
    }
}

/// Whether a rule set says anything of packets that pass through.
fn forwards(ruleset: &Ruleset) -> bool {
    let Some(table) = ruleset.table(TableName::Filter) else { return false };
    let chain = |hook| table.builtin(hook).and_then(|index| table.chain(index));
    // A host that is no router often has its FORWARD closed, and all its rules in INPUT.
    let is_host = chain(Hook::Input).is_some_and(|chain| !chain.rules.is_empty());
    chain(Hook::Forward).is_some_and(|chain| {
        !chain.rules.is_empty() || chain.policy == Some(Policy::Drop) && !is_host
    })
}

/// What a host tells: its addresses, and by its routes what is behind each interface.
fn of_host(host: &Host, family: Family) -> Around {
    let mut own: Values = host
        .interfaces
        .iter()
        .flat_map(|interface| &interface.addresses)
        .filter(|network| network.family == family)
        .map(|network| {
            let number = around::number(family, network.address);
            (number, number)
        })
        .chain(host.local.iter().filter(|network| network.family == family).map(values))
        .collect();
    tidy(&mut own);
    let mut around = Around { local: Some(own), ..Around::default() };
    // The longest prefix wins, the first among equals.
    let mut routes: Vec<(Network, usize)> = Vec::new();
    for (at, interface) in host.interfaces.iter().enumerate() {
        routes.extend(interface.addresses.iter().map(|network| (*network, at)));
    }
    routes.extend(
        host.routes.iter().map(|route| (route.destination, usize::from(route.interface.0))),
    );
    routes.retain(|(network, _)| network.family == family);
    routes.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix));
    let mut taken: Values = Vec::new();
    for (network, at) in routes {
        let Some(interface) = host.interfaces.get(at) else { continue };
        let free = without(&values(&network), &taken, family);
        taken.push(values(&network));
        tidy(&mut taken);
        around.add(interface.name.as_str(), free);
    }
    around.is_complete = !around.networks.is_empty();
    around
}

fn values(network: &Network) -> (u128, u128) {
    let text = format!("{}/{}", network.address.ip(network.family), network.prefix);
    around::range(&text, network.family).unwrap_or_default()
}

/// The part of a range that is not taken.
fn without((low, high): &(u128, u128), taken: &Values, family: Family) -> Values {
    let free = complement(taken, around::last(family));
    let parts = free.iter().map(|(from, to)| ((*from).max(*low), (*to).min(*high)));
    parts.filter(|(from, to)| from <= to).collect()
}

//! What could stand in the place of a rule, narrower or otherwise, each tried on the same conversations.
//!
//! [`NARROWINGS`] says for which rules there is something to try; here it is run.

mod instead;
mod list;

pub use list::{NARROWINGS, Narrowing, Stage, Tried};

use crate::answer::{Cell, Column, Comparison, Row};
use crate::conversation::{
    Fate, Nature, Place, Played, Scene, Script, Template, Who, conversation,
};
use crate::experiment::play;
use crate::rule::words::RuleWords;
use crate::witness::{Side, hairpin, scene, translated};
use keepstate_packet::Family;

/// Most alternatives of a rule.
pub const ALTERNATIVES_MAX: usize = 4;

/// Whether there is something to try in place of a rule.
#[must_use]
pub fn applies(rule: &RuleWords) -> bool {
    NARROWINGS.iter().any(|narrowing| (narrowing.applies)(rule))
}

/// Tries what there is in place of a rule; `None` when there is nothing, or no conversation meets it.
#[must_use]
pub fn compare(rule: &RuleWords, side: Side) -> Option<Comparison> {
    let narrowing = NARROWINGS.iter().find(|narrowing| (narrowing.applies)(rule))?;
    let all = |rule: &RuleWords| -> Vec<list::Alternative> {
        let own = list::Alternative { text: String::new(), lines: vec![own_line(rule)] };
        core::iter::once(own).chain((narrowing.alternatives)(rule)).collect()
    };
    let alternatives = all(rule);
    // What counts is run with numbers that the conversations come to.
    let lessened = crate::experiment::smaller(rule);
    let run = lessened.as_ref().map(all);
    let run = run.as_ref().unwrap_or(&alternatives);
    let around = (narrowing.around)(rule);
    let mut rows = Vec::new();
    for tried in narrowing.conversations {
        rows.extend(row(rule, side, tried, &around, run));
    }
    if rows.is_empty() {
        return None;
    }
    let program = if rule.family == Family::V6 { "ip6tables" } else { "iptables" };
    let pasted = |lines: &[String]| lines.iter().map(|line| format!("{program} {line}")).collect();
    let mut setting: Vec<String> = Vec::new();
    if let Some(chain) = &around.drops {
        setting.push(format!("{program} -P {chain} DROP"));
    }
    setting.extend::<Vec<String>>(pasted(&around.before));
    if !around.after.is_empty() {
        setting.push(String::from("(here)"));
    }
    setting.extend::<Vec<String>>(pasted(&around.after));
    let columns = alternatives.iter().zip(0_u8..).map(|(alternative, number)| Column {
        name: match number {
            0 => String::from("this rule"),
            number => format!("({})", char::from(b'a' + number - 1)),
        },
        text: alternative.text.clone(),
        lines: pasted(&alternative.lines),
    });
    Some(Comparison { code: narrowing.code, setting, columns: columns.collect(), rows })
}

/// A rule as a command has it, its table named where that is not filter.
fn own_line(rule: &RuleWords) -> String {
    match rule.table.as_str() {
        "filter" => rule.save(),
        table => format!("-t {table} {}", rule.save()),
    }
}

fn row(
    rule: &RuleWords,
    side: Side,
    tried: &Tried,
    around: &list::Around,
    alternatives: &[list::Alternative],
) -> Option<Row> {
    let mut template = Template::of(conversation(tried.code)?, tried.sender);
    if let Some(port) = tried.port {
        template.server_port = port;
    }
    if tried.sender == Who::Router {
        template.protocol = Some(crate::conversation::Upper::Icmp);
    }
    let scene = match (tried.stage, rule.table.as_str()) {
        (Stage::Behind, _) => behind(rule.family, &template)?,
        (Stage::Hairpin, _) => hairpin(rule, &template)?,
        (Stage::Rule, "nat") => translated(rule, &template)?,
        (Stage::Rule, _) => scene(rule, side, &template)?,
    };
    let script = template.script(&scene.parties);
    let mut cells = Vec::new();
    for alternative in alternatives {
        let mut lines = around.before.clone();
        if tried.stage == Stage::Behind {
            lines.push(String::from(MASQUERADE));
        }
        lines.extend(alternative.lines.iter().cloned());
        lines.extend(around.after.iter().cloned());
        let source = file(around.drops.as_deref(), &lines);
        let (_, played) = play(&source, rule.family, &script, &scene).ok()?;
        cells.push(cell(&script, &played));
    }
    let is_attack = template.conversation.nature == Nature::Attack;
    Some(Row { code: tried.code, title: title(&template, &scene, tried), is_attack, cells })
}

/// What hides the client of a conversation that is told behind a translation.
const MASQUERADE: &str = "-t nat -A POSTROUTING -o eth1 -j MASQUERADE";

/// A client behind a masquerading gateway.
fn behind(family: Family, template: &Template) -> Option<Scene> {
    let spot = crate::conversation::Spot::masqueraded(family, "eth0", "eth1")?;
    Scene::new(template.conversation, &spot)
}

fn title(template: &Template, scene: &Scene, tried: &Tried) -> String {
    let conversation = template.conversation;
    let port = tried.port.map_or(String::new(), |port| format!(" (port {port})"));
    let whose = match (tried.stage, scene.place, conversation.nature) {
        (Stage::Behind, ..) => ", behind a masquerading gateway",
        (Stage::Hairpin, ..) => ", by a client on the server's own network",
        (Stage::Rule, Place::Between, _) | (Stage::Rule, _, Nature::Attack) => "",
        (Stage::Rule, Place::On(Who::Client), _) => ", by this host",
        (Stage::Rule, Place::On(_), _) => ", by somebody else to this host",
    };
    format!("{}{port}{whose}", conversation.title)
}

fn cell(script: &Script, played: &Played) -> Cell {
    let fate = match played.fate {
        Fate::Passes => "passes",
        Fate::Breaks { .. } => "breaks",
        Fate::HalfOpen { .. } => "half-open",
        Fate::Unknown { .. } => "unknown",
    };
    let at = played.fate.at();
    let sender = at.and_then(|at| script.steps.get(at)).map(|step| step.from);
    let made = at.and_then(|at| played.steps.get(at)).map_or(&[][..], |step| &step.made);
    let is_told = made.iter().any(|made| made.has_left && made.to.is_some() && made.to == sender);
    Cell {
        fate,
        at: at.map(|at| at + 1),
        packet: at.and_then(|at| script.steps.get(at)).map(|step| step.label.clone()),
        is_told,
    }
}

/// The file that these commands make, the policy of one chain DROP.
fn file(drops: Option<&str>, commands: &[String]) -> String {
    let table_of = |command: &str| match command.strip_prefix("-t ") {
        Some(rest) => {
            let (table, rule) = rest.split_once(' ').unwrap_or((rest, ""));
            (table.to_string(), rule.to_string())
        }
        None => (String::from("filter"), command.to_string()),
    };
    let lines: Vec<(String, String)> = commands.iter().map(|command| table_of(command)).collect();
    let mut out = String::new();
    for table in ["raw", "mangle", "nat", "filter"] {
        let mine: Vec<&str> =
            lines.iter().filter(|(of, _)| of == table).map(|(_, rule)| rule.as_str()).collect();
        let drops = drops.filter(|_| table == "filter");
        if mine.is_empty() && drops.is_none() {
            continue;
        }
        out.push_str(&format!("*{table}\n"));
        out.extend(drops.map(|chain| format!(":{chain} DROP [0:0]\n")));
        let mut declared: Vec<&str> = Vec::new();
        for rule in &mine {
            let chain = rule.split(' ').nth(1).unwrap_or("");
            let is_own = Side::of_chain(chain).is_none() && !declared.contains(&chain);
            if is_own {
                declared.push(chain);
                out.push_str(&format!(":{chain} - [0:0]\n"));
            }
        }
        for rule in mine {
            out.push_str(rule);
            out.push('\n');
        }
        out.push_str("COMMIT\n");
    }
    out
}

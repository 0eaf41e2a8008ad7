//! Graphs: who reaches whom, and the chains of a table; as DOT, and as SVG drawn here, in layers from left to right.

use crate::reach::matrix::{Cell, Class, Matrix, Open};
use keepstate_packet::Family;
use keepstate_ruleset::model::{ChainIndex, Jump, Policy, Ruleset, Table, TableName};
use keepstate_ruleset::syntax::iptables_save::print_rule;
use keepstate_ruleset::verdict::{Step, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Most characters of a line of a node.
const LINE_MAX: usize = 72;
/// Most lines of a node; what is beyond is counted in the last.
const LINES_MAX: usize = 60;
/// Size of a character and of a line, in pixels.
const CHARACTER: usize = 7;
const LINE: usize = 16;
/// Between nodes of a layer, and between layers, in pixels.
const GAP: usize = 18;
const LAYER_GAP: usize = 140;

/// What a line says of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing.
    Plain,
    /// They pass.
    Pass,
    /// They end here.
    End,
}

/// A box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its layer, from the left.
    pub layer: usize,
    /// Its title.
    pub title: String,
    /// Its lines.
    pub lines: Vec<(String, Mood)>,
}

/// An arrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The box that it leaves, and at which of its lines; 0 is the title.
    pub from: (usize, usize),
    /// The box that it goes to.
    pub to: usize,
    /// Whether it is certain.
    pub is_certain: bool,
}

/// A graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// What it shows.
    pub title: String,
    /// The boxes.
    pub nodes: Vec<Node>,
    /// The arrows.
    pub edges: Vec<Edge>,
}

impl Graph {
    /// Who can open a service to whom.
    #[must_use]
    pub fn of_matrix(matrix: &Matrix) -> Self {
        let node = |class: &Class, layer| Node {
            layer,
            title: class.name.clone(),
            lines: wrapped(&class.addresses),
        };
        let mut nodes: Vec<Node> = matrix.from.iter().map(|class| node(class, 0)).collect();
        nodes.extend(matrix.to.iter().map(|class| node(class, 1)));
        let place = |classes: &[Class], name: &str| classes.iter().position(|one| one.name == name);
        let edge = |cell: &Cell| {
            let to = place(&matrix.to, &cell.to)?;
            Some(Edge {
                from: (place(&matrix.from, &cell.from)?, 0),
                to: matrix.from.len() + to,
                is_certain: cell.open == Open::Certain,
            })
        };
        let edges = matrix.cells.iter().filter_map(edge).collect();
        Self { title: matrix.service.clone(), nodes, edges }
    }

    /// A chain of a table and all that it leads to. `None`: there is no such chain.
    #[must_use]
    pub fn of_chain(ruleset: &Ruleset, table: TableName, chain: &str) -> Option<Self> {
        let rules = ruleset.table(table)?;
        let base = rules.chain_named(chain)?;
        let layers = layers(rules, base);
        let mut order: Vec<(usize, ChainIndex)> =
            layers.iter().map(|(chain, layer)| (*layer, *chain)).collect();
        order.sort_unstable();
        let places: BTreeMap<ChainIndex, usize> =
            order.iter().enumerate().map(|(place, (_, chain))| (*chain, place)).collect();
        let mut graph = Self { title: format!("{} {chain}", table.as_str()), ..Self::default() };
        for (layer, index) in order {
            let node = chain_node(ruleset.family, rules, index, layer);
            let place = graph.nodes.len();
            let jumps = rules.chain(index).into_iter().flat_map(|chain| (1..).zip(&chain.rules));
            for (number, rule) in jumps {
                let targets = rule.target.chains();
                graph.edges.extend(targets.iter().filter_map(|(to, _)| {
                    let line = number.min(LINES_MAX);
                    Some(Edge { from: (place, line), to: *places.get(to)?, is_certain: true })
                }));
            }
            graph.nodes.push(node);
        }
        Some(graph)
    }

    /// In the language of graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut out = format!("digraph {} {{\n", quoted(&self.title));
        out.push_str("  rankdir=LR;\n  node [shape=box fontname=\"monospace\" fontsize=10];\n");
        for (place, node) in self.nodes.iter().enumerate() {
            let mut label = format!("{}\\l", escaped(&node.title));
            for (line, _) in &node.lines {
                let _ = write!(label, "{}\\l", escaped(line));
            }
            let _ = writeln!(out, "  n{place} [label=\"{label}\"];");
        }
        for edge in &self.edges {
            let style = if edge.is_certain { "" } else { " [style=dashed]" };
            let _ = writeln!(out, "  n{} -> n{}{style};", edge.from.0, edge.to);
        }
        out.push_str("}\n");
        out
    }

    /// As a picture.
    #[must_use]
    pub fn svg(&self) -> String {
        let layout = self.layout();
        let mut out = String::new();
        let _ = writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" \
             font-family=\"monospace\" font-size=\"11\">",
            layout.width, layout.height
        );
        out.push_str(
            "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
             orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker></defs>\n",
        );
        let _ = writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>");
        let _ = writeln!(out, "<title>{}</title>", marked(&self.title));
        for edge in &self.edges {
            let (Some(from), Some(to)) = (layout.boxes.get(edge.from.0), layout.boxes.get(edge.to))
            else {
                continue;
            };
            let (x, y) = (from.x + from.width, from.y + LINE / 2 + 4 + edge.from.1 * LINE);
            let (end_x, end_y) = (to.x, to.y + LINE / 2 + 4);
            let bend = LAYER_GAP / 2;
            let style = if edge.is_certain { "" } else { " stroke-dasharray=\"4 3\"" };
            let _ = writeln!(
                out,
                "<path d=\"M{x} {y}C{} {y} {} {end_y} {end_x} {end_y}\" fill=\"none\" stroke=\"#555\"{style} \
                 marker-end=\"url(#arrow)\"/>",
                x + bend,
                end_x.saturating_sub(bend)
            );
        }
        for (node, place) in self.nodes.iter().zip(&layout.boxes) {
            draw(&mut out, node, place);
        }
        out.push_str("</svg>\n");
        out
    }

    fn layout(&self) -> Layout {
        let layers = self.nodes.iter().map(|node| node.layer + 1).max().unwrap_or(0);
        let mut boxes: Vec<Placed> = self.nodes.iter().map(Placed::of).collect();
        let (mut x, mut height) = (GAP, 0);
        for layer in 0..layers {
            let mut here: Vec<(usize, usize)> = (0..self.nodes.len())
                .filter(|place| self.nodes.get(*place).is_some_and(|node| node.layer == layer))
                .map(|place| (self.above(place, &boxes), place))
                .collect();
            // Near those that lead here.
            here.sort_unstable();
            let mut y = GAP;
            let mut width = 0;
            for (_, place) in here {
                let Some(one) = boxes.get_mut(place) else { continue };
                (one.x, one.y) = (x, y);
                y += one.height + GAP;
                width = width.max(one.width);
            }
            height = height.max(y);
            x += width + LAYER_GAP;
        }
        Layout { boxes, width: x.saturating_sub(LAYER_GAP) + GAP, height }
    }

    /// How far down those stand that lead to a node, on an average.
    fn above(&self, place: usize, boxes: &[Placed]) -> usize {
        let from = self.edges.iter().filter(|edge| edge.to == place);
        let heights: Vec<usize> =
            from.filter_map(|edge| Some(boxes.get(edge.from.0)?.y + edge.from.1 * LINE)).collect();
        heights.iter().sum::<usize>().checked_div(heights.len()).unwrap_or(0)
    }
}

/// Where everything is.
struct Layout {
    boxes: Vec<Placed>,
    width: usize,
    height: usize,
}

/// Where a box is.
struct Placed {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Placed {
    fn of(node: &Node) -> Self {
        let longest = node.lines.iter().map(|(line, _)| line.chars().count());
        let longest = longest.chain([node.title.chars().count()]).max().unwrap_or(0);
        let (width, height) = (longest * CHARACTER + 16, (node.lines.len() + 1) * LINE + 8);
        Self { x: 0, y: 0, width, height }
    }
}

fn draw(out: &mut String, node: &Node, place: &Placed) {
    let Placed { x, y, width, height } = *place;
    let _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"3\" fill=\"#f6f6f2\" stroke=\"#555\"/>"
    );
    let mut text = |line: usize, words: &str, style: &str| {
        let (x, y) = (x + 8, y + 4 + LINE * line + LINE * 3 / 4);
        let words = marked(words);
        let _ =
            writeln!(out, "<text x=\"{x}\" y=\"{y}\"{style} xml:space=\"preserve\">{words}</text>");
    };
    text(0, &node.title, " font-weight=\"bold\"");
    for (line, (words, mood)) in (1..).zip(&node.lines) {
        let style = match mood {
            Mood::Plain => "",
            Mood::Pass => " fill=\"#176117\"",
            Mood::End => " fill=\"#a01818\"",
        };
        text(line, words, style);
    }
}

/// How far from the left each chain stands that this one leads to: behind all that lead to it.
fn layers(table: &Table, base: ChainIndex) -> BTreeMap<ChainIndex, usize> {
    let mut order = Vec::new();
    callees_first(table, base, &mut BTreeSet::new(), &mut order);
    let mut layers = BTreeMap::from([(base, 0)]);
    for from in order.into_iter().rev() {
        let at = layers.get(&from).copied().unwrap_or(0);
        for to in callees(table, from) {
            let layer = layers.entry(to).or_default();
            *layer = (at + 1).max(*layer);
        }
    }
    layers
}

fn callees(table: &Table, chain: ChainIndex) -> BTreeSet<ChainIndex> {
    let rules = table.chain(chain).into_iter().flat_map(|chain| &chain.rules);
    rules.flat_map(|rule| rule.target.chains()).map(|(to, _)| to).collect()
}

/// The chains that one leads to, each behind all that it leads to itself; it is the last. Chains lead into no
/// circles, and not deeper than [`keepstate_ruleset::evaluate::CHAIN_DEPTH_MAX`]; what is read has been checked.
fn callees_first(
    table: &Table,
    chain: ChainIndex,
    seen: &mut BTreeSet<ChainIndex>,
    order: &mut Vec<ChainIndex>,
) {
    if !seen.insert(chain) {
        return;
    }
    for to in callees(table, chain) {
        callees_first(table, to, seen, order);
    }
    order.push(chain);
}

fn chain_node(family: Family, table: &Table, index: ChainIndex, layer: usize) -> Node {
    let Some(chain) = table.chain(index) else {
        return Node { layer, title: String::new(), lines: Vec::new() };
    };
    let policy = match (chain.policy, chain.hook) {
        (Some(Policy::Drop), _) => "  policy DROP",
        (Some(Policy::Accept), _) | (None, Some(_)) => "  policy ACCEPT",
        (None, None) => "",
    };
    let mut lines = Vec::new();
    for (number, rule) in (1..).zip(&chain.rules) {
        if number == LINES_MAX && chain.rules.len() > LINES_MAX {
            let more = chain.rules.len() - number + 1;
            lines.push((format!("... {more} more rules"), Mood::Plain));
            break;
        }
        let text = print_rule(family, table, &chain.name, rule);
        let prefix = format!("-A {} ", chain.name);
        let text = format!("{number} {}", text.strip_prefix(&prefix).unwrap_or(&text));
        let mood = match &rule.target {
            Jump::Standard(Step::Verdict(Verdict::Accept)) => Mood::Pass,
            Jump::Standard(Step::Verdict(_)) => Mood::End,
            Jump::Target(target) if target.name() == "REJECT" => Mood::End,
            _ => Mood::Plain,
        };
        lines.push((cut(&text), mood));
    }
    Node { layer, title: format!("{}{policy}", chain.name), lines }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LINE_MAX {
        return text.to_string();
    }
    text.chars().take(LINE_MAX - 3).chain("...".chars()).collect()
}

/// A list in lines.
fn wrapped(list: &str) -> Vec<(String, Mood)> {
    let mut lines = vec![String::new()];
    for word in list.split(',') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + word.len() + 2 > LINE_MAX / 2 {
            lines.push(String::new());
        }
        if lines.len() > LINES_MAX / 6 {
            lines.pop();
            lines.push("...".into());
            break;
        }
        if let Some(last) = lines.last_mut() {
            if !last.is_empty() {
                last.push_str(", ");
            }
            last.push_str(word.trim());
        }
    }
    lines.into_iter().map(|line| (line, Mood::Plain)).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// Within quotation marks of DOT.
fn escaped(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Within XML, which has no control characters.
fn marked(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

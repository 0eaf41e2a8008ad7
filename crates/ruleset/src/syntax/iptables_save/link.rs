//! What only a whole table shows: circles, depth, and the hooks a chain is reached from.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::CHAIN_DEPTH_MAX;
use crate::model::{Chain, ChainIndex, Rule, Span, Table, builtin_name};
use alloc::{format, vec, vec::Vec};
use keepstate_conntrack::Hook;

/// A match or target that works at some hooks only.
#[derive(Debug)]
pub(in crate::syntax) struct Requirement {
    pub(super) chain: ChainIndex,
    pub(super) name: &'static str,
    pub(super) hooks: &'static [Hook],
    pub(super) span: Span,
}

/// Most circles of a table that are reported.
pub const CIRCLES_MAX: usize = 20;
/// Most jumps of a circle that are shown.
const CIRCLE_LABELS_MAX: usize = 8;

/// Circles and jumps that are nested too deeply, as far as a built-in chain leads there.
#[must_use]
pub fn check(table: &Table) -> Vec<Diagnostic> {
    let marks = vec![Mark::default(); table.chains.len()];
    let edges = table.chains.iter().map(edges).collect();
    let mut walk = Walk { table, edges, marks, faults: Vec::new() };
    for (at, chain) in (0..).zip(&table.chains) {
        if chain.hook.is_some() {
            walk.from(ChainIndex(at));
        }
    }
    walk.faults
}

/// Where a chain leads: the rule's number, the chain, whether it comes back.
fn edges(chain: &Chain) -> Vec<(usize, ChainIndex, bool)> {
    let numbered = chain.rules.iter().enumerate();
    let leads = |(at, rule): (usize, &Rule)| {
        rule.target.chains().into_iter().map(move |(to, back)| (at, to, back))
    };
    numbered.flat_map(leads).collect()
}

/// Matches and targets that are reached from a hook where they do not work.
pub(in crate::syntax) fn check_hooks(
    table: &Table,
    requirements: &[Requirement],
    faults: &mut Vec<Diagnostic>,
) {
    let reached = reached(table);
    for requirement in requirements {
        let at = reached.get(requirement.chain.0 as usize).copied().unwrap_or(0);
        let wrong = HOOKS
            .into_iter()
            .find(|hook| at & (1 << *hook as u8) != 0 && !requirement.hooks.contains(hook));
        if let Some(hook) = wrong {
            let name = requirement.name;
            let text = format!(
                "`{name}` cannot stand in a chain that is reached from {}",
                builtin_name(hook)
            );
            faults.push(Diagnostic::new(code::WRONG_HOOK, requirement.span, text));
        }
    }
}

const HOOKS: [Hook; 5] =
    [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Color {
    #[default]
    Unseen,
    Open,
    Done,
}

#[derive(Clone, Copy, Default)]
struct Mark {
    color: Color,
    /// Jumps that can be nested below this chain.
    depth: usize,
}

/// Depth first over jumps and gotos, without recursion: chains may be nested as deep as a file
/// likes until this has refused it.
struct Walk<'a> {
    table: &'a Table,
    edges: Vec<Vec<(usize, ChainIndex, bool)>>,
    marks: Vec<Mark>,
    faults: Vec<Diagnostic>,
}

impl Walk<'_> {
    fn from(&mut self, root: ChainIndex) {
        let mut path: Vec<(ChainIndex, usize)> = Vec::new();
        self.enter(root, &mut path);
        while let Some((chain, next)) = path.last_mut() {
            let chain = *chain;
            let edge = self.edges.get(chain.0 as usize).and_then(|edges| edges.get(*next)).copied();
            let Some((_, to, _)) = edge else {
                path.pop();
                self.leave(chain);
                continue;
            };
            *next += 1;
            match self.marks.get(to.0 as usize).map(|mark| mark.color) {
                Some(Color::Unseen) => self.enter(to, &mut path),
                Some(Color::Open) => self.circle(to, &path),
                Some(Color::Done) | None => {}
            }
        }
        let depth = self.marks.get(root.0 as usize).map_or(0, |mark| mark.depth);
        if depth > CHAIN_DEPTH_MAX {
            let span = self.table.chain(root).map_or(Span::default(), |chain| chain.span);
            let text = format!("jumps nested {depth} deep; at most {CHAIN_DEPTH_MAX}");
            self.faults.push(Diagnostic::new(code::TOO_DEEP, span, text));
        }
    }

    fn enter(&mut self, chain: ChainIndex, path: &mut Vec<(ChainIndex, usize)>) {
        if let Some(mark) = self.marks.get_mut(chain.0 as usize) {
            mark.color = Color::Open;
        }
        path.push((chain, 0));
    }

    fn leave(&mut self, chain: ChainIndex) {
        let edges = self.edges.get(chain.0 as usize).map_or(&[][..], Vec::as_slice);
        let below = edges.iter().map(|(_, to, back)| {
            usize::from(*back) + self.marks.get(to.0 as usize).map_or(0, |mark| mark.depth)
        });
        let depth = below.max().unwrap_or(0);
        if let Some(mark) = self.marks.get_mut(chain.0 as usize) {
            *mark = Mark { color: Color::Done, depth };
        }
    }

    /// Where the rule stands whose edge a step of the path took last.
    fn place(&self, chain: ChainIndex, next: usize) -> Option<Span> {
        let edges = self.edges.get(chain.0 as usize)?;
        let (number, ..) = edges.get(next.checked_sub(1)?)?;
        self.table.chain(chain)?.rules.get(*number).map(|rule| rule.span)
    }

    fn circle(&mut self, to: ChainIndex, path: &[(ChainIndex, usize)]) {
        if self.faults.len() >= CIRCLES_MAX {
            return;
        }
        let name = |at: ChainIndex| self.table.chain(at).map_or("", |chain| chain.name.as_str());
        let text = format!("this jump to `{}` closes a circle", name(to));
        let closing = path.last().and_then(|(chain, next)| self.place(*chain, *next));
        let mut fault = Diagnostic::new(code::LOOP, closing.unwrap_or_default(), text);
        let circle = path.iter().skip_while(|(chain, _)| *chain != to).take(CIRCLE_LABELS_MAX);
        for (chain, next) in circle {
            let jump = self.place(*chain, *next).filter(|span| Some(*span) != closing);
            if let Some(span) = jump {
                fault = fault.label(span, format!("from `{}` it goes on here", name(*chain)));
            }
        }
        self.faults.push(fault);
    }
}

/// For each chain a bit for each hook that it is reached from.
fn reached(table: &Table) -> Vec<u8> {
    let mut reached = vec![0_u8; table.chains.len()];
    let mut waiting: Vec<usize> = Vec::new();
    for (at, chain) in table.chains.iter().enumerate() {
        if let (Some(hook), Some(bits)) = (chain.hook, reached.get_mut(at)) {
            *bits = 1 << hook as u8;
            waiting.push(at);
        }
    }
    while let Some(at) = waiting.pop() {
        let bits = reached.get(at).copied().unwrap_or(0);
        for (_, to, _) in table.chains.get(at).map(edges).unwrap_or_default() {
            let to = to.0 as usize;
            if let Some(known) = reached.get_mut(to).filter(|known| **known | bits != **known) {
                *known |= bits;
                waiting.push(to);
            }
        }
    }
    reached
}

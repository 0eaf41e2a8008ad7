//! Why a command was not carried out: the real tool's exit status and text, and ours.

use super::Variant;
use crate::diagnostic::{Diagnostic, Lines, code};
use alloc::{format, string::String, vec::Vec};

/// The version whose texts these are.
pub const VERSION: &str = "1.8.11";

/// Why a command was not carried out.
#[derive(Debug)]
pub struct Refusal {
    /// Exit status of the real tool.
    pub status: u8,
    /// Its text.
    pub says: Says,
    /// What is wrong, by place, where a place is at fault.
    pub faults: Vec<Diagnostic>,
}

/// What the real tool says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// `iptables: TEXT.`: an answer of the kernel, or as if it were one.
    Answer(&'static str),
    /// `iptables v1.8.11 (nf_tables): TEXT`: a wrong command.
    Problem(String),
    /// `iptables v1.8.11 (nf_tables):  TEXT`: the kernel refused a change.
    Failed(String),
    /// TEXT alone, in which `{program}` is the name of the tool.
    Bare(String),
    /// Nothing but where help is.
    Nothing,
}

impl Says {
    /// The text alone, the tool called `program`.
    #[must_use]
    pub fn words(&self, program: &str) -> String {
        match self {
            Self::Answer(text) => (*text).into(),
            Self::Problem(text) | Self::Failed(text) | Self::Bare(text) => {
                text.replace("{program}", program).trim().into()
            }
            Self::Nothing => "the options are those of the other family".into(),
        }
    }
}

pub(super) const NO_CHAIN: &str = "No chain/target/match by that name";
pub(super) const NO_RULE: &str = "Bad rule (does a matching rule exist in that chain?)";
pub(super) const INVALID: &str = "Invalid argument. Run `dmesg' for more information";

impl Refusal {
    /// Whether the command is refused for what is, or is not, in the tables: on others it would not be.
    pub(crate) fn is_of_what_is_there(&self) -> bool {
        let of_chain = |fault: &Diagnostic| fault.code == code::UNKNOWN_TARGET;
        self.faults.is_empty() && self.status == 1
            || !self.faults.is_empty() && self.faults.iter().all(of_chain)
    }

    /// An answer of the kernel: status 1.
    pub(super) const fn answer(text: &'static str) -> Self {
        Self { status: 1, says: Says::Answer(text), faults: Vec::new() }
    }

    /// A wrong command: status 2.
    pub(super) fn problem(text: impl Into<String>) -> Self {
        Self { status: 2, says: Says::Problem(text.into()), faults: Vec::new() }
    }

    /// The kernel refused a change of one kind, for a reason, at a chain.
    pub(super) fn failed(variant: Variant, what: &str, why: Why, place: &str) -> Self {
        match variant {
            Variant::Legacy => Self::answer(why.legacy),
            Variant::Nft => Self {
                status: 4,
                says: Says::Failed(format!("{what} failed ({}): {place}", why.nft)),
                faults: Vec::new(),
            },
        }
    }

    /// What the faults of a rule make of a command.
    pub(super) fn of_faults(
        faults: Vec<Diagnostic>,
        source: &str,
        (variant, what, chain): (Variant, &str, &str),
    ) -> Self {
        let Some(first) = faults.first() else { return Self::problem("") };
        let span = first.span.start as usize..first.span.end as usize;
        let word = source.get(span).unwrap_or("");
        let failed = |why| Self::failed(variant, what, why, &format!("rule in chain {chain}"));
        let mut refusal = match (first.code, &first.says) {
            (_, Some(says)) if says.starts_with("Bad argument") => {
                Self { says: Says::Bare(says.clone()), ..Self::problem("") }
            }
            (_, Some(says)) => Self::problem(says.as_str()),
            (code::UNKNOWN_TARGET | code::TARGET_UNSUPPORTED, None) => {
                Self::problem(match variant {
                    Variant::Nft => format!("Chain '{word}' does not exist"),
                    Variant::Legacy => {
                        format!("Couldn't load target `{word}':No such file or directory\n")
                    }
                })
            }
            (code::LOOP | code::TOO_DEEP, None) => failed(Why::LOOP),
            (code::JUMP_TO_BUILTIN, None) => failed(Why::BUILTIN),
            (
                code::PROTOCOL_NEEDED | code::WRONG_TABLE | code::WRONG_HOOK | code::KERNEL_REFUSES,
                None,
            ) => failed(Why::INVALID),
            _ => Self::problem(first.text.as_str()),
        };
        refusal.faults = faults;
        refusal
    }

    /// All of it, as the tool `program` prints it; `line` of a file. `source` is what the places of
    /// the faults are in, called `file`.
    #[must_use]
    pub fn text(
        &self,
        program: &str,
        variant: Variant,
        line: Option<usize>,
        (file, source): (&str, &str),
    ) -> String {
        let version = match variant {
            Variant::Nft => "nf_tables",
            Variant::Legacy => "legacy",
        };
        let mut out = match (&self.says, line) {
            (Says::Answer(text), None) if program == "ebtables" => format!("{program}: {text}\n"),
            (Says::Answer(text), None) => format!("{program}: {text}.\n"),
            (Says::Answer(_), Some(line)) if variant == Variant::Legacy => {
                format!("{program}: line {line} failed\n")
            }
            (Says::Answer(text), Some(line)) => format!("{program}: line {line} failed: {text}.\n"),
            (Says::Problem(text), _) => format!("{program} v{VERSION} ({version}): {text}\n"),
            (Says::Failed(text), None) => format!("{program} v{VERSION} ({version}):  {text}\n"),
            (Says::Failed(text), Some(line)) => {
                format!("{program} v{VERSION} ({version}): \nline {line}: {text}\n")
            }
            (Says::Bare(text), _) => format!("{text}\n"),
            (Says::Nothing, _) => String::new(),
        };
        out = out.replace("{program}", program);
        if self.status == 2 {
            if let Some(line) = line {
                out.push_str(&format!("Error occurred at line: {line}\n"));
            }
            out.push_str(&format!(
                "Try `{program} -h' or '{program} --help' for more information.\n"
            ));
        }
        if self.status == 3 {
            let tool = match program {
                "arptables" | "ebtables" => program,
                _ => "iptables",
            };
            out.push_str(&format!("Perhaps {tool} or your kernel needs to be upgraded.\n"));
        }
        let lines = Lines::of(if self.faults.is_empty() { "" } else { source });
        for fault in &self.faults {
            out.push_str(&fault.render_among(file, source, &lines));
        }
        out
    }
}

/// Why the kernel refuses, in the words of both variants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Why {
    nft: &'static str,
    legacy: &'static str,
}

impl Why {
    pub(super) const INVALID: Self = Self { nft: "Invalid argument", legacy: INVALID };
    pub(super) const MISSING: Self = Self { nft: "No such file or directory", legacy: NO_CHAIN };
    pub(super) const BUILTIN: Self = Self { nft: "Operation not supported", legacy: INVALID };
    pub(super) const LOOP: Self =
        Self { nft: "Too many links", legacy: "Too many levels of symbolic links" };
    pub(super) const CALLED: Self =
        Self { nft: "Device or resource busy", legacy: "Too many links" };
    pub(super) const FULL: Self =
        Self { nft: "Device or resource busy", legacy: "Directory not empty" };
}

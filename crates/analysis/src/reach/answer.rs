//! The answer to a question.

use super::around::{self, Toward};
use super::ends::{End, Written};
use super::matrix::{Between, Matrix, Open, Shown};
use super::service::Service;
use super::services::{Alike, SERVICES_MAX, joined, told_apart};
use super::sets::{Opener, Reach};
use super::spoof::Spoofing;
use crate::algebra::Exhausted;
use crate::algebra::rows::{Values, complement, tidy};
use crate::algebra::space::Group;
use keepstate_packet::Family;
use serde::Serialize;

/// What is asked of a rule set.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who.
    pub from: Written,
    /// To whom.
    pub to: Written,
    /// Of these services each its matrix.
    pub services: Vec<Service>,
    /// All services, those that are treated alike a row.
    pub all: bool,
}

/// The answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answer {
    /// `ipv4`, `ipv6`.
    pub family: &'static str,
    /// Who was asked about.
    pub from: String,
    /// To whom.
    pub to: String,
    /// A matrix a service.
    pub matrices: Vec<Matrix>,
    /// The services that rules tell apart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Alike>,
    /// Services of which nothing is told: they are too many, or their packet sets too large.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<String>,
    /// Interface by interface, where it was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spoofing: Vec<Spoofing>,
    /// Asked of packets that pass through the host, for none of its addresses is known.
    pub is_through: bool,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The sets are too large.
    Exhausted,
    /// The question does not fit.
    Question(String),
}

impl From<Exhausted> for Unanswered {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exhausted => Exhausted.fmt(f),
            Self::Question(text) => f.write_str(text),
        }
    }
}

impl Answer {
    /// The whole in one word: the surest that can be opened; of a question about spoofing, the surest leak.
    #[must_use]
    pub fn open(&self) -> Open {
        let matrices = self.matrices.iter().map(Matrix::open);
        let services = self.services.iter().map(|row| row.open);
        let leaks = self.spoofing.iter().map(|one| one.open);
        matrices.chain(services).chain(leaks).max().unwrap_or(Open::No)
    }
}

/// Whether neither end is told.
fn is_open(question: &Question) -> bool {
    (&question.from.end, &question.to.end) == (&End::Any, &End::Any)
}

fn without(values: &Values, others: &Values, family: Family) -> Values {
    let last = around::last(family);
    let mut rest = complement(values, last);
    rest.extend(others.iter().copied());
    tidy(&mut rest);
    complement(&rest, last)
}

impl Reach<'_> {
    /// Answers a question.
    ///
    /// # Errors
    /// When the question does not fit, or is too large.
    pub fn answer(&self, question: &Question, shown: &Shown<'_>) -> Result<Answer, Unanswered> {
        let mut answer = self.begin(question);
        for service in &question.services {
            let between = self.ends(question, Some(service))?;
            answer.matrices.push(self.matrix(service, &between, shown)?);
        }
        if question.all {
            let services = told_apart(self.ruleset);
            let (asked, rest) = services.split_at(services.len().min(SERVICES_MAX));
            answer.services = self.alike(asked, &self.ends(question, None)?)?;
            answer.untold = joined(rest);
        }
        Ok(answer)
    }

    /// An answer that tells nothing yet.
    pub(super) fn begin(&self, question: &Question) -> Answer {
        Answer {
            family: if self.family() == Family::V4 { "ipv4" } else { "ipv6" },
            from: question.from.text.clone(),
            to: question.to.text.clone(),
            is_through: self.around.local.is_none()
                && self.around.toward == Toward::Beyond
                && self.opener != Opener::Host,
            assumptions: self.assumptions(),
            ..Answer::default()
        }
    }

    /// The addresses of both ends.
    pub(super) fn ends(
        &self,
        question: &Question,
        service: Option<&Service>,
    ) -> Result<Between, Unanswered> {
        let mut between = self.everywhere();
        between.is_square = is_open(question);
        for (written, is_source) in [(&question.from, true), (&question.to, false)] {
            let mut values = written.addresses(&self.around, self.family());
            if let (End::Any | End::Internet, true, Some(own)) =
                (&written.end, is_source && !is_open(question), &self.around.local)
            {
                // What comes from outside with an address of the host is none of another's.
                values = without(&values, own, self.family());
            }
            match &written.end {
                End::Interface(name) => {
                    let side = if is_source { Group::In } else { Group::Out };
                    let place = self.space.interface_number(name);
                    let here = self.space.all_of(side, &[(place, place)])?;
                    between.among = between.among.and(&here)?;
                }
                End::Class(name) => {
                    let Some(service) = service else {
                        let text =
                            format!("class:{name}: classes are those of one service (--service)");
                        return Err(Unanswered::Question(text));
                    };
                    let everywhere = self.everywhere();
                    let pairs = self.pairs(service, &self.between(&everywhere)?)?;
                    let (from, to, _) = self.classes(&pairs, &everywhere)?;
                    let classes = if is_source { from } else { to };
                    let found = classes.into_iter().find(|class| class.name == *name);
                    let found = found.ok_or_else(|| {
                        Unanswered::Question(format!("class:{name}: {service} has no such class"))
                    })?;
                    values = found.values;
                }
                End::Any | End::Internet | End::Host | End::Addresses(_) => {}
            }
            *(if is_source { &mut between.from } else { &mut between.to }) = values;
        }
        Ok(between)
    }

    /// What every answer takes for granted.
    #[must_use]
    pub fn assumptions(&self) -> Vec<String> {
        let around = &self.around;
        let mut all = vec![String::from(
            "asked of the first packet of a connection: state NEW, of TCP a SYN, no fragment, without a mark; its answers \
             need rules of their own",
        )];
        all.push(match (self.opener, &around.local, around.toward) {
            (Opener::Host, ..) => "the host itself opens: OUTPUT and POSTROUTING".into(),
            (_, Some(_), _) => "packets to the host's own addresses go through INPUT, all others through FORWARD, by \
                                what PREROUTING has made of them"
                .into(),
            (_, None, Toward::Host) => "the destination is an address of the host, whichever it has (--local, --host): \
                                        INPUT, or FORWARD where PREROUTING sends it elsewhere"
                .into(),
            (_, None, Toward::Beyond) => "no destination is an address of the host (--local, --host and `host` say \
                                          otherwise): FORWARD"
                .into(),
        });
        all.push(match (around.knows_interfaces(), around.is_complete) {
            (false, _) => "which interface leads where is not known (--host, --interface): open by some means open".into(),
            (true, true) => "packets come in by the interface that leads back to their source, and leave by the one that \
                             leads to their destination"
                .into(),
            (true, false) => "packets of the interfaces that are known have addresses that belong there".into(),
        });
        all.push(match around.source_ports {
            Some((low, high)) if low == high => format!("clients take the port {low}"),
            Some((low, high)) => format!("clients take a port from {low} to {high}"),
            None => {
                "open means from any port that clients take, 1024 and up; possible also from others"
                    .into()
            }
        });
        if !around.martians {
            all.push("no packet comes from a loopback, multicast or unspecified address: routing drops those".into());
        }
        all
    }
}

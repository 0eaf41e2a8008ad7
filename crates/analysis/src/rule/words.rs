//! A rule as words under their options: what the explanation and the search for a witness read.
//! The words are those of the parser's own iptables-save form wherever the parser knows the rule.

use keepstate_packet::Family;

/// A rule, word by word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleWords {
    /// `iptables` or `ip6tables`.
    pub family: Family,
    /// `filter`, ...
    pub table: String,
    /// `INPUT`, ...
    pub chain: String,
    /// `-s`, `-d`, `-i`, `-o`, `-p`, `-f`.
    pub header: Vec<OptionWords>,
    /// `-m`, in order.
    pub matches: Vec<MatchWords>,
    /// `-j` or `-g`.
    pub target: Option<TargetWords>,
}

/// An option with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionWords {
    /// Behind `!`.
    pub not: bool,
    /// With its dashes.
    pub name: String,
    /// Values.
    pub values: Vec<String>,
}

/// A match with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchWords {
    /// As after `-m`; the protocol when an option brought it in.
    pub name: String,
    /// Options.
    pub options: Vec<OptionWords>,
}

/// A target with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetWords {
    /// As after `-j`.
    pub name: String,
    /// `-g`.
    pub goto: bool,
    /// Options.
    pub options: Vec<OptionWords>,
}

/// The states a packet can be in, as `--ctstate` names them.
pub const STATES: [&str; 5] = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"];

impl OptionWords {
    /// The first value.
    #[must_use]
    pub fn value(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }

    /// As in a rule file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut words = Vec::new();
        if self.not {
            words.push(String::from("!"));
        }
        words.push(self.name.clone());
        words.extend(self.values.iter().cloned());
        keepstate_ruleset::syntax::iptables_command::join(&words)
    }
}

impl RuleWords {
    /// Groups the words of a rule, `-A CHAIN` not among them.
    #[must_use]
    pub fn read(family: Family, table: &str, chain: &str, words: &[String]) -> Self {
        let mut rule = Self {
            family,
            table: table.to_string(),
            chain: chain.to_string(),
            header: Vec::new(),
            matches: Vec::new(),
            target: None,
        };
        let mut rest = words.iter().peekable();
        let mut not = false;
        while let Some(word) = rest.next() {
            match word.as_str() {
                "!" => {
                    not = true;
                    continue;
                }
                "-m" => {
                    let name = rest.next().cloned().unwrap_or_default();
                    rule.matches.push(MatchWords { name, options: Vec::new() });
                }
                "-j" | "-g" => {
                    let name = rest.next().cloned().unwrap_or_default();
                    let goto = word == "-g";
                    rule.target = Some(TargetWords { name, goto, options: Vec::new() });
                }
                _ => {
                    let mut values = Vec::new();
                    let always = matches!(word.as_str(), "--comment" | "--log-prefix");
                    while let Some(value) =
                        rest.next_if(|next| always && values.is_empty() || !is_option(next))
                    {
                        values.push(value.clone());
                    }
                    rule.place(OptionWords { not, name: word.clone(), values });
                }
            }
            not = false;
        }
        rule
    }

    /// Puts an option where it belongs.
    fn place(&mut self, option: OptionWords) {
        if matches!(option.name.as_str(), "-s" | "-d" | "-i" | "-o" | "-p" | "-f") {
            self.header.push(option);
        } else if let Some(target) = &mut self.target {
            target.options.push(option);
        } else if let Some(last) = self.matches.last_mut() {
            last.options.push(option);
        } else {
            let name = self.header("-p").map_or_else(String::new, |p| p.value().to_string());
            self.matches.push(MatchWords { name, options: vec![option] });
        }
    }

    /// An option of the header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&OptionWords> {
        self.header.iter().find(|option| option.name == name)
    }

    /// Options of these names, of any match.
    pub fn options<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a OptionWords> {
        self.matches
            .iter()
            .flat_map(|m| &m.options)
            .filter(|option| names.contains(&option.name.as_str()))
    }

    /// Whether a match of this name is there.
    #[must_use]
    pub fn has_match(&self, name: &str) -> bool {
        self.matches.iter().any(|m| m.name == name)
    }

    /// The name of the target or chain; empty without one.
    #[must_use]
    pub fn target_name(&self) -> &str {
        self.target.as_ref().map_or("", |target| target.name.as_str())
    }

    /// An option of the target.
    #[must_use]
    pub fn target_option(&self, name: &str) -> Option<&OptionWords> {
        self.target.as_ref()?.options.iter().find(|option| option.name == name)
    }

    /// The protocol of `-p`, when it is one and not all but one.
    #[must_use]
    pub fn protocol(&self) -> Option<u8> {
        let option = self.header("-p").filter(|option| !option.not)?;
        crate::prose::protocol::number(option.value()).filter(|number| *number != 0)
    }

    /// Whether a packet of this protocol can match `-p`.
    #[must_use]
    pub fn admits_protocol(&self, protocol: u8) -> bool {
        let Some(option) = self.header("-p") else { return true };
        match crate::prose::protocol::number(option.value()) {
            None | Some(0) => true,
            Some(number) => (number == protocol) != option.not,
        }
    }

    /// The states that `--state` and `--ctstate` let through, in the order of [`STATES`]; `None`
    /// when the rule does not ask.
    #[must_use]
    pub fn states(&self) -> Option<Vec<&'static str>> {
        let mut found: Option<Vec<&'static str>> = None;
        for option in self.options(&["--state", "--ctstate"]) {
            let named: Vec<&str> = option.value().split(',').collect();
            let through = STATES.into_iter().filter(|state| named.contains(state) != option.not);
            let through: Vec<&'static str> = through.collect();
            found = Some(match found {
                None => through,
                Some(before) => through.into_iter().filter(|s| before.contains(s)).collect(),
            });
        }
        found
    }

    /// Whether the rule asks for this state by name.
    #[must_use]
    pub fn names_state(&self, state: &str) -> bool {
        self.states().is_some_and(|states| states.contains(&state))
    }

    /// The rule in iptables-save form.
    #[must_use]
    pub fn save(&self) -> String {
        let mut out = format!("-A {}", self.chain);
        for option in &self.header {
            out.push(' ');
            out.push_str(&option.text());
        }
        for m in &self.matches {
            out.push_str(" -m ");
            out.push_str(&m.name);
            for option in &m.options {
                out.push(' ');
                out.push_str(&option.text());
            }
        }
        if let Some(target) = &self.target {
            out.push_str(if target.goto { " -g " } else { " -j " });
            out.push_str(&target.name);
            for option in &target.options {
                out.push(' ');
                out.push_str(&option.text());
            }
        }
        out
    }
}

fn is_option(word: &str) -> bool {
    word == "!" || (word.starts_with('-') && word.len() > 1)
}

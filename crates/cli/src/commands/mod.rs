//! The verbs, one a file. A new one is a file here and two lines below.

mod check;
pub(crate) mod conntrack;
mod convert;
mod diff;
mod explain;
pub(crate) mod ipset;
pub(crate) mod iptables;
mod lint;
pub(crate) mod nfacct;
mod reach;
mod replay;
mod run;
mod test;
mod trace;
mod verify;
mod why;

use crate::{exit::Exit, terminal::Terminal};

/// All verbs, in the order of the help.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Read rule sets and report every error with its place; nothing else
    Check(check::Arguments),
    /// Run captures through the filter: verdicts, connection table, output capture
    Replay(replay::Arguments),
    /// Say exactly what a rule, a rule set, a connection line or a log line means
    Explain(explain::Arguments),
    /// Why a rule is needed: what would change without it
    Why(why::Arguments),
    /// What changes between two rule sets, exactly: which packets and states fare differently
    Diff(diff::Arguments),
    /// Look rule sets over: faults and dangers, each with evidence and, where there is one, a proven fix
    Lint(lint::Arguments),
    /// Tell the way of each packet, step by step, with reasons
    Trace(trace::Arguments),
    /// Tell who can open connections to what, by address classes
    Reach(reach::Arguments),
    /// Run tests of rule sets: what is to become of packets and conversations
    Test(test::Arguments),
    /// Print rule files and scripts of iptables commands in another form
    Convert(convert::Arguments),
    /// Look at and change a connection table, with the verbs and options of conntrack(8)
    #[command(disable_help_flag = true)]
    Conntrack(conntrack::Arguments),
    /// Be iptables, on a rule store of its own; likewise ip6tables and the -nft and -legacy names
    #[command(disable_help_flag = true)]
    Iptables(iptables::Arguments),
    /// Be iptables-save on that store; likewise ip6tables-save
    #[command(disable_help_flag = true)]
    IptablesSave(iptables::Arguments),
    /// Be iptables-restore on that store; likewise ip6tables-restore
    #[command(disable_help_flag = true)]
    IptablesRestore(iptables::Arguments),
    /// Be iptables-xml
    #[command(disable_help_flag = true)]
    IptablesXml(iptables::Arguments),
    /// Be arptables on that store
    #[command(disable_help_flag = true)]
    Arptables(iptables::Arguments),
    /// Be arptables-save on that store
    #[command(disable_help_flag = true)]
    ArptablesSave(iptables::Arguments),
    /// Be arptables-restore on that store
    #[command(disable_help_flag = true)]
    ArptablesRestore(iptables::Arguments),
    /// Be ebtables on that store
    #[command(disable_help_flag = true)]
    Ebtables(iptables::Arguments),
    /// Be ebtables-save on that store
    #[command(disable_help_flag = true)]
    EbtablesSave(iptables::Arguments),
    /// Be ebtables-restore on that store
    #[command(disable_help_flag = true)]
    EbtablesRestore(iptables::Arguments),
    /// Be ipset on that store
    #[command(disable_help_flag = true)]
    Ipset(ipset::Arguments),
    /// Be nfacct on that store
    #[command(disable_help_flag = true)]
    Nfacct(nfacct::Arguments),
    /// Push the same packets through this machine's own kernel, difference by difference
    Verify(verify::Arguments),
    /// Filter live traffic
    Run(run::Arguments),
}

impl Command {
    /// Runs the verb.
    pub(crate) fn run(&self, terminal: &Terminal) -> Exit {
        match self {
            Self::Check(arguments) => check::run(arguments, terminal),
            Self::Replay(arguments) => replay::run(arguments, terminal),
            Self::Explain(arguments) => explain::run(arguments, terminal),
            Self::Why(arguments) => why::run(arguments, terminal),
            Self::Diff(arguments) => diff::run(arguments, terminal),
            Self::Lint(arguments) => lint::run(arguments, terminal),
            Self::Trace(arguments) => trace::run(arguments, terminal),
            Self::Reach(arguments) => reach::run(arguments, terminal),
            Self::Test(arguments) => test::run(arguments, terminal),
            Self::Convert(arguments) => convert::run(arguments, terminal),
            Self::Conntrack(arguments) => conntrack::verb(&arguments.words, terminal),
            Self::Iptables(arguments) => iptables::verb("iptables", arguments, terminal),
            Self::IptablesSave(arguments) => iptables::verb("iptables-save", arguments, terminal),
            Self::IptablesRestore(arguments) => {
                iptables::verb("iptables-restore", arguments, terminal)
            }
            Self::IptablesXml(arguments) => iptables::verb("iptables-xml", arguments, terminal),
            Self::Arptables(arguments) => iptables::verb("arptables", arguments, terminal),
            Self::ArptablesSave(arguments) => iptables::verb("arptables-save", arguments, terminal),
            Self::ArptablesRestore(arguments) => {
                iptables::verb("arptables-restore", arguments, terminal)
            }
            Self::Ebtables(arguments) => iptables::verb("ebtables", arguments, terminal),
            Self::EbtablesSave(arguments) => iptables::verb("ebtables-save", arguments, terminal),
            Self::EbtablesRestore(arguments) => {
                iptables::verb("ebtables-restore", arguments, terminal)
            }
            Self::Ipset(arguments) => ipset::verb(arguments, terminal),
            Self::Nfacct(arguments) => nfacct::verb(arguments, terminal),
            Self::Verify(arguments) => verify::run(arguments, terminal),
            Self::Run(arguments) => run::run(arguments, terminal),
        }
    }
}

//! The codes, in one place, and a page of text for each.

use super::Code;

/// A code with its title and page.
#[derive(Debug)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// One line.
    pub title: &'static str,
    /// What it means and what to do.
    pub text: &'static str,
    /// The smallest file that is refused for it; empty where that would be a large one.
    pub wrong: &'static str,
    /// The same, as it should be.
    pub right: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $title:literal, $text:literal,
        wrong: $wrong:literal, right: $right:literal;)*) => {
        $(#[doc = $title] pub const $name: Code = Code($number);)*
        /// Every code, in order.
        pub const ALL: &[Entry] =
            &[$(Entry { code: $name, title: $title, text: $text, wrong: $wrong, right: $right }),*];
    };
}

codes! {
    OUTSIDE_TABLE = 101, "a line stands outside of any table",
"An iptables-save file is a row of tables. Each begins with `*NAME` and ends with `COMMIT`; between
them stand the chains (`:NAME POLICY [packets:bytes]`) and the rules (`-A CHAIN ...`). This line is
outside of such a section, so iptables-restore would refuse the whole file.

Put the line between `*filter` (or the table it belongs to) and `COMMIT`. If the file is a shell
script that calls iptables, load it once and save it: `iptables-save > FILE`.",
        wrong: "-A INPUT -j ACCEPT\n",
        right: "*filter\n-A INPUT -j ACCEPT\nCOMMIT\n";
    COMMIT_MISSING = 102, "a table is not ended by COMMIT",
"iptables-restore puts a table into force at its `COMMIT` line and not before: a file cut short
changes nothing. Add a line `COMMIT`, with nothing before or after the word, at the end of the table.",
        wrong: "*filter\n-A INPUT -j ACCEPT\n",
        right: "*filter\n-A INPUT -j ACCEPT\nCOMMIT\n";
    UNKNOWN_TABLE = 103, "there is no such table",
"The tables of iptables are raw, mangle, nat, filter and security. Each stands at fixed hooks:

  raw       PREROUTING OUTPUT                               before connection tracking
  mangle    PREROUTING INPUT FORWARD OUTPUT POSTROUTING
  nat       PREROUTING INPUT OUTPUT POSTROUTING             first packet of a connection only
  filter    INPUT FORWARD OUTPUT
  security  INPUT FORWARD OUTPUT                            after filter",
        wrong: "*fliter\nCOMMIT\n",
        right: "*filter\nCOMMIT\n";
    BAD_CHAIN_LINE = 105, "a chain line cannot be read",
"A chain is declared as `:NAME POLICY [packets:bytes]`. The policy of a built-in chain is ACCEPT or
DROP (`-` leaves it as it is); that of a user chain is `-`, since a user chain has none: a packet
that reaches its end goes back to where it came from. The name must not begin with `-` or `!`, must
not be that of a target, and has at most 28 characters.",
        wrong: "*filter\n:INPUT REJECT [0:0]\nCOMMIT\n",
        right: "*filter\n:INPUT DROP [0:0]\nCOMMIT\n";
    BAD_COUNTERS = 106, "counters cannot be read",
"Counters are written `[packets:bytes]`, both decimal, before a rule or after a policy. In a rule the
option is `--set-counters PACKETS BYTES` (short `-c`).",
        wrong: "*filter\n[3-180] -A INPUT -j ACCEPT\nCOMMIT\n",
        right: "*filter\n[3:180] -A INPUT -j ACCEPT\nCOMMIT\n";
    TOO_LONG = 107, "a line or a word is too long",
"iptables-restore reads lines of at most 10239 bytes, words of at most 1023 bytes and at most 250
words a line; whatever is longer it refuses or cuts in two. Break a long list of addresses or ports
into several rules.",
        wrong: "",
        right: "";
    LIMIT_EXCEEDED = 108, "a limit of the reader is exceeded",
"Every amount is bounded so that no file can exhaust memory or time: the size of a file, the number
of its rules and of its chains. The text names the limit and its value. A rule set this large is
better served by a set of addresses than by a rule for each.",
        wrong: "",
        right: "";
    TABLE_OPTION = 109, "-t cannot be used in a file",
"In an iptables-save file the table is named by the `*NAME` line above, and iptables-restore refuses
an option that names another one. Move the rule into the section of that table.",
        wrong: "*filter\n-t filter -A INPUT -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -j ACCEPT\nCOMMIT\n";
    OPEN_QUOTE = 110, "a quote is not closed",
"A double quote opens a word that may hold blanks; it ends at the next double quote that has no
backslash before it. iptables-restore would take the rest of the line, its end included, into the word,
which cannot be read back from a save file.",
        wrong: "*filter\n-A INPUT -m comment --comment \"from the office -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -m comment --comment \"from the office\" -j ACCEPT\nCOMMIT\n";
    BAD_BYTE = 111, "a byte that cannot stand in a rule file",
"Rule files are UTF-8 text whose lines end in a line feed. A carriage return at the end of each line
comes from an editor of another system and would become part of the last word of each line
(`tr -d '\\r' < FILE > NEW` takes it away); a NUL byte or bytes that are not UTF-8 mean that the file is
something else.",
        wrong: "*filter\n-A INPUT -j ACCEPT\r\nCOMMIT\n",
        right: "*filter\n-A INPUT -j ACCEPT\nCOMMIT\n";
    SCRIPT_UNTOLD = 112, "what a script does here cannot be told",
"A script of iptables commands is read without being run: assignments, loops over words, functions and
conditions on known values are followed. What hangs on the machine itself (the output of a command, a file
that is there or not, a variable from outside) cannot be told, and commands that hang on it are not
carried out. Run the script where it belongs and read what iptables-save prints there, or write
the value into a copy.",
        wrong: "",
        right: "";
    COMMAND_REFUSED = 113, "a command that iptables refuses",
"The command is well formed, but the tables are not such that it can be carried out: a chain is not there
or is there already, a rule to be deleted is not found, a number is too large. iptables prints the same
and the script goes on without it.",
        wrong: "",
        right: "";
    UNKNOWN_OPTION = 201, "there is no such option here",
"Options belong to the rule itself (`-s -d -i -o -p -f -j -g -m`), to a match named before by `-m`, or
to the target named before by `-j`. `-p tcp`, `-p udp`, `-p icmp` and their like bring in the match of
that protocol. An option stands after the word that brings it in.

A long option may be shortened as far as it stays unique.",
        wrong: "*filter\n-A INPUT --dport 22 -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n";
    AMBIGUOUS_OPTION = 202, "the shortened option fits more than one",
"A long option may be shortened as far as it stays unique among the options known at this place. Write
it in full.",
        wrong: "*filter\n-A INPUT -m conntrack --ctorig 10.0.0.1 -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -m conntrack --ctorigsrc 10.0.0.1 -j ACCEPT\nCOMMIT\n";
    VALUE_MISSING = 203, "an option lacks its value",
"This option takes a value as the next word, or as `--option=value`. At the end of a line the value is
often lost with a line break or an unset shell variable.",
        wrong: "*filter\n-A INPUT -j ACCEPT -p\nCOMMIT\n",
        right: "*filter\n-A INPUT -p tcp -j ACCEPT\nCOMMIT\n";
    OPTION_CONFLICT = 204, "options that exclude each other, or one given twice",
"Each option of a match can be given once, and some exclude each other. To ask for two values, name
the match twice (`-m mark --mark 1 -m mark ! --mark 3`), or use an option that takes a list.",
        wrong: "*filter\n-A INPUT -s 10.0.0.1 -s 10.0.0.2 -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -s 10.0.0.1,10.0.0.2 -j ACCEPT\nCOMMIT\n";
    NOT_INVERTIBLE = 205, "`!` where it cannot stand",
"`!` stands before the option that it inverts: `! -s 10.0.0.1`, `! --dport 80`. The old place, between
the option and its value (`--dport ! 80`), is refused by iptables since 1.8. Some options cannot be
inverted at all; a target's options never can, nor can a list of addresses.",
        wrong: "*filter\n-A INPUT -p tcp --dport ! 22 -j DROP\nCOMMIT\n",
        right: "*filter\n-A INPUT -p tcp ! --dport 22 -j DROP\nCOMMIT\n";
    STRAY_WORD = 206, "a word belongs to no option",
"The word is neither an option nor the value of one. Often a value with a blank in it has lost its
quotes: iptables-save files know double quotes only, and a closing quote ends the word. Within double
quotes a backslash takes the next character as it is.",
        wrong: "*filter\n-A INPUT -m comment --comment from the office -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -m comment --comment \"from the office\" -j ACCEPT\nCOMMIT\n";
    NO_COMMAND = 207, "the line has no command",
"A line of rules has a command: `-A CHAIN` (append) mostly, or any of those that iptables-restore takes, which
are carried out in their order on empty tables.",
        wrong: "*filter\n-s 10.0.0.1 -j DROP\nCOMMIT\n",
        right: "*filter\n-A INPUT -j ACCEPT\nCOMMIT\n";
    OPTION_MISSING = 208, "a match or target lacks an option that it needs",
"A match without its option would have nothing to compare, and a target such as MARK nothing to do, so\niptables refuses the rule. Add the option, or take the match or target out.",
        wrong: "*filter\n-A INPUT -m mark -j DROP\nCOMMIT\n",
        right: "*filter\n-A INPUT -m mark --mark 0x1 -j DROP\nCOMMIT\n";
    UNKNOWN_MATCH = 301, "there is no such match",
"No match of netfilter has this name. Matches are written in lower case (`-m limit`), targets in upper
case (`-j LOG`).",
        wrong: "*filter\n-A INPUT -m contrack --ctstate NEW -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n";
    MATCH_UNSUPPORTED = 302, "the match is not supported yet",
"netfilter has this match, keepstate does not have it yet. A rule set is never run with a part of it
missing: a rule without one of its matches would match more than was meant. Every place where it is
used is named, so that the amount of work is known.",
        wrong: "*filter\n-A INPUT -m geoip --src-cc CN -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -m limit --limit 3/minute -j ACCEPT\nCOMMIT\n";
    UNKNOWN_TARGET = 303, "there is no such chain or target",
"`-j` names a chain of the same table, one of ACCEPT, DROP and RETURN, or a target such as LOG or
REJECT. `-g` names a chain. A chain has to be declared with a line `:NAME - [0:0]`.",
        wrong: "*filter\n-A INPUT -j ssh\nCOMMIT\n",
        right: "*filter\n:ssh - [0:0]\n-A INPUT -j ssh\nCOMMIT\n";
    TARGET_UNSUPPORTED = 304, "the target is not supported yet",
"netfilter has this target, keepstate does not have it yet. A rule set is never run with a part of it
missing. Every place where it is used is named.",
        wrong: "*filter\n-A INPUT -j ULOG --ulog-nlgroup 1\nCOMMIT\n",
        right: "*filter\n-A INPUT -j DROP\nCOMMIT\n";
    WRONG_FAMILY = 305, "an extension of the other address family",
"Some matches and targets exist for one family only: `icmp` and `ttl` for IPv4, `icmp6` and `hl` for
IPv6. An ip6tables-save file is told by its first comment, or by `-6`.",
        wrong: "*filter\n-A INPUT -m hl --hl-lt 5 -j DROP\nCOMMIT\n",
        right: "*filter\n-A INPUT -m ttl --ttl-lt 5 -j DROP\nCOMMIT\n";
    BAD_VALUE = 401, "a value cannot be read",
"The value does not have the form that the option takes, or is out of its range. Numbers are decimal,
octal behind `0`, hexadecimal behind `0x`.",
        wrong: "*filter\n-A INPUT -m mark --mark one -j DROP\nCOMMIT\n",
        right: "*filter\n-A INPUT -m mark --mark 1 -j DROP\nCOMMIT\n";
    BAD_ADDRESS = 402, "an address cannot be read",
"An address is written as an IPv4 or IPv6 address, by itself or with `/LENGTH` or `/MASK`, and must be
of the family of the file. Host names are not looked up: what a rule set means must not depend on the
name server of the day.",
        wrong: "*filter\n-A INPUT -s gateway.example -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -s 192.0.2.1 -j ACCEPT\nCOMMIT\n";
    UNKNOWN_PROTOCOL = 403, "there is no such protocol",
"A protocol is a number from 0 to 255 or a name of the assigned numbers, such as tcp, udp, icmp,
ipv6-icmp, esp, gre, sctp. `all` is the same as no `-p`; a rule for `! -p all` would never match.",
        wrong: "*filter\n-A INPUT -p tpc -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -p tcp -j ACCEPT\nCOMMIT\n";
    UNKNOWN_PORT = 404, "there is no such port",
"A port is a number from 0 to 65535, or the name of a service of the rule's protocol, such as ssh or
domain. A range is written LOW:HIGH.",
        wrong: "*filter\n-A INPUT -p tcp --dport htpp -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -p tcp --dport http -j ACCEPT\nCOMMIT\n";
    BAD_INTERFACE = 405, "an interface name cannot be",
"Linux interface names have 1 to 15 bytes and no blanks. A `+` at the end stands for any continuation: `ppp+` is every
interface whose name begins with ppp, `+` alone is every interface.",
        wrong: "*filter\n-A INPUT -i enp0s31f6.4094.17 -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -i enp0s31f6+ -j ACCEPT\nCOMMIT\n";
    UNKNOWN_NAME = 406, "the option has no such word",
"The option takes words of a fixed list. The text names the nearest one, or all.",
        wrong: "*filter\n-A INPUT -m conntrack --ctstate ESTABILSHED -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n";
    RANGE_BACKWARDS = 407, "a range begins above its end",
"Such a range holds nothing and the rule would never match. Some versions of iptables let it pass; it is
always a mistake.",
        wrong: "*filter\n-A INPUT -p tcp --dport 1023:0 -j DROP\nCOMMIT\n",
        right: "*filter\n-A INPUT -p tcp --dport 0:1023 -j DROP\nCOMMIT\n";
    PROTOCOL_NEEDED = 501, "a match or target needs a protocol",
"Ports, flags and types are fields of one protocol's header, so the rule must say which protocol it is
about, with `-p` and without `!`. iptables lets some of these rules pass and leaves it to the kernel to
refuse them with no more than \"Invalid argument\".",
        wrong: "*filter\n-A INPUT -j REJECT --reject-with tcp-reset\nCOMMIT\n",
        right: "*filter\n-A INPUT -p tcp -j REJECT --reject-with tcp-reset\nCOMMIT\n";
    WRONG_TABLE = 502, "the target cannot stand in this table",
"The kernel allows some targets in one table only: CT and NOTRACK in raw (tracking must not have
happened yet), REJECT in filter, TTL and HL in mangle. iptables reports it as \"Invalid argument\".",
        wrong: "*mangle\n-A FORWARD -j REJECT\nCOMMIT\n",
        right: "*filter\n-A FORWARD -j REJECT\nCOMMIT\n";
    WRONG_HOOK = 503, "the rule can be reached from a hook where it cannot be",
"Some targets and matches work at some hooks only, such as REJECT at INPUT, FORWARD and OUTPUT. A user
chain inherits the hooks from which it can be reached by jumps, so the rule is judged by all of them.",
        wrong: "*filter\n-A OUTPUT -m mac --mac-source 02:00:00:00:00:01 -j DROP\nCOMMIT\n",
        right: "*filter\n-A INPUT -m mac --mac-source 02:00:00:00:00:01 -j DROP\nCOMMIT\n";
    LOOP = 504, "chains that jump in a circle",
"A packet in such a circle would never come out, so the kernel refuses a table in which one can be
reached from a built-in chain. The labels show the jumps that close it.",
        wrong: "*filter\n:a - [0:0]\n:b - [0:0]\n-A INPUT -j a\n-A a -j b\n-A b -j a\nCOMMIT\n",
        right: "*filter\n:a - [0:0]\n:b - [0:0]\n-A INPUT -j a\n-A a -j b\n-A b -j RETURN\nCOMMIT\n";
    TOO_DEEP = 505, "jumps that are nested too deeply",
"A jump (`-j CHAIN`) waits until the chain called comes back, and that one may call others. How many can
wait at a time is bounded at 256, so that a packet's work is bounded. A goto (`-g CHAIN`) does not wait
and does not count. Chains nested this deeply are made by a generator; it should put alternatives side by
side instead of inside each other.",
        wrong: "",
        right: "";
    INTERFACE_DIRECTION = 506, "an interface that is not known at this hook",
"`-i` has no meaning in OUTPUT and POSTROUTING, `-o` none in INPUT and PREROUTING: a packet that is on
its way in has no way out yet. iptables refuses these options in the built-in chains.",
        wrong: "*filter\n-A INPUT -o eth0 -j ACCEPT\nCOMMIT\n",
        right: "*filter\n-A INPUT -i eth0 -j ACCEPT\nCOMMIT\n";
    JUMP_TO_BUILTIN = 507, "a jump to a built-in chain",
"INPUT, FORWARD and their like are entered from the hooks only. Put the shared rules into a user chain
and jump there from both.",
        wrong: "*filter\n-A FORWARD -j INPUT\nCOMMIT\n",
        right: "*filter\n:both - [0:0]\n-A INPUT -j both\n-A FORWARD -j both\nCOMMIT\n";
    KERNEL_REFUSES = 508, "a combination that the kernel refuses",
"iptables would hand this rule to the kernel, which answers \"Invalid argument\" or \"Numerical result out
of range\" without saying why. The text says why.",
        wrong: "*mangle\n-A FORWARD -j CONNMARK --set-mark 1 --left-shift-mark 32\nCOMMIT\n",
        right: "*mangle\n-A FORWARD -j CONNMARK --set-mark 1 --left-shift-mark 3\nCOMMIT\n";
    TARGET_NOT_RUN = 509, "rules with this target cannot be run yet",
"The rule is read, checked, explained and printed, but what its target would send is not made yet. A rule
set is never run with a part of it missing, so packets are not put through this file.

To try the rest of it, take the rules with this target out of a copy.",
        wrong: "",
        right: "";
    LISTING_ROW = 601, "a row of a listing cannot be read",
"What `iptables -L` prints is made for people. Each match and target prints of itself as it likes, in
words that have changed over the years, and a page of the web may have lost columns. A row is taken only
if every word of it is understood: a rule without one of its matches would match more than was meant.

`iptables-save`, or `iptables -S`, prints the same rules so that they can be read back.",
        wrong: "",
        right: "";
    LISTING_NAME = 602, "a name stands in a listing where an address was",
"Without `-n`, `iptables -L` asks the name server for the names of addresses and prints those. Which
address stands behind a name may be another one today, and a network is not told by it: it is not looked
up. List again with `-n`, or put the address in place of the name.",
        wrong: "",
        right: "";
    LISTING_OPEN = 603, "a listing leaves something open",
"A listing says less than a rule file: of which table it is, without `-v` for which interfaces a rule is,
without `-x` the last digits of counters. What is taken for it is said at its place. The rules are read
nevertheless.",
        wrong: "",
        right: "";
    TEST_FILE = 701, "a test file cannot be read",
"A file for `keepstate test` is Markdown: headings name the tests, blocks and lines such as `Rules: FILE`
say what filter they are for, and a block `packets` below a heading says what happens to it. docs/tests.md
has all of it.",
        wrong: "",
        right: "";
    TEST_LINE = 702, "a line of a test cannot be read",
"A line of a block `packets` is a packet in words (`keepstate trace --help` lists them), a conversation
such as `tcp-client 10.0.0.5 > 192.0.2.1:443`, or `+30s`, which lets time pass.",
        wrong: "",
        right: "";
    EXPECTATION = 703, "what a test expects cannot be read",
"Behind the arrow stands what is expected: a verdict (`accept`, `drop`, `reject`, `local`), a state, what
decided (`by filter:INPUT:3`), how the packet leaves (`from 198.51.100.7:40000`), what is answered. A
conversation `passes`, `breaks at N` or `never begins`. docs/tests.md lists all that can be expected.",
        wrong: "",
        right: "";
}

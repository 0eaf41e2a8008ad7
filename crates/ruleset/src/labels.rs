//! Names of connection labels, as a connlabel.conf gives them: a number and a name on each line.

use alloc::{collections::BTreeMap, string::String};

/// Numbers that may have a name; a connection has fewer labels.
pub const NUMBERS_MAX: u64 = 1024;

/// Names of labels. What a line gives is passed over when its number or its name is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelNames {
    by_number: BTreeMap<u16, String>,
    by_name: BTreeMap<String, u16>,
}

impl LabelNames {
    /// No names.
    pub const NONE: &'static Self = &Self { by_number: BTreeMap::new(), by_name: BTreeMap::new() };

    /// Reads a connlabel.conf as iptables does: what is no number and name is passed over, and so
    /// is a name with anything but ASCII letters, digits, `-` and blanks.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut names = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((number, name)) = number(line) else { continue };
            let name = name.trim_ascii();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b' ');
            let taken = names.by_number.contains_key(&number) || names.by_name.contains_key(name);
            if !name.is_empty() && name.bytes().all(plain) && !taken {
                names.by_number.insert(number, name.into());
                names.by_name.insert(name.into(), number);
            }
        }
        names
    }

    /// The number of a name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u16> {
        self.by_name.get(name).copied()
    }

    /// The name of a number.
    #[must_use]
    pub fn name(&self, number: u16) -> Option<&str> {
        self.by_number.get(&number).map(String::as_str)
    }

    /// The names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

/// The number that a line begins with (decimal, hexadecimal after `0x`, octal after `0`), and what
/// follows.
fn number(line: &str) -> Option<(u16, &str)> {
    let line = line.trim_ascii_start();
    let line = line.strip_prefix('+').unwrap_or(line);
    let (radix, digits) = match line.as_bytes() {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (16, line.get(2..)?),
        [b'0', ..] => (8, line),
        _ => (10, line),
    };
    let end = digits.find(|digit: char| !digit.is_digit(radix)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    let number = u64::from_str_radix(digits, radix).ok().filter(|number| *number < NUMBERS_MAX)?;
    Some((u16::try_from(number).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As iptables 1.8.9 read and printed the same lines.
    #[test]
    fn lines_are_read_as_iptables_reads_them() {
        let names = LabelNames::parse(
            "# comment\n0 eth0-in\n  2 spaced   \n5 five # tail\n6 six seven\n0x7 hex\n007 octal\n\
             -1 negative\n9 nine\n9 again\n10 nine\n11 \n12 \"quoted\"\nabc def\n14 99\n31\n\
             32 tab\tinside\n33x\n34:x\n+35 plus\n\t37 lead\n38 crlf\r\n050 eight\n21 a.b\n20 a_b\n\
             46 -dash\n52 a b  c\n1024 big\n1023 last\n#43 out\n #44 out\n53 end",
        );
        for (number, name) in [
            (0, Some("eth0-in")),
            (2, Some("spaced")),
            (5, None),
            (6, Some("six seven")),
            (7, Some("hex")),
            (9, Some("nine")),
            (10, None),
            (11, None),
            (12, None),
            (14, Some("99")),
            (20, None),
            (21, None),
            (31, None),
            (32, None),
            (33, Some("x")),
            (34, None),
            (35, Some("plus")),
            (37, Some("lead")),
            (38, Some("crlf")),
            (40, Some("eight")),
            (43, None),
            (44, None),
            (46, Some("-dash")),
            (52, Some("a b  c")),
            (53, Some("end")),
            (1023, Some("last")),
            (1024, None),
        ] {
            assert_eq!(names.name(number), name, "{number}");
            assert_eq!(name.and_then(|name| names.number(name)), name.map(|_| number));
        }
        assert_eq!((names.number("again"), names.number("negative")), (None, None));
    }
}

//! The patterns of grep(1), as far as scripts use them: literals, `.`, `*`, `+`, `?`, `^`, `$`,
//! classes in brackets, escapes and alternatives.

/// Whether some part of a line matches. `plain`: nothing in it is special (`-F`).
pub(super) fn finds(pattern: &str, line: &str, plain: bool, extended: bool) -> bool {
    if plain {
        return line.contains(pattern);
    }
    let alternatives = pattern.split(if extended { "|" } else { "\\|" });
    alternatives.into_iter().any(|pattern| {
        let items = items(pattern, extended);
        let line: Vec<char> = line.chars().collect();
        let anchored = items.first() == Some(&Item::Begin);
        let items = if anchored { &items[1..] } else { &items[..] };
        let last = if anchored { 0 } else { line.len() };
        (0..=last).any(|from| matches_here(items, &line[from..]))
    })
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Begin,
    End,
    /// One character, as often as the two numbers allow.
    Repeated(One, usize, usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum One {
    Any,
    This(char),
    /// Spans of characters; whether those are the ones that do not match.
    Of(Vec<(char, char)>, bool),
}

impl One {
    fn is(&self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::This(this) => *this == c,
            Self::Of(spans, not) => spans.iter().any(|(a, b)| (*a..=*b).contains(&c)) != *not,
        }
    }
}

fn items(pattern: &str, extended: bool) -> Vec<Item> {
    let mut items = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let one = match c {
            '^' if items.is_empty() => {
                items.push(Item::Begin);
                continue;
            }
            '$' if chars.peek().is_none() => {
                items.push(Item::End);
                continue;
            }
            '.' => One::Any,
            '[' => class(&mut chars),
            '\\' => One::This(chars.next().unwrap_or('\\')),
            c => One::This(c),
        };
        let times = match chars.peek() {
            Some('*') => Some((0, usize::MAX)),
            Some('+') if extended => Some((1, usize::MAX)),
            Some('?') if extended => Some((0, 1)),
            _ => None,
        };
        if times.is_some() {
            chars.next();
        }
        let (least, most) = times.unwrap_or((1, 1));
        items.push(Item::Repeated(one, least, most));
    }
    items
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> One {
    let not = chars.next_if_eq(&'^').is_some();
    let mut spans = Vec::new();
    while let Some(first) = chars.next() {
        if first == ']' && !spans.is_empty() {
            break;
        }
        let last = match chars.next_if_eq(&'-') {
            Some(_) if chars.peek() != Some(&']') => chars.next().unwrap_or(first),
            Some(_) => {
                spans.push(('-', '-'));
                first
            }
            None => first,
        };
        spans.push((first, last));
    }
    One::Of(spans, not)
}

fn matches_here(items: &[Item], line: &[char]) -> bool {
    match items {
        [] => true,
        [Item::Begin, ..] => false,
        [Item::End, rest @ ..] => line.is_empty() && matches_here(rest, line),
        [Item::Repeated(one, least, most), rest @ ..] => {
            let run = line.iter().take(*most).take_while(|c| one.is(**c)).count();
            (*least..=run).any(|count| matches_here(rest, &line[count..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grep_finds() {
        let line = "-A INPUT -m conntrack --ctstate INVALID -c 4 160 -j DROP";
        for (pattern, extended, found) in [
            ("-c 4 ", false, true),
            ("-c 0 0", false, false),
            ("^-A INPUT.*DROP$", false, true),
            ("^INPUT", false, false),
            ("-c [1-9][0-9]* ", false, true),
            ("-c [^0-9]", false, false),
            ("ESTABLISHED|INVALID", true, true),
            ("CLOSE\\|INVALID", false, true),
            ("1+6?0 -j", true, true),
            ("INVALID.-c", false, true),
            ("INVALID\\.-c", false, false),
        ] {
            assert_eq!(finds(pattern, line, false, extended), found, "{pattern}");
        }
        assert!(finds("a.c", "xa.cx", true, false) && !finds("a.c", "abc", true, false));
        assert!(finds("[ASSURED]", "x [ASSURED]", true, false));
    }
}

//! `dst`: the destination options of an IPv6 packet (RFC 8200, section 4.6). Of several such headers the
//! first one counts; for the rest see [`super::hbh`].

use super::hbh::{Kind, parse_kind};
use crate::extension::{Arguments, Extension, OptionSpec, valued};
use crate::matches::Match;
use alloc::boxed::Box;
use keepstate_packet::{Family, ipv6};

const OPTIONS: &[OptionSpec] = &[valued("dst-len", 0).inverted(), valued("dst-opts", 1)];

const MANUAL: &str = "\
Asks for the destination options of an IPv6 packet.

- `[!] --dst-len LENGTH`: the whole header has this many bytes.
- `--dst-opts TYPE[:LENGTH][,TYPE[:LENGTH]...]`: these options, up to 16, in this order and from the
  first one on; each with this many bytes of data, or with any number. Padding is an option too: 0 is one
  byte, 1 is any number.

Without options every packet with the header matches. The home address of a mobile host (RFC 6275):

    -m dst --dst-opts 201:16 -j ACCEPT
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "dst",
    families: &[Family::V6],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let kind = Kind {
        name: EXTENSION.name,
        protocol: ipv6::DESTINATION_OPTIONS,
        says: "destination options",
    };
    parse_kind(arguments, kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::testing::{answer, check, ipv6};
    use crate::verdict::Answer;

    #[test]
    fn texts() {
        check(
            Family::V6,
            &[
                ("-m dst", "=", " dst", "="),
                ("-m dst ! --dst-len 42", "=", " dst length:!42", "="),
                ("-m dst --dst-opts 1:2,3", "=", " dst opts 1:2,3", "="),
                ("-m dst --dst-opts 1 --dst-not-strict", "", "", ""),
                ("-m dst --dst-opts :2", "", "", ""),
            ],
        );
    }

    /// As Linux answered.
    #[test]
    fn packets() {
        let mut home = alloc::vec![17, 2, 201, 16];
        home.extend([0; 16]);
        home.extend([1, 2, 0, 0]);
        let over = [17, 0, 30, 32, 0, 0, 0, 0];
        let (yes, no) = (Answer::Yes, Answer::No);
        for (rule, wanted) in [
            ("-m dst", [yes, yes]),
            ("-m dst --dst-len 24", [yes, no]),
            ("-m dst --dst-opts 201:16,1:2", [yes, no]),
            ("-m dst --dst-opts 201:16,1:2,1", [no, no]),
            // It reaches beyond the header.
            ("-m dst --dst-opts 30:32", [no, yes]),
            ("-m dst --dst-opts 30,0", [no, no]),
        ] {
            let found = [&home[..], &over].map(|header| answer(rule, &ipv6(60, header)));
            assert_eq!(found, wanted, "{rule}");
        }
        assert_eq!(answer("-m dst", &ipv6(60, &[17, 2, 1, 4, 0, 0, 0, 0])), Answer::Hotdrop);
        // The last byte is a type without a length.
        let cut = ipv6(60, &[17, 0, 1, 3, 0, 0, 0, 30]);
        assert_eq!(answer("-m dst --dst-opts 1:3,30", &cut), no);
    }
}

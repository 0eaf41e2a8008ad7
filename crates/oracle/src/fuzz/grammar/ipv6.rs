//! What asks for extension headers of IPv6.

use super::super::aim;
use super::super::draft::Draft;
use super::super::random::Random;
use super::{Entry, Place, behind, near, not, number, range};

pub(super) const MATCHES: &[Entry] = &[
    Entry::new("dst", |random, _| Some(options(random, "dst"))).aimed(aim_options::<60>),
    Entry::new("frag", frag).aimed(aim_frag),
    Entry::new("hbh", |random, _| Some(options(random, "hbh"))).aimed(aim_options::<0>),
    Entry::new("ipv6header", ipv6header).aimed(aim_headers),
    Entry::new("mh", mh).of(&["ipv6-mh"]).aimed(aim_mh),
    Entry::new("rt", rt).aimed(aim_rt),
    Entry::new("srh", srh).aimed(aim_srh),
];

/// `hbh` or `dst`.
fn options(random: &mut Random, name: &str) -> String {
    let mut text = String::new();
    if random.chance(40) {
        text += &format!("{} --{name}-len {}", not(random), random.pick(&[8, 16, 24, 0, 2048]));
    }
    if text.is_empty() || random.chance(70) {
        let mut list = Vec::new();
        for _ in 0..=random.below(4) {
            let kind = random.pick(&[0, 1, 4, 5, 30, 194, 201, 255]);
            list.push(match random.below(2) {
                _ if kind == 0 => kind.to_string(),
                0 => kind.to_string(),
                _ => format!("{kind}:{}", random.pick(&[0, 1, 2, 4, 16, 255])),
            });
        }
        text += &format!(" --{name}-opts {}", list.join(","));
    }
    text
}

fn aim_options<const KIND: u8>(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let list = behind(words, &["--hbh-opts", "--dst-opts"]).unwrap_or("");
    let mut content = vec![0, 0];
    for wanted in list.split(',') {
        if random.chance(5) {
            continue;
        }
        let (kind, length) = wanted.split_once(':').unwrap_or((wanted, "2"));
        let kind: u8 = kind.parse().unwrap_or(1);
        // Of unknown options the first two bits say what becomes of the packet.
        let kind = if random.chance(10) { kind.wrapping_add(1) } else { kind };
        if kind == 0 {
            content.push(0);
            continue;
        }
        let length = near(random, length).unwrap_or(0) as u8 & 0x1f;
        content.extend([kind, length]);
        content.extend(vec![0; usize::from(length)]);
    }
    let wanted = behind(words, &["--hbh-len", "--dst-len"]).and_then(|text| near(random, text));
    let length = wanted.map_or(0, |wanted| (wanted as usize).min(256));
    aim::pad_options(random, &mut content, length);
    aim::extend(draft, KIND, &content);
}

fn frag(random: &mut Random, _: &Place) -> Option<String> {
    let max = u64::from(u32::MAX);
    let mut text = String::new();
    if random.chance(60) {
        text += &format!("{} --fragid {}", not(random), range(random, &[0, 1, 7, max], max, ":"));
    }
    if random.chance(20) {
        text += &format!("{} --fraglen {}", not(random), random.pick(&[8, 0, 16]));
    }
    text += if random.chance(30) { " --fragres" } else { "" };
    text += if random.chance(30) { " --fragfirst" } else { "" };
    text += random.pick(&["", " --fragmore", " --fraglast"]);
    Some(text)
}

/// A datagram in one piece: what is in several is put together before rules see it.
fn aim_frag(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let wanted = behind(words, &["--fragid"]).and_then(|text| near(random, text));
    let id = wanted.unwrap_or_else(|| u64::from(random.word())) as u32;
    let reserved = random.pick(&[0, 0, 1, 255]);
    let offset = random.pick(&[0, 0, 0, 2, 4, 6]);
    let mut content = vec![0, reserved, 0, offset];
    content.extend(id.to_be_bytes());
    aim::extend(draft, 44, &content);
}

const HEADERS: [(&str, u8); 7] = [
    ("hop-by-hop", 0),
    ("dst", 60),
    ("ipv6-route", 43),
    ("frag", 44),
    ("auth", 51),
    ("esp", 50),
    ("none", 59),
];

fn ipv6header(random: &mut Random, _: &Place) -> Option<String> {
    let mut list: Vec<&str> = Vec::new();
    for _ in 0..=random.below(3) {
        list.push(if random.chance(15) { "prot" } else { random.pick(&HEADERS).0 });
    }
    let soft = if random.chance(50) { " --soft" } else { "" };
    Some(format!("{} --header {}{soft}", not(random), list.join(",")))
}

fn aim_headers(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let list = behind(words, &["--header"]).unwrap_or("");
    let mut kinds: Vec<u8> = HEADERS
        .iter()
        .filter(|(name, _)| list.split(',').any(|one| one == *name))
        .map(|(_, kind)| *kind)
        .collect();
    if random.chance(30) {
        kinds.push(random.pick(&HEADERS).1);
    }
    if random.chance(20) {
        kinds.pop();
    }
    for kind in kinds.iter().rev() {
        match kind {
            50 | 59 => aim::end_with(random, draft, *kind),
            kind => {
                let content = aim::header_content(random, *kind);
                aim::extend(draft, *kind, &content);
            }
        }
    }
}

fn rt(random: &mut Random, _: &Place) -> Option<String> {
    let mut text = String::new();
    if random.chance(60) {
        text += &format!("{} --rt-type {}", not(random), random.pick(&[0, 1, 2, 3, 4, 255]));
    }
    if random.chance(50) {
        let wanted = range(random, &[0, 1, 2, 255], 0xffff_ffff, ":");
        text += &format!("{} --rt-segsleft {wanted}", not(random));
    }
    if random.chance(40) {
        text += &format!("{} --rt-len {}", not(random), random.pick(&[8, 24, 40, 0, 2048]));
    }
    // What follows is for type 0 alone.
    if text.contains("--rt-type 0 ") && !text.contains("! --rt-type")
        || text.ends_with(" --rt-type 0") && !text.contains("! --rt-type")
    {
        if random.chance(30) {
            text += " --rt-0-res";
        }
        if random.chance(60) {
            let addresses = ["::1", "2001:b::1", "2001:b::1,2001:b::2", "fd00:a::1,::1,::2"];
            text += &format!(" --rt-0-addrs {}", random.pick(&addresses));
            text += if random.chance(50) { " --rt-0-not-strict" } else { "" };
        }
    }
    Some(text)
}

fn aim_rt(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let of =
        |random: &mut Random, option| behind(words, &[option]).and_then(|text| near(random, text));
    let kind = of(random, "--rt-type").unwrap_or_else(|| random.below(5) as u64) as u8;
    let left = of(random, "--rt-segsleft").unwrap_or_else(|| random.below(3) as u64) as u8;
    let listed = behind(words, &["--rt-0-addrs"]).unwrap_or("");
    let mut content = vec![0, 0, kind, left, 0, 0, 0, 0];
    if random.chance(20) {
        content[7] = 1;
    }
    if random.chance(30) {
        content
            .extend("2001:b::7".parse::<std::net::Ipv6Addr>().map_or([0; 16], |one| one.octets()));
    }
    let addresses = listed.split(',').filter_map(|text| text.parse::<std::net::Ipv6Addr>().ok());
    addresses.for_each(|one| content.extend(one.octets()));
    if random.chance(30) {
        content.extend([0; 16]);
    }
    if let Some(length) = of(random, "--rt-len").filter(|_| listed.is_empty()) {
        content.resize((length as usize).clamp(8, 264), 0);
    }
    aim::extend(draft, 43, &content);
}

fn srh(random: &mut Random, _: &Place) -> Option<String> {
    let mut text = String::new();
    if random.chance(30) {
        text += &format!(
            "{} --srh-next-hdr {}",
            not(random),
            random.pick(&["6", "17", "58", "59", "255"])
        );
    }
    for (name, usual) in
        [("hdr-len", [0, 2, 4, 255]), ("segs-left", [0, 1, 2, 255]), ("last-entry", [0, 1, 2, 255])]
    {
        if random.chance(30) {
            let how = random.pick(&["eq", "gt", "lt"]);
            text += &format!("{} --srh-{name}-{how} {}", not(random), random.pick(&usual));
        }
    }
    if random.chance(30) {
        text += &format!("{} --srh-tag {}", not(random), number(random, 0xffff));
    }
    for name in ["psid", "nsid", "lsid"] {
        if random.chance(20) {
            let networks = ["2001:b::1", "2001:b::/64", "fd00:a::2/128", "::/0"];
            text += &format!("{} --srh-{name} {}", not(random), random.pick(&networks));
        }
    }
    Some(text)
}

fn aim_srh(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let mut of = |options: &[&str], usual: u8| {
        let found = behind(words, options).and_then(|text| near(random, text));
        found.map_or_else(|| random.below(usize::from(usual)) as u8, |one| one as u8)
    };
    let left = of(&["--srh-segs-left-eq", "--srh-segs-left-gt", "--srh-segs-left-lt"], 3);
    let last = of(&["--srh-last-entry-eq", "--srh-last-entry-gt", "--srh-last-entry-lt"], 3);
    let tag = behind(words, &["--srh-tag"]).and_then(|text| near(random, text)).unwrap_or(0) as u16;
    let mut content = vec![0, 0, 4, left, last, 0];
    content.extend(tag.to_be_bytes());
    for n in 0..=random.below(3) {
        let one = if random.chance(50) { "2001:b::" } else { "fd00:a::" };
        let mut octets = one.parse::<std::net::Ipv6Addr>().map_or([0; 16], |one| one.octets());
        octets[15] = n as u8 + 1;
        content.extend(octets);
    }
    aim::extend(draft, 43, &content);
}

fn mh(random: &mut Random, _: &Place) -> Option<String> {
    const NAMES: [&str; 8] = ["brr", "hoti", "coti", "hot", "cot", "bu", "ba", "be"];
    if random.chance(10) {
        return Some(String::new());
    }
    let wanted = match random.below(2) {
        0 => random.pick(&NAMES).to_owned(),
        _ => range(random, &[0, 1, 5, 7, 8, 255], 255, ":"),
    };
    Some(format!("{} --mh-type {wanted}", not(random)))
}

fn aim_mh(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let wanted = behind(words, &["--mh-type"]).and_then(|text| near(random, text));
    let kind = wanted.unwrap_or_else(|| random.below(9) as u64) as u8;
    aim::mobility(random, draft, kind);
}

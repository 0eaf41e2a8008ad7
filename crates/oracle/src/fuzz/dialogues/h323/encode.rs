//! Random values of a type in aligned PER (X.691), most of them such as a helper wants to hear.

use crate::fuzz::random::Random;
use keepstate_conntrack::helpers::h323::Mark;
use keepstate_conntrack::helpers::h323::per::{Additions, Choice, Component, Sequence, Size, Type};
use keepstate_packet::{Address, Family};

/// What a value is to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Say {
    pub(super) family: Family,
    /// The message, such as a request; any when the type has no such mark.
    pub(super) message: Option<Mark>,
    pub(super) address: Address,
    pub(super) port: u16,
    /// Where the speaker listens himself.
    pub(super) own: (Address, u16),
}

/// A value as it is encoded.
pub(super) struct Encoder<'r> {
    pub(super) random: &'r mut Random,
    say: Say,
    bytes: Vec<u8>,
    /// Bits of the last octet that are taken, 0 for all.
    taken: u32,
    /// An address was written: the next number is its port.
    port_next: bool,
    /// Octets that may still be written.
    left: usize,
}

/// Of so many lists of addresses one begins with the loopback address, per cent.
const LOOPBACK: usize = 12;
/// How likely something is that the helper has no interest in, per cent.
const IDLE: usize = 12;
/// Octets of one message beyond which nothing optional is added.
const LENGTH: usize = 1200;

/// Encodes a value.
pub(super) fn encode(random: &mut Random, kind: &Type, say: Say) -> Vec<u8> {
    let mut encoder =
        Encoder { random, say, bytes: Vec::new(), taken: 0, port_next: false, left: LENGTH };
    encoder.value(kind);
    encoder.bytes
}

impl Encoder<'_> {
    fn value(&mut self, kind: &Type) {
        match kind {
            Type::Null | Type::Stop => {}
            Type::Boolean => {
                let bit = self.random.below(2) as u64;
                self.put(bit, 1);
            }
            Type::ObjectIdentifier => {
                let length = 1 + self.random.below(8);
                self.octets(Size::Any, length);
            }
            Type::AnyInteger => {
                let length = 1 + self.random.below(4);
                self.octets(Size::Any, length);
            }
            Type::Integer(low, high) => self.integer(*low, *high),
            Type::Bits(size) => {
                let length = self.length(*size, 40);
                self.size(*size, length);
                for _ in 0..length {
                    let bit = self.random.below(2) as u64;
                    self.put(bit, 1);
                }
            }
            Type::Octets(size) => {
                let length = self.length(*size, 20);
                self.octets(*size, length);
            }
            Type::Digits(size) => {
                let length = self.length(*size, 20);
                self.size(*size, length);
                for _ in 0..length {
                    let digit = self.random.below(13) as u64;
                    self.put(digit, 4);
                }
            }
            Type::Bmp(size) => {
                let length = self.length(*size, 20);
                self.size(*size, length);
                let text = self.random.bytes(2 * length);
                self.append(&text);
            }
            Type::Sequence(sequence) => self.sequence(sequence),
            Type::SequenceOf(item, _) => self.items(item),
            Type::Choice(choice) => self.choice(choice),
            Type::Open(kind) => self.open(kind),
            Type::Sealed => self.sealed(),
            Type::Heard(mark @ (Mark::Ipv4 | Mark::Ipv6), _) => self.address(*mark),
            Type::Heard(Mark::TimeToLive, Type::Integer(low, high)) => {
                self.time_to_live(*low, *high)
            }
            Type::Heard(Mark::RasAddress, kind) if self.random.chance(85) => {
                let say = self.say;
                (self.say.address, self.say.port) = say.own;
                self.value(kind);
                self.say = say;
            }
            Type::Heard(_, kind) | Type::Unheard(kind) => self.value(kind),
        }
    }

    fn address(&mut self, mark: Mark) {
        let length = if mark == Mark::Ipv4 { 4 } else { 16 };
        let mut octets = self.say.address.0;
        if self.random.chance(6) {
            octets[length - 1] ^= 0x21;
        }
        self.align();
        self.append(&octets[..length]);
        self.port_next = true;
    }

    fn time_to_live(&mut self, low: u32, high: u32) {
        let lives = [1, 2, 60, 90, 255, 300, 3600, 70_000, 8_589_934, 8_589_935, 17_179_870];
        let value = match self.random.below(12) {
            0 => self.random.word(),
            1 => high,
            _ => self.random.pick(&lives),
        };
        self.number(value.saturating_sub(low).min(high - low));
    }

    fn integer(&mut self, low: u32, high: u32) {
        let port = std::mem::take(&mut self.port_next).then_some(u32::from(self.say.port));
        let range = u64::from(high - low) + 1;
        let value = port.map_or_else(|| self.random.number() % range, u64::from);
        match range {
            2..=255 => self.put(value, u64::BITS - (range - 1).leading_zeros()),
            256 => self.append_aligned(&[value as u8]),
            257..=65_536 => self.append_aligned(&(value as u16).to_be_bytes()),
            _ => self.number(value as u32),
        }
    }

    /// A number behind the number of its octets.
    fn number(&mut self, value: u32) {
        let octets = value.to_be_bytes();
        let skip = if self.random.chance(80) {
            octets.iter().position(|octet| *octet != 0).unwrap_or(3)
        } else {
            0
        };
        self.put(3 - skip as u64, 2);
        self.append_aligned(&octets[skip..]);
    }

    /// How long a string is, mostly short.
    fn length(&mut self, size: Size, most: usize) -> usize {
        match size {
            Size::Fixed(length) => length as usize,
            Size::Any if self.random.chance(4) => self.random.pick(&[0, 127, 128, 200]),
            Size::Any => self.random.below(most),
            Size::Between(low, high) if self.random.chance(4) => {
                self.random.pick(&[low, high.min(300)]) as usize
            }
            Size::Between(low, high) => {
                low as usize + self.random.below(most.min((high - low) as usize + 1))
            }
        }
    }

    /// The length of a string, up to where its content begins.
    fn size(&mut self, size: Size, length: usize) {
        match size {
            Size::Any => self.determinant(length),
            Size::Fixed(length) if length <= 2 => {}
            Size::Fixed(_) => self.align(),
            Size::Between(low, high) => {
                let value = (length as u64) - u64::from(low);
                match u64::from(high - low) + 1 {
                    range @ 2..=255 => self.put(value, u64::BITS - (range - 1).leading_zeros()),
                    256 => self.append_aligned(&[value as u8]),
                    _ => self.append_aligned(&(value as u16).to_be_bytes()),
                }
                self.align();
            }
        }
    }

    fn octets(&mut self, size: Size, length: usize) {
        self.size(size, length);
        let octets = self.random.bytes(length);
        for octet in octets {
            self.put(u64::from(octet), 8);
        }
    }

    fn sequence(&mut self, sequence: &Sequence) {
        let read = sequence.additions.map_or(&[][..], |additions| additions.read);
        let wanted = read.iter().any(|(_, kind)| self.wants(kind));
        let extended = sequence.additions.is_some()
            && self.left > 0
            && self.random.chance(if wanted { 80 } else { IDLE });
        if sequence.additions.is_some() {
            self.put(u64::from(extended), 1);
        }
        let mut present = Vec::new();
        for component in sequence.root {
            let there = match component {
                Component::Always(_) => true,
                Component::Optional(kind) => {
                    let likely = if self.wants(kind) { 75 } else { IDLE };
                    let there = self.left > 0 && self.random.chance(likely);
                    self.put(u64::from(there), 1);
                    there
                }
            };
            present.push(there);
        }
        for (component, _) in sequence.root.iter().zip(present).filter(|(_, there)| *there) {
            let (Component::Always(kind) | Component::Optional(kind)) = component;
            self.value(kind);
        }
        if let Some(additions) = sequence.additions.filter(|_| extended) {
            self.additions(additions);
        }
    }

    fn additions(&mut self, Additions { known, read: additions }: Additions) {
        let needed = additions.last().map_or(0, |(last, _)| last + 1);
        let count = match self.random.below(60) {
            0 => self.random.pick(&[31, 32, 33, 64, 128]),
            1..4 => 24 + self.random.below(10) as u32,
            4..18 => (known + self.random.below(4) as u32).saturating_sub(1),
            _ => needed + self.random.below(4) as u32,
        }
        .max(1);
        self.put(u64::from(count) - 1, 7);
        let kind = |number| additions.iter().find(|(at, _)| *at == number).map(|(_, kind)| kind);
        let present: Vec<_> = (0..count)
            .map(|number| match kind(number) {
                Some(kind) => self.left > 0 && (!self.wants(kind) || self.random.chance(75)),
                None => self.random.chance(IDLE),
            })
            .collect();
        let seen = self.seen(&present);
        for there in present {
            self.put(u64::from(there), 1);
        }
        self.align();
        for (number, there) in (0..count).zip(seen) {
            match kind(number) {
                Some(kind) if there => self.open(kind),
                None if there || number >= known && self.random.chance(70) => self.unknown(),
                _ => {}
            }
        }
    }

    /// Which additions Linux takes to be there of those that are, where their bits are written next:
    /// it takes those that end with the fourth octet from the begin of the first.
    fn seen(&mut self, present: &[bool]) -> Vec<bool> {
        let shifted = self.taken > 0 && self.taken as usize + present.len() == 32;
        if !shifted || self.random.chance(30) {
            return present.to_vec();
        }
        let first = self.bytes.last().copied().unwrap_or(0);
        let before = (0..self.taken).map(|bit| first & 0x80 >> bit != 0);
        before.chain(present.iter().copied()).take(present.len()).collect()
    }

    fn items(&mut self, item: &Type) {
        let count = match self.random.below(16) {
            0 => 0,
            1 => self.random.pick(&[4, 5, 9, 10, 11, 12]),
            2 if self.wants(item) && self.random.chance(10) => self.random.pick(&[29, 30, 31, 35]),
            _ => 1 + self.random.below(2),
        };
        let Say { address, port, .. } = self.say;
        let is_addresses = matches!(item, Type::Heard(Mark::CallSignalAddress, _));
        let loopback =
            is_addresses && self.say.family == Family::V4 && self.random.chance(LOOPBACK);
        self.determinant(count);
        for n in 0..count {
            self.say.address = match loopback && n == 0 {
                true => Address::v4([127, 0, 0, 1]),
                false => address,
            };
            if self.random.chance(70) {
                self.say.port = port.wrapping_add(2 * n as u16);
            }
            self.value(item);
        }
        (self.say.address, self.say.port) = (address, port);
    }

    fn choice(&mut self, choice: &Choice) {
        let additions = choice.additions.map_or(&[][..], |additions| additions.read);
        let root = choice.root.iter().zip(0..).map(|(kind, number)| (false, number, kind));
        let more = additions.iter().map(|(number, kind)| (true, *number, kind));
        let all: Vec<_> = root.chain(more).collect();
        let wanted: Vec<_> = all.iter().filter(|(_, _, kind)| self.wants(kind)).copied().collect();
        let (added, number, kind) = if wanted.is_empty() || self.random.chance(5) {
            self.random.pick(&all)
        } else {
            self.random.pick(&wanted)
        };
        let unknown = choice.additions.is_some() && self.random.chance(3);
        if choice.additions.is_some() {
            self.put(u64::from(added || unknown), 1);
        }
        if unknown {
            let number = self.random.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 30, 63, 64, 127]);
            self.put(number, 7);
            self.unknown();
        } else if added {
            self.put(u64::from(number), 7);
            match kind {
                Type::Stop => self.unknown(),
                kind => self.open(kind),
            }
        } else {
            let count = choice.root.len() as u64;
            let width = u64::BITS - (count - 1).leading_zeros();
            let number = if self.random.chance(1) { count } else { u64::from(number) };
            self.put(number & ((1 << width) - 1), width);
            self.value(kind);
        }
    }

    /// A value behind its length.
    fn open(&mut self, kind: &Type) {
        let mut content = Encoder {
            random: self.random,
            say: self.say,
            bytes: Vec::new(),
            taken: 0,
            port_next: false,
            left: self.left,
        };
        content.value(kind);
        let mut bytes = std::mem::take(&mut content.bytes);
        if bytes.is_empty() {
            bytes.push(0);
        }
        let length = match self.random.below(100) {
            0 => bytes.len() + 1,
            1 => bytes.len() - 1,
            _ => bytes.len(),
        };
        self.determinant(length);
        self.append(&bytes);
    }

    /// An open type of which Linux takes the octet that has begun for the length.
    fn sealed(&mut self) {
        if self.taken > 0 && self.random.chance(80) {
            let length = usize::from(self.bytes.last().copied().unwrap_or(0));
            self.align();
            let octets = self.random.bytes(length + 1);
            self.append(&octets);
            return;
        }
        self.unknown();
    }

    fn unknown(&mut self) {
        let length = self.random.pick(&[0, 1, 2, 5, 20, 130]);
        self.octets(Size::Any, length);
    }

    /// A length.
    fn determinant(&mut self, length: usize) {
        let long = length > 127 || self.random.chance(2);
        if long {
            self.append_aligned(&(0x8000 | length as u16).to_be_bytes());
        } else {
            self.append_aligned(&[length as u8]);
        }
    }

    /// Whether a value of this type can say something that is to be said.
    fn wants(&self, kind: &Type) -> bool {
        let message = |mark: &Mark| {
            let messages = [
                Mark::GatekeeperRequest,
                Mark::GatekeeperConfirm,
                Mark::RegistrationRequest,
                Mark::RegistrationConfirm,
                Mark::UnregistrationRequest,
                Mark::AdmissionRequest,
                Mark::AdmissionConfirm,
                Mark::LocationRequest,
                Mark::LocationConfirm,
                Mark::InfoRequestResponse,
                Mark::ChannelAck,
            ];
            messages.contains(mark).then(|| self.say.message.is_none_or(|wanted| wanted == *mark))
        };
        match kind {
            Type::Heard(Mark::Ipv4, _) => self.say.family == Family::V4,
            Type::Heard(Mark::Ipv6, _) => self.say.family == Family::V6,
            Type::Heard(Mark::TimeToLive | Mark::LanStack, _) => true,
            Type::Heard(Mark::CallForwarded, _) => self.say.message == Some(Mark::CallForwarded),
            Type::Heard(mark, kind) => message(mark).unwrap_or_else(|| self.wants(kind)),
            Type::Open(kind) | Type::SequenceOf(kind, _) => self.wants(kind),
            Type::Sequence(sequence) => {
                let root = sequence.root.iter().any(|component| {
                    let (Component::Always(kind) | Component::Optional(kind)) = component;
                    self.wants(kind)
                });
                let additions = sequence.additions.map_or(&[][..], |additions| additions.read);
                root || additions.iter().any(|(_, kind)| self.wants(kind))
            }
            Type::Choice(choice) => {
                let additions = choice.additions.map_or(&[][..], |additions| additions.read);
                choice
                    .root
                    .iter()
                    .chain(additions.iter().map(|(_, kind)| kind))
                    .any(|kind| self.wants(kind))
            }
            _ => false,
        }
    }

    fn put(&mut self, value: u64, bits: u32) {
        for bit in (0..bits).rev() {
            if self.taken == 0 {
                self.bytes.push(0);
                self.left = self.left.saturating_sub(1);
            }
            let at = 7 - self.taken;
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> bit & 1) as u8) << at;
            }
            self.taken = (self.taken + 1) % 8;
        }
    }

    fn align(&mut self) {
        self.taken = 0;
    }

    fn append_aligned(&mut self, bytes: &[u8]) {
        self.align();
        self.append(bytes);
    }

    fn append(&mut self, bytes: &[u8]) {
        self.left = self.left.saturating_sub(bytes.len());
        self.bytes.extend(bytes);
    }
}

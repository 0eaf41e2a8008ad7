//! Expectations (`conntrack -L expect`, `conntrack -E expect`, `/proc/net/nf_conntrack_expect`).

use super::{Ip, Kind, Shown, layer3, line, xml};
use crate::event::Announcement;
use crate::flow::{Expected, Half, protocol_name};
use crate::helpers::Instance;
use core::fmt;
use keepstate_packet::{Family, icmp, icmpv6};

/// An expectation as `conntrack -L expect` and `conntrack -E expect` print it, without a line end.
#[derive(Clone, Copy, Debug)]
pub struct ExpectationLine<'a> {
    /// The expectation.
    pub expected: &'a Expected,
    /// Why it is printed.
    pub kind: Kind,
}

impl fmt::Display for ExpectationLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, kind } = self;
        f.write_str(match kind {
            Kind::Listed => "",
            Kind::New => "    [NEW] ",
            Kind::Update => " [UPDATE] ",
            Kind::Destroy => "[DESTROY] ",
        })?;
        let family = expected.family.unwrap_or(Family::V4);
        let protocol = expected.protocol.unwrap_or(0);
        if let Some(timeout) = expected.timeout {
            write!(f, "{timeout} ")?;
        }
        write!(f, "proto={protocol}")?;
        line::addresses(f, &expected.tuple, family)?;
        ports(f, &expected.tuple, protocol)?;
        named_addresses(f, &expected.mask, ("mask-src", "mask-dst"), family)?;
        ports(f, &expected.mask, protocol)?;
        named_addresses(f, &expected.master, ("master-src", "master-dst"), family)?;
        ports(f, &expected.master, expected.master_protocol.unwrap_or(0))?;
        if let Some(zone) = expected.zone {
            write!(f, " zone={zone}")?;
        }
        flags(f, expected.flags, [" PERMANENT", " INACTIVE", " USERSPACE"], "")?;
        write!(f, " class={}", expected.class)?;
        match &expected.helper {
            Some(helper) => write!(f, " helper={helper}"),
            None => Ok(()),
        }
    }
}

fn ports(f: &mut fmt::Formatter<'_>, half: &Half, protocol: u8) -> fmt::Result {
    if matches!(protocol, icmp::PROTOCOL | icmpv6::PROTOCOL) {
        let (kind, code) = (half.icmp_type.unwrap_or(0), half.icmp_code.unwrap_or(0));
        return write!(f, " type={kind} code={code} id={}", half.icmp_id.unwrap_or(0));
    }
    line::ports(f, half, protocol)
}

fn named_addresses(
    f: &mut fmt::Formatter<'_>,
    half: &Half,
    (source, destination): (&str, &str),
    family: Family,
) -> fmt::Result {
    let ip = |address| Ip(address, family);
    write!(f, " {source}={} {destination}={}", ip(half.source), ip(half.destination))
}

fn flags(f: &mut fmt::Formatter<'_>, flags: u32, names: [&str; 3], between: &str) -> fmt::Result {
    let bits = [Announcement::PERMANENT, Announcement::INACTIVE, Announcement::USERSPACE];
    let mut before = "";
    for (bit, name) in bits.iter().zip(names) {
        if flags & bit != 0 {
            write!(f, "{before}{name}")?;
            before = between;
        }
    }
    Ok(())
}

/// An expectation as `-o xml` prints it: one `<flow>` element, without a line end.
#[derive(Clone, Copy, Debug)]
pub struct ExpectationXml<'a> {
    /// The expectation.
    pub expected: &'a Expected,
    /// Why it is printed.
    pub kind: Kind,
    /// What is shown besides.
    pub shown: Shown<'a>,
}

impl ExpectationXml<'_> {
    /// Before the first expectation.
    pub const HEAD: &'static str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<expect>\n";
    /// After the last.
    pub const FOOT: &'static str = "</expect>\n";
}

impl fmt::Display for ExpectationXml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, kind, shown } = self;
        let family = expected.family.unwrap_or(Family::V4);
        let protocol = expected.protocol.unwrap_or(0);
        let (l3_name, l3_number) = layer3(family);
        f.write_str(xml::open(*kind))?;
        write!(f, "<layer3 protonum=\"{l3_number}\" protoname=\"{l3_name}\">")?;
        let parts = [
            ("expected", &expected.tuple, protocol),
            ("mask", &expected.mask, protocol),
            ("master", &expected.master, expected.master_protocol.unwrap_or(0)),
        ];
        for (name, half, _) in parts {
            write!(f, "<{name}>")?;
            xml::addresses(f, half, family)?;
            write!(f, "</{name}>")?;
        }
        let l4_name = protocol_name(protocol).unwrap_or("unknown");
        write!(f, "</layer3><layer4 protonum=\"{protocol}\" protoname=\"{l4_name}\">")?;
        for (name, half, protocol) in parts {
            write!(f, "<{name}>")?;
            xml::ports(f, half, protocol)?;
            write!(f, "</{name}>")?;
        }
        f.write_str("</layer4><meta>")?;
        if let Some(helper) = &expected.helper {
            write!(f, "<helper-name>{helper}</helper-name>")?;
        }
        if let Some(timeout) = expected.timeout {
            write!(f, "<timeout>{timeout}</timeout>")?;
        }
        write!(f, "<class>{}</class>", expected.class)?;
        if let Some(zone) = expected.zone {
            write!(f, "<zone>{zone}</zone>")?;
        }
        let names = ["<permanent/>", "<inactive/>", "<userspace/>"];
        flags(f, expected.flags, names, "")?;
        if let Some(instant) = shown.when {
            xml::when(f, instant)?;
        }
        f.write_str("</meta></flow>")
    }
}

/// An expectation as `/proc/net/nf_conntrack_expect` shows it, without a line end.
#[derive(Clone, Copy, Debug)]
pub struct ExpectationProcLine<'a> {
    /// The expectation.
    pub expected: &'a Expected,
    /// The name of its class, where its helper gives it one.
    pub class_name: Option<&'a str>,
}

impl<'a> ExpectationProcLine<'a> {
    /// With the name that its helper gives its class.
    #[must_use]
    pub fn of(expected: &'a Expected) -> Self {
        let named = expected.helper.as_deref().and_then(|name| Instance::called(name).next());
        let policies = named.and_then(Instance::helper).map_or(&[][..], |helper| helper.policies);
        let class = usize::try_from(expected.class).ok();
        // The only class of a helper goes by the helper's name here, and by none there.
        let policy = class.and_then(|class| policies.get(class)).filter(|_| policies.len() > 1);
        Self { expected, class_name: policy.map(|policy| policy.name) }
    }
}

impl fmt::Display for ExpectationProcLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = self.expected;
        let family = expected.family.unwrap_or(Family::V4);
        let protocol = expected.protocol.unwrap_or(0);
        match expected.timeout {
            Some(timeout) => write!(f, "{timeout} ")?,
            None => f.write_str("- ")?,
        }
        write!(f, "l3proto = {} proto={protocol} ", layer3(family).1)?;
        super::procfs::half(f, &expected.tuple, protocol, family)?;
        f.write_str(" ")?;
        flags(f, expected.flags, ["PERMANENT", "INACTIVE", "USERSPACE"], ",")?;
        if expected.flags & 7 != 0 {
            f.write_str(" ")?;
        }
        let Some(helper) = &expected.helper else { return Ok(()) };
        f.write_str(helper)?;
        match self.class_name.filter(|name| !name.is_empty()) {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

//! What rules log, cut down to what both tell: the kernel gives the packet itself (its logger is
//! NFLOG, so that lines of other namespaces do not mix in), the engine the line of LOG.

use keepstate_packet::Family;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What both tell of a packet that a rule logs: prefix, interfaces, the fields of its IP header, its
/// mark. `packet` are its first bytes; `None` when they are no IP header.
///
/// Without an interface that it came from, or with loopback's, it may have been made here: then identification and flow
/// label, which a kernel draws, are left out.
#[must_use]
pub fn of_packet(prefix: &str, interfaces: [&str; 2], mark: u32, packet: &[u8]) -> Option<String> {
    let [inward, outward] = interfaces;
    let half = |at: usize| packet.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]));
    let family = if packet.first()? >> 4 == 4 { Family::V4 } else { Family::V6 };
    let fields = match family {
        Family::V4 => {
            let address =
                |at: usize| packet.get(at..at + 4)?.first_chunk::<4>().map(|b| Ipv4Addr::from(*b));
            let tos = packet.get(1)?;
            let drawn = match inward {
                "" | "lo" => String::new(),
                _ => format!(" ID={}", half(4)?),
            };
            format!(
                "SRC={} DST={} LEN={} TOS=0x{:02X} PREC=0x{:02X} TTL={}{drawn}",
                address(12)?,
                address(16)?,
                half(2)?,
                tos & 0x1e,
                tos & 0xe0,
                packet.get(8)?
            )
        }
        Family::V6 => {
            let address = |at: usize| {
                let octets = packet.get(at..at + 16)?.first_chunk::<16>()?;
                let parts = Ipv6Addr::from(*octets).segments().map(|part| format!("{part:04x}"));
                Some(parts.join(":"))
            };
            let drawn = match inward {
                "" | "lo" => String::new(),
                _ => format!(" FLOWLBL={}", u32::from(half(0)? & 15) << 16 | u32::from(half(2)?)),
            };
            format!(
                "SRC={} DST={} LEN={} TC={} HOPLIMIT={}{drawn}",
                address(8)?,
                address(24)?,
                u32::from(half(4)?) + 40,
                half(0)? >> 4 & 0xff,
                packet.get(7)?
            )
        }
    };
    let mark = if mark == 0 { String::new() } else { format!(" MARK={mark:#x}") };
    Some(format!("{prefix}IN={inward} OUT={outward} {fields}{mark}"))
}

/// The same of a line.
#[must_use]
pub fn of_line(line: &str) -> Option<String> {
    // A prefix may look like what follows it.
    let (prefix, _) = line.rsplit_once("IN=")?;
    let rest = line.get(prefix.len()..)?;
    let mut words = rest.split(' ');
    let mut told: Vec<&str> = Vec::new();
    let six = rest.contains("HOPLIMIT=");
    let wanted: &[&str] = match six {
        false => &["IN", "OUT", "SRC", "DST", "LEN", "TOS", "PREC", "TTL", "ID"],
        true => &["IN", "OUT", "SRC", "DST", "LEN", "TC", "HOPLIMIT", "FLOWLBL"],
    };
    let drawn = usize::from(rest.starts_with("IN= ") || rest.starts_with("IN=lo "));
    for wanted in wanted.get(..wanted.len() - drawn)? {
        told.push(
            words.find(|word| word.split_once('=').is_some_and(|(name, _)| name == *wanted))?,
        );
    }
    let last = rest.trim_end().rsplit(' ').next().filter(|word| word.starts_with("MARK="));
    told.extend(last);
    Some(format!("{prefix}{}", told.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_of(packet: &[u8], inward: &str) -> Option<String> {
        of_packet("IN= ", [inward, "eth1"], 7, packet)
    }

    #[test]
    fn lines_and_packets_meet() {
        let line = "IN= IN=eth0 OUT=eth1 MAC=02:6d:61:74:00:1a:02:6d:61:74:00:0a:08:00 SRC=10.1.0.1 \
                    DST=198.51.100.1 LEN=60 TOS=0x10 PREC=0xA0 TTL=63 ID=258 DF PROTO=TCP SPT=1 DPT=2 \
                    WINDOW=0 RES=0x00 SYN URGP=0 MARK=0x7 ";
        let mut packet = vec![0x45, 0xb0, 0, 60, 1, 2, 0x40, 0, 63, 6, 0, 0, 10, 1, 0, 1];
        packet.extend([198, 51, 100, 1]);
        let told = of_packet("IN= ", ["eth0", "eth1"], 7, &packet);
        assert_eq!(of_line(line), told);
        assert!(told.is_some_and(|told| told.ends_with("ID=258 MARK=0x7")));
        assert_ne!(of_line(line), of_packet("IN= ", ["eth0", "eth1"], 8, &packet));
        packet[5] += 1;
        assert_ne!(of_line(line), told_of(&packet, "eth0"));
        let made_here = line.replace("IN=eth0", "IN=");
        assert_eq!(of_line(&made_here), told_of(&packet, ""));
    }
}

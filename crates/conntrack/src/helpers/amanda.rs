//! The Amanda helper: a backup client's answer names the ports of its data connections.
//!
//! Only what the client answers to the server's requests is read: behind `CONNECT `, up to the end
//! of the line, the numbers that follow `DATA `, `MESG `, `INDEX ` and `STATE `. Each answer lets
//! the connection live on for a while, since the next may be long in coming. As observed on Linux
//! 6.18: a number of more than five digits is cut to five, and taken modulo 65536.

use super::Policy;
use crate::expect::Request;
use crate::helping::Helping;
use crate::table::Drop;
use crate::timeout::Timeout;
use crate::tuple::Direction;
use alloc::format;
use core::ops::Range;
use core::time::Duration;
use keepstate_packet::tcp;

/// One for each kind.
pub const POLICY: Policy = Policy { name: "amanda", max: 4, timeout: Duration::from_secs(180) };

const CONNECT: &[u8] = b"CONNECT ";
const KINDS: [&[u8]; 4] = [b"DATA ", b"MESG ", b"INDEX ", b"STATE "];
/// Digits of a port that are read.
const DIGITS_MAX: usize = 5;

pub(super) fn help(helping: &mut Helping<'_>) -> Result<(), Drop> {
    if helping.direction == Direction::Original {
        return Ok(());
    }
    let seconds = helping.table.sysctls.modules.amanda_master_timeout;
    helping.live_on(Timeout::of_policy(seconds));
    let Some(original) = helping.tuple_in(Direction::Original) else { return Ok(()) };
    let payload = helping.payload();
    let Some(line) = after(payload, CONNECT) else { return Ok(()) };
    let Some(length) = line.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
    let start = payload.len() - line.len();
    let mut outcome = Ok(());
    for kind in KINDS {
        // The line ends where it ended, whatever was said before.
        let said = helping.said();
        let line = said.get(start..).map_or(said, |rest| rest.get(..length).unwrap_or(rest));
        let Some(told) = after(line, kind) else { continue };
        let (port, digits) = number(told);
        if port == 0 {
            break;
        }
        let at = start + line.len() - told.len();
        let place = (original.destination, port);
        let source = (Some(original.source), None);
        let data = Request::new(tcp::PROTOCOL, source, place, original.family);
        if helping.is_translated() {
            // What comes later makes good what was refused.
            outcome = say_port(helping, data, at..at + digits);
        } else if let Err(refused) = helping.expect_or_drop(data) {
            outcome = Err(refused);
        }
    }
    outcome
}

/// Expects a connection at the port that stands here, or another one.
fn say_port(helping: &mut Helping<'_>, data: Request, part: Range<usize>) -> Result<(), Drop> {
    let port = helping.expect_somewhere(data.following(Direction::Original))?;
    let said = helping.say(part, format!("{port}").as_bytes());
    said.inspect_err(|_| helping.withdraw(&data.at_port(port)))
}

/// What stands after the first `words`.
fn after<'a>(text: &'a [u8], words: &[u8]) -> Option<&'a [u8]> {
    let first = words.first()?;
    let mut rest = text;
    loop {
        let at = rest.iter().position(|byte| byte == first)?;
        rest = rest.get(at..)?;
        if let Some(found) = rest.strip_prefix(words) {
            return Some(found);
        }
        rest = rest.get(1..)?;
    }
}

/// The port that a text begins with, 0 for none, and how many digits it has.
fn number(text: &[u8]) -> (u16, usize) {
    let digits = text.iter().take(DIGITS_MAX).take_while(|byte| byte.is_ascii_digit());
    let length = digits.clone().count();
    (digits.fold(0, |n: u32, digit| n * 10 + u32::from(digit - b'0')) as u16, length)
}

#[cfg(test)]
mod tests;

//! `time`: when the packet came: date, day of the week or month, time of day.
//!
//! The clock is the packet's: a capture's own time, or the machine's for live traffic, in UTC. With
//! `--kerneltz` the offset that the kernel keeps apart from all zone files is taken off it; the host model
//! has to say it (`minutes_west`), else the answer is unknown. Seconds count; both ends are included.
//!
//! What iptables reads oddly is read so, too: a date of February 30 is March 1, month 0 is the December
//! before; weekdays 8 and up and day 0 are nothing. The end of 2038-01-19T03:14:07 is printed though nobody
//! gave it, and a beginning or end at 1970-01-01T00:00:00 is not.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, or_list};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;

const DATE_START: u8 = 0;
const DATE_STOP: u8 = 1;
const TIME_START: u8 = 2;
const TIME_STOP: u8 = 3;
const MONTH_DAYS: u8 = 4;
const WEEKDAYS: u8 = 5;
const KERNEL_ZONE: u8 = 6;
const LOCAL_ZONE: u8 = 7;
const UTC: u8 = 8;
const CONTIGUOUS: u8 = 9;
const OPTIONS: &[OptionSpec] = &[
    valued("datestart", DATE_START),
    valued("datestop", DATE_STOP),
    valued("timestart", TIME_START),
    valued("timestop", TIME_STOP),
    valued("monthdays", MONTH_DAYS).inverted(),
    valued("weekdays", WEEKDAYS).inverted(),
    flag("kerneltz", KERNEL_ZONE),
    flag("localtz", LOCAL_ZONE),
    flag("utc", UTC),
    flag("contiguous", CONTIGUOUS),
];

const MANUAL: &str = "\
Asks when the packet came. All that is given has to hold; times are UTC.

- `--datestart DATE`, `--datestop DATE`: not before, not after; DATE is `YYYY[-MM[-DD[Thh[:mm[:ss]]]]]`, from
  1970 to 2038. What is left out is the first month or day and 0 o'clock.
- `--timestart TIME`, `--timestop TIME`: not before and not after this time of day, `hh:mm[:ss]`; 00:00:00 and
  23:59:59 when left out. A start later than the stop means over midnight: from the start to the end of the
  day, and from its beginning to the stop.
- `[!] --weekdays DAY[,DAY]...`: `Mon Tue Wed Thu Fri Sat Sun`, or two letters, or 1 (Monday) to 7.
- `[!] --monthdays DAY[,DAY]...`: 1 to 31.
- `--contiguous`: with a time over midnight, the part after midnight counts as the day before: `--weekdays Mo
  --timestart 23:00 --timestop 01:00` is Monday evening to Tuesday morning then.
- `--kerneltz` (in old rules `--localtz`): by the time zone of the kernel instead of UTC; `--utc` says UTC.

Office hours:

    -m time --weekdays Mo,Tu,We,Th,Fr --timestart 07:00 --timestop 16:00 -j ACCEPT

The kernel's time zone is a fixed offset that is seldom set and does not follow summer time: `--kerneltz` is
best left alone. Connections that began in time go on if a rule for ESTABLISHED accepts them.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "time",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

const DAY: u32 = 86_400;
/// The end when none is given.
const LAST_DATE: u32 = i32::MAX.cast_unsigned();
const YEARS: core::ops::RangeInclusive<u32> = 1970..=2038;
const WEEKDAY_NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Bits 1 to 7.
const ALL_WEEKDAYS: u8 = 0xfe;
/// Bits 1 to 31.
const ALL_MONTH_DAYS: u32 = 0xffff_fffe;

/// An instance.
#[derive(Debug)]
pub struct Time {
    /// Seconds since 1970.
    date_start: u32,
    date_stop: u32,
    /// Seconds of the day.
    day_start: u32,
    day_stop: u32,
    /// Bit 1 is the first of the month.
    month_days: u32,
    /// Bit 1 is Monday.
    weekdays: u8,
    kernel_zone: bool,
    contiguous: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    if arguments.option(UTC).is_some() {
        for zone in [KERNEL_ZONE, LOCAL_ZONE] {
            if arguments.option(zone).is_some() {
                arguments.exclusive(&[UTC, zone])?;
            }
        }
    }
    let time = Time {
        date_start: read(arguments, DATE_START, 0, date)?,
        date_stop: read(arguments, DATE_STOP, LAST_DATE, date)?,
        day_start: read(arguments, TIME_START, 0, time_of_day)?,
        day_stop: read(arguments, TIME_STOP, DAY - 1, time_of_day)?,
        month_days: days(arguments, MONTH_DAYS, ALL_MONTH_DAYS, month_day)?,
        weekdays: u8::try_from(days(arguments, WEEKDAYS, ALL_WEEKDAYS.into(), weekday)?).ok()?,
        kernel_zone: [KERNEL_ZONE, LOCAL_ZONE].iter().any(|id| arguments.option(*id).is_some()),
        contiguous: arguments.option(CONTIGUOUS).is_some(),
    };
    if let Some(given) = arguments.option(CONTIGUOUS).filter(|_| time.day_start < time.day_stop) {
        let text = "`--contiguous` is for times over midnight: this one ends after it begins";
        arguments.fault(Diagnostic::new(code::OPTION_CONFLICT, given.span, text));
        return None;
    }
    Some(Box::new(time))
}

/// The value of an option, or what holds without it.
fn read(
    arguments: &mut Arguments<'_>,
    id: u8,
    absent: u32,
    reader: fn(&str) -> Result<u32, &'static str>,
) -> Option<u32> {
    let Some(given) = arguments.option(id) else { return Some(absent) };
    match reader(&given.value) {
        Ok(value) => Some(value),
        Err(form) => {
            let text = format!("`{}` is not a {form}", given.value);
            arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
            None
        }
    }
}

/// Days of a comma list as bits; behind `!`, all others.
fn days(
    arguments: &mut Arguments<'_>,
    id: u8,
    all: u32,
    reader: fn(&mut Arguments<'_>, &Given, &str) -> Option<u32>,
) -> Option<u32> {
    let Some(given) = arguments.option(id) else { return Some(all) };
    let mut bits = 0;
    // A comma at the end is none too many.
    let list = given.value.strip_suffix(',').unwrap_or(&given.value);
    for word in list.split(',').filter(|_| !list.is_empty()) {
        let day = reader(arguments, given, word)?;
        bits |= 1_u32.checked_shl(day).unwrap_or(0);
    }
    Some(if given.inverted { all & !bits } else { all & bits })
}

fn month_day(arguments: &mut Arguments<'_>, given: &Given, word: &str) -> Option<u32> {
    let (day, rest) = leading_number(word);
    if day <= 31 && rest.is_empty() {
        return Some(day);
    }
    let text = format!("`{word}` is not a day of a month (1 to 31)");
    arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
    None
}

fn weekday(arguments: &mut Arguments<'_>, given: &Given, word: &str) -> Option<u32> {
    let named = |name: &&str| {
        let two = name.get(..2).unwrap_or(name);
        word.starts_with(two)
    };
    if let Some(at) = WEEKDAY_NAMES.iter().position(named) {
        return u32::try_from(at + 1).ok();
    }
    match leading_number(word) {
        (day, "") if day > 0 => Some(if day > 7 { u32::MAX } else { day }),
        _ => {
            let names = WEEKDAY_NAMES.into_iter();
            arguments.unknown_word(
                word,
                given.value_span,
                "a day of the week (1 is Monday)",
                names,
            );
            None
        }
    }
}

/// The decimal number at the start of a text, and what follows it; 0 where there is none.
fn leading_number(text: &str) -> (u32, &str) {
    let bare = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let bare = bare.strip_prefix('+').unwrap_or(bare);
    let end = bare.find(|c: char| !c.is_ascii_digit()).unwrap_or(bare.len());
    match bare.split_at_checked(end) {
        Some((digits, rest)) if !digits.is_empty() => (digits.parse().unwrap_or(u32::MAX), rest),
        _ => (0, text),
    }
}

/// `hh:mm[:ss]` in seconds.
fn time_of_day(text: &str) -> Result<u32, &'static str> {
    const FORM: &str = "time of day: hh:mm[:ss], up to 23:59:59";
    let (hours, rest) = leading_number(text);
    let rest = rest.strip_prefix(':').filter(|_| hours <= 23).ok_or(FORM)?;
    Ok(hours * 3600 + minutes(rest).ok_or(FORM)?)
}

/// `mm[:ss]` in seconds.
fn minutes(text: &str) -> Option<u32> {
    let (minutes, rest) = leading_number(text);
    let (seconds, rest) = match rest.strip_prefix(':') {
        Some(seconds) => leading_number(seconds),
        None => (0, rest),
    };
    (minutes <= 59 && seconds <= 59 && rest.is_empty()).then_some(minutes * 60 + seconds)
}

/// `YYYY[-MM[-DD[Thh[:mm[:ss]]]]]` in seconds since 1970.
fn date(text: &str) -> Result<u32, &'static str> {
    const FORM: &str = "date: YYYY[-MM[-DD[Thh[:mm[:ss]]]]], from 1970 to 2038";
    let (year, rest) = leading_number(text);
    if !YEARS.contains(&year) {
        return Err(FORM);
    }
    let Some(rest) = rest.strip_prefix('-') else {
        return whole(rest, (year, 1, 1), 0).ok_or(FORM);
    };
    let (month, rest) = leading_number(rest);
    if month > 12 {
        return Err(FORM);
    }
    let Some(rest) = rest.strip_prefix('-') else {
        return whole(rest, (year, month, 1), 0).ok_or(FORM);
    };
    let (day, rest) = leading_number(rest);
    if day > 31 {
        return Err(FORM);
    }
    let Some(rest) = rest.strip_prefix('T') else {
        return whole(rest, (year, month, day), 0).ok_or(FORM);
    };
    let (hours, rest) = leading_number(rest);
    let seconds = match rest.strip_prefix(':') {
        Some(rest) => minutes(rest).ok_or(FORM)?,
        None if rest.is_empty() => 0,
        None => return Err(FORM),
    };
    if hours > 23 {
        return Err(FORM);
    }
    whole("", (year, month, day), hours * 3600 + seconds).ok_or(FORM)
}

/// A date of which nothing is left to read: seconds since 1970, if not before.
fn whole(rest: &str, date: (u32, u32, u32), seconds: u32) -> Option<u32> {
    let (year, month, day) = date;
    let (year, month) = if month == 0 { (year - 1, 12) } else { (year, month) };
    let days = days_before(year, month) + i64::from(day) - 1;
    let stamp = days * i64::from(DAY) + i64::from(seconds);
    u32::try_from(stamp).ok().filter(|_| rest.is_empty())
}

const fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const MONTH_LENGTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Lengths of the months of a year.
fn months(year: u32) -> impl Iterator<Item = u32> {
    let lengths = MONTH_LENGTHS.into_iter().enumerate();
    lengths.map(move |(at, days)| if at == 1 && is_leap(year) { 29 } else { days })
}

/// Days from 1970 to the first of a month (1 to 12), negative before.
fn days_before(year: u32, month: u32) -> i64 {
    let before = i64::from(year) - 1;
    let leaps = |years: i64| years / 4 - years / 100 + years / 400;
    let years = (i64::from(year) - 1970) * 365 + leaps(before) - leaps(1969);
    years + months(year).take(month.saturating_sub(1) as usize).map(i64::from).sum::<i64>()
}

/// Year, month and day of the month of a day since 1970.
fn civil(mut days: u32) -> (u32, u32, u32) {
    let mut year = 1970;
    let length = |year| if is_leap(year) { 366 } else { 365 };
    // A second of 32 bits, plus a day: not beyond the year 2107.
    while days >= length(year) {
        days -= length(year);
        year += 1;
    }
    let mut month = 1;
    for length in months(year) {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

impl Time {
    /// Whether a moment, in seconds since 1970 in the zone of the rule, fits.
    fn fits(&self, stamp: i64) -> bool {
        if stamp < self.date_start.into() || stamp > self.date_stop.into() {
            return false;
        }
        let Ok(stamp) = u32::try_from(stamp) else { return false };
        let second = stamp % DAY;
        let mut day = stamp / DAY;
        if self.day_start < self.day_stop {
            if second < self.day_start || second > self.day_stop {
                return false;
            }
        } else {
            if second < self.day_start && second > self.day_stop {
                return false;
            }
            if self.contiguous && second <= self.day_stop {
                // On the first day ever there is none before.
                day = day.saturating_sub(1);
            }
        }
        // 1970 began on a Thursday.
        let weekday = (day + 3) % 7 + 1;
        let (_, _, month_day) = civil(day);
        self.weekdays >> weekday & 1 == 1 && self.month_days >> month_day & 1 == 1
    }

    fn weekday_names(&self) -> Vec<&'static str> {
        let names = WEEKDAY_NAMES.iter().enumerate();
        names.filter(|(at, _)| self.weekdays >> (at + 1) & 1 == 1).map(|(_, name)| *name).collect()
    }

    fn month_days(&self) -> impl Iterator<Item = u32> {
        (1..=31).filter(|day| self.month_days >> day & 1 == 1)
    }

    const fn has_times(&self) -> bool {
        self.day_start != 0 || self.day_stop != DAY - 1
    }
}

fn clock(second: u32) -> String {
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// `2020-02-03`, what is given, `04:05:06`.
fn moment(stamp: u32, between: char) -> String {
    let (year, month, day) = civil(stamp / DAY);
    format!("{year:04}-{month:02}-{day:02}{between}{}", clock(stamp % DAY))
}

/// The ending of a number in a listing: 11st, 12nd and 13rd among them.
const fn ordinal(day: u32) -> &'static str {
    match day % 10 {
        1 => "st",
        2 => "nd",
        3 => "rd",
        _ => "th",
    }
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(",")
}

impl Match for Time {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        const NANOSECONDS: u64 = 1_000_000_000;
        let seconds = i64::try_from(traversal.now.0 / NANOSECONDS).unwrap_or(i64::MAX);
        if !self.kernel_zone {
            return self.fits(seconds).into();
        }
        match traversal.host.minutes_west() {
            Some(minutes) => self.fits(seconds - i64::from(minutes) * 60).into(),
            None => Answer::Unknown,
        }
    }

    fn print(&self, out: &mut String) {
        if self.has_times() {
            let (start, stop) = (clock(self.day_start), clock(self.day_stop));
            let _ = write!(out, " --timestart {start} --timestop {stop}");
        }
        if self.month_days != ALL_MONTH_DAYS {
            let days = joined(self.month_days().map(|day| format!("{day}")));
            let _ = write!(out, " --monthdays {days}");
        }
        if self.weekdays != ALL_WEEKDAYS {
            let _ = write!(out, " --weekdays {}", self.weekday_names().join(","));
        }
        for (option, date) in [("datestart", self.date_start), ("datestop", self.date_stop)] {
            if date != 0 {
                let _ = write!(out, " --{option} {}", moment(date, 'T'));
            }
        }
        if self.kernel_zone {
            out.push_str(" --kerneltz");
        }
        if self.contiguous {
            out.push_str(" --contiguous");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" TIME");
        if self.has_times() {
            let _ = write!(out, " from {} to {}", clock(self.day_start), clock(self.day_stop));
        }
        if self.weekdays != ALL_WEEKDAYS {
            let _ = write!(out, " on {}", self.weekday_names().join(","));
        }
        if self.month_days != ALL_MONTH_DAYS {
            let days = joined(self.month_days().map(|day| format!("{day}{}", ordinal(day))));
            let _ = write!(out, " on {days}");
        }
        if self.date_start != 0 {
            let _ = write!(out, " starting from {}", moment(self.date_start, ' '));
        }
        if self.date_stop != LAST_DATE {
            out.push_str(" until date");
            if self.date_stop != 0 {
                let _ = write!(out, " {}", moment(self.date_stop, ' '));
            }
        }
        if !self.kernel_zone {
            out.push_str(" UTC");
        }
        if self.contiguous {
            out.push_str(" contiguous");
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let zone = if self.kernel_zone { "in the kernel's time zone" } else { "UTC" };
        if self.has_times() {
            let (start, stop) = (clock(self.day_start), clock(self.day_stop));
            let over = if self.day_start >= self.day_stop { " over midnight" } else { "" };
            out.push(Piece::Condition(format!(
                "it comes between {start} and {stop}{over} (both included, {zone})"
            )));
        }
        if self.weekdays != ALL_WEEKDAYS {
            let names = or_list(&self.weekday_names());
            out.push(Piece::Condition(format!("it comes on {names} ({zone})")));
        }
        if self.month_days != ALL_MONTH_DAYS {
            let days: Vec<String> = self.month_days().map(|day| format!("{day}")).collect();
            let days: Vec<&str> = days.iter().map(String::as_str).collect();
            let text = format!("it comes on day {} of a month ({zone})", or_list(&days));
            out.push(Piece::Condition(text));
        }
        if self.date_start != 0 {
            let start = moment(self.date_start, ' ');
            out.push(Piece::Condition(format!("it does not come before {start} ({zone})")));
        }
        let stop = moment(self.date_stop, ' ');
        out.push(Piece::Condition(format!("it does not come after {stop} ({zone})")));
        if self.date_start > self.date_stop {
            out.push(Piece::Caution("It begins after it ends: the rule never matches.".into()));
        }
        if self.has_times() && self.day_start > self.day_stop && !self.contiguous {
            out.push(Piece::Note(
                "Over midnight the hours after it count as the new day; `--contiguous` would let them \
                 belong to the day before."
                    .into(),
            ));
        }
        if self.kernel_zone {
            out.push(Piece::Caution(
                "The kernel's time zone is a fixed offset that is seldom set and knows no summer time."
                    .into(),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, check, ipv4, listed, saved};
    use super::*;
    use keepstate_packet::{Family, Instant};

    const STOP: &str = " --datestop 2038-01-19T03:14:07";

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    ("-m time", "-m time --datestop 2038-01-19T03:14:07", " TIME UTC", "="),
                    (
                        "-m time --timestart 01:02:03 --timestop 04:05:06 --monthdays 1,2,3,4,5 --weekdays Mon,Fri,Sun --datestart 2001-02-03T04:05:06 --datestop 2012-09-08T09:06:05 --kerneltz",
                        "=",
                        " TIME from 01:02:03 to 04:05:06 on Mon,Fri,Sun on 1st,2nd,3rd,4th,5th starting from 2001-02-03 04:05:06 until date 2012-09-08 09:06:05",
                        "=",
                    ),
                    (
                        "-m time --timestart 05:00 --timestop 04:05:06 --contiguous",
                        "-m time --timestart 05:00:00 --timestop 04:05:06 --datestop 2038-01-19T03:14:07 --contiguous",
                        " TIME from 05:00:00 to 04:05:06 UTC contiguous",
                        "=",
                    ),
                    (
                        "-m time --utc --datestop 2038-01-19T03:14:08",
                        "-m time --datestop 2038-01-19T03:14:08",
                        " TIME until date 2038-01-19 03:14:08 UTC",
                        "=",
                    ),
                    ("-m time --timestop 04:05:06 --contiguous", "", "", ""),
                    ("-m time --contiguous", "", "", ""),
                    ("-m time --utc --kerneltz", "", "", ""),
                    ("-m time --localtz --utc", "", "", ""),
                    ("-m time --kerneltz --kerneltz", "", "", ""),
                    ("-m time ! --timestart 08:09", "", "", ""),
                ],
            );
        }
    }

    /// The value of an option as it is saved; none where it is not or is refused.
    fn value(option: &str, text: &str) -> Option<String> {
        let rule = saved(Family::V4, &format!("-m time {option} \"{text}\"")).ok()?;
        let option = option.trim_start_matches("! ");
        let (_, after) = rule.split_once(&format!("{option} "))?;
        Some(after.split(' ').next()?.into())
    }

    #[test]
    fn times_of_day_and_dates_are_read_as_iptables_reads_them() {
        for (text, wanted) in [
            ("1:2", "01:02:00"),
            ("012:30:", "12:30:00"),
            (":3", "00:03:00"),
            (" +1:2:3", "01:02:03"),
            ("24:00", ""),
            ("23:60", ""),
            ("23:59:60", ""),
            ("12", ""),
            ("12:30x", ""),
            ("-1:00", ""),
            ("0x10:00", ""),
            ("1 :2", ""),
            ("1:2:3:4", ""),
            ("", ""),
        ] {
            let wanted = Some(String::from(wanted)).filter(|wanted| !wanted.is_empty());
            assert_eq!(value("--timestart", text), wanted, "{text}");
        }
        for (text, wanted) in [
            ("2020", "2020-01-01T00:00:00"),
            ("2020-02", "2020-02-01T00:00:00"),
            ("2020-02-30", "2020-03-01T00:00:00"),
            ("2020-2-3T1:2:3", "2020-02-03T01:02:03"),
            ("2020-", "2019-12-01T00:00:00"),
            ("2020-00-00", "2019-11-30T00:00:00"),
            ("2020-02-00", "2020-01-31T00:00:00"),
            ("2020-02-03T", "2020-02-03T00:00:00"),
            ("2020-02-03T:06", "2020-02-03T00:06:00"),
            ("2000-02-29", "2000-02-29T00:00:00"),
            ("2038-12-31T23:59:59", "2038-12-31T23:59:59"),
            ("1970-01-01T00:00:01", "1970-01-01T00:00:01"),
            ("1969", ""),
            ("2039", ""),
            ("1970-00", ""),
            ("1970-01-00T23", ""),
            ("2020-13", ""),
            ("2020-02-32", ""),
            ("2020-02-03T24", ""),
            ("2020-02-03T05:60", ""),
            ("2020-02-03T05:06:60", ""),
            ("2020-02-03t05", ""),
            ("2020-02-03T05:06:07Z", ""),
            ("2020-02x", ""),
            ("20200203", ""),
            ("", ""),
        ] {
            let wanted = Some(String::from(wanted)).filter(|wanted| !wanted.is_empty());
            assert_eq!(value("--datestart", text), wanted, "{text}");
        }
    }

    #[test]
    fn days_are_read_as_iptables_reads_them() {
        for (option, text, wanted) in [
            ("--weekdays", "Su,Monday,3,", "Mon,Wed,Sun"),
            ("! --weekdays", "Mo", "Tue,Wed,Thu,Fri,Sat,Sun"),
            ("--monthdays", "31,05, 2", "2,5,31"),
        ] {
            assert_eq!(value(option, text).as_deref(), Some(wanted), "{text}");
        }
        for bad in [
            "--weekdays mo",
            "--weekdays 0",
            "--weekdays Mx",
            "--weekdays 1x",
            "--weekdays Mo,,Tu",
            "--monthdays 32",
            "--monthdays 1-5",
            "--monthdays x",
        ] {
            assert!(saved(Family::V4, &format!("-m time {bad}")).is_err(), "{bad}");
        }
        // All of them are none worth a word; none of them are printed as nothing.
        for all in ["--weekdays 1,2,3,4,5,6,7", "--datestart 1970-01-01", "--timestop 23:59:59"] {
            assert_eq!(saved(Family::V4, &format!("-m time {all}")), Ok(format!("-m time{STOP}")));
        }
        for none in ["8", "! 1,2,3,4,5,6,7"] {
            let (not, days) = none.strip_prefix("! ").map_or(("", none), |days| ("! ", days));
            let rule = format!("-m time {not}--weekdays {days}");
            assert_eq!(saved(Family::V4, &rule), Ok(format!("-m time --weekdays {STOP}")));
            assert_eq!(listed(Family::V4, &rule)[0], " TIME on  UTC");
        }
        let rule = "-m time --datestop 1970-01-01";
        assert_eq!(saved(Family::V4, rule).as_deref(), Ok("-m time"));
        assert_eq!(listed(Family::V4, rule)[0], " TIME until date UTC");
        let rule = "-m time --monthdays 11,12,13,21";
        assert_eq!(listed(Family::V4, rule)[0], " TIME on 11st,12nd,13rd,21st UTC");
    }

    fn fits(rule: &str, at: &str) -> bool {
        let mut bench = Bench::new(Family::V4, &format!("-m time {rule}"));
        bench.now = Instant(u64::from(date(at).expect("a date")) * 1_000_000_000 + 999_999_999);
        bench.answer(&ipv4(17, &[0; 8])) == Answer::Yes
    }

    #[test]
    fn both_ends_are_included() {
        for (rule, at, wanted) in [
            ("--datestart 2020-02-03T04:05:06", "2020-02-03T04:05:05", false),
            ("--datestart 2020-02-03T04:05:06", "2020-02-03T04:05:06", true),
            ("--datestop 2020-02-03T04:05:06", "2020-02-03T04:05:06", true),
            ("--datestop 2020-02-03T04:05:06", "2020-02-03T04:05:07", false),
            ("", "2038-01-19T03:14:07", true),
            ("", "2038-01-19T03:14:08", false),
            ("--timestart 08:00 --timestop 09:00", "2020-05-05T07:59:59", false),
            ("--timestart 08:00 --timestop 09:00", "2020-05-05T08:00", true),
            ("--timestart 08:00 --timestop 09:00", "2020-05-05T09:00", true),
            ("--timestart 08:00 --timestop 09:00", "2020-05-05T09:00:01", false),
            ("--timestart 23:00 --timestop 01:00", "2020-05-05T23:00", true),
            ("--timestart 23:00 --timestop 01:00", "2020-05-05T01:00", true),
            ("--timestart 23:00 --timestop 01:00", "2020-05-05T01:00:01", false),
            ("--timestart 23:00 --timestop 01:00", "2020-05-05T22:59:59", false),
            // The same time twice is the whole day.
            ("--timestart 05:00 --timestop 05:00", "2020-05-05T17:00", true),
            ("--weekdays Thu", "1970-01-01T00:00:01", true),
            ("--weekdays Tue", "2020-02-04T12:00", true),
            ("! --weekdays Tue", "2020-02-04T12:00", false),
            ("--monthdays 29", "2000-02-29T12:00", true),
            ("--monthdays 1", "2001-03-01T00:00", true),
            ("--monthdays 31", "2020-12-31T23:59:59", true),
            ("--monthdays 30", "2020-12-31T23:59:59", false),
            // 2020-02-03 was a Monday.
            ("--weekdays Mo --timestart 23:00 --timestop 01:00", "2020-02-04T00:30", false),
            ("--weekdays Mo --timestart 23:00 --timestop 01:00", "2020-02-03T00:30", true),
            (
                "--weekdays Mo --timestart 23:00 --timestop 01:00 --contiguous",
                "2020-02-04T00:30",
                true,
            ),
            (
                "--weekdays Mo --timestart 23:00 --timestop 01:00 --contiguous",
                "2020-02-03T00:30",
                false,
            ),
            (
                "--weekdays Mo --timestart 23:00 --timestop 01:00 --contiguous",
                "2020-02-03T23:30",
                true,
            ),
            (
                "--monthdays 29 --timestart 23:00 --timestop 01:00 --contiguous",
                "2020-03-01T00:30",
                true,
            ),
        ] {
            assert_eq!(fits(rule, at), wanted, "{rule} at {at}");
        }
    }

    #[test]
    fn every_day_has_its_date() {
        let mut day = 0;
        for year in 1970..=2106 {
            for (month, length) in (1..).zip(months(year)) {
                assert_eq!(days_before(year, month), i64::from(day));
                for date in 1..=length {
                    assert_eq!(civil(day), (year, month, date));
                    day += 1;
                }
            }
        }
    }

    #[test]
    fn the_kernel_s_zone_is_the_host_model_s_to_tell() {
        let at = Instant(u64::from(date("2020-02-03T12:00").expect("a date")) * 1_000_000_000);
        for (minutes, wanted) in [
            (None, Answer::Unknown),
            (Some(-60), Answer::Yes),
            (Some(0), Answer::No),
            (Some(60), Answer::No),
        ] {
            let mut bench = Bench::new(Family::V4, "-m time --kerneltz --timestart 13:00");
            bench.now = at;
            bench.host.minutes_west = minutes;
            assert_eq!(bench.answer(&ipv4(17, &[0; 8])), wanted, "{minutes:?}");
        }
    }
}

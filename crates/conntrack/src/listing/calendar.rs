//! Instants as dates, UTC.

use core::fmt;
use keepstate_packet::Instant;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: u64,
    /// 1 to 12.
    pub(super) month: u64,
    /// 1 to 31.
    pub(super) day: u64,
    /// 0 is Sunday.
    pub(super) weekday: u64,
    pub(super) hour: u64,
    pub(super) minute: u64,
    pub(super) second: u64,
}

impl Date {
    pub(super) fn of(instant: Instant) -> Self {
        let seconds = instant.0 / 1_000_000_000;
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        // Days since 1 March of the year 0, so that a leap day is the last of its year.
        let days_since = days + 719_468;
        let (era, of_era) = (days_since / 146_097, days_since % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Self {
            year: 400 * era + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            weekday: (days + 4) % 7,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }
}

/// `Tue Nov 24 00:17:19 2026`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weekday = DAYS.get(self.weekday as usize).copied().unwrap_or("");
        let month = MONTHS.get(self.month.saturating_sub(1) as usize).copied().unwrap_or("");
        let Self { day, hour, minute, second, year, .. } = self;
        write!(f, "{weekday} {month} {day:>2} {hour:02}:{minute:02}:{second:02} {year}")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn dates_as_ctime_prints_them() {
        let text = |seconds: u64| Date::of(Instant(seconds * 1_000_000_000)).to_string();
        assert_eq!(text(0), "Thu Jan  1 00:00:00 1970");
        assert_eq!(text(1_795_479_439), "Tue Nov 24 00:17:19 2026");
        assert_eq!(text(951_782_400), "Tue Feb 29 00:00:00 2000");
        assert_eq!(text(4_107_542_399), "Sun Feb 28 23:59:59 2100");
        assert_eq!(text(4_107_542_400), "Mon Mar  1 00:00:00 2100");
    }
}

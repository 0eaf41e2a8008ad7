//! The time of day where this machine is (tzset(3)).

/// A time of day, by the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// As people count years.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 6, from Sunday.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

/// The local time of `seconds` since 1970 UTC; `None` where the year does not fit.
#[must_use]
pub fn local(seconds: i64) -> Option<Civil> {
    // SAFETY: all zeros is a value of this struct of numbers and a pointer.
    let mut found: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the types that the function wants.
    if unsafe { libc::localtime_r(&raw const seconds, &raw mut found) }.is_null() {
        return None;
    }
    let small = |value: libc::c_int| u8::try_from(value).ok();
    Some(Civil {
        year: i64::from(found.tm_year) + 1900,
        month: small(found.tm_mon + 1)?,
        day: small(found.tm_mday)?,
        weekday: small(found.tm_wday)?,
        hour: small(found.tm_hour)?,
        minute: small(found.tm_min)?,
        second: small(found.tm_sec)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_after_a_moment_is_the_same_weekday_and_time() {
        // In no zone does summer time begin or end in these weeks of January.
        let first = local(1_735_992_000).unwrap();
        let second = local(1_735_992_000 + 7 * 86_400 + 61).unwrap();
        assert_eq!((first.year, first.month), (2025, 1));
        assert_eq!((first.weekday, first.day + 7), (second.weekday, second.day));
        assert_eq!((first.second + 1) % 60, second.second);
        assert_eq!(local(i64::MAX), None);
    }
}

//! `http_date`: the moment that a date of HTTP names.

use chrono::{DateTime, Datelike, Months, NaiveDateTime, Utc};

/// A year of two digits is at most so many years ahead.
const YEARS_AHEAD: u32 = 50;

/// Reads a date in each of its three forms
/// ([RFC 9110 §5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7)). `now` says which century a year
/// of two digits is in.
pub(crate) fn http_date(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let fixed = DateTime::parse_from_rfc2822(text).ok().map(|date| date.to_utc());
    fixed.or_else(|| of_rfc850(text, now)).or_else(|| of_asctime(text))
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`: in the latest year that it may be. The name of the day says no more.
fn of_rfc850(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (_day, text) = text.split_once(", ")?;
    let date = NaiveDateTime::parse_from_str(text, "%d-%b-%y %H:%M:%S GMT").ok()?;
    let latest = now.checked_add_months(Months::new(12 * YEARS_AHEAD))?;
    let century = latest.year() - latest.year().rem_euclid(100);
    let year = century + date.year().rem_euclid(100);
    let dates = [year, year - 100].into_iter().filter_map(|year| date.with_year(year));
    dates.map(|date| date.and_utc()).find(|date| *date <= latest)
}

/// `Sun Nov  6 08:49:37 1994`.
fn of_asctime(text: &str) -> Option<DateTime<Utc>> {
    let date = NaiveDateTime::parse_from_str(text, "%a %b %e %H:%M:%S %Y").ok()?;
    Some(date.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// 1994-11-06T08:49:37Z.
    const EXAMPLE: i64 = 784_111_777;

    #[test]
    fn each_form_names_the_same_moment() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            " Sun Nov 06 08:49:37 1994 ",
        ] {
            for now in [EXAMPLE, EXAMPLE + 30 * 365 * 86_400] {
                assert_eq!(http_date(text, at(now)), Some(at(EXAMPLE)), "{text} at {now}");
            }
        }
        for text in [
            "",
            "soon",
            "784111777",
            "Sunday, 06-Nov-94",
            "Sunday, 06-Nov-94 08:49:37",
            "Sunday, 31-Nov-94 08:49:37 GMT",
            "06-Nov-94 08:49:37 GMT",
            "Sun Nov 31 08:49:37 1994",
            "Sun Nov  6 08:49:37 1994 and more",
        ] {
            assert_eq!(http_date(text, at(EXAMPLE)), None, "{text}");
        }
    }

    #[test]
    fn a_year_of_two_digits_is_the_latest_that_is_at_most_fifty_years_ahead() {
        for (text, now, expected) in [
            ("Sunday, 06-Nov-44 08:49:37 GMT", EXAMPLE, 2_362_034_977),
            ("Monday, 06-Nov-44 08:49:38 GMT", EXAMPLE, -793_725_022),
            // In 2070.
            ("Thursday, 01-Jan-05 00:00:00 GMT", 3_155_760_000, 4_260_211_200),
            // In 2060: 2100 is no leap year.
            ("Tuesday, 29-Feb-00 00:00:00 GMT", 2_840_140_800, 951_782_400),
        ] {
            assert_eq!(http_date(text, at(now)), Some(at(expected)), "{text}");
        }
    }
}

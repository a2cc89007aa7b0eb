//! Days and moments (spec section 2.5).
//!
//! A day is what people write on a form, at the place where it happened; a moment is what a
//! machine's clock said. The two are only compared through the ledger's own offset from UTC.

use std::fmt;
use std::str::FromStr;

use bincode::de::Decoder;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use jiff::civil;
use serde::{Serialize, Serializer};

use super::encoding::{Malformed, never_borrows};

/// A calendar day, encoded as an i32: days since 1970-01-01, from 1900-01-01 to 2200-12-31.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
pub struct Date(i32);

const FIRST: i32 = -25_567;
const LAST: i32 = 84_370;
const EPOCH: civil::Date = civil::date(1970, 1, 1);

impl Date {
    /// # Errors
    /// `date/out-of-range`.
    pub fn from_days(days_since_1970: i32) -> Result<Self, Malformed> {
        if (FIRST..=LAST).contains(&days_since_1970) {
            Ok(Self(days_since_1970))
        } else {
            Err(Malformed::new("date/out-of-range"))
        }
    }

    /// Days from `earlier` to this day; negative when this day comes first.
    pub fn days_since(self, earlier: Date) -> i32 {
        self.0 - earlier.0
    }

    /// The day so many days later.
    pub fn plus_days(self, days: u16) -> Date {
        Date((self.0 + i32::from(days)).min(LAST))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = EPOCH.saturating_add(jiff::Span::new().days(i64::from(self.0)));
        f.pad(&format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()))
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Date {
    type Err = Malformed;

    /// Reads `YYYY-MM-DD`.
    ///
    /// # Errors
    /// `date/malformed`, `date/out-of-range`.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::new("date/malformed");
        if text.len() != 10 {
            return Err(malformed);
        }
        let date: civil::Date = text.parse().map_err(|_| malformed)?;
        let days = date.since(EPOCH).map_err(|_| malformed)?.get_days();
        Self::from_days(days)
    }
}

impl<C> Decode<C> for Date {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self::from_days(i32::decode(decoder)?)?)
    }
}

never_borrows! { [] Date; }

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A moment: milliseconds since 1970-01-01T00:00:00Z, encoded as a u64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct UnixMs(pub u64);

impl UnixMs {
    /// The moment so many seconds after 1970 began; one beyond all counting is the last.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The day on which this moment falls, so many minutes east of UTC.
    pub fn date(self, offset_minutes: i16) -> Date {
        let minutes = i64::try_from(self.0 / 60_000).unwrap_or(i64::MAX);
        let days = minutes.saturating_add(i64::from(offset_minutes)).div_euclid(1440);
        let last = i64::from(LAST);
        Date(i32::try_from(days.min(last)).expect("bounded by the last day"))
    }
}

impl fmt::Display for UnixMs {
    /// `YYYY-MM-DD hh:mm:ss UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000 % 86_400;
        let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        f.pad(&format!("{} {h:02}:{m:02}:{s:02} UTC", self.date(0)))
    }
}

impl Serialize for UnixMs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        // Independent: `date -u -d 2020-01-30 +%s` = 1580342400 = 18291 days.
        assert_eq!("2020-01-30".parse::<Date>().unwrap(), Date(18_291));
        assert_eq!(Date(18_291).to_string(), "2020-01-30");
        assert_eq!("1900-01-01".parse::<Date>().unwrap(), Date(FIRST));
        assert_eq!("2200-12-31".parse::<Date>().unwrap(), Date(LAST));
        for text in ["2020-02-30", "20-01-01", "2020-1-1", "2020-01-30T00", "2201-01-01"] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_falls_on_the_day_of_the_place() {
        let evening = UnixMs(1_580_342_400_000 - 1);
        assert_eq!(evening.date(0).to_string(), "2020-01-29");
        assert_eq!(evening.date(480).to_string(), "2020-01-30");
        assert_eq!(evening.to_string(), "2020-01-29 23:59:59 UTC");
    }
}

//! `expires_in` as providers really send it.

use serde_json::Value;

/// What an `expires_in` says
/// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Absent, `null`, empty, or zero (Mailchimp's "never").
    Unknown,
    /// Not a number at all: unknown, and worth a warning.
    NotANumber,
    /// Whole seconds, saturating; negative in stored tokens that are past it.
    Seconds(i64),
}

impl Lifetime {
    /// Reads a member of a JSON object; a form's value comes as a string. Parts of a second are left out:
    /// nothing is used for longer than it lives.
    pub(crate) fn read(value: &Value) -> Self {
        Self::rounded(value, f64::floor)
    }

    /// Reads a wait. Parts of a second are rounded up: nothing is asked for too early.
    pub(crate) fn read_wait(value: &Value) -> Self {
        Self::rounded(value, f64::ceil)
    }

    fn rounded(value: &Value, round: fn(f64) -> f64) -> Self {
        match value {
            Value::Null => Self::Unknown,
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(seconds), _) => Self::of_integer(seconds),
                (None, Some(seconds)) => Self::of_float(seconds, round),
                (None, None) => Self::NotANumber,
            },
            // PayPal, Azure AD and the documentation of requests-oauthlib send a string.
            Value::String(text) => Self::of_text(text.trim(), round),
            _ => Self::NotANumber,
        }
    }

    /// The seconds, where they are known.
    pub(crate) fn seconds(self) -> Option<i64> {
        match self {
            Self::Seconds(seconds) => Some(seconds),
            Self::Unknown | Self::NotANumber => None,
        }
    }

    fn of_text(text: &str, round: fn(f64) -> f64) -> Self {
        // Rust reads "inf" and "nan" as floats; no provider means them.
        let numeric = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        if text.is_empty() {
            Self::Unknown
        } else if let Ok(seconds) = text.parse::<i64>() {
            Self::of_integer(seconds)
        } else if let Some(seconds) = text.parse::<f64>().ok().filter(|_| numeric) {
            Self::of_float(seconds, round)
        } else {
            Self::NotANumber
        }
    }

    fn of_integer(seconds: i64) -> Self {
        if seconds == 0 { Self::Unknown } else { Self::Seconds(seconds) }
    }

    fn of_float(seconds: f64, round: fn(f64) -> f64) -> Self {
        if seconds == 0.0 {
            Self::Unknown
        } else {
            // A cast from float to integer saturates.
            #[allow(clippy::cast_possible_truncation)]
            Self::Seconds(round(seconds) as i64)
        }
    }
}

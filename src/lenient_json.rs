//! `LenientJson`: JSON from elsewhere, read so that no member costs another one.
//!
//! What serde_json refuses in one value is replaced, if the whole is JSON otherwise: half of a surrogate pair
//! by U+FFFD, as Python writes a name that was cut inside an emoji; a number that is out of range (`1e400`) or
//! not one of JSON (`NaN`) by its text; what is nested too deep by `null`. What was read is written as JSON
//! that every reader takes.

use std::fmt;

use secrecy::zeroize::Zeroizing;
use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// How many levels of lists and objects serde_json reads.
const DEEPEST: usize = 127;

/// Reads JSON, as a type that is made of JSON's own; also behind a byte-order mark.
///
/// # Errors
///
/// That of the text as it is.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read = serde_json::from_str(text);
    read.or_else(|error| serde_json::from_str(&mend(text)).map_err(|_| error))
}

/// The text with what serde_json refuses replaced.
fn mend(text: &str) -> Zeroizing<String> {
    let mut mended = Zeroizing::new(String::with_capacity(text.len()));
    let (mut depth, mut rest) = (0_usize, text);
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(token_length(rest, first));
        rest = after;
        let outer = depth;
        match first {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match first {
            _ if outer == DEEPEST && depth > DEEPEST => mended.push_str("null"),
            _ if outer > DEEPEST => {}
            '"' => mended.push_str(&string(token)),
            _ if is_number_as_text(token) => mended.push_str(&Value::from(token).to_string()),
            _ => mended.push_str(token),
        }
    }
    mended
}

/// Reads of an object whose text is cut off, or has something behind it, the members that are whole.
pub(crate) fn read_cut_object(text: &str) -> Option<Map<String, Value>> {
    let (mut depth, mut rest, mut whole) = (0_usize, text, "");
    let mut all = text;
    while let Some(first) = rest.chars().next() {
        let before = &text[..text.len() - rest.len()];
        match first {
            '{' | '[' => depth += 1,
            '}' | ']' if depth == 1 => {
                all = before;
                break;
            }
            '}' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 1 => whole = before,
            _ => {}
        }
        rest = &rest[token_length(rest, first)..];
    }
    [all, whole].into_iter().find_map(|members| read(&Zeroizing::new(format!("{members}}}"))).ok())
}

/// The length of the token that the text begins with: a string, a number or a word, or one character.
fn token_length(text: &str, first: char) -> usize {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if first == '"' {
        let mut is_escaped = true;
        let end = text.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        end.map_or(text.len(), |end| end + 1)
    } else if is_word(first) {
        text.find(|c| !is_word(c)).unwrap_or(text.len())
    } else {
        first.len_utf8()
    }
}

/// Whether it is a number, and none that serde_json reads.
fn is_number_as_text(token: &str) -> bool {
    token.parse::<f64>().is_ok() && serde_json::from_str::<Value>(token).is_err()
}

/// The string with escapes that are good. Half of a surrogate pair is U+FFFD.
fn string(token: &str) -> Zeroizing<String> {
    let Some(text) = token.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Zeroizing::new(token.to_owned());
    };
    let mut units: Zeroizing<Vec<u16>> = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        let c = match escaped {
            None => c,
            Some('u') => {
                let unit =
                    chars.as_str().get(..4).and_then(|hex| u16::from_str_radix(hex, 16).ok());
                if let Some(unit) = unit {
                    units.push(unit);
                    chars = chars.as_str()[4..].chars();
                    continue;
                }
                char::REPLACEMENT_CHARACTER
            }
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(other) => other,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    Zeroizing::new(Value::from(String::from_utf16_lossy(&units)).to_string())
}

/// Any JSON: a text of it is read as [`read`] does. Another format is read as it is.
pub(crate) struct LenientJson(pub(crate) Value);

/// The name by which serde_json is asked for a value as its text; other formats do not know it.
const AS_TEXT: &str = "$serde_json::private::RawValue";

impl<'de> Deserialize<'de> for LenientJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AS_TEXT, AnyJson).map(Self)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        Value::deserialize(inner)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == AS_TEXT {
                let text = Zeroizing::new(map.next_value::<String>()?);
                return read(&text).map_err(A::Error::custom);
            }
            members.insert(name, map.next_value()?);
        }
        Ok(Value::Object(members))
    }

    // An error would show it.
    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(depth: usize, inner: &str) -> String {
        "[".repeat(depth) + inner + &"]".repeat(depth)
    }

    #[test]
    fn what_one_value_has_costs_no_other() {
        for (member, read_as) in [
            (r#""Bob \ud83d""#, json!("Bob \u{fffd}")),
            (r#""\ud83d\ud83d\ude00\ude00""#, json!("\u{fffd}😀\u{fffd}")),
            (r#""\udc00x\\ud83d\"""#, json!("\u{fffd}x\\ud83d\"")),
            (r#""\ud83d\u00e9 😀\n\t\r\b\f\/""#, json!("\u{fffd}é 😀\n\t\r\u{8}\u{c}/")),
            (r#""\u12 \x \ud83d""#, json!("\u{fffd}12 x \u{fffd}")),
            ("\"two\nlines\"", json!("two\nlines")),
            (r#"{"\ud83d":{"n":-1e400,"m":7}}"#, json!({"\u{fffd}": {"n": "-1e400", "m": 7}})),
            ("[1e400,1e30,-2,null,true]", json!(["1e400", 1e30, -2, null, true])),
            ("[NaN,Infinity,-Infinity]", json!(["NaN", "Infinity", "-Infinity"])),
        ] {
            let text = format!(r#"{{"first":"a","x":{member},"last":[1]}}"#);
            let expected = json!({"first": "a", "x": read_as, "last": [1]});
            assert_eq!(read::<Value>(&text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_it() {
        assert_eq!(read::<Value>("\u{feff} {\"a\":NaN}").unwrap(), json!({"a": "NaN"}));
        read::<Value>("\u{feff}\u{feff}{}").unwrap_err();
    }

    #[test]
    fn what_is_nested_too_deep_is_null() {
        for depth in [DEEPEST, DEEPEST + 1, 100_000] {
            let text = format!(r#"[{},{{"n":1e400}}]"#, nested(depth, r#"{"]":"[]"}"#));
            let deepest = nested(DEEPEST - 1, "null");
            let expected = format!(r#"[{deepest},{{"n":"1e400"}}]"#);
            let value: Value = read(&text).unwrap();
            assert_eq!(value.to_string(), expected, "{depth}");
            serde_json::from_str::<Value>(&expected).unwrap();
        }
        let fits = nested(DEEPEST, "7");
        assert_eq!(read::<Value>(&fits).unwrap().to_string(), fits);
    }

    #[test]
    fn what_is_no_json_is_the_error_of_the_text_as_it_is() {
        for text in [
            "",
            "{",
            r#"{"a":"b"#,
            r#"{"a":"b\"#,
            r#"{"a":"\ud83d"#,
            r#"{"a":1e400"#,
            r#"{"a":undefined}"#,
            r#"{"a":1} x"#,
            "{'a':1}",
            "\u{e9}",
            r#"["\ud83d"}"#,
        ] {
            let error = read::<Value>(text).unwrap_err();
            let strict = serde_json::from_str::<Value>(text).unwrap_err();
            assert_eq!(error.to_string(), strict.to_string(), "{text}");
        }
    }

    #[test]
    fn the_type_reads_a_text_so_and_other_formats_as_they_are() {
        let expected = json!({"a": "\u{fffd}", "n": "1e400"});
        let text = r#"{"a":"\ud83d","n":1e400}"#;
        let of_text = serde_json::from_str::<LenientJson>(text).unwrap();
        let of_reader = serde_json::from_reader::<_, LenientJson>(text.as_bytes()).unwrap();
        let of_value = serde_json::from_value::<LenientJson>(expected.clone()).unwrap();
        let pairs = [("a", "\u{fffd}"), ("n", "1e400")].into_iter();
        let map = serde::de::value::MapDeserializer::<_, serde::de::value::Error>::new(pairs);
        let of_map = LenientJson::deserialize(map).unwrap();
        for read in [of_text, of_reader, of_value, of_map] {
            assert_eq!(read.0, expected);
        }
        // Within what is read to its end first.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            It(LenientJson),
        }
        let Either::It(read) = serde_json::from_str(r#"{"a":["b"]}"#).unwrap();
        assert_eq!(read.0, json!({"a": ["b"]}));
    }

    #[test]
    fn no_error_shows_the_text() {
        let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new("s3cret");
        assert_eq!(LenientJson::deserialize(text).unwrap().0, json!("s3cret"));
        for broken in [r#"{"a":"s3cret","#, r#""s3cret" x"#, r#"{"s3cret"}"#] {
            let error = serde_json::from_str::<LenientJson>(broken).map(|read| read.0).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}

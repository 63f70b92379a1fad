//! MessagePack as text for an operator: whatever the bytes are, and never more than fits a screen.

use rmp::Marker;

use crate::msgpack::{self, Kind};

/// How long the text of a value is at most. Remarks at the end come on top.
const TEXT_CHARS_MAX: usize = 1_000;

/// How many items of a list and entries of a map are shown.
const ITEMS_MAX: u32 = 20;

/// How much of a string is shown.
const STR_CHARS_MAX: usize = 100;

/// How many bytes of a byte string are shown.
const BIN_SIZE_MAX_BYTES: usize = 16;

/// How deep a shown value is nested at most.
const DEPTH_MAX: usize = 16;

/// MessagePack as text like JSON, for a person to read: `{"add": {"by": 2}}`.
///
/// The text is about 1,000 characters at most. What is left out is said in angle brackets, as in
/// `[1, 2, <98 more>]`: lists and maps are shown up to 20 items, strings up to 100 characters,
/// bytes up to 16, as hexadecimal digits (`0x00ff`), and nothing is shown that is nested deeper
/// than 16 levels. Control characters in strings are escaped.
///
/// Any bytes have a text. Of damaged ones it is what can be read, and where the damage is:
/// `{"add": <damaged at byte 5>`. Bytes behind the value are counted, and no bytes are `<empty>`.
///
/// # Examples
/// ```
/// let bytes = dgen_codec::to_plain(&("add", vec![1, 2], serde_bytes::Bytes::new(&[0, 255])))?;
/// assert_eq!(dgen_codec::to_text(&bytes), r#"["add", [1, 2], 0x00ff]"#);
/// assert_eq!(dgen_codec::to_text(&bytes[..6]), r#"["add", [<damaged at byte 6>"#);
/// # Ok::<(), dgen_codec::PlainError>(())
/// ```
#[must_use]
pub fn to_text(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "<empty>".to_owned();
    }
    let end = msgpack::skip(bytes, 0, 1);
    let mut page = Page {
        bytes,
        at: 0,
        text: String::new(),
        chars_left: TEXT_CHARS_MAX,
    };
    let shown = page.value(DEPTH_MAX);
    let mut text = page.text;
    if shown == Err(Stop::Full) {
        text.push_str("<shortened>");
    }
    match end {
        Ok(end) if end < bytes.len() => {
            text.push_str(&format!(" <{} bytes behind the value>", bytes.len() - end));
        }
        Ok(_) => {}
        Err(at) => text.push_str(&format!("<damaged at byte {at}>")),
    }
    text
}

/// Why no more is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Damaged,
    Full,
}

/// The text so far, and how far the bytes are read.
struct Page<'a> {
    bytes: &'a [u8],
    at: usize,
    text: String,
    chars_left: usize,
}

impl<'a> Page<'a> {
    /// Shows the next value, nested no deeper than `depth`.
    fn value(&mut self, depth: usize) -> Result<(), Stop> {
        let head = msgpack::head(&self.bytes[self.at..]).map_err(|_| Stop::Damaged)?;
        let marker = Marker::from_u8(self.bytes[self.at]);
        self.at += head.size_bytes;
        match head.kind {
            Kind::Map(count) => {
                self.push("{")?;
                self.items(count, 2, depth)?;
                self.push("}")
            }
            Kind::Array(count) => {
                self.push("[")?;
                self.items(count, 1, depth)?;
                self.push("]")
            }
            Kind::Str(count) => {
                let (text, is_whole) = self.take(count.into());
                self.string(text)?;
                is_whole
            }
            Kind::Bin(count) => {
                let (bytes, is_whole) = self.take(count.into());
                self.hex(bytes)?;
                is_whole
            }
            Kind::Scalar(count) => {
                let (bytes, is_whole) = self.take(count);
                is_whole?;
                self.scalar(marker, bytes)
            }
        }
    }

    fn items(&mut self, count: u32, values_each: u32, depth: usize) -> Result<(), Stop> {
        let shown = if depth > 0 { count.min(ITEMS_MAX) } else { 0 };
        for item in 0..shown {
            if item > 0 {
                self.push(", ")?;
            }
            self.value(depth - 1)?;
            if values_each == 2 {
                self.push(": ")?;
                self.value(depth - 1)?;
            }
        }
        let rest = count - shown;
        if rest == 0 {
            return Ok(());
        }
        if shown > 0 {
            self.push(", ")?;
        }
        self.push(&format!("<{rest} more>"))?;
        let values = u64::from(rest) * u64::from(values_each);
        self.at = msgpack::skip(self.bytes, self.at, values).map_err(|_| Stop::Damaged)?;
        Ok(())
    }

    fn string(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let chars = bytes.utf8_chunks().flat_map(|chunk| {
            let valid = chunk.valid().chars().map(|c| (c, c.len_utf8()));
            let invalid = chunk.invalid();
            let replacement = (char::REPLACEMENT_CHARACTER, invalid.len());
            valid.chain((!invalid.is_empty()).then_some(replacement))
        });
        let mut rest_size_bytes = bytes.len();
        let mut shown = String::new();
        for (c, size_bytes) in chars.take(STR_CHARS_MAX) {
            shown.push(c);
            rest_size_bytes -= size_bytes;
        }
        self.push(&format!("{shown:?}"))?;
        self.rest(rest_size_bytes)
    }

    fn hex(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let shown = &bytes[..bytes.len().min(BIN_SIZE_MAX_BYTES)];
        self.push("0x")?;
        for byte in shown {
            self.push(&format!("{byte:02x}"))?;
        }
        self.rest(bytes.len() - shown.len())
    }

    fn rest(&mut self, size_bytes: usize) -> Result<(), Stop> {
        if size_bytes == 0 {
            return Ok(());
        }
        self.push(&format!("<{size_bytes} bytes more>"))
    }

    fn scalar(&mut self, marker: Marker, bytes: &[u8]) -> Result<(), Stop> {
        let text = match (marker, bytes) {
            (Marker::Null, _) => "null".to_owned(),
            (Marker::True, _) => "true".to_owned(),
            (Marker::False, _) => "false".to_owned(),
            (Marker::FixPos(number), _) => number.to_string(),
            (Marker::FixNeg(number), _) => number.to_string(),
            (Marker::F32, &[a, b, c, d]) => format!("{:?}", f32::from_be_bytes([a, b, c, d])),
            (Marker::F64, &[a, b, c, d, e, f, g, h]) => {
                format!("{:?}", f64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
            (Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64, _) => {
                let number = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
                bytes.iter().fold(0, number).to_string()
            }
            (Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64, &[first, ..]) => {
                // The sign is the first bit.
                let sign = i64::from(first.cast_signed() >> 7);
                let number = |sum: i64, byte: &u8| sum << 8 | i64::from(*byte);
                bytes.iter().fold(sign, number).to_string()
            }
            // What is left are extensions: a type, and bytes.
            (_, &[kind, ref bytes @ ..]) => {
                self.push(&format!("<extension {}: ", kind.cast_signed()))?;
                self.hex(bytes)?;
                ">".to_owned()
            }
            (_, []) => return Err(Stop::Damaged),
        };
        self.push(&text)
    }

    /// The next bytes, or as many as there are, which is damage.
    fn take(&mut self, size_bytes: u64) -> (&'a [u8], Result<(), Stop>) {
        let bytes = &self.bytes[self.at..];
        let size = usize::try_from(size_bytes).ok();
        let (taken, is_whole) = match size.and_then(|size| bytes.get(..size)) {
            Some(taken) => (taken, Ok(())),
            None => (bytes, Err(Stop::Damaged)),
        };
        self.at += taken.len();
        (taken, is_whole)
    }

    fn push(&mut self, text: &str) -> Result<(), Stop> {
        for c in text.chars() {
            self.chars_left = self.chars_left.checked_sub(1).ok_or(Stop::Full)?;
            self.text.push(c);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};
    use serde::Serialize;

    use super::*;
    use crate::{tests::value::any_value, to_plain};

    /// The longest remarks that come on top.
    const REMARKS_CHARS_MAX: usize = 80;

    fn text_of<T: Serialize + ?Sized>(value: &T) -> String {
        to_text(&to_plain(value).unwrap())
    }

    fn assert_is_short(text: &str) {
        let chars = text.chars().count();
        assert!(chars <= TEXT_CHARS_MAX + REMARKS_CHARS_MAX, "{chars}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }

    proptest! {
        /// SPEC S12: any bytes have a text, and it is short.
        #[test]
        fn arbitrary_bytes_have_a_text(bytes in vec(any::<u8>(), 0..300)) {
            assert_is_short(&to_text(&bytes));
        }

        /// SPEC S12: markers that claim to count much are believed no further than there are bytes.
        #[test]
        fn arbitrary_counts_have_a_text(
            bytes in vec(prop_oneof![0x80_u8..0xa2, 0xc1_u8..0xe1, Just(255), Just(0)], 0..300),
        ) {
            assert_is_short(&to_text(&bytes));
        }

        /// SPEC S12: a value is no damage; one that is cut off is, whatever else is left out.
        #[test]
        fn damage_is_said(value in any_value(), cut in any::<prop::sample::Index>()) {
            let bytes = to_plain(&value).unwrap();
            let text = to_text(&bytes);
            assert_is_short(&text);
            prop_assert!(!text.ends_with("behind the value>") && !text.contains("<damaged at"));
            let cut = cut.index(bytes.len());
            let text = to_text(&bytes[..cut]);
            prop_assert!(cut == 0 || text.contains("<damaged at byte "), "{}", text);
            assert_is_short(&text);
        }
    }

    /// SPEC S9: what a message says can be read.
    #[test]
    fn values_read_well() {
        #[derive(Serialize)]
        enum Message {
            Add { by: i32 },
            Stop,
        }
        assert_eq!(text_of(&Message::Add { by: 2 }), r#"{"Add": {"by": 2}}"#);
        assert_eq!(text_of(&Message::Stop), r#""Stop""#);
        assert_eq!(
            text_of(&(true, false, (), None::<u8>, Some("x\n\"\u{1b}"))),
            r#"[true, false, null, null, "x\n\"\u{1b}"]"#
        );
        assert_eq!(
            text_of(&(0, 127, 128, u64::MAX, 65_536, -1, -32, -33, i64::MIN)),
            format!(
                "[0, 127, 128, {}, 65536, -1, -32, -33, {}]",
                u64::MAX,
                i64::MIN
            )
        );
        assert_eq!(
            text_of(&(-129, -32_769, i32::MIN)),
            "[-129, -32769, -2147483648]"
        );
        assert_eq!(
            text_of(&(0.5_f32, 1.0, f64::NAN, 1e300)),
            "[0.5, 1.0, NaN, 1e300]"
        );
        assert_eq!(text_of(&BTreeMap::from([(1, [(); 0])])), "{1: []}");
        assert_eq!(text_of(&BTreeMap::<u8, u8>::new()), "{}");
        assert_eq!(text_of(&serde_bytes::Bytes::new(&[])), "0x");
        assert_eq!(to_text(&[0xd4, 0xff, 7]), "<extension -1: 0x07>");
        assert_eq!(to_text(&[]), "<empty>");
    }

    /// SPEC S9: what is long or deep is shortened, and says so.
    #[test]
    fn long_values_are_shortened() {
        let digits = "0123456789";
        assert_eq!(
            text_of(&(&digits.repeat(30), 1)),
            format!("[{:?}<200 bytes more>, 1]", digits.repeat(10))
        );
        assert_eq!(
            text_of(&("é".repeat(101), serde_bytes::Bytes::new(&[1; 20]))),
            format!(
                r#"["{}"<2 bytes more>, 0x{}<4 bytes more>]"#,
                "é".repeat(100),
                "01".repeat(16)
            )
        );
        let mut not_text = vec![0xff; 152];
        not_text[..2].copy_from_slice(&[0xd9, 150]);
        let replaced = "\u{fffd}".repeat(100);
        assert_eq!(to_text(&not_text), format!("{replaced:?}<50 bytes more>"));
        let numbers: Vec<_> = (0..1_000).collect();
        let text = text_of(&(&numbers, "after"));
        assert!(text.starts_with("[[0, 1, 2, "), "{text}");
        assert!(
            text.ends_with(r#", 18, 19, <980 more>], "after"]"#),
            "{text}"
        );
        let mut deep = vec![0x91; 100];
        deep.push(7);
        assert_eq!(
            to_text(&deep),
            format!("{}<1 more>{}", "[".repeat(17), "]".repeat(17))
        );
        let text = text_of(&vec![digits.repeat(9); 20]);
        assert!(text.ends_with("<shortened>"), "{text}");
        assert_is_short(&text);
        let mut bytes = to_plain(&vec![digits.repeat(9); 20]).unwrap();
        bytes.truncate(bytes.len() - 1);
        assert!(to_text(&bytes).ends_with("<shortened><damaged at byte 1751>"));
    }

    /// SPEC S9: of damaged bytes there is what can be read, and where that ends.
    #[test]
    fn damaged_bytes_are_shown_as_far_as_can_be() {
        let bytes = to_plain(&BTreeMap::from([("add", BTreeMap::from([("by", 2)]))])).unwrap();
        let cut = |size: usize| to_text(&bytes[..size]);
        assert_eq!(to_text(&bytes), r#"{"add": {"by": 2}}"#);
        assert_eq!(cut(9), r#"{"add": {"by": <damaged at byte 9>"#);
        assert_eq!(cut(8), r#"{"add": {"b"<damaged at byte 6>"#);
        assert_eq!(cut(1), "{<damaged at byte 1>");
        assert_eq!(to_text(&[0xc1]), "<damaged at byte 0>");
        assert_eq!(to_text(&[0x92, 1, 0xc1]), "[1, <damaged at byte 2>");
        assert_eq!(
            to_text(&[0xdd, 255, 255, 255, 255, 1]),
            "[1, <damaged at byte 6>"
        );
        assert_eq!(to_text(&[1, 2, 3]), "1 <2 bytes behind the value>");
        assert_eq!(to_text(&[0xa2, 0xff, b'x']), "\"\u{fffd}x\"");
    }

    /// SPEC S12: neither nesting nor size takes the stack or memory.
    #[test]
    fn a_million_bytes_have_a_text() {
        for marker in [0x91, 0x81, 0xdc, 0xdf, 0xff, 0xc4] {
            assert_is_short(&to_text(&vec![marker; 1_000_000]));
        }
    }
}

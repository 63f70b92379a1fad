//! Fractional indices: keys that sort, with room for another between any two.
//!
//! A list item's index is part of its key, so that an insertion writes the new item and nothing
//! else. Indices are text over the digits `0-9A-Za-z`, which sort as bytes do.
//!
//! The scheme is David Greenspan's, published as "Implementing Fractional Indexing" (2020): a whole
//! part whose first letter tells its length and sign, then a fraction. Appending counts the whole
//! part up, prepending counts it down, so both stay short for long: `a0` is zero, `az` 61, `b00`
//! 62; `Zz` is minus one. Only an insertion between two neighbours makes a fraction: `a0V` lies
//! between `a0` and `a1`.
//!
//! Ours bounds the whole part to ten digits (letters `Q` to `Z` and `a` to `j`): enough for
//! 8·10¹⁷ appends, and it lets every computation be plain integer arithmetic.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    iter::FusedIterator,
};

use crate::error::IndexError;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE: u8 = 62;
const WHOLE_DIGITS_MAX: usize = 10;

/// How many whole numbers have at most `digits` digits, on one side of zero.
const fn wholes_within(digits: usize) -> i64 {
    let mut sum = 0;
    let mut power = 1;
    let mut digit = 0;
    while digit < digits {
        power *= BASE as i64;
        sum += power;
        digit += 1;
    }
    sum
}

/// No index has this whole part and no fraction: so there is always one before any other.
const WHOLE_MIN: i64 = -wholes_within(WHOLE_DIGITS_MAX);
const WHOLE_MAX: i64 = wholes_within(WHOLE_DIGITS_MAX) - 1;

/// A place in a list: sorts before and after others, and has room on both sides (SPEC C5).
///
/// Its text, [`to_bytes`](Self::to_bytes), sorts as it does. None of its functions panics, whatever
/// the input.
///
/// # Examples
/// ```
/// use dgen_codec::FracIndex;
///
/// let first = FracIndex::first();
/// let second = first.after();
/// let between = FracIndex::between(&first, &second)?;
/// assert!(first < between && between < second);
/// assert_eq!(
///     [first.to_bytes(), between.to_bytes(), second.to_bytes()],
///     [b"a0".to_vec(), b"a0V".to_vec(), b"a1".to_vec()],
/// );
/// # Ok::<(), dgen_codec::IndexError>(())
/// ```
#[derive(Clone)]
pub struct FracIndex {
    whole: i64,
    /// Values below 62, the last not 0: so equal places have equal fractions.
    fraction: Box<[u8]>,
}

impl FracIndex {
    /// The middle of all indices: `a0`.
    #[must_use]
    pub fn first() -> Self {
        Self::from_whole(0)
    }

    /// An index before this one, as short as can be.
    #[must_use]
    pub fn before(&self) -> Self {
        Indices::new(None, Some(self), 1).at(0)
    }

    /// An index after this one, as short as can be.
    #[must_use]
    pub fn after(&self) -> Self {
        Indices::new(Some(self), None, 1).at(0)
    }

    /// An index between two others, about halfway.
    ///
    /// # Errors
    /// [`IndexError::NotBefore`] unless `low` sorts before `high`.
    pub fn between(low: &Self, high: &Self) -> Result<Self, IndexError> {
        Ok(Self::n_between(Some(low), Some(high), 1)?.at(0))
    }

    /// `n` indices for a new list, in order: the `n` whole numbers around `a0`, the shortest there
    /// are.
    #[must_use]
    pub fn n_first(n: u32) -> Indices {
        Indices::new(None, None, n)
    }

    /// `n` indices between two others, in order and evenly spaced. `None` is an open end.
    ///
    /// They are as short as `n` evenly spaced ones can be: consecutive whole numbers at an open
    /// end, or else fractions just long enough for `n` of them to fit.
    ///
    /// # Errors
    /// [`IndexError::NotBefore`] unless `low` sorts before `high`.
    ///
    /// # Examples
    /// ```
    /// use dgen_codec::FracIndex;
    ///
    /// let low = FracIndex::first();
    /// let text: Vec<_> = FracIndex::n_between(Some(&low), Some(&low.after()), 3)?
    ///     .map(|index| index.to_string())
    ///     .collect();
    /// assert_eq!(text, ["a0F", "a0V", "a0k"]);
    /// # Ok::<(), dgen_codec::IndexError>(())
    /// ```
    pub fn n_between(
        low: Option<&Self>,
        high: Option<&Self>,
        n: u32,
    ) -> Result<Indices, IndexError> {
        if let (Some(low), Some(high)) = (low, high)
            && low >= high
        {
            return Err(IndexError::NotBefore {
                low: low.to_string(),
                high: high.to_string(),
            });
        }
        Ok(Indices::new(low, high, n))
    }

    /// The index whose text is `bytes`.
    ///
    /// # Errors
    /// [`IndexError::Malformed`] if no index has this text: a first byte that is no letter from `Q`
    /// to `Z` or `a` to `j`, too few digits behind it, a byte that is no digit, or a fraction that
    /// ends in `0`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        Self::parse(bytes).ok_or_else(|| IndexError::Malformed {
            text: bytes.escape_ascii().to_string(),
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, digits) = bytes.split_first()?;
        let (length, is_negative) = match head {
            b'a'..=b'j' => (usize::from(head - b'a') + 1, false),
            b'Q'..=b'Z' => (usize::from(b'Z' - head) + 1, true),
            _ => return None,
        };
        let (whole_digits, fraction) = digits.split_at_checked(length)?;
        let mut offset = 0;
        for digit in whole_digits {
            offset = offset * i64::from(BASE) + i64::from(digit_value(*digit)?);
        }
        let whole = if is_negative {
            offset - wholes_within(length)
        } else {
            offset + wholes_within(length - 1)
        };
        let fraction: Option<Box<[u8]>> =
            fraction.iter().map(|digit| digit_value(*digit)).collect();
        let fraction = fraction.filter(|fraction| fraction.last() != Some(&0))?;
        if whole == WHOLE_MIN && fraction.is_empty() {
            return None;
        }
        Some(Self { whole, fraction })
    }

    /// The text, which sorts as the index does.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (length, head, mut offset) = self.whole_parts();
        let mut bytes = vec![head; 1 + length];
        for digit in bytes[1..].iter_mut().rev() {
            *digit = DIGITS[(offset % i64::from(BASE)) as usize];
            offset /= i64::from(BASE);
        }
        bytes.extend(
            self.fraction
                .iter()
                .map(|value| DIGITS[usize::from(*value)]),
        );
        bytes
    }

    /// The length of the text in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        1 + self.whole_parts().0 + self.fraction.len()
    }

    /// How many digits the whole part has, the letter that says so, and its place among those with
    /// the same letter.
    fn whole_parts(&self) -> (usize, u8, i64) {
        let mut length = 1;
        if self.whole >= 0 {
            while self.whole >= wholes_within(length) {
                length += 1;
            }
            let head = b'a' + (length - 1) as u8;
            (length, head, self.whole - wholes_within(length - 1))
        } else {
            while self.whole < -wholes_within(length) {
                length += 1;
            }
            let head = b'Z' - (length - 1) as u8;
            (length, head, self.whole + wholes_within(length))
        }
    }

    fn from_whole(whole: i64) -> Self {
        Self {
            whole,
            fraction: Box::default(),
        }
    }
}

/// By the place. Most indices have no fraction, and comparing two empty slices by a call costs more than all
/// the rest.
impl Ord for FracIndex {
    fn cmp(&self, other: &Self) -> Ordering {
        let wholes = self.whole.cmp(&other.whole);
        wholes.then_with(|| match (&*self.fraction, &*other.fraction) {
            ([], []) => Ordering::Equal,
            ([], _) => Ordering::Less,
            (_, []) => Ordering::Greater,
            (one, other) => one.cmp(other),
        })
    }
}

impl PartialOrd for FracIndex {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for FracIndex {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for FracIndex {}

impl Hash for FracIndex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.whole, &self.fraction).hash(state);
    }
}

impl fmt::Display for FracIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_bytes().escape_ascii())
    }
}

impl fmt::Debug for FracIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FracIndex({self})")
    }
}

fn digit_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'Z' => Some(digit - b'A' + 10),
        b'a'..=b'z' => Some(digit - b'a' + 36),
        _ => None,
    }
}

/// Evenly spaced indices, made one by one: an iterator from
/// [`n_first`](FracIndex::n_first) or [`n_between`](FracIndex::n_between).
///
/// The low end is read as a number with a fixed count of fraction digits; the indices are that
/// number plus multiples of a step, counted in its last digit.
#[derive(Debug, Clone)]
pub struct Indices {
    whole: i64,
    digits: Vec<u8>,
    /// The offsets 1 to `room` are free.
    room: i128,
    n: u32,
    next: u32,
}

impl Indices {
    /// `low` sorts before `high`, if there are both.
    fn new(low: Option<&FracIndex>, high: Option<&FracIndex>, n: u32) -> Self {
        let count = i64::from(n);
        let run = |whole| Self {
            whole,
            digits: Vec::new(),
            room: i128::from(count),
            n,
            next: 0,
        };
        let (low, high) = match (low, high) {
            (None, None) => return run(-(count / 2) - 1),
            (Some(low), None) if low.whole <= WHOLE_MAX - count => return run(low.whole),
            (None, Some(high)) => {
                let last = high.whole - i64::from(high.fraction.is_empty());
                if last - count >= WHOLE_MIN {
                    return run(last - count);
                }
                (None, Some(high))
            }
            ends => ends,
        };
        // The numbers just outside of what can be stored stand for open ends.
        let low = low.map_or((WHOLE_MIN, &[][..]), |low| (low.whole, &low.fraction[..]));
        let high = high.map_or((WHOLE_MAX + 1, &[][..]), |high| {
            (high.whole, &high.fraction[..])
        });
        Self::spaced(low, high, n)
    }

    /// Takes as many fraction digits as it needs for `n` free places between the ends.
    ///
    /// It ends: each digit multiplies the gap by 62 once it is positive, and it is positive at the
    /// latest when both fractions are read, because `low` sorts before `high`. It does not
    /// overflow: the gap is at most `n` + 1 whenever another digit is taken.
    fn spaced(low: (i64, &[u8]), high: (i64, &[u8]), n: u32) -> Self {
        let digit = |fraction: &[u8], at: usize| fraction.get(at).copied().unwrap_or(0);
        let mut digits = Vec::new();
        let mut gap = i128::from(high.0) - i128::from(low.0);
        let room = loop {
            // Cut off here, `high` itself is free if it goes on behind the cut.
            let goes_on = high.1.len() > digits.len();
            let room = gap - 1 + i128::from(goes_on && gap > 0);
            if room >= i128::from(n.max(1)) {
                break room;
            }
            let (low_digit, high_digit) = (digit(low.1, digits.len()), digit(high.1, digits.len()));
            gap = gap * i128::from(BASE) + i128::from(high_digit) - i128::from(low_digit);
            digits.push(low_digit);
        };
        Self {
            whole: low.0,
            digits,
            room,
            n,
            next: 0,
        }
    }

    /// The index at `place`, of `n`.
    fn at(&self, place: u32) -> FracIndex {
        let step = (self.room + 1) * (i128::from(place) + 1);
        let mut carry = step / (i128::from(self.n) + 1);
        let mut digits = self.digits.clone();
        for digit in digits.iter_mut().rev() {
            let sum = carry + i128::from(*digit);
            *digit = (sum % i128::from(BASE)) as u8;
            carry = sum / i128::from(BASE);
        }
        let used = digits.iter().rposition(|digit| *digit != 0);
        digits.truncate(used.map_or(0, |last| last + 1));
        FracIndex {
            // Below the high end's whole part, which fits.
            whole: self.whole + carry as i64,
            fraction: digits.into_boxed_slice(),
        }
    }
}

impl Iterator for Indices {
    type Item = FracIndex;

    fn next(&mut self) -> Option<FracIndex> {
        if self.next == self.n {
            return None;
        }
        self.next += 1;
        Some(self.at(self.next - 1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.n - self.next) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Indices {}
impl FusedIterator for Indices {}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Any index, the ends of the range and long shared beginnings included.
    fn any_index() -> impl Strategy<Value = FracIndex> {
        let whole = prop_oneof![
            4 => -3_i64..4,
            2 => -5000_i64..5000,
            1 => any::<i64>().prop_map(|n| n.clamp(WHOLE_MIN, WHOLE_MAX)),
            1 => WHOLE_MIN..WHOLE_MIN + 3,
            1 => WHOLE_MAX - 3..=WHOLE_MAX,
        ];
        let digit = prop_oneof![3 => Just(0_u8), 3 => Just(61_u8), 2 => 0_u8..62];
        (whole, vec(digit, 0..30), 1_u8..62).prop_map(|(whole, mut fraction, last)| {
            if whole == WHOLE_MIN {
                fraction.push(last);
            } else if let Some(end) = fraction.last_mut() {
                *end = last;
            }
            FracIndex {
                whole,
                fraction: fraction.into_boxed_slice(),
            }
        })
    }

    fn check_sorted(low: Option<&FracIndex>, high: Option<&FracIndex>, made: &[FracIndex]) {
        let all: Vec<_> = low.into_iter().chain(made).chain(high).collect();
        for pair in all.windows(2) {
            assert!(pair[0] < pair[1], "{} < {}", pair[0], pair[1]);
            assert!(pair[0].to_bytes() < pair[1].to_bytes());
        }
        for index in made {
            assert_eq!(FracIndex::from_bytes(&index.to_bytes()).as_ref(), Ok(index));
            assert_eq!(index.to_bytes().len(), index.size_bytes());
        }
    }

    proptest! {
        /// SPEC C5: text and index sort alike, and the text reads back.
        #[test]
        fn text_sorts_as_the_index(a in any_index(), b in any_index()) {
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
            prop_assert_eq!(FracIndex::from_bytes(&a.to_bytes()), Ok(a));
        }

        /// SPEC C5: what is made lies strictly between the ends, in order, all distinct.
        #[test]
        fn made_indices_lie_strictly_between(a in any_index(), b in any_index(), n in 0_u32..200) {
            check_sorted(None, Some(&a), &[a.before()]);
            check_sorted(Some(&a), None, &[a.after()]);
            let below: Vec<_> = FracIndex::n_between(None, Some(&a), n).unwrap().collect();
            prop_assert_eq!(below.len(), n as usize);
            check_sorted(None, Some(&a), &below);
            let above: Vec<_> = FracIndex::n_between(Some(&a), None, n).unwrap().collect();
            check_sorted(Some(&a), None, &above);
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            prop_assert!(FracIndex::n_between(Some(&high), Some(&low), n).is_err());
            if low < high {
                let inner: Vec<_> = FracIndex::n_between(Some(&low), Some(&high), n).unwrap().collect();
                prop_assert_eq!(inner.len(), n as usize);
                check_sorted(Some(&low), Some(&high), &inner);
                check_sorted(Some(&low), Some(&high), &[FracIndex::between(&low, &high).unwrap()]);
            }
        }

        /// SPEC C5: no input panics; what reads as an index is one, and is written back unchanged.
        #[test]
        fn arbitrary_text_is_an_index_or_an_error(
            bytes in prop_oneof![vec(any::<u8>(), 0..20), "[A-Za-z0-9]{0,20}".prop_map(String::into_bytes)],
        ) {
            if let Ok(index) = FracIndex::from_bytes(&bytes) {
                prop_assert_eq!(index.to_bytes(), bytes);
                check_sorted(None, None, &[index.before(), index.clone(), index.after()]);
            }
        }
    }

    /// SPEC C5: a million appends or prepends stay within 8 bytes.
    #[test]
    fn a_million_appends_or_prepends_stay_within_8_bytes() {
        let (mut last, mut first) = (FracIndex::first(), FracIndex::first());
        for _ in 0..1_000_000 {
            (last, first) = (last.after(), first.before());
            assert!(last.size_bytes() <= 8 && first.size_bytes() <= 8);
        }
        assert_eq!(
            (last.to_string().as_str(), first.to_string().as_str()),
            ("d3B82", "Wwory")
        );
    }

    /// SPEC C5: a new list of 100,000 items has short indices.
    #[test]
    fn a_bulk_build_has_short_indices() {
        let all: Vec<_> = FracIndex::n_first(100_000).collect();
        check_sorted(None, None, &all);
        assert!(all.iter().all(|index| index.size_bytes() <= 4));
    }

    /// SPEC C5: no count panics or allocates for what is not asked for.
    #[test]
    fn the_largest_count_is_fine() {
        let (low, high) = (FracIndex::first(), FracIndex::first().after());
        let mut all = FracIndex::n_between(Some(&low), Some(&high), u32::MAX).unwrap();
        assert!(all.next().unwrap() > low);
        assert!(all.at(u32::MAX - 1) < high);
        assert_eq!(FracIndex::n_first(u32::MAX).len(), u32::MAX as usize);
    }

    /// SPEC C5: golden texts; stored keys depend on them.
    #[test]
    fn texts_are_stable() {
        for (whole, text) in [
            (0, "a0"),
            (61, "az"),
            (62, "b00"),
            (3906, "c000"),
            (-1, "Zz"),
            (-62, "Z0"),
            (-63, "Yzz"),
        ] {
            assert_eq!(FracIndex::from_whole(whole).to_string(), text);
        }
        assert!(FracIndex::from_bytes(b"Q0000000000").is_err());
        assert!(FracIndex::from_bytes(b"Q00000000001").is_ok());
        assert!(FracIndex::from_bytes(b"a00").is_err());
        assert!(FracIndex::from_bytes(b"k0").is_err());
        assert!(FracIndex::from_bytes(b"").is_err());
    }
}

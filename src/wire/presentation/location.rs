//! Places on earth: the text of a LOC record (RFC 1876).

/// Thousandths of a second of arc in a degree.
const DEGREE: u32 = 3_600_000;

/// The equator and the prime meridian. Unit: thousandths of a second of arc. Source: RFC 1876 §2.
const ORIGIN: u32 = 1 << 31;

/// What lies below the reference ellipsoid at altitude zero. Unit: cm. Source: RFC 1876 §2.
const BELOW: i64 = 10_000_000;

/// A decimal fraction in units of `10^-places`, with at most as many digits behind the point.
fn fraction(text: &str, places: usize) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || behind.len() > places || !numeric(whole) || !numeric(behind) {
        return None;
    }
    let all = format!("{whole}{behind:0<places$}");
    all.parse::<i64>().ok().map(|value| sign * value)
}

/// An angle: degrees, minutes, seconds, and one of two directions. Returns it and what stands behind it.
fn angle<'w>(words: &'w [&'w str], most: u32, directions: [&str; 2]) -> Option<(u32, &'w [&'w str])> {
    let at = words
        .iter()
        .take(4)
        .position(|word| directions.iter().any(|known| known.eq_ignore_ascii_case(word)))?;
    let (numbers, rest) = (words.get(..at)?, words.get(at + 1..)?);
    let whole = |index: usize, limit: u32| match numbers.get(index) {
        None if index > 0 => Some(0),
        None => None,
        Some(text) => text.parse::<u32>().ok().filter(|value| *value <= limit),
    };
    let seconds = match numbers.get(2) {
        None => 0,
        Some(text) => u32::try_from(fraction(text, 3)?).ok().filter(|value| *value < 60_000)?,
    };
    let total = whole(0, most)? * DEGREE + whole(1, 59)? * 60_000 + seconds;
    if total > most * DEGREE {
        return None;
    }
    let [positive, _] = directions;
    let is_positive = words.get(at)?.eq_ignore_ascii_case(positive);
    Some((if is_positive { ORIGIN + total } else { ORIGIN - total }, rest))
}

/// A length in metres as a digit and a power of ten. Unit of the result: cm. Source: RFC 1876 §2.
fn size(text: &str) -> Option<u8> {
    let mut left =
        fraction(text.trim_end_matches(['m', 'M']), 2).filter(|value| (0..=9_000_000_000).contains(value))?;
    let mut power = 0_u8;
    while left >= 10 {
        left /= 10;
        power += 1;
    }
    u8::try_from(left).ok().map(|digit| digit << 4 | power)
}

/// The RDATA of a place: latitude, longitude, altitude, and if at all size and the two precisions.
///
/// Errors: what is wrong, in words. Source: RFC 1876 §3.
pub(super) fn location(words: &[&str]) -> Result<Vec<u8>, String> {
    let (latitude, rest) =
        angle(words, 90, ["N", "S"]).ok_or("there is no latitude as in `52 22 23.000 N`")?;
    let (longitude, rest) =
        angle(rest, 180, ["E", "W"]).ok_or("there is no longitude as in `4 53 32.000 E`")?;
    let (altitude, rest) = rest.split_first().ok_or("there is no altitude as in `-2.00m`")?;
    let altitude = fraction(altitude.trim_end_matches(['m', 'M']), 2)
        .and_then(|value| u32::try_from(value + BELOW).ok())
        .ok_or_else(|| format!("`{altitude}` is no altitude as in `-2.00m`"))?;
    if rest.len() > 3 {
        return Err("there is more than a place, a size and two precisions".to_owned());
    }
    let mut out = vec![0];
    for (index, usual) in ["1", "10000", "10"].into_iter().enumerate() {
        let text = rest.get(index).copied().unwrap_or(usual);
        out.push(size(text).ok_or_else(|| format!("`{text}` is no size as in `100m`"))?);
    }
    for value in [latitude, longitude, altitude] {
        out.extend(value.to_be_bytes());
    }
    Ok(out)
}

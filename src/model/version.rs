//! The version that bytes name which begin as a file of ours does.
//!
//! Every format of ours begins with its name and its version, such as `giftproof-proof/v1` LF. What
//! names a higher version is no damage: a newer program made it, and it is refused as such.

/// The version that `bytes` name, if they begin as `known` does but for a higher number.
///
/// The number in `known` is the last one in it, and what follows it ends the number; `bytes` may go
/// on. Numbers are decimal, from 1, without leading zeros, and below 2^64: anything else is no
/// version.
pub fn newer(known: &[u8], bytes: &[u8]) -> Option<u64> {
    let end = known.iter().rposition(u8::is_ascii_digit)? + 1;
    let begin = known[..end].iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    let (name, number, after) = (&known[..begin], &known[begin..end], &known[end..]);
    let rest = bytes.strip_prefix(name)?;
    let (digits, rest) = rest.split_at(rest.iter().take_while(|b| b.is_ascii_digit()).count());
    let (found, known) = (decimal(digits)?, decimal(number)?);
    (found > known && rest.starts_with(after)).then_some(found)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let canonical = digits.first().is_some_and(|first| *first != b'0');
    std::str::from_utf8(digits).ok().filter(|_| canonical)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_higher_number_in_the_same_place_is_newer() {
        let known = b"giftproof-proof/v1\n";
        assert_eq!(newer(known, b"giftproof-proof/v2\n"), Some(2));
        assert_eq!(newer(known, b"giftproof-proof/v10\nand more"), Some(10));
        assert_eq!(newer(b"giftproof-index/v9\n", b"giftproof-index/v10\n"), Some(10));
        assert_eq!(newer(b"\xffgiftproof x v1\0", b"\xffgiftproof x v3\0.."), Some(3));
        for same_or_none in [
            &b"giftproof-proof/v1\n"[..],
            b"giftproof-proof/v0\n",
            b"giftproof-proof/v02\n",
            b"giftproof-proof/v2",
            b"giftproof-proof/v2 \n",
            b"giftproof-proof/v\n",
            b"giftproof-proof/v99999999999999999999\n",
            b"giftproof-fraud/v2\n",
            b"",
        ] {
            assert_eq!(newer(known, same_or_none), None, "{}", same_or_none.escape_ascii());
        }
    }
}

//! `{$VAR}` and `{%VAR%}`: environment variables inside a token.

/// Rounds of replacing before values are taken to name each other.
const MAX_ROUNDS: usize = 16;

/// The longest text that replacing may lead to. Unit: bytes.
const MAX_TEXT: usize = 64 * 1024;

/// The two ways to write a variable: beginning and end.
const FORMS: [(&str, &str); 2] = [("{%", "%}"), ("{$", "}")];

/// Replaces every variable in `text`; values may name variables in turn.
///
/// `value` gives a variable's value. An empty name (`{$}`) and one without an end stay as they are.
///
/// Errors: `None` if values name each other, or the text grows beyond 64 KiB.
/// Source: coredns/caddy `caddyfile/parse.go`, which never ends on values that name each other.
pub(super) fn replace(text: &str, mut value: impl FnMut(&str) -> String) -> Option<String> {
    let mut text = text.to_owned();
    for _ in 0..MAX_ROUNDS {
        let mut found = false;
        for (begin, end) in FORMS {
            if text.contains(begin) {
                text = once(&text, begin, end, &mut value, &mut found);
                if text.len() > MAX_TEXT {
                    return None;
                }
            }
        }
        if !found {
            return Some(text);
        }
    }
    None
}

/// Replaces the variables of one form, from left to right, without looking into their values.
fn once(
    text: &str,
    begin: &str,
    end: &str,
    value: &mut dyn FnMut(&str) -> String,
    found: &mut bool,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(begin) {
        out.push_str(before);
        match after.split_once(end) {
            // Without an end there is none further right either.
            None => {
                out.push_str(begin);
                rest = after;
                break;
            }
            Some(("", _)) => {
                out.push_str(begin);
                rest = after;
            }
            Some((name, tail)) => {
                *found = true;
                out.push_str(&value(name));
                rest = tail;
                if out.len() > MAX_TEXT {
                    break;
                }
            }
        }
    }
    out.push_str(rest);
    out
}

//! Operators between two parts of an expression.

use super::syntax::{Fault, Part};
use super::tree::{Compare, Number, Numbers, Test, Text, Where};

/// An operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operator {
    /// `||`, `or`.
    Or,
    /// `&&`, `and`.
    And,
    /// `==` and its kin.
    Compare(Compare),
    /// `in`.
    In,
    /// `matches`.
    Matches,
    /// `contains`, `startsWith`, `endsWith`.
    Holds(Where),
    /// `..`.
    Range,
    /// `+`.
    Plus,
    /// `-`.
    Minus,
    /// `*`.
    Times,
    /// `%`.
    Rest,
}

/// The most memory that a compiled pattern takes. Unit: bytes.
const PATTERN: usize = 1 << 20;

/// The operators as written, with how strongly they bind. Source: the precedences of expr-lang's parser.
const OPERATORS: &[(&str, Operator, u8)] = &[
    ("||", Operator::Or, 10),
    ("or", Operator::Or, 10),
    ("&&", Operator::And, 15),
    ("and", Operator::And, 15),
    ("==", Operator::Compare(Compare::Equal), 20),
    ("!=", Operator::Compare(Compare::Unequal), 20),
    ("<", Operator::Compare(Compare::Less), 20),
    ("<=", Operator::Compare(Compare::AtMost), 20),
    (">", Operator::Compare(Compare::Greater), 20),
    (">=", Operator::Compare(Compare::AtLeast), 20),
    ("in", Operator::In, 20),
    ("matches", Operator::Matches, 20),
    ("contains", Operator::Holds(Where::Anywhere), 20),
    ("startsWith", Operator::Holds(Where::Front), 20),
    ("endsWith", Operator::Holds(Where::End), 20),
    ("..", Operator::Range, 25),
    ("+", Operator::Plus, 30),
    ("-", Operator::Minus, 30),
    ("*", Operator::Times, 60),
    ("%", Operator::Rest, 60),
];

impl Operator {
    /// The operator of a sign or word, with how strongly it binds.
    pub(super) fn of(text: &str) -> Option<(Self, u8)> {
        OPERATORS
            .iter()
            .find(|(known, ..)| *known == text)
            .map(|(_, operator, strength)| (*operator, *strength))
    }

    /// As written.
    fn text(self) -> &'static str {
        OPERATORS.iter().find(|(_, known, _)| *known == self).map_or("", |(text, ..)| text)
    }

    /// Whether `not` may stand before it.
    pub(super) fn has_not(self) -> bool {
        matches!(self, Self::In | Self::Matches | Self::Holds(_))
    }
}

/// What an operator makes of what stands before and behind it.
///
/// `at` are the places of the operator and of what stands behind it, for complaints; `literal` says whether that is a text
/// as written.
pub(super) fn infix(
    operator: Operator,
    left: Part,
    right: Part,
    (at, right_at): (usize, usize),
    literal: bool,
) -> Result<Part, Fault> {
    use Operator as Op;
    use Part::{Empty, Number as One, Numbers as Many, Test as Truth, Text as Word, Texts};
    Ok(match (operator, left, right) {
        (Op::Or, Truth(a), Truth(b)) => Truth(Test::Or(Box::new((a, b)))),
        (Op::And, Truth(a), Truth(b)) => Truth(Test::And(Box::new((a, b)))),
        (Op::Compare(compare @ (Compare::Equal | Compare::Unequal)), Truth(a), Truth(b)) => {
            Truth(Test::Tests(compare, Box::new((a, b))))
        }
        (Op::Compare(compare), One(a), One(b)) => Truth(Test::Numbers(compare, Box::new((a, b)))),
        (Op::Compare(compare), Word(a), Word(b)) => Truth(Test::Texts(compare, Box::new((a, b)))),
        (Op::In, Word(text), Texts(list)) => Truth(Test::AmongTexts(Box::new(text), list)),
        (Op::In, One(number), Many(list)) => Truth(Test::AmongNumbers(Box::new(number), list)),
        (Op::In, Word(_) | One(_), Empty) => Truth(Test::Constant(false)),
        (Op::Matches, Word(text), Word(Text::Constant(pattern))) if literal => {
            let pattern = regex::bytes::RegexBuilder::new(&pattern)
                .unicode(false)
                .size_limit(PATTERN)
                .build()
                .map_err(|error| {
                    Fault::new(right_at, "the pattern can't be used".to_owned()).hint(reason(&error))
                })?;
            Truth(Test::Matches(Box::new(text), pattern))
        }
        (Op::Matches, Word(_), Word(_)) => {
            return Err(Fault::new(right_at, "a pattern must be written as a text in quotes".to_owned()));
        }
        (Op::Holds(place), Word(a), Word(b)) => Truth(Test::Holds(place, Box::new((a, b)))),
        (Op::Range, One(a), One(b)) => Many(Numbers::Range(Box::new((a, b)))),
        (Op::Plus, One(a), One(b)) => One(Number::Sum(Box::new((a, b)))),
        (Op::Plus, Word(a), Word(b)) => Word(Text::Joined(Box::new((a, b)))),
        (Op::Minus, One(a), One(b)) => One(Number::Difference(Box::new((a, b)))),
        (Op::Times, One(a), One(b)) => One(Number::Product(Box::new((a, b)))),
        (Op::Rest, One(a), One(b)) => One(Number::Rest(Box::new((a, b)))),
        (_, a, b) => {
            let problem = format!("`{}` can't stand between {} and {}", operator.text(), a.kind(), b.kind());
            return Err(Fault::new(at, problem));
        }
    })
}

/// Why a pattern can't be used, in one line.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

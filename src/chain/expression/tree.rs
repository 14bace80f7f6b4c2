//! An expression as it is evaluated: every part is of a known kind, so no query can meet a kind that does not fit.

use std::borrow::Cow;
use std::net::IpAddr;

use super::facts::{Facts, NumberFact, TextFact};
use crate::chain::network::Network;

/// How two values are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::chain) enum Compare {
    /// `==`.
    Equal,
    /// `!=`.
    Unequal,
    /// `<`.
    Less,
    /// `<=`.
    AtMost,
    /// `>`.
    Greater,
    /// `>=`.
    AtLeast,
}

impl Compare {
    /// Whether it holds of two values.
    fn holds<T: PartialOrd + ?Sized>(self, a: &T, b: &T) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Unequal => a != b,
            Self::Less => a < b,
            Self::AtMost => a <= b,
            Self::Greater => a > b,
            Self::AtLeast => a >= b,
        }
    }
}

/// What a text is looked for in another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::chain) enum Where {
    /// `contains`.
    Anywhere,
    /// `startsWith`.
    Front,
    /// `endsWith`.
    End,
}

/// The longest text that an expression makes: a name and more. Unit: bytes.
const LONGEST: usize = 65_535;

/// The most numbers of a range that a quantifier looks at.
const MOST: i64 = 1000;

/// A value of a variable, or one of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::chain) enum Value {
    /// True or false.
    Truth(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// How many of a list must fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::chain) enum Quantifier {
    /// `any`.
    Any,
    /// `all`.
    All,
    /// `none`.
    None,
    /// `one`.
    One,
}

/// A list that a quantifier looks at.
#[derive(Debug)]
pub(in crate::chain) enum List {
    /// Of texts, or of nothing.
    Texts(Vec<Text>),
    /// Of numbers.
    Numbers(Numbers),
}

/// What stands on both sides of an operator.
type Both<T> = Box<(T, T)>;

/// Something that is true or false.
#[derive(Debug)]
pub(in crate::chain) enum Test {
    /// `true`, `false`.
    Constant(bool),
    /// `do()`.
    DnssecOk,
    /// `!`.
    Not(Box<Test>),
    /// `&&`.
    And(Both<Test>),
    /// `||`.
    Or(Both<Test>),
    /// Two truths compared.
    Tests(Compare, Both<Test>),
    /// Two numbers compared.
    Numbers(Compare, Both<Number>),
    /// Two texts compared.
    Texts(Compare, Both<Text>),
    /// One text looked for in another.
    Holds(Where, Both<Text>),
    /// `matches`.
    Matches(Box<Text>, regex::bytes::Regex),
    /// `in`, among texts.
    AmongTexts(Box<Text>, Vec<Text>),
    /// `in`, among numbers.
    AmongNumbers(Box<Number>, Numbers),
    /// `incidr`, the address and the network as they are found.
    InNetwork(Box<Text>, Box<Text>),
    /// `incidr`, with a network that is written down.
    InKnownNetwork(Box<Text>, Network),
    /// `a ? b : c`.
    Choice(Box<(Test, Test, Test)>),
    /// The variable of this place.
    Variable(usize),
    /// `any` and its kin: the condition is about each value of the list.
    Quantified(Quantifier, Box<(List, Test)>),
}

/// A list of numbers.
#[derive(Debug)]
pub(in crate::chain) enum Numbers {
    /// `[1, 2]`.
    List(Vec<Number>),
    /// `1..2`, both ends included.
    Range(Both<Number>),
}

/// A number.
#[derive(Debug)]
pub(in crate::chain) enum Number {
    /// Written down.
    Constant(i64),
    /// Known of a query.
    Fact(NumberFact),
    /// `len`: characters of a text.
    Length(Box<Text>),
    /// `+`.
    Sum(Both<Number>),
    /// `-`.
    Difference(Both<Number>),
    /// `*`.
    Product(Both<Number>),
    /// `%`.
    Rest(Both<Number>),
    /// `a ? b : c`.
    Choice(Box<(Test, Number, Number)>),
    /// The variable of this place.
    Variable(usize),
    /// `int`.
    Parsed(Box<Text>),
    /// `#`.
    Item,
}

/// A text.
#[derive(Debug)]
pub(in crate::chain) enum Text {
    /// Written down.
    Constant(String),
    /// Known of a query.
    Fact(TextFact),
    /// `metadata`.
    Metadata(Box<Text>),
    /// `lower`.
    Lower(Box<Text>),
    /// `upper`.
    Upper(Box<Text>),
    /// `trim`.
    Trim(Box<Text>),
    /// `+`.
    Joined(Both<Text>),
    /// `a ? b : c`.
    Choice(Box<(Test, Text, Text)>),
    /// The variable of this place.
    Variable(usize),
    /// `group`.
    Group(Box<Text>),
    /// `string`.
    Written(Box<Number>),
    /// `replace`: in a text, one by another.
    Replaced(Box<(Text, Text, Text)>),
    /// `trimPrefix`, `trimSuffix`.
    Without(Where, Both<Text>),
    /// `#`.
    Item,
}

impl Test {
    /// Whether it is true of a query; `None` where that can't be said.
    pub(in crate::chain) fn holds(&self, facts: &Facts<'_>) -> Option<bool> {
        Some(match self {
            Self::Constant(value) => *value,
            Self::DnssecOk => facts.dnssec_ok(),
            Self::Not(test) => !test.holds(facts)?,
            Self::And(both) => both.0.holds(facts)? && both.1.holds(facts)?,
            Self::Or(both) => both.0.holds(facts)? || both.1.holds(facts)?,
            Self::Tests(compare, both) => compare.holds(&both.0.holds(facts)?, &both.1.holds(facts)?),
            Self::Numbers(compare, both) => compare.holds(&both.0.value(facts)?, &both.1.value(facts)?),
            Self::Texts(compare, both) => {
                compare.holds(both.0.value(facts)?.as_ref(), both.1.value(facts)?.as_ref())
            }
            Self::Holds(place, both) => {
                let (whole, part) = (both.0.value(facts)?, both.1.value(facts)?);
                match place {
                    Where::Anywhere => whole.contains(part.as_ref()),
                    Where::Front => whole.starts_with(part.as_ref()),
                    Where::End => whole.ends_with(part.as_ref()),
                }
            }
            Self::Matches(text, pattern) => pattern.is_match(text.value(facts)?.as_bytes()),
            Self::AmongTexts(text, list) => {
                let text = text.value(facts)?;
                for one in list {
                    if one.value(facts)? == text {
                        return Some(true);
                    }
                }
                false
            }
            Self::AmongNumbers(number, list) => list.contain(number.value(facts)?, facts)?,
            Self::InNetwork(ip, network) => {
                Network::parse(&network.value(facts)?)?.contains(ip.address(facts)?)
            }
            Self::InKnownNetwork(ip, network) => network.contains(ip.address(facts)?),
            Self::Choice(three) => match three.0.holds(facts)? {
                true => three.1.holds(facts)?,
                false => three.2.holds(facts)?,
            },
            Self::Variable(place) => match facts.variables.get(*place)? {
                Value::Truth(truth) => *truth,
                Value::Number(_) | Value::Text(_) => return None,
            },
            Self::Quantified(quantifier, both) => quantifier.holds(&both.0, &both.1, facts)?,
        })
    }

    /// Whether metadata is asked for anywhere in it.
    pub(in crate::chain) fn asks_metadata(&self) -> bool {
        match self {
            Self::Constant(_) | Self::DnssecOk | Self::Variable(_) => false,
            Self::Not(test) => test.asks_metadata(),
            Self::And(both) | Self::Or(both) | Self::Tests(_, both) => {
                both.0.asks_metadata() || both.1.asks_metadata()
            }
            Self::Numbers(_, both) => both.0.asks_metadata() || both.1.asks_metadata(),
            Self::Texts(_, both) | Self::Holds(_, both) => both.0.asks_metadata() || both.1.asks_metadata(),
            Self::Matches(text, _) | Self::InKnownNetwork(text, _) => text.asks_metadata(),
            Self::AmongTexts(text, list) => text.asks_metadata() || list.iter().any(Text::asks_metadata),
            Self::AmongNumbers(number, list) => number.asks_metadata() || list.asks_metadata(),
            Self::Quantified(_, both) => {
                let list = match &both.0 {
                    List::Texts(list) => list.iter().any(Text::asks_metadata),
                    List::Numbers(list) => list.asks_metadata(),
                };
                list || both.1.asks_metadata()
            }
            Self::InNetwork(ip, network) => ip.asks_metadata() || network.asks_metadata(),
            Self::Choice(three) => {
                three.0.asks_metadata() || three.1.asks_metadata() || three.2.asks_metadata()
            }
        }
    }
}

impl Quantifier {
    /// Whether the condition holds of as many of a list as it should.
    fn holds(self, list: &List, condition: &Test, facts: &Facts<'_>) -> Option<bool> {
        let values = match list {
            List::Texts(list) => {
                let value = |text: &Text| text.value(facts).map(|text| Value::Text(text.into_owned()));
                list.iter().map(value).collect::<Option<Vec<_>>>()?
            }
            List::Numbers(list) => list.values(facts)?,
        };
        let mut fitting = 0_usize;
        for item in &values {
            let fits = condition.holds(&Facts { item: Some(item), ..*facts })?;
            fitting += usize::from(fits);
            match self {
                Self::Any if fits => return Some(true),
                Self::None if fits => return Some(false),
                Self::All if !fits => return Some(false),
                _ => {}
            }
        }
        Some(match self {
            Self::Any => false,
            Self::All | Self::None => true,
            Self::One => fitting == 1,
        })
    }
}

impl Numbers {
    /// All of them; `None` where they are too many.
    fn values(&self, facts: &Facts<'_>) -> Option<Vec<Value>> {
        match self {
            Self::List(list) => list.iter().map(|one| one.value(facts).map(Value::Number)).collect(),
            Self::Range(both) => {
                let (first, last) = (both.0.value(facts)?, both.1.value(facts)?);
                let fits = last.checked_sub(first).is_some_and(|count| count < MOST);
                fits.then(|| (first..=last).map(Value::Number).collect())
            }
        }
    }

    /// Whether metadata is asked for anywhere in them.
    fn asks_metadata(&self) -> bool {
        match self {
            Self::List(list) => list.iter().any(Number::asks_metadata),
            Self::Range(both) => both.0.asks_metadata() || both.1.asks_metadata(),
        }
    }

    /// Whether a number is one of them.
    fn contain(&self, number: i64, facts: &Facts<'_>) -> Option<bool> {
        match self {
            Self::List(list) => {
                for one in list {
                    if one.value(facts)? == number {
                        return Some(true);
                    }
                }
                Some(false)
            }
            Self::Range(both) => Some((both.0.value(facts)?..=both.1.value(facts)?).contains(&number)),
        }
    }
}

impl Number {
    /// Its value; `None` where there is none: an overflow, a division by zero.
    pub(in crate::chain) fn value(&self, facts: &Facts<'_>) -> Option<i64> {
        match self {
            Self::Constant(value) => Some(*value),
            Self::Fact(fact) => Some(facts.number(*fact)),
            Self::Length(text) => i64::try_from(text.value(facts)?.chars().count()).ok(),
            Self::Sum(both) => both.0.value(facts)?.checked_add(both.1.value(facts)?),
            Self::Difference(both) => both.0.value(facts)?.checked_sub(both.1.value(facts)?),
            Self::Product(both) => both.0.value(facts)?.checked_mul(both.1.value(facts)?),
            Self::Rest(both) => both.0.value(facts)?.checked_rem(both.1.value(facts)?),
            Self::Choice(three) => match three.0.holds(facts)? {
                true => three.1.value(facts),
                false => three.2.value(facts),
            },
            Self::Variable(place) => match facts.variables.get(*place)? {
                Value::Number(number) => Some(*number),
                Value::Truth(_) | Value::Text(_) => None,
            },
            Self::Parsed(text) => text.value(facts)?.parse().ok(),
            Self::Item => match facts.item? {
                Value::Number(number) => Some(*number),
                Value::Truth(_) | Value::Text(_) => None,
            },
        }
    }

    /// Whether metadata is asked for anywhere in it.
    fn asks_metadata(&self) -> bool {
        match self {
            Self::Constant(_) | Self::Fact(_) | Self::Variable(_) | Self::Item => false,
            Self::Length(text) | Self::Parsed(text) => text.asks_metadata(),
            Self::Sum(both) | Self::Difference(both) | Self::Product(both) | Self::Rest(both) => {
                both.0.asks_metadata() || both.1.asks_metadata()
            }
            Self::Choice(three) => {
                three.0.asks_metadata() || three.1.asks_metadata() || three.2.asks_metadata()
            }
        }
    }
}

impl Text {
    /// Its value; `None` where there is none.
    pub(in crate::chain) fn value<'a>(&'a self, facts: &Facts<'_>) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Constant(text) => Cow::Borrowed(text.as_str()),
            Self::Fact(fact) => facts.text(*fact),
            Self::Metadata(label) => Cow::Owned(facts.metadata(&label.value(facts)?)),
            Self::Lower(text) => Cow::Owned(text.value(facts)?.to_lowercase()),
            Self::Upper(text) => Cow::Owned(text.value(facts)?.to_uppercase()),
            Self::Trim(text) => Cow::Owned(text.value(facts)?.trim().to_owned()),
            Self::Joined(both) => {
                let (front, end) = (both.0.value(facts)?, both.1.value(facts)?);
                Cow::Owned(bounded(front.len() + end.len(), || front.into_owned() + &end)?)
            }
            Self::Variable(place) => match facts.variables.get(*place)? {
                Value::Text(text) => Cow::Owned(text.clone()),
                Value::Truth(_) | Value::Number(_) => return None,
            },
            Self::Group(name) => Cow::Owned(facts.group(&name.value(facts)?)),
            Self::Written(number) => Cow::Owned(number.value(facts)?.to_string()),
            Self::Replaced(three) => {
                let (text, from) = (three.0.value(facts)?, three.1.value(facts)?);
                let to = three.2.value(facts)?;
                let length = text.len() + text.matches(from.as_ref()).count() * to.len();
                Cow::Owned(bounded(length, || text.replace(from.as_ref(), &to))?)
            }
            Self::Without(place, both) => {
                let (text, part) = (both.0.value(facts)?, both.1.value(facts)?);
                let rest = match place {
                    Where::End => text.strip_suffix(part.as_ref()),
                    Where::Front | Where::Anywhere => text.strip_prefix(part.as_ref()),
                };
                Cow::Owned(rest.unwrap_or(&text).to_owned())
            }
            Self::Item => match facts.item? {
                Value::Text(text) => Cow::Owned(text.clone()),
                Value::Truth(_) | Value::Number(_) => return None,
            },
            Self::Choice(three) => match three.0.holds(facts)? {
                true => three.1.value(facts)?,
                false => three.2.value(facts)?,
            },
        })
    }

    /// The address that it is.
    fn address(&self, facts: &Facts<'_>) -> Option<IpAddr> {
        let known = match self {
            Self::Fact(fact) => facts.address(*fact),
            _ => None,
        };
        known.or_else(|| self.value(facts)?.parse().ok())
    }

    /// Whether metadata is asked for anywhere in it.
    fn asks_metadata(&self) -> bool {
        match self {
            Self::Constant(_) | Self::Fact(_) | Self::Variable(_) | Self::Item => false,
            Self::Metadata(_) => true,
            Self::Lower(text) | Self::Upper(text) | Self::Trim(text) | Self::Group(text) => {
                text.asks_metadata()
            }
            Self::Written(number) => number.asks_metadata(),
            Self::Joined(both) | Self::Without(_, both) => both.0.asks_metadata() || both.1.asks_metadata(),
            Self::Replaced(three) => {
                three.0.asks_metadata() || three.1.asks_metadata() || three.2.asks_metadata()
            }
            Self::Choice(three) => {
                three.0.asks_metadata() || three.1.asks_metadata() || three.2.asks_metadata()
            }
        }
    }
}

/// A text that is made only where it is no longer than a text may be.
fn bounded(length: usize, make: impl FnOnce() -> String) -> Option<String> {
    (length <= LONGEST).then(make)
}

//! The pieces of an expression put together, each part of a known kind.
//!
//! The language is the part of expr-lang (which CoreDNS uses) that is about queries: `||`/`or`, `&&`/`and`, comparisons,
//! `in`, `matches`, `contains`, `startsWith`, `endsWith` and their `not`, `+ - * %`, `a ? b : c`, texts, whole numbers, lists
//! and ranges, `any`, `all`, `none` and `one` of a list, with its precedences.

use std::borrow::Cow;

use super::facts::{Facts, NumberFact, TextFact};
use super::lexer::{Piece, pieces};
use super::operators::{Operator, infix};
use super::tree::{List, Number, Numbers, Quantifier, Test, Text, Value, Where};
use crate::chain::network::Network;

/// How deep expressions may be nested.
const DEPTH: usize = 64;

/// What is wrong with an expression.
#[derive(PartialEq, Eq, Debug)]
pub(in crate::chain) struct Fault {
    /// Where. Unit: bytes from its beginning.
    pub(in crate::chain) at: usize,
    /// What.
    pub(in crate::chain) problem: String,
    /// What to do about it.
    pub(in crate::chain) hint: Option<Cow<'static, str>>,
}

impl Fault {
    /// A fault without a hint.
    pub(in crate::chain) fn new(at: usize, problem: String) -> Self {
        Self { at, problem, hint: None }
    }

    /// The same with a hint.
    pub(in crate::chain) fn hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A part of an expression.
#[derive(Debug)]
pub(in crate::chain) enum Part {
    /// True or false.
    Test(Test),
    /// A number.
    Number(Number),
    /// A text.
    Text(Text),
    /// A list of texts.
    Texts(Vec<Text>),
    /// A list of numbers.
    Numbers(Numbers),
    /// A list of nothing.
    Empty,
}

impl Part {
    /// Its kind in words.
    pub(in crate::chain) fn kind(&self) -> &'static str {
        match self {
            Self::Test(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Texts(_) => "a list of texts",
            Self::Numbers(_) => "a list of numbers",
            Self::Empty => "an empty list",
        }
    }
}

/// The kind of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::chain) enum Kind {
    /// True or false.
    Truth,
    /// A number.
    Number,
    /// A text.
    Text,
}

/// What an expression may name beside the query.
#[derive(Default, Debug)]
pub(in crate::chain) struct Names {
    /// Whether `group` has a match to look at.
    pub(in crate::chain) groups: bool,
    /// The variables, in the order of their declaration.
    pub(in crate::chain) variables: Vec<(String, Kind)>,
}

impl Part {
    /// The kind of its value; `None` for lists.
    pub(in crate::chain) fn value_kind(&self) -> Option<Kind> {
        match self {
            Self::Test(_) => Some(Kind::Truth),
            Self::Number(_) => Some(Kind::Number),
            Self::Text(_) => Some(Kind::Text),
            Self::Texts(_) | Self::Numbers(_) | Self::Empty => None,
        }
    }

    /// Its value; `None` where there is none.
    pub(in crate::chain) fn value(&self, facts: &Facts<'_>) -> Option<Value> {
        match self {
            Self::Test(test) => test.holds(facts).map(Value::Truth),
            Self::Number(number) => number.value(facts).map(Value::Number),
            Self::Text(text) => text.value(facts).map(|text| Value::Text(text.into_owned())),
            Self::Texts(_) | Self::Numbers(_) | Self::Empty => None,
        }
    }
}

/// Words that are no names of variables beside those of functions: operators, and what the language means by itself.
const RESERVED: &[&str] = &[
    "true",
    "false",
    "nil",
    "not",
    "and",
    "or",
    "in",
    "matches",
    "contains",
    "startsWith",
    "endsWith",
    "let",
    "if",
    "else",
];

/// Whether a variable may have this name: letters, digits and `_`, no digit first, and no word of the language.
pub(in crate::chain) fn names_variable(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let first = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    letters && first && !RESERVED.contains(&name) && !FUNCTIONS.split(", ").any(|function| function == name)
}

/// The functions without arguments.
fn fact(name: &str) -> Option<Part> {
    Some(match name {
        "do" => Part::Test(Test::DnssecOk),
        "bufsize" => Part::Number(Number::Fact(NumberFact::BufferSize)),
        "id" => Part::Number(Number::Fact(NumberFact::Id)),
        "opcode" => Part::Number(Number::Fact(NumberFact::Opcode)),
        "size" => Part::Number(Number::Fact(NumberFact::Size)),
        "class" => Part::Text(Text::Fact(TextFact::Class)),
        "client_ip" => Part::Text(Text::Fact(TextFact::ClientIp)),
        "name" => Part::Text(Text::Fact(TextFact::Name)),
        "port" => Part::Text(Text::Fact(TextFact::Port)),
        "proto" => Part::Text(Text::Fact(TextFact::Proto)),
        "server_ip" => Part::Text(Text::Fact(TextFact::ServerIp)),
        "server_port" => Part::Text(Text::Fact(TextFact::ServerPort)),
        "type" => Part::Text(Text::Fact(TextFact::Type)),
        _ => return None,
    })
}

/// All functions, for hints.
const FUNCTIONS: &str = "bufsize, class, client_ip, do, id, name, opcode, port, proto, server_ip, server_port, size, type, \
                         incidr, metadata, len, lower, upper, trim, hasPrefix, hasSuffix, trimPrefix, trimSuffix, \
                         replace, int, string, group, any, all, none, one";

/// Reads an expression.
pub(in crate::chain) fn read_value(text: &str, names: &Names) -> Result<Part, Fault> {
    let mut reader = Reader { pieces: pieces(text)?, next: 0, depth: 0, names, item: None };
    let part = reader.expression(0)?;
    let (at, piece) = reader.look();
    if *piece != Piece::End {
        let fault = Fault::new(at, format!("{} can't follow here", piece.shown()));
        return Err(fault.hint("two conditions are joined by `&&` or `||`"));
    }
    Ok(part)
}

/// Reads an expression that is true or false.
pub(in crate::chain) fn read(text: &str, names: &Names) -> Result<Test, Fault> {
    match read_value(text, names)? {
        Part::Test(test) => Ok(test),
        other => {
            Err(Fault::new(0, format!("an expression must be true or false, and this is {}", other.kind()))
                .hint("compare it with something: `type() == 'A'`"))
        }
    }
}

/// Reads pieces one after the other.
struct Reader<'n> {
    /// The pieces, `End` last.
    pieces: Vec<(usize, Piece)>,
    /// The next one.
    next: usize,
    /// How deep it is nested.
    depth: usize,
    /// What may be named beside the query.
    names: &'n Names,
    /// The kind of `#`, inside the condition of a quantifier.
    item: Option<Kind>,
}

impl Reader<'_> {
    /// The next piece and its place.
    fn look(&self) -> (usize, &Piece) {
        self.pieces.get(self.next).or(self.pieces.last()).map_or((0, &Piece::End), |(at, piece)| (*at, piece))
    }

    /// Takes the next piece.
    fn take(&mut self) -> (usize, Piece) {
        let (at, piece) = self.look();
        let taken = (at, piece.clone());
        self.next += 1;
        taken
    }

    /// Takes the next piece if it is this sign.
    fn takes(&mut self, sign: &str) -> bool {
        let found = matches!(self.look().1, Piece::Sign(found) if *found == sign);
        self.next += usize::from(found);
        found
    }

    /// Takes this sign, which must come.
    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.takes(sign) {
            return Ok(());
        }
        let (at, piece) = self.look();
        Err(Fault::new(at, format!("`{sign}` is expected here, not {}", piece.shown())))
    }

    /// Reads an expression whose operators bind at least as strongly as `least`.
    fn expression(&mut self, least: u8) -> Result<Part, Fault> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Fault::new(self.look().0, format!("is nested more than {DEPTH} deep")));
        }
        let mut left = self.single()?;
        while let Some((operator, strength, negated, taken)) = self.operator() {
            if strength < least {
                break;
            }
            let (at, _) = self.look();
            self.next += taken;
            let (right_at, right_piece) = (self.look().0, self.look().1.clone());
            let right = self.expression(strength + 1)?;
            let literal = matches!(right_piece, Piece::Text(_));
            left = infix(operator, left, right, (at, right_at), literal)?;
            if negated {
                left = negate(left, at)?;
            }
        }
        if least == 0 && self.takes("?") {
            let at = self.look().0;
            let then = self.expression(0)?;
            self.expect(":")?;
            let or_else = self.expression(0)?;
            left = choice(left, then, or_else, at)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// The operator that comes next, if one does: with its strength, whether it is negated, and its pieces.
    fn operator(&self) -> Option<(Operator, u8, bool, usize)> {
        let text = |piece: &Piece| match piece {
            Piece::Sign(sign) => Some((*sign).to_owned()),
            Piece::Word(word) => Some(word.clone()),
            Piece::Number(_) | Piece::Text(_) | Piece::End => None,
        };
        let first = text(self.look().1)?;
        if first == "not" {
            let second = self.pieces.get(self.next + 1).and_then(|(_, piece)| text(piece))?;
            let (operator, strength) = Operator::of(&second)?;
            return operator.has_not().then_some((operator, strength, true, 2));
        }
        let (operator, strength) = Operator::of(&first)?;
        Some((operator, strength, false, 1))
    }

    /// Reads one operand.
    fn single(&mut self) -> Result<Part, Fault> {
        let (at, piece) = self.take();
        match piece {
            Piece::Number(number) => Ok(Part::Number(Number::Constant(number))),
            Piece::Text(text) => Ok(Part::Text(Text::Constant(text))),
            Piece::Sign("(") => {
                let inside = self.expression(0)?;
                self.expect(")")?;
                Ok(inside)
            }
            Piece::Sign("[") => self.list(at),
            Piece::Sign("#") => match self.item {
                Some(Kind::Number) => Ok(Part::Number(Number::Item)),
                Some(Kind::Truth | Kind::Text) => Ok(Part::Text(Text::Item)),
                None => Err(Fault::new(at, "`#` stands for nothing here".to_owned())
                    .hint("it is each value of a list in turn: `any(['a', 'b'], # == type())`")),
            },
            Piece::Sign("!") => self.negated(at),
            Piece::Sign("-") => match self.expression(90)? {
                Part::Number(number) => {
                    Ok(Part::Number(Number::Difference(Box::new((Number::Constant(0), number)))))
                }
                other => Err(Fault::new(at, format!("`-` is for numbers, and this is {}", other.kind()))),
            },
            Piece::Word(word) => match word.as_str() {
                "true" => Ok(Part::Test(Test::Constant(true))),
                "false" => Ok(Part::Test(Test::Constant(false))),
                "not" => self.negated(at),
                _ => self.call(&word, at),
            },
            other => Err(Fault::new(at, format!("a value is expected here, not {}", other.shown()))),
        }
    }

    /// What stands behind `!` or `not`.
    fn negated(&mut self, at: usize) -> Result<Part, Fault> {
        let part = self.expression(50)?;
        negate(part, at)
    }

    /// Reads a list and a condition behind the name and bracket of a quantifier.
    fn quantified(&mut self, quantifier: Quantifier) -> Result<Part, Fault> {
        let at = self.look().0;
        let (list, kind) = match self.expression(0)? {
            Part::Texts(list) => (List::Texts(list), Kind::Text),
            Part::Empty => (List::Texts(Vec::new()), Kind::Text),
            Part::Numbers(list) => (List::Numbers(list), Kind::Number),
            other => {
                return Err(Fault::new(at, format!("a list is expected here, and this is {}", other.kind())));
            }
        };
        self.expect(",")?;
        let at = self.look().0;
        let outer = self.item.replace(kind);
        let condition = self.expression(0)?;
        self.item = outer;
        self.expect(")")?;
        match condition {
            Part::Test(test) => Ok(Part::Test(Test::Quantified(quantifier, Box::new((list, test))))),
            other => {
                Err(Fault::new(at, format!("a condition is expected here, and this is {}", other.kind())))
            }
        }
    }

    /// Reads a list behind its bracket.
    fn list(&mut self, at: usize) -> Result<Part, Fault> {
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        while !self.takes("]") {
            let place = self.look().0;
            match self.expression(0)? {
                Part::Text(text) => texts.push(text),
                Part::Number(number) => numbers.push(number),
                other => {
                    return Err(Fault::new(place, format!("a list can't hold {}", other.kind())));
                }
            }
            if !self.takes(",") {
                self.expect("]")?;
                break;
            }
        }
        match (texts.is_empty(), numbers.is_empty()) {
            (true, true) => Ok(Part::Empty),
            (false, true) => Ok(Part::Texts(texts)),
            (true, false) => Ok(Part::Numbers(Numbers::List(numbers))),
            (false, false) => Err(Fault::new(at, "a list holds either texts or numbers".to_owned())),
        }
    }

    /// Reads the arguments of a function.
    fn call(&mut self, name: &str, at: usize) -> Result<Part, Fault> {
        let quantifier = match name {
            "any" => Some(Quantifier::Any),
            "all" => Some(Quantifier::All),
            "none" => Some(Quantifier::None),
            "one" => Some(Quantifier::One),
            _ => None,
        };
        if !self.takes("(") {
            let mut known = self.names.variables.iter().enumerate();
            if let Some((place, (_, kind))) = known.find(|(_, (known, _))| known == name) {
                return Ok(match kind {
                    Kind::Truth => Part::Test(Test::Variable(place)),
                    Kind::Number => Part::Number(Number::Variable(place)),
                    Kind::Text => Part::Text(Text::Variable(place)),
                });
            }
            let fault = Fault::new(at, format!("`{name}` is no value"));
            return Err(match fact(name).is_some() {
                true => fault.hint(format!("functions are called: `{name}()`")),
                false => fault.hint("texts stand in quotes: `'example.com.'`"),
            });
        }
        if let Some(quantifier) = quantifier {
            return self.quantified(quantifier);
        }
        if name == "group" && !self.names.groups {
            return Err(Fault::new(at, "`group` has no match to look at here".to_owned())
                .hint("it is for `template`, whose `match` has groups"));
        }
        let mut arguments = Vec::new();
        while !self.takes(")") {
            let place = self.look().0;
            arguments.push((place, self.expression(0)?));
            if !self.takes(",") {
                self.expect(")")?;
                break;
            }
        }
        if let Some(part) = fact(name) {
            return match arguments.first() {
                None => Ok(part),
                Some((place, _)) => Err(Fault::new(*place, format!("`{name}()` takes no arguments"))),
            };
        }
        apply(name, arguments, at)
    }
}

/// `group`, `int` and `string`, which take texts and numbers; `None` for another function.
fn convert(name: &str, part: Part) -> Option<Part> {
    Some(match (name, part) {
        ("group", Part::Text(text)) => Part::Text(Text::Group(Box::new(text))),
        ("group", Part::Number(number)) => Part::Text(Text::Group(Box::new(Text::Written(Box::new(number))))),
        ("int", Part::Text(text)) => Part::Number(Number::Parsed(Box::new(text))),
        ("int", number @ Part::Number(_)) => number,
        ("string", Part::Number(number)) => Part::Text(Text::Written(Box::new(number))),
        ("string", text @ Part::Text(_)) => text,
        _ => return None,
    })
}

/// A function of its arguments.
fn apply(name: &str, mut arguments: Vec<(usize, Part)>, at: usize) -> Result<Part, Fault> {
    let wanted = match name {
        "metadata" | "len" | "lower" | "upper" | "trim" | "group" | "int" | "string" => 1,
        "incidr" | "hasPrefix" | "hasSuffix" | "trimPrefix" | "trimSuffix" => 2,
        "replace" => 3,
        _ => {
            return Err(Fault::new(at, format!("`{name}` is not a function"))
                .hint(format!("known here: {FUNCTIONS}")));
        }
    };
    let found = arguments.len();
    if matches!(name, "group" | "int" | "string") && found == wanted {
        let (place, part) = arguments.swap_remove(0);
        let kind = part.kind();
        let fault = || Fault::new(place, format!("`{name}` is for texts and numbers, and this is {kind}"));
        return convert(name, part).ok_or_else(fault);
    }
    let mut texts = Vec::with_capacity(wanted);
    for (place, part) in arguments {
        match part {
            Part::Text(text) => texts.push((place, text)),
            other => {
                return Err(Fault::new(
                    place,
                    format!("`{name}` is for texts, and this is {}", other.kind()),
                ));
            }
        }
    }
    let mut texts = texts.into_iter();
    let (first, second, third) = match (texts.next(), texts.next(), texts.next()) {
        (Some(first), second, third) if found == wanted => (first, second, third),
        _ => {
            let plural = if wanted == 1 { "argument" } else { "arguments" };
            return Err(Fault::new(at, format!("`{name}` takes {wanted} {plural}, and here are {found}")));
        }
    };
    let second = match (second, third) {
        (Some((_, from)), Some((_, to))) => {
            return Ok(Part::Text(Text::Replaced(Box::new((first.1, from, to)))));
        }
        (second, _) => second,
    };
    let text = Box::new(first.1);
    Ok(match (name, second) {
        ("trimPrefix", Some((_, part))) => Part::Text(Text::Without(Where::Front, Box::new((*text, part)))),
        ("trimSuffix", Some((_, part))) => Part::Text(Text::Without(Where::End, Box::new((*text, part)))),
        ("metadata", _) => Part::Text(Text::Metadata(text)),
        ("len", _) => Part::Number(Number::Length(text)),
        ("lower", _) => Part::Text(Text::Lower(text)),
        ("upper", _) => Part::Text(Text::Upper(text)),
        ("trim", _) => Part::Text(Text::Trim(text)),
        ("hasPrefix", Some((_, part))) => Part::Test(Test::Holds(Where::Front, Box::new((*text, part)))),
        ("hasSuffix", Some((_, part))) => Part::Test(Test::Holds(Where::End, Box::new((*text, part)))),
        (_, Some((place, network))) => Part::Test(within(*text, (first.0, place), network)?),
        (_, None) => return Err(Fault::new(at, format!("`{name}` lacks an argument"))),
    })
}

/// `incidr`: what is written down is looked at now.
fn within(ip: Text, (ip_at, at): (usize, usize), network: Text) -> Result<Test, Fault> {
    match &ip {
        Text::Constant(written) if written.parse::<std::net::IpAddr>().is_err() => {
            return Err(Fault::new(ip_at, format!("`{written}` is not an address")));
        }
        Text::Fact(fact) if !matches!(fact, TextFact::ClientIp | TextFact::ServerIp) => {
            return Err(Fault::new(ip_at, "this is never an address".to_owned())
                .hint("write `client_ip()` or `server_ip()`"));
        }
        _ => {}
    }
    match network {
        Text::Constant(written) => match Network::parse(&written) {
            Some(network) => Ok(Test::InKnownNetwork(Box::new(ip), network)),
            None => Err(Fault::new(at, format!("`{written}` is not a network"))
                .hint("write it with its mask: `'10.0.0.0/8'`, `'192.0.2.7/32'`")),
        },
        other => Ok(Test::InNetwork(Box::new(ip), Box::new(other))),
    }
}

/// The opposite.
fn negate(part: Part, at: usize) -> Result<Part, Fault> {
    match part {
        Part::Test(test) => Ok(Part::Test(Test::Not(Box::new(test)))),
        other => {
            Err(Fault::new(at, format!("only what is true or false has an opposite, not {}", other.kind()))
                .hint("put it in parentheses: `!(type() == 'A')`"))
        }
    }
}

/// `a ? b : c`.
fn choice(condition: Part, then: Part, or_else: Part, at: usize) -> Result<Part, Fault> {
    let Part::Test(test) = condition else {
        return Err(Fault::new(at, format!("what stands before `?` is {}", condition.kind())));
    };
    Ok(match (then, or_else) {
        (Part::Test(a), Part::Test(b)) => Part::Test(Test::Choice(Box::new((test, a, b)))),
        (Part::Number(a), Part::Number(b)) => Part::Number(Number::Choice(Box::new((test, a, b)))),
        (Part::Text(a), Part::Text(b)) => Part::Text(Text::Choice(Box::new((test, a, b)))),
        (a, b) => {
            let kinds = format!("{} and {}", a.kind(), b.kind());
            return Err(Fault::new(
                at,
                format!("both sides of `:` must be of one kind, and these are {kinds}"),
            ));
        }
    })
}

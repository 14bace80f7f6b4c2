//! Templates run over the data of a query.

use std::borrow::Cow;

use super::format;
use super::nodes::{Expr, Function, Node, Part, Template};
use super::value::{Data, Value};
use crate::chain::expression;

/// The longest text that a template makes: more is no record. Unit: bytes.
const LONGEST: usize = 65_536;

/// The most steps that a template takes.
const STEPS: usize = 20_000;

/// Why a template did not run to its end.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(in crate::chain::template) enum RunFault {
    /// A text that `parseInt` cannot read.
    #[error("`parseInt` cannot read `{0}`")]
    Number(String),
    /// A place that there is not.
    #[error("there is nothing at place {0}")]
    Place(i128),
    /// Too many steps, or too long a text.
    #[error("it makes too much")]
    TooMuch,
}

/// How a list of nodes ended.
#[derive(PartialEq, Eq)]
enum Flow {
    /// At its end.
    On,
    /// At `break`.
    Break,
    /// At `continue`.
    Continue,
}

/// A template that is running.
struct Run<'d> {
    /// What it runs over.
    data: &'d Data<'d>,
    /// Its variables.
    slots: Vec<Value<'d>>,
    /// The dot; the innermost last.
    dots: Vec<Value<'d>>,
    /// What it made so far.
    out: String,
    /// Steps that are left.
    left: usize,
}

impl Template {
    /// The text that it makes.
    ///
    /// Cost: allocates. Errors: what the query brought that it cannot do with.
    pub(in crate::chain::template) fn run<'d>(&'d self, data: &'d Data<'d>) -> Result<String, RunFault> {
        let mut run = Run {
            data,
            slots: vec![Value::Whole; self.slots],
            dots: Vec::new(),
            out: String::new(),
            left: STEPS,
        };
        run.list(&self.nodes)?;
        Ok(run.out)
    }
}

impl<'d> Run<'d> {
    /// Takes a step.
    fn step(&mut self) -> Result<(), RunFault> {
        self.left = self.left.checked_sub(1).ok_or(RunFault::TooMuch)?;
        if self.out.len() > LONGEST { Err(RunFault::TooMuch) } else { Ok(()) }
    }

    /// Gives a variable its value.
    fn set(&mut self, slot: Option<usize>, value: Value<'d>) {
        if let Some(place) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            *place = value;
        }
    }

    /// Runs nodes.
    fn list(&mut self, nodes: &'d [Node]) -> Result<Flow, RunFault> {
        for node in nodes {
            self.step()?;
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::On
                }
                Node::Print(expr) => {
                    let value = self.value(expr)?;
                    self.out.push_str(&value.print());
                    Flow::On
                }
                Node::Let(slot, expr) => {
                    let value = self.value(expr)?;
                    self.set(Some(*slot), value);
                    Flow::On
                }
                Node::If { condition, slot, with, then, otherwise } => {
                    let value = self.value(condition)?;
                    let truth = value.truth();
                    self.set(*slot, value.clone());
                    match (truth, with) {
                        (false, _) => self.list(otherwise)?,
                        (true, false) => self.list(then)?,
                        (true, true) => {
                            self.dots.push(value);
                            let flow = self.list(then)?;
                            self.dots.pop();
                            flow
                        }
                    }
                }
                Node::Range { over, key, value, body, otherwise } => {
                    self.range(over, (*key, *value), body, otherwise)?
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    /// Runs `range`.
    fn range(
        &mut self,
        over: &'d Expr,
        (key, value): (Option<usize>, Option<usize>),
        body: &'d [Node],
        otherwise: &'d [Node],
    ) -> Result<Flow, RunFault> {
        let number = |place: usize| Value::Number(i128::try_from(place).unwrap_or(i128::MAX));
        let text = |text: &'d str| Value::Text(Cow::Borrowed(text));
        let mut texts: Vec<(Value<'d>, Value<'d>)> = Vec::new();
        let mut numbers = 0..0;
        match self.value(over)? {
            Value::Texts(all) => {
                texts = all.iter().enumerate().map(|(place, all)| (number(place), text(all))).collect();
            }
            Value::Groups(groups) => {
                texts = groups.sorted().into_iter().map(|(name, group)| (text(name), text(group))).collect();
            }
            // More is ended by the bound of steps.
            Value::Number(count) => numbers = 0..usize::try_from(count.clamp(0, 1 << 20)).unwrap_or(0),
            Value::Text(_) | Value::Truth(_) | Value::Whole => {}
        }
        if texts.is_empty() && numbers.is_empty() {
            return self.list(otherwise);
        }
        let all = texts.into_iter().chain(numbers.map(|place| (number(place), number(place))));
        for (name, each) in all {
            self.step()?;
            self.set(key, name);
            self.set(value, each.clone());
            self.dots.push(each);
            let flow = self.list(body)?;
            self.dots.pop();
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// What an expression gives.
    fn value(&mut self, expr: &'d Expr) -> Result<Value<'d>, RunFault> {
        self.step()?;
        let data = self.data;
        let text = |text: &'d str| Value::Text(Cow::Borrowed(text));
        Ok(match expr {
            Expr::Text(constant) => text(constant),
            Expr::Number(number) => Value::Number(*number),
            Expr::Truth(truth) => Value::Truth(*truth),
            Expr::Dot => self.dots.last().cloned().unwrap_or(Value::Whole),
            Expr::Slot(slot) => self.slots.get(*slot).cloned().unwrap_or(Value::Whole),
            Expr::Group(name) => text(data.groups.get(name).unwrap_or_default()),
            Expr::Variable(place) => match data.variables.get(*place) {
                Some(expression::Value::Text(value)) => text(value),
                Some(expression::Value::Number(number)) => Value::Number((*number).into()),
                Some(expression::Value::Truth(truth)) => Value::Truth(*truth),
                None => Value::Whole,
            },
            Expr::Meta(label) => {
                let label = self.value(label)?;
                Value::Text(Cow::Owned((data.meta)(&label.print())))
            }
            Expr::Part(part) => match part {
                Part::Zone => text(data.zone),
                Part::Name => text(data.name),
                Part::Regex => text(data.regex),
                Part::Match => Value::Texts(&data.matches),
                Part::Group => Value::Groups(&data.groups),
                Part::Class => text(data.class),
                Part::Type => text(data.rtype),
                Part::Remote => text(&data.remote),
                Part::Whole => Value::Whole,
                Part::QuestionName => text(data.typed),
                Part::QuestionType => Value::Number(data.qtype.into()),
                Part::QuestionClass => Value::Number(data.qclass.into()),
                Part::Id => Value::Number(data.header.id.into()),
                Part::Opcode => Value::Number(data.header.opcode().0.into()),
                Part::Flag(bit) => Value::Truth(data.header.flags & bit != 0),
                Part::Zero => Value::Number(0),
            },
            Expr::Format(verbs, values) => {
                let values = values.iter().map(|value| self.value(value)).collect::<Result<Vec<_>, _>>()?;
                let mut out = String::new();
                format::write(verbs, &values, &mut out);
                Value::Text(Cow::Owned(out))
            }
            Expr::Call(function, arguments) => self.call(*function, arguments)?,
        })
    }

    /// What a function gives.
    fn call(&mut self, function: Function, arguments: &'d [Expr]) -> Result<Value<'d>, RunFault> {
        if let Function::And | Function::Or = function {
            // Of `and` the first that counts as false, of `or` the first that counts as true, else the last.
            let mut value = Value::Whole;
            for argument in arguments {
                value = self.value(argument)?;
                if value.truth() == (function == Function::Or) {
                    break;
                }
            }
            return Ok(value);
        }
        let values = arguments.iter().map(|value| self.value(value)).collect::<Result<Vec<_>, _>>()?;
        let ordered = |first: &Value<'_>, second: &Value<'_>| match (first, second) {
            (Value::Number(first), Value::Number(second)) => Some(first.cmp(second)),
            (Value::Truth(first), Value::Truth(second)) => Some(first.cmp(second)),
            (Value::Text(first), Value::Text(second)) => Some(first.cmp(second)),
            _ => None,
        };
        let order = match values.as_slice() {
            [first, second, ..] => ordered(first, second),
            _ => None,
        };
        let number = |number: usize| Value::Number(i128::try_from(number).unwrap_or(i128::MAX));
        Ok(match function {
            Function::And | Function::Or => Value::Whole,
            Function::Not => Value::Truth(!values.first().is_some_and(Value::truth)),
            Function::Eq => {
                let first = values.first();
                Value::Truth(values.iter().skip(1).any(|other| {
                    first.is_some_and(|first| ordered(first, other).is_some_and(std::cmp::Ordering::is_eq))
                }))
            }
            Function::Ne => Value::Truth(order.is_some_and(std::cmp::Ordering::is_ne)),
            Function::Lt => Value::Truth(order.is_some_and(std::cmp::Ordering::is_lt)),
            Function::Le => Value::Truth(order.is_some_and(std::cmp::Ordering::is_le)),
            Function::Gt => Value::Truth(order.is_some_and(std::cmp::Ordering::is_gt)),
            Function::Ge => Value::Truth(order.is_some_and(std::cmp::Ordering::is_ge)),
            Function::Len => match values.first() {
                Some(Value::Text(text)) => number(text.len()),
                Some(Value::Texts(texts)) => number(texts.len()),
                Some(Value::Groups(groups)) => number(groups.sorted().len()),
                _ => number(0),
            },
            Function::Index => index(&values)?,
            Function::Slice => slice(&values)?,
            Function::Print | Function::Println => Value::Text(Cow::Owned(print(&values, function))),
            Function::ParseInt => parse_int(&values)?,
        })
    }
}

/// `index`.
fn index<'d>(values: &[Value<'d>]) -> Result<Value<'d>, RunFault> {
    match values {
        [Value::Texts(texts), Value::Number(place)] => {
            let text = usize::try_from(*place).ok().and_then(|place| texts.get(place));
            text.map(|text| Value::Text(Cow::Borrowed(text))).ok_or(RunFault::Place(*place))
        }
        [Value::Text(text), Value::Number(place)] => {
            let byte = usize::try_from(*place).ok().and_then(|place| text.as_bytes().get(place));
            byte.map(|byte| Value::Number((*byte).into())).ok_or(RunFault::Place(*place))
        }
        [Value::Groups(groups), Value::Text(name)] => {
            Ok(Value::Text(Cow::Borrowed(groups.get(name).unwrap_or_default())))
        }
        _ => Ok(Value::Whole),
    }
}

/// `slice`.
fn slice<'d>(values: &[Value<'d>]) -> Result<Value<'d>, RunFault> {
    let Some(Value::Text(text)) = values.first() else { return Ok(Value::Whole) };
    let place = |value: Option<&Value<'d>>, absent: usize| match value {
        Some(Value::Number(place)) => usize::try_from(*place).map_err(|_| RunFault::Place(*place)),
        _ => Ok(absent),
    };
    let (start, end) = (place(values.get(1), 0)?, place(values.get(2), text.len())?);
    let cut = text.get(start..end).map(str::to_owned);
    let far = i128::try_from(end).unwrap_or(i128::MAX);
    cut.map(|cut| Value::Text(Cow::Owned(cut))).ok_or(RunFault::Place(far))
}

/// `print`, which puts blanks between two that are no texts, and `println`, which always does.
fn print(values: &[Value<'_>], function: Function) -> String {
    let mut out = String::new();
    let mut before = true;
    for (place, value) in values.iter().enumerate() {
        let text = matches!(value, Value::Text(_));
        if place > 0 && (function == Function::Println || !(text || before)) {
            out.push(' ');
        }
        out.push_str(&value.print());
        before = text;
    }
    if function == Function::Println {
        out.push('\n');
    }
    out
}

/// `parseInt`: Go's `strconv.ParseUint`.
fn parse_int<'d>(values: &[Value<'d>]) -> Result<Value<'d>, RunFault> {
    let [Value::Text(text), Value::Number(base), Value::Number(bits)] = values else {
        return Ok(Value::Whole);
    };
    let fault = || RunFault::Number(text.chars().take(64).collect());
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match base {
        0 => match lower.get(..2) {
            Some("0x") => (lower.get(2..), 16),
            Some("0b") => (lower.get(2..), 2),
            Some("0o") => (lower.get(2..), 8),
            _ if lower.len() > 1 && lower.starts_with('0') => (lower.get(1..), 8),
            _ => (Some(lower.as_str()), 10),
        },
        2..=36 => (Some(lower.as_str()), u32::try_from(*base).map_err(|_| fault())?),
        _ => return Err(fault()),
    };
    let bits = match bits {
        0 => 64,
        1..=64 => u32::try_from(*bits).map_err(|_| fault())?,
        _ => return Err(fault()),
    };
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let number = digits.and_then(|digits| u64::from_str_radix(digits, radix).ok()).ok_or_else(fault)?;
    if u128::from(number) >> bits != 0 { Err(fault()) } else { Ok(Value::Number(number.into())) }
}

//! What a template may say: a small language in which each value has a kind. Its mistakes are found before there is a row.
//!
//! minijinja itself guesses: a text is more than a number, the name of a function is printed. So the template's tree is read
//! first, with the kinds that its filters promise.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::machinery::ast::{
    BinOpKind, CallArg, CompareOpKind, Expr, Filter, ForLoop, IfCond, Stmt, Test, UnaryOpKind,
};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;

/// What kind of value an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Date,
    Truth,
    Texts,
    Numbers,
}

impl Kind {
    fn is_list(self) -> bool {
        matches!(self, Kind::Texts | Kind::Numbers)
    }

    fn told(self) -> &'static str {
        match self {
            Kind::Text => "a text",
            Kind::Number => "a number",
            Kind::Date => "a date",
            Kind::Truth => "true or false",
            Kind::Texts | Kind::Numbers => "a list",
        }
    }
}

/// How a template names a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// `company`
    Bare(String),
    /// `row["Company name"]`
    Column(String),
}

impl Name {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Name::Bare(name) | Name::Column(name) => name,
        }
    }
}

/// What a template uses.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// The values that it names.
    pub(super) names: BTreeSet<Name>,
    /// Those of which it asks whether there is something.
    pub(super) asked: BTreeSet<Name>,
    /// The texts of its own that it reads as numbers or dates.
    pub(super) constants: BTreeSet<String>,
}

/// What is known of names.
pub(super) trait Known {
    /// The kind of a value that a row has.
    fn kind(&self, name: &Name) -> Kind;

    /// Whether there is such a column.
    fn has_column(&self, name: &str) -> bool;
}

/// Reads a template.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(text: &str, syntax: SyntaxConfig, known: &dyn Known) -> Result<Uses, String> {
    let tree = parse(text, text, syntax).map_err(|error| {
        let what = error.detail().unwrap_or("it cannot be read");
        what.to_owned()
    })?;
    let mut walk = Walk {
        text,
        known,
        uses: Uses::default(),
        locals: vec![BTreeMap::new()],
    };
    walk.statement(&tree)?;
    Ok(walk.uses)
}

/// What a filter takes, what it gives where that is of another kind, and how many arguments it may have: texts, but for that
/// of `round`.
struct Promise {
    name: &'static str,
    takes: &'static [Kind],
    gives: Option<Kind>,
    arguments: RangeInclusive<usize>,
}

const fn promise(
    name: &'static str,
    takes: &'static [Kind],
    gives: Option<Kind>,
    arguments: RangeInclusive<usize>,
) -> Promise {
    Promise {
        name,
        takes,
        gives,
        arguments,
    }
}

const TEXT: &[Kind] = &[Kind::Text];
const NUMBER: &[Kind] = &[Kind::Number];
const LISTS: &[Kind] = &[Kind::Texts, Kind::Numbers];

const FILTERS: &[Promise] = &[
    promise("upper", TEXT, None, 0..=0),
    promise("lower", TEXT, None, 0..=0),
    promise("title", TEXT, None, 0..=0),
    promise("capitalize", TEXT, None, 0..=0),
    promise("trim", TEXT, None, 0..=1),
    promise("replace", TEXT, None, 2..=2),
    promise("urlencode", TEXT, None, 0..=0),
    promise("default", TEXT, None, 1..=1),
    promise("number", TEXT, Some(Kind::Number), 0..=0),
    promise("date", TEXT, Some(Kind::Date), 0..=0),
    promise("format", &[Kind::Date], Some(Kind::Text), 1..=1),
    promise("round", NUMBER, None, 0..=1),
    promise("abs", NUMBER, None, 0..=0),
    promise("split", TEXT, Some(Kind::Texts), 1..=1),
    promise("join", LISTS, Some(Kind::Text), 0..=1),
    promise("length", LISTS, Some(Kind::Number), 0..=0),
    promise("first", LISTS, None, 0..=0),
    promise("last", LISTS, None, 0..=0),
    promise("sort", LISTS, None, 0..=0),
    promise("unique", LISTS, None, 0..=0),
    promise("reverse", LISTS, None, 0..=0),
];

/// The tests behind `is`: what they take, and how many arguments.
const TESTS: &[(&str, Option<Kind>, usize)] = &[
    ("defined", None, 0),
    ("undefined", None, 0),
    ("startingwith", Some(Kind::Text), 1),
    ("endingwith", Some(Kind::Text), 1),
    ("odd", Some(Kind::Number), 0),
    ("even", Some(Kind::Number), 0),
];

struct Walk<'k> {
    text: &'k str,
    known: &'k dyn Known,
    uses: Uses,
    /// The names that the template gives itself, by scope.
    locals: Vec<BTreeMap<String, Kind>>,
}

impl Walk<'_> {
    fn statements(&mut self, of: &[Stmt<'_>]) -> Result<(), String> {
        of.iter().try_for_each(|one| self.statement(one))
    }

    fn statement(&mut self, of: &Stmt<'_>) -> Result<(), String> {
        match of {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::EmitExpr(emit) => self.emit(&emit.expr).map(drop),
            Stmt::IfCond(cond) => self.condition(cond),
            Stmt::ForLoop(of) => self.each(of),
            Stmt::Set(set) => {
                let kind = self.kind(&set.expr)?;
                self.define(&set.target, kind)
            }
            _ => Err("a template knows `{% if %}`, `{% for %}` and `{% set %}` alone".to_owned()),
        }
    }

    /// Reads what is printed. Each part of a template is read once, however deep it stands.
    fn emit(&mut self, of: &Expr<'_>) -> Result<Kind, String> {
        self.not_quoted(of)?;
        let span = of.span();
        let written = span.start_offset as usize..span.end_offset as usize;
        let written = self.text.get(written).unwrap_or_default();
        if !matches!(of, Expr::Var(_)) && self.known.has_column(written) {
            return Err(format!(
                "the column {written:?} is not one word: write {{{{ row[\"{written}\"] }}}}"
            ));
        }
        match self.kind(of)? {
            kind @ (Kind::Text | Kind::Number | Kind::Truth) => Ok(kind),
            Kind::Date => Err(
                "it prints a date without saying how: write `| format(\"%d-%m-%Y\")` behind it"
                    .to_owned(),
            ),
            Kind::Texts | Kind::Numbers => {
                Err("it prints a list: write `| join(\", \")` behind it".to_owned())
            }
        }
    }

    /// Refuses the name of a column in quotes, which is a text of the template.
    fn not_quoted(&self, of: &Expr<'_>) -> Result<(), String> {
        let Expr::Const(text) = of else {
            return Ok(());
        };
        match text.value.as_str() {
            Some(text) if self.known.has_column(text) => Err(format!(
                "it prints the words {text:?} for everybody, where the column of that name was meant: \
                 write {{{{ row[\"{text}\"] }}}}"
            )),
            _ => Ok(()),
        }
    }

    fn condition(&mut self, of: &IfCond<'_>) -> Result<(), String> {
        self.truth(&of.expr)?;
        self.statements(&of.true_body)?;
        self.statements(&of.false_body)
    }

    fn each(&mut self, of: &ForLoop<'_>) -> Result<(), String> {
        let one = match self.kind(&of.iter)? {
            Kind::Texts => Kind::Text,
            Kind::Numbers => Kind::Number,
            other => {
                return Err(format!(
                    "`for` goes through {}, which is not a list: write `| split(\",\")` behind it",
                    other.told()
                ));
            }
        };
        if of.recursive {
            return Err("a loop may not call itself".to_owned());
        }
        self.locals.push(BTreeMap::new());
        self.define(&of.target, one)?;
        if let Some(filter) = &of.filter_expr {
            self.truth(filter)?;
        }
        self.statements(&of.body)?;
        self.locals.pop();
        self.statements(&of.else_body)
    }

    fn define(&mut self, target: &Expr<'_>, kind: Kind) -> Result<(), String> {
        let Expr::Var(var) = target else {
            return Err("only one name at a time can be set".to_owned());
        };
        match self.locals.iter().rev().find_map(|of| of.get(var.id)) {
            Some(before) if *before != kind => Err(format!(
                "`{}` is {} first and {} then: give the second one a name of its own",
                var.id,
                before.told(),
                kind.told()
            )),
            _ => {
                if let Some(scope) = self.locals.last_mut() {
                    scope.insert(var.id.to_owned(), kind);
                }
                Ok(())
            }
        }
    }

    /// Reads what is asked whether it holds, and gives its kind, if it has but one.
    fn truth(&mut self, of: &Expr<'_>) -> Result<Option<Kind>, String> {
        match of {
            Expr::UnaryOp(not) if matches!(not.op, UnaryOpKind::Not) => {
                self.truth(&not.expr).map(|_| Some(Kind::Truth))
            }
            Expr::BinOp(both) if matches!(both.op, BinOpKind::ScAnd | BinOpKind::ScOr) => {
                let (left, right) = (self.truth(&both.left)?, self.truth(&both.right)?);
                Ok(left.filter(|_| left == right))
            }
            _ => match (self.kind(of)?, self.name(of)?) {
                (Kind::Truth, _) => Ok(Some(Kind::Truth)),
                (kind, _) if kind.is_list() => Ok(Some(kind)),
                (Kind::Text, Some(name)) => {
                    self.uses.asked.insert(name);
                    Ok(Some(Kind::Text))
                }
                (kind, _) => Err(format!(
                    "`if` asks for {}, which is neither true nor false: compare it with something",
                    kind.told()
                )),
            },
        }
    }

    /// The value of a row that an expression names, if it is no more than that.
    fn name(&self, of: &Expr<'_>) -> Result<Option<Name>, String> {
        let is_row = |of: &Expr<'_>| matches!(of, Expr::Var(var) if var.id == "row");
        match of {
            Expr::Var(var) if self.locals.iter().any(|of| of.contains_key(var.id)) => Ok(None),
            Expr::Var(var) if var.id == "row" => {
                Err("`row` is all columns: write the name of one, row[\"company\"]".to_owned())
            }
            Expr::Var(var) if var.id == "loop" && self.locals.len() > 1 => {
                Err("`loop` prints nothing by itself: write loop.index".to_owned())
            }
            Expr::Var(var) => Ok(Some(Name::Bare(var.id.to_owned()))),
            Expr::GetAttr(of) if is_row(&of.expr) => Ok(Some(Name::Column(of.name.to_owned()))),
            Expr::GetItem(of) if is_row(&of.expr) => match &of.subscript_expr {
                Expr::Const(name) if name.value.as_str().is_some() => {
                    let name = name.value.as_str().unwrap_or_default();
                    Ok(Some(Name::Column(name.to_owned())))
                }
                _ => Err("the column in row[…] must be a text in quotes".to_owned()),
            },
            _ => Ok(None),
        }
    }

    fn wants(&mut self, of: &Expr<'_>, wanted: Kind) -> Result<(), String> {
        match self.kind(of)? {
            kind if kind == wanted => Ok(()),
            kind => Err(mismatch(kind, wanted)),
        }
    }

    fn kind(&mut self, of: &Expr<'_>) -> Result<Kind, String> {
        if let Some(name) = self.name(of)? {
            let kind = self.known.kind(&name);
            self.uses.names.insert(name);
            return Ok(kind);
        }
        match of {
            Expr::Var(var) => {
                let local = self.locals.iter().rev().find_map(|of| of.get(var.id));
                Ok(local.copied().unwrap_or(Kind::Text))
            }
            Expr::Const(of) => match of.value.kind() {
                ValueKind::String => Ok(Kind::Text),
                ValueKind::Number => Ok(Kind::Number),
                ValueKind::Bool => Ok(Kind::Truth),
                _ => Err("there is no `none`: ask `is defined`".to_owned()),
            },
            Expr::UnaryOp(of) => match of.op {
                UnaryOpKind::Not => self.truth(&of.expr).map(|_| Kind::Truth),
                UnaryOpKind::Neg => self.wants(&of.expr, Kind::Number).map(|()| Kind::Number),
            },
            Expr::BinOp(of) => match of.op {
                BinOpKind::ScAnd | BinOpKind::ScOr => {
                    let (left, right) = (self.truth(&of.left)?, self.kind(&of.right)?);
                    match left {
                        Some(left) if left == right => Ok(left),
                        left => Err(mismatch(right, left.unwrap_or(Kind::Truth))),
                    }
                }
                BinOpKind::Concat => {
                    for part in [&of.left, &of.right] {
                        if self.emit(part)? == Kind::Truth {
                            return Err(mismatch(Kind::Truth, Kind::Text));
                        }
                    }
                    Ok(Kind::Text)
                }
                BinOpKind::Eq => self.compared(&of.left, [(CompareOpKind::Eq, &of.right)]),
                BinOpKind::Ne => self.compared(&of.left, [(CompareOpKind::Ne, &of.right)]),
                BinOpKind::In => self.compared(&of.left, [(CompareOpKind::In, &of.right)]),
                BinOpKind::Lt | BinOpKind::Lte | BinOpKind::Gt | BinOpKind::Gte => {
                    self.compared(&of.left, [(CompareOpKind::Lt, &of.right)])
                }
                op => match self.kind(&of.left)? {
                    Kind::Text if matches!(op, BinOpKind::Add) => Err(
                        "`+` adds numbers: `~` puts texts together, and `| number` reads one"
                            .to_owned(),
                    ),
                    Kind::Number => self.wants(&of.right, Kind::Number).map(|()| Kind::Number),
                    kind => Err(mismatch(kind, Kind::Number)),
                },
            },
            Expr::Compare(of) => self.compared(&of.expr, of.ops.iter().map(|op| (op.op, &op.expr))),
            Expr::IfExpr(of) => {
                self.truth(&of.test_expr)?;
                let kind = self.kind(&of.true_expr)?;
                let Some(other) = &of.false_expr else {
                    return Err("`if` without `else` says nothing for the others".to_owned());
                };
                self.wants(other, kind).map(|()| kind)
            }
            Expr::Filter(of) => self.filtered(of),
            Expr::Test(of) => self.tested(of),
            Expr::GetAttr(of) => match &of.expr {
                Expr::Var(var) if var.id == "loop" && self.locals.len() > 1 => match of.name {
                    "index" | "index0" | "length" => Ok(Kind::Number),
                    "first" | "last" => Ok(Kind::Truth),
                    other => Err(format!("there is no loop.{other}")),
                },
                _ => Err(format!("there is no `.{}` of a value", of.name)),
            },
            Expr::GetItem(of) => {
                self.wants(&of.subscript_expr, Kind::Number)?;
                match self.kind(&of.expr)? {
                    Kind::Texts => Ok(Kind::Text),
                    Kind::Numbers => Ok(Kind::Number),
                    other => Err(format!(
                        "`[…]` takes one of a list, and this is {}",
                        other.told()
                    )),
                }
            }
            Expr::Slice(of) => {
                for bound in [&of.start, &of.stop, &of.step].into_iter().flatten() {
                    self.wants(bound, Kind::Number)?;
                }
                match self.kind(&of.expr)? {
                    kind if kind == Kind::Text || kind.is_list() => Ok(kind),
                    other => Err(format!(
                        "`[:]` takes a part of a text or a list, and this is {}",
                        other.told()
                    )),
                }
            }
            Expr::Call(of) => match &of.expr {
                Expr::Var(var)
                    if var.id == "range"
                        && !self.known.has_column("range")
                        && !of.args.is_empty() =>
                {
                    self.arguments(&of.args, Kind::Number)
                        .map(|_| Kind::Numbers)
                }
                Expr::Var(var) => Err(format!("there is no function `{}`", var.id)),
                _ => Err("a value is no function".to_owned()),
            },
            Expr::List(of) => {
                let mut kinds = of.items.iter().map(|item| self.kind(item));
                match kinds.next().transpose()? {
                    Some(kind @ (Kind::Text | Kind::Number)) => {
                        for other in kinds {
                            let other = other?;
                            if other != kind {
                                return Err(mismatch(other, kind));
                            }
                        }
                        Ok(if kind == Kind::Text {
                            Kind::Texts
                        } else {
                            Kind::Numbers
                        })
                    }
                    _ => Err("a list is of texts or of numbers".to_owned()),
                }
            }
            Expr::Map(_) | Expr::Tuple(_) => {
                Err("a template knows texts, numbers, dates and lists alone".to_owned())
            }
        }
    }

    fn compared<'e>(
        &mut self,
        first: &Expr<'_>,
        others: impl IntoIterator<Item = (CompareOpKind, &'e Expr<'e>)>,
    ) -> Result<Kind, String> {
        let mut left = self.kind(first)?;
        for (op, right) in others {
            let right = self.kind(right)?;
            Self::compare(op, left, right)?;
            left = right;
        }
        Ok(Kind::Truth)
    }

    fn compare(op: CompareOpKind, left: Kind, right: Kind) -> Result<(), String> {
        let is_fine = match op {
            CompareOpKind::Eq | CompareOpKind::Ne => left == right,
            CompareOpKind::In | CompareOpKind::NotIn => matches!(
                (left, right),
                (Kind::Text, Kind::Text | Kind::Texts) | (Kind::Number, Kind::Numbers)
            ),
            _ if left == right && left == Kind::Text => {
                return Err(
                    "it asks which of two texts is more: `| number` or `| date` reads them"
                        .to_owned(),
                );
            }
            _ => left == right && matches!(left, Kind::Number | Kind::Date),
        };
        match is_fine {
            true => Ok(()),
            false => Err(format!(
                "it compares {} with {}{}",
                left.told(),
                right.told(),
                advice(left, right)
            )),
        }
    }

    fn filtered(&mut self, of: &Filter<'_>) -> Result<Kind, String> {
        let Some(expr) = &of.expr else {
            return Err("a filter stands behind a value".to_owned());
        };
        let Some(filter) = FILTERS.iter().find(|filter| filter.name == of.name) else {
            let all: Vec<&str> = FILTERS.iter().map(|filter| filter.name).collect();
            return Err(format!(
                "there is no filter `{}`; there are {}",
                of.name,
                all.join(", ")
            ));
        };
        if !matches!(filter.name, "number" | "date") {
            self.not_quoted(expr)?;
        }
        let kind = self.kind(expr)?;
        if !filter.takes.contains(&kind) {
            return Err(match (filter.name, kind) {
                ("length", Kind::Text) => {
                    "`length` counts what is in a list, not the letters of a text: write `| split(\",\")` before it"
                        .to_owned()
                }
                _ => format!("`{}` takes {}, and not {}{}", filter.name, filter.takes[0].told(), kind.told(), advice(kind, filter.takes[0])),
            });
        }
        let wanted = if filter.name == "round" {
            Kind::Number
        } else {
            Kind::Text
        };
        let so_many = self.arguments(&of.args, wanted)?;
        if !filter.arguments.contains(&so_many) {
            let (least, most) = (filter.arguments.start(), filter.arguments.end());
            let wanted = match least == most {
                true => most.to_string(),
                false => format!("{least} or {most}"),
            };
            return Err(format!(
                "`{}` takes {wanted} arguments, and has {so_many}",
                filter.name
            ));
        }
        if let ("number" | "date", Expr::Const(text)) = (filter.name, expr)
            && let Some(text) = text.value.as_str()
        {
            self.uses.constants.insert(text.to_owned());
        }
        if let ("format", [CallArg::Pos(Expr::Const(format))]) = (filter.name, of.args.as_slice())
            && let Some(format) = format.value.as_str()
            && !is_format(format)
        {
            return Err(format!(
                "`format` takes what {format:?} is not: %d is the day, %m the month and %Y the year"
            ));
        }
        let one = match (filter.name, kind) {
            ("first" | "last", Kind::Texts) => Some(Kind::Text),
            ("first" | "last", _) => Some(Kind::Number),
            _ => filter.gives,
        };
        Ok(one.unwrap_or(kind))
    }

    fn tested(&mut self, of: &Test<'_>) -> Result<Kind, String> {
        let Some((name, takes, arguments)) = TESTS.iter().find(|(name, ..)| *name == of.name)
        else {
            let all: Vec<&str> = TESTS.iter().map(|(name, ..)| *name).collect();
            return Err(format!(
                "there is no test `is {}`; there are {}",
                of.name,
                all.join(", ")
            ));
        };
        let kind = self.kind(&of.expr)?;
        if let Some(takes) = takes
            && *takes != kind
        {
            return Err(mismatch(kind, *takes));
        }
        match self.arguments(&of.args, Kind::Text)? == *arguments {
            true => Ok(Kind::Truth),
            false => Err(format!("`is {name}` takes {arguments} arguments")),
        }
    }

    fn arguments(&mut self, of: &[CallArg<'_>], wanted: Kind) -> Result<usize, String> {
        for argument in of {
            let CallArg::Pos(argument) = argument else {
                return Err("arguments have no names".to_owned());
            };
            self.wants(argument, wanted)?;
        }
        Ok(of.len())
    }
}

/// Whether some date may be written so, and not the same for each.
fn is_format(format: &str) -> bool {
    let some = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
    format.contains('%') && jiff::fmt::strtime::format(format, &some).is_ok()
}

fn mismatch(found: Kind, wanted: Kind) -> String {
    format!(
        "there is {} where {} is wanted{}",
        found.told(),
        wanted.told(),
        advice(found, wanted)
    )
}

/// How one of two becomes the other.
fn advice(one: Kind, other: Kind) -> &'static str {
    match (one, other) {
        (Kind::Text, Kind::Number) | (Kind::Number, Kind::Text) => {
            ": `| number` behind the text reads it"
        }
        (Kind::Text, Kind::Date) | (Kind::Date, Kind::Text) => {
            ": `| date` behind the text reads it"
        }
        (Kind::Text, Kind::Texts) => ": `| split(\",\")` makes a list of it",
        (Kind::Text, Kind::Truth) | (Kind::Truth, Kind::Text) => {
            ": put the word in quotes, or ask `{% if … %}` of it alone"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source with some columns.
    struct Crm;

    impl Known for Crm {
        fn kind(&self, name: &Name) -> Kind {
            match name.as_str() {
                "is_vip" => Kind::Truth,
                _ => Kind::Text,
            }
        }

        fn has_column(&self, name: &str) -> bool {
            ["revenue", "Last Order", "first-name", "vip", "tags"].contains(&name)
        }
    }

    fn read(text: &str) -> Result<Uses, String> {
        check(text, SyntaxConfig::default(), &Crm)
    }

    #[test]
    fn what_a_template_can_say() {
        for text in [
            "Dear {{ name }}",
            "{{ name | trim | title }}",
            "{{ row[\"Last Order\"] }}",
            "{% if vip %}yes{% else %}no{% endif %}",
            "{% if not vip or revenue | number >= 1000 %}x{% endif %}",
            "{% if is_vip and status == \"customer\" %}x{% endif %}",
            "{% if country in [\"NL\", \"BE\"] %}x{% endif %}",
            "{% if since | date < \"2026-01-01\" | date %}x{% endif %}",
            "{{ since | date | format(\"%d-%m-%Y\") }}",
            "{{ (revenue | number * 1.21) | round(2) }}",
            "{{ nickname | default(name) }}",
            "{{ nickname or name }}",
            "{% for tag in tags | split(\";\") %}{{ loop.index }}: {{ tag }}{% endfor %}",
            "{{ tags | split(\";\") | length }}",
            "{{ (tags | split(\";\"))[0] }}",
            "{% set short = name[:1] %}{{ short ~ \".\" }}",
            "{{ \"a\" if vip else \"b\" }}",
            "{% if name is defined and name is startingwith(\"A\") %}x{% endif %}",
            "{% for n in range(3) %}{{ n }}{% endfor %}",
        ] {
            assert!(read(text).is_ok(), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn what_would_be_a_guess_is_a_mistake() {
        for (text, why) in [
            (
                "{% if revenue > 1000 %}x{% endif %}",
                "compares a text with a number: `| number`",
            ),
            (
                "{% if revenue > \"1000\" %}x{% endif %}",
                "which of two texts is more",
            ),
            (
                "{% if since | date > \"2026-01-01\" %}x{% endif %}",
                "`| date` behind the text",
            ),
            ("{% if vip == true %}x{% endif %}", "put the word in quotes"),
            (
                "{% if is_vip == \"true\" %}x{% endif %}",
                "put the word in quotes",
            ),
            (
                "{% if revenue | number %}x{% endif %}",
                "neither true nor false",
            ),
            ("{% if vip | trim %}x{% endif %}", "neither true nor false"),
            ("{{ revenue * 2 }}", "a text where a number is wanted"),
            ("{{ name + \"x\" }}", "`~` puts texts together"),
            ("{{ name | length }}", "not the letters of a text"),
            (
                "{{ 'Last Order' | upper }}",
                "write {{ row[\"Last Order\"] }}",
            ),
            ("{{ first-name }}", "write {{ row[\"first-name\"] }}"),
            (
                "{{ since | date | format(\"dd-mm-jjjj\") }}",
                "%d is the day",
            ),
            ("{{ since | date | format(\"%d-%\") }}", "%d is the day"),
            ("{{ tags | split(\",\") }}", "prints a list"),
            ("{{ since | date }}", "prints a date without saying how"),
            ("{{ 'Last Order' }}", "write {{ row[\"Last Order\"] }}"),
            ("{{ row }}", "`row` is all columns"),
            ("{{ row[name] }}", "must be a text in quotes"),
            ("{{ name | uper }}", "there is no filter `uper`"),
            ("{{ name is nice }}", "there is no test `is nice`"),
            ("{{ debug() }}", "there is no function `debug`"),
            ("{{ name.upper() }}", "a value is no function"),
            ("{{ name.first }}", "there is no `.first` of a value"),
            ("{% for tag in tags %}x{% endfor %}", "which is not a list"),
            ("{{ \"a\" if vip }}", "says nothing for the others"),
            (
                "{% set x = 1 %}{% set x = \"a\" %}",
                "give the second one a name of its own",
            ),
            ("{{ none }}", "there is no `none`"),
            ("{{ {\"a\": 1} }}", "texts, numbers, dates and lists alone"),
            (
                "{{ name | replace(\"a\") }}",
                "takes 2 arguments, and has 1",
            ),
            ("{{ revenue | number | round(name) }}", "a number is wanted"),
            (
                "{% autoescape true %}{% endautoescape %}",
                "`{% set %}` alone",
            ),
            ("{{ company", ""),
        ] {
            let found = read(text).expect_err(text);
            assert!(found.contains(why), "{text}: {found}");
        }
    }

    #[test]
    fn a_long_template_is_read_in_time_that_grows_with_it() {
        let many = |one: &str, by: &str| vec![one; 100].join(by);
        for text in [
            format!("{{{{ {} }}}}", many("name", " ~ ")),
            format!("{{{{ {} }}}}", many("1", " + ")),
            format!("{{{{ {} }}}}", many("name", " or ")),
            format!("{{% if {} %}}x{{% endif %}}", many("vip", " and ")),
        ] {
            assert!(read(&text).is_ok(), "{:?}", read(&text));
        }
        let nested = format!("{}name{}", "(".repeat(40), " or name) | trim".repeat(40));
        assert!(read(&format!("{{{{ {nested} }}}}")).is_err());
    }

    #[test]
    fn the_names_that_a_template_uses_are_told() {
        let uses = read(
            "{% if vip %}{% for tag in tags | split(\",\") %}{{ tag }}{{ row[\"a b\"] }}{% endfor %}{% endif %}",
        );
        let uses = uses.unwrap();
        let bare = |name: &str| Name::Bare(name.to_owned());
        let names = [bare("tags"), bare("vip"), Name::Column("a b".to_owned())];
        assert_eq!(uses.names, BTreeSet::from(names));
        assert_eq!(uses.asked, BTreeSet::from([bare("vip")]));
    }
}

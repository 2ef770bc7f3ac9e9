//! The tables of a configuration file, one struct for each, one field for each setting.
//!
//! A doc comment is what an editor shows of a setting.
#![expect(dead_code, reason = "only their shape is used, not their content")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::values::{
    BaseUrl, Cell, Code, CodePath, Count, CountOrPercent, Date, Days, Delimiter, FieldName, Filled,
    Hours, Name, NumberOrDate, OneOrMore, OneOrNone, ParticipationPath, PerTime, Percent, Rate,
    RecordUrl, SchemaName, SourceUrl, Span,
};

/// # Rollcall
/// Which contacts should be in which automations of a Spotler account: rollcall.toml, or a file that it includes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct File {
    /// Further files, relative to this one; only in rollcall.toml.
    #[schemars(extend("examples" = [["lifecycle/*.toml"]]))]
    include: Option<OneOrMore<String>>,
    /// Where Spotler is, and how hard it may be asked. Key and secret come from the environment.
    spotler: Option<Spotler>,
    /// Where the record of participations is.
    record: Option<Record>,
    /// A plan beyond these is shown, and applied only with --allow-large.
    guard: Option<Guard>,
    /// When triggers may be sent. Stops go on at any hour.
    window: Option<Window>,
    /// How much mail one contact may get.
    limit: Option<Limits>,
    /// Who is told that an apply did not end well.
    notify: Option<Notify>,
    /// Whose calendar counts.
    time: Option<Time>,
    /// The automations, each by a name of its own.
    automation: Option<BTreeMap<Name, Automation>>,
    /// The tables of contacts, each by a name of its own.
    source: Option<BTreeMap<Name, AnySource>>,
    /// Contacts that are declared here, each by its externalContactId, with attributes of any name.
    contact: Option<BTreeMap<Name, BTreeMap<String, Cell>>>,
    /// Who is in which automation.
    enrol: Option<Vec<Enrol>>,
    /// Who is in none, whatever else says so.
    suppress: Option<Vec<AnySuppress>>,
    /// Who alone may be in them: who is not on such a list counts as suppressed.
    require: Option<Vec<Require>>,
    /// Two ids of one person: whatever is on record of the one counts for the other.
    merged: Option<Vec<Merged>>,
    /// Automations of which a contact is in one at most.
    exclusive: Option<Vec<Exclusive>>,
    /// Times in which nobody is triggered.
    freeze: Option<Vec<Freeze>>,
    /// Tests for the rules: checked by `validate`, and before anything is planned.
    expect: Option<Vec<Expect>>,
    /// New names for automations, with the same participations: nobody is triggered again.
    moved: Option<Vec<Moved>>,
}

/// `[spotler]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Spotler {
    /// Where Spotler is; "sandbox" is the built-in stand-in. https, or http on this machine.
    #[schemars(extend("default" = "https://restapi.mailplus.nl/integrationservice-1.1.0", "examples" = ["sandbox"]))]
    base_url: Option<BaseUrl>,
    /// Calls under way at once.
    #[schemars(range(min = 1, max = 1024), extend("default" = 8))]
    concurrency: Option<u64>,
    /// Calls in a time, at the most.
    #[schemars(extend("default" = "20/s", "examples" = ["600/min", "1000/h"]))]
    rate: Option<Rate>,
    /// How long one call may take.
    #[schemars(extend("default" = "30s"))]
    timeout: Option<Span>,
    /// Paths below the base URL, to correct them without a new release.
    paths: Option<Paths>,
}

/// `[spotler.paths]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Paths {
    /// The call that triggers.
    #[schemars(extend("default" = "automation/trigger/{trigger_code}"))]
    trigger: Option<CodePath>,
    /// The call that stops all participations of a contact.
    #[schemars(extend("default" = "automation/stop/{trigger_code}"))]
    stop: Option<CodePath>,
    /// The call that stops one participation.
    #[schemars(extend("default" = "automation/stop/{trigger_code}/{participation}"))]
    stop_one: Option<ParticipationPath>,
    /// The list of automations.
    #[schemars(extend("default" = "automation/list"))]
    list: Option<Filled>,
}

/// `[record]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Record {
    /// The SQLite file, relative to rollcall.toml; it is made at first use, and does not belong in Git. Or a database of
    /// PostgreSQL; one with a password comes from the environment.
    #[schemars(extend(
        "default" = "sqlite:state/rollcall.db",
        "examples" = [
            "sqlite:///var/lib/rollcall/rollcall.db",
            "$ROLLCALL_RECORD_URL",
            "postgres://db.example/shop?sslmode=verify-full"
        ]
    ))]
    url: Option<RecordUrl>,
    /// The schema of the database that is this record. Others in the same database are other records.
    #[schemars(extend("default" = "rollcall"))]
    schema: Option<SchemaName>,
    /// The id of the one record that this repository belongs to, as `rollcall record show` prints it. Nothing is applied by
    /// another one.
    #[schemars(extend("examples" = ["0b6f1c2e-8d1f-4c4a-9a30-5f0e8b1c7f1d"]))]
    id: Option<Filled>,
}

/// `[guard]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Guard {
    /// Triggers of all automations together that have no max_triggers of their own.
    #[schemars(extend("default" = 1000))]
    max_triggers: Option<Count>,
    /// Stops: a share of the running participations, of each automation that has at least 20 of them and no max_stops of
    /// its own, and of all of those together; or a number for all of those together.
    #[schemars(extend("default" = "20%", "examples" = [50]))]
    max_stops: Option<CountOrPercent>,
    /// People whose suppression is gone and who would be triggered.
    #[schemars(extend("default" = 10))]
    max_released: Option<Count>,
    /// Ids whose participations would become those of another id of the same person.
    #[schemars(extend("default" = 100))]
    max_merges: Option<Count>,
}

/// `[window]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Window {
    /// Days, hours and a time zone; without the zone, that of [time] counts. Outside, triggers wait.
    #[schemars(extend("examples" = ["Mon-Fri 08:00-18:00 Europe/Amsterdam", ["Mon-Fri 08:00-18:00", "Sat 10:00-14:00"]]))]
    triggers: OneOrMore<Hours>,
}

/// `[limit]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Limits {
    /// At most so many triggers for one contact in any span of so long, over all automations but those of service mail.
    #[schemars(extend("examples" = ["2/7d"]))]
    per_contact: PerTime,
}

/// `[notify]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Notify {
    /// The environment variable with the address of a webhook, which is a secret; or an address on this machine.
    #[schemars(extend("examples" = ["$ROLLCALL_WEBHOOK"]))]
    url: Filled,
}

/// `[time]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Time {
    /// Whose calendar days count, for within, older_than, max_per_day and times without an offset.
    #[schemars(extend("default" = "UTC", "examples" = ["Europe/Amsterdam"]))]
    zone: Option<Filled>,
}

/// `[automation.NAME]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Automation {
    /// The code of the external trigger, copied from Spotler.
    #[schemars(extend("examples" = ["0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"]))]
    trigger_code: Code,
    /// What kind of mail it sends. Service is mail that people must get: [window] does not hold for it.
    #[schemars(extend("default" = "marketing"))]
    kind: Option<Kind>,
    /// As set in Spotler's Publisher; where the code starts several publications, the loosest of theirs.
    #[schemars(extend("default" = "unlimited"))]
    participation: Option<Participation>,
    /// The column that tells several participations of one contact apart: an order number, say.
    #[schemars(extend("examples" = ["order_id"]))]
    repeat_by: Option<Name>,
    /// What becomes of a participation whose enrolment goes.
    #[schemars(extend("default" = "stop"))]
    on_leave: Option<OnLeave>,
    /// What becomes of an active participation whose fields change.
    #[schemars(extend("default" = "ignore"))]
    on_change: Option<OnChange>,
    /// Whoever was triggered is not triggered again so soon.
    #[schemars(extend("examples" = ["30d"]))]
    cooldown: Option<Span>,
    /// How long a run lasts at Spotler, from its trigger or adoption: after that it has ended, and needs no stop.
    #[schemars(extend("examples" = ["21d"]))]
    runs_for: Option<Span>,
    /// Who is still declared when a run has ended is triggered again once so long has passed since the trigger.
    #[schemars(extend("examples" = ["90d"]))]
    again_after: Option<Span>,
    /// A participation is not stopped before its enrolment was gone for so long.
    #[schemars(extend("examples" = ["48h"]))]
    leave_after: Option<Span>,
    /// How many triggers of it a plan may hold, instead of the limit in [guard].
    #[schemars(extend("examples" = [10000]))]
    max_triggers: Option<Count>,
    /// How many stops of it a plan may hold, instead of the limit in [guard]: a number, or a share where it has at least
    /// 20 participations.
    #[schemars(extend("examples" = ["5%", 50]))]
    max_stops: Option<CountOrPercent>,
    /// How many triggers of it one apply sends; the rest is deferred.
    #[schemars(extend("examples" = [100]))]
    max_per_run: Option<Count>,
    /// How many triggers of it are sent on a calendar day; the rest is deferred.
    #[schemars(extend("examples" = [500]))]
    max_per_day: Option<Count>,
    /// Personalisation: sent along with the trigger, never stored.
    #[schemars(extend("examples" = [{ "customerCompany": "{{ company }}" }]))]
    fields: Option<BTreeMap<FieldName, Field>>,
}

/// What kind of mail an automation sends.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum Kind {
    /// Mail that may wait.
    Marketing,
    /// Mail that people must get.
    Service,
}

/// A publication's participation setting.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum Participation {
    /// Each trigger starts another participation.
    Unlimited,
    /// No second one while the first runs.
    OnceWhileRunning,
    /// Never a second one.
    Once,
}

/// What becomes of a participation whose enrolment goes.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum OnLeave {
    /// It is stopped.
    Stop,
    /// It runs out by itself.
    Keep,
}

/// What becomes of an active participation whose fields change.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum OnChange {
    /// It goes on with the fields that it was triggered with.
    Ignore,
    /// It is stopped, and triggered again with the new ones.
    Retrigger,
}

/// A template over the row's columns, or a table with the field's type.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Field {
    /// A template over the row's columns, such as "{{ company }}".
    Template(String),
    /// A text or a URL.
    Text(TextField),
    /// Products.
    Products(ProductsField),
}

/// A text or a URL.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TextField {
    /// What it is in the message.
    #[schemars(rename = "type", extend("default" = "string"))]
    kind: Option<TextKind>,
    /// A template over the row's columns.
    #[schemars(extend("examples" = ["https://shop.example/cart/{{ cart_id }}"]))]
    value: String,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
enum TextKind {
    /// Text.
    String,
    /// An absolute http or https URL.
    Url,
}

/// Products.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ProductsField {
    /// What it is in the message.
    #[schemars(rename = "type")]
    kind: ProductsKind,
    /// Ids: an array of templates, or one template that is split after rendering.
    #[schemars(extend("examples" = ["{{ product_ids }}", ["sku-1", "{{ sku }}"]]))]
    values: OneOrMore<Filled>,
    /// What stands between two ids of one text.
    #[schemars(extend("default" = ",", "examples" = [";"]))]
    separator: Option<Filled>,
    /// Whether each row of the same contact and occurrence adds its own.
    #[schemars(extend("default" = false))]
    each_row: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
enum ProductsKind {
    /// A list of products.
    Productlist,
}

#[derive(JsonSchema)]
#[schemars(inline)]
enum NoQuotes {
    /// Cells stand as they are.
    #[serde(rename = "none")]
    None,
}

#[derive(JsonSchema)]
#[schemars(inline)]
enum Backslash {
    /// A backslash.
    #[serde(rename = "\\")]
    Backslash,
}

#[derive(JsonSchema)]
#[schemars(inline)]
enum DecimalMark {
    /// A point.
    #[serde(rename = ".")]
    Point,
    /// A comma.
    #[serde(rename = ",")]
    Comma,
}

/// Texts for true and false.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
struct Booleans {
    /// Texts for true.
    #[schemars(extend("examples" = [["ja"]]))]
    r#true: Option<OneOrMore<Filled>>,
    /// Texts for false.
    #[schemars(extend("examples" = [["nee"]]))]
    r#false: Option<OneOrMore<Filled>>,
}

/// A table of contacts: a file, a query of a database, or a query over other sources.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
enum AnySource {
    File(Source),
    Database(DatabaseSource),
    Query(QuerySource),
}

/// A query of a database.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct DatabaseSource {
    /// The environment variable with the URL of the database: postgres:, mysql: or sqlite:.
    #[schemars(extend("examples" = ["$SHOP_DATABASE_URL"]))]
    database: SourceUrl,
    /// One query, run once a plan in a snapshot that is only read.
    #[schemars(extend("examples" = ["select customer_no, status from customers"]))]
    query: Filled,
    /// How long the query may take in all.
    #[schemars(extend("default" = "5m", "examples" = ["90s"]))]
    timeout: Option<Span>,
    /// The column with the externalContactId.
    #[schemars(extend("examples" = ["customer_no"]))]
    contact: Option<Name>,
    /// A query that gives fewer rows is refused, and nothing is planned from it.
    #[schemars(extend("examples" = [100]))]
    min_rows: Option<Count>,
    /// A query that has lost more of its rows since the last apply is refused.
    #[schemars(extend("examples" = ["30%"]))]
    max_shrink: Option<Percent>,
}

/// A query over other sources, and over the record of participations.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct QuerySource {
    /// The sources that the query asks, by their names; each needs `min_rows`. `record` needs no name here.
    #[schemars(extend("examples" = [["crm"]]))]
    from: OneOrNone,
    /// One `select` of SQLite; :today and :now are given to it.
    #[schemars(extend("examples" = ["select id, max(order_date) as last_order from crm group by 1"]))]
    query: Filled,
    /// How long the query may take.
    #[schemars(extend("default" = "5m", "examples" = ["90s"]))]
    timeout: Option<Span>,
    /// The column with the externalContactId.
    #[schemars(extend("examples" = ["customer_no"]))]
    contact: Option<Name>,
    /// A query that gives fewer rows is refused, and nothing is planned from it.
    #[schemars(extend("examples" = [100]))]
    min_rows: Option<Count>,
    /// A query that has lost more of its rows since the last apply is refused.
    #[schemars(extend("examples" = ["30%"]))]
    max_shrink: Option<Percent>,
}

/// `[source.NAME]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Source {
    /// The CSV file, relative to rollcall.toml.
    #[schemars(extend("examples" = ["exports/crm.csv"]))]
    csv: Filled,
    /// What separates the cells; guessed from the header where it is not given.
    #[schemars(extend("examples" = [";", "\t"]))]
    delimiter: Option<Delimiter>,
    /// What the file is written in, by the WHATWG's name for it; without it, UTF-8, or what its byte order mark says.
    #[schemars(extend("examples" = ["windows-1252", "utf-16le"]))]
    encoding: Option<Filled>,
    /// That no cell stands in quotes: a quote is text wherever it stands.
    quote: Option<NoQuotes>,
    /// That a backslash stands before quotes and separators that are text, as MySQL writes them.
    escape: Option<Backslash>,
    /// What stands before the fraction of a number.
    #[schemars(extend("default" = ".", "examples" = [","]))]
    decimal: Option<DecimalMark>,
    /// How dates are written, in one way or several, where it is not 2026-12-31: %d is the day, %m the month, %Y the year.
    #[schemars(extend("examples" = ["%d-%m-%Y", ["%d-%m-%Y", "%d-%m-%Y %H:%M"]]))]
    dates: Option<OneOrMore<Filled>>,
    /// Texts for true and false, beside these themselves.
    #[schemars(extend("examples" = [{ "true": ["ja"], "false": ["nee"] }]))]
    booleans: Option<Booleans>,
    /// Texts that stand for an empty cell.
    #[schemars(extend("examples" = [["NULL", "\\N"]]))]
    null: Option<OneOrMore<String>>,
    /// The column with the externalContactId.
    #[schemars(extend("examples" = ["customer_no"]))]
    contact: Option<Name>,
    /// An export with fewer rows is refused, and nothing is planned from it.
    #[schemars(extend("examples" = [100]))]
    min_rows: Option<Count>,
    /// An older export is refused, and nothing is planned from it.
    #[schemars(extend("examples" = ["36h"]))]
    max_age: Option<Span>,
    /// An export that has lost more of its rows since the last apply is refused.
    #[schemars(extend("examples" = ["30%"]))]
    max_shrink: Option<Percent>,
}

/// `[[enrol]]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Enrol {
    /// One automation or several.
    #[schemars(extend("examples" = ["customer-lifecycle", ["customer-lifecycle", "vip-care"]]))]
    automation: OneOrMore<Name>,
    /// Whose rows it draws on; without it, on the contacts declared in TOML.
    #[schemars(extend("examples" = ["crm"]))]
    source: Option<Name>,
    /// Only these contacts.
    #[schemars(extend("examples" = [["crm-1042", "crm-1043"]]))]
    contacts: Option<OneOrMore<Name>>,
    /// What must hold of a row, by column. Every key must match.
    #[schemars(extend("minProperties" = 1), extend("examples" = [{ "status": "customer", "country": ["NL", "BE"] }]))]
    r#where: Option<BTreeMap<String, Condition>>,
    /// What must hold of a row so that somebody who is in stays; others come in by `where` and this together. Without it,
    /// `where` is both.
    #[schemars(extend("minProperties" = 1), extend("examples" = [{ "status": { "not": ["customer", "objected"] } }]))]
    stay: Option<BTreeMap<String, Condition>>,
    /// The part of all contacts that may come in, drawn by the name of the lot and the id of the contact. Who is in is not asked
    /// again.
    #[schemars(extend("examples" = [{ "name": "onboarding-2026", "from": "10%", "to": "100%" }]))]
    lot: Option<Lot>,
    /// What it adds to and overrides in the automation's fields.
    fields: Option<BTreeMap<FieldName, Field>>,
}

/// A part of all contacts.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Lot {
    /// Each name draws anew.
    #[schemars(extend("examples" = ["onboarding-2026"]))]
    name: Name,
    /// Where the part begins, included.
    from: Percent,
    /// Where it ends, not included.
    to: Percent,
}

/// A value, an array of which one must match, or a table of tests.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Condition {
    /// Equal to this.
    Equal(Cell),
    /// Equal to any of these.
    Any(#[schemars(length(min = 1))] Vec<Cell>),
    /// All of these.
    Tests(Tests),
}

/// Tests of a cell; all must hold.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
struct Tests {
    /// None of these, or absent.
    #[schemars(extend("examples" = ["customer", ["customer", "prospect"]]))]
    not: Option<OneOrMore<Cell>>,
    /// There, or absent.
    #[schemars(extend("examples" = [true]))]
    exists: Option<bool>,
    /// At least this.
    #[schemars(extend("examples" = [10]))]
    min: Option<NumberOrDate>,
    /// At most this.
    #[schemars(extend("examples" = [500]))]
    max: Option<NumberOrDate>,
    /// Earlier than this date, which has no quotes.
    before: Option<Date>,
    /// Later than this date, which has no quotes.
    after: Option<Date>,
    /// Not before now minus this.
    #[schemars(extend("examples" = ["30d"]))]
    within: Option<Span>,
    /// From now up to now plus this; a date that is over does not match.
    #[schemars(extend("examples" = ["30d"]))]
    within_next: Option<Span>,
    /// The day and month come up within so many days, today included; a date to come has none yet.
    #[schemars(extend("examples" = ["7d"]))]
    anniversary_within_next: Option<Days>,
    /// Before now minus this.
    #[schemars(extend("examples" = ["365d"]))]
    older_than: Option<Span>,
}

/// `[[suppress]]`
#[derive(JsonSchema)]
#[schemars(untagged)]
enum AnySuppress {
    /// Contacts by name.
    Named(Suppress),
    /// A list as data.
    Listed(SuppressList),
}

/// Where a `[[suppress]]` or a `[[require]]` holds.
#[derive(JsonSchema)]
struct Holds {
    /// One or several automations, by name, in which it holds; all of them by default.
    #[schemars(extend("examples" = [["winback", "vip-care"]]))]
    automation: Option<OneOrMore<Name>>,
    /// The kind of automations in which it holds; all kinds by default. Where `automation` is there too, both must hold.
    kind: Option<Kind>,
    /// How many people whom it kept out may be triggered, in place of the guard's.
    #[schemars(extend("examples" = [50]))]
    max_released: Option<Count>,
}

/// `[[suppress]]` by name
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Suppress {
    /// Who is in no automation.
    #[schemars(extend("examples" = [["crm-3001"]]))]
    contacts: OneOrMore<Name>,
    #[schemars(flatten)]
    holds: Holds,
    /// Why.
    #[schemars(extend("examples" = ["objected to marketing"]))]
    reason: Option<String>,
}

/// `[[suppress]]` as data
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct SuppressList {
    /// Whose rows have the contacts on the list.
    #[schemars(extend("examples" = ["objections"]))]
    source: Name,
    /// What must hold of a row, by column, for its contact to be on the list. Every key must match.
    #[schemars(extend("minProperties" = 1), extend("examples" = [{ "channel": "email" }]))]
    r#where: Option<BTreeMap<String, Condition>>,
    #[schemars(flatten)]
    holds: Holds,
    /// Why.
    #[schemars(extend("examples" = ["objected to marketing"]))]
    reason: Option<String>,
}

/// `[[require]]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Require {
    /// Whose rows have the contacts on the list.
    #[schemars(extend("examples" = ["consents"]))]
    source: Name,
    /// What must hold of a row, by column, for its contact to be on the list. Every key must match.
    #[schemars(extend("minProperties" = 1), extend("examples" = [{ "state": "confirmed" }]))]
    r#where: Option<BTreeMap<String, Condition>>,
    #[schemars(flatten)]
    holds: Holds,
}

/// `[[moved]]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Moved {
    /// The name that the automation had.
    #[schemars(extend("examples" = ["customer-care"]))]
    from: Name,
    /// The name that it has now.
    #[schemars(extend("examples" = ["customer-lifecycle"]))]
    to: Name,
}

/// `[[merged]]`: ids by name, or the columns of a `source` that lists them.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend(
        "dependencies" = {
            "where": ["source"],
            "source": { "properties": { "from": { "type": "string" } } }
        },
        "anyOf" = [
            { "required": ["source"] },
            { "properties": { "from": { "type": "array" } } }
        ]
    )
)]
struct Merged {
    /// The source that lists the ids.
    source: Option<Name>,
    /// The ids that are not kept; of a source, the column that has them.
    #[schemars(extend("examples" = [["crm-17"]]))]
    from: OneOrMore<Name>,
    /// The id that the person keeps; of a source, the column that has it.
    #[schemars(extend("examples" = ["crm-9001"]))]
    to: Name,
    /// Which rows of the source count; all must hold.
    r#where: Option<BTreeMap<String, Condition>>,
}

/// `[[exclusive]]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Exclusive {
    /// A contact is in the first of these that declares it.
    #[schemars(length(min = 2), extend("examples" = [["winback", "vip-care"]]))]
    automations: Vec<Name>,
}

/// `[[freeze]]`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Freeze {
    /// One automation or several; without it, all of them.
    #[schemars(extend("examples" = ["customer-lifecycle", ["customer-lifecycle", "vip-care"]]))]
    automation: Option<OneOrMore<Name>>,
    /// The first day, or the exact time from which on it holds; without it, it holds already.
    from: Option<Date>,
    /// The last day, or the exact time at which it is over; without it, it holds until the block is removed.
    until: Option<Date>,
    /// Whether stops, letting go and leaving wait too. Stops of suppressed contacts never wait.
    #[schemars(extend("default" = false))]
    all: Option<bool>,
    /// Why; every plan says it.
    #[schemars(extend("examples" = ["the shop is closed"]))]
    reason: Option<String>,
}

/// `[[expect]]`: `contact` with `in` or `not_in` or both, or `automation` with `size`.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend(
        "oneOf" = [{ "required": ["contact"] }, { "required": ["automation"] }],
        "dependencies" = {
            "contact": { "anyOf": [{ "required": ["in"] }, { "required": ["not_in"] }] },
            "in": ["contact"],
            "not_in": ["contact"],
            "automation": ["size"],
            "size": ["automation"]
        }
    )
)]
struct Expect {
    /// A contact.
    #[schemars(extend("examples" = ["crm-1042"]))]
    contact: Option<Name>,
    /// The automations that it is expected in.
    #[schemars(extend("examples" = [["vip-care"]]))]
    r#in: Option<OneOrMore<Name>>,
    /// The automations that it is not expected in.
    #[schemars(extend("examples" = [["winback"]]))]
    not_in: Option<OneOrMore<Name>>,
    /// An automation.
    #[schemars(extend("examples" = ["winback"]))]
    automation: Option<Name>,
    /// How many enrolments it is expected to have.
    #[schemars(extend("examples" = [{ "min": 10, "max": 500 }]))]
    size: Option<Size>,
}

/// At least so many, at most so many, or both.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
struct Size {
    /// At least so many.
    min: Option<Count>,
    /// At most so many.
    max: Option<Count>,
}

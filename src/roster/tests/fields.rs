//! Fields, at planning and at sending.

use crate::config::{FieldTemplate, ProductIds, Value};
use crate::field::FieldContent;
use crate::number::Number;
use crate::roster::testing::*;

#[test]
fn fields_are_rendered_from_the_row_with_the_blocks_own_over_the_automations() {
    let world = World::new(&["reviews"])
        .repeat_by(0, "order")
        .fields(
            0,
            vec![
                string("company", "{{ company }}"),
                string("greeting", "from the automation"),
                field(
                    "link",
                    FieldTemplate::Url("https://shop.example/{{ order }}".to_owned()),
                ),
            ],
        )
        .csv("crm", "id,order,company,person\nc-1,o-1,<De & Vries>,x\n")
        .enrol(block(&[0], Some(0)).fields(vec![
            string(
                "greeting",
                "{{ contact }} {{ automation }} {{ occurrence }}\n",
            ),
            field(
                "productlist",
                FieldTemplate::Products {
                    ids: ProductIds::List(vec!["{{ order }}".to_owned(), "b".to_owned()]),
                    each_row: false,
                },
            ),
        ]));
    let roster = world.roster();
    let enrolment = roster.enrolments().next().unwrap();
    let fields = roster.fields(&enrolment).unwrap();
    let content: Vec<_> = fields.into_iter().map(|f| (f.name, f.content)).collect();
    let wanted = [
        ("company", FieldContent::String("<De & Vries>".to_owned())),
        (
            "greeting",
            FieldContent::String("c-1 reviews o-1\n".to_owned()),
        ),
        (
            "link",
            FieldContent::Url("https://shop.example/o-1".to_owned()),
        ),
        (
            "productlist",
            FieldContent::Products(vec!["o-1".to_owned(), "b".to_owned()]),
        ),
    ];
    assert!(content == wanted.map(|(name, content)| (name.to_owned(), content)));
}

#[test]
fn attributes_are_rendered_as_their_text() {
    let world = World::new(&["a"])
        .fields(
            0,
            vec![string(
                "f",
                "{{ b }} {{ d }} {{ i }} {{ m }} {{ n }} {{ t }}",
            )],
        )
        .contact(
            "c-1",
            &[
                ("b", Value::Boolean(true)),
                ("d", date("2025-03-01")),
                ("i", Value::Integer(-7)),
                ("m", moment("2025-03-01T12:00:00Z")),
                ("n", Value::Decimal(Number::parse("1.5").unwrap())),
                ("t", text("")),
            ],
        )
        .enrol(block(&[0], None));
    let roster = world.roster();
    let enrolment = roster.enrolments().next().unwrap();
    let fields = roster.fields(&enrolment).unwrap();
    let wanted = "true 2025-03-01 -7 2025-03-01T12:00:00Z 1.5 ".to_owned();
    assert!(fields[0].content == FieldContent::String(wanted));
}

#[test]
fn a_field_that_cannot_be_made_is_refused_and_its_value_is_never_shown() {
    let url = FieldTemplate::Url("{{ secret }}".to_owned());
    let world = World::new(&["a"])
        .fields(
            0,
            vec![field("link", url), string("sum", "{{ secret | number }}")],
        )
        .csv("crm", "id,secret\nc-1,MARKER\nc-2,https://MARKER.example\n")
        .contact("c-3", &[("secret", text("MARKER"))])
        .contact("c-4", &[("other", text("MARKER"))])
        .enrol(block(&[0], Some(0)))
        .enrol(block(&[0], None));
    let problems = world.build().map(drop).unwrap_err().list;
    assert!(!format!("{problems:?}").contains("MARKER"), "{problems:#?}");
    let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "source crm: exports/crm.csv, row 2: field link (rollcall.toml:50) of automation a (enrolled at \
             lifecycle/customers.toml:10) cannot be made: its value is not an absolute http or https URL",
            "source crm: exports/crm.csv, row 3: field sum (rollcall.toml:50) of automation a (enrolled at \
             lifecycle/customers.toml:10) cannot be made: its template failed: `number` reads a value that is not a number",
            "contact c-3: field link (rollcall.toml:50) of automation a (enrolled at lifecycle/customers.toml:20) \
             cannot be made: its value is not an absolute http or https URL",
            "contact c-4: field link (rollcall.toml:50) of automation a (enrolled at lifecycle/customers.toml:20) \
             cannot be made: there is no attribute secret",
        ]
    );
}

/// What a template gives for a row of `id,name,revenue,since,vip,range,First Name`.
fn given(template: &str, row: &str) -> Result<String, String> {
    let world = World::new(&["a"])
        .fields(0, vec![string("f", template)])
        .csv(
            "crm",
            &format!("id,name,revenue,since,vip,range,First Name\nc-1,{row}\n"),
        )
        .enrol(block(&[0], Some(0)));
    let roster = world.build().map_err(|problems| {
        let problems = problems.list.into_iter().map(|problem| problem.message);
        problems.collect::<Vec<_>>().join("\n")
    })?;
    let enrolment = roster.enrolments().next().unwrap();
    match roster.fields(&enrolment).unwrap().remove(0).content {
        FieldContent::String(text) => Ok(text),
        _ => panic!("not a text"),
    }
}

#[test]
fn a_template_reads_cells_as_conditions_do_and_never_guesses() {
    let row = "Anna,1250.50,2025-03-01,ja,wide,A.";
    for (template, text) in [
        ("{{ range }} {{ row[\"First Name\"] }}", "wide A."),
        (
            "{% if revenue | number > 1000 %}big{% else %}small{% endif %}",
            "big",
        ),
        ("{{ revenue | number * 2 }}", "2501"),
        ("{{ 0.1 + 0.2 }}", "0.3"),
        (
            "{% if since | date < \"2025-03-02\" | date %}old{% endif %}",
            "old",
        ),
        ("{{ since | date | format(\"%d-%m-%Y\") }}", "01-03-2025"),
        ("{% if vip %}{{ true }}{% endif %}", "true"),
        ("{{ name | default(\"you\") }}", "Anna"),
        (
            "{% for one in \"a;b\" | split(\";\") %}<{{ one }}>{% endfor %}",
            "<a><b>",
        ),
    ] {
        assert_eq!(given(template, row).as_deref(), Ok(text), "{template}");
    }
    let row = " ,x,x,Nee,,";
    for (template, text) in [
        ("{{ name | default(\"you\") }}", "you"),
        ("{% if name %}x{% else %}nobody{% endif %}", "nobody"),
        ("{{ name or \"you\" }}", "you"),
    ] {
        assert_eq!(given(template, row).as_deref(), Ok(text), "{template}");
    }
    let each = "{% for one in \"0 1 2 3 4 5 6 7 8 9\" | split(\" \") %}";
    let nested = format!("{}{}", each.repeat(6), "{% endfor %}".repeat(6));
    for (template, why) in [
        ("{% if vip %}x{% endif %}", "the value says no"),
        (
            "{{ revenue | number }}",
            "`number` reads a value that is not a number",
        ),
        ("{{ name | number }}", "reads a value that is absent"),
        (
            "{% if since | date < \"2025-03-02\" | date %}x{% endif %}",
            "is not a date",
        ),
        (
            "{{ \"2025-03-02\" | date | format(\"%Q\") }}",
            "`format` asks for",
        ),
        (&nested, "too much work"),
    ] {
        let found = given(template, row).unwrap_err();
        assert!(
            found.contains(why) && found.contains("row 2"),
            "{template}: {found}"
        );
    }
}

#[test]
fn a_template_that_is_too_much_work_is_given_up_after_some_rows() {
    let rows: String = (1000..3000).map(|n| format!("c-{n}\n")).collect();
    let each = "{% for one in range(10000) %}".repeat(2);
    let world = World::new(&["a"])
        .fields(
            0,
            vec![string("f", &format!("{each}x{}", "{% endfor %}".repeat(2)))],
        )
        .csv("crm", &format!("id\n{rows}"))
        .enrol(block(&[0], Some(0)));
    let problems = world.build().map(drop).unwrap_err().list;
    assert_eq!(problems.len(), 1);
    let message = &problems[0].message;
    assert!(
        message.contains("row 2") && message.contains("too much work"),
        "{message}"
    );
}

#[test]
fn a_product_that_is_a_list_in_another_notation_is_refused() {
    for template in ["{{ ids }}", "{{ ids | trim }}"] {
        let list = ProductIds::List(vec![template.to_owned()]);
        let split = ProductIds::Split {
            template: template.to_owned(),
            separator: ";".to_owned(),
        };
        for ids in [list, split] {
            let each_row = false;
            let field = field("products", FieldTemplate::Products { ids, each_row });
            let world = World::new(&["a"])
                .fields(0, vec![field])
                .csv("crm", "id,ids\nc-1,\"{a,b}\"\n")
                .enrol(block(&[0], Some(0)));
            let problems = world.build().map(drop).unwrap_err().list;
            assert!(problems[0].message.contains("another notation"));
        }
    }
}

#[test]
fn a_column_that_is_called_as_the_enrolments_own_is_named_in_quotes() {
    let world = |template| {
        World::new(&["a"])
            .fields(0, vec![string("f", template)])
            .csv("crm", "id,contact\nc-1,Anna\n")
            .enrol(block(&[0], Some(0)))
    };
    let bare = world("{{ contact }}").build().map(drop).unwrap_err().list;
    assert!(bare[0].help.as_ref().unwrap().contains("row[\"contact\"]"));
    let world = world("{{ row[\"contact\"] }}");
    let roster = world.roster();
    let enrolment = roster.enrolments().next().unwrap();
    let fields = roster.fields(&enrolment).unwrap();
    assert!(fields[0].content == FieldContent::String("Anna".to_owned()));
}

#[test]
fn a_filter_that_there_is_not_is_reported_once_and_without_a_row() {
    let world = World::new(&["a"])
        .fields(
            0,
            vec![
                string("f", "{{ company | upercase }}"),
                string("g", "{% if company is longish %}x{% endif %}"),
                string("h", "{{ today() }}"),
                string("i", "{{ company | upper | urlencode }} {{ company | abs }}"),
            ],
        )
        .csv("crm", "id,company\nc-1,MARKER\nc-2,MARKER\n")
        .enrol(block(&[0], Some(0)));
    let problems = world.build().map(drop).unwrap_err().list;
    let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "field f is not a template: there is no filter `upercase`; there are upper, lower, title, capitalize, trim, \
             replace, urlencode, default, number, date, format, round, abs, split, join, length, first, last, sort, unique, \
             reverse",
            "field g is not a template: there is no test `is longish`; there are defined, undefined, startingwith, \
             endingwith, odd, even",
            "field h is not a template: there is no function `today`",
            "field i is not a template: `abs` takes a number, and not a text: `| number` behind the text reads it",
        ]
    );
}

#[test]
fn one_enrolment_with_different_fields_is_refused_with_both_places() {
    let world = World::new(&["a"])
        .fields(0, vec![string("company", "{{ company }}")])
        .csv(
            "crm",
            "id,company\nc-1,MARKER-1\nc-2,same\nc-1,MARKER-2\nc-2,same\n",
        )
        .contact("c-2", &[("company", text("MARKER-3"))])
        .enrol(block(&[0], Some(0)))
        .enrol(block(&[0], None));
    let problems = world.build().map(drop).unwrap_err().list;
    assert!(!format!("{problems:?}").contains("MARKER"));
    let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "contact c-1 is enrolled in a twice, with different fields: from source crm: exports/crm.csv, row 2 and \
             from source crm: exports/crm.csv, row 4",
            "contact c-2 is enrolled in a twice, with different fields: from source crm: exports/crm.csv, row 3 and \
             from the declared contact (rollcall.toml:200)",
        ]
    );
    assert_eq!(problems[1].at, Some(place(10)));
    assert_eq!(problems[1].related[0].0, place(20));
}

#[test]
fn a_row_that_was_changed_in_place_is_not_sent() {
    let world = World::new(&["a"])
        .fields(0, vec![string("company", "{{ company }}")])
        .csv("crm", "id,company\nc-1,one\nc-2,two\n")
        .enrol(block(&[0], Some(0)));
    let roster = world.roster();
    let enrolments: Vec<_> = roster.enrolments().collect();
    world.write("crm", "id,company\nc-1,One\nc-2,two\n");
    let error = roster.fields(&enrolments[0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the fields of contact c-1 in automation a are not those that were planned, and nothing was sent for it: its \
         row was changed in place after it was read; plan again"
    );
    assert!(roster.fields(&enrolments[1]).is_ok());
    world.write("crm", "id,company\n");
    let error = roster.fields(&enrolments[1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the fields of contact c-2 in automation a could not be read again, and nothing was sent for it: source crm: \
         exports/crm.csv was changed in place after it was opened"
    );
}

#[test]
fn fields_are_made_from_many_threads_at_once() {
    let rows: String = (100..400).map(|n| format!("c-{n},company {n}\n")).collect();
    let world = World::new(&["a"])
        .fields(0, vec![string("company", "{{ company }}")])
        .csv("crm", &format!("id,company\n{rows}"))
        .enrol(block(&[0], Some(0)));
    let roster = world.roster();
    let all = || {
        for (enrolment, number) in roster.enrolments().zip(100..) {
            let fields = roster.fields(&enrolment).unwrap();
            assert!(fields[0].content == FieldContent::String(format!("company {number}")));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(all);
        }
    });
}

fn each_row(template: &str) -> FieldTemplate {
    FieldTemplate::Products {
        ids: ProductIds::Split {
            template: template.to_owned(),
            separator: ",".to_owned(),
        },
        each_row: true,
    }
}

#[test]
fn rows_of_one_occurrence_make_one_list_in_their_order_without_repetition() {
    let world = World::new(&["cart"])
        .repeat_by(0, "cart")
        .fields(0, vec![field("productlist", each_row("{{ sku }}"))])
        .csv(
            "carts",
            "id,cart,sku\nc-2,k-1,b\nc-1,k-1,z\nc-2,k-1,\"a,b\"\nc-1,k-2,y\nc-2,k-1,c\n",
        )
        .enrol(block(&[0], Some(0)));
    let roster = world.roster();
    let lists: Vec<_> = roster
        .enrolments()
        .map(|enrolment| {
            let fields = roster.fields(&enrolment).unwrap();
            match &fields[0].content {
                FieldContent::Products(ids) => ids.join(" "),
                _ => panic!(),
            }
        })
        .collect();
    assert_eq!(lists, ["z", "y", "b a c"]);
    assert_eq!(
        enrolled(&roster),
        ["c-1/cart/k-1", "c-1/cart/k-2", "c-2/cart/k-1"]
    );
    assert_eq!(roster.sizes(), [3]);
}

#[test]
fn the_same_list_by_two_blocks_is_one_enrolment_and_another_one_is_a_conflict() {
    let rows = "id,status,sku\nc-1,x,a\nc-1,y,b\n";
    let fields = vec![field("productlist", each_row("{{ sku }}"))];
    let both = World::new(&["cart"])
        .fields(0, fields.clone())
        .csv("carts", rows)
        .enrol(block(&[0], Some(0)))
        .enrol(block(&[0], Some(0)).is("status", &["x", "y"]));
    assert_eq!(both.enrolled(), ["c-1/cart"]);
    let part = World::new(&["cart"])
        .fields(0, fields)
        .csv("carts", rows)
        .enrol(block(&[0], Some(0)))
        .enrol(block(&[0], Some(0)).is("status", &["x"]));
    assert_eq!(part.problems().len(), 1);
}

#[test]
fn a_row_of_several_that_was_changed_in_place_is_not_sent() {
    let world = World::new(&["cart"])
        .fields(0, vec![field("productlist", each_row("{{ sku }}"))])
        .csv("carts", "id,sku\nc-1,a\nc-1,b\n")
        .enrol(block(&[0], Some(0)));
    let roster = world.roster();
    let enrolment = roster.enrolments().next().unwrap();
    assert!(roster.fields(&enrolment).is_ok());
    world.write("carts", "id,sku\nc-1,a\nc-1,c\n");
    assert!(roster.fields(&enrolment).is_err());
}

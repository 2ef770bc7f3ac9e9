"""Writes an export of contacts as it was yesterday and as it is today, and a configuration of five automations over it.

    generate.py ROWS FOLDER

The same number of rows always gives the same bytes. One contact in a hundred has changed since yesterday. The record of
yesterday is made from it by Rollcall itself: see `run`.
"""

import pathlib
import sys

STATUS = ["customer"] * 10 + ["prospect"] * 7 + ["ex-customer"] * 3
COUNTRY = ["NL"] * 9 + ["BE"] * 5 + ["DE"] * 4 + ["FR"] * 2
PLAN = ["basic"] * 2 + ["premium"] + ["free"]
CITY = ["Amsterdam", "Utrecht", "Gent", "Antwerpen", "Berlin", "Köln", "Lille"]
CHANGED = 100

CONFIGURATION = """\
[guard]
max_triggers = 100000000
max_stops = "100%"

[source.crm]
csv = "crm.csv"
contact = "id"

[automation.customer]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"
[automation.prospect]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f12"
[automation.ex-customer]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f13"
[automation.premium]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f14"
[automation.country-nl]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f15"

[[enrol]]
automation = "customer"
source = "crm"
where.status = "customer"
[[enrol]]
automation = "prospect"
source = "crm"
where.status = "prospect"
where.country = ["NL", "BE"]
[[enrol]]
automation = "ex-customer"
source = "crm"
where.status = "ex-customer"
[[enrol]]
automation = "premium"
source = "crm"
where.status = "customer"
where.plan = "premium"
[[enrol]]
automation = "country-nl"
source = "crm"
where.country = "NL"
"""


def mixed(number):
    """Spreads a number over 64 bits (the finisher of SplitMix64)."""
    number = (number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return number ^ (number >> 31)


def row(contact, bits):
    return (
        f"crm-{10_000_000 + contact},user{contact}@mail.example,{STATUS[bits % 20]},"
        f"{COUNTRY[(bits >> 8) % 20]},{PLAN[(bits >> 16) % 4]},Company {contact % 5000} B.V.,{CITY[contact % 7]},"
        f"2026-{1 + contact % 12:02d}-{1 + contact % 28:02d}\n"
    )


def main():
    rows, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    (folder / "state").mkdir(parents=True, exist_ok=True)
    (folder / "rollcall.toml").write_text(CONFIGURATION)
    header = "id,email,status,country,plan,company,city,last_order\n"
    with open(folder / "yesterday.csv", "w") as before, open(folder / "today.csv", "w") as after:
        before.write(header)
        after.write(header)
        for contact in range(rows):
            bits = mixed(contact)
            line = row(contact, bits)
            before.write(line)
            if (bits >> 32) % CHANGED == 0:
                line = row(contact, mixed(bits))
            after.write(line)


if __name__ == "__main__":
    main()

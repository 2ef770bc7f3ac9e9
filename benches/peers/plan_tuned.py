"""A plan as somebody would make it who measured: rows as lists, and a set of numbers for each contact at a time, with both
sides read in the order of the contacts.

    plan_tuned.py FOLDER > actions.jsonl
"""

import csv
import sqlite3
import sys

from rules import automations

folder = sys.argv[1]
record = sqlite3.connect(f"file:{folder}/state/rollcall.db?mode=ro", uri=True)
numbers = {name: number for number, name in record.execute("SELECT id, name FROM automation")}
names = {number: name for name, number in numbers.items()}
masks = {}
for status in ("customer", "prospect", "ex-customer"):
    for country in ("NL", "BE", "DE", "FR"):
        for plan in ("basic", "premium", "free"):
            masks[status, country, plan] = sum(1 << numbers[a] for a in automations(status, country, plan))


def declared():
    with open(f"{folder}/crm.csv", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for row in rows:
            yield row[0], masks[row[2], row[3], row[4]]


def recorded():
    rows = record.execute(
        "SELECT contact, sum(1 << automation) FROM participation WHERE state = 'active' GROUP BY contact ORDER BY contact"
    )
    yield from rows


out = []


def told(contact, action, mask):
    while mask:
        low = mask & -mask
        out.append(f'{{"action": "{action}", "contact": "{contact}", "automation": "{names[low.bit_length() - 1]}"}}\n')
        mask ^= low


left, right = declared(), recorded()
a, b = next(left, None), next(right, None)
while a or b:
    if b is None or (a is not None and a[0] < b[0]):
        told(a[0], "trigger", a[1])
        a = next(left, None)
    elif a is None or b[0] < a[0]:
        told(b[0], "stop", b[1])
        b = next(right, None)
    else:
        if a[1] != b[1]:
            told(a[0], "stop", b[1] & ~a[1])
            told(a[0], "trigger", a[1] & ~b[1])
        a, b = next(left, None), next(right, None)
sys.stdout.writelines(out)

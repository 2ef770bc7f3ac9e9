"""A plan as a first script would make it: dictionaries, tuples and sets of everything.

    plan_naive.py FOLDER > actions.jsonl
"""

import csv
import json
import sqlite3
import sys

from rules import automations

folder = sys.argv[1]
declared = set()
with open(f"{folder}/crm.csv", newline="") as file:
    for row in csv.DictReader(file):
        for automation in automations(row["status"], row["country"], row["plan"]):
            declared.add((row["id"], automation))
record = sqlite3.connect(f"file:{folder}/state/rollcall.db?mode=ro", uri=True)
recorded = set(
    record.execute(
        "SELECT contact, name FROM participation JOIN automation ON automation.id = automation WHERE state = 'active'"
    )
)
for contact, automation in sorted(recorded - declared):
    print(json.dumps({"action": "stop", "contact": contact, "automation": automation}))
for contact, automation in sorted(declared - recorded):
    print(json.dumps({"action": "trigger", "contact": contact, "automation": automation}))

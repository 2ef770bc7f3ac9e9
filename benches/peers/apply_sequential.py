"""The script that people have today: one call after the other, signed by requests_oauthlib, each on record before the next.

    apply_sequential.py URL CALLS DATABASE
"""

import sqlite3
import sys

from requests_oauthlib import OAuth1Session

url, calls, database = sys.argv[1], int(sys.argv[2]), sys.argv[3]
record = sqlite3.connect(database)
record.execute("PRAGMA journal_mode = WAL")
record.execute("PRAGMA synchronous = FULL")
record.execute("CREATE TABLE sent (contact TEXT PRIMARY KEY, status INTEGER, answer TEXT)")
session = OAuth1Session("key", client_secret="secret")
for call in range(calls):
    contact = f"crm-{10_000_000 + call}"
    answer = session.post(url, json={"externalContactId": contact})
    answer.raise_for_status()
    record.execute("INSERT INTO sent VALUES (?, ?, ?)", (contact, answer.status_code, answer.text))
    record.commit()

"""The same plan in SQL: DuckDB reads the CSV and the SQLite record, and writes the actions as JSON lines.

    plan_duckdb.py FOLDER OUT
"""

import importlib.util
import pathlib
import sys

import duckdb

folder, out = sys.argv[1:]
# The package duckdb-extension-sqlite-scanner brings the extension that DuckDB would else download.
[package] = importlib.util.find_spec("duckdb_extension_sqlite_scanner").submodule_search_locations
[extension] = pathlib.Path(package).rglob("*.duckdb_extension")
db = duckdb.connect()
db.execute(f"LOAD '{extension}'")
db.execute(f"ATTACH '{folder}/state/rollcall.db' AS record (TYPE sqlite, READ_ONLY)")
db.execute(
    f"""
    COPY (
        WITH crm AS (SELECT id AS contact, status, country, plan FROM read_csv('{folder}/crm.csv', all_varchar = true)),
        declared AS (
            SELECT contact, 'customer' AS automation FROM crm WHERE status = 'customer'
            UNION ALL SELECT contact, 'prospect' FROM crm WHERE status = 'prospect' AND country IN ('NL', 'BE')
            UNION ALL SELECT contact, 'ex-customer' FROM crm WHERE status = 'ex-customer'
            UNION ALL SELECT contact, 'premium' FROM crm WHERE status = 'customer' AND plan = 'premium'
            UNION ALL SELECT contact, 'country-nl' FROM crm WHERE country = 'NL'
        ),
        recorded AS (
            SELECT contact, name AS automation FROM record.participation p JOIN record.automation a ON a.id = p.automation
            WHERE state = 'active'
        )
        SELECT if(r.contact IS NULL, 'trigger', 'stop') AS action, coalesce(d.contact, r.contact) AS contact,
               coalesce(d.automation, r.automation) AS automation
        FROM declared d FULL JOIN recorded r USING (contact, automation)
        WHERE d.contact IS NULL OR r.contact IS NULL
        ORDER BY contact, action, automation
    ) TO '{out}' (FORMAT json)
    """
)

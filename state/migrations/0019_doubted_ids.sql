-- automationContactIds that came for two contacts. Whose they are is not known, and whoever gets them once more is in doubt too.
CREATE TABLE doubted_ids (
    ids TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- [[merged]]: ids whose participations are another id's now, and stay so.
CREATE TABLE merged (
    contact text COLLATE "C" PRIMARY KEY,
    becomes text COLLATE "C" NOT NULL
);
CREATE INDEX merged_by_becomes ON merged (becomes);

-- The id that it was triggered under, where that is another one than its contact's: a stop goes there.
ALTER TABLE participation ADD COLUMN triggered_as text COLLATE "C";

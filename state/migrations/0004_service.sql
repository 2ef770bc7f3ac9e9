-- Which service the record is of: participations at one say nothing of another.
ALTER TABLE meta ADD COLUMN service TEXT;                       -- the host of base_url; NULL: not known yet

-- What is asked by time, and the calls of one participation, are found by a look-up.
CREATE INDEX call_by_time ON call (sent_at);
DROP INDEX call_by_contact;
CREATE INDEX call_by_participation ON call (contact, automation, occurrence);

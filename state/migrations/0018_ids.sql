-- Who has the same automationContactIds as another contact: an answer that was not for its call.
CREATE INDEX participation_by_ids ON participation (ids) WHERE ids IS NOT NULL;

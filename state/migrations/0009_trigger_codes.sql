-- Trigger codes that differ in case alone are one: the first that was written stands for all of them.
UPDATE participation SET trigger_code =
    (SELECT min(same.id) FROM trigger_code AS own JOIN trigger_code AS same ON lower(same.code) = lower(own.code)
     WHERE own.id = participation.trigger_code)
WHERE trigger_code NOT IN (SELECT min(id) FROM trigger_code GROUP BY lower(code));
UPDATE call SET trigger_code =
    (SELECT min(same.id) FROM trigger_code AS own JOIN trigger_code AS same ON lower(same.code) = lower(own.code)
     WHERE own.id = call.trigger_code)
WHERE trigger_code NOT IN (SELECT min(id) FROM trigger_code GROUP BY lower(code));
DELETE FROM trigger_code WHERE id NOT IN (SELECT min(id) FROM trigger_code GROUP BY lower(code));
CREATE UNIQUE INDEX trigger_code_by_code ON trigger_code (lower(code));

wrk.method = "POST"
wrk.body = '{"externalContactId":"crm-10000001"}'
wrk.headers["Content-Type"] = "application/json; charset=utf-8"

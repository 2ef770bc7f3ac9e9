"""The five automations of the workload, as a script would have them."""


def automations(status, country, plan):
    if country == "NL":
        yield "country-nl"
    if status == "customer":
        yield "customer"
        if plan == "premium":
            yield "premium"
    elif status == "ex-customer":
        yield "ex-customer"
    elif status == "prospect" and country in ("NL", "BE"):
        yield "prospect"

"""As fast as a script may be made: many calls under way, signed by oauthlib, and no record.

    apply_aiohttp.py URL CALLS UNDER_WAY
"""

import asyncio
import json
import sys

import aiohttp
from oauthlib.oauth1 import Client

url, calls, under_way = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


async def work(session, contacts):
    signer = Client("key", client_secret="secret")
    for contact in contacts:
        headers = {"Content-Type": "application/json"}
        body = json.dumps({"externalContactId": contact})
        _, headers, _ = signer.sign(url, "POST", body=body, headers=headers)
        async with session.post(url, data=body, headers=headers) as answer:
            answer.raise_for_status()
            await answer.read()


async def main():
    contacts = iter([f"crm-{10_000_000 + call}" for call in range(calls)])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=under_way)) as session:
        await asyncio.gather(*(work(session, contacts) for _ in range(under_way)))


asyncio.run(main())

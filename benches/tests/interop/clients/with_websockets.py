"""Python's websockets."""

import asyncio

from payloads import *
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def exchange():
    async with connect(URL, proxy=None) as ws:
        assert ",".join(extension.name for extension in ws.protocol.extensions) == EXTENSION
        for message in TEXTS + BINARIES:
            await ws.send(message)
            reply = await ws.recv()
            assert type(reply) is type(message) and reply == message, len(message)
        for fragments in FRAGMENTED:
            await ws.send(fragments)
            assert await ws.recv() == fragments[0][:0].join(fragments)
        await (await ws.ping(PING))
        await ws.close(CODE, REASON)
        assert ws.protocol.close_rcvd.code == CODE, ws.protocol.close_rcvd


async def send_too_much():
    async with connect(URL, proxy=None) as ws:
        try:
            await ws.send(TOO_LONG)
            await ws.recv()
        except ConnectionClosed as end:
            assert end.rcvd is not None and end.rcvd.code == TOO_BIG, end
            assert end.rcvd.reason, end
        else:
            raise AssertionError("a message over the limit was answered")


asyncio.run(exchange())
asyncio.run(send_too_much())

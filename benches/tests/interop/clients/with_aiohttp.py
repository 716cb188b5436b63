"""Python's aiohttp, whose client sends no fragments."""

import asyncio

from aiohttp import ClientSession, WSMsgType
from payloads import *


async def exchange(session):
    async with session.ws_connect(URL, compress=15, autoping=False) as ws:
        assert ("permessage-deflate" if ws.compress else "") == EXTENSION
        for messages, kind, send in (
            (TEXTS, WSMsgType.TEXT, ws.send_str),
            (BINARIES, WSMsgType.BINARY, ws.send_bytes),
        ):
            for message in messages:
                await send(message)
                reply = await ws.receive()
                assert (reply.type, reply.data) == (kind, message), (reply.type, len(message))
        await ws.ping(PING)
        pong = await ws.receive()
        assert (pong.type, pong.data) == (WSMsgType.PONG, PING), pong
        assert await ws.close(code=CODE, message=REASON.encode())
        assert ws.close_code == CODE, ws.close_code


async def send_too_much(session):
    async with session.ws_connect(URL, compress=15) as ws:
        await ws.send_bytes(TOO_LONG)
        end = await ws.receive()
        assert (end.type, end.data) == (WSMsgType.CLOSE, TOO_BIG), end
        assert end.extra, end


async def main():
    async with ClientSession() as session:
        await exchange(session)
        await send_too_much(session)


asyncio.run(main())

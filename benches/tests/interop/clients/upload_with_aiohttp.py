"""Uploads with aiohttp, from a generator, up to the server's limit and beyond it."""

import asyncio
import hashlib
import sys

import aiohttp

ADDRESS, MAX = sys.argv[1], int(sys.argv[2])


async def pieces(length, digest):
    left = length
    while left > 0:
        piece = bytes([left % 251]) * min(left, 50_000)
        left -= len(piece)
        digest.update(piece)
        yield piece


async def main():
    url = f"http://{ADDRESS}/files/aiohttp"
    async with aiohttp.ClientSession() as session:
        for length in (1, 70_000, MAX):
            for asks in (False, True):
                digest = hashlib.sha1()
                body = pieces(length, digest)
                async with session.post(url, data=body, expect100=asks) as response:
                    assert response.status == 200, response
                    answer = await response.json()
                expected = {"name": "aiohttp", "bytes": length, "sha1": digest.hexdigest()}
                assert answer == expected, answer
        async with session.post(url, data=bytes(MAX + 1), expect100=True) as response:
            assert response.status == 413, response


asyncio.run(main())

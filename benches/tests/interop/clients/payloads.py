"""What the clients in Python exchange with the server. Their arguments: its URL, and the name of
the extension that it has to accept, empty if none."""

import sys

URL, EXTENSION = sys.argv[1:]

TEXTS = ["", "hello", "größer als 1 €, 漢字, 🦀", "漢" * 40_000]
BINARIES = [
    bytes(number * 31 % 251 for number in range(size))
    for size in (0, 1, 125, 126, 65_535, 65_536, 100_000)
]
FRAGMENTED = [["grö", "", "ßer ", "🦀"], [b"\x00", b"", bytes(70_000), b"\xff"]]

PING = b"alive?"
CODE, REASON = 3001, "enough"

# One byte more than the server takes by default, and what it says to that.
TOO_LONG = bytes(1024 * 1024 + 1)
TOO_BIG = 1009

"""The stock client for Python. Usage: socket_io_client.py SCENARIO URL TRANSPORTS

TRANSPORTS is a list with commas, or `default`. A scenario that has to wait for the server to be
killed or started prints a line, and goes on by itself.
"""

import os
import queue
import sys

import socketio

SCENARIO, URL, TRANSPORTS = sys.argv[1:]
# A wait takes this long only if something is broken.
PATIENCE = 30
VALUES = [1, -0.5, "", "café 😀\u001e", None, True, [], {}, {"a": [{"b": '\\"'}]}]
LARGE = bytes(range(256)) * 1000


class Client:
    """A client that notes the events of each namespace."""

    def __init__(self, namespaces=("/",), auth=None):
        self.sio = socketio.Client(
            reconnection_delay=0.05, reconnection_delay_max=0.2, randomization_factor=0
        )
        self.events = {namespace: queue.Queue() for namespace in namespaces}
        self.disconnects = queue.Queue()
        for namespace in namespaces:
            self.note(namespace)
        transports = None if TRANSPORTS == "default" else TRANSPORTS.split(",")
        self.sio.connect(
            URL,
            namespaces=list(namespaces),
            transports=transports,
            auth=auth,
            wait_timeout=PATIENCE,
        )

    def note(self, namespace):
        def take(event, *values):
            self.events[namespace].put([event, *values])

        self.sio.on("*", take, namespace=namespace)
        self.sio.on("disconnect", self.disconnects.put, namespace=namespace)
        self.sio.on("question", lambda *values: tuple(reversed(values)), namespace=namespace)

    def emit(self, event, *values, namespace="/"):
        self.sio.emit(event, values, namespace=namespace)

    def call(self, event, *values, namespace="/"):
        return self.sio.call(event, values, namespace=namespace, timeout=PATIENCE)

    def expect(self, *event, namespace="/"):
        found = self.events[namespace].get(timeout=PATIENCE)
        assert found == list(event), found

    def expect_nothing(self, namespace="/"):
        self.call("message-with-ack", 1, namespace=namespace)
        assert self.events[namespace].empty(), self.events[namespace].get()


def exchanges():
    client = Client(auth={"token": "123"})
    client.expect("auth", {"token": "123"})
    client.emit("message", *VALUES)
    client.expect("message-back", *VALUES)
    assert client.call("message-with-ack", VALUES) == VALUES
    client.emit("message", b"\x00\xff", {"a": [LARGE]}, "text")
    client.expect("message-back", b"\x00\xff", {"a": [LARGE]}, "text")
    assert client.call("message-with-ack", {"a": LARGE}) == {"a": LARGE}
    long = "x" * 500_000
    assert client.call("message-with-ack", long) == long
    for number in range(100):
        client.emit("collect", number)
    assert client.call("collected") == list(range(100))
    info = client.call("request-info")
    assert info["sid"] == client.sio.get_sid(), info
    assert info["transport"] == client.sio.transport(), info


def acknowledges():
    client = Client(("/quiet",))
    ask = lambda *values: client.call("ask", *values, namespace="/quiet")
    assert ask(5000, 1, "two") == ("answer", "two", 1)
    assert ask(5000, b"\x00", {"a": b"\x01"}) == ("answer", {"a": b"\x01"}, b"\x00")
    try:
        client.sio.call("unknown", namespace="/quiet", timeout=0.2)
        raise AssertionError("an unknown event was acknowledged")
    except socketio.exceptions.TimeoutError:
        pass
    client.expect_nothing("/quiet")


def joins_namespaces():
    names = ("/", "/custom", "/quiet", "/refuse")
    client = Client(names, auth={"token": "let-me-in"})
    assert len({client.sio.get_sid(name) for name in names}) == len(names)
    for name in names:
        if name in ("/", "/custom"):
            client.expect("auth", {"token": "let-me-in"}, namespace=name)
        client.emit("message", name, namespace=name)
        client.expect("message-back", name, namespace=name)
        client.expect_nothing(name)
    for name in ("/refuse", "/unknown"):
        try:
            Client((name,))
            raise AssertionError("it is connected")
        except socketio.exceptions.ConnectionError:
            pass


def shares_rooms():
    a, b, sender = [Client(("/quiet",)) for _ in range(3)]
    for member in (a, b):
        assert member.call("join", "x", namespace="/quiet") == "x"
    assert a.call("rooms", namespace="/quiet") == ["x"]
    b.call("leave", "x", namespace="/quiet")
    sender.emit("to-room", "x", b"1", namespace="/quiet")
    sender.emit("all", 2, namespace="/quiet")
    a.expect("room-event", "x", b"1", namespace="/quiet")
    for client in (a, b, sender):
        client.expect("all-event", 2, namespace="/quiet")
        client.expect_nothing("/quiet")
    

def disconnects():
    for close in (False, True):
        client = Client(("/quiet",))
        client.emit("disconnect-me", close, namespace="/quiet")
        client.disconnects.get(timeout=PATIENCE)
        client.sio.disconnect()
    observer, client = Client(("/quiet",)), Client(("/quiet",))
    sid = client.sio.get_sid("/quiet")
    client.sio.disconnect()
    while True:
        ended = observer.call("disconnects", namespace="/quiet")
        if sid in [end["sid"] for end in ended]:
            break
    observer.sio.disconnect()


def floods():
    """The client drops an answer of more than 16 packets."""
    client = Client(("/quiet",))
    assert client.call("flood", 1000, namespace="/quiet") == 1000
    for number in range(1000):
        client.expect("flood-event", number, namespace="/quiet")
    attachments = [bytes([number]) * 10 for number in range(10)]
    for _ in range(30):
        client.emit("message", attachments, namespace="/quiet")
    for _ in range(30):
        client.expect("message-back", attachments, namespace="/quiet")


def reconnects():
    client = Client()
    client.expect("auth", {})
    for _ in range(3):
        print("kill the server", flush=True)
        client.disconnects.get(timeout=PATIENCE)
        client.expect("auth", {})
        assert client.call("message-with-ack", 1) == 1


globals()[SCENARIO]()
sys.stdout.flush()
# Without waiting for threads of the clients that are still connected.
os._exit(0)

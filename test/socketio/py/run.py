"""python-socketio against a server: the checks of this file, reported as js/run.mjs reports its own.

python3 run.py '<settings>': {"url", "transports"}.
"""

import asyncio
import json
import sys
import time
import traceback

import socketio

PATIENCE = 10
TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgrade": ["polling", "websocket"]}
BINARY = bytes(range(256)) * 20


class Inbox:
    """The arguments of all events of one name."""

    def __init__(self, client, event, namespace="/"):
        self.got = []
        client.on(event, lambda *args: self.got.append(list(args)), namespace=namespace)

    async def wait(self, n):
        await eventually(lambda: len(self.got) >= n, f"{n} events ({len(self.got)} were there)")
        return self.got[:]


async def eventually(condition, what):
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"{what}: not within {PATIENCE} s"
        await asyncio.sleep(0.005)


class User:
    """Makes clients. The asynchronous ones: the others handle each packet in a thread, in no order."""

    def __init__(self, url, transport):
        self.url, self.transport, self.clients = url, transport, []

    def client(self):
        client = socketio.AsyncClient(reconnection=False)
        self.clients.append(client)
        return client

    async def connect(self, client, namespaces=("/",), auth=None, wait=True):
        await client.connect(
            self.url, transports=TRANSPORTS[self.transport], namespaces=list(namespaces), auth=auth,
            wait=wait, wait_timeout=PATIENCE,
        )

    async def close(self):
        for client in self.clients:
            if client.connected:
                await client.disconnect()


def equal(got, want, what):
    assert got == want, f"{what}: got {got!r:.300}, want {want!r:.300}"


async def ask(client, event, *args, namespace="/"):
    return await client.call(event, args if args else None, namespace=namespace, timeout=PATIENCE)


async def auth(user):
    for namespace in ("/", "/custom"):
        for given in (None, {"token": "abc", "list": [1, None, "\u20ac"]}):
            client = user.client()
            mail = Inbox(client, "auth", namespace)
            await user.connect(client, [namespace], given)
            equal(await mail.wait(1), [[given or {}]], f"auth of {namespace}")
            assert client.get_sid(namespace), "no id"
            expected = "polling" if user.transport == "polling" else "websocket"
            equal(client.transport(), expected, "transport")


async def messages(user):
    client = user.client()
    back = Inbox(client, "message-back")
    await user.connect(client)
    cases = [
        [1], ["text", 2, None, True], ["\u20ac \U0001f600 \u2028"], [{"a": [1, {"b": None}]}],
        [BINARY], [{"deep": [b"", BINARY, {"x": b"\x00"}]}, "end"], [b"x" * 100_000], ["y" * 100_000],
    ]
    for n, args in enumerate(cases, 1):
        await client.emit("message", tuple(args))
        equal((await back.wait(n))[-1], args, "message-back")
        answer = await ask(client, "message-with-ack", *args)
        equal(list(answer) if isinstance(answer, tuple) else [answer], args, "acknowledgement")


async def order(user):
    client = user.client()
    back = Inbox(client, "message-back")
    await user.connect(client)
    for i in range(200):
        await client.emit("message", (i, bytes([i]) * i) if i % 3 == 0 else (i, str(i)))
        if i % 5 == 4:  # this client takes 16 packets in a response
            await back.wait(i + 1)
    for i, args in enumerate(await back.wait(200)):
        equal(args, [i, bytes([i]) * i] if i % 3 == 0 else [i, str(i)], f"message {i}")


async def rooms(user):
    a, b = user.client(), user.client()
    mail = [Inbox(a, "news"), Inbox(b, "news")]
    for client in (a, b):
        await user.connect(client)
        equal(await ask(client, "far:join", "python"), None, "join")
    equal(sorted(await ask(a, "far:rooms")), sorted([a.get_sid(), "python"]), "rooms")
    await ask(a, "far:broadcast", {"rooms": ["python"], "event": "news", "args": [1, BINARY]})
    await ask(a, "far:toOthers", {"rooms": ["python"], "event": "news", "args": [2]})
    equal(await mail[1].wait(2), [[1, BINARY], [2]], "news")
    equal(await mail[0].wait(1), [[1, BINARY]], "news of the sender")
    b.on("question", lambda n: n + 1)
    asked = await ask(a, "far:broadcastAck", {"rooms": [b.get_sid()], "event": "question", "args": [41]})
    equal(asked, {"error": None, "responses": [42]}, "broadcast with acknowledgements")
    members = await ask(a, "far:fetch", {"rooms": ["python"]})
    equal(sorted(m["id"] for m in members), sorted([a.get_sid(), b.get_sid()]), "members")


async def namespaces(user):
    client = user.client()
    ended = []
    client.on("disconnect", lambda *_: ended.append("/custom"), namespace="/custom")
    await user.connect(client, ["/", "/custom"])
    assert client.get_sid("/") != client.get_sid("/custom"), "the ids are equal"
    equal(await ask(client, "message-with-ack", 1, namespace="/custom"), 1, "an answer")
    await ask(client, "far:socketsDisconnect", {"rooms": [client.get_sid("/custom")]}, namespace="/custom")
    await eventually(lambda: ended, "the end of a namespace")
    equal(ended, ["/custom"], "ended namespaces")
    equal(await ask(client, "message-with-ack", 2), 2, "an answer of the other namespace")


async def invalid_namespace(user):
    client = user.client()
    errors = Inbox(client, "connect_error", "/nope")
    await user.connect(client, ["/", "/nope"], wait=False)
    [[error]] = await errors.wait(1)
    equal(error["message"] if isinstance(error, dict) else error, "Invalid namespace", "error")
    assert "/nope" not in client.namespaces, "connected to /nope"


async def disconnect(user):
    client = user.client()
    gone = []
    client.on("disconnect", lambda *_: gone.append(True))
    await user.connect(client)
    await ask(client, "far:socketsDisconnect", {"rooms": [client.get_sid()], "close": True})
    await eventually(lambda: gone, "the end of the connection")


CHECKS = [auth, messages, order, rooms, namespaces, invalid_namespace, disconnect]


async def main():
    settings = json.loads(sys.argv[1])
    # The client leaves HTTP sessions open, which the loop would tell of each time.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    for transport in settings["transports"]:
        for check in CHECKS:
            user, line, start = User(settings["url"], transport), {"test": f"{transport}/{check.__name__}"}, time.monotonic()
            try:
                await check(user)
            except Exception:
                line["error"] = traceback.format_exc()
            await user.close()
            line["ms"] = int((time.monotonic() - start) * 1000)
            print(json.dumps(line), flush=True)
    print(json.dumps({"done": True}), flush=True)


asyncio.run(main())

# SPDX-License-Identifier: MIT
"""Clients in Python for test/clients: driver.py KIND URL [TRANSPORT...]

The protocol of a driver is in ../clients.test.mjs. KIND: socketio (sync), asyncio, ws, sse.
"""
import asyncio
import json
import sys
import threading


def say(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def bytes_of(size):
    return bytes(i * 31 & 255 for i in range(size))


def plain(value):
    """What is said of an argument: bytes by their number and a sum."""
    if isinstance(value, (bytes, bytearray)):
        return {"size": len(value), "sum": sum(b * (i % 251 + 1) for i, b in enumerate(value))}
    return value


def orders():
    for line in sys.stdin:
        yield json.loads(line)


def socketio_sync(url, transports):
    import socketio

    client = socketio.Client(reconnection_delay=0.2, reconnection_delay_max=1)
    client.on("connect", lambda: say(state="connected"))
    client.on("disconnect", lambda *_: say(state="disconnected"))
    client.on("*", lambda event, *args: say(got=event, args=[plain(a) for a in args]))
    client.connect(url, transports=transports, wait_timeout=20)
    for order in orders():
        if order["do"] == "close":
            break
        if order["do"] == "bytes":
            client.emit("bytes", bytes_of(order["size"]))
        elif order["do"] == "emit":
            client.emit(order["event"], tuple(order["args"]))
        else:
            client.emit(order["event"], tuple(order["args"]), callback=lambda *a: say(ack=[plain(x) for x in a]))
    client.disconnect()


async def async_orders():
    """Lines of standard input, without a thread that would keep the program alive."""
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()

    def read():
        for order in orders():
            loop.call_soon_threadsafe(queue.put_nowait, order)
        loop.call_soon_threadsafe(queue.put_nowait, {"do": "close"})

    threading.Thread(target=read, daemon=True).start()
    while (order := await queue.get())["do"] != "close":
        yield order


async def socketio_asyncio(url, transports):
    import socketio

    client = socketio.AsyncClient(reconnection_delay=0.2, reconnection_delay_max=1)

    async def on_connect():
        say(state="connected")

    async def on_disconnect(*_):
        say(state="disconnected")

    async def on_event(event, *args):
        say(got=event, args=[plain(a) for a in args])

    client.on("connect", on_connect)
    client.on("disconnect", on_disconnect)
    client.on("*", on_event)
    await client.connect(url, transports=transports, wait_timeout=20)
    async for order in async_orders():
        if order["do"] == "bytes":
            await client.emit("bytes", bytes_of(order["size"]))
        elif order["do"] == "emit":
            await client.emit(order["event"], tuple(order["args"]))
        else:
            await client.emit(order["event"], tuple(order["args"]),
                              callback=lambda *a: say(ack=[plain(x) for x in a]))
    await client.disconnect()


async def websocket(url):
    import websockets

    sent = asyncio.Queue()

    async def send(ws):
        while True:
            await ws.send(await sent.get())

    async def receive():
        # The library's own reconnection: an endless iterator of connections.
        async for ws in websockets.connect(url, max_size=None):
            say(state="connected")
            sender = asyncio.create_task(send(ws))
            try:
                async for message in ws:
                    say(got="message", args=[plain(message)])
            except websockets.ConnectionClosed:
                pass
            sender.cancel()
            say(state="disconnected")

    receiver = asyncio.create_task(receive())
    async for order in async_orders():
        await sent.put(bytes_of(order["size"]) if order["do"] == "bytes" else order["text"])
    receiver.cancel()


async def sse(url):
    import httpx
    from httpx_sse import aconnect_sse

    async def receive():
        async with httpx.AsyncClient(timeout=None) as client:
            while True:  # this library leaves reconnection to its user
                try:
                    async with aconnect_sse(client, "GET", url) as source:
                        source.response.raise_for_status()
                        say(state="connected")
                        async for event in source.aiter_sse():
                            say(got=event.event, args=[event.data])
                except httpx.HTTPError:
                    pass
                say(state="disconnected")
                await asyncio.sleep(0.2)

    receiver = asyncio.create_task(receive())
    async for _ in async_orders():
        pass
    receiver.cancel()


kind, url, *transports = sys.argv[1:]
if kind == "socketio":
    socketio_sync(url, transports)
elif kind == "asyncio":
    asyncio.run(socketio_asyncio(url, transports))
else:
    asyncio.run({"ws": websocket, "sse": sse}[kind](url))

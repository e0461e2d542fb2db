// SPDX-License-Identifier: MIT
//
// socket.io-client against the server's development rules, in every transport mode.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as msgpack from 'socket.io-msgpack-parser';

import { MODES, ask, connect, connected, makeClient, settled, upgraded } from './lib/sio.mjs';
import { REFERENCE, peal, start, useServer } from './lib/server.mjs';
import { collect, next, until, within } from './lib/wait.mjs';

const dev = useServer({ before, after });

const bytes = (n, seed = 7) => Buffer.from(Array.from({ length: n }, (_, i) => (i * seed + n) & 255));

for (const [name, mode] of Object.entries(MODES)) describe(`over ${name}`, () => {
  test('a client connects and gets an id of 20 characters', async (t) => {
    const socket = await connect(t, dev, mode);
    assert.match(socket.id, /^[A-Za-z0-9_-]{20}$/);
    assert.notEqual(socket.id, socket.io.engine.id);
    if (mode.transports) assert.equal(socket.io.engine.transport.name, mode.transports[0]);
    else await upgraded(socket);
  });

  test('an event reaches everybody in the namespace, the sender included', async (t) => {
    const [a, b] = [await connect(t, dev, mode), await connect(t, dev, mode)];
    const [atA, atB] = [next(a, 'news'), next(b, 'news')];
    a.emit('news', 1, 'two', { three: [3, null, true, 1.5] }, []);
    const expected = [1, 'two', { three: [3, null, true, 1.5] }, []];
    assert.deepEqual(await atA, expected);
    assert.deepEqual(await atB, expected);
  });

  test('an event with an acknowledgement is answered with its own arguments', async (t) => {
    const socket = await connect(t, dev, mode);
    assert.deepEqual(await ask(socket, 'q', 1, 'x', { y: null }), [1, 'x', { y: null }]);
    assert.deepEqual(await ask(socket, 'q'), []);
    assert.deepEqual(await socket.timeout(20_000).emitWithAck('q', 'promised'), 'promised');
  });

  test('events without arguments and with odd names arrive', async (t) => {
    const socket = await connect(t, dev, mode);
    for (const event of ['', ' ', 'a"b\\c', 'Ünïcode ✓', 'constructor', '__proto__', 'x'.repeat(1000)]) {
      const got = next(socket, event);
      socket.emit(event);
      assert.deepEqual(await got, []);
    }
  });

  test('a number may be the name of an event', async (t) => {
    const socket = await connect(t, dev, mode);
    const got = next(socket, 42);
    socket.emit(42, 'x');
    assert.deepEqual(await got, ['x']);
  });

  test('text passes through unchanged, whatever its alphabet', async (t) => {
    const socket = await connect(t, dev, mode);
    const texts = ['žluťoučký kůň', '日本語', '👩‍👩‍👧‍👦 🎺', '\u0000\u0001\u001e\u001f', '\u2028\u2029', '"\\/\b\f\n\r\t',
      '\ud800 lone', '</script>', 'b64', '452-["x"]'];
    for (const text of texts) assert.deepEqual(await ask(socket, 'text', text), [text]);
    const got = next(socket, 'text');
    socket.emit('text', ...texts);
    assert.deepEqual(await got, texts);
  });

  test('JSON passes through byte for byte: numbers, order of keys, escapes', async (t) => {
    const socket = await connect(t, dev, mode);
    const value = { z: 1, a: 2, 10: 'ten', nested: { b: [], a: {} }, n: [0, -0.5, 1e21, 1e-7, 123456789012345680000] };
    const [back] = await ask(socket, 'json', value);
    assert.equal(JSON.stringify(back), JSON.stringify(value));
  });

  test('bytes come back as bytes, in events and in acknowledgements', async (t) => {
    const socket = await connect(t, dev, mode);
    const got = next(socket, 'bin');
    socket.emit('bin', Buffer.from([1, 2, 3]), 'between', new Uint8Array([255, 254]));
    const [first, between, second] = await got;
    assert.deepEqual(Buffer.from(first), Buffer.from([1, 2, 3]));
    assert.equal(between, 'between');
    assert.deepEqual(Buffer.from(second), Buffer.from([255, 254]));

    const [echo] = await ask(socket, 'bin', { deep: [{ er: Buffer.from('x') }] });
    assert.deepEqual(Buffer.from(echo.deep[0].er), Buffer.from('x'));
  });

  test('an empty byte array is still a byte array', async (t) => {
    const socket = await connect(t, dev, mode);
    const [echo, last] = await ask(socket, 'bin', Buffer.alloc(0), 'last');
    assert.ok(Buffer.isBuffer(echo) || echo instanceof ArrayBuffer);
    assert.equal(Buffer.from(echo).length, 0);
    assert.equal(last, 'last');
  });

  test('ten byte arrays in one event arrive in their places', async (t) => {
    const [a, b] = [await connect(t, dev, mode), await connect(t, dev, mode)];
    const sent = Array.from({ length: 10 }, (_, i) => bytes(i * 100, i + 1));
    const got = next(b, 'ten');
    a.emit('ten', { list: sent.slice(0, 5) }, ...sent.slice(5));
    const [{ list }, ...rest] = await got;
    assert.deepEqual([...list, ...rest].map((x) => Buffer.from(x)), sent);
  });

  test('two byte arrays in reverse order of a map keep their keys', async (t) => {
    const socket = await connect(t, dev, mode);
    const [echo] = await ask(socket, 'map', { b: Buffer.from('bb'), a: Buffer.from('a') });
    assert.deepEqual(Object.keys(echo), ['b', 'a']);
    assert.equal(Buffer.from(echo.b).toString(), 'bb');
    assert.equal(Buffer.from(echo.a).toString(), 'a');
  });

  test('half a megabyte of text and of bytes comes through whole', async (t) => {
    const [a, b] = [await connect(t, dev, mode), await connect(t, dev, mode)];
    const text = 'é'.repeat(250_000);
    const blob = bytes(500_000);
    const got = next(b, 'large');
    a.emit('large', text);
    assert.equal((await got)[0], text);
    const [echo] = await ask(a, 'large', blob);
    assert.ok(blob.equals(Buffer.from(echo)));
    const bin = next(b, 'bin');
    a.emit('bin', blob);
    assert.ok(blob.equals(Buffer.from((await bin)[0])));
  });

  test('two thousand events arrive once each and in order, from the first moment on', async (t) => {
    const n = 2000;
    const socket = makeClient(t, dev, mode);
    await connected(socket);
    const got = collect(socket, 'n', n);
    for (let i = 0; i < n; i++) socket.emit('n', i);
    assert.deepEqual((await got).map(([i]) => i), Array.from({ length: n }, (_, i) => i));
    if (!mode.transports) await upgraded(socket);
  });

  test('text, bytes and acknowledgements keep one order', async (t) => {
    const socket = await connect(t, dev, mode);
    const seen = [];
    socket.onAny((event, i) => seen.push([event, Buffer.isBuffer(i) ? i[0] : i]));
    let acked = 0;
    for (let i = 0; i < 100; i++) {
      if (i % 3 === 0) socket.emit('bin', Buffer.from([i]));
      else socket.emit('text', i);
      socket.emit('ack', i, () => acked++);
    }
    await settled(socket);
    assert.equal(acked, 100);
    assert.deepEqual(seen, Array.from({ length: 100 }, (_, i) => [i % 3 ? 'text' : 'bin', i]));
  });

  test('a room gets what is sent to it, and nobody else does', async (t) => {
    const [a, b, c] = [await connect(t, dev, mode), await connect(t, dev, mode), await connect(t, dev, mode)];
    const room = `room ${name} ü#1`;
    a.emit('join', room);
    b.emit('join', room);
    await Promise.all([settled(a), settled(b)]);
    const strays = [];
    c.onAny((...args) => strays.push(args));

    let [atA, atB] = [next(a, 'hello'), next(b, 'hello')];
    a.emit('to', room, 'hello', 1, { b: Buffer.from('x') });
    assert.equal((await atA)[0], 1);
    assert.equal(Buffer.from((await atB)[1].b).toString(), 'x');

    atB = next(b, 'from outside');
    c.emit('to', room, 'from outside');
    assert.deepEqual(await atB, []);

    b.emit('leave', room);
    await settled(b);
    b.onAny((...args) => strays.push(args));
    atA = next(a, 'again');
    c.emit('to', room, 'again', 2);
    assert.deepEqual(await atA, [2]);
    await Promise.all([settled(b), settled(c)]);
    assert.deepEqual(strays, []);
  });

  test('joining twice or leaving a strange room changes nothing', async (t) => {
    const socket = await connect(t, dev, mode);
    socket.emit('join', 'twice');
    socket.emit('join', 'twice');
    socket.emit('leave', 'never joined');
    const got = [];
    socket.on('x', (i) => got.push(i));
    socket.emit('to', 'twice', 'x', 1);
    await settled(socket);
    socket.emit('leave', 'twice');
    socket.emit('to', 'twice', 'x', 2);
    await settled(socket);
    assert.deepEqual(got, [1]);
  });

  test('a client can be reached by its own id', async (t) => {
    const [a, b] = [await connect(t, dev, mode), await connect(t, dev, mode)];
    const got = next(b, 'private');
    a.emit('to', b.id, 'private', 'psst');
    assert.deepEqual(await got, ['psst']);
  });

  test('several namespaces share one connection and stay apart', async (t) => {
    const main = await connect(t, dev, mode);
    const chat = main.io.socket('/chat');
    const odd = main.io.socket('/odd name/ü?x=1');
    await Promise.all([connected(chat), connected(odd)]);
    assert.equal(chat.io.engine, main.io.engine);
    assert.equal(new Set([main.id, chat.id, odd.id]).size, 3);

    const strays = [];
    main.onAny((...args) => strays.push(args));
    odd.onAny((...args) => strays.push(args));
    const got = next(chat, 'only here');
    chat.emit('only here', Buffer.from('b'));
    assert.equal(Buffer.from((await got)[0]).toString(), 'b');
    assert.deepEqual(await ask(odd, 'q', 'odd'), ['odd']);
    assert.deepEqual(await ask(main, 'q', 'main'), ['main']);
    assert.deepEqual(strays, []);
  });

  test('a room of one namespace is not the room of another', async (t) => {
    const main = await connect(t, dev, mode);
    const chat = main.io.socket('/chat');
    await connected(chat);
    main.emit('join', 'r');
    chat.emit('join', 'r');
    const strays = [];
    main.on('x', (...args) => strays.push(args));
    const got = next(chat, 'x');
    chat.emit('to', 'r', 'x', 1);
    assert.deepEqual(await got, [1]);
    await settled(main);
    assert.deepEqual(strays, []);
  });

  test('leaving one namespace leaves the others alone, and coming back is possible', async (t) => {
    const main = await connect(t, dev, mode);
    const chat = main.io.socket('/chat');
    await connected(chat);
    const { id } = chat;
    chat.disconnect();
    assert.deepEqual(await ask(main, 'still', 'here'), ['here']);
    chat.connect();
    await connected(chat);
    assert.notEqual(chat.id, id);
    assert.deepEqual(await ask(chat, 'q', 1), [1]);
  });

  test('a client that left gets nothing any more', async (t) => {
    const [a, b] = [await connect(t, dev, mode), await connect(t, dev, mode)];
    b.disconnect();
    await settled(a);
    const got = next(a, 'x');
    a.emit('x');
    await got;
    assert.equal(b.connected, false);
  });

  test('an auth payload is accepted', async (t) => {
    const socket = await connect(t, dev, { ...mode, auth: { token: 'ž"\\', nested: { a: [1] } } });
    assert.deepEqual(await ask(socket, 'q', 1), [1]);
  });

  test('nobody joins the id of another in any namespace', peal('an app may let clients do so'), async (t) => {
    for (const nsp of ['/', '/private']) {
      const [victim, thief] = [await connect(t, dev, { ...mode, nsp }), await connect(t, dev, { ...mode, nsp })];
      const heard = [];
      thief.onAny((event) => heard.push(event));
      assert.deepEqual(await ask(thief, 'join', victim.id), [{ error: 'not allowed' }]);
      const got = next(victim, 'secret');
      thief.emit('to', victim.id, 'secret', 1);
      assert.deepEqual(await got, [1]);
      await settled(thief);
      assert.deepEqual(heard, []);
    }
  });

  test('volatile events arrive when nothing is in the way', async (t) => {
    const socket = await connect(t, dev, mode);
    if (!mode.transports) await upgraded(socket);
    await settled(socket);
    const got = next(socket, 'v');
    // A polling client drops a volatile event while a request is under way; it may try again.
    const again = setInterval(() => socket.volatile.emit('v', 1), 100);
    socket.volatile.emit('v', 1);
    t.after(() => clearInterval(again));
    assert.deepEqual(await got, [1]);
  });

  test('a timeout for an acknowledgement that comes does not fire', async (t) => {
    const socket = await connect(t, dev, mode);
    assert.equal(await socket.timeout(20_000).emitWithAck('q', 5), 5);
    const retrying = await connect(t, dev, { ...mode, retries: 2, ackTimeout: 20_000 });
    assert.equal(await within(retrying.emitWithAck('q', 6), 'an answer'), 6);
  });

  test('a client without binary frames sends and gets base64', async (t) => {
    const [plain, b64] = [await connect(t, dev, mode), await connect(t, dev, { ...mode, forceBase64: true })];
    const blob = bytes(1000, 3);
    const [atPlain, atB64] = [next(plain, 'bin'), next(b64, 'bin')];
    b64.emit('bin', blob);
    assert.ok(blob.equals(Buffer.from((await atPlain)[0])));
    assert.ok(blob.equals(Buffer.from((await atB64)[0])));
    const [echo] = await ask(b64, 'bin', blob);
    assert.ok(blob.equals(Buffer.from(echo)));
  });

  test('a client whose bytes are refused comes back, and what it said meanwhile arrives', async (t) => {
    const other = await connect(t, dev, mode);
    const socket = await connect(t, dev, mode);
    if (!mode.transports) await upgraded(socket);
    const { id } = socket;
    const lost = next(socket, 'disconnect');
    socket.io.engine.write('nonsense');
    const [reason] = await lost;
    assert.ok(['transport close', 'transport error', 'parse error'].includes(reason), reason);
    const heard = next(other, 'meanwhile');
    socket.emit('meanwhile', 1);
    await connected(socket);
    assert.notEqual(socket.id, id);
    assert.deepEqual(await heard, [1]);
    assert.deepEqual(await ask(socket, 'q', 2), [2]);
  });

  test('five clients talking at once each hear everything once, in order of each speaker', async (t) => {
    const [n, clients] = [100, await Promise.all(Array.from({ length: 5 }, () => connect(t, dev, { ...mode, nsp: '/five' })))];
    const heard = clients.map((socket) => collect(socket, 'said', n * clients.length));
    for (let i = 0; i < n; i++) clients.forEach((socket, who) => socket.emit('said', who, i));
    for (const all of await Promise.all(heard)) {
      for (let who = 0; who < clients.length; who++) {
        const said = all.filter(([speaker]) => speaker === who).map(([, i]) => i);
        assert.deepEqual(said, Array.from({ length: n }, (_, i) => i));
      }
    }
  });
});

describe('transports together', () => {
  test('clients of all transports hear each other', async (t) => {
    const clients = await Promise.all(Object.values(MODES).map((mode) => connect(t, dev, { ...mode, nsp: '/mixed' })));
    for (const speaker of clients) {
      const heard = clients.map((socket) => next(socket, 'mixed'));
      speaker.emit('mixed', Buffer.from('abc'), 'text');
      for (const got of heard) {
        const [blob, text] = await got;
        assert.equal(Buffer.from(blob).toString(), 'abc');
        assert.equal(text, 'text');
      }
    }
  });

  test('a conversation that begins on polling goes on over the upgrade without loss', async (t) => {
    const speaker = await connect(t, dev, { ...MODES.websocket, nsp: '/over' });
    const socket = makeClient(t, dev, { nsp: '/over' });
    await connected(socket);
    const n = 1000;
    const heard = collect(socket, 'n', 2 * n);
    const up = upgraded(socket);
    let i = 0;
    let j = 0;
    while (i < n) {
      for (let k = 0; k < 20; k++) {
        speaker.emit('n', 'speaker', i++);
        socket.emit('n', 'self', j++);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    const all = await heard;
    await up;
    const order = Array.from({ length: n }, (_, k) => k);
    assert.deepEqual(all.filter(([who]) => who === 'speaker').map(([, k]) => k), order);
    assert.deepEqual(all.filter(([who]) => who === 'self').map(([, k]) => k), order);
  });

  test('thirty clients connecting at once all upgrade', async (t) => {
    const sockets = Array.from({ length: 30 }, () => makeClient(t, dev));
    await Promise.all(sockets.map(connected));
    await Promise.all(sockets.map(upgraded));
    assert.equal(new Set(sockets.map((s) => s.id)).size, 30);
    for (const s of sockets) assert.deepEqual(await ask(s, 'q', s.id), [s.id]);
  });

  test('a client that tries websocket first falls back when told to', async (t) => {
    const socket = await connect(t, dev, { transports: ['websocket', 'polling'], tryAllTransports: true });
    assert.equal(socket.io.engine.transport.name, 'websocket');
  });

  test('many namespaces of one client are joined at once', async (t) => {
    const main = await connect(t, dev, MODES.websocket);
    const all = Array.from({ length: 20 }, (_, i) => main.io.socket(`/many-${i}`));
    await Promise.all(all.map(connected));
    for (const [i, socket] of all.entries()) assert.deepEqual(await ask(socket, 'q', i), [i]);
  });
});

describe('restart', () => {
  test('clients come back to a server that was killed and started again',
    { skip: REFERENCE && 'the reference runs in this process' }, async (t) => {
      let server = await start();
      t.after(() => server.stop());
      const sockets = await Promise.all(Object.values(MODES).map((mode) => connect(t, server, mode)));
      const lost = sockets.map((socket) => next(socket, 'disconnect'));
      await server.kill();
      await Promise.all(lost);
      server = await until(
        () => start({ set: { listen: `127.0.0.1:${server.port}` } }).catch(() => null),
        'the port to be free again');
      await Promise.all(sockets.map((socket) => socket.connected || next(socket, 'connect')));
      for (const socket of sockets) assert.deepEqual(await ask(socket, 'q', 1), [1]);
    });
});

describe('with the msgpack parser', () => {
  const packed = useServer({ before, after }, { set: { 'socketio.parser': 'msgpack' } });
  const parser = msgpack.default ?? msgpack;

  for (const [name, mode] of Object.entries(MODES)) {
    test(`over ${name}, events, bytes and acknowledgements pass`, async (t) => {
      const [a, b] = [
        await connect(t, packed, { ...mode, parser, auth: { token: 't' } }),
        await connect(t, packed, { ...mode, parser }),
      ];
      assert.match(a.id, /^[A-Za-z0-9_-]{20}$/);
      const value = {
        n: [0, 1, 127, 128, 255, 256, 65535, 65536, 4294967296, -1, -32, -33, -128, -129, -32769, -2147483649, 1.5],
        s: ['', 'é', 'x'.repeat(40), 'y'.repeat(300), 'z'.repeat(70_000)],
        list: Array.from({ length: 20 }, (_, i) => i),
        map: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, i])),
        yes: true, no: false, nil: null,
      };
      const got = next(b, 'value');
      a.emit('value', value, Buffer.from([1, 2]));
      const [back, blob] = await got;
      assert.deepEqual(back, value);
      assert.deepEqual(Buffer.from(blob), Buffer.from([1, 2]));
      assert.deepEqual(await ask(a, 'q', value), [value]);
      assert.deepEqual(await ask(a, 'q'), []);
      const [u8] = await ask(a, 'q', new Uint8Array([5, 6]));
      assert.deepEqual(Buffer.from(u8), Buffer.from([5, 6]));
    });
  }

  test('rooms and namespaces work as with the default parser', async (t) => {
    const [a, b] = [
      await connect(t, packed, { parser, nsp: '/packed' }),
      await connect(t, packed, { parser, nsp: '/packed' }),
    ];
    b.emit('join', 'r');
    await settled(b);
    const got = next(b, 'x');
    a.emit('to', 'r', 'x', 1, 'two');
    assert.deepEqual(await got, [1, 'two']);
    b.disconnect();
    assert.deepEqual(await ask(a, 'q', 'still'), ['still']);
  });

  test('more than ten byte arrays are fine where nothing is split off', async (t) => {
    const socket = await connect(t, packed, { parser });
    const sent = Array.from({ length: 15 }, (_, i) => Buffer.from([i]));
    assert.deepEqual((await ask(socket, 'q', ...sent)).map((x) => Buffer.from(x)), sent);
  });
});

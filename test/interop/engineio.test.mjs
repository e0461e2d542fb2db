// SPDX-License-Identifier: MIT
//
// Engine.IO and the edges of Socket.IO by hand: exact statuses, bodies and frames, in the
// order in which the original gives them.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Polling, RS } from './lib/engine.mjs';
import { OP, rawWebSocket } from './lib/frames.mjs';
import { UPGRADE, formatRequest, rawConnect, request } from './lib/http.mjs';
import { peal, useServer } from './lib/server.mjs';

const POLL = '/socket.io/?EIO=4&transport=polling';
const WS = '/socket.io/?EIO=4&transport=websocket';

const dev = useServer({ before, after }, {
  set: { workers: 2, 'socketio.cors': 'http://a.example', 'socketio.max_payload': 10000,
    'socketio.upgrade_timeout': '400ms' },
});

const error = (res, status, code, message) => {
  assert.equal(res.status, status);
  assert.match(res.headers['content-type'], /^application\/json/);
  assert.deepEqual(JSON.parse(res.text), { code, message });
};

describe('the handshake', () => {
  test('over polling has the five keys, and a session id of twenty characters', async () => {
    const { handshake, res } = await Polling.open(dev);
    assert.deepEqual(Object.keys(handshake),
      ['sid', 'upgrades', 'pingInterval', 'pingTimeout', 'maxPayload']);
    assert.match(handshake.sid, /^[\w-]{20}$/);
    assert.deepEqual({ ...handshake, sid: '' }, { sid: '', upgrades: ['websocket'],
      pingInterval: 25000, pingTimeout: 20000, maxPayload: 10000 });
    assert.match(res.headers['content-type'], /^text\/plain; charset=UTF-8$/i);
    assert.equal(res.headers['cache-control'], 'no-store');
    assert.equal(res.headers['set-cookie'], undefined);
  });

  test('over WebSocket offers no upgrade', async () => {
    const ws = await rawWebSocket(dev, WS);
    const text = await ws.readText();
    assert.equal(text[0], '0');
    assert.deepEqual(JSON.parse(text.slice(1)).upgrades, []);
    ws.destroy();
  });
});

describe('errors', () => {
  const cases = [
    ['no transport', { path: '/socket.io/?EIO=4' }, 400, 0, 'Transport unknown'],
    ['another transport', { path: '/socket.io/?EIO=4&transport=pigeon' }, 400, 0, 'Transport unknown'],
    ['webtransport', { path: '/socket.io/?EIO=4&transport=webtransport' }, 400, 0, 'Transport unknown'],
    ['a file nobody has', { path: '/socket.io/nothing.js' }, 400, 0, 'Transport unknown'],
    ['an unknown session', { path: `${POLL}&sid=AAAAAAAAAAAAAAAAAAAA` }, 400, 1, 'Session ID unknown'],
    ['an empty session', { path: `${POLL}&sid=` }, 400, 1, 'Session ID unknown'],
    ['POST without a session', { method: 'POST', path: POLL, body: '40' }, 400, 2, 'Bad handshake method'],
    ['PUT without a session', { method: 'PUT', path: POLL, body: '40' }, 400, 2, 'Bad handshake method'],
    ['websocket without an upgrade', { path: WS }, 400, 3, 'Bad request'],
    ['no version', { path: '/socket.io/?transport=polling' }, 400, 5, 'Unsupported protocol version'],
    ['version 3', { path: '/socket.io/?EIO=3&transport=polling' }, 400, 5, 'Unsupported protocol version'],
    ['transport before version', { path: '/socket.io/?EIO=3&transport=x' }, 400, 0, 'Transport unknown'],
    ['method before version', { method: 'POST', path: '/socket.io/?EIO=3&transport=polling', body: 'x' }, 400, 2, 'Bad handshake method'],
  ];
  for (const [name, options, status, code, message] of cases) {
    test(name, async () => error(await request(dev, options), status, code, message));
  }

  test('outside the path there is nothing', async () => {
    assert.equal((await request(dev, { path: '/socket.io?EIO=4&transport=polling' })).status, 404);
  });

  test('of a version that is not the session’s', async () => {
    const { sid } = await Polling.open(dev);
    error(await request(dev, { path: `/socket.io/?EIO=3&transport=polling&sid=${sid}` }), 400, 3, 'Bad request');
  });

  test('of a method that a session does not know', async () => {
    const p = await Polling.open(dev);
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      const res = await request(dev, { method, path: p.path });
      assert.deepEqual([res.status, res.text], [500, '']);
    }
    assert.match(await p.join(), /^40\{"sid"/);
  });

  for (const [name, path, message] of [
    ['an unknown session', `${WS}&sid=AAAAAAAAAAAAAAAAAAAA`, 'Session ID unknown'],
    ['version 3', '/socket.io/?EIO=3&transport=websocket', 'Unsupported protocol version'],
    ['polling', POLL, 'Bad request'],
    ['no transport', '/socket.io/?EIO=4', 'Transport unknown'],
  ]) {
    test(`an upgrade with ${name} is refused in plain text`, async () => {
      const conn = await rawConnect(dev);
      conn.write(formatRequest(dev, { path, headers: UPGRADE }));
      const res = await conn.readResponse();
      assert.deepEqual([res.status, res.text], [400, message]);
      assert.match(res.headers['content-type'], /^text\/html/i);
      assert.equal(res.headers.connection, 'close');
      await conn.waitClosed();
    });
  }
});

describe('polling', () => {
  test('packets queue until a poll comes, and go together', async () => {
    const p = await Polling.open(dev);
    await p.join();
    assert.equal((await p.post(`421["a",1]${RS}422["b"]`)).text, 'ok');
    assert.equal((await p.get()).text, `431["a",1]`.replace('"a",', '') + `${RS}432[]`);
  });

  test('a parked poll is answered when there is something', async () => {
    const p = await Polling.open(dev);
    await p.join();
    const poll = await p.park();
    const res = await p.post('427["q","x"]');
    assert.deepEqual([res.status, res.text, res.headers['content-type'], res.headers['cache-control']],
      [200, 'ok', 'text/html', 'no-store']);
    assert.equal((await poll.readResponse()).text, '437["x"]');
    poll.destroy();
  });

  test('a second poll ends the session: 400 for it, a close packet for the first', async () => {
    const p = await Polling.open(dev);
    const first = await p.park();
    const second = await p.get();
    assert.deepEqual([second.status, second.text], [400, '']);
    const res = await first.readResponse();
    assert.deepEqual([res.status, res.text], [200, '1']);
    error(await p.get(), 400, 1, 'Session ID unknown');
  });

  test('a second POST while one is coming ends the session and drops the first', async () => {
    const p = await Polling.open(dev);
    const first = await p.begin(formatRequest(dev, { method: 'POST', path: p.path, headers: { 'Content-Length': '20' }, body: '40' }));
    const second = await p.post('40');
    assert.deepEqual([second.status, second.text], [400, '']);
    await first.waitClosed();
    error(await p.get(), 400, 1, 'Session ID unknown');
  });

  test('a body over the limit is refused and the session stays', async () => {
    const p = await Polling.open(dev);
    const res = await p.post('4'.repeat(10001));
    assert.deepEqual([res.status, res.text], [413, '']);
    const chunked = await request(dev, { method: 'POST', path: p.path, headers: { 'Transfer-Encoding': 'chunked' },
      body: `2711\r\n${'4'.repeat(10001)}\r\n0\r\n\r\n` });
    assert.deepEqual([chunked.status, chunked.text], [413, '']);
    assert.match(await p.join(), /^40\{"sid"/);
  });

  test('a chunked body is as good as one with a length', async () => {
    const p = await Polling.open(dev);
    const res = await request(dev, { method: 'POST', path: p.path, headers: { 'Transfer-Encoding': 'chunked' },
      body: '1\r\n4\r\n1\r\n0\r\n0\r\n\r\n' });
    assert.equal(res.text, 'ok');
    assert.match((await p.get()).text, /^40\{"sid"/);
  });

  test('octet-stream is refused and ends the session', async () => {
    const p = await Polling.open(dev);
    const res = await p.post('40', { 'Content-Type': 'application/octet-stream' });
    assert.deepEqual([res.status, res.text], [400, '']);
    error(await p.get(), 400, 1, 'Session ID unknown');
  });

  for (const body of ['abc', '', `40${RS}`, '9', `${RS}40`]) {
    test(`a malformed payload ${JSON.stringify(body)} is answered and ends the session`, async () => {
      const p = await Polling.open(dev);
      const res = await p.post(body);
      assert.deepEqual([res.status, res.text], [200, 'ok']);
      error(await p.get(), 400, 1, 'Session ID unknown');
    });
  }

  test('a close packet ends the session, and a parked poll gets a noop', async () => {
    const p = await Polling.open(dev);
    const poll = await p.park();
    assert.equal((await p.post('1')).text, 'ok');
    assert.equal((await poll.readResponse()).text, '6');
    error(await p.get(), 400, 1, 'Session ID unknown');
    poll.destroy();
  });

  // The client sends both at once, by two connections; nobody knows which one comes first.
  test('a poll that comes just after the client’s close gets the noop, the next one nothing', async () => {
    const p = await Polling.open(dev);
    assert.equal((await p.post('1')).text, 'ok');
    error(await p.post('42["x"]'), 400, 1, 'Session ID unknown');
    assert.equal((await p.look()).status, 400);
    const res = await p.get();
    assert.deepEqual([res.status, res.text], [200, '6']);
    error(await p.get(), 400, 1, 'Session ID unknown');
  });

  test('base64 may have line breaks, as of the Java client', async () => {
    const p = await Polling.open(dev);
    await p.join();
    await p.post(`451-3["q",{"_placeholder":true,"num":0}]${RS}bAAcOFRw=\n`);
    assert.equal((await p.get()).text, `461-3[{"_placeholder":true,"num":0}]${RS}bAAcOFRw=`);
  });

  test('a client that hangs up on its poll has ended its session', async () => {
    const p = await Polling.open(dev);
    const poll = await p.park();
    poll.destroy();
    await p.ends();
    error(await p.get(), 400, 1, 'Session ID unknown');
  });

  test('what breaks Socket.IO is told in the next poll, after what was queued', async () => {
    const p = await Polling.open(dev);
    await p.join();
    assert.equal((await p.post('42{}')).text, 'ok');
    assert.equal((await p.get()).text, `6${RS}1`);
    error(await p.get(), 400, 1, 'Session ID unknown');
    const q = await Polling.open(dev);
    await q.join();
    const poll = await q.park();
    await q.post('47');
    assert.equal((await poll.readResponse()).text, '1');
  });

  test('bytes are base64, both ways', async () => {
    const p = await Polling.open(dev);
    await p.join();
    await p.post(`451-3["q",{"_placeholder":true,"num":0}]${RS}bAQID`);
    assert.equal((await p.get()).text, `461-3[{"_placeholder":true,"num":0}]${RS}bAQID`);
  });

  test('requests of one connection are answered in order', async () => {
    const p = await Polling.open(dev);
    const conn = await rawConnect(dev);
    const post = (body) => formatRequest(dev, { method: 'POST', path: p.path, body });
    const get = formatRequest(dev, { path: p.path });
    conn.write(Buffer.concat([post('40'), get, post('421["q"]'), get]));
    assert.equal((await conn.readResponse()).text, 'ok');
    assert.match((await conn.readResponse()).text, /^40\{/);
    assert.equal((await conn.readResponse()).text, 'ok');
    assert.equal((await conn.readResponse()).text, '431[]');
    conn.destroy();
  });
});

describe('WebSocket', () => {
  const open = async (server = dev) => {
    const ws = await rawWebSocket(server, WS);
    assert.equal((await ws.readText())[0], '0');
    return ws;
  };
  const join = async (server) => {
    const ws = await open(server);
    ws.text('40');
    assert.match(await ws.readText(), /^40\{"sid":"[\w-]{20}"\}$/);
    return ws;
  };

  for (const packet of ['1', '5', '6', '0', '3', '0{"x":1}']) {
    test(`${packet} from a client means nothing`, async () => {
      const ws = await join();
      ws.text(packet);
      ws.text('421["q"]');
      assert.equal(await ws.readText(), '431[]');
      ws.destroy();
    });
  }

  for (const packet of ['', '2', '9', 'x', '7', `40${RS}40`, '47', '4', '4abc', '42{}', '42[]', '42["a',
    '42abc["x"]', '42["disconnect"]', '42["connect_error",1]', '40[1]', '40"x"', '451["x"]', '450-["x"]',
    '4511-["x"]', '451-["x",{"_placeholder":true,"num":1}]', '42/other,["x"]', '43/other,1[]', '41/other,',
    '40', '44{"message":"x"}', '431{}', '42["a"]x', '42[{"a":1}]', '42[null]', `42[${'['.repeat(500)}${']'.repeat(500)}]`]) {
    test(`${JSON.stringify(packet.slice(0, 40))} closes with an empty close frame`, async () => {
      const ws = await join();
      ws.text(packet);
      if (packet.startsWith('451-')) ws.send(OP.BINARY, 'a');
      assert.equal(await ws.readClose(), null);
      await ws.conn.waitClosed();
    });
  }

  for (const packet of ['42', '42[1,2]', '435["x"]', '43["x"]']) {
    test(`${packet} is no error`, async () => {
      const ws = await join();
      ws.text(packet);
      ws.text('429["q"]');
      for (;;) if (await ws.readText() === '439[]') break;
      ws.destroy();
    });
  }

  test('bytes that nobody announced, and text while bytes are due, close', async () => {
    const ws = await join();
    ws.send(OP.BINARY, 'x');
    assert.equal(await ws.readClose(), null);
    const two = await join();
    two.text('451-["x",{"_placeholder":true,"num":0}]');
    two.text('42["y"]');
    assert.equal(await two.readClose(), null);
  });

  test('each attachment of a packet may be as large as a message', async () => {
    const two = '452-1["q",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]';
    const ws = await join();
    ws.text(two);
    for (const n of [10000, 10000]) ws.send(OP.BINARY, Buffer.alloc(n));
    assert.match(await ws.readText(), /^462-1/);
    for (const n of [10000, 10000]) assert.equal((await ws.read()).payload.length, n);
    ws.text(two);
    for (const n of [10000, 10001]) ws.send(OP.BINARY, Buffer.alloc(n));
    assert.equal(await ws.readClose(), 1009);
  });

  test('an attachment may come as base64 text', async () => {
    const ws = await join();
    ws.text('451-8["q",{"_placeholder":true,"num":0}]');
    ws.text('bAQID');
    assert.equal(await ws.readText(), '461-8[{"_placeholder":true,"num":0}]');
    const got = await ws.read();
    assert.deepEqual([got.opcode, [...got.payload]], [OP.BINARY, [1, 2, 3]]);
    ws.destroy();
  });

  test('a client with b64 gets text only', async () => {
    const ws = await rawWebSocket(dev, `${WS}&b64=1`);
    await ws.readText();
    ws.text('40');
    await ws.readText();
    ws.text('451-8["q",{"_placeholder":true,"num":0}]');
    ws.send(OP.BINARY, Buffer.from([1, 2, 3]));
    assert.equal(await ws.readText(), '461-8[{"_placeholder":true,"num":0}]');
    assert.equal(await ws.readText(), 'bAQID');
    ws.destroy();
  });

  test('the digits of an acknowledgement come back as they are', async () => {
    const ws = await join();
    ws.text('4299999999999999999999["q",1]');
    assert.equal(await ws.readText(), '4399999999999999999999[1]');
    ws.destroy();
  });

  test('a message over the limit closes with 1009, bad UTF-8 with 1007', async () => {
    const ws = await join();
    ws.text(`42["x","${'y'.repeat(10000)}"]`);
    assert.equal(await ws.readClose(), 1009);
    const two = await join();
    two.send(OP.TEXT, Buffer.from([0x34, 0x32, 0xff, 0xfe]));
    assert.equal(await two.readClose(), 1007);
  });

  test('namespaces: with comma and without, refused, left and joined again', async () => {
    const ws = await open();
    ws.text('40/a,{"token":1}');
    assert.match(await ws.readText(), /^40\/a,\{"sid":"[\w-]{20}"\}$/);
    ws.text('40/b');
    assert.match(await ws.readText(), /^40\/b,\{"sid":"[\w-]{20}"\}$/);
    ws.text('40/x#y,');
    assert.equal(await ws.readText(), '44/x#y,{"message":"Invalid namespace"}');
    ws.text('41/a,');
    ws.text('40/a,');
    assert.match(await ws.readText(), /^40\/a,\{/);
    ws.text('42/a,1["q"]');
    assert.equal(await ws.readText(), '43/a,1[]');
    ws.destroy();
  });

  test('the first subprotocol is echoed, version 8 is fine, other versions are not', async () => {
    const ws = await rawWebSocket(dev, WS, { 'Sec-WebSocket-Protocol': 'one, two', 'Sec-WebSocket-Version': '8' });
    assert.equal(ws.head.headers['sec-websocket-protocol'], 'one');
    assert.equal(ws.head.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    ws.destroy();
    const res = await request(dev, { path: WS, headers: { ...UPGRADE, 'Sec-WebSocket-Version': '7' } });
    assert.equal(res.status, 400);
  });

  test('pages of other origins only as socketio.cors says', peal('the original lets any page in'), async () => {
    (await rawWebSocket(dev, WS, { Origin: 'http://a.example' })).destroy();
    await assert.rejects(rawWebSocket(dev, WS, { Origin: 'http://evil.example' }), /400/);
  });
});

describe('the way from polling to WebSocket', () => {
  const upgrade = (p) => rawWebSocket(dev, `${WS}&sid=${p.sid}`);

  test('a parked poll and those that follow are released, then the WebSocket takes over', async () => {
    const p = await Polling.open(dev);
    await p.join();
    const poll = await p.park();
    const ws = await upgrade(p);
    ws.text('2probe');
    assert.equal(await ws.readText(), '3probe');
    assert.equal((await poll.readResponse()).text, '6');
    assert.equal((await p.get()).text, '6');
    assert.equal((await p.get()).text, '6');
    await p.post('421["late"]');
    ws.text('5');
    assert.equal(await ws.readText(), '431[]');
    error(await p.get(), 400, 3, 'Bad request');
    error(await p.post('42["x"]'), 400, 3, 'Bad request');
    ws.text('422["q",7]');
    assert.equal(await ws.readText(), '432[7]');
    ws.destroy();
  });

  test('bytes that were queued for a poll are frames after it', async () => {
    const p = await Polling.open(dev);
    await p.join();
    const ws = await upgrade(p);
    ws.text('2probe');
    await ws.readText();
    await p.post(`451-8["q",{"_placeholder":true,"num":0}]${RS}bAQID`);
    ws.text('5');
    assert.equal(await ws.readText(), '461-8[{"_placeholder":true,"num":0}]');
    const got = await ws.read();
    assert.deepEqual([got.opcode, [...got.payload]], [OP.BINARY, [1, 2, 3]]);
    ws.destroy();
  });

  test('packets are answered over polling as long as it is the transport', async () => {
    const p = await Polling.open(dev);
    await p.join();
    const ws = await upgrade(p);
    ws.text('2probe');
    await ws.readText();
    await p.post('424["q"]');
    assert.equal((await p.get()).text, '434[]');
    ws.destroy();
  });

  test('anything else than a probe closes that WebSocket, and polling goes on', async () => {
    const p = await Polling.open(dev);
    for (const first of ['40', '2', '3probe', '']) {
      const ws = await upgrade(p);
      ws.text(first);
      assert.equal(await ws.readClose(), null);
    }
    assert.match(await p.join(), /^40\{/);
  });

  test('a second WebSocket is closed, the first goes on', async () => {
    const p = await Polling.open(dev);
    const one = await upgrade(p);
    one.text('2probe');
    await one.readText();
    const two = await upgrade(p);
    assert.equal(await two.readClose(), null);
    one.text('5');
    one.text('40');
    assert.match(await one.readText(), /^40\{/);
    const three = await upgrade(p);
    assert.equal(await three.readClose(), null);
    one.text('421["q"]');
    assert.equal(await one.readText(), '431[]');
    one.destroy();
  });

  test('without an end it is given up, and polling goes on', async () => {
    const p = await Polling.open(dev);
    const ws = await upgrade(p);
    ws.text('2probe');
    assert.equal(await ws.readText(), '3probe');
    assert.equal(await ws.readClose(), null);
    assert.match(await p.join(), /^40\{/);
  });

  test('a session that ends takes its probe with it', async () => {
    const p = await Polling.open(dev);
    const ws = await upgrade(p);
    ws.text('2probe');
    await ws.readText();
    await p.post('1');
    assert.equal(await ws.readClose(), null);
  });
});

describe('CORS', () => {
  test('for the origin that is allowed, errors included', async () => {
    const headers = { Origin: 'http://a.example' };
    for (const path of [POLL, '/socket.io/?EIO=4']) {
      const res = await request(dev, { path, headers });
      assert.equal(res.headers['access-control-allow-origin'], 'http://a.example');
      assert.match(res.headers.vary, /Origin/);
    }
    const none = await request(dev, { path: POLL, headers: { Origin: 'http://evil.example' } });
    assert.equal(none.headers['access-control-allow-origin'], undefined);
  });

  test('preflights are answered', async () => {
    const res = await request(dev, { method: 'OPTIONS', path: POLL, headers: { Origin: 'http://a.example',
      'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-token' } });
    assert.equal(res.status, 204);
    assert.equal(res.headers['access-control-allow-headers'], 'x-token');
    assert.match(res.headers['access-control-allow-methods'], /POST/);
  });
});

describe('heartbeats', () => {
  const fast = useServer({ before, after }, {
    set: { 'socketio.ping_interval': '200ms', 'socketio.ping_timeout': '300ms',
      'socketio.connect_timeout': '1s', 'socketio.cookie': 'io', 'socketio.cors': '*' },
  });

  test('a client that answers lives, one that does not is closed', async () => {
    const ws = await rawWebSocket(fast, WS);
    await ws.readText();
    ws.text('40');
    await ws.readText();
    for (let i = 0; i < 4; i++) {
      assert.equal(await ws.readText(), '2');
      ws.text('3');
    }
    assert.equal(await ws.readText(), '2');
    assert.equal(await ws.readClose(), null);
  });

  test('a client whose attachment does not come is closed, though it answers pings', async () => {
    const ws = await rawWebSocket(fast, WS);
    await ws.readText();
    ws.text('40');
    await ws.readText();
    ws.text('451-["x",{"_placeholder":true,"num":0}]');
    for (;;) {
      const got = await ws.read();
      if (got.opcode === OP.CLOSE) break;
      ws.text('3');
    }
  });

  test('over polling the ping waits for a poll, and the session ends without a pong', async () => {
    const p = await Polling.open(fast);
    await p.join();
    assert.equal((await p.get()).text, '2');
    await p.post('3');
    assert.equal((await p.get()).text, '2');
    assert.equal((await p.get()).text, '1');
    error(await p.get(), 400, 1, 'Session ID unknown');
  });

  test('a client that joins nothing is closed', async () => {
    const ws = await rawWebSocket(fast, WS);
    await ws.readText();
    for (;;) {
      const got = await ws.read();
      if (got.opcode === OP.CLOSE) break;
      assert.equal(got.payload.toString(), '2');
      ws.text('3');
    }
  });

  test('the cookie comes with the first answer over polling, and only there', async () => {
    const { res, sid, path } = await Polling.open(fast);
    assert.equal(res.headers['set-cookie'], `io=${sid}; Path=/; HttpOnly; SameSite=Lax`);
    assert.equal((await request(fast, { path })).headers['set-cookie'], undefined);
    const ws = await rawWebSocket(fast, WS);
    assert.equal(ws.head.headers['set-cookie'], undefined);
    ws.destroy();
  });

  test('any origin with *', async () => {
    const res = await request(fast, { path: POLL, headers: { Origin: 'http://b.example' } });
    assert.equal(res.headers['access-control-allow-origin'], '*');
  });
});

// SPDX-License-Identifier: MIT
//
// Channels over plain WebSocket and Server-Sent Events, with the ws and eventsource packages.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import WebSocket from 'ws';

import { EventSource } from './lib/event-source.mjs';
import { OP, rawWebSocket } from './lib/frames.mjs';
import { UPGRADE, formatRequest, rawConnect, request } from './lib/http.mjs';
import { startPeal as start } from './lib/peal.mjs';
import { useServer } from './lib/server.mjs';
import { Inbox, next, until, within } from './lib/wait.mjs';

const dev = useServer({ before, after }, {}, start);
let serial = 0;
const fresh = (name = 'c') => `${name}-${process.pid}-${++serial}`;

async function open(t, server, path, options = {}) {
  const ws = new WebSocket(`ws://${server.host}:${server.port}${path}`, options);
  ws.inbox = new Inbox('WebSocket message');
  ws.on('message', (data, binary) => ws.inbox.push(binary ? data : data.toString('utf8')));
  ws.gone = new Promise((resolve) => ws.on('close', (code, why) => resolve([code, why.toString()])));
  ws.on('error', () => {});
  t.after(() => ws.terminate());
  await next(ws, 'open');
  return ws;
}

const refusal = (server, path, headers = {}) =>
  within(new Promise((resolve, reject) => {
    const ws = new WebSocket(`ws://${server.host}:${server.port}${path}`, { headers });
    ws.on('unexpected-response', (req, res) => { resolve(res); req.destroy(); });
    ws.on('open', () => { reject(new Error('it opened')); ws.terminate(); });
    ws.on('error', () => {});
  }), 'a refusal');

async function stream(t, server, path, events = []) {
  const es = new EventSource(`${server.url}${path}`);
  es.inbox = new Inbox('event');
  for (const name of ['message', ...events]) {
    es.addEventListener(name, (ev) => es.inbox.push([name, ev.data]));
  }
  t.after(() => es.close());
  await within(new Promise((resolve, reject) => {
    es.onopen = resolve;
    es.onerror = (err) => err.code && reject(new Error(`${err.code} ${err.message}`));
  }), 'the stream to open');
  return es;
}

const publish = async (server, body) => {
  const res = await request(server, {
    method: 'POST', path: '/api/publish', headers: { 'Content-Type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  assert.equal(res.status, 200, res.text);
};

async function metric(server, line) {
  const { text } = await request(server, { path: '/metrics' });
  const found = text.split('\n').find((l) => l.startsWith(`${line} `));
  return found ? Number(found.slice(line.length + 1)) : undefined;
}

describe('one channel over a WebSocket', () => {
  test('everybody on the channel hears a text, its publisher too, nobody else', async (t) => {
    const name = fresh();
    const [a, b, other] = [await open(t, dev, `/ws/${name}`), await open(t, dev, `/ws/${name}`),
      await open(t, dev, `/ws/${name}x`)];
    a.send('hello');
    assert.equal(await a.inbox.shift(), 'hello');
    assert.equal(await b.inbox.shift(), 'hello');
    other.send('mine');
    assert.equal(await other.inbox.shift(), 'mine');
    assert.deepEqual(b.inbox.pending, []);
  });

  test('texts, JSON or not, pass byte for byte', async (t) => {
    const ws = await open(t, dev, `/ws/${fresh()}`);
    const texts = ['', ' ', '{"a":1e3, "b":[1.0,"\\u00e9é"]}', ' [1 ,2]\n', '{', '{"a":1}x',
      '"quoted"', '12', 'null', 'é✓😀', 'a\u0000b', '[', `${'['.repeat(500)}${']'.repeat(500)}`,
      'x'.repeat(200_000)];
    for (const text of texts) ws.send(text);
    assert.deepEqual(await ws.inbox.take(texts.length), texts);
  });

  test('bytes stay bytes', async (t) => {
    const ws = await open(t, dev, `/ws/${fresh()}`);
    for (const n of [0, 1, 125, 126, 65535, 65536, 300_000]) {
      const sent = Buffer.from(Array.from({ length: n }, (_, i) => (i * 7 + n) & 255));
      ws.send(sent);
      const got = await ws.inbox.shift();
      assert.ok(Buffer.isBuffer(got) && got.equals(sent), `${n} bytes`);
    }
  });

  test('an order of two thousand is kept', async (t) => {
    const name = fresh();
    const [a, b] = [await open(t, dev, `/ws/${name}`), await open(t, dev, `/ws/${name}`)];
    for (let i = 0; i < 2000; i++) a.send(`${i}`);
    assert.deepEqual(await b.inbox.take(2000), Array.from({ length: 2000 }, (_, i) => `${i}`));
  });

  test('the name is percent-decoded and may have slashes, spaces and any letter', async (t) => {
    const name = fresh('Ünï cö/de+%');
    const a = await open(t, dev, `/ws/${encodeURIComponent(name)}`);
    const b = await open(t, dev, `/ws/${name.split('').map((c) => encodeURIComponent(c)).join('')}`);
    const c = await open(t, dev, `/ws/${encodeURIComponent(name).replace('%2F', '/')}`);
    a.send('x');
    for (const ws of [a, b, c]) assert.equal(await ws.inbox.shift(), 'x');
    await publish(dev, { channel: name, data: 'from the API' });
    assert.equal(await b.inbox.shift(), 'from the API');
  });

  test('what the API publishes comes in its plain form', async (t) => {
    const name = fresh();
    const ws = await open(t, dev, `/ws/${name}`);
    await publish(dev, `{"channel":"${name}","event":"created","data":{"id":7, "x":1.0}}`);
    assert.equal(await ws.inbox.shift(), '{"id":7, "x":1.0}');
    await publish(dev, { channel: name, data: 'hi "there"' });
    assert.equal(await ws.inbox.shift(), 'hi "there"');
    await publish(dev, { channel: name, data: null });
    assert.equal(await ws.inbox.shift(), 'null');
  });

  test('permessage-deflate is agreed on, and small and large messages pass', async (t) => {
    const name = fresh();
    const a = await open(t, dev, `/ws/${name}`);
    const b = await open(t, dev, `/ws/${name}`, { perMessageDeflate: false });
    const c = await open(t, dev, `/ws/${name}`, { perMessageDeflate: { serverMaxWindowBits: 10 } });
    assert.match(a.extensions, /permessage-deflate/);
    assert.equal(b.extensions, '');
    for (const text of ['small', 'large '.repeat(5000)]) {
      a.send(text);
      for (const ws of [a, b, c]) assert.equal(await ws.inbox.shift(), text);
    }
  });

  test('large messages are compressed on the wire, small ones are not', async (t) => {
    const name = fresh();
    const raw = await rawWebSocket(dev, `/ws/${name}`, { 'Sec-WebSocket-Extensions': 'permessage-deflate' });
    t.after(() => raw.destroy());
    raw.text('a'.repeat(1023));
    assert.equal((await raw.read()).rsv, 0);
    raw.text('a'.repeat(1024));
    const got = await raw.read();
    assert.equal(got.rsv, 4);
    assert.ok(got.payload.length < 100);
  });

  test('a text that is not UTF-8 closes with 1007', async (t) => {
    const raw = await rawWebSocket(dev, `/ws/${fresh()}`);
    raw.send(OP.TEXT, Buffer.from([0xc0, 0x80]));
    assert.equal(await raw.readClose(), 1007);
  });

  test('a message over the limit closes with 1009', async (t) => {
    const ws = await open(t, dev, `/ws/${fresh()}`);
    ws.send('x'.repeat(1024 * 1024 + 1));
    assert.equal((await within(ws.gone, 'the close'))[0], 1009);
  });

  test('a ping is answered with its payload, a close with its code', async (t) => {
    const raw = await rawWebSocket(dev, `/ws/${fresh()}`);
    raw.send(OP.PING, 'abc');
    const pong = await raw.read();
    assert.equal(pong.opcode, OP.PONG);
    assert.equal(pong.payload.toString(), 'abc');
    raw.send(OP.CLOSE, Buffer.from([0x0f, 0xa0]));
    assert.equal(await raw.readClose(), 4000);
    await raw.conn.waitClosed();
  });

  test('frames sent together with the handshake are read', async (t) => {
    const conn = await rawConnect(dev);
    t.after(() => conn.destroy());
    const head = formatRequest(dev, { path: `/ws/${fresh()}`, headers: {
      Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' } });
    conn.write(Buffer.concat([head, Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])]));
    const res = await conn.readHead();
    assert.equal(res.status, 101);
    assert.equal(res.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    assert.deepEqual([...await conn.readBytes(4)], [0x81, 2, 0x68, 0x69]);
  });
});

describe('several channels over a WebSocket', () => {
  test('messages come in envelopes that name channel and event', async (t) => {
    const [x, y] = [fresh('x'), fresh('y')];
    const ws = await open(t, dev, `/ws?channel=${x}&channel=${y}`);
    await publish(dev, { channel: x, event: 'created', data: { id: 7 } });
    await publish(dev, { channel: y, data: 'hi' });
    assert.equal(await ws.inbox.shift(), `{"channel":"${x}","event":"created","data":{"id":7}}`);
    assert.equal(await ws.inbox.shift(), `{"channel":"${y}","data":"hi"}`);
  });

  test('what is sent says where it goes, and arrives bare elsewhere', async (t) => {
    const [x, y, z] = [fresh('x'), fresh('y'), fresh('z')];
    const many = await open(t, dev, `/ws?channel=${x}&channel=${y}`);
    const [atY, atZ] = [await open(t, dev, `/ws/${y}`), await open(t, dev, `/ws/${z}`)];
    many.send(JSON.stringify({ channel: y, data: { n: 1 } }));
    assert.equal(await atY.inbox.shift(), '{"n":1}');
    assert.deepEqual(JSON.parse(await many.inbox.shift()), { channel: y, data: { n: 1 } });
    many.send(JSON.stringify({ channel: z, event: 'e', data: 'text' }));
    assert.equal(await atZ.inbox.shift(), 'text');
    many.send(' { "data" : [1 , 2] , "channel":"\\u0078' + x.slice(1) + '" } ');
    assert.equal(await many.inbox.shift(), `{"channel":"${x}","data":[1 , 2]}`);
  });

  test('bytes go and come in base64, and bare elsewhere', async (t) => {
    const [x, y] = [fresh('x'), fresh('y')];
    const many = await open(t, dev, `/ws?channel=${x}&channel=${y}`);
    const one = await rawWebSocket(dev, `/ws/${x}`);
    many.send(JSON.stringify({ channel: x, encoding: 'base64', data: 'AQL6' }));
    assert.equal(await many.inbox.shift(), `{"channel":"${x}","encoding":"base64","data":"AQL6"}`);
    const got = await one.read();
    assert.deepEqual([got.opcode, [...got.payload]], [2, [1, 2, 250]]);
    one.destroy();
  });

  test('a message on both channels comes once', async (t) => {
    const [x, y] = [fresh('x'), fresh('y')];
    const ws = await open(t, dev, `/ws?channel=${x}&channel=${y}`);
    await publish(dev, { channels: [y, x], data: 1 });
    await publish(dev, { channel: x, data: 2 });
    const got = [JSON.parse(await ws.inbox.shift()), JSON.parse(await ws.inbox.shift())];
    assert.deepEqual(got.map((m) => m.data), [1, 2]);
  });

  test('the same channel twice is one channel', async (t) => {
    const x = fresh('x');
    const ws = await open(t, dev, `/ws/${x}?channel=${x}`);
    await publish(dev, { channel: x, data: 1 });
    await publish(dev, { channel: x, data: 2 });
    assert.deepEqual(await ws.inbox.take(2), [`{"channel":"${x}","data":1}`, `{"channel":"${x}","data":2}`]);
  });

  test('?channel= with one channel speaks in envelopes too, both ways', async (t) => {
    const x = fresh('x');
    const ws = await open(t, dev, `/ws?channel=${x}`);
    const bare = await open(t, dev, `/ws/${x}`);
    ws.send(JSON.stringify({ channel: x, data: [1] }));
    assert.equal(await bare.inbox.shift(), '[1]');
    assert.equal(await ws.inbox.shift(), `{"channel":"${x}","data":[1]}`);
    ws.send('bare');
    assert.equal((await within(ws.gone, 'the close'))[0], 1007);
  });

  const bad = {
    'not JSON': 'x',
    'an array': '[]',
    'no channel': '{"data":1}',
    'no data': '{"channel":"a"}',
    'a number as channel': '{"channel":1,"data":1}',
    'an empty channel': '{"channel":"","data":1}',
    'a control character': '{"channel":"a\\u0000","data":1}',
    'a strange field': '{"channel":"a","data":1,"x":2}',
    bytes: Buffer.from('{"channel":"a","data":1}'),
  };
  for (const [name, text] of Object.entries(bad)) test(`${name}: 1007 and a reason`, async (t) => {
    const ws = await open(t, dev, `/ws?channel=${fresh()}&channel=${fresh()}`);
    ws.send(text);
    const [code, why] = await within(ws.gone, 'the close');
    assert.equal(code, 1007);
    assert.match(why, /expected \{"channel"/);
  });
});

describe('requests that are refused', () => {
  const cases = [
    ['no channel', '/ws', 400], ['no channel', '/ws/', 400], ['an empty one', '/ws?channel=', 400],
    ['a bad escape', '/ws/%zz', 400], ['a control character', '/ws/a%0ab', 400],
    ['no UTF-8', '/ws/%ff', 400], ['a long name', `/ws/${'a'.repeat(1025)}`, 400],
    ['too many', `/ws?${Array.from({ length: 101 }, (_, i) => `channel=a${i}`).join('&')}`, 400],
  ];
  for (const [what, path, status] of cases) {
    test(`${what}: ${path.slice(0, 30)} is ${status}`, async () => {
      assert.equal((await refusal(dev, path)).statusCode, status);
      assert.equal((await request(dev, { path: path.replace('/ws', '/sse') })).status, status);
    });
  }

  test('without an upgrade it is 426 that says what to do', async () => {
    const res = await request(dev, { path: '/ws/a' });
    assert.equal(res.status, 426);
    assert.equal(res.headers.upgrade, 'websocket');
  });

  test('a foreign Origin is 403, the own one is welcome', async (t) => {
    const server = await start({ set: { 'ws.origins': 'https://*.example.com' } });
    t.after(() => server.stop());
    assert.equal((await refusal(server, '/ws/a', { Origin: 'https://evil.com' })).statusCode, 403);
    await open(t, server, '/ws/a', { headers: { Origin: 'https://www.example.com' } });
    await open(t, server, '/ws/a');
    assert.equal(await metric(server, 'peal_denied_total'), 1);
  });
});

describe('without rules', () => {
  const closed = useServer({ before, after }, {
    dev: false, set: { 'drain.delay': '0s', 'drain.window': '0s' },
  }, start);

  test('nothing may be subscribed to', async () => {
    assert.equal((await refusal(closed, '/ws/a')).statusCode, 403);
    assert.equal((await request(closed, { path: '/sse/a' })).status, 403);
    assert.equal(await metric(closed, 'peal_denied_total'), 2);
  });
});

describe('a refused upgrade', () => {
  // A proxy that takes any answer for the beginning of a tunnel must not reach more than /ws.
  const cases = [['/ws/', {}, 400], ['/ws/a', { 'Sec-WebSocket-Version': '7' }, 426],
    ['/ws/a', { 'Sec-WebSocket-Key': 'short' }, 400], ['/nothing', {}, 404], ['/api/publish', {}, 405],
    ['/livez', {}, 200], ['/socket.io/?EIO=3&transport=websocket', {}, 400]];
  for (const [path, more, status] of cases) test(`of ${path} ${Object.keys(more)} closes the connection`, async () => {
    const conn = await rawConnect(dev);
    conn.write(Buffer.concat([formatRequest(dev, { path, headers: { ...UPGRADE, ...more } }), formatRequest(dev, { path: '/metrics' })]));
    const res = await conn.readResponse();
    assert.equal(res.status, status);
    assert.equal(res.headers.connection, 'close');
    await conn.waitClosed();
    assert.equal(conn.buffer.length, 0);
  });
});

describe('Server-Sent Events', () => {
  test('events come with their names and data', async (t) => {
    const name = fresh();
    const es = await stream(t, dev, `/sse/${name}`, ['created', 'binary']);
    const ws = await open(t, dev, `/ws/${name}`);
    await publish(dev, { channel: name, event: 'created', data: { id: 7 } });
    await publish(dev, { channel: name, data: 'two\nlines\r\nand\rthree' });
    ws.send(Buffer.from([1, 2, 3]));
    ws.send('{"a":\n1}');
    assert.deepEqual(await es.inbox.take(4), [['created', '{"id":7}'], ['message', 'two\nlines\nand\nthree'],
      ['binary', 'AQID'], ['message', '{"a":\n1}']]);
  });

  test('several channels are one stream', async (t) => {
    const [x, y] = [fresh('x'), fresh('y')];
    const es = await stream(t, dev, `/sse?channel=${x}&channel=${y}`);
    await publish(dev, { channel: x, data: 1 });
    await publish(dev, { channel: y, data: 2 });
    await publish(dev, { channels: [x, y], data: 3 });
    await publish(dev, { channel: y, data: 4 });
    assert.deepEqual((await es.inbox.take(4)).map((e) => e[1]), ['1', '2', '3', '4']);
  });

  test('the head is as proxies and browsers want it, retry comes first', async (t) => {
    const conn = await rawConnect(dev);
    t.after(() => conn.destroy());
    conn.write(formatRequest(dev, { path: `/sse/${fresh()}`, headers: { 'Last-Event-ID': '7' } }));
    const head = await conn.readHead();
    assert.equal(head.status, 200);
    assert.equal(head.headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(head.headers['cache-control'], 'no-cache, no-transform');
    assert.equal(head.headers['x-accel-buffering'], 'no');
    assert.equal(head.headers['transfer-encoding'], 'chunked');
    assert.equal((await conn.readChunk()).toString(), 'retry: 2000\n\n');
  });

  test('HTTP/1.1 gets each event as a chunk, and the last one at its end', async () => {
    const server = await start({ set: { 'sse.ping_interval': '100ms', 'drain.delay': '0s', 'drain.window': '0s' } });
    const conn = await rawConnect(server);
    conn.write(formatRequest(server, { path: '/sse/a?node' }));
    await conn.readHead();
    assert.equal((await conn.readChunk()).toString(), 'retry: 2000\n\n');
    assert.match((await conn.readChunk()).toString(), /^event: node\ndata: {"node":".*"}\n\n$/);
    assert.equal((await conn.readChunk()).toString(), ':\n\n');
    await publish(server, { channel: 'a', event: 'e', data: 'x' });
    let chunk;
    while ((chunk = (await conn.readChunk()).toString()) === ':\n\n');
    assert.equal(chunk, 'event: e\ndata: x\n\n');
    server.signal('SIGTERM');
    while ((chunk = (await conn.readChunk()).toString()) === ':\n\n');
    assert.match(chunk, /^retry: \d+\n\n$/);
    assert.equal((await conn.readChunk()).length, 0);
    assert.equal(await conn.waitClosed(), 'end');
    await server.stop();
  });

  test('HTTP/1.0 gets events as they are', async (t) => {
    const conn = await rawConnect(dev);
    t.after(() => conn.destroy());
    const name = fresh();
    conn.write(`GET /sse/${name} HTTP/1.0\r\n\r\n`);
    const head = await conn.readHead();
    assert.equal(head.headers['transfer-encoding'], undefined);
    assert.equal((await conn.readUntil('\n\n')).toString(), 'retry: 2000\n\n');
    await publish(dev, { channel: name, data: 'x' });
    assert.equal((await conn.readUntil('\n\n')).toString(), 'data: x\n\n');
  });

  test('other methods are 405', async () => {
    for (const method of ['HEAD', 'POST', 'DELETE']) {
      const res = await request(dev, { method, path: '/sse/a' });
      assert.equal(res.status, 405);
      assert.equal(res.headers.allow, 'GET');
    }
  });

  test('CORS is as configured', async (t) => {
    const server = await start({ set: { 'http.cors': 'https://a.example' } });
    t.after(() => server.stop());
    const origins = [['https://a.example', 'https://a.example'], ['https://b.example', undefined]];
    for (const [origin, allowed] of origins) {
      const conn = await rawConnect(server);
      conn.write(formatRequest(server, { path: '/sse/a', headers: { Origin: origin } }));
      assert.equal((await conn.readHead()).headers['access-control-allow-origin'], allowed);
      conn.destroy();
    }
  });

  test('a client that talks on is cut off', async (t) => {
    const conn = await rawConnect(dev);
    conn.write(formatRequest(dev, { path: `/sse/${fresh()}` }));
    await conn.readUntil('retry');
    conn.write('x'.repeat(10_000));
    await conn.waitClosed();
  });

  test('silence is broken by comments', async (t) => {
    const server = await start({ set: { 'sse.ping_interval': '100ms' } });
    t.after(() => server.stop());
    const conn = await rawConnect(server);
    t.after(() => conn.destroy());
    conn.write(formatRequest(server, { path: '/sse/a' }));
    await conn.readHead();
    assert.equal((await conn.readChunk()).toString(), 'retry: 2000\n\n');
    for (let i = 0; i < 2; i++) assert.equal((await conn.readChunk()).toString(), ':\n\n');
  });
});

describe('life', () => {
  const quick = useServer({ before, after }, {
    set: { 'ws.ping_interval': '100ms', 'ws.ping_timeout': '200ms' },
  }, start);

  test('a client that answers no ping is dropped and counted', async () => {
    const raw = await rawWebSocket(quick, '/ws/a');
    assert.equal((await raw.read()).opcode, OP.PING);
    await raw.conn.waitClosed();
    assert.equal(await metric(quick, 'peal_ping_timeouts_total'), 1);
  });

  test('one that answers stays', async (t) => {
    const ws = await open(t, quick, '/ws/b');
    for (let i = 0; i < 5; i++) await next(ws, 'ping');
    ws.send('still here');
    assert.equal(await ws.inbox.shift(), 'still here');
  });

  test('the next ping does not wait for the end of ping_timeout', async (t) => {
    const server = await start({ set: { 'ws.ping_interval': '100ms', 'ws.ping_timeout': '1h' } });
    t.after(() => server.stop());
    const ws = await open(t, server, '/ws/b');
    for (let i = 0; i < 3; i++) await next(ws, 'ping');
  });

  test('sessions are counted, and gone when their clients are', async (t) => {
    const server = await start();
    t.after(() => server.stop());
    const ws = await open(t, server, '/ws/a');
    const es = await stream(t, server, '/sse?channel=a&channel=b');
    assert.equal(await metric(server, 'peal_sessions{protocol="ws"}'), 1);
    assert.equal(await metric(server, 'peal_sessions{protocol="sse"}'), 1);
    assert.equal(await metric(server, 'peal_subscriptions'), 3);
    ws.send('x');
    await es.inbox.shift();
    assert.equal(await metric(server, 'peal_messages_received_total'), 1);
    assert.equal(await metric(server, 'peal_messages_delivered_total'), 2);
    ws.close();
    es.close();
    await until(async () => await metric(server, 'peal_subscriptions') === 0, 'the sessions to end');
    assert.equal(await metric(server, 'peal_sessions{protocol="ws"}'), 0);
    assert.equal(await metric(server, 'peal_sessions{protocol="sse"}'), 0);
  });

  test('a drain closes WebSockets with 1012 and ends streams, and the server ends', async (t) => {
    const server = await start({ set: { 'drain.window': '300ms' } });
    const sockets = [];
    for (let i = 0; i < 20; i++) sockets.push(await open(t, server, '/ws/a'));
    const conn = await rawConnect(server);
    conn.write(formatRequest(server, { path: '/sse/a' }));
    await conn.readUntil('retry');
    server.signal('SIGTERM');
    for (const ws of sockets) {
      const how = await within(ws.gone, 'the close');
      assert.deepEqual(how, [1012, 'please reconnect']);
    }
    assert.equal(await conn.waitClosed(), 'end');
    assert.equal((await within(server.exited, 'the end')).status, 0);
    await server.stop();
  });
});

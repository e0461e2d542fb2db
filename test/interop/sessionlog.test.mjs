// SPDX-License-Identifier: MIT
//
// What an operator learns from the log: why a client was refused, and why a session was closed;
// however many clients there are, a few lines.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Polling, RS } from './lib/engine.mjs';
import { OP, rawWebSocket } from './lib/frames.mjs';
import { UPGRADE, formatRequest, rawConnect, request } from './lib/http.mjs';
import { startPeal } from './lib/peal.mjs';

const POLL = '/socket.io/?EIO=4&transport=polling';
const WS = '/socket.io/?EIO=4&transport=websocket';

async function start(t, set = {}) {
  const server = await startPeal({ set: { workers: 1, ...set } });
  t.after(() => server.stop());
  return server;
}

async function metric(server, line) {
  const { text } = await request(server, { path: '/metrics' });
  const found = text.split('\n').find((l) => l.startsWith(`${line} `));
  return found ? Number(found.slice(line.length + 1)) : undefined;
}

const lines = (server, pattern) => server.stderr.split('\n').filter((line) => pattern.test(line));

describe('refused clients', () => {
  test('many of a foreign Origin are a few lines', async (t) => {
    const server = await start(t, { 'socketio.cors': 'http://a.example' });
    for (let i = 0; i < 30; i++) {
      await assert.rejects(rawWebSocket(server, WS, { Origin: 'http://evil.example' }), /400/);
    }
    assert.equal(await metric(server, 'peal_denied_total'), 30);
    const said = lines(server, /client refused/);
    assert.equal(said.length, 5);
    assert.match(said[0], /protocol=socketio transport=websocket client=127\.0\.0\.1 why="its Origin is not in socketio\.cors"/);
  });

  test('Socket.IO 2 is counted, and named once in a while', async (t) => {
    const server = await start(t);
    const path = '/socket.io/?EIO=3&transport=polling';
    for (let i = 0; i < 20; i++) assert.equal((await request(server, { path })).status, 400);
    await assert.rejects(rawWebSocket(server, path.replace('polling', 'websocket')), /400/);
    assert.equal(await metric(server, 'peal_engineio3_refused_total'), 21);
    const said = lines(server, /client of Socket\.IO 2 refused/);
    assert.equal(said.length, 5);
    assert.match(said[0], /client=127\.0\.0\.1 hint="update it/);
    assert.equal(lines(server, /client refused/).length, 0);
  });

  const cases = [
    ['/ws/', /protocol=ws transport=ws .* why="name a channel/],
    ['/sse', /protocol=sse transport=sse .* why="name a channel/],
    ['/socket.io/?EIO=4', /protocol=socketio .* why="Transport unknown"/],
    ['/ws/a', /protocol=ws .* why="Sec-WebSocket-Key is missing or malformed"/, { 'Sec-WebSocket-Key': 'x' }],
  ];
  for (const [path, pattern, more] of cases) test(`${path}: the line says why`, async (t) => {
    const server = await start(t);
    const conn = await rawConnect(server);
    const headers = path.startsWith('/ws') ? { ...UPGRADE, ...more } : {};
    conn.write(formatRequest(server, { path, headers }));
    assert.equal((await conn.readHead()).status, 400);
    conn.destroy();
    await server.log(pattern);
  });
});

describe('closed sessions', () => {
  const polling = /session closed protocol=socketio transport=polling id=[\w-]{20} /.source;
  const websocket = /session closed protocol=socketio transport=websocket id=[\w-]{20} /.source;
  const post = (body) => async (server) => {
    const p = await Polling.open(server);
    await p.post(body);
  };
  const sends = (...packets) => async (server) => {
    const ws = await rawWebSocket(server, WS);
    await ws.readText();
    for (const packet of packets) ws.text(packet);
    while ((await ws.read()).opcode !== OP.CLOSE);
  };
  const cases = {
    'a malformed packet': [post('abc'), `${polling}why="the client broke the protocol: malformed packet"`],
    'malformed base64': [post(`40${RS}b!`), `${polling}why="the client broke the protocol: malformed base64"`],
    'a ping of a client': [sends('2'), `${websocket}why="the client broke the protocol: a ping`],
    'a packet of nobody': [sends('40', '47'), `${websocket}why="the client broke the protocol: not a Socket.IO packet`],
    'no namespace': [sends(), `${websocket}why="no namespace joined in time"`, { 'socketio.connect_timeout': '1s' }],
    'an overdue pong': [sends('40'), `${websocket}why="no pong in time"`,
      { 'socketio.ping_interval': '100ms', 'socketio.ping_timeout': '100ms' }],
    'the end of a WebSocket': [async (server) => (await rawWebSocket(server, WS)).destroy(), `${websocket}why="the connection was lost"`],
    'a close of the client': [post('1'), `${polling}why="the client closed it"`],
    'a broken frame on /ws': [async (server) => {
      const ws = await rawWebSocket(server, '/ws/a');
      ws.send(3, 'x');
      await ws.readClose();
    }, 'session closed protocol=ws transport=ws id= why="the client broke the protocol'],
    'an old session': [async (server) => assert.equal(await (await rawWebSocket(server, '/ws/a')).readClose(), 1012),
      'session closed protocol=ws transport=ws id= why="drained', { 'sessions.max_age': '200ms' }],
    'a client of /sse that talks on': [async (server) => {
      const conn = await rawConnect(server);
      conn.write(formatRequest(server, { path: '/sse/a' }));
      await conn.readUntil('retry');
      conn.write('x'.repeat(10_000));
      await conn.waitClosed();
    }, 'session closed protocol=sse transport=sse id= why="the client broke the protocol: it sends more'],
  };
  for (const [name, [run, pattern, set]] of Object.entries(cases)) test(name, async (t) => {
    const server = await start(t, { 'log.level': 'debug', ...set });
    await run(server);
    await server.log(new RegExp(pattern));
  });

  test('what is nobody’s fault is only said at debug, what is, at info', async (t) => {
    const server = await start(t);
    await post('1')(server);
    await post('abc')(server);
    await server.log(/session closed/);
    assert.equal(lines(server, /session closed/).length, 1);
    assert.equal((await request(server, { path: POLL })).status, 200);
  });
});

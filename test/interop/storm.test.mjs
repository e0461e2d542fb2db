// SPDX-License-Identifier: MIT
//
// Storms of new sessions, and what evens them out: admission, sessions.rate, sessions.max,
// sessions.max_age, and draining sessions. (By lag newcomers are admitted in
// test/unit/test_admission.c, where time stands still.)

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import WebSocket from 'ws';

import { EventSource } from './lib/event-source.mjs';
import { rawWebSocket } from './lib/frames.mjs';
import { UPGRADE, formatRequest, rawConnect, request } from './lib/http.mjs';
import { startPeal, startSuiteServer } from './lib/peal.mjs';
import { MODES, connect, connected, makeClient, upgraded } from './lib/sio.mjs';
import { next, until, within } from './lib/wait.mjs';

const POLL = '/socket.io/?EIO=4&transport=polling';
const SIO_WS = '/socket.io/?EIO=4&transport=websocket';

async function start(t, set) {
  const server = await startPeal({ set: { workers: 1, ...set } });
  t.after(() => server.stop());
  return server;
}

async function metric(server, name) {
  const { text } = await request(server, { path: '/metrics' });
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

const refused = (server, reason) =>
  metric(server, `peal_sessions_refused_total{reason="${reason}"}`);

// Asks for a session of each kind on a connection of its own: the head of the answer.
async function knock(t, server, path, headers = {}) {
  const conn = await rawConnect(server);
  t.after(() => conn.destroy());
  conn.write(formatRequest(server, { path, headers }));
  const res = await conn.readHead();
  return Object.assign(res, { conn });
}

// An event stream: the connection, and when it began.
async function stream(t, server) {
  const conn = await rawConnect(server);
  t.after(() => conn.destroy());
  conn.write(formatRequest(server, { path: '/sse/a' }));
  return conn;
}

const waiting = (server, n) =>
  until(async () => await metric(server, 'peal_sessions_waiting') === n, `${n} newcomers to wait`);

function openWebSocket(t, server, path) {
  const ws = new WebSocket(`ws://${server.host}:${server.port}${path}`);
  ws.gone = new Promise((resolve) => ws.on('close', (code, why) => resolve([code, why.toString()])));
  ws.on('error', () => {});
  t.after(() => ws.terminate());
  return next(ws, 'open').then(() => ws);
}

describe('sessions.rate', () => {
  test('newcomers that may not wait are told to come back, whatever they came for', async (t) => {
    const server = await start(t, { 'sessions.rate': 1, 'admission.wait': 0 });
    for (const [path, headers, good] of
      [[POLL, {}, 200], [SIO_WS, UPGRADE, 101], ['/ws/a', UPGRADE, 101]]) {
      // The first may find a token. A second's worth is one: there are not twenty in a moment.
      const all = [];
      for (let i = 0; i < 20; i++) all.push(await knock(t, server, path, headers));
      for (const res of all) assert.ok([good, 503].includes(res.status), `${path}: ${res.status}`);
      const told = all.filter((res) => res.status === 503).map((res) => res.headers['retry-after']);
      assert.ok(told.length > 0, path);
      for (const after of told) assert.match(after, /^[1-5]$/);
      assert.ok(new Set(told).size > 1, 'they are spread');
    }
    assert.ok(await refused(server, 'timeout') > 3);
  });

  test('a refused poll may ask again on its connection, a refused upgrade may not', async (t) => {
    const server = await start(t, { 'sessions.max': 1 });
    await rawWebSocket(server, '/ws/a');
    const conn = await rawConnect(server);
    t.after(() => conn.destroy());
    for (let i = 0; i < 2; i++) {
      conn.write(formatRequest(server, { path: POLL }));
      const res = await conn.readResponse();
      assert.equal(res.status, 503);
      assert.equal(res.headers.connection, undefined);
    }
    conn.write(formatRequest(server, { path: '/ws/a', headers: UPGRADE }));
    assert.equal((await conn.readResponse()).headers.connection, 'close');
    await conn.waitClosed();
  });

  test('requests of sessions, the API and health take no part in it', async (t) => {
    const server = await start(t, { 'sessions.rate': 1 });
    const socket = await connect(t, server, { transports: ['polling'] });
    for (let i = 0; i < 20; i++) {
      const got = next(socket, 'message');
      const res = await request(server, { method: 'POST', path: '/api/emit',
        headers: { 'Content-Type': 'application/json' }, body: '{"event":"message","args":[1]}' });
      assert.equal(res.status, 200);
      assert.deepEqual(await got, [1]);
      assert.equal((await request(server, { path: '/readyz' })).status, 200);
    }
  });

  for (const [name, mode] of Object.entries(MODES)) {
    test(`official clients all get in, in time (${name})`, async (t) => {
      const server = await start(t, { 'sessions.rate': 10 });
      const all = [];
      for (let i = 0; i < 30; i++) all.push(makeClient(t, server, mode));
      await Promise.all(all.map((s) => within(
        new Promise((resolve) => s.once('connect', resolve)), 'a client to get in')));
      assert.ok(await metric(server, 'peal_sessions_waited_total') > 0);
      assert.equal(await refused(server, 'timeout'), 0);
    });
  }

  test('newcomers of all kinds wait in order', async (t) => {
    const server = await start(t, { 'sessions.rate': 2 });
    const order = [];
    const all = [];
    for (let i = 0; i < 8; i++) {
      const conn = await rawConnect(server);
      t.after(() => conn.destroy());
      const [path, headers] =
        [[POLL], [SIO_WS, UPGRADE], ['/ws/a', UPGRADE], ['/sse/a']][i % 4];
      conn.write(formatRequest(server, { path, headers }));
      all.push(conn.readHead().then((res) => order.push([i, res.status])));
      // A request that comes later is answered later: this one has been read.
      await metric(server, 'peal_sessions_waiting');
    }
    await Promise.all(all);
    assert.deepEqual(order, [200, 101, 101, 200, 200, 101, 101, 200].map((s, i) => [i, s]));
  });

  test('event streams wait, and not one of them sees an error', async (t) => {
    const server = await start(t, { 'sessions.rate': 20 });
    const errors = [];
    await Promise.all(Array.from({ length: 60 }, () => {
      const es = new EventSource(`${server.url}/sse/a`);
      t.after(() => es.close());
      es.addEventListener('error', (err) => errors.push(err));
      return next({ once: (n, f) => es.addEventListener(n, f), off() {} }, 'open');
    }));
    assert.deepEqual(errors, []);
    assert.equal(await refused(server, 'timeout'), 0);
  });

  test('a client that leaves while it waits is forgotten', async (t) => {
    const server = await start(t, { 'sessions.max': 1 });
    const first = await rawWebSocket(server, '/ws/a');
    const conns = [await stream(t, server), await stream(t, server), await stream(t, server)];
    await waiting(server, 3);
    conns[1].destroy();
    await waiting(server, 2);
    first.conn.destroy();
    assert.equal((await conns[0].readHead()).status, 200);
    conns[0].destroy();
    assert.equal((await conns[2].readHead()).status, 200);
  });
});

describe('admission', () => {
  test('a newcomer that has waited in vain is refused', async (t) => {
    const server = await start(t, { 'sessions.max': 1, 'admission.wait': '100ms' });
    await rawWebSocket(server, '/ws/a');
    const res = await (await stream(t, server)).readResponse();
    assert.equal(res.status, 200);
    assert.match(res.text, /^retry: \d+\n\n$/);
    assert.equal(await refused(server, 'timeout'), 1);
  });

  test('only so many wait', async (t) => {
    const server = await start(t, { 'sessions.max': 1, 'admission.queue_max': 2 });
    await rawWebSocket(server, '/ws/a');
    for (let i = 0; i < 2; i++) await stream(t, server);
    await waiting(server, 2);
    assert.match((await (await stream(t, server)).readResponse()).text, /^retry: \d+\n\n$/);
    assert.equal(await refused(server, 'queue_full'), 1);
    assert.equal(await metric(server, 'peal_sessions_waiting'), 2);
  });

  test('an allowed page may read the answer to a request that waited', async (t) => {
    const server = await start(t, { 'sessions.rate': 1, 'http.cors': 'http://page.example',
      'socketio.cors': 'http://page.example' });
    for (const path of ['/sse/a', POLL]) {
      const all = await Promise.all(Array.from({ length: 3 }, () =>
        knock(t, server, path, { Origin: 'http://page.example' })));
      for (const res of all) {
        assert.equal(res.status, 200);
        assert.equal(res.headers['access-control-allow-origin'], 'http://page.example');
      }
    }
    assert.ok(await metric(server, 'peal_sessions_waited_total') > 0);
  });
});

describe('sessions.max', () => {
  test('counts sessions of all workers and kinds', async (t) => {
    const server = await start(t, { workers: 2, 'sessions.max': 3 });
    const one = await rawWebSocket(server, '/ws/a');
    await rawWebSocket(server, SIO_WS);
    await (await stream(t, server)).readUntil('retry');
    for (const [path, headers] of [[POLL, {}], [SIO_WS, UPGRADE], ['/ws/a', UPGRADE]]) {
      const res = await knock(t, server, path, headers);
      assert.equal(res.status, 503, path);
    }
    const late = await stream(t, server);
    await waiting(server, 1);
    one.conn.destroy();
    assert.equal((await late.readHead()).status, 200);
  });

  test('a stream that waits is told to come back when the server leaves', async (t) => {
    const server = await start(t, { 'sessions.max': 1, 'drain.window': '20s' });
    const ws = await rawWebSocket(server, '/ws/a');
    const late = await stream(t, server);
    await waiting(server, 1);
    server.signal('SIGTERM');
    const res = await late.readResponse();
    assert.deepEqual([res.status, res.headers['content-type'], res.headers.connection],
      [200, 'text/event-stream; charset=utf-8', 'close']);
    assert.match(res.text, /^retry: \d+\n\n$/);
    await late.waitClosed();
    ws.conn.destroy();
  });
});

describe('sessions.max_age', () => {
  for (const [name, mode] of Object.entries(MODES)) {
    test(`a Socket.IO client comes back by itself (${name})`, async (t) => {
      const server = await start(t, { 'sessions.max_age': '500ms' });
      const socket = await connect(t, server, mode);
      const { id } = socket;
      const [why] = await next(socket, 'disconnect');
      assert.notEqual(why, 'io server disconnect');
      assert.ok(socket.active, 'it means to come back');
      await connected(socket);
      assert.notEqual(socket.id, id);
    });
  }

  test('a poll is answered with what is queued, then with an error, and its connection ends', async (t) => {
    const server = await start(t, { 'sessions.max_age': '500ms' });
    const conn = await rawConnect(server);
    t.after(() => conn.destroy());
    const ask = async (options) => {
      conn.write(formatRequest(server, options));
      return conn.readResponse(options);
    };
    const { sid } = JSON.parse((await ask({ path: POLL })).text.slice(1));
    await ask({ method: 'POST', path: `${POLL}&sid=${sid}`, body: '40' });
    let last;
    do {
      last = await ask({ path: `${POLL}&sid=${sid}` });
    } while (last.status === 200);
    assert.deepEqual([last.status, last.text], [400, '{"code":1,"message":"Session ID unknown"}']);
    assert.equal(last.headers.connection, 'close');
    await conn.waitClosed();
  });

  test('a WebSocket is closed with 1012', async (t) => {
    const server = await start(t, { 'sessions.max_age': '300ms' });
    const ws = await openWebSocket(t, server, '/ws/a');
    assert.deepEqual(await within(ws.gone, 'the close'), [1012, 'please reconnect']);
  });

  test('one that is pinged grows old as well', async (t) => {
    const server = await start(t, { 'sessions.max_age': '500ms', 'ws.ping_interval': '100ms',
      'ws.ping_timeout': '100ms' });
    const ws = await openWebSocket(t, server, '/ws/a');
    const ping = next(ws, 'ping');
    assert.deepEqual(await within(ws.gone, 'the close'), [1012, 'please reconnect']);
    await ping;
  });

  test('an EventSource comes back by itself, at a time of its own', async (t) => {
    const server = await start(t, { 'sessions.max_age': '300ms', 'sse.retry': '200ms' });
    const conn = await stream(t, server);
    await conn.readHead();
    assert.equal((await conn.readChunk()).toString(), 'retry: 200\n\n');
    const [, ms] = /^retry: (\d+)\n\n$/.exec(await conn.readChunk());
    assert.ok(ms >= 100 && ms <= 300, ms);
    assert.equal(await conn.waitClosed(), 'end');
    const es = new EventSource(`${server.url}/sse/a`);
    t.after(() => es.close());
    let opened = 0;
    es.addEventListener('open', () => opened++);
    await until(() => opened === 2, 'the stream to open again');
  });

  test('off: they stay', async (t) => {
    const server = await start(t, {});
    const ws = await openWebSocket(t, server, '/ws/a');
    ws.send('x');
    assert.equal((await next(ws, 'message'))[0].toString(), 'x');
  });
});

describe('sending sessions away', () => {
  const startShed = async (t) => {
    const server = await startSuiteServer('shed');
    t.after(() => server.stop());
    return server;
  };

  test('those in the middle go, of each kind its share, and their clients come back', async (t) => {
    const server = await startShed(t);
    const plain = [];
    const sio = [];
    for (let i = 0; i < 4; i++) plain.push(await openWebSocket(t, server, '/ws/a'));
    for (const mode of Object.values(MODES)) sio.push(await connect(t, server, mode));
    await upgraded(sio[2]);
    sio.push(await connect(t, server, MODES.polling));
    const away = sio.map((s) => next(s, 'disconnect').then(([why]) => why));
    for (const one of away) one.catch(() => {});
    await request(server, { path: '/shed/4' });
    assert.equal((await within(plain[1].gone, 'the close'))[0], 1012);
    assert.equal((await within(plain[2].gone, 'the close'))[0], 1012);
    for (const i of [1, 2]) {
      assert.notEqual(await away[i], 'io server disconnect');
      await connected(sio[i]);
    }
    for (const ws of [plain[0], plain[3]]) {
      ws.send('x');
      assert.equal((await next(ws, 'message'))[0].toString(), 'x');
    }
    assert.ok(sio[0].connected && sio[3].connected);
    for (const ws of plain) ws.terminate();
    await request(server, { path: '/shed/1000' });
    await Promise.all(away);
  });
});

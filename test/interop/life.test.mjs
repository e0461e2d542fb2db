// SPDX-License-Identifier: MIT
//
// The server's life, as an operator sees it: rules for plain channels, TLS and its reload,
// drains.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';

import WebSocket from 'ws';

import { EventSource } from './lib/event-source.mjs';
import { Polling } from './lib/engine.mjs';
import { UPGRADE, formatRequest, rawConnect, request } from './lib/http.mjs';
import { startPeal } from './lib/peal.mjs';
import { MODES, ask, connect, connected, settled, upgraded } from './lib/sio.mjs';
import { collect, next, until, within } from './lib/wait.mjs';

const dir = mkdtempSync(join(tmpdir(), 'peal-life-'));
after(() => rmSync(dir, { recursive: true }));
const file = (name) => join(dir, name);
const NOW = { 'drain.delay': '0s', 'drain.window': '0s' };

function makeCert(name) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-nodes', '-days', '2',
    '-pkeyopt', 'ec_paramgen_curve:P-256', '-subj', `/CN=${name}`,
    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)], { stdio: 'ignore' });
}

const open = async (t, server, path, options = {}, scheme = 'ws') => {
  const ws = new WebSocket(`${scheme}://${server.host}:${server.port}${path}`, options);
  ws.gone = new Promise((resolve) => ws.on('close', (code, why) => resolve([code, why.toString()])));
  ws.on('error', () => {});
  t.after(() => ws.terminate());
  await next(ws, 'open');
  return ws;
};
const status = (server, path) => within(new Promise((resolve) => {
  const ws = new WebSocket(`ws://${server.host}:${server.port}${path}`);
  ws.on('unexpected-response', (req, res) => { resolve(res.statusCode); req.destroy(); });
  ws.on('open', () => { resolve(101); ws.terminate(); });
  ws.on('error', () => {});
}), 'an answer');

const UNKNOWN = '{"code":1,"message":"Session ID unknown"}';

describe('rules of plain channels', () => {
  let server;
  before(async () => {
    writeFileSync(file('rules.yaml'), `rules:
  channels:
    "in-*": { publish: true }
    "out-*": { subscribe: true }
    "both-*": { subscribe: true, publish: true }
    /nsp: { subscribe: true }
    "/private#*": { subscribe: true }
  namespaces:
    /private: { connect: allow }
`);
    server = await startPeal({ dev: false, config: file('rules.yaml'), set: NOW });
  });
  after(() => server.stop());

  test('decide about subscriptions', async () => {
    assert.equal(await status(server, '/ws/out-1'), 101);
    assert.equal(await status(server, '/ws/in-1'), 403);
    assert.equal(await status(server, '/ws/else'), 403);
    assert.equal(await status(server, '/ws?channel=out-1&channel=in-1'), 403);
    assert.equal(await status(server, '/ws/%2Fnsp'), 101);
    assert.equal(await status(server, '/ws/%2Fother'), 403);
    assert.equal(await status(server, '/ws//nsp'), 101);
  });

  test('never open the address of a Socket.IO client', async (t) => {
    const socket = await connect(t, server, { nsp: '/private', transports: ['websocket'] });
    const channel = (room) => encodeURIComponent(`/private#${room}`);
    assert.equal(await status(server, `/ws/${channel(`x${socket.id}`)}`), 101);
    assert.equal(await status(server, `/ws/${channel(socket.id)}`), 403);
    const res = await request(server, { path: `/sse/${channel(socket.id)}` });
    assert.deepEqual([res.status, res.text], [403, 'the id of a session is not a channel\n']);
  });

  test('close a publisher that may not with 1008', async (t) => {
    const ws = await open(t, server, '/ws/out-1');
    ws.send('x');
    assert.deepEqual(await within(ws.gone, 'the close'), [1008, 'publishing here is not allowed']);
    const many = await open(t, server, '/ws?channel=out-1&channel=both-1');
    many.send('{"channel":"in-7","data":1}');
    many.send('{"channel":"both-1","data":1}');
    assert.equal((await next(many, 'message'))[0].toString(), '{"channel":"both-1","data":1}');
    many.send('{"channel":"out-1","data":1}');
    assert.equal((await within(many.gone, 'the close'))[0], 1008);
    many.terminate();
  });
});

describe('TLS', () => {
  let server;
  before(async () => {
    makeCert('one');
    makeCert('two');
    copyFileSync(file('one.pem'), file('cert.pem'));
    copyFileSync(file('one.key'), file('key.pem'));
    server = await startPeal({
      set: { 'tls.cert': file('cert.pem'), 'tls.key': file('key.pem'), workers: 2 },
    });
  });
  after(() => server.stop());

  const subject = () => within(new Promise((resolve, reject) => {
    const { host, port } = server;
    const s = tls.connect({ host, port, rejectUnauthorized: false }, () => {
      resolve(s.getPeerCertificate().subject.CN);
      s.destroy();
    });
    s.on('error', reject);
  }), 'a handshake');

  test('WebSocket and SSE work over it', async (t) => {
    const ws = await open(t, server, '/ws/a', { rejectUnauthorized: false }, 'wss');
    const { host, port } = server;
    const conn = await rawConnect({ host, port, tls: { rejectUnauthorized: false } });
    t.after(() => conn.destroy());
    conn.write(formatRequest(server, { path: '/sse/a' }));
    await conn.readHead();
    assert.equal((await conn.readChunk()).toString(), 'retry: 2000\n\n');
    ws.send('x'.repeat(100_000));
    assert.equal((await next(ws, 'message'))[0].length, 100_000);
    assert.equal((await conn.readChunk()).length, 100_000 + 'data: \n\n'.length);
  });

  test('SIGHUP takes new files, keeps old ones when the new are bad', async (t) => {
    const ws = await open(t, server, '/ws/a', { rejectUnauthorized: false }, 'wss');
    assert.equal(await subject(), 'one');
    writeFileSync(file('cert.pem'), 'rubbish');
    server.signal('SIGHUP');
    await server.log(/certificate cannot be used/);
    assert.equal(await subject(), 'one');
    copyFileSync(file('two.pem'), file('cert.pem'));
    server.signal('SIGHUP');
    await until(() => server.stderr.match(/certificate cannot be used/g)?.length === 2,
      'the second complaint');
    copyFileSync(file('two.key'), file('key.pem'));
    server.signal('SIGHUP');
    await server.log(/certificate reloaded/);
    await until(async () => await subject() === 'two', 'the new certificate');
    await until(async () => await subject() === 'two', 'the new certificate, from any worker');
    ws.send('still');
    assert.equal((await next(ws, 'message'))[0].toString(), 'still');
  });
});

describe('a drain', () => {
  test('closes few sessions one after the other, not together', async (t) => {
    const server = await startPeal({ set: { 'drain.window': '20s', workers: 1 } });
    const all = [];
    for (let i = 0; i < 4; i++) all.push(await open(t, server, '/ws/a'));
    server.signal('SIGTERM');
    const [code] = await within(Promise.race(all.map((ws) => ws.gone)), 'the first to close');
    assert.equal(code, 1012);
    assert.equal(all.filter((ws) => ws.readyState === WebSocket.OPEN).length, 3);
    await server.stop();
  });

  test('leaves admin.listen open for metrics', async (t) => {
    const server = await startPeal({
      set: { 'drain.window': '20s', 'admin.listen': '127.0.0.1:0' },
    });
    const match = await server.log(/address=127\.0\.0\.1:(\d+) tls=off for=admin/);
    const admin = { host: '127.0.0.1', port: Number(match[1]) };
    const ws = [await open(t, server, '/ws/a'), await open(t, server, '/ws/a')];
    server.signal('SIGTERM');
    await server.log(/draining/);
    assert.equal((await request(admin, { path: '/readyz' })).status, 503);
    assert.match((await request(admin, { path: '/metrics' })).text, /peal_sessions/);
    assert.equal((await request(admin, { path: '/nothing' })).status, 404);
    for (const one of ws) one.terminate();
    await server.stop();
  });

  test('readiness goes first, and what is asked during the delay is served', async (t) => {
    const server = await startPeal({ set: { 'drain.delay': '60s' } });
    server.signal('SIGTERM');
    await until(async () => (await request(server, { path: '/readyz' })).status === 503, 'readiness off');
    const ws = await open(t, server, '/ws/late');
    ws.send('x');
    assert.equal((await next(ws, 'message'))[0].toString(), 'x');
    await server.stop();
  });

  test('answers during the delay end their connections, but for those of sessions', async (t) => {
    const server = await startPeal({ set: { 'drain.delay': '60s', workers: 1 } });
    const [publisher, poller] = [await rawConnect(server), await rawConnect(server)];
    t.after(() => [publisher, poller].forEach((conn) => conn.destroy()));
    const ask = async (conn, path, more = {}) => {
      conn.write(formatRequest(server, { path, ...more }));
      return (await conn.readResponse()).headers.connection;
    };
    const publish = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"channel":"a","data":1}' };
    assert.equal(await ask(publisher, '/api/publish', publish), undefined);
    assert.equal(await ask(poller, POLL), undefined);
    server.signal('SIGTERM');
    await until(async () => (await request(server, { path: '/readyz' })).status === 503, 'readiness off');
    assert.equal(await ask(publisher, '/api/publish', publish), 'close'); // and not a reset
    assert.equal(await publisher.waitClosed(), 'end');
    assert.equal(await ask(poller, POLL), undefined);
    await server.stop();
  });

  const POLL = '/socket.io/?EIO=4&transport=polling';
  const SIO_WS = '/socket.io/?EIO=4&transport=websocket';
  const refusesConnections = (server) => until(
    () => rawConnect(server).then((conn) => conn.destroy(), (err) => err.code === 'ECONNREFUSED'),
    'the listeners to be closed');

  for (const [name, mode] of Object.entries(MODES)) {
    test(`closes Socket.IO clients one after the other, and serves the others (${name})`, async (t) => {
      const server = await startPeal({ set: { 'drain.window': '20s', workers: 1 } });
      const all = [];
      for (let i = 0; i < 4; i++) all.push(await connect(t, server, { ...mode, reconnection: false }));
      if (!mode.transports) await Promise.all(all.map(upgraded));
      const gone = all.map((socket) => new Promise((resolve) =>
        socket.on('disconnect', (why) => resolve([socket, why]))));
      server.signal('SIGTERM');
      const [, why] = await within(Promise.race(gone), 'the first to close');
      assert.notEqual(why, 'io server disconnect'); // it would not come back
      const left = all.filter((socket) => socket.connected);
      assert.equal(left.length, 3);
      for (const socket of left) assert.deepEqual(await ask(socket, 'q', 1), [1]);
      await server.stop();
    });
  }

  for (const [name, set] of [['without a backplane', {}],
    ['alone, with a Redis that is away', { backplane: 'redis://127.0.0.1:1' }]]) {
    test(`as long as anybody polls, it takes requests of sessions and refuses new ones (${name})`, async (t) => {
      const server = await startPeal({ set: { 'drain.window': '20s', workers: 2, 'http.cors': '*', ...set } });
      const polling = [];
      for (let i = 0; i < 10; i++) polling.push(await Polling.open(server));
      server.signal('SIGTERM');
      await server.log(/draining/);
      // Without an answer a proxy tries the next node. Only an EventSource would give up then.
      const refused = async (path, headers = {}) => {
        const conn = await rawConnect(server);
        t.after(() => conn.destroy());
        conn.write(formatRequest(server, { path, headers }));
        await conn.waitClosed();
        return conn.buffer.toString();
      };
      await until(async () => await refused(POLL) === '', 'refusals');
      assert.equal(await refused(SIO_WS, UPGRADE), '');
      assert.equal(await refused('/ws/a', UPGRADE), '');
      assert.match(await refused('/sse/a', { Origin: 'http://a.example' }),
        /^HTTP\/1.1 200 OK\r\n[^]*Access-Control-Allow-Origin[^]*\r\n\r\nretry: \d+\n\n$/);
      assert.equal((await request(server, { path: '/readyz' })).status, 503);
      // Those that came first go first. A session's connections stay, others are closed.
      const last = polling[9];
      const conn = await last.connection();
      for (const [path, connection] of [[`${last.path}`, undefined], ['/livez', 'close']]) {
        conn.write(formatRequest(server, { method: 'PUT', path }));
        assert.equal((await conn.readResponse()).headers.connection, connection);
      }
      await conn.waitClosed();
      assert.match(await last.join(), /^40/);
      for (const one of polling) {
        await one.post('1');
        await one.get(); // those that are closed already wait for a poll to say so
      }
      await refusesConnections(server);
      assert.equal((await within(server.exited, 'the end')).status, 0);
    });
  }

  test('where nobody polls, the listeners are closed at once', async (t) => {
    const server = await startPeal({ set: { 'drain.window': '20s', workers: 2 } });
    const ws = [];
    for (let i = 0; i < 4; i++) ws.push(await open(t, server, '/ws/a'));
    const socket = await connect(t, server, { reconnection: false });
    await upgraded(socket);
    server.signal('SIGTERM');
    await refusesConnections(server);
    const left = ws.filter((one) => one.readyState === WebSocket.OPEN);
    assert.ok(left.length >= 1);
    left.at(-1).send('x');
    assert.equal((await next(left.at(-1), 'message'))[0].toString(), 'x');
    await server.stop();
  });

  // python-socketio takes a close packet for the end, but comes back after an error, as all do.
  test('a poll is answered with an error, but with what is queued first', async (t) => {
    const server = await startPeal({ set: { workers: 1 } });
    const away = await Polling.open(server);
    await away.join();
    const sent = await request(server, { method: 'POST', path: '/api/emit',
      headers: { 'Content-Type': 'application/json' }, body: '{"event":"hi"}' });
    assert.equal(sent.status, 200);
    const parked = await Polling.open(server);
    await parked.join();
    const poll = await parked.park();
    t.after(() => poll.destroy());
    server.signal('SIGTERM');
    const res = await poll.readResponse();
    assert.deepEqual([res.status, res.text, res.headers.connection], [400, UNKNOWN, 'close']);
    assert.equal((await away.get()).text, '42["hi"]');
    const last = await away.get();
    assert.deepEqual([last.status, last.text, last.headers.connection], [400, UNKNOWN, 'close']);
    assert.equal((await within(server.exited, 'the end')).status, 0);
  });

  test('what was published before reaches everybody before the close', async (t) => {
    // One delivery a turn: when the signal comes, most are still to be made.
    const server = await startPeal({ set: { workers: 1, 'io.turn_budget': 1 } });
    const clients = 20;
    const messages = 50;
    const done = [];
    for (let i = 0; i < clients; i++) {
      const ws = await open(t, server, '/ws/a');
      let n = 0;
      ws.on('message', () => n++);
      done.push(ws.gone.then(([code]) => [code, n]));
      const socket = await connect(t, server, { ...MODES[i % 2 ? 'polling' : 'websocket'], reconnection: false });
      let m = 0;
      await ask(socket, 'join', 'a');
      socket.on('message', () => m++);
      done.push(new Promise((resolve) => socket.on('disconnect', () => resolve([1012, m]))));
      const es = await rawConnect(server);
      es.write(formatRequest(server, { path: '/sse/a' }));
      await es.readUntil('retry');
      done.push(es.closed.then(() => [1012, es.buffer.toString().split('data: x\n').length - 1]));
    }
    const api = await rawConnect(server);
    const one = formatRequest(server, { method: 'POST', path: '/api/publish',
      headers: { 'Content-Type': 'application/json' }, body: '{"channel":"a","data":"x"}' });
    api.write(Buffer.concat(Array(messages).fill(one)));
    for (let i = 0; i < messages; i++) assert.equal((await api.readResponse()).status, 200);
    server.signal('SIGTERM');
    for (const how of await within(Promise.all(done), 'everybody to be closed')) {
      assert.deepEqual(how, [1012, messages]);
    }
    assert.equal((await within(server.exited, 'the end')).status, 0);
  });

  test('clients of every kind come back to what takes its place', async (t) => {
    const set = { 'sse.retry': '100ms', workers: 2 };
    let server = await startPeal({ set });
    set.listen = `${server.host}:${server.port}`;
    const sockets = [];
    for (const mode of Object.values(MODES)) sockets.push(await connect(t, server, mode));
    const ids = sockets.map((socket) => socket.id);
    const es = new EventSource(`${server.url}/sse/a`);
    t.after(() => es.close());
    let opened = 0;
    const codes = new Set();
    es.addEventListener('open', () => opened++);
    es.addEventListener('error', (err) => codes.add(err.code));
    await until(() => opened === 1, 'the stream to open');
    const away = Promise.all(sockets.map((socket) => next(socket, 'disconnect')));
    server.signal('SIGTERM');
    await away;
    assert.equal((await within(server.exited, 'the end')).status, 0);
    server = await startPeal({ set });
    for (const socket of sockets) {
      if (!socket.connected) await next(socket, 'connect');
      await settled(socket);
    }
    sockets.forEach((socket, i) => assert.notEqual(socket.id, ids[i]));
    await until(() => opened === 2, 'the stream to open again');
    assert.deepEqual([...codes], [undefined]); // lost connections, never a status
    es.close();
    for (const socket of sockets) socket.disconnect();
    await server.stop();
  });

  test('a second signal ends it at once', async (t) => {
    const server = await startPeal({ set: { 'drain.window': '24h' } });
    const ws = [await open(t, server, '/ws/a'), await open(t, server, '/ws/a'), await open(t, server, '/ws/a')];
    server.signal('SIGTERM');
    await server.log(/draining/);
    server.signal('SIGTERM');
    assert.equal((await within(server.exited, 'the end')).status, 0);
    await Promise.all(ws.map((one) => within(one.gone, 'the close')));
  });

  test('a client that does not read does not hold the server up', async (t) => {
    const server = await startPeal();
    const conn = await rawConnect(server);
    conn.write(formatRequest(server, { path: '/sse/a' }));
    await conn.readUntil('retry');
    conn.socket.pause();
    const ws = await open(t, server, '/ws/a');
    for (let i = 0; i < 10; i++) ws.send('x'.repeat(1_000_000));
    for (let i = 0; i < 10; i++) await next(ws, 'message');
    server.signal('SIGTERM');
    assert.equal((await within(server.exited, 'the end')).status, 0);
    conn.destroy();
  });
});

// SPDX-License-Identifier: MIT
//
// Bad days: peers that are slow, broken, too many or malicious. Each meets a limit and a
// counter, and nobody else notices.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';

import WebSocket from 'ws';

import { Polling, RS } from './lib/engine.mjs';
import { OP, frame, rawWebSocket } from './lib/frames.mjs';
import { formatRequest, rawConnect, request } from './lib/http.mjs';
import { startPeal as start, Process, PEAL } from './lib/peal.mjs';
import { useServer } from './lib/server.mjs';
import { ask, connect } from './lib/sio.mjs';
import { Inbox, next, until, within } from './lib/wait.mjs';

const serve = (set) => useServer({ before, after }, { set }, start);

async function metric(server, line) {
  const { text } = await request(server, { path: '/metrics' });
  const found = text.split('\n').find((l) => l.startsWith(`${line} `));
  return found ? Number(found.slice(line.length + 1)) : undefined;
}

async function open(t, server, path) {
  const ws = new WebSocket(`ws://127.0.0.1:${server.port}${path}`);
  ws.inbox = new Inbox();
  ws.on('message', (data) => ws.inbox.push(data.toString()));
  ws.on('error', () => {});
  t.after(() => ws.terminate());
  await next(ws, 'open');
  return ws;
}

// A server that still does what it is for.
async function healthy(t, server) {
  const socket = await connect(t, server, { transports: ['websocket'] });
  assert.deepEqual(await ask(socket, 'are you well', 1), [1]);
  socket.disconnect();
}

describe('clients that do not read', () => {
  const BIG = 'x'.repeat(64 * 1024);
  const policies = { disconnect: 'peal_closed_total{reason="slow_reader"}',
    'drop-oldest': 'peal_slow_reader_dropped_total', 'latest-only': 'peal_slow_reader_dropped_total' };
  for (const [policy, counter] of Object.entries(policies)) describe(policy, () => {
    const server = serve({ 'io.slow_policy': policy, 'io.queue_max': '256k', workers: 1 });

    test('one of them costs the others nothing', async (t) => {
      const slow = await rawWebSocket(server, '/ws/news');
      slow.conn.socket.pause();
      t.after(() => slow.destroy());
      const [good, publisher] = [await open(t, server, '/ws/news'), await open(t, server, '/ws/news')];
      let n = 0;
      await until(async () => {
        for (let i = 0; i < 20; i++, n++) {
          publisher.send(`${n} ${BIG}`);
          assert.equal((await good.inbox.shift()).split(' ')[0], String(n));
        }
        return (await metric(server, counter)) > 0;
      }, `${counter} to count`);
      publisher.send('last');
      assert.equal(await good.inbox.shift(), 'last');
      slow.conn.socket.resume();
      if (policy === 'disconnect') {
        await slow.conn.waitClosed();
        return;
      }
      let seen = -1;
      for (let text; text !== 'last';) {
        text = (await slow.readText()).slice(0, 8);
        if (text === 'last') break;
        assert.ok(Number(text.split(' ')[0]) > seen, 'in order, with gaps');
        seen = Number(text.split(' ')[0]);
      }
    });
  });

  test('a polling client that never polls again is ended, too', async (t) => {
    const server = await start({ set: { 'io.queue_max': '64k' } });
    t.after(() => server.stop());
    const path = '/socket.io/?EIO=4&transport=polling';
    const { sid } = JSON.parse((await request(server, { path })).text.slice(1));
    await request(server, { method: 'POST', path: `${path}&sid=${sid}`, body: '40' });
    const socket = await connect(t, server, { transports: ['websocket'] });
    for (let i = 0; i < 10; i++) await ask(socket, 'to', '', 'x', 'y');
    for (let i = 0; i < 3; i++) socket.emit('news', 'y'.repeat(40000));
    await until(async () => (await request(server, { path: `${path}&sid=${sid}`, method: 'PUT' })).status === 400,
      'the session to end');
  });
});

describe('requests that never end, or never begin', () => {
  const server = serve({ 'http.head_timeout': '300ms', 'http.body_timeout': '300ms', 'http.idle_timeout': '300ms' });

  test('slow heads and bodies end with 408, silence with nothing', async (t) => {
    const starts = ['GET / HT', 'GET / HTTP/1.1\r\nHost: x\r\nX: ', 'POST /api/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{', ''];
    const conns = [];
    for (let i = 0; i < 80; i++) conns.push((await rawConnect(server)).write(starts[i % 4]));
    await healthy(t, server);
    for (const [i, conn] of conns.entries()) {
      if (i % 4 < 2) assert.equal((await conn.readResponse()).status, 408);
      await conn.waitClosed();
    }
    assert.ok((await metric(server, 'peal_http_timeouts_total')) >= 60);
  });

  test('junk is refused and counted', async (t) => {
    for (let i = 0; i < 100; i++) {
      const conn = await rawConnect(server);
      conn.socket.on('error', () => {});
      conn.write(i % 2 ? randomBytes(2000) : `GET /${'a'.repeat(20000)} HTTP/1.1\r\n`);
      await conn.waitClosed();
    }
    assert.ok((await metric(server, 'peal_http_bad_requests_total')) >= 50);
    await healthy(t, server);
  });
});

describe('frames', () => {
  const server = serve({ 'ws.message_max': '64k' });

  test('a small frame that inflates to much closes with 1009', async (t) => {
    const ws = await rawWebSocket(server, '/ws/x', { 'Sec-WebSocket-Extensions': 'permessage-deflate' });
    const bomb = deflateRawSync(Buffer.alloc(20 << 20), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
    assert.ok(bomb.length < 64 * 1024);
    ws.send(OP.BINARY, bomb, { rsv: 4 });
    assert.equal(await ws.readClose(), 1009);
    await healthy(t, server);
  });

  test('a frame that announces too much is refused before it comes', async (t) => {
    const ws = await rawWebSocket(server, '/ws/x');
    ws.conn.write(frame(OP.BINARY, '', { length: 2 ** 40 }));
    assert.equal(await ws.readClose(), 1009);
    await healthy(t, server);
  });

  test('broken ones close with 1002 and are counted', async (t) => {
    const bad = [[OP.TEXT, 'x', { mask: false }], [3, 'x'], [OP.TEXT, 'x', { rsv: 2 }],
      [OP.PING, 'x'.repeat(126)], [OP.PING, 'x', { fin: false }], [OP.CONT, 'x'], [OP.CLOSE, 'x']];
    for (const [op, payload, options] of bad) {
      const ws = await rawWebSocket(server, '/ws/x');
      ws.send(op, payload, options);
      assert.equal(await ws.readClose(), 1002);
      await ws.conn.waitClosed();
    }
    assert.ok((await metric(server, 'peal_bad_input_total{protocol="websocket"}')) >= bad.length);
    await healthy(t, server);
  });
});

describe('answers that are not polled for', () => {
  const server = serve({ 'io.queue_max': '64k' });

  test('count by the memory they take, not by their few bytes', async () => {
    const session = await Polling.open(server);
    await session.join();
    const ask = (from, n) => session.post(Array.from({ length: n }, (_, i) => `42${from + i}["x"]`).join(RS));
    assert.equal((await ask(0, 1000)).text, 'ok'); // of some 7 bytes each
    assert.equal((await session.look()).status, 500);
    await ask(1000, 2000);
    await session.ends();
  });
});

describe('too many', () => {
  const server = serve({ max_connections: 20 });

  test('connections beyond the maximum are refused, and welcome when there is room', async (t) => {
    const conns = [];
    for (let i = 0; i < 20; i++) {
      // An answer, so that this one is counted before the next comes: another worker may accept that.
      conns.push(await rawConnect(server));
      conns[i].write(formatRequest(server, { path: '/livez' }));
      assert.equal((await conns[i].readResponse()).status, 200);
    }
    for (let i = 0; i < 10; i++) await (await rawConnect(server)).waitClosed();
    conns[1].write(formatRequest(server, { path: '/livez' }));
    assert.equal((await conns[1].readResponse()).status, 200);
    for (const conn of conns) conn.destroy();
    await until(async () => {
      const conn = await rawConnect(server);
      conn.write(formatRequest(server, { path: '/livez' }));
      const ok = await conn.readResponse().then((res) => res.status === 200, () => false);
      conn.destroy();
      return ok;
    }, 'room for one more');
    await healthy(t, server);
  });

  test('a full node still answers its probes, and counts its clients alone', async (t) => {
    const full = await start({ set: { max_connections: 5, 'admin.listen': '127.0.0.1:0' } });
    t.after(() => full.stop());
    const match = await full.log(/address=127\.0\.0\.1:(\d+) tls=off for=admin/);
    const admin = { host: '127.0.0.1', port: Number(match[1]) };
    const conns = [];
    for (let i = 0; i < 5; i++) conns.push(await rawConnect(full));
    t.after(() => conns.forEach((conn) => conn.destroy()));
    await until(async () => await metric(admin, 'peal_connections') === 5, 'all of them to be accepted');
    await (await rawConnect(full)).waitClosed();
    for (const path of ['/livez', '/readyz', '/metrics']) assert.equal((await request(admin, { path })).status, 200);
    assert.ok(await metric(admin, 'peal_inner_connections') >= 1); // the one that asks
    assert.ok(await metric(admin, 'peal_refused_total{reason="max_connections"}') >= 1);
  });

  test('a maximum that cannot fit is refused at the start, with what to do', async () => {
    const run = new Process('prlimit', ['--nofile=300:300', PEAL, 'serve', '--dev', '--set', 'listen=127.0.0.1:0',
      '--set', 'max_connections=5000']);
    const { status } = await within(run.exited, 'the refusal');
    assert.equal(status, 1);
    assert.match(run.stderr, /max_connections=5000 needs=\d+ limit=300 hint="raise the limit/);
  });

  test('the soft limit is raised, and so is what fits', async (t) => {
    const low = await start({ prefix: ['prlimit', '--nofile=200:1000'] });
    t.after(() => low.stop());
    assert.match(low.stderr, /from=200 to=1000/);
    await healthy(t, low);
  });
});

describe('listeners', () => {
  const dir = mkdtempSync(join(tmpdir(), 'peal-bad-'));
  after(() => rmSync(dir, { recursive: true }));

  test('a unix socket serves everything, and a dead one is replaced', async (t) => {
    const path = join(dir, 'peal.sock');
    for (let i = 0; i < 2; i++) {
      const server = await start({ set: { listen: `unix:${path}`, workers: 2 } });
      assert.equal((await request({ path }, { path: '/livez' })).status, 200);
      const ws = await rawWebSocket({ path }, '/ws/x');
      ws.text('hello');
      assert.equal(await ws.readText(), 'hello');
      ws.destroy();
      await (i === 0 ? server.kill() : server.stop());
    }
  });

  test('an address in use is an error that says so', async (t) => {
    const one = await start();
    t.after(() => one.stop());
    const two = new Process(PEAL, ['serve', '--dev', '--set', `listen=127.0.0.1:${one.port}`]);
    assert.equal((await within(two.exited, 'its end')).status, 1);
    assert.match(two.stderr, /cannot listen.*in use/);
  });

  test('PROXY protocol: with a header, without, and broken', async (t) => {
    const server = await start({ set: { 'listen.proxy_protocol': 'on', 'admin.listen': '127.0.0.1:0' } });
    t.after(() => server.stop());
    const v2 = Buffer.concat([Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c', 'latin1'),
      Buffer.from([10, 0, 0, 1, 127, 0, 0, 1, 0, 80, 31, 144])]);
    for (const prefix of ['PROXY TCP4 10.0.0.1 127.0.0.1 80 8080\r\n', v2]) {
      assert.equal((await request({ ...server, port: server.port, prefix }, { path: '/livez' })).status, 404);
      const ws = await rawWebSocket({ host: '127.0.0.1', port: server.port, prefix }, '/ws/x');
      ws.text('through');
      assert.equal(await ws.readText(), 'through');
      ws.destroy();
    }
    for (const junk of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'PROXY TCP4 nonsense\r\n', 'PROXY '.repeat(50)]) {
      const conn = await rawConnect(server);
      conn.write(junk);
      await conn.waitClosed();
    }
  });
});

describe('a large fan-out', () => {
  const server = serve({ 'io.turn_budget': 50, workers: 2 });

  test('in slices reaches everybody in order, and others are served meanwhile', async (t) => {
    const clients = await Promise.all(Array.from({ length: 300 }, () => open(t, server, '/ws/all')));
    const socket = await connect(t, server, { transports: ['websocket'] });
    const publisher = clients[0];
    for (let i = 0; i < 20; i++) publisher.send(String(i));
    const echoes = [];
    for (let i = 0; i < 10; i++) echoes.push(await ask(socket, 'q', i));
    assert.deepEqual(echoes.flat(), Array.from({ length: 10 }, (_, i) => i));
    for (const client of clients)
      assert.deepEqual(await client.inbox.take(20), Array.from({ length: 20 }, (_, i) => String(i)));
    assert.ok((await metric(server, 'peal_fanout_sliced_total')) > 0);
  });
});

test('signals that mean nothing are survived', async (t) => {
  const server = await start();
  t.after(() => server.stop());
  server.signal('SIGPIPE');
  server.signal('SIGHUP');
  await server.log(/nothing to reload/);
  await healthy(t, server);
});

// SPDX-License-Identifier: MIT
//
// Clients that send more than is delivered, or than they may: they are not read for a while,
// and nothing is lost or out of order.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import WebSocket from 'ws';

import { Polling, RS } from './lib/engine.mjs';
import { request } from './lib/http.mjs';
import { startPeal } from './lib/peal.mjs';
import { useServer } from './lib/server.mjs';
import { MODES, connect, upgraded } from './lib/sio.mjs';
import { Inbox, collect, next, until, within } from './lib/wait.mjs';

const dir = mkdtempSync(join(tmpdir(), 'peal-pressure-'));
after(() => rmSync(dir, { recursive: true }));

async function metric(server, line) {
  const { text } = await request(server, { path: '/metrics' });
  return Number(text.split('\n').find((one) => one.startsWith(`${line} `)).split(' ')[1]);
}

async function open(t, server, path, scheme = 'ws') {
  const ws = new WebSocket(`${scheme}://${server.host}:${server.port}${path}`, { rejectUnauthorized: false });
  ws.inbox = new Inbox('message');
  ws.on('message', (data) => ws.inbox.push(data.toString()));
  ws.on('error', () => {});
  t.after(() => ws.terminate());
  await next(ws, 'open');
  return ws;
}

const numbers = (n, from = 0) => Array.from({ length: n }, (_, i) => `${from + i}`);

describe('more than is delivered', () => {
  const server = useServer({ before, after }, { set: { workers: 1 } }, startPeal);

  test('a publisher that is faster than the fan-out is paused, and all of it arrives', async (t) => {
    const [publisher, ...subscribers] = await Promise.all(Array.from({ length: 13 }, () => open(t, server, '/ws/busy')));
    const texts = numbers(10_000);
    for (const text of texts) publisher.send(text);
    for (const one of subscribers) assert.deepEqual(await one.inbox.take(texts.length), texts);
    assert.ok(await metric(server, 'peal_clients_paused_total{reason="backlog"}') > 0);
    assert.ok(await metric(server, 'peal_fanout_backlog_full_total') > 0);
    assert.equal(await metric(server, 'peal_worker_messages_lost_total{reason="backlog"}'), 0);
    await until(async () => await metric(server, 'peal_worker_backlog_bytes') === 0, 'nothing to wait');
  });

  test('the same over TLS, which holds bytes that no readiness announces', async (t) => {
    const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-nodes', '-days', '2', '-pkeyopt', 'ec_paramgen_curve:P-256',
      '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const secure = await startPeal({ set: { 'tls.cert': cert, 'tls.key': key, workers: 1 } });
    t.after(() => secure.stop());
    const [publisher, ...subscribers] = await Promise.all(
      Array.from({ length: 13 }, () => open(t, secure, '/ws/busy', 'wss')));
    const texts = numbers(10_000);
    for (const text of texts) publisher.send(text);
    for (const one of subscribers) assert.deepEqual(await one.inbox.take(texts.length), texts);
  });

  for (const [name, mode] of Object.entries(MODES)) {
    test(`a Socket.IO client over ${name}, too`, async (t) => {
      const [publisher, ...others] = await Promise.all(
        Array.from({ length: 12 }, () => connect(t, server, { ...mode, nsp: '/busy' })));
      const all = others.map((one) => collect(one, 'n', 4000));
      for (let i = 0; i < 4000; i++) publisher.emit('n', i);
      for (const got of await Promise.all(all)) assert.deepEqual(got.map(([i]) => i), [...Array(4000).keys()]);
    });
  }

  test('calls of the API are answered when there is room', async (t) => {
    const subscribers = await Promise.all(Array.from({ length: 12 }, () => open(t, server, '/ws/api')));
    const data = 'x'.repeat(900_000);
    const calls = Array.from({ length: 40 }, () => request(server, {
      method: 'POST', path: '/api/publish', headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ channel: 'api', data }),
    }));
    for (const res of await within(Promise.all(calls), 'all answers')) assert.deepEqual([res.status, res.text], [200, '{}\n']);
    for (const one of subscribers) for (const text of await one.inbox.take(40)) assert.equal(text.length, data.length);
  });
});

describe('events.rate', () => {
  const RATE = 200;
  const server = useServer({ before, after }, { set: { 'events.rate': RATE, workers: 1 } }, startPeal);
  const slow = useServer({ before, after }, { set: { 'events.rate': 1, workers: 1 } }, startPeal);
  const paused = (one) => metric(one, 'peal_clients_paused_total{reason="rate"}');

  for (const [name, mode] of Object.entries(MODES)) {
    test(`over ${name}: what is beyond it comes later`, async (t) => {
      const socket = await connect(t, server, mode);
      if (!mode.transports) await upgraded(socket);
      const before = await paused(server);
      const answers = numbers(1.5 * RATE).map((i) => socket.timeout(20_000).emitWithAck('e', i));
      assert.deepEqual(await Promise.all(answers), numbers(1.5 * RATE));
      assert.ok(await paused(server) - before > 10);
      assert.ok(socket.connected);
    });
  }

  test('over a plain WebSocket', async (t) => {
    const ws = await open(t, server, '/ws/rated');
    const before = await paused(server);
    for (const text of numbers(1.5 * RATE)) ws.send(text);
    assert.deepEqual(await ws.inbox.take(1.5 * RATE), numbers(1.5 * RATE));
    assert.ok(await paused(server) - before > 10);
  });

  test('a POST is answered when its last packet has been dealt with', async () => {
    const p = await Polling.open(server);
    await p.join();
    const packets = numbers(1.5 * RATE).map((i) => `42${i}["e",${i}]`);
    const res = await p.post(packets.join(RS));
    assert.deepEqual([res.status, res.text], [200, 'ok']);
    const got = [];
    while (got.length < packets.length) got.push(...(await p.get()).text.split(RS));
    assert.deepEqual(got, numbers(1.5 * RATE).map((i) => `43${i}[${i}]`));
  });

  test('a client that does not wait for the answer to its POST is closed, and both are answered', async () => {
    const p = await Polling.open(slow);
    assert.equal((await p.post('40')).text, 'ok');
    const before = await paused(slow);
    const first = p.post(['42["e"]', '42["e"]', '42["e"]'].join(RS));
    await until(async () => await paused(slow) > before, 'it to be paused');
    assert.equal((await p.post('42["e"]')).status, 400);
    assert.equal((await first).status, 400);
    await p.ends();
  });

  test('a client that ends while it is paused is gone', async (t) => {
    const p = await Polling.open(slow);
    assert.equal((await p.post('40')).text, 'ok');
    const before = await paused(slow);
    const body = ['42["e"]', '42["e"]', '42["e"]'].join(RS);
    const post = await p.connection();
    post.write(`POST ${p.path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await until(async () => await paused(slow) > before, 'it to be paused');
    post.destroy();
    await p.ends();
    const ws = await open(t, slow, '/ws/rated');
    const had = await paused(slow);
    for (const text of numbers(10)) ws.send(text);
    await until(async () => await paused(slow) > had, 'it to be paused');
    ws.terminate();
    await until(async () => await metric(slow, 'peal_sessions{protocol="ws"}') === 0, 'it to be gone');
  });
});

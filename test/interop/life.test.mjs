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

import { formatRequest, rawConnect, request } from './lib/http.mjs';
import { startPeal } from './lib/peal.mjs';
import { next, until, within } from './lib/wait.mjs';

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

describe('rules of plain channels', () => {
  let server;
  before(async () => {
    writeFileSync(file('rules.yaml'), `rules:
  channels:
    "in-*": { publish: true }
    "out-*": { subscribe: true }
    "both-*": { subscribe: true, publish: true }
    /nsp: { subscribe: true }
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
    await conn.readUntil('retry: 2000\n\n');
    ws.send('x'.repeat(100_000));
    assert.equal((await next(ws, 'message'))[0].length, 100_000);
    assert.equal((await conn.readUntil('\n\n')).length, 100_000 + 'data: \n\n'.length);
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

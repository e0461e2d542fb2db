// SPDX-License-Identifier: MIT
//
// Bodies of polls, compressed: who gets them so, from which size on, and that nobody who
// reads them notices.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gunzipSync, inflateSync } from 'node:zlib';

import { Fetch, NodeWebSocket } from 'engine.io-client';
import * as msgpack from 'socket.io-msgpack-parser';

import { Polling, RS } from './lib/engine.mjs';
import { formatRequest, rawConnect, request } from './lib/http.mjs';
import { REFERENCE, peal, useServer } from './lib/server.mjs';
import { ask, connect, upgraded } from './lib/sio.mjs';
import { collect, next } from './lib/wait.mjs';

const POLL = '/socket.io/?EIO=4&transport=polling';
const THRESHOLD = 1024;

const dev = useServer({ before, after }, { set: { workers: 2, 'socketio.cors': 'http://a.example' } });

const DECODE = { gzip: gunzipSync, deflate: inflateSync, undefined: (body) => body };
const coding = (res) => res.headers['content-encoding'];
const decoded = (res) => DECODE[coding(res)](res.body).toString('utf8');
const varies = (res) => /(^|[, ])Accept-Encoding($|,)/.test(res.headers.vary ?? '');

// Has the server answer with a body of n bytes, an acknowledgement of the client's own text.
async function poll(p, n, accept) {
  const text = 'abcdefghij'.repeat(Math.ceil(n / 10)).slice(0, n - '431[""]'.length);
  assert.equal((await p.post(`421["q","${text}"]`)).text, 'ok');
  const res = await p.get(accept === undefined ? {} : { 'Accept-Encoding': accept });
  assert.equal(decoded(res), `431["${text}"]`);
  return res;
}

async function joined(server = dev) {
  const p = await Polling.open(server);
  await p.join();
  return p;
}

describe('a poll', () => {
  for (const [accept, want] of [
    ['gzip', 'gzip'],
    ['deflate', 'deflate'],
    ['gzip, deflate, br', 'gzip'],
    ['gzip;q=0.2, deflate;q=0.7', 'deflate'],
    ['gzip;q=0, deflate', 'deflate'],
    ['*', 'gzip'],
    ['gzip;q=0', undefined],
    ['*;q=0', undefined],
    ['br, zstd', undefined],
    ['identity', undefined],
    ['', undefined],
    [undefined, undefined],
  ]) {
    test(`of a client that accepts ${accept ?? 'nothing in particular'} is answered in ${want ?? 'clear'}`, async () => {
      const res = await poll(await joined(), 5000, accept);
      assert.equal(coding(res), want);
      if (want) assert.ok(res.body.length < 500, `${res.body.length} bytes`);
      else assert.equal(res.body.length, 5000);
      assert.match(res.headers['content-type'], /^text\/plain; charset=UTF-8$/i);
      assert.equal(res.headers['cache-control'], 'no-store');
      if (!REFERENCE) assert.equal(varies(res), true);
    });
  }

  test('of a client that takes both as gladly gets gzip', peal('the first one counts'), async () => {
    assert.equal(coding(await poll(await joined(), 5000, 'deflate, gzip')), 'gzip');
  });

  test('is compressed from 1024 bytes on', async () => {
    const p = await joined();
    const below = await poll(p, THRESHOLD - 1, 'gzip');
    assert.deepEqual([coding(below), varies(below)], [undefined, false]);
    assert.equal(coding(await poll(p, THRESHOLD, 'gzip')), 'gzip');
  });

  test('that was parked is answered as its own request asked for it', async () => {
    const p = await joined();
    for (const accept of ['gzip', 'identity', 'deflate']) {
      const conn = await p.park({ 'Accept-Encoding': accept });
      assert.equal((await p.post(`421["q","${'é'.repeat(2000)}"]`)).text, 'ok');
      const res = await conn.readResponse();
      assert.equal(coding(res), accept === 'identity' ? undefined : accept);
      assert.equal(decoded(res), `431["${'é'.repeat(2000)}"]`);
      conn.destroy();
    }
  });

  test('with many small packets is one large body', async () => {
    const p = await joined();
    const packets = Array.from({ length: 200 }, (_, i) => `42${i}["q",${i}]`);
    assert.equal((await p.post(packets.join(RS))).text, 'ok');
    const res = await p.get({ 'Accept-Encoding': 'gzip' });
    assert.equal(coding(res), 'gzip');
    assert.equal(decoded(res), packets.map((_, i) => `43${i}[${i}]`).join(RS));
  });

  test('and the next on the same connection, compressed or not, are told apart', async () => {
    const p = await joined();
    const conn = await rawConnect(dev);
    for (const [n, accept] of [[5000, 'gzip'], [10, 'gzip'], [5000, 'identity'], [70_000, 'deflate'], [2000, 'gzip']]) {
      assert.equal((await p.post(`421["q","${'x'.repeat(n)}"]`)).text, 'ok');
      conn.write(formatRequest(dev, { path: p.path, headers: { 'Accept-Encoding': accept } }));
      assert.equal(decoded(await conn.readResponse()), `431["${'x'.repeat(n)}"]`);
    }
    conn.destroy();
  });
});

describe('nothing else is compressed', () => {
  const headers = { 'Accept-Encoding': 'gzip, deflate', Origin: 'http://a.example' };

  test('neither the handshake nor the answer to a POST', async () => {
    const res = await request(dev, { path: POLL, headers });
    assert.equal(coding(res), undefined);
    assert.equal(res.text[0], '0');
    const { sid } = JSON.parse(res.text.slice(1));
    const said = await request(dev, { method: 'POST', path: `${POLL}&sid=${sid}`, headers, body: '40' });
    assert.deepEqual([said.text, coding(said), varies(said)], ['ok', undefined, false]);
  });

  test('nor preflights, HEAD and errors', async () => {
    const p = await joined();
    await p.post(`421["q","${'x'.repeat(2000)}"]`);
    for (const [method, path, status] of [['OPTIONS', p.path, 204], ['HEAD', p.path, 500], ['GET', `${POLL}&sid=x`, 400]]) {
      const res = await request(dev, { method, path, headers });
      assert.deepEqual([res.status, coding(res), varies(res)], [status, undefined, false], method);
    }
    assert.equal(decoded(await p.get(headers)), `431["${'x'.repeat(2000)}"]`);
  });
});

describe('switched off', () => {
  const off = useServer({ before, after }, { set: { 'socketio.http_compression': 'off' } });

  test('a poll is answered in clear', async () => {
    const res = await poll(await joined(off), 5000, 'gzip');
    assert.deepEqual([coding(res), varies(res)], [undefined, false]);
  });
});

// The official client with the transport that sends Accept-Encoding, as browsers do.
describe('the official client', () => {
  const packed = useServer({ before, after }, { set: { 'socketio.parser': 'msgpack' } });
  const codings = [];
  const { fetch } = globalThis;
  before(() => {
    globalThis.fetch = async (...args) => {
      const res = await fetch(...args);
      codings.push(res.headers.get('content-encoding'));
      return res;
    };
  });
  after(() => {
    globalThis.fetch = fetch;
  });

  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) & 255));
  const text = 'Příliš žluťoučký kůň úpěl ďábelské ódy. '.repeat(5000);

  for (const [name, server, options] of [
    ['the default parser', dev, {}],
    ['the msgpack parser', packed, { parser: msgpack.default ?? msgpack }],
  ]) {
    test(`over polling with ${name} gets large text and bytes whole, and in order`, async (t) => {
      const socket = await connect(t, server, { transports: [Fetch], ...options });
      codings.length = 0;
      assert.deepEqual(await ask(socket, 'text', text), [text]);
      const [blob, last] = await ask(socket, 'bytes', bytes, 'last');
      assert.ok(bytes.equals(Buffer.from(blob)));
      assert.equal(last, 'last');
      const got = collect(socket, 'n', 500);
      for (let i = 0; i < 500; i++) socket.emit('n', i, 'x'.repeat(i), Buffer.alloc(i % 7, i));
      assert.deepEqual((await got).map(([i, x, b]) => [i, x.length, Buffer.from(b).length]),
        Array.from({ length: 500 }, (_, i) => [i, i, i % 7]));
      assert.ok(codings.includes('gzip'), `${codings}`);
    });
  }

  test('hears the same as one over WebSocket, before and after an upgrade', async (t) => {
    const ws = await connect(t, dev, { transports: ['websocket'], nsp: '/z' });
    const polling = await connect(t, dev, { transports: [Fetch], nsp: '/z' });
    const moving = await connect(t, dev, { transports: [Fetch, NodeWebSocket], nsp: '/z' });
    for (let round = 0; round < 2; round++) {
      const heard = [ws, polling, moving].map((socket) => next(socket, 'large'));
      ws.emit('large', text, bytes);
      for (const [words, blob] of await Promise.all(heard)) {
        assert.equal(words, text);
        assert.ok(bytes.equals(Buffer.from(blob)));
      }
      await upgraded(moving);
    }
  });
});

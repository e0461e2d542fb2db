// SPDX-License-Identifier: MIT
//
// Files in the binary: the clients of Socket.IO byte for byte, and the page with its policy.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { request } from './lib/http.mjs';
import { startPeal } from './lib/peal.mjs';

const require = createRequire(import.meta.url);
const package_ = require.resolve('socket.io/package.json');
const { version } = require(package_);
const NAMES = ['socket.io.js', 'socket.io.min.js', 'socket.io.esm.min.js', 'socket.io.msgpack.min.js']
  .flatMap((name) => [name, `${name}.map`]);

describe('files in the binary', () => {
  let server;
  before(async () => {
    server = await startPeal();
  });
  after(() => server?.stop());
  const ask = (path, headers = {}, method = 'GET', body = undefined) =>
    request(server, { path, headers, method, body });

  for (const name of NAMES) {
    test(`${name} is the original, plain and compressed`, async () => {
      const original = readFileSync(join(dirname(package_), 'client-dist', name));
      const plain = await ask(`/socket.io/${name}`);
      assert.equal(plain.status, 200);
      assert.deepEqual(plain.body, original);
      assert.equal(plain.headers['content-encoding'], undefined);
      assert.equal(plain.headers['content-type'],
        `application/${name.endsWith('.map') ? 'json' : 'javascript'}; charset=utf-8`);
      assert.equal(plain.headers['cache-control'], 'public, max-age=0');
      assert.equal(plain.headers.etag, `"${version}"`);
      const packed = await ask(`/socket.io/${name}?v=1`, { 'Accept-Encoding': 'br, gzip;q=0.5' });
      assert.equal(packed.headers['content-encoding'], 'gzip');
      assert.equal(packed.headers.vary, 'Accept-Encoding');
      assert.deepEqual(gunzipSync(packed.body), original);
    });
  }

  for (const [accepts, packed] of [['gzip', true], ['GZIP', true], ['deflate,gzip', true],
    ['gzip;q=0.001', true], ['gzip;q=0', false], ['gzip; q=0.000', false], ['br', false],
    ['gzipped', false], ['', false]]) {
    test(`Accept-Encoding ${JSON.stringify(accepts)}: ${packed ? 'compressed' : 'plain'}`, async () => {
      const res = await ask('/socket.io/socket.io.js', { 'Accept-Encoding': accepts });
      assert.equal(res.headers['content-encoding'], packed ? 'gzip' : undefined);
    });
  }

  for (const [tag, status] of [[`"${version}"`, 304], [`W/"${version}"`, 304], [`"0.1", W/"${version}"`, 304],
    ['*', 304], ['"0.1"', 200], [version, 200]]) {
    test(`If-None-Match ${tag}: ${status}`, async () => {
      const res = await ask('/socket.io/socket.io.min.js', { 'If-None-Match': tag });
      assert.equal(res.status, status);
      assert.equal(res.headers.etag, `"${version}"`);
      assert.equal(res.body.length > 0, status === 200);
    });
  }

  for (const path of ['/socket.io/socket.io.js', '/']) {
    test(`${path}: HEAD says as much as GET, other methods are refused`, async () => {
      const [get, head] = [await ask(path), await ask(path, {}, 'HEAD')];
      assert.equal(head.status, 200);
      assert.equal(head.headers['content-length'], String(get.body.length));
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
        const res = await ask(path, {}, method);
        assert.equal(res.status, 405, method);
        assert.equal(res.headers.allow, 'GET, HEAD');
      }
    });
  }

  test('the page is whole, and its policy names what is inline', async () => {
    const res = await ask('/', { 'Accept-Encoding': 'gzip' });
    const html = gunzipSync(res.body).toString();
    assert.equal(res.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(res.headers['x-content-type-options'], 'nosniff');
    assert.equal(res.headers['referrer-policy'], 'no-referrer');
    const policy = res.headers['content-security-policy'];
    assert.match(policy, /^default-src 'none';/);
    assert.doesNotMatch(policy, /unsafe|\*/);
    for (const tag of ['script', 'style']) {
      const [, inline] = new RegExp(`<${tag}>(.*?)</${tag}>`, 's').exec(html);
      const hash = createHash('sha256').update(inline).digest('base64');
      assert.ok(policy.includes(`${tag}-src`) && policy.includes(`'sha256-${hash}'`), tag);
    }
    assert.equal((await ask('/', { 'If-None-Match': res.headers.etag })).status, 304);
    assert.equal((await ask('/index.html')).status, 404, 'only / is the page');
  });
});

describe('what is not to be served', () => {
  async function status(options, path) {
    const server = await startPeal(options);
    try {
      return (await request(server, { path })).status;
    } finally {
      await server.stop();
    }
  }
  test('no page without --dev', async () => {
    assert.equal(await status({ dev: false }, '/'), 404);
  });
  test('clients without --dev', async () => {
    assert.equal(await status({ dev: false }, '/socket.io/socket.io.js'), 200);
  });
  test('no clients with socketio.serve_client off: a request that Engine.IO refuses', async () => {
    assert.equal(await status({ set: { 'socketio.serve_client': 'off' } }, '/socket.io/socket.io.js'), 400);
  });
  test('clients move with socketio.path', async () => {
    const set = { 'socketio.path': '/rt/' };
    assert.equal(await status({ set }, '/rt/socket.io.js'), 200);
    assert.equal(await status({ set }, '/socket.io/socket.io.js'), 404);
  });
});

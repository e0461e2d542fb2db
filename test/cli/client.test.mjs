// SPDX-License-Identifier: MIT
// peal publish and peal emit against a small server that shows what it got.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import net from 'node:net';
import { test } from 'node:test';

import { folder, peal } from './lib.mjs';

// Answers every request with answer(request) = [status, body], and remembers them.
async function listen(t, answer, where = { port: 0, host: '127.0.0.1' }, tls) {
  const seen = [];
  const handle = async (req, res) => {
    let body = '';
    for await (const part of req) body += part;
    seen.push({ url: req.url, method: req.method, headers: req.headers, body });
    const [status, text] = answer(req);
    res.writeHead(status, { 'Content-Type': 'application/json' });
    res.end(text);
  };
  const server = tls ? createSecureServer(tls, handle) : createServer(handle);
  server.on('tlsClientError', () => {});
  await new Promise((resolve) => server.listen(where, resolve));
  t.after(() => server.close());
  return { seen, url: where.path ? `unix:${where.path}` : `http${tls ? 's' : ''}://127.0.0.1:${server.address().port}` };
}

const accept = () => [200, '{}'];

test('publish posts the channel, the event and the data as they are', async (t) => {
  const { seen, url } = await listen(t, accept);
  const sent = async (...args) => {
    const { status, stderr } = await peal(['publish', '--server', url, ...args]);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const { method, url: path, body } = seen.pop();
    assert.equal(`${method} ${path}`, 'POST /api/publish');
    return body;
  };
  assert.equal(await sent('orders', '{"id": 7.10}', '-e', 'created'),
    '{"channel":"orders","event":"created","data":{"id": 7.10}}');
  assert.equal(await sent('a"b', 'hello world'), '{"channel":"a\\"b","data":"hello world"}');
  assert.equal(await sent('a', '42'), '{"channel":"a","data":42}');
  assert.equal(await sent('--text', 'a', '42'), '{"channel":"a","data":"42"}');
  assert.equal(await sent('a'), '{"channel":"a"}');
  assert.equal(await sent('--', '-a', '-1'), '{"channel":"-a","data":-1}');
});

test('data comes from standard input', async (t) => {
  const { seen, url } = await listen(t, accept);
  const input = JSON.stringify('x'.repeat(200_000));
  const { status } = await peal(['publish', '--server', url, 'a', '-'], { input });
  assert.equal(status, 0);
  assert.equal(seen[0].body, `{"channel":"a","data":${input}}`);
});

test('data that is not text is refused here', async (t) => {
  const { seen, url } = await listen(t, accept);
  const { status, stderr } = await peal(['publish', '--server', url, 'a', '-'],
    { input: Buffer.from([0xff, 0xfe]) });
  assert.equal(status, 1);
  assert.match(stderr, /not UTF-8/);
  assert.equal(seen.length, 0);
});

test('emit posts namespace, rooms, event and arguments', async (t) => {
  const { seen, url } = await listen(t, accept);
  const args = ['emit', '--server', url];
  assert.equal((await peal([...args, 'say'])).status, 0);
  assert.equal((await peal([...args, '-n', '/chat', '-r', 'a', '--room=b', '--except', 'c',
    'say', 'hi', '{"x":1}', '[]'])).status, 0);
  assert.deepEqual(seen.map((one) => one.url), ['/api/emit', '/api/emit']);
  assert.deepEqual(seen.map((one) => one.body), [
    '{"namespace":"/","event":"say"}',
    '{"namespace":"/chat","rooms":["a","b"],"except":["c"],"event":"say","args":["hi",{"x":1},[]]}',
  ]);
});

test('the key comes from the command line or the environment', async (t) => {
  const { seen, url } = await listen(t, accept);
  const env = { PEAL_API_KEY: 'first,second' };
  await peal(['publish', '--server', url, 'a']);
  await peal(['publish', '--server', url, 'a'], { env });
  await peal(['publish', '--server', url, '--key', 'k', 'a'], { env });
  assert.deepEqual(seen.map((one) => one.headers.authorization),
    [undefined, 'Bearer first', 'Bearer k']);
});

test('a unix socket', async (t) => {
  const path = folder(t)('s');
  const { seen, url } = await listen(t, accept, { path });
  assert.equal((await peal(['publish', '--server', url, 'a', '1'])).status, 0);
  assert.equal(seen.length, 1);
});

test('https, by the authorities that --ca names', async (t) => {
  const file = folder(t);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-nodes', '-days', '2',
    '-pkeyopt', 'ec_paramgen_curve:P-256', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-keyout', file('key.pem'), '-out', file('cert.pem')], { stdio: 'ignore' });
  const tls = { key: readFileSync(file('key.pem')), cert: readFileSync(file('cert.pem')) };
  const { seen, url } = await listen(t, accept, { port: 0, host: '127.0.0.1' }, tls);
  const trusted = await peal(['publish', '--server', url, '--ca', file('cert.pem'), 'a', '1']);
  assert.equal(trusted.stderr, '');
  assert.equal(trusted.status, 0);
  assert.equal(seen[0].body, '{"channel":"a","data":1}');
  assert.equal(seen[0].headers.host, new URL(url).host);
  const other = await peal(['publish', '--server', url, 'a', '1']);
  assert.equal(other.status, 1);
  assert.match(other.stderr, /certificate/);
  assert.equal(seen.length, 1);
});

test('a refusal is said in the words of the server', async (t) => {
  const { url } = await listen(t,
    () => [401, '{"error":{"code":"unauthorized","message":"send one of \\"the keys\\""}}']);
  const { status, stdout, stderr } = await peal(['publish', '--server', url, 'a']);
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.equal(stderr, 'peal publish: refused (401): send one of "the keys"\n');
});

test('answers that are no answers of the API', async (t) => {
  for (const body of ['', 'nope', '{}', '{"error":1}', '{"error":{"message":1}}', '[]']) {
    const { url } = await listen(t, () => [502, body]);
    const { status, stderr } = await peal(['emit', '--server', url, 'a']);
    assert.equal(status, 1);
    assert.equal(stderr, 'peal emit: refused (502)\n', body);
  }
  for (const bytes of ['', 'SSH-2.0-x\r\n', 'HTTP/1.1 2xx OK\r\n\r\n']) {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => socket.end(bytes));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { status, stderr } =
      await peal(['emit', '--server', `http://127.0.0.1:${server.address().port}`, 'a']);
    server.close();
    assert.equal(status, 1);
    assert.match(stderr, /without an answer|is not HTTP/);
  }
});

test('servers that cannot be', async () => {
  for (const [url, message] of [
    ['https://127.0.0.1:1', /cannot connect/],
    ['example.com', /expected http:\/\/host:port, https:\/\/host:port or unix:\/path/],
    ['http://', /expected http/],
    ['http://a:', /expected http/],
    ['http://a/b', /expected http/],
    ['unix:relative', /expected unix:\/path/],
    ['unix:/nonexistent/socket', /cannot connect/],
    ['http://127.0.0.1:1', /cannot connect/],
    ['http://[::1', /expected http/],
    ['http://name.invalid', /the host is not known|timed out/],
  ]) {
    const { status, stderr } = await peal(['publish', '--server', url, 'a']);
    assert.equal(status, 1, url);
    assert.match(stderr, message);
  }
});

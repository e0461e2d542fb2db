// SPDX-License-Identifier: MIT
//
// The HTTP API, health and metrics, as back ends and operators meet them: every field, every
// refusal, and that what is refused was not sent.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { rawWebSocket } from './lib/frames.mjs';
import { formatRequest, rawConnect, request } from './lib/http.mjs';
import { startPeal as start } from './lib/peal.mjs';
import { useServer } from './lib/server.mjs';
import { connect, settled } from './lib/sio.mjs';
import { next } from './lib/wait.mjs';

const dev = useServer({ before, after }, { set: { workers: 2, 'http.body_max': '64k' } }, start);
const keyed = useServer({ before, after }, {
  set: { 'api.key': ['first-key', 'second-key'], 'http.cors': 'https://a.example' },
}, start);

const JSON_TYPE = { 'Content-Type': 'application/json' };
const post = (server, path, body, headers = JSON_TYPE) => request(server, { method: 'POST', path, headers,
  body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body) });
const publish = (server, body, headers) => post(server, '/api/publish', body, headers);
const emit = (server, body, headers) => post(server, '/api/emit', body, headers);

const sent = (res) => assert.deepEqual([res.status, res.text, res.headers['content-type']], [200, '{}\n', 'application/json']);
function refused(res, status, code, message) {
  assert.equal(res.status, status, res.text);
  assert.equal(res.headers['content-type'], 'application/json');
  const { error, ...rest } = JSON.parse(res.text);
  assert.deepEqual(rest, {});
  assert.equal(error.code, code);
  assert.match(error.message, message);
}

describe('publish', () => {
  test('one channel, several, and who listens to both hears it once', async (t) => {
    const [a, both] = [await rawWebSocket(dev, '/ws/a'), await rawWebSocket(dev, '/ws?channel=a&channel=b')];
    t.after(() => [a, both].forEach((ws) => ws.destroy()));
    sent(await publish(dev, { channel: 'a', data: 1 }));
    sent(await publish(dev, { channels: ['a', 'b', 'a'], data: 2, volatile: false }));
    sent(await publish(dev, { channels: ['b'], data: 3 }));
    sent(await publish(dev, { channel: 'a' }));
    assert.deepEqual([await a.readText(), await a.readText(), await a.readText()], ['1', '2', 'null']);
    const got = [];
    for (let i = 0; i < 4; i++) got.push(JSON.parse(await both.readText()).data);
    assert.deepEqual(got, [1, 2, 3, null]);
  });

  test('nobody has to listen', async () => sent(await publish(dev, { channel: 'nobody at all', data: {} })));

  test('a thousand channels fit, one more does not', async () => {
    const channels = Array.from({ length: 1001 }, (_, i) => `c${i}`);
    sent(await publish(dev, { channels: channels.slice(1), data: 1 }));
    refused(await publish(dev, { channels, data: 1 }), 400, 'invalid_field', /channels: more than 1000/);
  });

  const bad = {
    'no channel': ['{"data":1}', 'invalid_field', /channel: required/],
    'channel and channels': ['{"channel":"w","channels":["w"]}', 'invalid_field', /exclude each other/],
    'an empty channel': ['{"channel":""}', 'invalid_field', /channel: .*empty/],
    'no channels': ['{"channels":[]}', 'invalid_field', /channels: must not be empty/],
    'a number': ['{"channel":7}', 'invalid_field', /channel: expected a string/],
    'a number among them': ['{"channels":["w",7]}', 'invalid_field', /channels: expected/],
    'a namespace': ['{"channel":"/nsp"}', 'invalid_field', /use \/api\/emit/],
    'a namespace, escaped': ['{"channel":"\\u002fnsp"}', 'invalid_field', /use \/api\/emit/],
    'a long name': [`{"channel":"${'x'.repeat(1025)}"}`, 'invalid_field', /longer than 1024/],
    'a reserved event': ['{"channel":"w","event":"connect"}', 'invalid_field', /event: .*reserved/],
    'the same, escaped': ['{"channel":"w","event":"dis\\u0063onnect"}', 'invalid_field', /event: .*reserved/],
    'a number as event': ['{"channel":"w","event":1}', 'invalid_field', /event:/],
    'an empty event': ['{"channel":"w","event":""}', 'invalid_field', /event:/],
    'volatile that is neither': ['{"channel":"w","volatile":"yes"}', 'invalid_field', /volatile: expected true or false/],
    'a field twice': ['{"channel":"w","data":1,"d\\u0061ta":2}', 'invalid_field', /data: duplicate field/],
    'a field nobody knows': ['{"channel":"w","date":1}', 'unknown_field', /"date"/],
    'nothing': ['', 'invalid_json', /JSON/],
    'an array': ['[]', 'invalid_json', /object/],
    'half of it': ['{"channel":"w"', 'invalid_json', /JSON/],
    'more than one': ['{"channel":"w"} {}', 'invalid_json', /JSON/],
    'a comma too many': ['{"channel":"w",}', 'invalid_json', /JSON/],
    'no UTF-8': [Buffer.from('{"channel":"w","data":"\xff"}', 'latin1'), 'invalid_json', /JSON/],
    'a control character': ['{"channel":"w","data":"\u0001"}', 'invalid_json', /JSON/],
    'a depth without end': [`{"channel":"w","data":${'['.repeat(5000)}${']'.repeat(5000)}}`, 'invalid_json', /deep/],
  };
  for (const [name, [body, code, message]] of Object.entries(bad)) {
    test(`${name}: 400 that says so, and nobody hears of it`, async (t) => {
      const ws = await rawWebSocket(dev, '/ws/w');
      t.after(() => ws.destroy());
      refused(await publish(dev, body), 400, code, message);
      sent(await publish(dev, { channel: 'w', data: 'after it' }));
      assert.equal(await ws.readText(), 'after it');
    });
  }
});

describe('emit', () => {
  const room = async (t, name, nsp = '/') => {
    const socket = await connect(t, dev, { transports: ['websocket'], nsp });
    socket.strays = [];
    socket.onAny((...args) => socket.strays.push(args));
    for (const one of [name].flat()) socket.emit('join', one);
    await settled(socket);
    return socket;
  };

  test('to a namespace, to rooms, to one session, but for some', async (t) => {
    const nsp = '/emit';
    const [red, blue, both] = [await room(t, 'red', nsp), await room(t, 'blue', nsp), await room(t, ['red', 'blue'], nsp)];
    const all = { red, blue, both };
    const cases = [
      [{}, ['red', 'blue', 'both']],
      [{ rooms: 'red' }, ['red', 'both']],
      [{ rooms: ['red', 'blue'] }, ['red', 'blue', 'both']],
      [{ rooms: ['red', 'blue'], except: 'red' }, ['blue']],
      [{ except: ['blue'] }, ['red']],
      [{ except: [] }, ['red', 'blue', 'both']],
      [{ rooms: blue.id }, ['blue']],
      [{ rooms: [red.id, 'red'] }, ['red', 'both']],
      [{ rooms: 'red', except: red.id }, ['both']],
      [{ rooms: 'nobody' }, []],
    ];
    const expected = { red: [], blue: [], both: [] };
    for (const [i, [where, who]] of cases.entries()) {
      sent(await emit(dev, { namespace: nsp, event: 'e', args: [i], ...where }));
      for (const name of who) expected[name].push(['e', i]);
    }
    for (const [name, socket] of Object.entries(all)) {
      await settled(socket);
      assert.deepEqual(socket.strays, expected[name], name);
    }
  });

  test('the namespace is / if none is named, and others hear nothing', async (t) => {
    const [main, other] = [await room(t, 'r'), await room(t, 'r', '/other')];
    const got = next(main, 'only main');
    sent(await emit(dev, { event: 'only main', rooms: ['r'], args: [{ a: 1 }, 'two', null] }));
    assert.deepEqual(await got, [{ a: 1 }, 'two', null]);
    await settled(other);
    assert.deepEqual(other.strays, []);
  });

  const bad = {
    'no event': ['{"args":[]}', 'invalid_field', /event: required/],
    'a reserved event': ['{"event":"newListener"}', 'invalid_field', /event: .*reserved/],
    'args that are no array': ['{"event":"e","args":{}}', 'invalid_field', /args: expected an array/],
    'rooms without one': ['{"event":"e","rooms":[]}', 'invalid_field', /rooms: empty; leave it out/],
    'rooms without one, spaced': ['{"event":"e","rooms":[ \\n]}'.replace('\\n', '\n'), 'invalid_field', /rooms: empty/],
    'rooms that are a number': ['{"event":"e","rooms":1}', 'invalid_field', /rooms: expected/],
    'a namespace without /': ['{"event":"e","namespace":"chat"}', 'invalid_field', /namespace: begins with \//],
    'a namespace with #': ['{"event":"e","namespace":"/a#b"}', 'invalid_field', /namespace: .*#/],
    'a long namespace': [`{"event":"e","namespace":"/${'n'.repeat(256)}"}`, 'invalid_field', /256/],
    'data': ['{"event":"e","data":1}', 'unknown_field', /"data"/],
  };
  for (const [name, [body, code, message]] of Object.entries(bad))
    test(`${name}: 400 that says so`, async () => refused(await emit(dev, body), 400, code, message));
});

describe('the form of a request', () => {
  test('any method but POST is 405', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'post']) { // methods are case-sensitive
      const res = await request(dev, { method, path: '/api/publish' });
      refused(res, 405, 'method_not_allowed', /POST/);
      assert.equal(res.headers.allow, 'POST');
    }
  });

  test('any other path is 404', async () => {
    for (const path of ['/api/', '/api/publish/', '/api/x'])
      refused(await post(dev, path, {}), 404, 'not_found', /\/api\/publish, \/api\/emit and \/api\/nodes/);
  });

  test('JSON may say that it is, or say nothing', async () => {
    for (const type of ['application/json', 'Application/JSON; charset=utf-8', undefined])
      sent(await publish(dev, { channel: 'a' }, type ? { 'Content-Type': type } : {}));
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', ''])
      refused(await publish(dev, { channel: 'a' }, { 'Content-Type': type }), 415, 'unsupported_media_type', /application\/json/);
  });

  test('a body that announces too much is refused before it comes', async () => {
    const conn = await rawConnect(dev);
    conn.write(formatRequest(dev, { method: 'POST', path: '/api/publish', headers: { ...JSON_TYPE, 'Content-Length': '65537' } }));
    refused(await conn.readResponse(), 413, 'too_large', /65536 bytes/);
    conn.destroy();
    sent(await publish(dev, `{"channel":"a"}${' '.repeat(65536 - 15)}`));
  });

  test('one in chunks that grows too large gets 413', async () => {
    const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`;
    const res = await request(dev, { method: 'POST', path: '/api/publish', body: `${chunk.repeat(5)}0\r\n\r\n`,
      headers: { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' } });
    assert.equal(res.status, 413);
    sent(await request(dev, { method: 'POST', path: '/api/publish', body: '8\r\n{"channe\r\n7\r\nl":"a"}\r\n0\r\n\r\n',
      headers: { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' } }));
  });

  test('a client may wait for 100 Continue', async () => {
    const conn = await rawConnect(dev);
    const body = '{"channel":"a"}';
    conn.write(formatRequest(dev, { method: 'POST', path: '/api/publish',
      headers: { ...JSON_TYPE, 'Content-Length': String(body.length), Expect: '100-continue' } }));
    assert.equal((await conn.readHead()).status, 100);
    conn.write(body);
    sent(await conn.readResponse());
    conn.destroy();
  });

  test('many on one connection, sent at once, are answered in order', async (t) => {
    const ws = await rawWebSocket(dev, '/ws/many');
    t.after(() => ws.destroy());
    const conn = await rawConnect(dev);
    const one = (i) => formatRequest(dev, { method: 'POST', path: i % 10 ? '/api/publish' : '/api/nothing', headers: JSON_TYPE,
      body: JSON.stringify({ channel: 'many', data: i }) });
    conn.write(Buffer.concat(Array.from({ length: 200 }, (_, i) => one(i))));
    for (let i = 0; i < 200; i++) assert.equal((await conn.readResponse()).status, i % 10 ? 200 : 404);
    conn.destroy();
    for (let i = 0; i < 200; i++) if (i % 10) assert.equal(await ws.readText(), String(i));
  });
});

describe('who may', () => {
  const key = (value) => ({ ...JSON_TYPE, Authorization: value });

  test('whoever has one of the keys', async () => {
    for (const value of ['Bearer first-key', 'Bearer second-key', 'bearer first-key'])
      sent(await publish(keyed, { channel: 'a' }, key(value)));
  });

  test('nobody else: 401 that says what to send, before the body', async () => {
    for (const value of ['Bearer third-key', 'Bearer first-ke', 'Bearer first-keyx', 'Bearer ', 'Bearer', 'Basic first-key', 'first-key']) {
      const res = await publish(keyed, { channel: 'a' }, key(value));
      refused(res, 401, 'unauthorized', /Authorization: Bearer <key>/);
      assert.equal(res.headers['www-authenticate'], 'Bearer');
    }
    refused(await emit(keyed, 'rubbish'), 401, 'unauthorized', /api\.key/);
    const conn = await rawConnect(keyed);
    conn.write(formatRequest(keyed, { method: 'POST', path: '/api/publish', headers: { ...JSON_TYPE, 'Content-Length': '1000' } }));
    refused(await conn.readResponse(), 401, 'unauthorized', /Bearer/);
    conn.destroy();
  });

  test('pages of an origin in http.cors, with a key', async () => {
    const ask = { Origin: 'https://a.example', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization' };
    const flight = await request(keyed, { method: 'OPTIONS', path: '/api/publish', headers: ask });
    assert.equal(flight.status, 204);
    assert.equal(flight.headers['access-control-allow-origin'], 'https://a.example');
    const res = await publish(keyed, { channel: 'a' }, { ...key('Bearer first-key'), Origin: 'https://a.example' });
    sent(res);
    assert.equal(res.headers['access-control-allow-origin'], 'https://a.example');
    const other = await publish(keyed, { channel: 'a' }, { ...key('Bearer first-key'), Origin: 'https://b.example' });
    assert.equal(other.headers['access-control-allow-origin'], undefined);
  });

  test('with --dev and no key, programs on this machine, not pages or proxies', async () => {
    for (const headers of [{}, { Host: 'localhost:80' }, { Host: '[::1]' }, { Origin: 'http://localhost:3000' }, { Origin: 'http://127.0.0.1' }])
      sent(await publish(dev, { channel: 'a' }, { ...JSON_TYPE, ...headers }));
    for (const headers of [{ Host: 'evil.example' }, { Host: 'localhost.evil.example' }, { Origin: 'http://evil.example' },
      { Origin: 'null' }, { 'X-Forwarded-For': '127.0.0.1' }, { Forwarded: 'for=127.0.0.1' }, { Via: '1.1 x' }])
      refused(await publish(dev, { channel: 'a' }, { ...JSON_TYPE, ...headers }), 403, 'forbidden', /this machine/);
  });

  test('in dev mode pages of other origins may read event streams, and not the answers of the API', async (t) => {
    const origin = 'http://localhost:3000'; // of a page on another port of this machine
    const conn = await rawConnect(dev);
    t.after(() => conn.destroy());
    conn.write(formatRequest(dev, { path: '/sse/a', headers: { Origin: origin } }));
    assert.equal((await conn.readHead()).headers['access-control-allow-origin'], '*');
    const res = await publish(dev, { channel: 'a' }, { ...JSON_TYPE, Origin: origin });
    assert.deepEqual([res.status, res.headers['access-control-allow-origin']], [200, undefined]);
  });

  test('nobody without --dev and key', async (t) => {
    const off = await start({ dev: false, set: { 'drain.delay': '0s', 'drain.window': '0s' } });
    t.after(() => off.stop());
    refused(await publish(off, { channel: 'a' }), 403, 'forbidden', /set api\.key/);
  });

  test('nobody is counted as nobody', async () => {
    const { text } = await request(keyed, { path: '/metrics' });
    const count = (result) => Number(new RegExp(`peal_api_requests_total\\{result="${result}"\\} (\\d+)`).exec(text)[1]);
    assert.ok(count('unauthorized') >= 9);
    assert.ok(count('ok') >= 5);
  });
});

describe('health and metrics', () => {
  test('live and ready, to GET and HEAD', async () => {
    for (const [path, body] of [['/livez', 'ok\n'], ['/readyz', 'ready\n']]) {
      const get = await request(dev, { path });
      assert.deepEqual([get.status, get.text, get.headers['cache-control']], [200, body, 'no-store']);
      const head = await request(dev, { method: 'HEAD', path });
      assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', String(body.length)]);
      assert.equal((await request(dev, { method: 'POST', path })).status, 405);
    }
  });

  test('metrics are families with help and type, each once, and numbers', async () => {
    const res = await request(dev, { path: '/metrics' });
    assert.equal(res.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    const types = new Map();
    const seen = new Set();
    let family;
    for (const line of res.text.trimEnd().split('\n')) {
      const [, name, type] = /^# TYPE (\w+) (counter|gauge)$/.exec(line) ?? [];
      if (name) {
        assert.ok(!types.has(name), `${name} twice`);
        assert.equal(family, name, 'HELP comes before TYPE');
        types.set(name, type);
        continue;
      }
      const help = /^# HELP (\w+) (\S.*)$/.exec(line);
      if (help) {
        [, family] = help;
        continue;
      }
      const sample = /^(\w+)(\{[^{}]*\})? (-?[\d.]+(e[+-]?\d+)?)$/.exec(line);
      assert.ok(sample, `not a sample: ${line}`);
      assert.equal(sample[1], family);
      assert.ok(!seen.has(sample[1] + (sample[2] ?? '')), `${line} twice`);
      seen.add(sample[1] + (sample[2] ?? ''));
      if (types.get(family) === 'counter') assert.match(family, /_total$/);
      assert.ok(Number(sample[3]) >= 0 || types.get(family) === 'gauge', line);
    }
    assert.match(res.text, /^peal_build_info\{version="\d+\.\d+\.\d+",engine="(uring|epoll)",node="[^"]+"\} 1$/m);
    assert.match(res.text, /^peal_ready 1$/m);
    assert.match(res.text, /^peal_workers 2$/m);
  });

  test('admin.listen takes them away from clients, and gives nothing else', async (t) => {
    const server = await start({ set: { 'admin.listen': '127.0.0.1:0' } });
    t.after(() => server.stop());
    const [, port] = await server.log(/address=127\.0\.0\.1:(\d+) tls=off for=admin/);
    const admin = { host: '127.0.0.1', port: Number(port) };
    for (const path of ['/livez', '/readyz', '/metrics']) {
      assert.equal((await request(admin, { path })).status, 200);
      assert.equal((await request(server, { path })).status, 404);
    }
    for (const path of ['/api/publish', '/ws/a', '/sse/a', '/socket.io/?EIO=4&transport=polling', '/'])
      assert.equal((await request(admin, { path })).status, 404);
  });
});

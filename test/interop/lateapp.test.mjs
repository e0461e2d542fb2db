// SPDX-License-Identifier: MIT
//
// An app that answers later, from another thread: test/servers/late_app.c, which answers
// when the test tells it to. Nothing here waits for time.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import WebSocket from 'ws';

import { EventSource } from './lib/event-source.mjs';
import { Polling } from './lib/engine.mjs';
import { request } from './lib/http.mjs';
import { useSuiteServer } from './lib/server.mjs';
import { MODES, connect, connected, makeClient } from './lib/sio.mjs';
import { Inbox, next, until, within } from './lib/wait.mjs';

// enum peal_session_end
const CLIENT = 0, LOST = 1, BAD_INPUT = 8;

describe('an app that answers later', () => {
  const server = useSuiteServer({ before, after }, 'late_app');

  const log = async () => (await request(server, { path: '/late/log' })).text;
  const logged = (line) => until(async () => (await log()).split('\n').includes(line), `"${line}" in the log`);
  const answer = (key, how) => request(server, { path: `/late/answer/${key}/${how}` });
  let n = 0;
  const unique = (name) => `${name}-${++n}`;

  async function open(t, path) {
    const ws = new WebSocket(`ws://${server.host}:${server.port}${path}`);
    ws.inbox = new Inbox('message');
    ws.on('message', (data) => ws.inbox.push(data.toString()));
    ws.on('error', () => {});
    ws.closed = new Promise((resolve) => ws.on('close', (code, why) => resolve([code, why.toString()])));
    ws.opened = new Promise((resolve, reject) => {
      ws.once('open', resolve);
      ws.once('error', reject);
    });
    ws.opened.catch(() => {});
    t.after(() => ws.terminate());
    return ws;
  }

  function stream(t, path) {
    const es = new EventSource(`${server.url}${path}`);
    es.opened = within(new Promise((resolve) => (es.onopen = resolve)), 'the stream to open');
    t.after(() => es.close());
    return es;
  }

  for (const [name, mode] of Object.entries(MODES)) {
    test(`a connect is allowed, over ${name}`, async (t) => {
      const nsp = unique('late');
      const socket = makeClient(t, server, { ...mode, nsp: `/${nsp}` });
      await logged(`asked ${nsp}`);
      assert.equal(socket.connected, false);
      await answer(nsp, 'allow');
      await connected(socket);
      assert.equal(await socket.emitWithAck('now', 'x'), 'x');
      await logged(`allow ${nsp} ok`);
    });

    test(`a connect is refused, over ${name}`, async (t) => {
      const nsp = unique('late');
      const socket = makeClient(t, server, { ...mode, nsp: `/${nsp}`, reconnection: false });
      const refused = next(socket, 'connect_error');
      await answer(nsp, 'refuse');
      assert.match((await refused)[0].message, /^not today$/);
    });

    test(`events that are kept stop no other event, and are acknowledged in any order, over ${name}`, async (t) => {
      const socket = await connect(t, server, mode);
      const [one, two] = [unique('keep'), unique('keep')];
      const first = socket.emitWithAck(one, 'a');
      const second = socket.emitWithAck(two, 'b');
      await logged(`asked ${two}`);
      assert.equal(await socket.emitWithAck('now', 7), 7);
      await answer(two, 'ack');
      assert.equal(await second, 'late');
      await answer(one, 'ack');
      assert.equal(await first, 'late');
    });
  }

  test('the first answer counts', async (t) => {
    const nsp = unique('late');
    const socket = makeClient(t, server, { nsp: `/${nsp}` });
    await answer(nsp, 'twice');
    await connected(socket);
    await logged(`twice ${nsp} already exists`);
  });

  test('a question that is given up is a refusal', async (t) => {
    const nsp = unique('late');
    const socket = makeClient(t, server, { nsp: `/${nsp}`, reconnection: false });
    const refused = next(socket, 'connect_error');
    await answer(nsp, 'release');
    assert.match((await refused)[0].message, /^try again later$/);
  });

  test('an event of a client that has left is answered to nobody', async (t) => {
    const socket = await connect(t, server);
    const key = unique('keep');
    socket.emit(key, 1, () => assert.fail('it has left'));
    await logged(`asked ${key}`);
    const ends = (await log()).split(`end socketio ${CLIENT}`).length;
    socket.disconnect();
    await until(async () => (await log()).split(`end socketio ${CLIENT}`).length > ends, 'the end');
    await answer(key, 'ack');
    await logged(`ack ${key} closed`);
  });

  test('an event is answered with an event', async (t) => {
    const socket = await connect(t, server);
    const key = unique('keep');
    const tick = next(socket, 'tick');
    socket.emit(key);
    await answer(key, 'emit');
    assert.deepEqual(await tick, [1, [2]]);
  });

  test('a client that waits is not read: its next packet comes after the answer', async (t) => {
    for (const polling of [false, true]) {
      const nsp = unique('late');
      const key = unique('keep');
      if (polling) {
        const client = await Polling.open(server);
        const posted = client.post(`40/${nsp},\x1e42/${nsp},["${key}"]`);
        await logged(`asked ${nsp}`);
        assert.equal((await log()).includes(key), false);
        await answer(nsp, 'allow');
        await posted;
      } else {
        const ws = await open(t, '/socket.io/?EIO=4&transport=websocket');
        await ws.opened;
        ws.send(`40/${nsp},`);
        ws.send(`42/${nsp},["${key}"]`);
        await logged(`asked ${nsp}`);
        assert.equal((await log()).includes(key), false);
        await answer(nsp, 'allow');
      }
      await logged(`asked ${key}`);
    }
  });

  test('a WebSocket of channels opens when the app allows all of them', async (t) => {
    const [a, b] = [unique('late-sub'), unique('late-sub')];
    const ws = await open(t, `/ws?channel=${a}&channel=free&channel=${b}`);
    await answer(a, 'allow');
    await logged(`asked ${b}`);
    assert.equal(ws.readyState, WebSocket.CONNECTING);
    await answer(b, 'allow');
    await ws.opened;
    ws.send(JSON.stringify({ channel: b, data: 5 }));
    assert.deepEqual(JSON.parse(await ws.inbox.shift()), { channel: b, data: 5 });
  });

  test('a WebSocket is refused when the app refuses', async (t) => {
    const channel = unique('late-sub');
    const refused = request(server, {
      path: `/ws/${channel}`,
      headers: {
        Connection: 'Upgrade', Upgrade: 'websocket',
        'Sec-WebSocket-Version': 13, 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    });
    await answer(channel, 'refuse');
    const res = await refused;
    assert.equal(res.status, 403);
    assert.match(res.text, /not today/);
  });

  test('an event stream opens when the app allows it', async (t) => {
    const channel = unique('late-sub');
    const es = stream(t, `/sse/${channel}`);
    await logged(`asked ${channel}`);
    await answer(channel, 'allow');
    await es.opened;
  });

  test('what is published while the app decides about another channel is not for the client yet', async (t) => {
    const [free, late] = [unique('free'), unique('late-sub')];
    const query = `?channel=${free}&channel=${late}`;
    const publish = (data) => request(server, {
      method: 'POST', path: '/api/publish', body: JSON.stringify({ channel: free, data }),
    });
    const es = stream(t, `/sse${query}`);
    const got = new Promise((resolve) => (es.onmessage = resolve));
    const ws = await open(t, `/ws${query}`);
    await until(async () => (await log()).split(`asked ${late}\n`).length === 3, 'both to be asked about');
    assert.equal((await publish('early')).status, 200);
    await answer(late, 'allow');
    await answer(late, 'allow');
    await Promise.all([es.opened, ws.opened]);
    assert.equal((await publish('later')).status, 200);
    assert.match((await within(got, 'an event')).data, /later/);
    assert.equal(JSON.parse(await ws.inbox.shift()).data, 'later');
  });

  test('a client that leaves before the answer leaves nothing behind', async (t) => {
    const channel = unique('late-sub');
    const ws = await open(t, `/ws/${channel}`);
    await logged(`asked ${channel}`);
    ws.terminate();
    // Its end is seen by the worker when it reads; another question of it would not come.
    await answer(channel, 'allow');
    await until(async () => /allow late-sub-\d+ (closed|ok)/.test((await log()).split(`asked ${channel}`)[1]), 'an answer');
  });

  test('messages wait for the app in their order, and are published or the client is closed', async (t) => {
    const channel = unique('late-pub');
    const reader = await open(t, `/ws/${channel}`);
    const writer = await open(t, `/ws/${channel}`);
    await Promise.all([reader.opened, writer.opened]);
    for (const text of ['one', 'two', 'three']) writer.send(text);
    await logged(`asked ${channel}`);
    assert.equal((await log()).split(`asked ${channel}\n`).length, 2, 'one question at a time');
    await answer(channel, 'allow');
    assert.equal(await reader.inbox.shift(), 'one');
    await answer(channel, 'allow');
    assert.equal(await reader.inbox.shift(), 'two');
    await answer(channel, 'refuse');
    assert.deepEqual(await writer.closed, [1008, 'not today']);
    assert.deepEqual(reader.inbox.pending, []);
  });

  test('the app is told of every end, with its reason', async (t) => {
    const count = async (line) => (await log()).split(`${line}\n`).length - 1;
    const ends = async (what, line) => {
      const before = await count(line);
      await what();
      await until(async () => await count(line) > before, `"${line}"`);
    };
    const ws = await open(t, '/ws/a');
    await ws.opened;
    await ends(() => ws.close(), `end ws ${LOST}`);
    const bad = await open(t, '/ws?channel=b');
    await bad.opened;
    await ends(() => bad.send('no envelope'), `end ws ${BAD_INPUT}`);
    const es = stream(t, '/sse/a');
    await es.opened;
    await ends(() => es.close(), `end sse ${LOST}`);
    const socket = await connect(t, server);
    await ends(() => socket.disconnect(), `end socketio ${CLIENT}`);
  });

  test('what the app attaches to a session is released with it', async (t) => {
    const socket = await connect(t, server);
    assert.doesNotMatch(await log(), /users 0\n/);
    socket.disconnect();
    await logged('users 0');
  });
});

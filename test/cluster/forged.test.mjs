// SPDX-License-Identifier: MIT
//
// Somebody who is no node publishes on the Redis what nodes publish for each other.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { request } from '../interop/lib/http.mjs';
import { ask as askClient, connect } from '../interop/lib/sio.mjs';
import { next, until } from '../interop/lib/wait.mjs';
import { freePort, listNodes, startCluster, united, useBed } from './lib/bed.mjs';
import { openWebSocket } from './lib/clients.mjs';
import { ask, startRedis } from './lib/redis.mjs';

const SECRET = '00112233445566778899aabbccddeeff';

const own = async (node) => (await listNodes(node)).find(({ self }) => self);
// Younger than every node: an older one with its number would be taken for its twin.
const report = (fields) => JSON.stringify({ state: 'up', started: 2 ** 50, ...fields });

// The session of an Engine.IO client that polls, begun at a node.
async function begin(node) {
  const { text } = await request(node, { path: '/socket.io/?EIO=4&transport=polling' });
  return JSON.parse(text.slice(1)).sid;
}

const post = (node, sid) => request(node, {
  method: 'POST', path: `/socket.io/?EIO=4&transport=polling&sid=${sid}`, headers: { 'Content-Type': 'text/plain' }, body: '40',
});

// One message on a channel, as a node with this number would publish it.
function batch(number, channel, args) {
  const field = (tag, text) => Buffer.concat([Buffer.from([tag, text.length]), Buffer.from(text)]);
  const record = Buffer.concat([field(1, channel), field(5, args)]);
  const head = Buffer.from([0x50, 1, 0, 0, 0, 0]);
  head.writeUInt32BE(number, 2);
  return Buffer.concat([head, Buffer.from([record.length]), record]);
}

for (const secret of ['', SECRET]) {
  describe(secret ? 'with a secret' : 'without a secret', () => {
    const bed = useBed({ before, after }, async (add) => {
      const redis = await add(startRedis());
      return { redis, nodes: await add(startCluster(2, redis, { set: secret ? { 'backplane.secret': secret } : {} })) };
    });
    const say = (topic, payload) => ask(bed.redis, 'PUBLISH', `peal:${topic}`, payload);

    test('a report in the name of a node changes nothing for its sessions', async () => {
      const [a, b] = bed.nodes;
      const { node, address } = await own(b);
      const sid = await begin(b);
      await say('nodes', report({ node, address: `127.0.0.1:${await freePort()}`, secret: 'x'.repeat(32) }));
      await say('nodes', report({ node, state: 'leaving' }));
      await say('nodes', report({ node: '00c0ffee', address: '127.0.0.1:1', secret: 'short' }));
      // Those have been read when a message that was published after them arrives.
      const res = await post(a, sid);
      assert.deepEqual([res.status, res.text], [200, 'ok']);
      assert.equal((await listNodes(a)).find((one) => one.node === node)?.address, address);
    });

    if (secret !== '') test('messages are taken from nodes alone', async (t) => {
      const [a, b] = bed.nodes;
      const client = await openWebSocket(t, a, 'news');
      await say('c:{news}', batch(0x1234567, 'news', '"forged"'));
      await b.publish({ channel: 'news', data: 'real' });
      assert.deepEqual((await client.inbox.shift())[1], 'real');
      assert.ok(await a.metric('peal_backplane_refused_total') > 0);
    });

    if (secret !== '') test('who listens learns no key', async (t) => {
      const { default: Client } = await import('ioredis');
      const spy = new Client({ port: bed.redis.port });
      t.after(() => spy.disconnect());
      await spy.subscribe('peal:nodes');
      const [, text] = await next(spy, 'message');
      assert.match(text, /^S/);
      assert.doesNotMatch(text, /"key"|"secret"/);
    });

    test('the nodes serve each other as before', async (t) => {
      const [a, b] = bed.nodes;
      const socket = await connect(t, a, { transports: ['websocket'] });
      await askClient(socket, 'join', 'red');
      const got = next(socket, 'say');
      await b.post('/api/emit', { rooms: ['red'], event: 'say', args: ['x'] });
      assert.deepEqual(await got, ['x']);
    });
  });
}

describe('two nodes with one number', () => {
  const bed = useBed({ before, after }, async (add) => {
    const redis = await add(startRedis());
    return { redis, nodes: await add(startCluster(2, redis)) };
  });
  const say = (topic, payload) => ask(bed.redis, 'PUBLISH', `peal:${topic}`, payload);

  test('the younger gets another, and its clients come back', async (t) => {
    const [a, b] = bed.nodes;
    const socket = await connect(t, b, { transports: ['websocket'] });
    const [was, id] = [(await own(b)).node, socket.id];
    const back = next(socket.io, 'reconnect');
    await say('nodes', report({ node: was, started: 1 }));
    await back;
    await until(() => socket.connected, 'the client to be back');
    const now = (await own(b)).node;
    assert.notEqual(now, was);
    assert.notEqual(socket.id, id);
    await until(async () => (await listNodes(a)).some(({ node }) => node === now), 'the other to know it');
    // The other node finds the session by its new id.
    await until(async () => (await request(b, { path: '/readyz' })).status === 200, 'it to be ready');
    const got = next(socket, 'hello');
    await a.post('/api/emit', { rooms: [socket.id], event: 'hello', args: [1] });
    assert.deepEqual(await got, [1]);
  });
});

// SPDX-License-Identifier: MIT
//
// Three nodes on one Redis, behind each kind of balancer: whoever publishes, wherever and by
// whatever protocol, everybody is told, once, in order.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { OP, frame, rawWebSocket } from '../interop/lib/frames.mjs';
import { ask, settled } from '../interop/lib/sio.mjs';
import { startHaproxy, startNginx } from './lib/balancers.mjs';
import { openAndFind, quiet, startCluster, useBed } from './lib/bed.mjs';
import { KINDS, head } from './lib/clients.mjs';
import { startRedis } from './lib/redis.mjs';

let serial = 0;
const fresh = (name = 'c') => `${name}-${process.pid}-${++serial}`;
const EVENTS = ['say', 'created', 'marker'];
const BALANCERS = {
  'no balancer': null,
  'nginx without stickiness': (nodes) => startNginx('peal-roundrobin.conf', nodes),
  'nginx, sticky': (nodes) => startNginx('peal-hash.conf', nodes),
  'HAProxy, sticky': (nodes) => startHaproxy('haproxy.cfg', nodes),
};

// Clients of a kind until each node has one: { node name: client }, and the others.
async function onEveryNode(t, bed, kind, channel) {
  const open = (target) => openAndFind(bed.nodes, () => KINDS[kind](t, target, channel, { events: EVENTS }));
  const all = [];
  if (!bed.balancer) {
    for (const node of bed.nodes) all.push(await open(node));
  }
  for (let i = 0; i < 100 && new Set(all.map((client) => client.node)).size < bed.nodes.length; i++) {
    all.push(await open(bed.balancer));
    // In round robin, if clients have as many requests as there are nodes, all come to the same.
    for (let k = 0; k < Math.floor(i / 3) % 3; k++) await head(bed.balancer, '/nothing');
  }
  assert.equal(new Set(all.map((client) => client.node)).size, bed.nodes.length, 'nodes with clients');
  for (const client of all) client.kind = kind;
  return all;
}

// What each publisher has said, in the order in which it came, for one client.
async function heard(client, total) {
  const by = {};
  for (const [, { p, n }] of await client.inbox.take(total)) (by[p] ??= []).push(n);
  return by;
}

for (const [name, start] of Object.entries(BALANCERS)) {
  describe(`three nodes, ${name}`, () => {
    const bed = useBed({ before, after }, async (add) => {
      const redis = await add(startRedis());
      const nodes = await add(startCluster(3, redis));
      return { nodes, balancer: start && await add(start(nodes)) };
    });

    beforeEach(() => quiet(bed.nodes));

    test('everything reaches everybody, once and in order', async (t) => {
      const channel = fresh();
      const clients = [];
      for (const kind of Object.keys(KINDS)) clients.push(...await onEveryNode(t, bed, kind, channel));

      const publishers = [];
      clients.forEach((client, i) => {
        if (client.publish) publishers.push((n) => client.publish({ p: `${client.kind} ${i}`, n }));
      });
      for (const node of bed.nodes) {
        publishers.push((n) => node.publish({ channel, event: 'created', data: { p: node.name, n } }));
      }
      const ROUND = 30;
      const say = async (publish, from, to) => {
        for (let n = from; n < to; n++) await publish(n);
      };
      // The second round would show what came too often in the first.
      for (const [from, to] of [[0, ROUND], [ROUND, ROUND + 1]]) {
        const numbers = Array.from({ length: to - from }, (_, i) => from + i);
        const said = Promise.all(publishers.map((publish) => say(publish, from, to)));
        for (const client of clients) {
          const by = await heard(client, publishers.length * numbers.length);
          assert.equal(Object.keys(by).length, publishers.length, `publishers that ${client.kind} has heard`);
          for (const p of Object.keys(by)) assert.deepEqual(by[p], numbers, `${p}, as heard by ${client.kind}`);
        }
        await said;
      }
    });

    test('who joins or leaves does so everywhere at once', async (t) => {
      const channel = fresh();
      const clients = await onEveryNode(t, bed, 'Socket.IO by WebSocket', channel);
      const [a] = clients;
      const others = bed.nodes.filter((node) => node !== a.node);
      for (let round = 0; round < 10; round++) {
        await ask(a.socket, 'leave', channel);
        for (const node of bed.nodes) {
          await node.publish({ channel, event: 'say', data: 'away' });
          await node.post('/api/emit', { rooms: a.socket.id, event: 'marker', args: ['over'] });
        }
        // What was said meanwhile has come to the node.
        assert.deepEqual(await a.inbox.take(3), Array.from({ length: 3 }, () => ['marker', 'over']));
        await ask(a.socket, 'join', channel);
        for (const node of others) await node.publish({ channel, event: 'say', data: 'here' });
        assert.deepEqual(await a.inbox.take(2), [['say', 'here'], ['say', 'here']]);
      }
      for (const one of clients.slice(1)) assert.equal((await one.inbox.take(50)).length, 50);
    });

    test('acknowledgements wait for what is joined, not for what is left meanwhile', async () => {
      const ws = await rawWebSocket(bed.nodes[0], '/socket.io/?EIO=4&transport=websocket');
      await ws.readText();
      ws.text('40');
      await ws.readText();
      const channel = fresh();
      for (let round = 0; round < 3; round++) {
        // One segment, so that all are read before Redis has confirmed the first.
        ws.conn.write(Buffer.concat([`421["join","${channel}-${round}"]`, '422["unrelated"]', `423["leave","${channel}-${round}"]`]
          .map((text) => frame(OP.TEXT, text))));
        for (const n of [1, 2, 3]) assert.equal((await ws.readText()).slice(0, 3), `43${n}`);
      }
      ws.destroy();
    });

    test('a channel that nobody had comes to life on the node that joins', async (t) => {
      const [a] = await onEveryNode(t, bed, 'Socket.IO by polling', fresh());
      for (let i = 0; i < 20; i++) {
        const channel = fresh('new');
        await ask(a.socket, 'join', channel);
        for (const node of bed.nodes) await node.publish({ channel, event: 'say', data: channel });
        assert.deepEqual(await a.inbox.take(3), Array.from({ length: 3 }, () => ['say', channel]));
      }
    });

    test('the id of a session reaches it alone, from every node', async (t) => {
      const channel = fresh();
      const clients = [];
      for (const kind of ['Socket.IO by WebSocket', 'Socket.IO by polling', 'Socket.IO, polling first']) {
        clients.push(...await onEveryNode(t, bed, kind, channel));
      }
      for (const from of clients) {
        for (const [i, to] of clients.entries()) from.socket.emit('to', to.socket.id, 'say', `${from.socket.id} to ${i}`);
      }
      for (const [i, to] of clients.entries()) {
        const got = (await to.inbox.take(clients.length)).map(([, text]) => text);
        assert.deepEqual(got.sort(), clients.map((from) => `${from.socket.id} to ${i}`).sort());
      }
      for (const node of bed.nodes) {
        for (const to of clients) await node.post('/api/emit', { rooms: to.socket.id, event: 'say', args: [node.name] });
      }
      for (const to of clients) {
        assert.deepEqual(new Set((await to.inbox.take(3)).map(([, text]) => text)), new Set(bed.nodes.map((node) => node.name)));
      }
      await bed.nodes[0].publish({ channel, event: 'marker', data: 0 });
      for (const client of clients) assert.deepEqual(await client.inbox.shift(), ['marker', 0]);
    });

    test('rooms that are excluded are, wherever their members are', async (t) => {
      const [room, not] = [fresh('room'), fresh('not')];
      const clients = await onEveryNode(t, bed, 'Socket.IO by WebSocket', room);
      const inside = clients.filter((_, i) => i % 2 === 0);
      for (const client of inside) await ask(client.socket, 'join', not);
      for (const node of bed.nodes) await node.post('/api/emit', { rooms: room, except: not, event: 'say', args: ['x'] });
      await bed.nodes[0].publish({ channel: room, event: 'marker', data: 1 });
      // From one publisher in order, from others in any.
      for (const client of clients) {
        const want = inside.includes(client) ? 1 : 4;
        const got = await client.inbox.take(want);
        assert.equal(got.filter(([event]) => event === 'marker').length, 1);
        assert.equal(got.filter(([event]) => event === 'say').length, want - 1);
      }
    });

    test('an event without a room reaches the namespace on all nodes, and only it', async (t) => {
      const clients = await onEveryNode(t, bed, 'Socket.IO by WebSocket', fresh());
      const nsp = `/${fresh('nsp')}`;
      const others = [];
      for (const client of clients) {
        const other = client.socket.io.socket(nsp);
        t.after(() => other.disconnect());
        other.got = [];
        await new Promise((resolve) => other.on('connect', resolve));
        other.on('say', (data) => other.got.push(data));
        others.push(other);
      }
      for (const [i, other] of others.entries()) {
        const all = Promise.all(others.map((one) => new Promise((resolve) => one.once('say', resolve))));
        other.emit('say', i);
        assert.deepEqual(await all, others.map(() => i));
      }
      for (const client of clients) {
        await settled(client.socket);
        assert.deepEqual(client.inbox.pending, []);
      }
    });
  });
}

// SPDX-License-Identifier: MIT
//
// A mixed cluster in trouble: servers come, go and hang, Redis is started again, and somebody
// publishes what means nothing.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { until } from '../interop/lib/wait.mjs';
import { Node, freePort, united } from './lib/bed.mjs';
import { emit, heard, openSocketIo, openWebSocket } from './lib/ears.mjs';
import { DIALECTS, fetched, fresh, inOrder, useMixed } from './lib/mixed.mjs';
import { ask as askRedis } from './lib/redis.mjs';
import { startSocketIo } from './lib/socketio.mjs';

// Each server reaches all, and a Node server finds all.
async function check(servers, ears, room) {
  const node = servers.find((server) => server.run);
  for (const [n, server] of servers.entries()) {
    await emit(server, { event: 'all', args: [n] });
    await emit(server, { rooms: [room], event: 'room', args: [n] });
  }
  const want = servers.flatMap((_, n) => [['all', n], ['room', n]]);
  for (const [i, got] of (await heard(servers, ears)).entries()) {
    assert.deepEqual(got.sort(([, a], [, b]) => a - b), want, ears[i].name);
  }
  assert.deepEqual(await fetched(node), inOrder(ears));
}

for (const dialect of DIALECTS) {
  describe(`a mixed cluster in trouble, socketio.adapter=${dialect}`, () => {
    const bed = useMixed({ before, beforeEach, after, afterEach }, dialect);

    test('a Node server, or a Peal node, that comes later is one of them', async (t) => {
      const room = fresh();
      const ears = await bed.everywhere(t, { rooms: [room] });
      await check(bed.servers, ears, room);
      const node = await startSocketIo(bed.redis, { dialect, name: 'a later Node' });
      t.after(() => node.stop());
      ears.push(await openSocketIo(t, node, { rooms: [room] }));
      await check([...bed.servers, node], ears, room);

      const peal = await new Node('node3', await freePort(), {
        set: { backplane: bed.redis.url, 'socketio.adapter': dialect },
      }).start();
      t.after(() => peal.stop());
      await united([...bed.peals, peal]);
      ears.push(await openSocketIo(t, peal, { rooms: [room] }));
      await check([...bed.servers, node, peal], ears, room);

      await node.kill();
      await peal.stop();
      await check(bed.servers, ears.slice(0, 3), room);
      await united(bed.peals);
    });

    test('a Peal node that hangs is waited for, and holds up nobody else', async (t) => {
      const room = fresh();
      const ears = await bed.everywhere(t, { rooms: [room] });
      const [hanging, peal, node] = bed.servers;
      hanging.process.signal('SIGSTOP');
      t.after(() => hanging.process.signal('SIGCONT'));
      // With the classic adapter it is an option of the server, how long.
      await assert.rejects(fetched(node, { ms: 1000 }), /timeout reached/);
      for (const server of [peal, node]) await emit(server, { rooms: [room], event: 'meanwhile', args: [server.name] });
      const want = [peal, node].map(({ name }) => ['meanwhile', name]).sort();
      assert.deepEqual((await heard([peal, node], ears.slice(1))).map((got) => got.sort()), [want, want]);
      hanging.process.signal('SIGCONT');
      await united(bed.peals);
      const [got] = await heard(bed.servers, ears);
      assert.deepEqual(got.filter(([event]) => event === 'meanwhile').sort(), want);
      await check(bed.servers, ears, room);
    });

    test('Redis is started again: clients of a node hear each other meanwhile, then all do', async (t) => {
      const room = fresh();
      const ears = await bed.everywhere(t, { rooms: [room] });
      const chat = await bed.everywhere(t, { nsp: '/chat', rooms: [room] });
      const dropped = () => Promise.all(
        bed.peals.map((peal) => peal.metric('peal_adapter_sent_total{result="link_slow_or_down"}')));
      const before = await dropped();
      await bed.redis.kill();
      for (const [i, peal] of bed.peals.entries()) {
        const ws = await openWebSocket(t, peal, room);
        // It has to notice first.
        await until(async () => {
          await emit(peal, { rooms: [room], event: 'here', args: [1] });
          assert.deepEqual(await ears[i].next(), ['here', 1]);
          assert.deepEqual(await ws.next(), ['message', 1]);
          return (await dropped())[i] > before[i];
        }, `${peal.name} to notice`);
      }
      await bed.redis.start();
      for (const peal of bed.peals) {
        await until(async () => await peal.metric('peal_backplane_up') === 1, `${peal.name} to be back`);
      }
      // The links of the adapters are others. They are back when all are found.
      await until(async () => {
        const found = await fetched(bed.node, { ms: 1000 }).catch(() => []);
        return JSON.stringify(found) === JSON.stringify(inOrder(ears));
      }, 'all to be found');
      await bed.node.run((_, kept) => kept.subscribed());
      await heard(bed.servers, ears);
      await check(bed.servers, ears, room);
      for (const server of bed.servers) await emit(server, { nsp: '/chat', rooms: [room], event: 'chat', args: [server.name] });
      for (const got of await heard(bed.servers, chat)) {
        assert.deepEqual(got.filter(([event]) => event === 'chat').map(([, name]) => name).sort(),
          bed.servers.map(({ name }) => name).sort());
      }
    });
  });

  describe(`a user that may not have all namespaces, socketio.adapter=${dialect}`, () => {
    const bed = useMixed({ before, beforeEach, after, afterEach }, dialect, {
      user: ['&peal:*', '-@all', '+ping', '+role', '+client|setname', '+publish', '+subscribe', '+unsubscribe',
        ...(dialect === 'redis' ? ['+psubscribe', '+punsubscribe', '&socket.io-*'] : ['+spublish', '+ssubscribe', '+sunsubscribe']),
        '&socket.io#/#*'],
    });

    test('a client in one of the others takes nothing from anybody else', async (t) => {
      const room = fresh();
      const ears = await bed.everywhere(t, { rooms: [room] });
      await check(bed.servers, ears, room);
      const links = () => Promise.all(bed.peals.map((peal) => peal.metric('peal_adapter_connects_total')));
      const had = await links();
      for (const peal of bed.peals) await openSocketIo(t, peal, { nsp: '/chat' });
      await check(bed.servers, ears, room);
      assert.deepEqual(await links(), had, 'links made');
      for (const peal of bed.peals) {
        assert.equal(await peal.metric('peal_adapter_up'), 1);
        assert.ok(await peal.metric('peal_adapter_refused_subscriptions_total') > 0);
        assert.match(peal.log, /redis refused a subscription topic="socket.io#\/chat#.*NOPERM/);
      }
    });
  });

  describe(`a mixed cluster is told nonsense, socketio.adapter=${dialect}`, () => {
    const bed = useMixed({ before, beforeEach, after, afterEach }, dialect, { tough: true });

    test('what cannot be read is counted, and nothing else happens', async (t) => {
      const room = fresh();
      const ears = await bed.everywhere(t, { rooms: [room] });
      const key = 'socket.io';
      const channels = dialect === 'redis'
        ? [`${key}#/#`, `${key}#/#${room}#`, `${key}-request#/#`]
        : [`${key}#/#`, `${key}#/#${room}#`];
      const unheard = [`${key}#/chat#`, `${key}-response#/#`, `${key}#/#nobody#`, `${key}`, `${key}#`, `${key}##`, `${key}#/`];
      const envelope = (data) => JSON.stringify({ type: 3, data, uid: 'x', nsp: '/' });
      // None of it must look to Node like something for its clients.
      const nonsense = [
        '', '\0', '{', '{}', '[]', 'null', '"text"', '{"type":"x"}', '{"type":-1}', '\xc1', '\x93', '\x93\xa1u\xc0\x80',
        '\xdd\xff\xff\xff\xff', '\xdf\xff\xff\xff\xff', '\xc6\xff\xff\xff\xff', '\x91'.repeat(5000), '['.repeat(5000),
        '{"a":'.repeat(5000), '\xff'.repeat(5000), envelope({}), envelope(null), envelope({ packet: 1 }),
      ].map((text) => Buffer.from(text, 'latin1').toString('base64'));
      const say = (channels) => bed.node.run(async (_, kept, command, channels, nonsense) => {
        for (const channel of channels) {
          for (const text of nonsense) {
            await kept.pub.call(command, channel, Buffer.from(text, 'base64'));
          }
        }
      }, dialect === 'redis' ? 'PUBLISH' : 'SPUBLISH', channels, nonsense);
      const bad = () => Promise.all(bed.peals.map((peal) => peal.metric('peal_adapter_received_total{result="unreadable"}')));
      const before = await bad();
      await say(channels);
      const more = (await heard(bed.servers, ears), await bad()).map((n, i) => n - before[i]);
      const all = channels.length * nonsense.length;
      assert.ok(more.every((n) => n >= all / 2 && n <= all), `${more} of ${all}`);
      await say(unheard);
      await check(bed.servers, ears, room);
    });
  });
}

describe('a mixed cluster on a Redis Cluster', () => {
  const bed = useMixed({ before, beforeEach, after, afterEach }, 'redis-sharded', { cluster: true });

  test('all reach all, also when channels move to another master', async (t) => {
    const room = fresh();
    const ears = await bed.everywhere(t, { rooms: [room] });
    // Channels are on different masters, so there is no order among them.
    const reach = async (servers, ears) => {
      for (const server of servers) {
        for (const rooms of [[], [room], [room, 'x'], [ears[0].id], [ears[1].id]]) {
          const sent = ['sent', rooms, server.name];
          await emit(server, { rooms, event: 'sent', args: sent.slice(1) });
          const told = ears.filter((ear) => rooms.length === 0 || rooms.some((one) => ear.isIn(one)));
          for (const ear of told) assert.deepEqual(await ear.next(), sent, `${ear.name}, from ${server.name}`);
        }
      }
    };
    await reach(bed.servers, ears);
    assert.deepEqual(await fetched(bed.node), inOrder(ears));
    for (const channel of ['socket.io#/#', `socket.io#/#${room}#`]) {
      const slot = await bed.redis.slotOf(channel);
      const owner = await bed.redis.ownerOf(slot);
      const other = bed.redis.members.find((one) => one !== owner);
      await bed.redis.move(slot, other);
      await until(async () => (await askRedis(other, 'PUBSUB', 'SHARDNUMSUB', channel))[1] >= 2, 'the nodes to follow');
    }
    // Node's client of Redis does not follow with what it has subscribed, but it finds where to publish.
    await reach(bed.servers, ears.slice(0, 2));
  });
});

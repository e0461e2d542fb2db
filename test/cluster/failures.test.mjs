// SPDX-License-Identifier: MIT
//
// What breaks in a cluster, and what its clients see of it: a node dies, Redis dies, all
// nodes are started again one after the other under load.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { Polling } from '../interop/lib/engine.mjs';
import { rawConnect, request } from '../interop/lib/http.mjs';
import { until } from '../interop/lib/wait.mjs';
import { startHaproxy, startNginx } from './lib/balancers.mjs';
import { openAndFind, quiet, startCluster, united, useBed, usedBy } from './lib/bed.mjs';
import { FOLLOWERS, Publisher, allHear, complaints, follow } from './lib/followers.mjs';
import { startRedis } from './lib/redis.mjs';

let serial = 0;
const fresh = () => `c-${process.pid}-${++serial}`;
const SET = { 'sse.retry': '100ms', 'drain.delay': '300ms', 'drain.window': '1s' };
// A balancer that is not sticky brings a client that polls to its node through any other.
const STICKY = ['nginx, sticky', 'HAProxy, sticky'];
const ONE_CONNECTION = ['Socket.IO by WebSocket', 'WebSocket', 'EventSource'];
const BALANCERS = {
  'nginx, sticky': (nodes) => startNginx('peal-hash.conf', nodes),
  'nginx without stickiness': (nodes) => startNginx('peal-roundrobin.conf', nodes),
  'HAProxy, sticky': (nodes) => startHaproxy('haproxy.cfg', nodes, { 'inter 2s': 'inter 100ms' }),
};

// Followers of all kinds, and as many more as it takes that each node has some.
async function crowd(t, bed, channel) {
  const all = [];
  const more = async () => {
    const kind = FOLLOWERS[all.length % FOLLOWERS.length];
    all.push(await openAndFind(bed.nodes, () => follow(t, kind, bed.balancer, channel)));
  };
  while (all.length < 2 * FOLLOWERS.length) await more();
  // A balancer may take a while to send clients to a node that has come back.
  await until(async () => {
    if (new Set(all.map((one) => one.node)).size === bed.nodes.length) return true;
    await more();
    return false;
  }, 'each node to have followers');
  return all;
}

for (const [name, start] of Object.entries(BALANCERS)) {
  describe(`three nodes behind ${name}`, () => {
    const bed = useBed({ before, after }, async (add) => {
      const redis = await add(startRedis());
      const nodes = await add(startCluster(3, redis, { set: SET }));
      return { nodes, redis, balancer: await add(start(nodes)) };
    });

    beforeEach(() => quiet(bed.nodes));

    test('one is killed: its clients come back elsewhere, the others notice nothing', async (t) => {
      const channel = fresh();
      const [dead, ...alive] = bed.nodes;
      const followers = await crowd(t, bed, channel);
      const publishers = bed.nodes.map((node) => new Publisher(t, node, channel));
      await allHear(followers, publishers);
      for (const publisher of publishers.slice(1)) publisher.start();

      await dead.kill();
      const orphans = followers.filter((one) => one.node === dead);
      await until(() => orphans.every((one) => one.cuts > 0), 'its clients to notice');
      await united(alive);
      for (const one of followers) await one.ready();
      for (const publisher of publishers) await publisher.pause();
      await allHear(followers, publishers.slice(1));
      // An answer to a poll that was on its way through the dead node is lost, if the balancer then
      // asks again elsewhere without the client knowing.
      const faithful = followers.filter(({ kind }) => STICKY.includes(name) || ONE_CONNECTION.includes(kind));
      assert.deepEqual(complaints(faithful), []);
      for (const one of faithful) assert.equal(one.cuts > 0, one.node === dead, `${one.kind} on ${one.node.name}`);

      await dead.start();
      await united(bed.nodes);
      await allHear(followers, publishers);
      assert.deepEqual(complaints(faithful), []);
    });

    test('all are started again, one after the other, under load', async (t) => {
      const channel = fresh();
      const followers = await crowd(t, bed, channel);
      const publishers = bed.nodes.map((node) => new Publisher(t, node, channel));
      for (const publisher of publishers) publisher.start();
      for (const [i, node] of bed.nodes.entries()) {
        await publishers[i].pause();
        node.process.signal('SIGTERM');
        const { status } = await node.process.exited;
        assert.equal(status, 0);
        await node.start();
        await united(bed.nodes);
        publishers[i].start();
        await usedBy(bed.balancer, node);
      }
      for (const publisher of publishers) await publisher.pause();
      for (const one of followers) await one.ready();
      await allHear(followers, publishers);
      assert.deepEqual(complaints(followers), []);
      for (const one of followers) assert.ok(one.cuts > 0, `${one.kind} of ${one.node.name} has moved`);
    });
  });
}

describe('Redis', () => {
  const bed = useBed({ before, after }, async (add) => {
    const redis = await add(startRedis());
    const nodes = await add(startCluster(3, redis, { set: SET }));
    return { nodes, redis, balancer: await add(BALANCERS['HAProxy, sticky'](nodes)) };
  });

  beforeEach(() => quiet(bed.nodes));
  const notReady = () => Promise.all(bed.nodes.map((node) =>
    until(async () => (await request(node, { path: '/readyz' })).status === 503, `${node.name} to notice`)));

  const TROUBLE = {
    'is killed and started again': [() => bed.redis.kill(), () => bed.redis.start()],
    'hangs for a while': [() => bed.redis.process.signal('SIGSTOP'), () => bed.redis.process.signal('SIGCONT')],
  };
  for (const [what, [begin, end]] of Object.entries(TROUBLE)) {
    test(`${what}: nodes serve their own clients, then all hear all again`, async (t) => {
      const channel = fresh();
      const followers = [];
      for (const node of bed.nodes) {
        for (const kind of FOLLOWERS) followers.push(Object.assign(await follow(t, kind, node, channel), { node }));
      }
      const publishers = bed.nodes.map((node) => new Publisher(t, node, channel));
      await allHear(followers, publishers);
      for (const publisher of publishers) publisher.start();

      await begin();
      await notReady();
      for (const publisher of publishers) {
        await publisher.pause();
        await allHear(followers.filter((one) => one.node === publisher.node), [publisher]);
        publisher.start();
      }
      await until(() => bed.balancer.log.split(' is stopping').length > 3, 'HAProxy to notice');
      followers.push(await openAndFind(bed.nodes, () => follow(t, 'Socket.IO by polling', bed.balancer, channel)));

      // Their own node is to be heard all the time; of the others something may be missing.
      await end();
      await united(bed.nodes);
      for (const publisher of publishers) await publisher.pause();
      await allHear(followers, publishers);
      for (const one of followers) {
        assert.deepEqual(one.problems.filter((problem) => !/nothing between/.test(problem)), [], one.kind);
        assert.deepEqual(one.problems.filter((problem) => problem.startsWith(one.node.name)), [], one.kind);
        one.problems = [];
      }
      for (let i = 0; i < 20; i++) await allHear(followers, publishers);
      assert.deepEqual(complaints(followers), []);
      for (const one of followers) assert.equal(one.cuts, 0, `${one.kind} was cut off`);
    });
  }
});

describe('a node that is full', () => {
  const bed = useBed({ before, after }, async (add) => {
    const redis = await add(startRedis());
    return { redis, nodes: await add(startCluster(2, redis, { set: { max_connections: 10, workers: 1 } })) };
  });

  test('serves the sessions that it has, when their requests come by another node', async (t) => {
    const [a, b] = bed.nodes;
    const session = await Polling.open(b);
    session.server = a;
    assert.equal((await session.post('40')).text, 'ok');
    const conns = [];
    t.after(() => conns.forEach((conn) => conn.destroy()));
    while (conns.length < 20) conns.push(await rawConnect(b));
    await conns.at(-1).waitClosed();
    assert.match((await session.get()).text, /^40/);
    assert.equal((await session.post('40/x')).text, 'ok');
    assert.match((await session.get()).text, /^40\/x/);
    assert.equal(await a.metric('peal_forward_failed_total'), 0);
    assert.equal(await a.metric('peal_connections'), 1); // the one that asks; not what it forwards
  });
});

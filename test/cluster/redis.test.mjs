// SPDX-License-Identifier: MIT
//
// The Redis behind the nodes in all its kinds: with passwords and TLS, watched by Sentinels, as
// a cluster; and what it does to those who listen to it.

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';

import { request } from '../interop/lib/http.mjs';
import { runPeal } from '../interop/lib/peal.mjs';
import { ask as askClient, connect } from '../interop/lib/sio.mjs';
import { until } from '../interop/lib/wait.mjs';
import { startCluster, startNodes, united, useBed } from './lib/bed.mjs';
import { openWebSocket } from './lib/clients.mjs';
import { makeCertificates, startRedisCluster, startSentinels } from './lib/redis-kinds.mjs';
import { ask, startRedis } from './lib/redis.mjs';

let serial = 0;
const fresh = () => `c-${process.pid}-${++serial}`;
const count = (node, pattern) => (node.log.match(new RegExp(pattern, 'g')) ?? []).length;
const metrics = (nodes, name) => Promise.all(nodes.map((node) => node.metric(name)));
const each = (nodes, fn) => Promise.all(nodes.map(fn));

// A client of each node on each channel.
async function listen(t, nodes, channels = [fresh()]) {
  const all = [];
  for (const channel of channels) {
    for (const node of nodes) all.push(await openWebSocket(t, node, channel));
  }
  return all;
}

// Each node publishes a message on each channel of these clients: all get them, once. What came
// twice in an earlier round would be found in this one.
async function allHear(nodes, clients) {
  const channels = new Set(clients.map(({ channel }) => channel));
  const said = [];
  for (const channel of channels) {
    for (const node of nodes) {
      const text = `${node.name} says ${++serial}`;
      await node.publish({ channel, data: text });
      said.push([channel, text]);
    }
  }
  for (const client of clients) {
    const got = (await client.inbox.take(nodes.length).catch((err) => {
      throw new Error(`${err.message} on ${client.channel}\n${nodes.map((node) => node.log).join('\n')}`);
    })).map(([, text]) => text);
    assert.deepEqual(got.sort(), said.filter(([channel]) => channel === client.channel).map(([, text]) => text).sort());
  }
}

// Runs what breaks the link of these nodes, and waits until it is there again.
async function broken(nodes, breakIt) {
  const had = await metrics(nodes, 'peal_backplane_connects_total');
  await breakIt();
  await each(nodes, (node, i) => until(async () =>
    (await node.metric('peal_backplane_connects_total')) > had[i] && (await node.metric('peal_backplane_up')) === 1,
  `${node.name} to be linked again`));
}

// Two nodes with the backplane at this URL.
async function pair(t, url) {
  const nodes = await startCluster(2, { url });
  t.after(() => each(nodes, (node) => node.stop()));
  return nodes;
}

// A node whose backplane is of no use yet.
async function lonely(t, url) {
  const [node] = await startNodes(1, { set: { backplane: url } });
  t.after(() => node.stop());
  return node;
}

const stopAfter = (t, services) => t.after(async () => {
  for (const one of [services].flat().reverse()) await one.stop();
});

// Nodes say once what is wrong, and it stays wrong for several attempts.
async function refused(node, why) {
  await node.process.log(new RegExp(`redis unavailable .*${why}`));
  assert.equal((await request(node, { path: '/readyz' })).status, 503);
}

describe('one Redis', () => {
  const bed = useBed({ before, after }, async (add) => ({
    redis: await add(startRedis({ args: (dir) => ['--unixsocket', `${dir}/socket`] })),
  }));
  const at = (rest) => `redis://${rest.replace('@', `@127.0.0.1:${bed.redis.port}`)}`;
  const sees = async (what) => (await ask(bed.redis, 'CLIENT', 'LIST')).split('\n').filter((line) => line.includes(what)).length;
  const user = (name, ...rules) => ask(bed.redis, 'ACL', 'SETUSER', name, 'reset', 'on', ...rules);
  const RULES = ['&peal:*', '+publish', '+subscribe', '+unsubscribe', '+ping', '+role', '+client|setname'];

  test('a user and a password', async (t) => {
    await user('node', '>p@ss:w/ord', ...RULES);
    const nodes = await pair(t, at('node:p%40ss%3Aw%2Ford@'));
    assert.equal(await sees('user=node'), 4);
    assert.equal(await sees('name=node1'), 2);
    await allHear(nodes, await listen(t, nodes));
  });

  test('a unix socket, with a password', async (t) => {
    await ask(bed.redis, 'CONFIG', 'SET', 'requirepass', 'secret');
    const login = `redis+unix://:secret@${bed.redis.dir}/socket`;
    try {
      const nodes = await pair(t, login);
      await allHear(nodes, await listen(t, nodes));
    } finally {
      await ask({ ...bed.redis, password: 'secret' }, 'CONFIG', 'SET', 'requirepass', '');
    }
  });

  test('a wrong password: said once, tried again until it is right', async (t) => {
    await user('late', '>another', ...RULES);
    const node = await lonely(t, at('late:right@'));
    await refused(node, 'WRONGPASS');
    const denied = async () => (await ask(bed.redis, 'ACL', 'LOG')).flat().filter((word) => word === 'late').length;
    await until(async () => (await denied()) > 0 &&
      JSON.stringify(await ask(bed.redis, 'ACL', 'LOG')).includes('"count",3'), 'three attempts');
    await user('late', '>right', ...RULES);
    await united([node]);
    assert.equal(count(node, 'WRONGPASS'), 1);
  });

  test('topics that a user may not have: said once, tried again until it may', async (t) => {
    await user('narrow', '>pw', ...RULES, 'resetchannels', '&else:*');
    const node = await lonely(t, at('narrow:pw@'));
    await refused(node, 'NOPERM');
    await until(async () => (await node.metric('peal_backplane_connects_total')) >= 3, 'three attempts');
    await user('narrow', '>pw', ...RULES);
    await united([node]);
    assert.equal(count(node, 'redis unavailable .*NOPERM'), 1);
    assert.equal(count(node, 'redis refused a subscription .*NOPERM'), 1);
  });

  test('who may listen but not publish: said once, counted', async (t) => {
    await user('mute', '>pw', ...RULES, '-publish');
    const node = await lonely(t, at('mute:pw@'));
    await node.process.log(/redis refused a publish why="NOPERM/);
    await until(async () => (await node.metric('peal_backplane_dropped_total{reason="refused"}')) >= 3, 'three to be counted');
    assert.equal(count(node, 'refused a publish'), 1);
    await user('mute', '>pw', ...RULES);
    await united([node]);
  });

  test('a channel that a user may not have is refused alone', async (t) => {
    await user('some', '>pw', ...RULES, 'resetchannels', '&peal:all', '&peal:nodes', '&peal:n:*', '&peal:c:{allowed-*');
    const nodes = await pair(t, at('some:pw@'));
    const clients = await listen(t, nodes, ['allowed-1']);
    const had = await metrics(nodes, 'peal_backplane_connects_total');
    await listen(t, nodes, ['forbidden']); // nobody waits for it
    await each(nodes, async (node) => {
      await until(async () => await node.metric('peal_backplane_refused_subscriptions_total') === 1, 'it to be refused');
      assert.equal(count(node, 'redis refused a subscription topic="peal:c:{forbidden}" why="NOPERM'), 1);
    });
    await allHear(nodes, clients);
    assert.deepEqual(await metrics(nodes, 'peal_backplane_connects_total'), had, 'links made');
  });

  test('a user who may not ask for the role is told so once', async (t) => {
    await user('blind', '>pw', ...RULES, '-role');
    const nodes = await pair(t, at('blind:pw@'));
    await allHear(nodes, await listen(t, nodes));
    for (const node of nodes) assert.equal(count(node, 'redis does not tell its role'), 1);
  });

  test('it is still loading its data', async (t) => {
    const redis = await startRedis({ args: ['--key-load-delay', '2000', '--loading-process-events-interval-bytes', '1024'] });
    stopAfter(t, redis);
    await ask(redis, 'EVAL', 'for i = 1, 1000 do redis.call("SET", i, string.rep("x", 100)) end', 0);
    await ask(redis, 'SAVE');
    await redis.stop();
    await redis.start();
    const node = await lonely(t, redis.url);
    await refused(node, 'LOADING');
    await united([node]);
    assert.equal(count(node, 'LOADING'), 1);
  });

  test('something that is no Redis', async (t) => {
    const [other] = await startNodes(1);
    t.after(() => other.stop());
    const node = await lonely(t, `redis://127.0.0.1:${other.port}`);
    await refused(node, '');
  });
});

describe('TLS', () => {
  const bed = useBed({ before, after }, async (add) => {
    const dir = makeCertificates();
    return {
      dir,
      redis: await add(startRedis({ tls: { dir } })),
      elsewhere: await add(startRedis({ tls: { dir, name: 'other' } })),
      shown: `cert=${dir}/client.pem&key=${dir}/client.key`,
    };
  });

  test('an authority, and a certificate of our own', async (t) => {
    const nodes = await pair(t, `rediss://127.0.0.1:${bed.redis.port}?ca=${bed.dir}/ca.pem&${bed.shown}`);
    await allHear(nodes, await listen(t, nodes));
  });

  test('a host name', async (t) => {
    const nodes = await pair(t, `rediss://localhost:${bed.redis.port}?ca=${bed.dir}/ca.pem&${bed.shown}`);
    await allHear(nodes, await listen(t, nodes));
  });

  test('much at once', async (t) => {
    const nodes = await pair(t, `rediss://127.0.0.1:${bed.redis.port}?ca=${bed.dir}/ca.pem&${bed.shown}`);
    const clients = await listen(t, nodes);
    const big = 'x'.repeat(300_000);
    for (let i = 0; i < 10; i++) await nodes[0].publish({ channel: clients[0].channel, data: big + i });
    for (const client of clients) {
      const got = await client.inbox.take(10);
      assert.ok(got.every(([, text], i) => text === big + i));
    }
  });

  test('a certificate of another name is refused, unless nothing is verified', async (t) => {
    const url = `rediss://127.0.0.1:${bed.elsewhere.port}?${bed.shown}`;
    const node = await lonely(t, `${url}&ca=${bed.dir}/ca.pem`);
    await refused(node, 'TLS: IP address mismatch');
    await until(() => count(bed.elsewhere, 'Error accepting a client connection') >= 3, 'three attempts');
    assert.equal(count(node, 'mismatch'), 1);
    const nodes = await pair(t, `${url}&verify=off`);
    await allHear(nodes, await listen(t, nodes));
  });

  test('an authority that we do not know is refused', async (t) => {
    const node = await lonely(t, `rediss://127.0.0.1:${bed.redis.port}?${bed.shown}`);
    await refused(node, 'TLS: (self.signed certificate|unable to get local issuer)');
  });

  test('a Redis that wants a certificate refuses who shows none', async (t) => {
    const node = await lonely(t, `rediss://127.0.0.1:${bed.redis.port}?ca=${bed.dir}/ca.pem`);
    await refused(node, '');
  });

  test('files that cannot be read are said at the start', async () => {
    const { status, stderr } = await runPeal('serve', '--dev', '--set', 'listen=127.0.0.1:0',
      '--set', `backplane=rediss://127.0.0.1:${bed.redis.port}?ca=${bed.dir}/none.pem`);
    assert.notEqual(status, 0);
    assert.match(stderr, /the backplane cannot be used .*none\.pem/);
  });
});

describe('what Redis does to those who listen', () => {
  const bed = useBed({ before, after }, async (add) => {
    const redis = await add(startRedis());
    return { redis, nodes: await add(startCluster(2, redis)) };
  });

  // Every node has lost what was published meanwhile, once, and says so.
  async function gap(clients, breakIt) {
    const had = await metrics(bed.nodes, 'peal_backplane_gaps_total');
    await broken(bed.nodes, breakIt);
    await united(bed.nodes);
    const now = await metrics(bed.nodes, 'peal_backplane_gaps_total');
    assert.ok(now.every((n, i) => n > had[i]), `gaps: ${had}, then ${now}`);
    await allHear(bed.nodes, clients);
  }

  for (const type of ['pubsub', 'normal']) {
    test(`CLIENT KILL TYPE ${type}`, async (t) => {
      const clients = await listen(t, bed.nodes);
      await allHear(bed.nodes, clients);
      await gap(clients, () => ask(bed.redis, 'CLIENT', 'KILL', 'TYPE', type));
    });
  }

  test('who reads too slowly is cut off, and comes back', async (t) => {
    const [a, b] = bed.nodes;
    const clients = await listen(t, bed.nodes);
    const listeners = async () => (await ask(bed.redis, 'CLIENT', 'LIST', 'TYPE', 'pubsub')).trim().split('\n').length;
    const had = await b.metric('peal_backplane_gaps_total');
    assert.equal(await listeners(), 2);
    await ask(bed.redis, 'CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 32kb 0 0');
    await broken([b], async () => {
      b.process.signal('SIGSTOP');
      try {
        const much = { channel: clients[0].channel, data: 'x'.repeat(200_000) };
        await until(async () => {
          await a.publish(much);
          return (await listeners()) < 2;
        }, 'Redis to cut it off');
      } finally {
        b.process.signal('SIGCONT');
        await ask(bed.redis, 'CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 32mb 8mb 60');
      }
    });
    // The publisher hears itself, and may have been cut off, too.
    await until(async () => (await listeners()) === 2 &&
      (await metrics(bed.nodes, 'peal_backplane_up')).every((up) => up === 1), 'both to listen');
    await united(bed.nodes);
    assert.ok((await b.metric('peal_backplane_gaps_total')) > had);
    await allHear(bed.nodes, await listen(t, bed.nodes));
  });

  test('killed, and started again with nobody listening', async (t) => {
    const clients = await listen(t, bed.nodes);
    await gap(clients, async () => {
      await bed.redis.kill();
      await each(bed.nodes, (node) => until(async () => (await node.metric('peal_backplane_up')) === 0, 'it to notice'));
      await bed.redis.start();
    });
  });

  test('a node that was stopped for a while did not hear; nothing else is wrong', async (t) => {
    const [a, b] = bed.nodes;
    const clients = await listen(t, bed.nodes);
    const had = await b.metric('peal_backplane_connects_total');
    b.process.signal('SIGSTOP');
    try {
      await a.process.log(/node is silent/, a.log.length);
    } finally {
      b.process.signal('SIGCONT');
    }
    await united(bed.nodes);
    await allHear(bed.nodes, clients);
    assert.equal(await b.metric('peal_backplane_connects_total'), had, 'links made');
  });

  test('who sends on while acknowledgements wait for a Redis that hangs is paused', async (t) => {
    const [a] = bed.nodes;
    const socket = await connect(t, a, { transports: ['websocket'] });
    const paused = () => a.metric('peal_clients_paused_total'); // for their backlog; no rate is set
    const had = await paused();
    bed.redis.process.signal('SIGSTOP');
    let answers;
    try {
      socket.emit('join', fresh());
      answers = Promise.all(Array.from({ length: 20_000 }, (_, i) => socket.timeout(20_000).emitWithAck('e', i)));
      await until(async () => await paused() > had, 'it to be paused');
    } finally {
      bed.redis.process.signal('SIGCONT');
    }
    assert.deepEqual(await answers, [...Array(20_000).keys()]);
    await united(bed.nodes);
  });

  test('the id of a client whose node is silent is still an address that nobody can join', async (t) => {
    const [a, b] = bed.nodes;
    const at = async (node, nsp) => connect(t, node, { nsp, transports: ['websocket'] });
    const pairs = [];
    for (const nsp of ['/', '/private']) pairs.push([await at(b, nsp), await at(a, nsp)]);
    const refused = async () => {
      for (const [victim, thief] of pairs) {
        assert.deepEqual(await askClient(thief, 'join', victim.id), [{ error: 'not allowed' }]);
      }
    };
    await refused();
    b.process.signal('SIGSTOP');
    try {
      await a.process.log(/node is silent/, a.log.length);
      await refused();
    } finally {
      b.process.signal('SIGCONT');
    }
    await united(bed.nodes);
    await refused();
  });
});

describe('a failover behind one name', () => {
  // What the name stands for can change; connections that are open stay where they are.
  async function startName(to) {
    const server = net.createServer((from) => {
      const there = net.connect(server.to, '127.0.0.1');
      from.pipe(there).pipe(from);
      for (const [one, other] of [[from, there], [there, from]]) one.on('error', () => other.destroy());
    });
    server.to = to.port;
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.url = `redis://127.0.0.1:${server.address().port}`;
    return server;
  }

  test('a master that becomes a replica is left, and the nodes stay one cluster', async (t) => {
    const master = await startRedis({ name: 'the master' });
    const replica = await startRedis({ name: 'the replica', args: ['--replicaof', '127.0.0.1', `${master.port}`] });
    stopAfter(t, [master, replica]);
    await until(async () => /master_link_status:up/.test(await ask(replica, 'INFO', 'replication')), 'the replica to follow');
    const name = await startName(master);
    t.after(() => name.close());
    const [a, b] = await startNodes(2, { set: { backplane: name.url } });
    t.after(() => each([a, b], (node) => node.stop()));
    await united([a, b]);
    const clients = await listen(t, [a, b]);
    await allHear([a, b], clients);

    await b.stop();
    await ask(master, 'FAILOVER');
    await until(async () => (await ask(master, 'ROLE'))[0] === 'slave' && (await ask(replica, 'ROLE'))[0] === 'master', 'them to change places');
    name.to = replica.port;
    await b.start();
    await united([a, b]);
    await a.process.log(/redis unavailable .*it is not a master any more, its role is slave/);
    await allHear([a, b], await listen(t, [a, b]));
    assert.ok(await a.metric('peal_backplane_gaps_total') > 0);
  });
});

for (const tls of [false, true]) {
  describe(`Sentinels${tls ? ', over TLS' : ''}`, () => {
    const bed = useBed({ before, after }, async (add) => {
      const dir = tls && makeCertificates();
      const group = await startSentinels(tls ? { tls: { dir } } : {});
      await add(group.all);
      const query = tls ? `?ca=${dir}/ca.pem&cert=${dir}/client.pem&key=${dir}/client.key` : '';
      return { group, query, nodes: await add(startCluster(2, { url: group.url + query })) };
    });
    const isAt = (redis) => each(bed.nodes, (node) => until(
      () => node.log.lastIndexOf(`redis connected host=127.0.0.1 port=${redis.port}`) > node.log.lastIndexOf('redis unavailable'),
      `${node.name} to be at ${redis.name}`));
    const moved = async (from) => {
      const now = await until(async () => {
        const master = await bed.group.master();
        return master !== from && master;
      }, 'another master');
      await isAt(now);
      await united(bed.nodes);
      return now;
    };

    test('a failover by hand', async (t) => {
      const clients = await listen(t, bed.nodes);
      const master = await bed.group.master();
      await isAt(master);
      await allHear(bed.nodes, clients);
      await broken(bed.nodes, () => bed.group.failover());
      await moved(master);
      await allHear(bed.nodes, clients);
    });

    if (tls) return; // the rest would be the same

    test('sentinels may go, as long as one is left', async (t) => {
      const clients = await listen(t, bed.nodes);
      const master = await bed.group.master();
      const gone = bed.group.sentinels.slice(0, 2);
      for (const one of gone) await one.stop();
      await allHear(bed.nodes, clients);
      await broken(bed.nodes, () => ask(master, 'CLIENT', 'KILL', 'TYPE', 'pubsub'));
      await allHear(bed.nodes, clients);
      for (const one of gone) await one.start();
    });

    test('a master that they do not know: said, and no Redis is taken instead', async (t) => {
      const node = await lonely(t, bed.group.url.replace('/main', '/other') + bed.query);
      await refused(node, 'does not know this master');
      assert.equal(count(node, 'redis connected'), 0);
    });

    test('the master is killed', async (t) => {
      const clients = await listen(t, bed.nodes);
      const master = await bed.group.master();
      await broken(bed.nodes, () => master.kill());
      await moved(master);
      await allHear(bed.nodes, clients);
      await master.start();
      await until(async () => (await ask(master, 'ROLE'))[0] === 'slave', 'it to become a replica');
      await allHear(bed.nodes, clients);
    });
  });
}

for (const tls of [false, true]) {
  describe(`a Redis Cluster${tls ? ', over TLS' : ''}`, () => {
    const bed = useBed({ before, after }, async (add) => {
      const dir = tls && makeCertificates();
      const cluster = await startRedisCluster(3, tls ? { tls: { dir } } : {});
      await add(cluster.members);
      const query = tls ? `?ca=${dir}/ca.pem&cert=${dir}/client.pem&key=${dir}/client.key` : '';
      return { cluster, nodes: await add(startCluster(2, { url: cluster.url + query })) };
    });

    // As many channels as it takes for each master to have one: { channel, slot, owner }
    async function spread() {
      const all = [];
      while (new Set(all.map(({ owner }) => owner)).size < 3) {
        const channel = fresh();
        const slot = await bed.cluster.slotOf(`peal:c:{${channel}}`);
        all.push({ channel, slot, owner: await bed.cluster.ownerOf(slot) });
      }
      return all;
    }
    const on = (t, channels) => listen(t, bed.nodes, channels.map(({ channel }) => channel));

    test('channels of all masters', async (t) => {
      const channels = await spread();
      await allHear(bed.nodes, await on(t, channels));
      for (const { channel, owner } of channels) {
        assert.ok((await ask(owner, 'PUBSUB', 'SHARDCHANNELS', 'peal:c:*')).includes(`peal:c:{${channel}}`));
      }
    });

    test('a slot moves while messages flow, to a master that nobody knew', async (t) => {
      const [a, b] = bed.nodes;
      const channels = await spread();
      const [{ channel, slot }] = channels;
      const clients = await on(t, channels);
      const [own, far] = clients.filter((client) => client.channel === channel);
      const links = await metrics(bed.nodes, 'peal_backplane_connects_total');
      const gaps = await b.metric('peal_backplane_gaps_total');
      await allHear(bed.nodes, clients);

      // Whatever fails here, the tests that follow find all slots served and no flow.
      const { owner } = channels[0];
      let n = 0;
      let flows = true;
      t.after(async () => {
        flows = false;
        if ((await bed.cluster.ownerOf(slot)) !== owner) await bed.cluster.move(slot, owner);
      });
      const member = await bed.cluster.add(t); // it is removed after that
      far.last = -1;
      const flow = (async () => {
        for (; flows; n++) await a.publish({ channel, data: n });
      })();
      const heard = async (client, least) => {
        while (client.last < least) { // it may have heard the last one before its publisher was answered
          const [, now] = await client.inbox.shift();
          assert.ok(now > client.last, `${now} after ${client.last}`);
          client.last = now;
        }
      };
      await heard(far, 20);
      await bed.cluster.move(slot, member);
      await until(async () => (await ask(member, 'PUBSUB', 'SHARDNUMSUB', `peal:c:{${channel}}`))[1] === 2, 'nodes to subscribe there');
      const then = n;
      await heard(far, then + 20);
      flows = false;
      await flow;
      await heard(far, n - 1);
      assert.deepEqual((await own.inbox.take(n)).map(([, data]) => data), Array.from({ length: n }, (_, i) => i));

      await allHear(bed.nodes, clients);
      assert.ok((await b.metric('peal_backplane_gaps_total')) > gaps);
      assert.deepEqual(await metrics(bed.nodes, 'peal_backplane_connects_total'), links, 'links made');
      assert.equal(await a.metric('peal_backplane_dropped_total'), 0);

      // Back again. A master that loses its last slot becomes a replica, where subscriptions
      // may stay: nodes must not.
      await bed.cluster.move(slot, owner);
      await until(async () => (await ask(owner, 'PUBSUB', 'SHARDNUMSUB', `peal:c:{${channel}}`))[1] === 2, 'nodes to come back');
      await each(bed.nodes, (node) => until(async () => (await node.metric('peal_backplane_up')) === 1, 'it to be up'));
      await allHear(bed.nodes, clients);
      assert.equal((await ask(member, 'PUBSUB', 'SHARDCHANNELS')).length, 0);
    });

    if (tls) return; // the rest would be the same

    test('a master is killed, and comes back', async (t) => {
      const channels = await spread();
      const clients = await on(t, channels);
      await allHear(bed.nodes, clients);
      const { owner } = channels.at(-1);
      await broken(bed.nodes, async () => {
        await owner.kill();
        await each(bed.nodes, (node) => until(async () => (await node.metric('peal_backplane_up')) === 0, 'it to notice'));
        await owner.start();
      });
      await allHear(bed.nodes, clients);
    });

    test('a master hangs: noticed, and healed', async (t) => {
      const channels = await spread();
      const clients = await on(t, channels);
      const { owner } = channels.at(-1);
      await broken(bed.nodes, async () => {
        owner.process.signal('SIGSTOP');
        try {
          await each(bed.nodes, (node) => until(async () => (await node.metric('peal_backplane_up')) === 0, 'it to notice'));
        } finally {
          owner.process.signal('SIGCONT');
        }
      });
      await allHear(bed.nodes, clients);
    });

    test('a master is killed, and its replica takes over', async (t) => {
      const channels = await spread();
      const clients = await on(t, channels);
      const { slot, owner } = channels.find((one) => one.owner !== bed.cluster.members[0]);
      await bed.cluster.add(t, owner);
      await broken(bed.nodes, async () => {
        await owner.kill();
        await until(async () => (await bed.cluster.ownerOf(slot)) !== owner, 'the replica to take over');
      });
      await allHear(bed.nodes, clients);
    });
  });
}

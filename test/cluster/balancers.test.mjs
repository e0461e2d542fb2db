// SPDX-License-Identifier: MIT
//
// The balancers of deploy/ in front of three nodes that know nothing of each other, so that a
// request which comes to the wrong node fails, and what is published on a node reaches only
// its own clients.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import WebSocket from 'ws';

import { formatRequest, rawConnect, request } from '../interop/lib/http.mjs';
import { ask, upgraded } from '../interop/lib/sio.mjs';
import { collect, next, until, within } from '../interop/lib/wait.mjs';
import { nginxIsSticky, startHaproxy, startNginx } from './lib/balancers.mjs';
import { startNodes, useBed } from './lib/bed.mjs';
import { KINDS, head, openEventSource, openWebSocket } from './lib/clients.mjs';

let serial = 0;
const fresh = () => `c-${process.pid}-${++serial}`;
const SOCKET_IO = Object.keys(KINDS).filter((kind) => kind.startsWith('Socket.IO'));
const POLL = '/socket.io/?EIO=4&transport=polling';
const STICKY = {
  'nginx with peal-hash.conf': (nodes, changes) => startNginx('peal-hash.conf', nodes, changes),
  ...(nginxIsSticky() && {
    'nginx with peal-sticky.conf': (nodes, changes) => startNginx('peal-sticky.conf', nodes, changes),
  }),
  'HAProxy with haproxy.cfg': (nodes, changes) => startHaproxy('haproxy.cfg', nodes, changes),
};

// The node that a client is on: all of them publish, one is heard.
async function where(nodes, client) {
  for (const [i, node] of nodes.entries()) await node.publish({ channel: client.channel, data: { i } });
  const [event, { i }] = await client.inbox.shift();
  assert.equal(event, 'message');
  return nodes[i];
}

// Opens clients without a cookie until every node has one.
async function fillAll(t, bed) {
  const met = new Map();
  for (let i = 0; i < 300 && met.size < bed.nodes.length; i++) {
    const client = await openWebSocket(t, bed.balancer, fresh());
    met.set(await where(bed.nodes, client), client);
  }
  assert.equal(met.size, bed.nodes.length, 'nodes with clients');
  return met;
}

for (const [name, start] of Object.entries(STICKY)) {
  describe(name, () => {
    const bed = useBed({ before, after }, async (add) => {
      const nodes = await add(startNodes(3, {
        set: { 'http.trusted_proxies': '127.0.0.1', 'log.level': 'debug', 'ws.origins': '' },
      }));
      return { nodes, balancer: await add(start(nodes)) };
    });

    for (const kind of SOCKET_IO) {
      test(`${kind} stays with its node`, async (t) => {
        const client = await KINDS[kind](t, bed.balancer, fresh());
        const node = await where(bed.nodes, client);
        for (let i = 0; i < 10; i++) assert.deepEqual(await ask(client.socket, 'q', i), [i]);
        if (kind === 'Socket.IO, polling first') {
          await upgraded(client.socket);
          assert.deepEqual(await ask(client.socket, 'q', 'upgraded'), ['upgraded']);
        }
        const bytes = Buffer.alloc(100_000, 7);
        assert.ok(bytes.equals((await ask(client.socket, 'q', bytes))[0]));
        assert.equal(await where(bed.nodes, client), node);
      });
    }

    test('a WebSocket carries both ways, of any size', async (t) => {
      const client = await openWebSocket(t, bed.balancer, fresh());
      for (const n of [1, 1000, 200_000]) {
        client.publish('x'.repeat(n));
        assert.deepEqual(await client.inbox.shift(), ['message', 'x'.repeat(n)]);
      }
      client.ws.close(1000);
      assert.equal(await within(client.gone, 'the close'), 1000);
    });

    test('each event of a stream comes before the next is sent', async (t) => {
      const client = await openEventSource(t, bed.balancer, fresh(), { events: ['n'] });
      const node = await where(bed.nodes, client);
      for (let i = 0; i < 5; i++) {
        await node.publish({ channel: client.channel, event: 'n', data: i });
        assert.deepEqual(await client.inbox.shift(), ['n', i]);
      }
    });

    test('a client that goes is gone from its node', async (t) => {
      const count = async () => (await Promise.all(bed.nodes.map((node) => node.sessions()))).reduce((a, b) => a + b);
      await until(async () => await count() === 0, 'the clients of other tests to go');
      for (const [kind, open] of Object.entries(KINDS)) {
        const client = await open(t, bed.balancer, fresh());
        assert.equal(await count(), 1);
        client.close();
        await until(async () => await count() === 0, `a client by ${kind} to go`);
      }
    });

    // What the first request of a client may be, and the cookie it is given.
    const FIRST = {
      'a poll': async () => head(bed.balancer, POLL),
      'a WebSocket': async (t) => {
        const ws = new WebSocket(`ws://${bed.balancer.host}:${bed.balancer.port}/ws/${fresh()}`);
        t.after(() => ws.terminate());
        const [res] = await next(ws, 'upgrade');
        return { status: 101, headers: { 'set-cookie': res.headers['set-cookie'].join(', ') } };
      },
      'an event stream': async () => head(bed.balancer, `/sse/${fresh()}`),
      'a request that fails': async () => head(bed.balancer, '/nothing'),
    };
    for (const [what, ask] of Object.entries(FIRST)) {
      test(`${what} without a cookie is given one, which leads everybody to one node`, async (t) => {
        const given = (await ask(t)).headers['set-cookie'];
        assert.match(given, /^peal_(affinity|node)=[0-9a-f]+; /);
        for (const attribute of [/; path=\//i, /; httponly/i, /; samesite=lax/i]) assert.match(given, attribute);
        const cookie = `other=1; ${given.split(';')[0]}; more=2`;
        const nodes = new Set();
        for (const open of Object.values(KINDS)) {
          const client = await open(t, bed.balancer, fresh(), { cookie });
          if (client.cookie) assert.ok(given.startsWith(`${client.cookie};`), 'the same again, or none');
          nodes.add(await where(bed.nodes, client));
        }
        assert.equal(nodes.size, 1);
      });
    }

    test('clients without a cookie are spread over all nodes', async (t) => {
      await fillAll(t, bed);
    });

    test('the address of the client arrives, whatever the client says', async () => {
      const localAddress = '127.0.0.77';
      const lie = { 'X-Forwarded-For': '6.6.6.6', 'X-Forwarded-Proto': 'https' };
      const log = () => bed.nodes.map((node) => node.log).join('');
      for (const [path, headers] of [['/socket.io/?EIO=4&transport=polling', lie], [`/sse/${fresh()}`, lie],
        [`/ws/${fresh()}`, lie], ['/nowhere', {}]]) {
        const mark = path.split('?')[0];
        await head(bed.balancer, path, { localAddress, headers });
        await until(() => log().includes(`client=127.0.0.77 https=no method=GET path=${mark}`), `the log of ${path}`);
      }
      assert.doesNotMatch(log(), /client=6\.6\.6\.6|https=yes/);
    });

    test('a page of the same origin may open a WebSocket, a foreign one may not', async (t) => {
      const open = (Origin) => openWebSocket(t, bed.balancer, fresh(), { headers: { Origin } });
      await open(bed.balancer.url);
      const ws = new WebSocket(`ws://${bed.balancer.host}:${bed.balancer.port}/ws/x`, { origin: 'http://evil.example' });
      ws.on('error', () => {});
      const [, res] = await next(ws, 'unexpected-response');
      assert.equal(res.statusCode, 403);
      ws.terminate();
    });

    test('health and metrics are not for clients', async () => {
      for (const path of ['/livez', '/readyz', '/metrics']) {
        assert.equal((await request(bed.nodes[0], { path })).status, 200);
        assert.equal((await request(bed.balancer, { path })).status, 404);
      }
    });

    test('a node that dies has its clients come back elsewhere', async (t) => {
      const client = await KINDS['Socket.IO by polling'](t, bed.balancer, fresh());
      const dead = await where(bed.nodes, client);
      const back = new Promise((resolve) => client.socket.on('connect', resolve));
      await dead.kill();
      await within(back, 'the client to come back');
      await ask(client.socket, 'join', client.channel);
      assert.notEqual(await where(bed.nodes.filter((node) => node !== dead), client), dead);
      await dead.start();
    });
  });
}

// A drain is long enough to look at, and ended by a second signal.
const LONG = { 'drain.delay': '60s', 'drain.window': '60s' };
const NOW = { 'drain.delay': '0s', 'drain.window': '60s' };

for (const [name, start] of Object.entries(STICKY)) {
  describe(`${name}, and a node that leaves`, () => {
    const bed = useBed({ before, after }, async (add) => {
      const nodes = await add(startNodes(3, { set: NOW }));
      return { nodes, balancer: await add(start(nodes)) };
    });

    test('whoever comes is served by the others', async (t) => {
      const clients = await fillAll(t, bed);
      const [leaving, ...others] = bed.nodes;
      // A second session, as the first is closed at once.
      const { cookie } = clients.get(leaving);
      await openWebSocket(t, bed.balancer, fresh(), { cookie });
      leaving.process.signal('SIGTERM');
      await leaving.process.log(/draining/);
      for (let i = 0; i < 20; i++) {
        assert.ok(others.includes(await where(others, await openWebSocket(t, bed.balancer, fresh()))));
      }
      for (const open of Object.values(KINDS)) {
        assert.ok(others.includes(await where(others, await open(t, bed.balancer, fresh(), { cookie }))));
      }
      await leaving.stop();
      await leaving.start();
    });
  });
}

for (const [name, start] of Object.entries(STICKY)) {
  describe(`${name}, and no node at all`, () => {
    const bed = useBed({ before, after }, async (add) => {
      const nodes = await add(startNodes(1, { set: { 'sse.retry': '100ms' } }));
      return { nodes, balancer: await add(start(nodes)) };
    });

    test('an EventSource goes on trying', async (t) => {
      const [node] = bed.nodes;
      const client = await openEventSource(t, bed.balancer, fresh());
      await node.kill();
      for (let i = 0; i < 2; i++) {
        const [{ code }] = await next(client.es, 'error');
        assert.equal(code, undefined, 'a status');
        assert.equal(client.es.readyState, client.es.CONNECTING);
      }
      const { opened } = client;
      await node.start();
      await until(() => client.opened > opened, 'the stream to open again');
      assert.equal(await where(bed.nodes, client), node);
    });
  });
}

// An outage of all nodes, seen by clients whose one connection is a WebSocket: no request ends
// well in a long time, by which a balancer could see that a node serves again.
const ALL = {
  ...STICKY, 'nginx with peal-roundrobin.conf': (nodes, changes) => startNginx('peal-roundrobin.conf', nodes, changes),
};
for (const [name, start] of Object.entries(ALL)) {
  describe(`${name}, and nodes that were all away`, () => {
    const bed = useBed({ before, after }, async (add) => {
      const nodes = await add(startNodes(2));
      const faster = name.startsWith('HAProxy') ? { 'inter 2s': 'inter 100ms' } : {};
      return { nodes, balancer: await add(start(nodes, faster)) };
    });

    const attempt = (t) => new Promise((resolve) => {
      const ws = new WebSocket(`ws://${bed.balancer.host}:${bed.balancer.port}/ws/${fresh()}`);
      t.after(() => ws.terminate());
      ws.once('open', () => resolve(true));
      ws.once('error', () => resolve(false));
    });

    test('WebSockets are taken at once when the nodes are back, and by both of them', async (t) => {
      // HAProxy asks by itself.
      const seen = async (state) => {
        if (!name.startsWith('HAProxy')) return;
        for (let i = 1; i <= 2; i++) await bed.balancer.process.log(new RegExp(`peal_nodes/node${i} is ${state}`));
      };
      for (const node of bed.nodes) await node.kill();
      await seen('DOWN');
      for (let i = 0; i < 20; i++) assert.equal(await attempt(t), false);
      for (const node of bed.nodes) await node.start();
      await seen('UP');
      const opened = await Promise.all(Array.from({ length: 40 }, () => attempt(t)));
      assert.deepEqual(opened, Array(40).fill(true));
      for (const node of bed.nodes) {
        const n = await node.sessions();
        assert.ok(n >= 5, `${node.name} has ${n} of 40`);
      }
    });
  });
}

describe('HAProxy asks whether a node is ready', () => {
  const bed = useBed({ before, after }, async (add) => {
    const nodes = await add(startNodes(3, { set: LONG }));
    return { nodes, balancer: await add(startHaproxy('haproxy.cfg', nodes, { 'inter 2s': 'inter 100ms' })) };
  });

  test('one that drains keeps its clients and gets no new ones', async (t) => {
    const poller = await KINDS['Socket.IO by polling'](t, bed.balancer, fresh());
    const leaving = await where(bed.nodes, poller);
    const { id } = poller.socket;
    const tunnel = (await fillAll(t, bed)).get(leaving);
    const name = `node${bed.nodes.indexOf(leaving) + 1}`;

    leaving.process.signal('SIGTERM');
    await bed.balancer.process.log(new RegExp(`peal_nodes/${name} is stopping`));
    for (let i = 0; i < 10; i++) {
      assert.notEqual(await where(bed.nodes, await openWebSocket(t, bed.balancer, fresh())), leaving);
    }
    assert.equal(await where(bed.nodes, poller), leaving);
    assert.deepEqual(await ask(poller.socket, 'q', 1), [1]);
    tunnel.publish('still');
    assert.deepEqual(await tunnel.inbox.shift(), ['message', 'still']);
    assert.equal(poller.socket.id, id);

    const back = new Promise((resolve) => poller.socket.on('connect', resolve));
    await leaving.stop();
    await within(back, 'the client to come back');
    await leaving.start();
    await bed.balancer.process.log(new RegExp(`peal_nodes/${name} is UP`));
    assert.notEqual(poller.socket.id, id);
  });
});

describe('HAProxy with haproxy-tcp.cfg', () => {
  const nodes = useBed({ before, after }, (add) => add(startNodes(3, {
    set: { 'listen.proxy_protocol': 'on', 'log.level': 'debug' },
  })));

  for (const [version, changes] of [['2', {}], ['1', { 'send-proxy-v2': 'send-proxy' }]]) {
    test(`tells the address of the client by PROXY protocol version ${version}`, async (t) => {
      const all = Object.values(nodes);
      const from = all.map((node) => node.log.length);
      const log = () => all.map((node, i) => node.log.slice(from[i])).join('');
      const balancer = await startHaproxy('haproxy-tcp.cfg', all, { 'inter 2s': 'inter 100ms', ...changes });
      t.after(() => balancer.stop());
      const localAddress = '127.0.0.78';
      for (const path of ['/socket.io/', '/sse/a', '/ws/a', '/nowhere']) {
        await head(balancer, path, { localAddress });
        await until(() => log().includes(`client=127.0.0.78 https=no method=GET path=${path}`), `the log of ${path}`);
      }
      await until(() => log().split('path=/readyz').length > 12, 'health checks');
      assert.doesNotMatch(balancer.log, /DOWN|stopping/);
      for (const kind of ['Socket.IO by WebSocket', 'WebSocket', 'EventSource']) {
        const client = await KINDS[kind](t, balancer, fresh());
        assert.ok(await where(all, client));
      }
      await fillAll(t, { nodes: all, balancer });
      assert.equal(await all[0].metric('peal_proxy_protocol_errors_total'), 0);
    });
  }
});

// Balancers cut what is silent for longer than their timeouts; pings of the nodes prevent it.
const NGINX_SHORT = { 'proxy_read_timeout 60s': 'proxy_read_timeout 3s', 'proxy_send_timeout 60s': 'proxy_send_timeout 3s' };
const SHORT = {
  'nginx with peal-hash.conf': NGINX_SHORT,
  'nginx with peal-sticky.conf': NGINX_SHORT,
  'HAProxy with haproxy.cfg': { 'timeout client 60s': 'timeout client 3s', 'timeout server 60s': 'timeout server 3s', 'timeout tunnel 60s': 'timeout tunnel 3s' },
};
const pings = (every) => ({ 'ws.ping_interval': every, 'sse.ping_interval': every, 'socketio.ping_interval': every });

for (const [name, start] of Object.entries(STICKY)) {
  describe(`${name}, with timeouts of three seconds`, () => {
    const bed = useBed({ before, after }, async (add) => {
      const pinged = await add(startNodes(1, { set: pings('500ms') }));
      const silent = await add(startNodes(1, { set: pings('1h') }));
      return {
        pinged, lively: await add(start(pinged, SHORT[name])), dull: await add(start(silent, SHORT[name])),
      };
    });

    test('clients that are pinged stay, idle as they are', async (t) => {
      const n = 8; // of half a second
      const lasts = Object.entries(KINDS).map(async ([kind, open]) => {
        const client = await open(t, bed.lively, fresh());
        const id = client.socket?.id;
        if (kind === 'EventSource') await heard(t, bed.lively, n);
        else await collect(client.ws ?? client.socket.io.engine, 'ping', n);
        assert.equal(await where(bed.pinged, client), bed.pinged[0]);
        assert.equal(client.socket?.id, id);
        assert.ok(client.es === undefined || client.opened === 1);
      });
      await Promise.all(lasts);
    });

    test('clients that are not are cut off', async (t) => {
      const client = await openWebSocket(t, bed.dull, fresh());
      assert.equal(await within(client.gone, 'the end'), 1006);
    });
  });
}

// Comments of an event stream, which EventSource does not show.
async function heard(t, balancer, n) {
  const conn = await rawConnect(balancer);
  t.after(() => conn.destroy());
  conn.write(formatRequest(balancer, { path: `/sse/${fresh()}` }));
  for (let i = 0; i < n; i++) await conn.readUntil(':\n\n');
}

// SPDX-License-Identifier: MIT
//
// The network between the nodes and Redis is cut: nothing is refused, nothing is closed, packets
// just do not arrive. Redis runs in a network namespace of its own, whose end of the link is
// taken down. Needs root and `ip`.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';

import { request } from '../interop/lib/http.mjs';
import { Process } from '../interop/lib/peal.mjs';
import { until } from '../interop/lib/wait.mjs';
import { scratch, startNodes, united } from './lib/bed.mjs';
import { openWebSocket } from './lib/clients.mjs';

const ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const NAME = `peal${process.pid}`;
const [HERE, THERE] = [`pa${process.pid}`, `pb${process.pid}`];
// Addresses that are for documentation, so nobody has them.
const [OURS, REDIS] = ['198.51.100.1', '198.51.100.2'];

function ip(...args) {
  const { status, stderr } = spawnSync('ip', args, { env: ENV, encoding: 'utf8' });
  return status === 0 ? '' : stderr || 'ip cannot be run';
}

function mustIp(...args) {
  assert.equal(ip(...args), '', `ip ${args.join(' ')}`);
}

const inside = (...args) => mustIp('netns', 'exec', NAME, 'ip', ...args);

// The first that fails of what the test needs. A namespace that was made can still be one that
// nothing can run in, as where the root folder is no mount of its own (chroot).
const why = ip('netns', 'add', NAME) ||
  ip('netns', 'exec', NAME, 'true') ||
  ip('link', 'add', HERE, 'type', 'veth', 'peer', 'name', THERE, 'netns', NAME);
process.on('exit', () => ip('netns', 'del', NAME)); // and the link with it

describe('a link that is cut', { skip: why !== '' && `no network namespaces here: ${why.trim().replace(/\s+/g, ' ')}` }, () => {
  let redis, nodes;

  before(async () => {
    mustIp('addr', 'add', `${OURS}/30`, 'dev', HERE);
    mustIp('link', 'set', HERE, 'up');
    inside('link', 'set', 'lo', 'up');
    inside('addr', 'add', `${REDIS}/30`, 'dev', THERE);
    inside('link', 'set', THERE, 'up');
    redis = new Process('ip', ['netns', 'exec', NAME, 'redis-server', '--port', '6379', '--bind', REDIS,
      '--protected-mode', 'no', '--dir', scratch('redis'), '--save', '', '--appendonly', 'no'], { env: ENV });
    nodes = await startNodes(2, { set: { backplane: `redis://${REDIS}:6379` } });
    await united(nodes);
  });

  after(async () => {
    for (const node of nodes ?? []) await node.stop();
    await redis?.kill();
  });

  const each = (fn) => Promise.all(nodes.map(fn));
  const up = (node, value) => until(async () => await node.metric('peal_backplane_up') === value,
    `${node.name} to say ${value ? 'up' : 'down'}`);

  // What a node publishes, and whose clients have it.
  async function heard(clients, from, text) {
    await from.publish({ channel: 'lobby', data: text });
    for (const client of clients) assert.deepEqual(await client.inbox.take(1), [['message', text]]);
  }

  async function hears(client, text) {
    while ((await client.inbox.take(1))[0][1] !== text);
  }

  test('each node serves its own clients until it is mended', async (t) => {
    const [a, b] = nodes;
    const clients = [await openWebSocket(t, a, 'lobby'), await openWebSocket(t, b, 'lobby')];
    const gaps = await Promise.all(nodes.map((node) => node.metric('peal_backplane_gaps_total')));
    await heard(clients, a, 'before');

    inside('link', 'set', THERE, 'down');
    await each((node) => up(node, 0));
    clients.push(await openWebSocket(t, a, 'lobby'), await openWebSocket(t, b, 'lobby'));
    await heard([clients[0], clients[2]], a, 'alone a');
    await heard([clients[1], clients[3]], b, 'alone b');
    await each((node) => until(async () => (await request(node, { path: '/readyz' })).status === 503,
      `${node.name} to say that it is not ready`));
    assert.equal((await request(a, { path: '/livez' })).status, 200);

    inside('link', 'set', THERE, 'up');
    await each((node) => up(node, 1));
    await united(nodes);
    await each(async (node, i) =>
      assert.ok(await node.metric('peal_backplane_gaps_total') > gaps[i], `${node.name} counts what it missed`));
    // What waited for the other node may come first, if that one was back in time.
    await b.publish({ channel: 'lobby', data: 'after' });
    for (const client of clients) await hears(client, 'after');
  });
});

// SPDX-License-Identifier: MIT
//
// A node that has come later gets its share of clients that do not move by themselves.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';

import { until } from '../interop/lib/wait.mjs';
import { startCluster, useBed } from './lib/bed.mjs';
import { startRedis } from './lib/redis.mjs';

const CLIENTS = 60;
const RESTART = 1012;

describe('a node with more than its share', () => {
  const bed = useBed({ before, after }, async (add) => {
    const redis = await add(startRedis());
    return { nodes: await add(startCluster(2, redis, { set: { rebalance: 'on' } })) };
  });

  // What a client behind a balancer that counts connections does: it comes back where there are
  // fewest.
  function follow(t, node, codes) {
    const open = (to) => {
      const socket = new WebSocket(`ws://127.0.0.1:${to.port}/ws/lobby`);
      socket.on('error', () => {});
      socket.on('close', (code) => {
        if (ended) return;
        codes.push(code);
        open(bed.nodes[1]);
      });
      return () => socket.terminate();
    };
    let ended = false;
    const close = open(node);
    t.after(() => { ended = true; close(); });
  }

  test('gives some away, and keeps its share', async (t) => {
    const [full, empty] = bed.nodes;
    const codes = [];
    for (let i = 0; i < CLIENTS; i++) follow(t, full, codes);
    await until(async () => await full.sessions() === CLIENTS, 'all clients on the first node');
    await until(async () => await full.sessions() + await empty.sessions() === CLIENTS &&
      await empty.sessions() > 10, 'some of them to move', 60_000); // after nodes were settled for 15 s
    await until(async () => await full.sessions() < CLIENTS / 2 + 20, 'it to have little more than its share');
    assert.ok(await full.sessions() >= CLIENTS / 2, 'it keeps its share');
    assert.deepEqual(new Set(codes), new Set([RESTART]));
  });
});

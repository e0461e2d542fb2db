// SPDX-License-Identifier: MIT
//
// POST /api/emit with "ack" on one node: the clients of all nodes are asked, and what they
// answer comes back with the number of nodes that have told it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { request } from '../interop/lib/http.mjs';
import { MODES, ask as askClient, connect, upgraded } from '../interop/lib/sio.mjs';
import { next, until } from '../interop/lib/wait.mjs';
import { listNodes, startCluster, useBed } from './lib/bed.mjs';
import { startRedis } from './lib/redis.mjs';

let serial = 0;
const fresh = () => `room-${process.pid}-${++serial}`;

async function emit(node, body) {
  const { status, text } = await request(node, {
    method: 'POST', path: '/api/emit', body: JSON.stringify(body),
    headers: { Authorization: 'Bearer of-the-tests', 'Content-Type': 'application/json' },
  });
  return { status, ...JSON.parse(text) };
}

for (const secret of ['', '00112233445566778899aabbccddeeff']) {
  describe(`three nodes, ${secret ? 'with' : 'without'} a secret`, () => {
    const bed = useBed({ before, after }, async (add) => {
      const redis = await add(startRedis());
      return { redis, nodes: await add(startCluster(3, redis, { set: secret ? { 'backplane.secret': secret } : {} })) };
    });

    // A client that answers `question` with what `reply` returns; nothing: it does not.
    async function member(t, node, room, reply, options = MODES.websocket) {
      const socket = await connect(t, node, options);
      await askClient(socket, 'join', room);
      socket.on('question', (...args) => {
        const answer = args.pop();
        const back = reply(...args);
        if (back !== undefined) answer(back);
      });
      return socket;
    }

    for (const [mode, options] of Object.entries(MODES)) {
      test(`clients of all nodes are asked: ${mode}`, async (t) => {
        const room = fresh();
        for (const [i, node] of bed.nodes.entries()) {
          for (let k = 0; k < 2; k++) {
            const socket = await member(t, node, room, (x) => ({ node: i, k, x }), options);
            if (mode === 'polling, then websocket') await upgraded(socket);
          }
        }
        const { responses, ...rest } = await emit(bed.nodes[1], { rooms: [room], event: 'question', args: [7], ack: true });
        assert.deepEqual(rest, { status: 200, asked: 6, answered: 6, nodes: 3, nodes_answered: 3 });
        assert.deepEqual(responses.map(({ node, k, x }) => `${node}${k}${x}`).sort(), ['007', '017', '107', '117', '207', '217']);
      });
    }

    test('bytes both ways', async (t) => {
      const room = fresh();
      const [a, b] = bed.nodes;
      await member(t, b, room, () => Buffer.from('bytes'));
      const got = await emit(a, { rooms: [room], event: 'question', ack: true });
      assert.deepEqual(got.responses, [Buffer.from('bytes').toString('base64')]);
    });

    test('nobody is there', async () => {
      const got = await emit(bed.nodes[0], { rooms: [fresh()], event: 'question', ack: true });
      assert.deepEqual(got, { status: 200, responses: [], asked: 0, answered: 0, nodes: 3, nodes_answered: 3 });
    });

    test('some do not answer, and some leave', async (t) => {
      const room = fresh();
      const [a, b, c] = bed.nodes;
      await member(t, a, room, () => 'yes');
      await member(t, b, room, () => undefined);
      const leaver = await member(t, c, room, () => {
        leaver.disconnect();
      });
      const got = await emit(a, { rooms: [room], event: 'question', ack: true, timeout_ms: 300 });
      assert.deepEqual(got, { status: 200, responses: ['yes'], asked: 3, answered: 1, nodes: 3, nodes_answered: 3 });
    });

    test('a question does not overtake what was published before, on any node', async (t) => {
      const room = fresh();
      const seen = [];
      for (const node of bed.nodes) {
        const got = [];
        const socket = await member(t, node, room, () => got.length);
        socket.on('before', () => got.push(1));
        seen.push(got);
      }
      for (let i = 1; i <= 5; i++) {
        await bed.nodes[0].post('/api/emit', { rooms: [room], event: 'before' });
        const { responses } = await emit(bed.nodes[0], { rooms: [room], event: 'question', ack: true });
        assert.deepEqual(responses, [i, i, i]);
      }
    });

    test('except, and a namespace', async (t) => {
      const room = fresh();
      const one = await member(t, bed.nodes[0], room, () => 'one');
      const two = await member(t, bed.nodes[1], room, () => 'two');
      const got = await emit(bed.nodes[2], { rooms: [room], except: [one.id], event: 'question', ack: true });
      assert.deepEqual(got.responses, ['two']);
      assert.deepEqual((await emit(bed.nodes[2], { rooms: [two.id], event: 'question', ack: true })).responses, ['two']);
    });

    if (secret === '') test('a node that is killed meanwhile is not waited for longer than it is silent', async (t) => {
      const room = fresh();
      const [a, , c] = bed.nodes;
      await member(t, a, room, () => 'yes');
      const last = await member(t, c, room, () => {
        c.kill();
      });
      const gone = next(last, 'disconnect');
      const got = await emit(a, { rooms: [room], event: 'question', ack: true, timeout_ms: 60_000 });
      await gone;
      assert.ok(got.asked === 1 || got.asked === 2, 'whether it had told that it asked is open');
      assert.deepEqual({ ...got, asked: 0 }, { status: 200, responses: ['yes'], asked: 0, answered: 1, nodes: 3, nodes_answered: 2 });
      await until(async () => (await listNodes(a)).length === 2, 'two nodes to be left');
      const again = await emit(a, { rooms: [room], event: 'question', ack: true });
      assert.deepEqual(again, { status: 200, responses: ['yes'], asked: 1, answered: 1, nodes: 2, nodes_answered: 2 });
    });

    test('without Redis this node alone is asked', async (t) => {
      const room = fresh();
      const [a, b] = bed.nodes;
      await member(t, a, room, () => 'here');
      await member(t, b, room, () => 'there');
      await bed.redis.kill();
      await until(async () => (await a.metric('peal_backplane_up')) === 0, 'it to notice');
      const { responses, nodes_answered: n } = await emit(a, { rooms: [room], event: 'question', ack: true });
      assert.deepEqual([responses, n], [['here'], 1]);
      await bed.redis.start();
    });
  });
}

// SPDX-License-Identifier: MIT
//
// Two Peal nodes and a Socket.IO server of Node's on one Redis, in each of the two dialects of the
// official Redis adapter.

import assert from 'node:assert/strict';

import { quiet, startCluster, useBed } from './bed.mjs';
import { heard, openSocketIo } from './ears.mjs';
import { ask, startRedis } from './redis.mjs';
import { startRedisCluster } from './redis-kinds.mjs';
import { startSocketIo } from './socketio.mjs';

export const DIALECTS = ['redis', 'redis-sharded'];

let serial = 0;
export const fresh = (kind = 'room') => `${kind}-${process.pid}-${++serial}`;
export const bytes = (...list) => Buffer.from(list);

// { redis, node, peals, servers: all three, everywhere(t, options): a client of each }. After each
// test Node's process must be alive: nothing that Peal says ends it. cluster: of Redis; user: what
// Peal's user of Redis may do, if not everything
export function useMixed({ before, beforeEach, after, afterEach }, dialect, { tough, cluster, user } = {}) {
  const bed = useBed({ before, after }, async (add) => {
    const redis = cluster ? await startRedisCluster(3) : await startRedis();
    await add(redis.members ?? redis);
    const node = await add(startSocketIo(redis.members ?? redis, { dialect, tough }));
    // The user in a cluster's URL may not do all that the adapter does.
    const url = redis.url.replace(/\/\/(.*@)?/, user ? '//limited:pw@' : '//');
    if (user) await ask(redis, 'ACL', 'SETUSER', 'limited', 'on', '>pw', 'resetkeys', 'resetchannels', ...user);
    const peals = await add(startCluster(2, { url }, { set: { 'socketio.adapter': dialect } }));
    return { redis, node, peals, servers: [...peals, node] };
  });
  beforeEach(() => quiet(bed.peals));
  afterEach(() => assert.ok(bed.node.process.alive, bed.node.log));
  bed.everywhere = (t, more) => Promise.all(bed.servers.map((server) => openSocketIo(t, server, more)));
  bed.heard = (ears) => heard(bed.servers, ears);
  return bed;
}

// { id, rooms } of sockets, in order: what Node's fetchSockets is to say of these clients...
export const inOrder = (ears) => ears.map(({ id, rooms }) => ({ id, rooms: [id, ...rooms].map(String).sort() }))
  .sort((a, b) => (a.id < b.id ? -1 : 1));

// ... and what it says.
export const fetched = (server, { nsp = '/', rooms = [], except = [], local = false, ms } = {}) =>
  server.run(async (io, _, nsp, rooms, except, local, ms) => {
    let op = io.of(nsp).in(rooms).except(except);
    if (local) op = op.local;
    if (ms) op = op.timeout(ms);
    const list = (await op.fetchSockets()).map((one) => ({ id: one.id, rooms: [...one.rooms].sort() }));
    return list.sort((a, b) => (a.id < b.id ? -1 : 1));
  }, nsp, rooms, except, local, ms);

// SPDX-License-Identifier: MIT
//
// A Socket.IO server of Node's, in a process of its own: its clients may join, leave and emit to
// rooms as those of `peal serve --dev` may. What else a test wants of it comes as the text of a
// function by POST /run: { fn, args }, called with the server, what earlier ones have kept, and
// args.
//
//   node socketio-server.mjs PORT REDIS_PORT[,REDIS_PORT]... redis|redis-sharded [tough]
//
// Several ports are those of a Redis Cluster.
//
// A message that the adapter cannot read ends the process, unless it is tough.

import { createServer } from 'node:http';

import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import Redis from 'ioredis';
import { Server } from 'socket.io';

const [port, redisPorts, dialect, tough] = process.argv.slice(2);

function dial() {
  const [one, ...more] = redisPorts.split(',').map((port) => ({ port: Number(port), host: '127.0.0.1' }));
  const redis = more.length ? new Redis.Cluster([one, ...more], { shardedSubscribers: true })
    : new Redis({ ...one, retryStrategy: () => 50 });
  redis.on('error', (err) => console.error(`redis: ${err.message}`));
  return redis;
}

const pub = dial();
const sub = dial();
if (tough) {
  const on = sub.on.bind(sub);
  sub.on = (event, listener) => on(event, async (...args) => {
    try {
      await listener(...args);
    } catch (err) {
      console.error(`${event}: ${err.message}`);
    }
  });
}

const http = createServer(async (req, res) => {
  if (req.url.startsWith('/socket.io/')) return;
  let answer;
  try {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const { fn, args } = JSON.parse(Buffer.concat(chunks).toString());
    answer = JSON.stringify({ value: await (0, eval)(`(${fn})`)(io, kept, ...args) });
  } catch (err) {
    answer = JSON.stringify({ error: err.stack });
  }
  res.end(answer);
});

// subscribed: what has been subscribed so far is in force.
const kept = { pub, sub, subscribed: () => sub.ping(), connections: 0 };
if (sub.isCluster) {
  const all = [];
  const ssubscribe = sub.ssubscribe.bind(sub);
  sub.ssubscribe = (...args) => all.push(ssubscribe(...args));
  kept.subscribed = () => Promise.all(all);
}

const io = new Server(http, {
  adapter: dialect === 'redis' ? createAdapter(pub, sub, { requestsTimeout: 1000 }) : createShardedAdapter(pub, sub),
});
const onConnection = (socket) => {
  kept.connections++;
  socket.on('join', async (room, done) => {
    socket.join(room);
    await kept.subscribed();
    done?.();
  });
  socket.on('leave', (room, done) => {
    socket.leave(room);
    done?.();
  });
  socket.on('to', (room, event, ...args) => socket.nsp.to(room).emit(event, ...args));
  socket.on('are you done', (done) => done());
  socket.on('others', (event, ...args) => socket.broadcast.emit(event, ...args));
  socket.on('others in', (room, event, ...args) => socket.to(room).emit(event, ...args));
};

io.on('connection', onConnection);
for (const name of ['/chat', '/chat2', '/a*b?^{c}.+$|(d)']) io.of(name).on('connection', onConnection);
io.of(/^\/dynamic-\d+$/).on('connection', onConnection);

await kept.subscribed();
http.listen(Number(port), '127.0.0.1');

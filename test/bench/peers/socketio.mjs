// SPDX-License-Identifier: MIT
// The peer from npm for Socket.IO: the official server with the rules of `peal serve --dev`
// (join, leave, to, acknowledge, emit to all); one of many nodes if a Redis is named.
//   node socketio.mjs PORT [redis://HOST:PORT, or empty [CERTIFICATE KEY]]
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createClient } from '@redis/client';
import { createAdapter } from '@socket.io/redis-adapter';
import { Server } from 'socket.io';

const [port, redis, cert, key] = process.argv.slice(2);
const http = cert ? createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) })
  : createServer();
const io = new Server(http, { perMessageDeflate: false, serveClient: false });

async function joinCluster(url) {
  const clients = [createClient({ url }), createClient({ url })];
  await Promise.all(clients.map((client) => client.connect()));
  io.adapter(createAdapter(...clients));
  await clients[0].ping(); // the adapter's subscriptions are on their way before it
}

function onEvent(socket, event, args) {
  const ack = typeof args.at(-1) === 'function' ? args.pop() : undefined;
  if (event === 'join') socket.join(args[0]);
  else if (event === 'leave') socket.leave(args[0]);
  else if (event === 'to') io.to(args[0]).emit(args[1], ...args.slice(2));
  else if (ack === undefined) io.emit(event, ...args);
  if (ack !== undefined) ack(...args);
}

if (redis) await joinCluster(redis);
io.on('connection', (socket) => {
  socket.onAny((event, ...args) => onEvent(socket, event, args));
});
http.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 });
await once(http, 'listening');
console.log('ready');

// SPDX-License-Identifier: MIT
// The peer from npm for Socket.IO: the official server with the rules of `peal serve --dev`
// (join, leave, to, acknowledge, emit to all).   node socketio.mjs PORT
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer();
const io = new Server(http, { perMessageDeflate: false, serveClient: false });

function onEvent(socket, event, args) {
  const ack = typeof args.at(-1) === 'function' ? args.pop() : undefined;
  if (event === 'join') socket.join(args[0]);
  else if (event === 'leave') socket.leave(args[0]);
  else if (event === 'to') io.to(args[0]).emit(args[1], ...args.slice(2));
  else if (ack === undefined) io.emit(event, ...args);
  if (ack !== undefined) ack(...args);
}

io.on('connection', (socket) => {
  socket.onAny((event, ...args) => onEvent(socket, event, args));
});
http.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 }, () => {
  console.log('ready');
});

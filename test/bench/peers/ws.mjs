// SPDX-License-Identifier: MIT
// The peer from npm for plain WebSocket: the `ws` package, one broadcast per channel (the
// request path), the sender included, nothing else.   node ws.mjs PORT
import { WebSocketServer, WebSocket } from 'ws';

const channels = new Map();
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  backlog: 4096,
  perMessageDeflate: false,
});

server.on('connection', (socket, request) => {
  let members = channels.get(request.url);
  if (members === undefined) channels.set(request.url, (members = new Set()));
  members.add(socket);
  socket.on('message', (data, binary) => {
    for (const member of members) {
      if (member.readyState === WebSocket.OPEN) member.send(data, { binary });
    }
  });
  socket.on('close', () => members.delete(socket));
  socket.on('error', () => {});
});
server.on('listening', () => console.log('ready'));

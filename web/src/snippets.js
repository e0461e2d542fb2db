// SPDX-License-Identifier: MIT
// The code to copy, for this server and this channel.

export const snippets = (channel) => {
  const http = location.origin, ws = http.replace('http', 'ws');
  const name = encodeURIComponent(channel), text = JSON.stringify(channel);
  return {
    'socket.io-client': `import { io } from 'socket.io-client';

const socket = io('${http}');
socket.emit('join', ${text});
socket.on('message', (message) => console.log(message));
socket.emit('to', ${text}, 'message', { from: 'me', text: 'hello' });`,
    WebSocket: `const socket = new WebSocket('${ws}/ws/${name}');
socket.onmessage = (event) => console.log(event.data);
socket.onopen = () => socket.send(JSON.stringify({ from: 'me', text: 'hello' }));`,
    EventSource: `const source = new EventSource('${http}/sse/${name}');
source.onmessage = (event) => console.log(event.data);`,
    curl: `curl ${http}/api/publish \\
  -H 'Content-Type: application/json' \\
  -d '${JSON.stringify({ channel, event: 'message', data: { from: 'curl', text: 'hello' } })}'`,
  };
};

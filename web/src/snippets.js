// SPDX-License-Identifier: MIT
// The code to copy, for this server and this channel.

// A JavaScript string in single quotes; a word for the shell.
const js = (text) => `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
const sh = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export const snippets = (channel) => {
  const http = location.origin, ws = http.replace('http', 'ws');
  const room = js(channel), path = encodeURIComponent(channel).replaceAll("'", '%27');
  return {
    'Socket.IO': `import { io } from 'socket.io-client';

const socket = io('${http}');
socket.on('connect', () => socket.emit('join', ${room}));
socket.on('message', (message) => console.log(message));

socket.emit('to', ${room}, 'message', { from: 'me', text: 'hello' });`,
    WebSocket: `const socket = new WebSocket('${ws}/ws/${path}');
socket.onmessage = (event) => console.log(event.data);

socket.onopen = () => socket.send(JSON.stringify({ from: 'me', text: 'hello' }));`,
    EventSource: `const source = new EventSource('${http}/sse/${path}');
source.onmessage = (event) => console.log(event.data);

// An event with a name of its own: {"channel":…, "event":"created", "data":…}
source.addEventListener('created', (event) => console.log(event.data));`,
    curl: `curl ${http}/api/publish \\
  -H 'Content-Type: application/json' \\
  -d ${sh(JSON.stringify({ channel, event: 'message', data: { from: 'me', via: 'curl', text: 'hello' } }))}`,
  };
};

// SPDX-License-Identifier: MIT
//
// Clients of every kind, all of them on one channel, with what they were told in an inbox:
// [event, data], where a message without an event's name is "message". Each client keeps
// cookies, as a browser does.

import WebSocket from 'ws';

import { EventSource, httpFetch } from '../../interop/lib/event-source.mjs';
import { formatRequest, rawConnect } from '../../interop/lib/http.mjs';
import { ask, connect } from '../../interop/lib/sio.mjs';
import { Inbox, next, within } from '../../interop/lib/wait.mjs';

const cookieOf = (lines) => (lines ?? []).map((line) => line.split(';')[0]).join('; ');
const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

// options of all: cookie to begin with, events to listen to, localAddress

async function openSocketIo(t, target, channel, { cookie, events = [], ...options }) {
  const socket = await connect(t, target, {
    withCredentials: true, ...(cookie && { extraHeaders: { cookie } }), ...options,
  });
  const client = { inbox: new Inbox('event'), socket, channel };
  for (const event of ['message', ...events]) socket.on(event, (data) => client.inbox.push([event, data]));
  await ask(socket, 'join', channel);
  client.publish = (data) => socket.emit('to', channel, 'say', data);
  client.close = () => socket.disconnect();
  return client;
}

export async function openWebSocket(t, target, channel, { cookie, localAddress, headers } = {}) {
  const ws = new WebSocket(`ws://${target.host}:${target.port}/ws/${encodeURIComponent(channel)}`, {
    headers: { ...headers, ...(cookie && { Cookie: cookie }) }, localAddress,
  });
  const client = { inbox: new Inbox('message'), ws, channel };
  ws.on('upgrade', (res) => (client.cookie = cookieOf(res.headers['set-cookie'])));
  ws.on('message', (data) => client.inbox.push(['message', parse(data.toString())]));
  ws.on('error', () => {});
  client.gone = new Promise((resolve) => ws.on('close', (code) => resolve(code)));
  t.after(() => ws.terminate());
  await next(ws, 'open');
  client.publish = (data) => ws.send(typeof data === 'string' ? data : JSON.stringify(data));
  client.close = () => ws.close();
  return client;
}

export async function openEventSource(t, target, channel, { cookie, events = [] } = {}) {
  const client = { inbox: new Inbox('event'), channel, opened: 0 };
  const es = new EventSource(`${target.url}/sse/${encodeURIComponent(channel)}`, {
    fetch: async (url, init) => {
      const res = await httpFetch(url, { ...init, headers: { ...init.headers, ...(cookie && { Cookie: cookie }) } });
      client.cookie = cookieOf(res.headers.getSetCookie());
      return res;
    },
  });
  client.es = Object.assign(es, { once: (...args) => es.addEventListener(...args, { once: true }), off: es.removeEventListener });
  es.addEventListener('open', () => client.opened++);
  for (const name of ['message', ...events]) {
    es.addEventListener(name, (ev) => client.inbox.push([name, parse(ev.data)]));
  }
  t.after(() => es.close());
  await within(new Promise((resolve, reject) => {
    es.onopen = resolve;
    es.onerror = (err) => err.code && reject(new Error(`${err.code} ${err.message}`));
  }), 'the stream to open');
  client.close = () => es.close();
  return client;
}

const socketIo = (transports) => (t, target, channel, options = {}) =>
  openSocketIo(t, target, channel, { ...options, ...(transports && { transports }) });

export const KINDS = {
  'Socket.IO by polling': socketIo(['polling']),
  'Socket.IO by WebSocket': socketIo(['websocket']),
  'Socket.IO, polling first': socketIo(),
  WebSocket: openWebSocket,
  EventSource: openEventSource,
};

// One request from an address of this machine: { status, headers }, the body is not read.
export async function head(target, path, { localAddress, headers } = {}) {
  const conn = await rawConnect({ ...target, host: target.host, port: target.port, localAddress });
  try {
    conn.write(formatRequest(target, { path, headers }));
    return await conn.readHead();
  } finally {
    conn.destroy();
  }
}

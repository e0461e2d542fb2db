// SPDX-License-Identifier: MIT
//
// The original: a Node server of the official packages that reacts to events as
// `peal serve --dev` does, with the plain channels and the HTTP API in their plainest form.
// Run with PEAL_REFERENCE=1, the tests are held against it; a test that the original fails
// is either wrong or marked as a difference we want.

import http from 'node:http';

import { Server } from 'socket.io';
import * as msgpack from 'socket.io-msgpack-parser';
import { WebSocketServer } from 'ws';

import { within } from './wait.mjs';

const ms = (text) => Number(/^\d+/.exec(text)[0]) * (/\ds$/.test(text) ? 1000 : 1);

// Peal's option names to the original's.
function socketOptions(set) {
  const options = {};
  const take = {
    'socketio.path': (v) => (options.path = v),
    'socketio.ping_interval': (v) => (options.pingInterval = ms(v)),
    'socketio.ping_timeout': (v) => (options.pingTimeout = ms(v)),
    'socketio.upgrade_timeout': (v) => (options.upgradeTimeout = ms(v)),
    'socketio.connect_timeout': (v) => (options.connectTimeout = ms(v)),
    'socketio.max_payload': (v) => (options.maxHttpBufferSize = Number(v)),
    'socketio.cors': (v) => (options.cors = { ...options.cors, origin: v }),
    'socketio.cors_credentials': () => (options.cors = { ...options.cors, credentials: true }),
    'socketio.cookie': (v) => (options.cookie = { name: v, httpOnly: true, path: '/', sameSite: 'lax' }),
    'socketio.transports': (v) => (options.transports = [v].flat()),
    'socketio.http_compression': (v) => v === 'off' && (options.httpCompression = false),
    'socketio.parser': (v) => v === 'msgpack' && (options.parser = msgpack.default ?? msgpack),
  };
  for (const [name, value] of Object.entries(set)) take[name]?.(value);
  return options;
}

class Channels {
  #plain = new Map();

  constructor(io) {
    this.io = io;
    const adapter = io.of('/').adapter;
    const broadcast = adapter.broadcast.bind(adapter);
    adapter.broadcast = (packet, opts) => {
      broadcast(packet, opts);
      const [event, ...args] = packet.data;
      for (const room of opts.rooms) this.#out(room, event, args.length === 1 ? args[0] : args);
    };
  }

  add(client) {
    for (const name of client.channels) {
      if (!this.#plain.has(name)) this.#plain.set(name, new Set());
      this.#plain.get(name).add(client);
    }
  }

  remove(client) {
    for (const name of client.channels) this.#plain.get(name)?.delete(client);
  }

  #out(channel, event, data, bytes) {
    for (const client of this.#plain.get(channel) ?? []) client.deliver(channel, event, data, bytes);
  }

  // bytes: what came, to be passed on as it is between plain clients.
  publish(channel, event, data, bytes) {
    this.#out(channel, event, data, bytes);
    const { adapter } = this.io.of('/');
    Object.getPrototypeOf(adapter).broadcast.call(adapter,
      { type: 2, nsp: '/', data: [event ?? 'message', data] },
      { rooms: new Set([channel]), except: new Set(), flags: {} });
  }
}

function parseText(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : text;
  } catch {
    return text;
  }
}

const channelsOf = (url, root) => {
  const path = decodeURIComponent(url.pathname.slice(root.length + 1));
  return [...(path ? [path] : []), ...url.searchParams.getAll('channel')];
};

function plainSocket(channels, ws, names) {
  const many = names.length > 1;
  const client = {
    channels: names,
    deliver(channel, event, data, bytes) {
      if (many) ws.send(JSON.stringify({ channel, event, data }));
      else if (Buffer.isBuffer(data)) ws.send(data, { binary: true });
      else ws.send(bytes ?? (typeof data === 'string' ? data : JSON.stringify(data)));
    },
  };
  channels.add(client);
  ws.on('close', () => channels.remove(client));
  ws.on('error', () => {});
  ws.on('message', (data, binary) => {
    if (binary) return channels.publish(names[0], undefined, data);
    const text = data.toString('utf8');
    if (!many) return channels.publish(names[0], undefined, parseText(text), text);
    const said = JSON.parse(text);
    return channels.publish(said.channel, said.event, said.data);
  });
}

function eventSource(channels, req, res, names) {
  res.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-cache, no-transform',
    'X-Accel-Buffering': 'no',
  });
  res.write('retry: 2000\n\n');
  const ping = setInterval(() => res.write(':\n\n'), 200);
  const client = {
    channels: names,
    deliver(channel, event, data, bytes) {
      let out = '';
      if (Buffer.isBuffer(data)) {
        out = `event: binary\ndata: ${data.toString('base64')}\n\n`;
      } else {
        const text = bytes ?? (typeof data === 'string' ? data : JSON.stringify(data));
        if (event) out = `event: ${event}\n`;
        out += text.split('\n').map((line) => `data: ${line}\n`).join('') + '\n';
      }
      res.write(out);
    },
  };
  channels.add(client);
  res.on('close', () => {
    clearInterval(ping);
    channels.remove(client);
  });
}

async function body(req) {
  const parts = [];
  for await (const part of req) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}

async function api(channels, io, url, req, res) {
  const said = await body(req);
  if (url.pathname === '/api/publish') {
    for (const name of said.channels ?? [said.channel]) channels.publish(name, said.event, said.data);
  } else {
    let to = io.of(said.namespace ?? '/');
    for (const room of said.rooms ?? []) to = to.to(room);
    for (const room of said.except ?? []) to = to.except(room);
    to.emit(said.event, ...(said.args ?? []));
  }
  res.writeHead(200, { 'Content-Type': 'application/json' });
  res.end('{}');
}

function behave(io) {
  io.of((name, auth, next) => next(null, true)).on('connection', serve);
  io.on('connection', serve);
  function serve(socket) {
    socket.onAny((event, ...args) => {
      const ack = typeof args.at(-1) === 'function' ? args.pop() : null;
      if (event === 'join') socket.join(args[0]);
      else if (event === 'leave') socket.leave(args[0]);
      else if (event === 'to') socket.nsp.to(args[0]).emit(args[1], ...args.slice(2));
      else if (ack) return ack(...args);
      else return socket.nsp.emit(event, ...args);
      return ack?.(...args);
    });
  }
}

export async function startReference({ set = {} } = {}) {
  const server = http.createServer();
  const io = new Server(server, { destroyUpgrade: false, ...socketOptions(set) });
  behave(io);
  const channels = new Channels(io);
  const wss = new WebSocketServer({ noServer: true });
  server.on('upgrade', (req, socket, head) => {
    const url = new URL(req.url, 'http://x');
    if (!url.pathname.startsWith('/ws')) return;
    wss.handleUpgrade(req, socket, head, (ws) => plainSocket(channels, ws, channelsOf(url, '/ws')));
  });
  const others = server.listeners('request').slice();
  server.removeAllListeners('request');
  server.on('request', (req, res) => {
    const url = new URL(req.url, 'http://x');
    if (url.pathname.startsWith('/sse')) return eventSource(channels, req, res, channelsOf(url, '/sse'));
    if (url.pathname.startsWith('/api/')) return api(channels, io, url, req, res);
    if (req.url.startsWith(io.path() + '/')) {
      for (const listener of others) listener.call(server, req, res);
      return undefined;
    }
    res.writeHead(404).end();
    return undefined;
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return {
    host: '127.0.0.1',
    port,
    url: `http://127.0.0.1:${port}`,
    alive: true,
    io,
    async stop() {
      server.closeAllConnections();
      for (const client of wss.clients) client.terminate();
      await within(io.close(), 'the reference server to close');
    },
  };
}

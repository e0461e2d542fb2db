// SPDX-License-Identifier: MIT
//
// Official Socket.IO clients, in each transport mode, that end with their test.

import { io } from 'socket.io-client';

import { next, within } from './wait.mjs';

export const MODES = {
  websocket: { transports: ['websocket'] },
  polling: { transports: ['polling'] },
  'polling, then websocket': {},
};

// A socket that is not connected yet: for listeners that must see the first event.
export function makeClient(t, server, { nsp = '/', ...options } = {}) {
  const socket = io(`${server.url}${nsp}`, {
    forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 100, ...options,
  });
  t.after(() => {
    socket.disconnect();
    socket.io._close(); // sockets of other namespaces would keep it coming back for ever
  });
  return socket;
}

export async function connect(t, server, options) {
  const socket = makeClient(t, server, options);
  await connected(socket);
  return socket;
}

export function connected(socket) {
  if (socket.connected) return Promise.resolve();
  let refuse;
  const got = new Promise((resolve, reject) => {
    refuse = reject;
    socket.once('connect', resolve);
    socket.once('connect_error', reject);
  });
  return within(got, 'a Socket.IO connection').finally(() => socket.off('connect_error', refuse));
}

// Resolves when a client in the default mode has moved to its WebSocket.
export async function upgraded(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== 'websocket') await next(engine, 'upgrade');
}

export const ask = (socket, ...args) =>
  within(new Promise((resolve) => socket.emit(...args, (...back) => resolve(back))),
    `the acknowledgement of ${args[0]}`);

// Everything this socket sent so far has been dealt with: acknowledged in order after it.
export const settled = (socket) => ask(socket, 'are you done');

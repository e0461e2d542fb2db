// SPDX-License-Identifier: MIT
//
// Node's Socket.IO server beside Peal: socketio-server.mjs as a service.

import { fileURLToPath } from 'node:url';

import { within } from '../../interop/lib/wait.mjs';
import { Process, Service, freePort } from './bed.mjs';

const PROGRAM = fileURLToPath(new URL('./socketio-server.mjs', import.meta.url));

class SocketIoServer extends Service {
  // Calls fn there, with (io, kept, ...args), and returns what it returns, both by way of JSON.
  async run(fn, ...args) {
    const res = fetch(`${this.url}/run`, { method: 'POST', body: JSON.stringify({ fn: fn.toString(), args }) });
    const { value, error } = await within(res.then((one) => one.json()), `${this.name} to do ${fn}`);
    if (error) throw new Error(`${this.name}: ${error}`);
    return value;
  }
}

// redis: one, or the members of a cluster. tough: it survives messages that cannot be read
export async function startSocketIo(redis, { dialect = 'redis', tough = false, name = 'Socket.IO' } = {}) {
  const port = await freePort();
  const ports = [redis].flat().map((one) => one.port).join();
  return new SocketIoServer(name, port, () =>
    new Process(process.execPath, [PROGRAM, `${port}`, ports, dialect, ...(tough ? ['tough'] : [])])).start();
}

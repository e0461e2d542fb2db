// SPDX-License-Identifier: MIT
//
// A polling client of Engine.IO by hand, and a way to know that the server has read what was
// sent on another connection.

import assert from 'node:assert/strict';

import { formatRequest, rawConnect, request } from './http.mjs';
import { until } from './wait.mjs';

export const RS = '\x1e';

export class Polling {
  // base: path and query of a handshake.
  static async open(server, base = '/socket.io/?EIO=4&transport=polling') {
    const res = await request(server, { path: base });
    assert.equal(res.status, 200);
    assert.equal(res.text[0], '0');
    const handshake = JSON.parse(res.text.slice(1));
    return Object.assign(new Polling(), { server, res, handshake, sid: handshake.sid, path: `${base}&sid=${handshake.sid}` });
  }

  // Each request on a connection of its own, so on any worker.
  get(headers = {}) {
    return request(this.server, { path: this.path, headers });
  }

  post(body, headers = {}) {
    return request(this.server, { method: 'POST', path: this.path, body,
      headers: { 'Content-Type': 'text/plain;charset=UTF-8', ...headers } });
  }

  // A request that changes nothing: 500 as long as the session lives, 400 after it.
  look() {
    return request(this.server, { method: 'PUT', path: this.path });
  }

  ends() {
    return until(async () => (await this.look()).status === 400, 'the session to end');
  }

  async join(nsp = '') {
    assert.equal((await this.post(`40${nsp}`)).text, 'ok');
    return (await this.get()).text;
  }

  // A connection that the session's worker has: a request brings it there.
  async connection() {
    const conn = await rawConnect(this.server);
    await this.#lookOn(conn);
    return conn;
  }

  async #lookOn(conn) {
    conn.write(formatRequest(this.server, { method: 'PUT', path: this.path }));
    assert.equal((await conn.readResponse()).status, 500);
  }

  // Writes to a connection of the session's worker, and waits until that worker has read it:
  // it reads connections in the order in which they have something to say.
  async begin(bytes) {
    const [conn, witness] = [await this.connection(), await this.connection()];
    await new Promise((resolve) => conn.socket.write(bytes, resolve));
    await this.#lookOn(witness);
    witness.destroy();
    return conn;
  }

  // A poll that is under way: to be answered later.
  park(headers = {}) {
    return this.begin(formatRequest(this.server, { path: this.path, headers }));
  }
}

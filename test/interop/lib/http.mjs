// SPDX-License-Identifier: MIT
//
// HTTP/1.1 by hand over a bare socket: tests send exact bytes and look at exact answers,
// header names and framing included. Knows Content-Length, chunked and close-delimited bodies.

import net from 'node:net';
import tls from 'node:tls';

import { PATIENCE, within } from './wait.mjs';

// A connection that remembers what it read. `closed` resolves at the end of input, however
// it came about: 'end', or the error code.
export class RawConn {
  #buffer = Buffer.alloc(0);
  #wake = [];
  #over = null;

  constructor(socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      const over = (how) => {
        if (this.#over) return;
        this.#over = how;
        this.#wakeAll();
        resolve(how);
      };
      socket.on('error', (err) => over(err.code ?? 'error'));
      socket.on('end', () => over('end'));
      socket.on('close', () => over('end'));
    });
    socket.on('data', (data) => {
      this.#buffer = this.#buffer.length ? Buffer.concat([this.#buffer, data]) : data;
      this.#wakeAll();
    });
  }

  #wakeAll() {
    for (const wake of this.#wake.splice(0)) wake();
  }

  get buffer() {
    return this.#buffer;
  }

  write(data) {
    this.socket.write(data);
    return this;
  }

  destroy() {
    this.socket.destroy();
  }

  waitClosed(ms = PATIENCE) {
    return within(this.closed, 'the server to close the connection', ms);
  }

  // Resolves with what `take(buffer, over)` makes of the bytes once it is not undefined;
  // take returns [value, bytes used].
  async #read(take, what, ms = PATIENCE) {
    const work = async () => {
      for (;;) {
        const got = take(this.#buffer, this.#over !== null);
        if (got !== undefined) {
          this.#buffer = this.#buffer.subarray(got[1]);
          return got[0];
        }
        if (this.#over) {
          throw new Error(`closed (${this.#over}) while waiting for ${what}, had ` +
            JSON.stringify(this.#buffer.toString('latin1').slice(0, 300)));
        }
        await new Promise((resolve) => this.#wake.push(resolve));
      }
    };
    return within(work(), what, ms);
  }

  readBytes(n, ms) {
    return this.#read((buf) => (buf.length >= n ? [buf.subarray(0, n), n] : undefined),
      `${n} bytes`, ms);
  }

  readUntil(text, ms) {
    const mark = Buffer.from(text);
    return this.#read((buf) => {
      const at = buf.indexOf(mark);
      return at < 0 ? undefined : [buf.subarray(0, at + mark.length), at + mark.length];
    }, JSON.stringify(text), ms);
  }

  readHead(ms) {
    return this.#read((buf) => {
      const at = buf.indexOf('\r\n\r\n');
      return at < 0 ? undefined : [parseHead(buf.subarray(0, at + 4)), at + 4];
    }, 'a response head', ms);
  }

  async readResponse({ method = 'GET', ms = PATIENCE } = {}) {
    const res = await this.readHead(ms);
    res.body = await this.#readBody(res, method, ms);
    res.text = res.body.toString('utf8');
    return res;
  }

  async #readBody(res, method, ms) {
    if (method === 'HEAD' || res.status === 204 || res.status === 304 || res.status < 200) {
      return Buffer.alloc(0);
    }
    if (/chunked/i.test(res.headers['transfer-encoding'] ?? '')) return this.#readChunks(ms);
    const length = res.headers['content-length'];
    if (length !== undefined) return Buffer.from(await this.readBytes(Number(length), ms));
    return this.#read((buf, over) => (over ? [Buffer.from(buf), buf.length] : undefined),
      'the end of the body', ms);
  }

  // One chunk of a chunked body; the last one is empty.
  async readChunk(ms) {
    const size = parseInt((await this.readUntil('\r\n', ms)).toString('latin1'), 16);
    const chunk = Buffer.from(await this.readBytes(size, ms));
    await this.readBytes(2, ms);
    return chunk;
  }

  async #readChunks(ms) {
    const parts = [];
    for (;;) {
      const chunk = await this.readChunk(ms);
      if (!chunk.length) return Buffer.concat(parts);
      parts.push(chunk);
    }
  }
}

export function parseHead(bytes) {
  const lines = bytes.toString('latin1').replace(/\r\n\r\n$/, '').split('\r\n');
  const [, version, status, reason] = /^HTTP\/(\d\.\d) (\d{3}) ?(.*)$/.exec(lines[0]) ?? [];
  if (!status) throw new Error(`not a status line: ${JSON.stringify(lines[0])}`);
  const headers = Object.create(null);
  const raw = [];
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`not a header: ${JSON.stringify(line)}`);
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    raw.push([name, value]);
    const key = name.toLowerCase();
    headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
  }
  return { version, status: Number(status), reason, headers, rawHeaders: raw };
}

// target: { host, port } or { path } (unix socket), plus tls: { ca } for TLS; prefix: bytes
// to send before everything else (PROXY protocol); localAddress: where to come from.
export async function rawConnect(target) {
  const plain = target.path
    ? net.connect({ path: target.path })
    : net.connect({ host: target.host ?? '127.0.0.1', port: target.port, localAddress: target.localAddress });
  plain.setNoDelay?.(true);
  if (!target.tls) {
    const conn = new RawConn(plain);
    await within(new Promise((resolve, reject) => {
      plain.once('connect', resolve);
      plain.once('error', reject);
    }), 'a TCP connection');
    if (target.prefix) conn.write(target.prefix);
    return conn;
  }
  const secure = tls.connect({ socket: plain, servername: 'localhost', ...target.tls });
  const conn = new RawConn(secure);
  await within(new Promise((resolve, reject) => {
    secure.once('secureConnect', resolve);
    secure.once('error', reject);
    plain.once('error', reject);
  }), 'a TLS connection');
  return conn;
}

export function formatRequest(target, { method = 'GET', path = '/', headers = {}, body } = {}) {
  const bytes = body === undefined ? null : Buffer.from(body);
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  let head = `${method} ${path} HTTP/1.1\r\n`;
  if (!names.has('host')) head += `Host: ${target.host ?? '127.0.0.1'}:${target.port ?? 80}\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value].flat()) head += `${name}: ${one}\r\n`;
  }
  if (bytes && !names.has('content-length') && !names.has('transfer-encoding')) {
    head += `Content-Length: ${bytes.length}\r\n`;
  }
  return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), bytes ?? Buffer.alloc(0)]);
}

// One request on a fresh connection, which is closed afterwards.
export async function request(target, options = {}) {
  const conn = await rawConnect(target);
  try {
    conn.write(formatRequest(target, options));
    return await conn.readResponse({ method: options.method, ms: options.ms });
  } finally {
    conn.destroy();
  }
}

// The headers of a WebSocket upgrade with a fixed key, whose answer is UPGRADE_ACCEPT.
export const UPGRADE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
export const UPGRADE_ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

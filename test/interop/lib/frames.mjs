// SPDX-License-Identifier: MIT
//
// WebSocket frames by hand, for what a well-behaved client library would never send, and for
// seeing exactly which close code came (none is not the same as 1000).

import { RawConn, UPGRADE, formatRequest, rawConnect } from './http.mjs';

export const OP = { CONT: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };

export function frame(opcode, payload = '', { fin = true, mask = true, rsv = 0, length } = {}) {
  const data = Buffer.from(payload);
  const said = length ?? data.length;
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const masked = mask ? 0x80 : 0;
  if (said < 126) head.push(masked | said);
  else if (said < 65536) head.push(masked | 126, said >> 8, said & 255);
  else {
    const wide = Buffer.alloc(8);
    wide.writeBigUInt64BE(BigInt(said));
    head.push(masked | 127, ...wide);
  }
  if (!mask) return Buffer.concat([Buffer.from(head), data]);
  const key = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  const out = Buffer.from(data);
  for (let i = 0; i < out.length; i++) out[i] ^= key[i & 3];
  return Buffer.concat([Buffer.from(head), key, out]);
}

export class RawWebSocket {
  constructor(conn, head) {
    this.conn = conn;
    this.head = head;
  }

  send(opcode, payload, options) {
    this.conn.write(frame(opcode, payload, options));
  }

  text(payload) {
    this.send(OP.TEXT, payload);
  }

  // { fin, rsv, opcode, payload, code } ; code only of a close frame, null if it is empty.
  async read(ms) {
    const [first, second] = await this.conn.readBytes(2, ms);
    let length = second & 127;
    if (second & 128) throw new Error('the server masked a frame');
    if (length === 126) length = (await this.conn.readBytes(2, ms)).readUInt16BE();
    else if (length === 127) length = Number((await this.conn.readBytes(8, ms)).readBigUInt64BE());
    const payload = length ? Buffer.from(await this.conn.readBytes(length, ms)) : Buffer.alloc(0);
    const got = { fin: first >> 7 === 1, rsv: (first >> 4) & 7, opcode: first & 15, payload };
    if (got.opcode === OP.CLOSE) got.code = length >= 2 ? payload.readUInt16BE() : null;
    return got;
  }

  async readText(ms) {
    const got = await this.read(ms);
    if (got.opcode !== OP.TEXT) throw new Error(`wanted text, got ${describe(got)}`);
    return got.payload.toString('utf8');
  }

  // Reads on until the close frame and returns its code; null if it was empty.
  async readClose(ms) {
    for (;;) {
      const got = await this.read(ms);
      if (got.opcode === OP.CLOSE) return got.code;
    }
  }

  destroy() {
    this.conn.destroy();
  }
}

export const describe = (got) =>
  `opcode ${got.opcode} ${JSON.stringify(got.payload.toString('latin1').slice(0, 100))}`;

export async function rawWebSocket(target, path, headers = {}) {
  const conn = await rawConnect(target);
  conn.write(formatRequest(target, { path, headers: { ...UPGRADE, ...headers } }));
  const head = await conn.readHead();
  if (head.status !== 101) {
    conn.destroy();
    throw new Error(`no upgrade: ${head.status}`);
  }
  return new RawWebSocket(conn, head);
}

export { RawConn };

// SPDX-License-Identifier: MIT
//
// The image as deploy/image/build-rootfs.sh makes it, and what runs Peal in it.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { PEAL, scratchFile } from './peal.mjs';
import { ROOT } from './tools.mjs';

const SCRIPT = join(ROOT, 'deploy/image/build-rootfs.sh');
const CONFINE = fileURLToPath(new URL('../confine.c', import.meta.url));
const NOT_ALLOWED = 77;

export const USER = 65532;
export const needed = execFileSync('ldd', [PEAL]).toString();
export const sanitized = /asan|tsan/.test(needed);
export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

// Makes DIR/rootfs and DIR/peal.tar, and returns DIR.
export function build(dir, env) {
  execFileSync(SCRIPT, [PEAL, dir], { env: { PATH: process.env.PATH, ...env }, stdio: 'pipe' });
  return dir;
}

// Reads a layout; blobs are what they are called.
export function open(file) {
  const read = (name) => execFileSync('tar', ['-xOf', file, name], { maxBuffer: 1 << 30 });
  const blob = ({ digest, size }) => {
    const bytes = read(`blobs/${digest.replace(':', '/')}`);
    assert.equal(`sha256:${sha256(bytes)}`, digest);
    assert.equal(bytes.length, size);
    return bytes;
  };
  const [entry] = JSON.parse(read('index.json')).manifests;
  const manifest = JSON.parse(blob(entry));
  return { read, entry, manifest, config: JSON.parse(blob(manifest.config)), layer: blob(manifest.layers[0]) };
}

// confine.c, compiled: its path, or why it cannot be used here.
export function makeConfine() {
  const path = scratchFile('confine');
  const made = spawnSync('cc', ['-O1', '-o', path, CONFINE], { encoding: 'utf8' });
  if (made.error) return { lacking: 'there is no C compiler' };
  if (made.status !== 0) throw new Error(made.stderr);
  const empty = scratchFile('empty');
  mkdirSync(empty);
  const { status, stderr } = spawnSync(path, ['-n', empty, '/nothing'], { encoding: 'utf8' });
  return status === NOT_ALLOWED ? { lacking: `namespaces cannot be had here: ${stderr.trim()}` } : { path };
}

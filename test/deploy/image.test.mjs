// SPDX-License-Identifier: MIT
//
// The image, made as the Dockerfile makes it and read as a registry would read it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { build, needed, open, sanitized, sha256, USER } from './lib/image.mjs';
import { scratchFile } from './lib/peal.mjs';
import { ROOT } from './lib/tools.mjs';

function walk(dir, prefix = '') {
  return readdirSync(join(dir, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = join(prefix, entry.name);
    return entry.isDirectory() ? walk(dir, path) : [path];
  });
}

describe('image', () => {
  const out = scratchFile('image');
  const root = join(out, 'rootfs');
  let image;
  before(() => {
    image = open(join(build(out), 'peal.tar'));
  });

  test('has peal, its libraries and little else', () => {
    const files = walk(root).map((path) => `/${path}`);
    assert.deepEqual(files.filter((path) => /\/s?bin\//.test(path)), ['/usr/bin/peal']);
    const allowed = /^\/(usr\/bin\/peal|etc\/(passwd|group|nsswitch\.conf|ssl\/certs\/ca-certificates\.crt)|(usr\/)?lib(64)?\/.*\.so(\.\d+)*|usr\/share\/doc\/[^/]+\/copyright|var\/lib\/dpkg\/status\.d\/[^/]+)$/;
    assert.deepEqual(files.filter((path) => !allowed.test(path)), []);
    const paths = needed.match(/\/\S+/g);
    assert.deepEqual(paths.filter((path) => !files.includes(path)), []);
    for (const path of files) assert.equal(statSync(join(root, path)).mode & 0o7022, 0, path);
    assert.match(readFileSync(join(root, 'etc/passwd'), 'utf8'), new RegExp(`^peal:x:${USER}:${USER}:`, 'm'));
  });

  test('is a proper OCI layout', () => {
    assert.deepEqual(JSON.parse(image.read('oci-layout')), { imageLayoutVersion: '1.0.0' });
    assert.equal(image.manifest.schemaVersion, 2);
    assert.equal(image.manifest.mediaType, image.entry.mediaType);
    const tar = gunzipSync(image.layer);
    assert.deepEqual(image.config.rootfs, { type: 'layers', diff_ids: [`sha256:${sha256(tar)}`] });
    const listed = execFileSync('tar', ['-tf', '-'], { input: tar, maxBuffer: 1 << 26 }).toString().split('\n')
      .filter((name) => name && !name.endsWith('/')).map((name) => name.replace(/^\.\//, ''));
    assert.deepEqual(listed.sort(), walk(root).sort());
    if (!sanitized) assert.ok(image.layer.length < 15_000_000, `${image.layer.length} bytes`);
  });

  test('says the same as the Dockerfile', () => {
    const text = readFileSync(join(ROOT, 'deploy/image/Dockerfile'), 'utf8').replace(/\\\n/g, ' ');
    const last = text.slice(text.lastIndexOf('\nFROM '));
    const all = (word) => [...last.matchAll(new RegExp(`^${word} (.*)$`, 'gm'))].map(([, rest]) => rest.trim());
    const { config } = image.config;
    assert.deepEqual(all('FROM'), ['scratch']);
    assert.deepEqual(all('USER'), [config.User]);
    assert.deepEqual(all('STOPSIGNAL'), [config.StopSignal]);
    assert.deepEqual(all('ENTRYPOINT').map((json) => JSON.parse(json)), [config.Entrypoint]);
    assert.deepEqual(all('CMD').map((json) => JSON.parse(json)), [config.Cmd]);
    assert.deepEqual(all('ENV').flatMap((line) => line.split(/\s+/)).sort(), [...config.Env].sort());
    assert.deepEqual(all('EXPOSE').flatMap((line) => line.split(' ')).map((port) => `${port}/tcp`).sort(), Object.keys(config.ExposedPorts).sort());
    for (const label of Object.keys(config.Labels)) assert.ok(last.includes(`${label}=`), label);
    assert.equal(config.User, `${USER}:${USER}`);
    assert.equal(config.StopSignal, 'SIGTERM');
  });

  test('takes what it is told about its origin', () => {
    const dir = build(scratchFile('labelled'), { SOURCE_DATE_EPOCH: '86400', IMAGE_SOURCE: 'https://example.com/peal', IMAGE_REVISION: 'abc' });
    const { config } = open(join(dir, 'peal.tar'));
    assert.equal(config.created, '1970-01-02T00:00:00Z');
    assert.equal(config.config.Labels['org.opencontainers.image.source'], 'https://example.com/peal');
    assert.equal(config.config.Labels['org.opencontainers.image.revision'], 'abc');
  });

  test('is the same twice', () => {
    const dir = build(scratchFile('again'));
    assert.equal(sha256(readFileSync(join(dir, 'peal.tar'))), sha256(readFileSync(join(out, 'peal.tar'))));
  });
});

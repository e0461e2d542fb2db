// SPDX-License-Identifier: MIT
// Builds what the binary carries: the demo page, in one file, and the Socket.IO clients, each
// also compressed; and assets_data.S and assets_data.c, which put them there.
//
//   node build.mjs OUTPUT_DIR
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2]);
const require = createRequire(import.meta.url);
mkdirSync(out, { recursive: true });

const bundle = async (entry, options) => (await build({
  entryPoints: [join(here, 'src', entry)], bundle: true, minify: true, write: false,
  target: 'es2020', logLevel: 'warning', ...options,
})).outputFiles[0].text.trim();
const hash = (text) => createHash('sha256').update(text).digest('base64');

// The page. What is inline is named by its hash, so the policy needs no 'unsafe-inline'.
async function page() {
  const style = await bundle('style.css', {});
  const script = (await bundle('main.jsx', {
    jsx: 'automatic', jsxImportSource: 'preact', format: 'iife',
  })).replaceAll('</script', '<\\/script');
  const html = readFileSync(join(here, 'src/index.html'), 'utf8')
    .replace('/*STYLE*/', () => style).replace('/*SCRIPT*/', () => script);
  const policy = `default-src 'none'; script-src 'self' 'sha256-${hash(script)}'; `
    + `style-src 'sha256-${hash(style)}'; connect-src 'self' ws: wss:; img-src data:; `
    + `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return { name: 'index.html', type: 'text/html; charset=utf-8', bytes: Buffer.from(html),
    etag: hash(html).slice(0, 16), policy };
}

function clients() {
  const dir = join(dirname(require.resolve('socket.io/package.json')), 'client-dist');
  const { version } = require('socket.io/package.json');
  const names = ['socket.io.js', 'socket.io.min.js', 'socket.io.esm.min.js', 'socket.io.msgpack.min.js'];
  return names.flatMap((name) => [name, `${name}.map`]).map((name) => ({
    name,
    type: name.endsWith('.map') ? 'application/json; charset=utf-8' : 'application/javascript; charset=utf-8',
    bytes: readFileSync(join(dir, name)), etag: version, policy: '',
  }));
}

const files = [await page(), ...clients()];
const quote = (text) => JSON.stringify(text);
let asm = '', table = '', externs = '';
files.forEach(({ name, type, bytes, etag, policy }, i) => {
  for (const [kind, data] of [['plain', bytes], ['gzip', gzipSync(bytes, { level: 9 })]]) {
    const file = join(out, kind === 'gzip' ? `${name}.gz` : name), symbol = `peal_asset_${i}_${kind}`;
    writeFileSync(file, data);
    asm += `.global ${symbol}\n.global ${symbol}_end\n${symbol}:\n.incbin ${quote(file)}\n${symbol}_end:\n.byte 0\n`;
    externs += `extern const char ${symbol}[], ${symbol}_end[];\n`;
  }
  table += `    { ${quote(name)}, ${quote(type)}, ${quote(`"${etag}"`)}, ${quote(policy)},\n`
    + `        peal_asset_${i}_plain, peal_asset_${i}_plain_end,\n`
    + `        peal_asset_${i}_gzip, peal_asset_${i}_gzip_end },\n`;
});
writeFileSync(join(out, 'assets_data.S'),
  `.section .rodata\n${asm}.section .note.GNU-stack,"",%progbits\n`);
writeFileSync(join(out, 'assets_data.c'), `#include "server/assets_data.h"\n\n${externs}\n`
  + `const struct peal_asset peal_assets[] = {\n${table}};\nconst unsigned peal_n_assets = ${files.length};\n`);

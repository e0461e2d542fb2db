// SPDX-License-Identifier: MIT
//
// nginx and HAProxy as deploy/ has them: the files are taken as they are but for addresses, and
// what a test asks to be changed. A pattern that is not there is an error, so that tests and
// files do not drift apart.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Process, Service, freePort, scratch } from './bed.mjs';

// Debian has both where only root looks for programs.
const ENV = { PATH: `${process.env.PATH}:/usr/sbin` };
const NGINX = process.env.PEAL_NGINX ?? 'nginx';
const DEPLOY = fileURLToPath(new URL('../../../deploy/', import.meta.url));

// Each run of lines with 10.0.0.1:8080, 10.0.0.2:8080 and so on becomes as many as there are
// nodes.
function withNodes(text, nodes) {
  const made = (line) => nodes.map((node, i) => line
    .replace('10.0.0.1:8080', `127.0.0.1:${node.port}`).replace('node1', `node${i + 1}`));
  return text.split('\n')
    .flatMap((line) => (/10\.0\.0\.1:8080/.test(line) ? made(line) : line))
    .filter((line) => !/10\.0\.0\.\d:8080/.test(line)).join('\n');
}

function edit(text, changes) {
  return Object.entries(changes).reduce((now, [from, to]) => {
    if (!now.includes(from)) throw new Error(`"${from}" is not in the file`);
    return now.replaceAll(from, to);
  }, text);
}

const MAIN = (dir) => `
daemon off;
master_process off; # one process to end
pid ${dir}/pid;
error_log stderr notice;
events { worker_connections 1000; }
http {
    access_log off;
    client_body_temp_path ${dir}/body;
    proxy_temp_path ${dir}/proxy;
    fastcgi_temp_path ${dir}/fastcgi;
    uwsgi_temp_path ${dir}/uwsgi;
    scgi_temp_path ${dir}/scgi;
    include conf.d/*.conf;
}
`;

// Has this nginx the directive `sticky`? That is since 1.29.6.
export function nginxIsSticky() {
  const { stderr } = spawnSync(NGINX, ['-v'], { env: ENV, encoding: 'utf8' });
  const [major, minor, patch] = /nginx\/(\d+)\.(\d+)\.(\d+)/.exec(stderr ?? '')?.slice(1).map(Number) ?? [];
  return major > 1 || (major === 1 && (minor > 29 || (minor === 29 && patch >= 6)));
}

// file: of deploy/nginx; changes: text to be replaced in it or in its include.
export async function startNginx(file, nodes, changes = {}) {
  const port = await freePort();
  const dir = scratch('nginx');
  const text = readFileSync(`${DEPLOY}nginx/${file}`, 'utf8');
  const include = readFileSync(`${DEPLOY}nginx/peal-locations.inc`, 'utf8');
  const of = (one) => Object.fromEntries(Object.entries(changes).filter(([from]) => one.includes(from)));
  mkdirSync(join(dir, 'conf.d'));
  writeFileSync(join(dir, 'nginx.conf'), MAIN(dir));
  writeFileSync(join(dir, 'conf.d', file), edit(edit(withNodes(text, nodes),
    { 'listen 80;': `listen 127.0.0.1:${port};` }), of(text)));
  writeFileSync(join(dir, 'peal-locations.inc'), edit(include, of(include)));
  return new Service(`nginx with ${file}`, port,
    () => new Process(NGINX, ['-c', join(dir, 'nginx.conf'), '-e', 'stderr'], { env: ENV })).start();
}

// file: of deploy/haproxy.
export async function startHaproxy(file, nodes, changes = {}) {
  const port = await freePort();
  const dir = scratch('haproxy');
  const text = readFileSync(`${DEPLOY}haproxy/${file}`, 'utf8');
  writeFileSync(join(dir, file), edit(withNodes(text, nodes),
    { 'bind :80\n': `bind 127.0.0.1:${port}\n`, ...changes }));
  return new Service(`HAProxy with ${file}`, port,
    () => new Process('haproxy', ['-db', '-f', join(dir, file)], { env: ENV })).start();
}

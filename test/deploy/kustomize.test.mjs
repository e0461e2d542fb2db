// SPDX-License-Identifier: MIT
//
// deploy/kubernetes, rendered by kubectl and looked at.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { before, describe, test } from 'node:test';

import { typeErrors, validate } from './lib/models.mjs';
import { complaints, context, objectsOf } from './lib/peal.mjs';
import { AGES, KUSTOMIZE, kustomize, lacking } from './lib/tools.mjs';

const OUTSIDE = ['Secret peal-backplane'];
const targets = readdirSync(`${KUSTOMIZE}/overlays`).map((name) => `overlays/${name}`);

describe('kustomize', { skip: lacking }, () => {
  const rendered = {};
  before(async () => {
    for (const target of targets) rendered[target] = objectsOf(await kustomize(`${KUSTOMIZE}/${target}`));
  });

  test('every object is of its type', () => {
    assert.deepEqual(typeErrors(rendered), []);
  });

  for (const target of targets) {
    test(`${target}: models, rules, and Peal take it`, async () => {
      for (const object of rendered[target]) await validate(object);
      assert.deepEqual(await complaints(rendered[target], await context(OUTSIDE)), []);
    });

    test(`${target}: old and new kubectl render the same`, async () => {
      const [old, now] = await Promise.all(AGES.map((age) => kustomize(`${KUSTOMIZE}/${target}`, age)));
      assert.deepEqual(objectsOf(old), objectsOf(now));
    });
  }
});

// SPDX-License-Identifier: MIT
//
// deploy/helm/peal, rendered by helm with many sets of values and looked at.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { stringify } from 'yaml';

import { typeErrors, validate } from './lib/models.mjs';
import { complaints, context, objectsOf, scratchFile } from './lib/peal.mjs';
import { AGES, CHART, helm, lacking, template } from './lib/tools.mjs';

const GOOD = {
  defaults: {},
  'api key': { api: { key: 'k' } },
};

const args = (values) => ['-f', scratchFile('values.yaml', stringify(values))];

describe('chart', { skip: lacking }, () => {
  const rendered = {};
  before(async () => {
    for (const [name, values] of Object.entries(GOOD)) rendered[name] = objectsOf(await template(args(values)));
  });

  test('lint', async () => {
    const { status, stdout, stderr } = await helm(['lint', '--strict', CHART]);
    assert.equal(status, 0, stdout + stderr);
  });

  test('every object is of its type', () => {
    assert.deepEqual(typeErrors(rendered), []);
  });

  for (const [name, values] of Object.entries(GOOD)) {
    test(`${name}: models, rules, and Peal take it`, async () => {
      for (const object of rendered[name]) await validate(object);
      assert.deepEqual(await complaints(rendered[name], await context()), []);
    });

    test(`${name}: Helm 3 and 4 render the same`, async () => {
      const [old, now] = await Promise.all(AGES.map((age) => template(args(values), age)));
      assert.deepEqual(objectsOf(old), objectsOf(now));
    });
  }
});

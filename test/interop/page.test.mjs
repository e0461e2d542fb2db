// SPDX-License-Identifier: MIT
//
// The demo page in a real browser: two tabs, three protocols, one channel.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';

import { PEAL, startPeal } from './lib/peal.mjs';

const BROWSER = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome'].find((path) => existsSync(path));
const SHOTS = join(dirname(PEAL), 'screenshots');
const CARDS = ['socketio', 'websocket', 'sse'];

describe('the demo page', { skip: BROWSER ? false : 'no Chromium here' }, () => {
  let server, browser;
  before(async () => {
    server = await startPeal();
    browser = await chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox'] });
    mkdirSync(SHOTS, { recursive: true });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  async function open(t, options = {}, path = '/') {
    const context = await browser.newContext(options);
    t.after(() => context.close());
    const page = await context.newPage();
    page.problems = [];
    page.on('pageerror', (err) => page.problems.push(err.message));
    page.on('console', (line) => line.type() === 'error' && page.problems.push(line.text()));
    await page.goto(server.url + path);
    for (const card of CARDS)
      await page.locator(`[data-card=${card}] .state.on`).waitFor();
    return page;
  }

  test('what one tab says over each protocol, the other hears over all three', async (t) => {
    const [one, two] = [await open(t), await open(t)];
    for (const from of CARDS) {
      const text = `hello over ${from}`;
      await one.locator(`[data-card=${from}] input`).fill(text);
      await one.locator(`[data-card=${from}] form button`).click();
      for (const page of [one, two])
        for (const to of CARDS)
          await page.locator(`[data-card=${to}] li`, { hasText: text }).waitFor();
    }
    await one.locator('[data-card=socketio] .state', { hasText: 'websocket' }).waitFor();
    for (const [page, name, size] of [[one, 'laptop', { width: 1280, height: 900 }],
      [two, 'phone', { width: 390, height: 844 }]]) {
      await page.setViewportSize(size);
      for (const scheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme: scheme });
        await page.screenshot({ path: join(SHOTS, `${name}-${scheme}.png`), fullPage: true });
      }
      const wider = await page.evaluate(() =>
        document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wider, 0, `${name}: nothing to scroll sideways`);
      assert.deepEqual(page.problems, []);
    }
  });

  test('channels keep apart, and the code to copy names the one that is open', async (t) => {
    const [one, two] = [await open(t, {}, '/?channel=red'), await open(t, {}, '/?channel=blue')];
    for (const [page, text] of [[one, 'for red'], [two, 'for blue']]) {
      await page.locator('[data-card=websocket] input').fill(text);
      await page.locator('[data-card=websocket] form button').click();
      await page.locator('[data-card=sse] li', { hasText: text }).waitFor();
    }
    assert.equal(await one.locator('li', { hasText: 'for blue' }).count(), 0);
    assert.equal(await two.locator('li', { hasText: 'for red' }).count(), 0);
    for (const [tab, part] of [['WebSocket', '/ws/red'], ['EventSource', '/sse/red'],
      ['curl', '"channel":"red"'], ['socket.io-client', "io('http"]]) {
      await one.getByRole('tab', { name: tab, exact: true }).click();
      assert.ok((await one.locator('pre').textContent()).includes(part), tab);
    }
  });
});

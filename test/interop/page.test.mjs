// SPDX-License-Identifier: MIT
//
// The demo page in a real browser: two tabs, three protocols, one channel.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import { WebSocket } from 'ws';

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
    await one.locator('[data-card=socketio] li', { hasText: 'for red' }).waitFor();
    assert.equal(await one.locator('li', { hasText: 'for blue' }).count(), 0);
    assert.equal(await two.locator('li', { hasText: 'for red' }).count(), 0);
    for (const [tab, part] of [['WebSocket', '/ws/red'], ['EventSource', '/sse/red'],
      ['curl', '"channel":"red"'], ['Socket.IO', "io('http"]]) {
      await one.getByRole('tab', { name: tab, exact: true }).click();
      assert.ok((await one.locator('pre').textContent()).includes(part), tab);
    }
  });

  test('a message says who sent it, over what and when; the name stays with the tab', async (t) => {
    const [one, two] = [await open(t), await open(t)];
    const name = one.getByLabel('Your name');
    await name.fill('Ada');
    await name.press('Enter');
    await one.getByLabel('Message over SSE + HTTP').fill('it is me');
    await one.getByLabel('Message over SSE + HTTP').press('Enter');
    for (const [page, you] of [[one, true], [two, false]])
      for (const card of CARDS) {
        const item = page.locator(`[data-card=${card}] li`, { hasText: 'it is me' });
        await item.waitFor();
        assert.equal(await item.locator('strong').textContent(), 'Ada');
        assert.equal(await item.locator('.chip').textContent(), 'SSE + HTTP');
        assert.match(await item.locator('time').textContent(), /^\d+:\d\d:\d\d/);
        assert.equal(await item.getByText('(you)').count(), you ? 1 : 0);
      }
    await one.reload();
    assert.equal(await name.inputValue(), 'Ada');
  });

  test('what back ends and other clients publish is shown as well', async (t) => {
    const page = await open(t, {}, '/?channel=shop');
    const seen = (card, text) => page.locator(`[data-card=${card}] li`, { hasText: text }).waitFor();
    for (const body of [{ event: 'created', data: { id: 7 } }, { data: 'plain words' }]) {
      const res = await fetch(`${server.url}/api/publish`, {
        method: 'POST', headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ channel: 'shop', ...body }),
      });
      assert.equal(res.status, 200);
    }
    await seen('socketio', 'created');
    await seen('websocket', '{"id":7}');
    for (const card of CARDS) await seen(card, 'plain words');
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws/shop`);
    await once(socket, 'open');
    socket.send(new Uint8Array(5));
    for (const card of CARDS) await seen(card, '5 bytes');
    socket.terminate();
    assert.deepEqual(page.problems, []);
  });

  test('the keyboard reaches everything', async (t) => {
    const page = await open(t);
    await page.getByRole('tab', { name: 'Socket.IO' }).focus();
    for (const [key, tab] of [['ArrowRight', 'WebSocket'], ['End', 'curl'], ['ArrowRight', 'Socket.IO'],
      ['ArrowLeft', 'curl'], ['Home', 'Socket.IO']]) {
      await page.keyboard.press(key);
      assert.equal(await page.evaluate(() => document.activeElement.textContent), tab, key);
      assert.equal(await page.getByRole('tab', { selected: true }).textContent(), tab, key);
    }
    const nameless = await page.evaluate(() => [...document.querySelectorAll('input, button, a')]
      .filter((e) => !(e.ariaLabel || e.labels?.length && e.labels[0].textContent.trim() || e.textContent.trim()))
      .map((e) => e.outerHTML));
    assert.deepEqual(nameless, []);
  });

  test('cards come back when the server does', async (t) => {
    let other = await startPeal();
    t.after(() => other.stop());
    const context = await browser.newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    await page.goto(other.url);
    for (const card of CARDS) await page.locator(`[data-card=${card}] .state.on`).waitFor();
    await other.stop();
    for (const card of CARDS) await page.locator(`[data-card=${card}] .state.wait`).waitFor();
    other = await startPeal({ set: { listen: `127.0.0.1:${other.port}` } });
    for (const card of CARDS) await page.locator(`[data-card=${card}] .state.on`).waitFor();
    await page.getByLabel('Message over WebSocket').fill('here again');
    await page.getByLabel('Message over WebSocket').press('Enter');
    for (const card of CARDS)
      await page.locator(`[data-card=${card}] li`, { hasText: 'here again' }).waitFor();
  });
});

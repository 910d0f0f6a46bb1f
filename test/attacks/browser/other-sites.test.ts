/// <reference lib="dom" />
import { createServer } from 'node:http';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { describeInChromium } from '../../browser/harness.ts';
import { closeServer, listen } from '../../fakes/loopback.ts';
import { TOKENS } from '../../http/harness.ts';

// A user is signed in to the review page, and opens a page of another site in the same browser.

/** Opens a page of another site. `localhost` is another site than `127.0.0.1`. */
async function openOtherSite(signedIn: Page) {
  const server = createServer((_, response) =>
    response.setHeader('content-type', 'text/html').end('<title>other</title><body></body>'),
  );
  const port = await listen(server);
  const page = await signedIn.context().newPage();
  await page.goto(`http://localhost:${port}/`, { referer: 'http://localhost/' });
  return { page, [Symbol.asyncDispose]: () => closeServer(server) };
}

describeInChromium('another site', (visit) => {
  it('cannot show the review page in a frame', async () => {
    await using tab = await visit({ role: 'operator' });
    await using other = await openOtherSite(tab.page);
    await other.page.evaluate(async (url) => {
      const frame = document.createElement('iframe');
      frame.src = url;
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
      document.body.append(frame);
      await loaded;
    }, tab.site.url);
    // Chromium shows its own error page instead.
    await expect.poll(() => other.page.frames()[1]?.url()).toMatch(/^chrome-error:/);
  });

  it.each([
    ['with a stolen token', { headers: { authorization: `Bearer ${TOKENS.operator}` } }],
    ['with cookies and logins', { credentials: 'include' }],
  ] as const)('cannot read an answer of the API %s', async (_, options) => {
    await using tab = await visit({ role: 'operator' });
    await using other = await openOtherSite(tab.page);
    const read = await other.page.evaluate(
      async ([url, init]) => {
        try {
          return (await fetch(`${url}/api/v1/status`, init)).status;
        } catch (error) {
          return error instanceof TypeError ? 'blocked' : String(error);
        }
      },
      [tab.site.url, options] as const,
    );
    expect(read).toBe('blocked');
  });

  it('cannot cause a change by a request that browsers send without asking', async () => {
    await using tab = await visit({ role: 'operator' });
    await using other = await openOtherSite(tab.page);
    await other.page.evaluate(async (url) => {
      const paths = ['mappings/payments-db/sync', 'held/5f2c9a01d3e4/release', 'prune'];
      // The browser sends the request and hides the answer.
      for (const path of paths)
        await fetch(`${url}/api/v1/${path}`, {
          ...{ method: 'POST', mode: 'no-cors', credentials: 'include' },
        }).catch(() => undefined);
      const form = document.createElement('form');
      form.method = 'post';
      form.action = `${url}/api/v1/prune`;
      form.target = 'form-target';
      document.body.append(form);
      const frame = document.createElement('iframe');
      frame.name = 'form-target';
      const sent = new Promise((resolve) => frame.addEventListener('load', resolve));
      document.body.append(frame);
      await sent;
      form.submit();
    }, tab.site.url);
    const refused = () => tab.site.bench.log.filter(({ message }) => message === 'request refused').length;
    await expect.poll(refused).toBe(4);
    expect(tab.site.calls).toEqual([]);
    expect(tab.site.bench.calls).toEqual([]);
  });

  it('cannot load a script of the page, or reach the page that it opens in a window', async () => {
    await using tab = await visit({ role: 'operator' });
    await using other = await openOtherSite(tab.page);
    const [popup, result] = await Promise.all([
      other.page.waitForEvent('popup'),
      other.page.evaluate(async (url) => {
        const script = document.createElement('script');
        script.type = 'module';
        script.src = `${url}/ui/app.js`;
        const loaded = new Promise((resolve) => {
          script.addEventListener('load', () => resolve('loaded'));
          script.addEventListener('error', () => resolve('blocked'));
        });
        document.head.append(script);
        window.open(url);
        return loaded;
      }, tab.site.url),
    ]);
    expect(result).toBe('blocked');
    await popup.getByLabel('Access token').waitFor();
    expect(await popup.evaluate(() => window.opener)).toBeNull();
  });
});

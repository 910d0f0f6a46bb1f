import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vitepress';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, skipReason } from './chromium.ts';

const DOCS = join(import.meta.dirname, '../../docs');
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

interface PageFacts {
  readonly links: readonly string[];
  readonly ids: readonly string[];
  readonly brokenImages: readonly string[];
}

/** Serves a folder of static files on a port of loopback. */
async function serveFolder(folder: string) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const path = pathname.endsWith('/') ? `${pathname}index.html` : decodeURIComponent(pathname);
    try {
      const content = await readFile(join(folder, path));
      response.setHeader('content-type', TYPES[extname(path)] ?? 'application/octet-stream').end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}

async function readPage(page: Page, url: string): Promise<PageFacts> {
  await page.goto(url, { waitUntil: 'load' });
  return page.evaluate(() => ({
    links: [...document.querySelectorAll<HTMLAnchorElement>('.vp-doc a[href], aside a[href]')].map(
      ({ href }) => href,
    ),
    ids: [...document.querySelectorAll('[id]')].map(({ id }) => id),
    brokenImages: [...document.images].filter((image) => image.naturalWidth === 0).map(({ src }) => src),
  }));
}

describe.skipIf(skipReason !== undefined)(
  `the documentation site${skipReason === undefined ? '' : ` (${skipReason})`}`,
  () => {
    let folder: string;
    let site: Awaited<ReturnType<typeof serveFolder>>;
    let browser: Browser;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'secretbridge-site-'));
      await build(DOCS, { outDir: folder });
      site = await serveFolder(folder);
      browser = await launch();
    }, 180_000);
    afterAll(async () => {
      await browser?.close();
      await site?.close();
      await rm(folder, { recursive: true, force: true });
    });

    it('the documentation site has no broken link, anchor or image', { timeout: 120_000 }, async () => {
      const files = (await readdir(folder, { recursive: true })).filter(
        (file) => file.endsWith('.html') && file !== '404.html',
      );
      expect(files.length).toBeGreaterThan(50);
      const page = await browser.newPage();
      const pages = new Map<string, PageFacts>();
      for (const file of files) {
        const path = `/${file}`.replace(/(^|\/)index\.html$/, '$1');
        pages.set(path, await readPage(page, site.url + path));
      }
      const broken: string[] = [];
      for (const [path, { links, brokenImages }] of pages) {
        broken.push(...brokenImages.map((source) => `${path}: image ${source}`));
        for (const link of links) {
          const { origin, pathname, hash } = new URL(link);
          if (origin !== site.url) continue;
          const target = pages.get(decodeURIComponent(pathname));
          const id = decodeURIComponent(hash.slice(1));
          if (target === undefined || (id !== '' && !target.ids.includes(id)))
            broken.push(`${path}: ${pathname}${hash}`);
        }
      }
      expect(broken).toEqual([]);
    });

    it('the search of the documentation site finds the page about a term', async () => {
      const page = await browser.newPage();
      await page.goto(`${site.url}/`);
      await page.locator('.VPNavBarSearch button').first().click();
      await page.locator('#localsearch-input').fill('NOT_OWNED');
      const result = page.locator('#localsearch-list a').first();
      await result.waitFor();
      await result.click();
      await page.waitForURL(/\/docs\//);
      await expect.poll(() => page.locator('main').textContent()).toContain('NOT_OWNED');
    });
  },
);

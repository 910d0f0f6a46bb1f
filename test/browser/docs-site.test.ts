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
  readonly path: string;
  readonly links: readonly string[];
  readonly ids: readonly string[];
  readonly images: readonly string[];
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

/** Parses the pages in the browser, without opening each of them. Returns links and images as they are written. */
function readPages(page: Page, paths: readonly string[]): Promise<readonly PageFacts[]> {
  return page.evaluate(
    (all) =>
      Promise.all(
        all.map(async (path) => {
          const html = await (await fetch(path)).text();
          const parsed = new DOMParser().parseFromString(html, 'text/html');
          const attributes = (selector: string, name: string) =>
            [...parsed.querySelectorAll(selector)].map((element) => element.getAttribute(name) ?? '');
          return {
            path,
            links: attributes('.vp-doc a[href], aside a[href]', 'href'),
            ids: attributes('[id]', 'id'),
            images: attributes('img[src]', 'src'),
          };
        }),
      ),
    paths,
  );
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
      const files = await readdir(folder, { recursive: true });
      const paths = files
        .filter((file) => file.endsWith('.html') && file !== '404.html')
        .map((file) => `/${file}`.replace(/(^|\/)index\.html$/, '$1'));
      expect(paths.length).toBeGreaterThan(50);
      const page = await browser.newPage();
      await page.goto(`${site.url}/`);
      const pages = await readPages(page, paths);
      const idsOf = new Map(pages.map(({ path, ids }) => [path, ids]));
      const resolve = (link: string, path: string) => new URL(link, site.url + path);
      const isBroken = ({ origin, pathname, hash }: URL) => {
        if (origin !== site.url) return false;
        const ids = idsOf.get(decodeURIComponent(pathname));
        const id = decodeURIComponent(hash.slice(1));
        return ids === undefined || (id !== '' && !ids.includes(id));
      };
      const isMissing = ({ origin, pathname }: URL) =>
        origin === site.url && !files.includes(decodeURIComponent(pathname.slice(1)));
      const broken = pages.flatMap(({ path, links, images }) => [
        ...links.filter((link) => isBroken(resolve(link, path))).map((link) => `${path}: ${link}`),
        ...images
          .filter((image) => isMissing(resolve(image, path)))
          .map((image) => `${path}: image ${image}`),
      ]);
      expect(pages.flatMap(({ links }) => links).length).toBeGreaterThan(pages.length);
      expect(pages.flatMap(({ images }) => images)).not.toEqual([]);
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

import { mkdir } from 'node:fs/promises';
import { launch, openTab } from '../test/browser/chromium.ts';
import { go, signIn } from '../test/browser/harness.ts';
import { rolledBack } from '../test/browser/scene-pins.ts';
import { openSite } from '../test/browser/site.ts';
import { TOKENS } from '../test/http/harness.ts';

// Takes the screenshots of the review page in docs/images. The screenshots illustrate the documentation, and no test
// compares them.

const WIDE = { width: 1440, height: 900, theme: 'light' } as const;
const DARK = { width: 1440, height: 900, theme: 'dark' } as const;
const PHONE = { width: 390, height: 844, theme: 'light' } as const;
const DARK_PHONE = { width: 390, height: 844, theme: 'dark' } as const;
const TABLET = { width: 820, height: 1_000, theme: 'light' } as const;

const PICTURES = [
  { name: 'overview', at: '/', look: WIDE },
  { name: 'review', at: '/review', look: WIDE },
  { name: 'changes', at: '/changes', look: WIDE },
  { name: 'changes', at: '/changes', look: DARK },
  { name: 'changes', at: '/changes', look: PHONE },
  { name: 'overview', at: '/', look: DARK_PHONE },
  { name: 'target', at: '/targets/payments/payments-db', look: WIDE },
  { name: 'pinned', at: '/targets/shop/redis-auth', look: TABLET },
  { name: 'holds', at: '/holds', look: TABLET },
] as const;

await mkdir('docs/images', { recursive: true });
await using site = await openSite(rolledBack());
const browser = await launch();
try {
  for (const { name, at, look } of PICTURES) {
    await using tab = await openTab(browser, site.url, look);
    await tab.page.goto('/');
    await signIn(tab.page, TOKENS.operator);
    await go(tab.page, at);
    await tab.page.screenshot({ path: `docs/images/${name}-${look.width}-${look.theme}.png` });
  }
} finally {
  await browser.close();
}

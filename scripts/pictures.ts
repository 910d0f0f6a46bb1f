import { mkdir } from 'node:fs/promises';
import { launch, openTab } from '../test/browser/chromium.ts';
import { wentBack } from '../test/browser/scene-pins.ts';
import { openSite } from '../test/browser/site.ts';
import { go, signIn } from '../test/browser/visit.ts';
import { TOKENS } from '../test/http/harness.ts';

// Makes the pictures of the review page in docs/images anew. They are for people; nothing compares them.

const WIDE = { width: 1440, height: 900, theme: 'light' } as const;
const TABLET = { width: 820, height: 1_000, theme: 'light' } as const;
const PHONE = { width: 360, height: 740, theme: 'light' } as const;
const DARK = { theme: 'dark' } as const;

const PICTURES = [
  { name: 'overview', at: '/', looks: [WIDE, { ...WIDE, ...DARK }, TABLET, PHONE] },
  { name: 'records', at: '/records', looks: [WIDE, PHONE] },
  { name: 'record', at: '/records/15', looks: [WIDE, { ...TABLET, ...DARK }] },
  { name: 'target', at: '/targets/payments/payments-db', looks: [TABLET] },
  { name: 'pinned', at: '/targets/shop/redis-auth', looks: [TABLET] },
  { name: 'mappings', at: '/mappings', looks: [WIDE, { ...PHONE, ...DARK }] },
  { name: 'holds', at: '/holds', looks: [TABLET] },
] as const;

await mkdir('docs/images', { recursive: true });
await using site = await openSite(wentBack());
const browser = await launch();
try {
  for (const { name, at, looks } of PICTURES)
    for (const look of looks) {
      await using tab = await openTab(browser, site.url, look);
      await tab.page.goto('/');
      await signIn(tab.page, TOKENS.operator);
      await go(tab.page, at);
      await tab.page.screenshot({ path: `docs/images/${name}-${look.width}-${look.theme}.png` });
    }
} finally {
  await browser.close();
}

// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import { expect, it } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { describeInChromium, go } from './harness.ts';
import { change, entry, mappingsOf, STATUS, target } from './scene.ts';
import type { Scene } from './site.ts';

const ATTACKS = [
  '<img src=x onerror=alert(1)>',
  '"><script>alert(2)</script>',
  "'-alert(3)-'",
  'javascript:alert(4)',
  '<svg/onload=alert(5)>',
  '{{constructor.constructor("alert(6)")()}}',
  '../../records/1?x=#<b>',
  '</title><style>*{display:none}</style>',
  '\u202etxt.exe\u0000%00%0a',
  '__proto__',
];

/** The page draws pictures as SVG, so only other SVG comes from a name. */
const FOREIGN = 'svg:not([data-picture])';

/** Returns a scene with the malicious text in every field whose value comes from a user, a store or a cluster. */
function scene(attack: string): Scene {
  const names = { mapping: attack, namespace: attack, secret: attack };
  const source = { store: attack, key: attack, property: attack, version: attack };
  const keys = { added: [attack], changed: [attack], removed: [attack] };
  const actor = { kind: 'operator', name: attack, address: attack } as const;
  const text = { message: attack, remedy: attack, code: attack };
  const targets = [
    target(attack, attack, attack, { state: 'failed', ...text }),
    target(attack, attack, `${attack}2`, { state: 'stale', ...text }),
  ];
  const entries: Entry[] = [
    entry({ actor, store: attack, key: attack, sources: [source], note: attack, requestId: attack }),
    ...change(1, {
      ...names,
      actor,
      action: 'update',
      sources: [source],
      keys,
      note: attack,
      resourceVersion: attack,
    }),
    entry({ actor, action: 'review', review: { sequence: 2, state: 'flagged' }, note: attack }),
    entry({ action: 'sweep' }),
  ];
  return {
    status: {
      ...STATUS,
      ...{ instance: attack, version: attack, replica: attack, targets },
      engine: { kind: attack, state: 'down', code: attack },
      stores: [
        { name: attack, kind: attack, state: 'down', lastSuccess: null, code: attack, breakerOpen: true },
      ],
      config: {
        valid: false,
        problems: [{ file: attack, line: 3, column: 1, path: attack, message: attack, suggestion: attack }],
        differing: [attack],
      },
      held: [{ id: attack, ...names, action: 'delete', keys: [{ name: attack, action: 'remove' }] }],
    },
    mappings: mappingsOf(targets),
    entries,
  };
}

describeInChromium('a malicious name', (visit) => {
  const TITLE = 'every view shows a malicious name as text: %s';
  it.each(ATTACKS.slice(0, 1))(TITLE, isShownAsText);
  it.each(ATTACKS.slice(1))(TITLE, { tags: ['long'] }, isShownAsText);

  async function isShownAsText(attack: string): Promise<void> {
    await using tab = await visit({ role: 'operator', scene: scene(attack) });
    const { page } = tab;
    const name = encodeURIComponent(attack);
    const views = ['/', '/records', '/records/1', '/records/2', '/records/3', '/records/4', '/records/5'];
    const more = [
      '/review',
      '/changes',
      '/changes/3',
      `/changes?store=${name}`,
      `/sources/${name}/${name}?version=${name}`,
      `/people/${name}`,
      `/graph?mapping=${name}`,
      `/search?q=${name}`,
      `/codes/${name}`,
      `/records?mapping=${name}`,
      `/targets/${name}/${name}`,
      '/mappings',
      `/mappings/${name}`,
      '/holds',
    ];
    for (const view of [...views, ...more]) {
      await go(page, view);
      expect(
        await page.locator(`main ${FOREIGN}, main script, main img, main style, main iframe`).count(),
      ).toBe(0);
      const unsafeElements = await page.evaluate(
        () =>
          [
            ...[...document.querySelectorAll('a')].filter(
              (link) => !link.getAttribute('href')?.startsWith('#'),
            ),
            ...[...document.querySelectorAll('*')].filter((element) =>
              element.getAttributeNames().some((name) => name.startsWith('on')),
            ),
          ].length,
      );
      expect(unsafeElements, view).toBe(0);
    }
    await page.getByRole('button', { name: /^Release/ }).click();
    expect(await page.getByRole('dialog').locator('script, img, svg, style').count()).toBe(0);
    expect(tab.complaints).toEqual([]);
  }

  it('shows a malicious name literally, and links it to the page of its target', async () => {
    const attack = '<img src=x onerror=alert(1)>';
    await using tab = await visit({ role: 'viewer', scene: scene(attack), at: '/mappings' });
    const { page } = tab;
    expect(await page.locator('tbody').innerText()).toContain(`${attack}/${attack}`);
    await page.getByRole('link', { name: `${attack}/${attack}`, exact: true }).click();
    await page.locator('.timeline').waitFor();
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe(`${attack}/${attack}`);
    expect(await page.title()).toBe(`${attack}/${attack} – secretbridge`);
  });

  it('shows a malicious name in an error response as text', async () => {
    await using tab = await visit({ role: 'viewer' });
    const [attack] = ATTACKS;
    await tab.page.route('**/api/v1/held?**', (route) =>
      route.fulfill({
        status: 500,
        json: { code: attack, message: attack, remedy: attack, requestId: attack },
      }),
    );
    await go(tab.page, '/holds');
    expect(await tab.page.getByRole('alert').innerText()).toContain(attack);
    expect(await tab.page.locator('main img').count()).toBe(0);
  });

  it('the content security policy prevents scripts from inserting markup or loading another script', async () => {
    await using tab = await visit({ role: 'viewer' });
    const refused = await tab.page.evaluate(() => {
      try {
        document.body.innerHTML = '<b>x</b>';
      } catch (error) {
        return error instanceof TypeError;
      }
      return false;
    });
    expect(refused).toBe(true);
    const ran = await tab.page
      .evaluate(async () => {
        const script = document.createElement('script');
        script.setAttribute('src', 'https://example.org/x.js');
        const failed = new Promise((resolve) => script.addEventListener('error', () => resolve('failed')));
        document.head.append(script);
        return failed;
      })
      .catch((error: unknown) => String(error));
    expect(ran).toMatch(/failed|TrustedScriptURL|requires/);
  });
});

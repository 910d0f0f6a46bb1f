import { expect, it } from 'vitest';
import { describeInChromium, go } from '../../browser/harness.ts';

const NOTES = [
  '<img src=x onerror=alert(1)>',
  '</q><script>alert(2)</script>',
  '<a href="javascript:alert(3)">x</a>',
  '{{alert(4)}}',
];

describeInChromium('a note that a reviewer types', (visit) => {
  it.each(NOTES)('is shown to other reviewers as text: %s', async (note) => {
    await using tab = await visit({ role: 'reviewer', at: '/records/15' });
    const { page } = tab;
    await page.getByLabel('Note').fill(note);
    await page.getByRole('button', { name: 'Flag' }).click();
    await page.locator('#review .badge.warn').waitFor();
    const review = tab.site.audit.records.at(-1)?.sequence;
    for (const view of [
      ...['/records/15', `/records/${review}`, '/records', '/records?review=flagged'],
      ...['/changes/15', '/changes', '/review?show=flagged', `/search?q=${encodeURIComponent(note)}`],
    ]) {
      await go(page, view);
      expect(
        await page
          .locator('main script, main img, main svg:not([data-picture]), main a[href^="javascript"]')
          .count(),
      ).toBe(0);
    }
    await go(page, `/records/${review}`);
    expect(await page.locator('main').textContent()).toContain(note);
    expect(tab.complaints).toEqual([]);
  });
});

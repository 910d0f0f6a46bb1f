import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { openBench } from '../../cli/harness.ts';
import { blocksOf, ROOT } from '../../docs/markdown.ts';
import { kubernetes } from '../services/inject.ts';
import { HELM_NOTE, isHelmAvailable } from '../services/kubectl-layer.ts';
import { CHART, findOne, helm, type Rendered, render } from './chart.ts';

const path = 'docs/how-to/install-with-helm.md';
const page = blocksOf({ path, text: readFileSync(join(ROOT, path), 'utf8') });
const blocks = page.filter(({ language }) => language === 'yml');

describe.skipIf(!isHelmAvailable)(`the page about Helm${HELM_NOTE}`, () => {
  it.each(blocks.map(({ location: place, text }) => [place, text] as const))(
    'the chart values at %s are valid',
    async (_, text) => {
      await using bench = await openBench();
      const values = join(bench.folder, 'values.yaml');
      await writeFile(values, stringify(parse(text)));
      expect((await render('--values', values)).length).toBeGreaterThan(4);
    },
  );

  it('all Helm commands on the page are valid', async () => {
    const lines = page.filter(({ language }) => language === 'sh').flatMap(({ text }) => text.split('\n'));
    const commands = lines.filter((line) => line.startsWith('helm ')).map((line) => line.split(' ').slice(1));
    expect(commands.map(([verb]) => verb)).toEqual(['upgrade', 'upgrade', 'test', 'uninstall']);
    await using bench = await openBench();
    const values = join(bench.folder, 'values.yaml');
    await writeFile(values, stringify(parse(blocks[0]?.text ?? '')));
    for (const [verb = '', ...args] of commands) {
      const help = await helm(verb, '--help');
      for (const flag of args.filter((arg) => arg.startsWith('--')))
        expect(help, `${verb} ${flag}`).toContain(` ${flag} `);
    }
    const [upgrade = []] = commands;
    const filled = upgrade.map((arg) =>
      arg === 'values.yaml' ? values : arg === 'deploy/chart' ? CHART : arg,
    );
    const { kubeconfig } = kubernetes();
    expect(await helm(...filled, '--dry-run=client', '--kubeconfig', kubeconfig)).toContain('STATUS:');
  });

  it('the page names only objects that exist in the release `bridge`', async () => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    const manifest = await helm(
      ...['template', 'bridge', CHART, '--namespace', 'secretbridge', '--is-upgrade'],
    );
    const named = new Set(text.match(/bridge-secretbridge[a-z-]*/g));
    expect([...named].toSorted()).toEqual([
      'bridge-secretbridge',
      'bridge-secretbridge-check',
      'bridge-secretbridge-doctor',
      'bridge-secretbridge-state',
    ]);
    const objects = parseAllDocuments(manifest).map((document) => document.toJS() as Rendered | null);
    const names = objects.map((object) => object?.metadata.name);
    for (const name of named) expect(names).toContain(name);
    expect(findOne(await render(), 'Deployment').metadata.name).toBe('b-secretbridge');
  });
});

import { describe, expect, it } from 'vitest';
import { unsupportedParts } from '../../src/config/unsupported.ts';
import { HEAD, loadText } from './memory-fs.ts';

const STORE = 'stores: [ { name: v, kind: files, path: x } ]\n';
const mapping = (fields: string, target = 'namespace: a') =>
  `${STORE}mappings: [ { name: m, target: { ${target} }, data: { A: { store: v, key: a } }, ${fields} } ]`;

const CASES: readonly [what: string, path: string, text: string][] = [
  ['`tracing`', 'tracing', 'tracing: { otlp: { endpoint: https://x } }'],
  ['`events`', 'events', `${STORE}events: { vault: [ { name: a, store: v } ] }`],
];

describe('what this version does not do yet', () => {
  it.each(CASES)('%s is valid and refused at its place', async (what, path, text) => {
    const { problems } = await loadText(`${HEAD}${text}\n`);
    expect(problems.map((problem) => [problem.code, problem.path, problem.message])).toEqual([
      ['CONFIG_INVALID', path, `${what} is not in this version`],
    ]);
  });

  it('has a case here for each entry', () => {
    expect(new Set(CASES.map(([what]) => what))).toEqual(new Set(unsupportedParts()));
  });

  it('is not refused where it asks for nothing', async () => {
    const text = `${mapping('restart: [], onSourceMissing: keep, softDeletedIsMissing: false, onMappingRemoved: keep', 'namespace: a, mode: own, recreate: false, immutable: true')}
audit: { checkpoints: [], stdout: false }\ninclude: []\n`;
    expect((await loadText(`${HEAD}${text}`)).problems).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { createParsedFiles } from '../../src/config/files/parsing.ts';
import type { Mapping } from '../../src/core/mapping.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { parseJsonBody } from '../../src/providers/answer.ts';
import { render } from '../../src/reconcile/render.ts';
import { runSearches } from '../../src/reconcile/search.ts';
import { load, VALID } from '../config/memory-fs.ts';
import { data, mapping } from '../sync/sample.ts';
import { MANY_ROUNDS } from '../sync/template/pkcs12-files.ts';
import { longestPause } from './longest-pause.ts';

// Input of a tenant or a store that takes minutes to process. Each must be refused, or processed in the worker thread,
// while the main thread goes on. The probes of the service have a timeout of a second.

/** The longest pause of the main thread, in milliseconds. Most pauses take about 20 ms, and the first ones more. */
const MAX_PAUSE = 500;
/** Less than the default of a second, so that the tests are short. */
const BUDGET = { group: 'a', timeMs: 300 };
const NO_BOUNDS = { namespaces: ['*'], stores: ['*'], keys: ['**'], types: [] };
const ID = { namespace: 'a', secret: 's' };

const renderMapping = (templates: Record<string, string>, values: ReadonlyMap<string, SecretValue>) => {
  const limits = { keysPerMapping: 200, templateTimeMs: BUDGET.timeMs, templateBytes: 1024 ** 2 };
  const include = { path: BUDGET.group, callsPerMinute: 600, limits, bounds: NO_BOUNDS };
  const all: Mapping = mapping({ name: 'hostile', template: { data: templates, only: true }, include });
  const desired = { kind: 'ready', data: values, sources: new Map(), absent: [] } as const;
  return render(all, ID, desired);
};

describe('templates', () => {
  it('120 templates in 31 KB that need seconds are ended early', async () => {
    // Each template alone stays within the limits of a template.
    const text =
      '{% assign l = V | split: "" %}{% for a in l limit: 100 %}{% assign x = l | sort | uniq %}{% endfor %}';
    const templates = Object.fromEntries(Array.from({ length: 120 }, (_, n) => [`k${n}`, text]));
    const values = data({ V: 'x'.repeat(9_000) });
    const { result, pauseMs } = await longestPause(() => renderMapping(templates, values));
    expect(result).toMatchObject({
      code: 'LIMIT_REACHED',
      detail: expect.stringContaining('the templates of mapping hostile need more than 300 ms'),
    });
    expect(pauseMs).toBeLessThan(MAX_PAUSE);
  });

  it('PKCS#12 with 3DES and many password iterations is read in the worker thread', async () => {
    const values = new Map([['P', SecretValue.fromBytes(Buffer.from(MANY_ROUNDS, 'base64'))]]);
    const templates = Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => [`k${n}`, '{{ P | pkcs12_key: "secret" }}']),
    );
    const { result, pauseMs } = await longestPause(() => renderMapping(templates, values));
    expect(result).toMatchObject({ code: 'LIMIT_REACHED' });
    expect(pauseMs).toBeLessThan(MAX_PAUSE);
  });
});

it('12 search patterns over 300 names are ended early', async () => {
  const keys = Array.from({ length: 300 }, (_, n) => `${'ab'.repeat(200)}${n}`);
  const searches = Array.from({ length: 12 }, (_, n) => ({
    store: 'vault',
    find: { path: '', name: `(.?){900}(a?){900}[x-z]${n}`, tags: {} },
  }));
  const deps = { find: async () => keys };
  const { result, pauseMs } = await longestPause(() =>
    runSearches(searches, deps, BUDGET).catch((error: unknown) => error),
  );
  expect(result).toMatchObject({ code: 'LIMIT_REACHED' });
  expect(pauseMs).toBeLessThan(MAX_PAUSE);
});

describe('answer of a store', () => {
  it('JSON with 900,000 members is refused before it is built', () => {
    const text = `{${Array.from({ length: 900_000 }, (_, n) => `"k${n}":1`).join()}}`;
    const start = performance.now();
    expect(() => parseJsonBody({ isJson: true, text })).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE', detail: 'an answer with more than 200000 values' }),
    );
    expect(performance.now() - start).toBeLessThan(MAX_PAUSE);
  });

  it('JSON with ten million open brackets is refused after 500 of them', () => {
    const start = performance.now();
    expect(parseJsonBody({ isJson: true, text: '['.repeat(10_000_000) })).toBeUndefined();
    expect(performance.now() - start).toBeLessThan(100);
  });

  it('JSON with a text that does not end is refused', () => {
    expect(parseJsonBody({ isJson: true, text: `["${'\\"'.repeat(1_000_000)}` })).toBeUndefined();
  });
});

describe('file of a tenant', () => {
  const MAIN = `${VALID}include: [ { path: team, namespaces: [a], stores: [team-vault], keys: ['**'] } ]\n`;
  const loadTenant = (...texts: readonly string[]) => {
    const files = texts.map((text, n) => [`/home/ann/team/${n}.yaml`, text]);
    const all = { '/home/ann/secretbridge.yaml': MAIN, ...Object.fromEntries(files) };
    return longestPause(() => load(all));
  };
  const mappings = (name: string, templates: readonly string[]) =>
    `mappings:\n${templates
      .map(
        (text, n) =>
          `- { name: ${name}${n}, target: { namespace: a }, data: { A: { store: team-vault, key: a } }, template: { data: { t: '${text}' } } }\n`,
      )
      .join('')}`;

  it('large templates are checked in the worker thread', async () => {
    const text = mappings(
      'm',
      Array.from({ length: 4 }, () => '{{A}}'.repeat(10_900)).map((same, n) => same + n),
    );
    const { result, pauseMs } = await loadTenant(text);
    expect(result.problems).toEqual([]);
    expect(pauseMs).toBeLessThan(MAX_PAUSE);
  });

  it('the last templates of an include are refused if all together exceed 1 MiB', async () => {
    const texts = Array.from({ length: 10 }, (_, n) => `${n}${'x'.repeat(60_000)}`);
    const { result } = await loadTenant(mappings('a', texts), mappings('b', texts));
    expect(result.problems.map(({ file, code }) => `${file} ${code}`)).toEqual([
      'team/1.yaml LIMIT_REACHED',
      'team/1.yaml LIMIT_REACHED',
      'team/1.yaml LIMIT_REACHED',
    ]);
  });

  it('the last files of an include are not read if all together exceed 4 MiB', async () => {
    const text = `mappings: []\n# ${'x'.repeat(1024 ** 2 - 100)}`;
    const { result } = await loadTenant(...Array(6).fill(text));
    expect(result.problems.map(({ message }) => message)).toEqual(
      [4, 5].map((n) => `\`team/${n}.yaml\`: the files of this \`include\` have more than 4 MiB together`),
    );
  });

  it('a folder of more than a thousand files is not read', async () => {
    const { result } = await loadTenant(...Array(1_001).fill('mappings: []'));
    expect(result.problems).toMatchObject([{ message: expect.stringContaining('contains 1001 files') }]);
  });

  it('files that are costly to parse share 10 s and are parsed once', { tags: ['long'] }, async () => {
    const parsed = createParsedFiles();
    const texts = Array.from({ length: 12 }, (_, n) => ({
      file: `${n}`,
      text: `${n}: [${','.repeat(900_000)}`,
    }));
    const first = await longestPause(() => parsed.begin().texts(texts, 'team'));
    const messages = first.result.map(({ problems }) => problems[0]?.message);
    expect(messages.slice(0, 2).every((message) => message?.includes('parsing the file takes'))).toBe(true);
    expect(messages.slice(2).every((message) => message?.includes('parsing the files of this'))).toBe(true);
    expect(first.pauseMs).toBeLessThan(MAX_PAUSE);
    const [again] = await parsed.begin().texts(texts.slice(0, 1), 'team');
    expect(again).toBe(first.result[0]);
  });

  it('a file of more than 1 MiB is not parsed', async () => {
    const { result } = await loadTenant(`mappings: []\n# ${'x'.repeat(1024 ** 2)}`);
    expect(result.problems).toMatchObject([
      { file: 'team/0.yaml', message: 'the file is too large: a file of an `include` may have 1 MiB' },
    ]);
  });

  it.each([
    ['a list of commas', `mappings: [${','.repeat(30_000)}`],
    ['a file of closing brackets', ']'.repeat(30_000)],
  ])('%s does not block the main thread', async (_, text) => {
    const { result, pauseMs } = await loadTenant(text);
    expect(result.kind).toBe('usable');
    expect(result.problems).toMatchObject([{ file: 'team/0.yaml', code: 'CONFIG_INVALID' }]);
    expect(pauseMs).toBeLessThan(MAX_PAUSE);
  });
});

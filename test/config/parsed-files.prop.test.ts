import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { YamlText } from '../../src/config/files/parse-texts.ts';
import { createParsedFiles, type ParsedFiles } from '../../src/config/files/parsing.ts';
import { parseYaml } from '../../src/config/files/yaml.ts';
import { loadConfig } from '../../src/config/load.ts';
import { HEAD, memoryFs } from './memory-fs.ts';

/** Generates any JSON value, including names and numbers that code often gets wrong. */
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'binary' }),
    fc.double(),
    fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, true, false, null, '\ud800', '1e3'),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('10', '2', 'constructor', 'toString')), tie('any'), {
      maxKeys: 4,
    }),
  ),
})).any;

const document = fc.oneof(
  value.map((item) => stringify(item, { aliasDuplicateObjects: false })),
  // Generates valid and invalid texts as people write them.
  fc.constantFrom(
    '',
    '# nothing\n',
    'a: [',
    'a: &x 1\n',
    'a:\nb:\n  - \n  -\n',
    'a: 1\na: 2\n',
    '{"a": {}}',
    '[]',
  ),
);

const text = fc.array(document, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('\n---\n'));

/**
 * Compares with isDeepStrictEqual, because `toStrictEqual` treats a member named `constructor` as the object's class.
 */
const same = (one: unknown, other: unknown) => expect(isDeepStrictEqual(one, other)).toBe(true);

const parsedHere = ({ text: source, file }: YamlText) => parseYaml(source, file);

describe('a text that another thread parses', () => {
  /** A threshold with which the thread parses every text. */
  const threadThreshold = 0;

  it('has the same result as in the main thread, including positions', async () => {
    const all = fc.sample(text, 300).map((source, index) => ({ text: source, file: `${index}.yaml` }));
    const parse = createParsedFiles({ threadThreshold }).begin();
    same(await parse.texts(all), all.map(parsedHere));
  });

  it('is parsed in the main thread if no other thread can start', async () => {
    const all = fc.sample(text, 20).map((source, index) => ({ text: source, file: `${index}.yaml` }));
    const parse = createParsedFiles({ threadThreshold, runThread: async () => undefined }).begin();
    same(await parse.texts(all), all.map(parsedHere));
  });

  it('leaves the main thread free for other work', async () => {
    const comment = `# ${'x'.repeat(256 * 1024)}\n`;
    const done: string[] = [];
    const loading = loadConfig({
      paths: ['conf'],
      env: {},
      cwd: '/home/ann',
      readFs: memoryFs({ '/home/ann/conf/0.yaml': `${comment}${HEAD}mappings: []\n` }),
      meanwhile: async () => done.push('meanwhile'),
    });
    void loading.then(() => done.push('loaded'));
    expect(await loading).toMatchObject({ kind: 'usable' });
    expect(done).toEqual(['meanwhile', 'loaded']);
  });
});

describe('a load', () => {
  it('parses only files that have changed since the previous load', async () => {
    const parsed: string[][] = [];
    const files = createParsedFiles({
      threadThreshold: 0,
      runThread: async (texts) => void parsed.push(texts.map(({ file }) => file)),
    });
    const texts = (b: string) => [
      { text: 'a: 1', file: 'a.yaml' },
      { text: b, file: 'b.yaml' },
    ];
    await files.begin().texts(texts('b: 1'));
    expect((await files.begin().texts(texts('b: 2')))[1]?.documents[0]?.value).toEqual({ b: 2 });
    // Also a file without documents, because it is broken.
    const broken = [{ text: 'a: [', file: 'c.yaml' }];
    const kept = createParsedFiles();
    const [first] = await kept.begin().texts(broken);
    expect((await kept.begin().texts(broken))[0]).toBe(first);
    // A cached file is dropped if one load did not use it.
    await files.begin().texts([]);
    await files.begin().texts(texts('b: 2'));
    expect(parsed).toEqual([['a.yaml', 'b.yaml'], ['b.yaml'], ['a.yaml', 'b.yaml']]);
  });
});

describe('a cached file', () => {
  it('a cached file gives the result of a new parse, including positions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 3 }), async (texts) => {
        const files = createParsedFiles();
        const all = texts.map((source, index) => ({ text: source, file: `${index}.yaml` }));
        for (let load = 0; load < 3; load += 1) same(await files.begin().texts(all), all.map(parsedHere));
      }),
    );
  });

  it('parses a file again if its content changes, whatever other files were parsed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, text), { minLength: 2, maxLength: 6 }), async (edits) => {
        const files = createParsedFiles();
        for (const [a, b] of edits) {
          const all = [
            { text: a, file: 'a.yaml' },
            { text: b, file: 'b.yaml' },
          ];
          same(await files.begin().texts(all), all.map(parsedHere));
        }
      }),
    );
  });

  it('a load with a cache returns the same configuration or problems as a load without a cache, after any edits', async () => {
    const file = fc.constantFrom('a.yaml', 'b.yaml', 'teams/c.yaml');
    const content = fc.constantFrom(
      undefined,
      '',
      'mappings: [',
      'mappings: []\n',
      'mappings:\n  - { name: m, target: { namespace: a }, data: { K: { store: s, key: k } } }\n',
      'mappings:\n\n  - { name: m, target: { namespace: b }, data: { K: { store: t, key: k } } }\n',
      'mappings:\n  - { name: n, target: { namespace: a }, data: { K: { store: s, key: "10" } } }\n',
      'stores: [ { name: t, kind: files, path: y } ]\n',
    );
    const main = `${HEAD}stores: [ { name: s, kind: files, path: x } ]
include: [ { path: ../teams, namespaces: [a], stores: [s], keys: [k] } ]\n`;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(file, content), { maxLength: 8 }), async (edits) => {
        const files: Record<string, string> = { '/home/ann/conf/0.yaml': main };
        const parsed = createParsedFiles();
        const loaded = (cache?: ParsedFiles) =>
          loadConfig({
            paths: ['conf'],
            env: {},
            cwd: '/home/ann',
            readFs: memoryFs(files),
            ...(cache === undefined ? {} : { parsed: cache }),
          });
        expect(await loaded(parsed)).toStrictEqual(await loaded());
        for (const [name, edit] of edits) {
          const path = name.startsWith('teams') ? `/home/ann/${name}` : `/home/ann/conf/${name}`;
          if (edit === undefined) delete files[path];
          else files[path] = edit;
          expect(await loaded(parsed)).toStrictEqual(await loaded());
        }
      }),
    );
  });
});

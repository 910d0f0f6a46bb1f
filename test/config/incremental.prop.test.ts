import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { opened } from '../../src/config/files/divided.ts';
import { createParsedFiles, type ParsedFiles } from '../../src/config/files/parsing.ts';
import { type Located, type ParsedYaml, parseYaml } from '../../src/config/files/yaml.ts';
import type { FilesInForce } from '../../src/config/includes.ts';
import { loadConfig } from '../../src/config/load.ts';
import { HEAD, memoryFs } from './memory-fs.ts';

/** Returns the parsed text with the content of all mappings. */
function withContent(parsed: ParsedYaml): ParsedYaml {
  const read = (root: Located): Located => {
    const list = root.members?.get('mappings');
    if (list?.node.items?.some(({ entry }) => entry !== undefined) !== true) return root;
    const items = list.node.items.map(opened);
    const node = { ...list.node, items, value: items.map(({ value }) => value) };
    const members = new Map(root.members).set('mappings', { ...list, node });
    const value = Object.fromEntries([...members].map(([name, member]) => [name, member.node.value]));
    return { ...root, value, members };
  };
  return { ...parsed, documents: parsed.documents.map(read) };
}

/** Lines that start, end or continue something, in and around a list of mappings. */
const line = fc.constantFrom(
  ...['- name: a', '- name: b', '  target: { namespace: n }', '  data:', '    K: { store: s, key: k }'],
  ...['  - name: c', '    target:', '      namespaces: [a, b]', '  -', '-', '- {}', '- a', '-   name: d'],
  ...['    K: |', '      text', '      - name: x', '     # no comment', '  # comment', '# comment', ''],
  ...['    K: "one', '      two"', '- name: e"', '    K: >+', '  K: [a,', '- b ]', '  }', '{', '}'],
  ...['mappings:', 'mappings: # list', 'mappings: []', '  mappings:', 'stores:', 'stores: []', '---', '...'],
  ...[
    '\t- name: f',
    ' \t',
    '  - &x a',
    '  - *x',
    '  <<: *x',
    'a: |',
    'a: "',
    '"',
    "'",
    '? x',
    ': y',
    '%YAML 1.1',
  ],
  ...[
    '- name: g\r',
    '  data: 1e3\r',
    '- name: .inf',
    '- - name: h',
    '- ? k',
    "- 'q",
    '- "q"',
    '- | ',
    '- # c',
  ],
);
const lines = fc.array(line, { maxLength: 14 });
const ENTRIES = [
  '- name: a\n  target: { namespace: n }',
  '- { name: b, data: { K: {} } }\n# comment',
  '- name: c\n  data:\n    K: |\n      text\n      - name: x\n',
  '- name: d\n  list:\n    - a\n    - "b"',
  '-\n  name: e\n  k: >-\n    folded\n    text\n\n',
  '-   name: f\n    k: 1e3',
];
/** A list as people write it, with a few lines that stand in a wrong place. */
const list = fc
  .record({
    head: fc.constantFrom('', 'stores: []\n', '---\n', '# top\n', 'a:\n  b: c\n'),
    entries: fc.array(fc.constantFrom(...ENTRIES), { minLength: 1, maxLength: 6 }),
    indent: fc.constantFrom('', '  '),
    tail: fc.constantFrom('', '\n', '\nstores: []', '\naccess:\n- a\n', '\n# end\n'),
    wrong: fc.array(fc.tuple(fc.nat(30), line, fc.nat(1)), { maxLength: 2 }),
  })
  .map(({ head, entries, indent, tail, wrong }) => {
    const body = entries.join('\n').replace(/^(?=.)/gm, indent);
    const all = `${head}mappings:\n${body}${tail}`.split('\n');
    for (const [at, put, cut] of wrong) all.splice(at, cut, put);
    return all.join('\n');
  });
const anyText = fc.oneof(
  { arbitrary: list, weight: 4 },
  { arbitrary: lines.map((all) => all.join('\n')), weight: 1 },
);

describe('a file that is parsed mapping by mapping', () => {
  it('has the same content, places and problems as a file that is parsed as a whole, after any edits', async () => {
    let divided = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyText, { minLength: 1, maxLength: 4 }), async (versions) => {
        const files = createParsedFiles();
        for (const text of versions) {
          const [parsed] = await files.begin().texts([{ text, file: 'a.yaml' }]);
          const whole = parseYaml(text, 'a.yaml');
          if (parsed?.documents.some((root) => root.members?.get('mappings')?.node.items?.[0]?.entry))
            divided += 1;
          const isSame = parsed !== undefined && isDeepStrictEqual(withContent(parsed), whole);
          expect({ text, isSame }).toEqual({ text, isSame: true });
        }
      }),
      { numRuns: Number(process.env.RUNS ?? 200) },
    );
    // The property would hold too if no text could be divided.
    expect(divided).toBeGreaterThan(100);
  });
});

const MAPPINGS = [
  '  - name: a\n    target: { namespace: n }\n    data: { K: { store: s, key: k } }\n',
  '  - name: b\n    target: { namespaces: [n, m] }\n    data:\n      K: { store: s, key: k }\n# end\n',
  '  - name: b\n    target: { namespace: o }\n    data: { K: { store: t, key: k } }\n',
  '  - { name: c, target: { namespace: n, secret: a }, data: { K: { store: s, key: k } } }\n',
  '  - { name: d, target: { namespace: n, secret: e, mode: merge }, data: { K: { store: s, key: k } } }\n',
  '  - { name: e, target: { namespace: n, mode: merge }, data: { K: { store: s, key: k } } }\n',
  '  - { name: f, target: { namespace: n }, data: { K: { store: s, key: k } }, refresh: 1s }\n\n',
  '  - { name: g, target: { namespace: n }, data: { K: { store: s, key: k } }, template: { data: { T: "{{ X }}" } } }\n',
  '  - name: h\n    tarket: { namespace: n }\n    data: { K: { store: s, key: k } }\n',
  '  - { name: AKIAQ3EGRT7YPLMN5ZUV, target: { namespace: n }, data: { K: { store: s, key: k } } }\n',
  '  # secretbridge:allow\n',
  '  - { name: i, target: { namespace: n }, data: { K: { store: s, key: forbidden } } }\n',
  '  - name: "j\n',
];
const STORES = [
  'stores: [ { name: s, kind: files, path: x } ]\n',
  'stores: [ { name: t, kind: files, path: y } ]\n',
];
const REST = [
  '',
  'defaults: { refresh: 9m }\n',
  'access: [ { namespaces: [n], stores: ["*"], keys: [k] } ]\n',
  'http: 1\n',
];
const mappings = fc.array(fc.constantFrom(...MAPPINGS), { maxLength: 6 }).map((all) => all.join(''));
const files = fc.record({
  main: fc.tuple(fc.constantFrom(...STORES), fc.boolean(), mappings, fc.constantFrom(...REST)),
  second: mappings,
  team: mappings,
});
const INCLUDE =
  'include: [ { path: ../team.yaml, namespaces: [n], stores: [s], keys: ["*"], limits: { mappings: 2 } } ]\n';
const listed = (all: string) => `mappings:${all === '' ? ' []' : ''}\n${all}`;

describe('a load that checks only what has changed', () => {
  it('gives the same configuration, problems and warnings as a full load, after any edits', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(files, { minLength: 1, maxLength: 4 }), async (versions) => {
        const cache = createParsedFiles();
        let forces: readonly [FilesInForce, FilesInForce] = [new Map(), new Map()];
        for (const { main, second, team } of versions) {
          const [stores, includes, own, rest] = main;
          const readFs = memoryFs({
            '/home/ann/conf/0.yaml': `${HEAD}${stores}${includes ? INCLUDE : ''}${listed(own)}${rest}`,
            '/home/ann/conf/1.yaml': listed(second),
            '/home/ann/team.yaml': listed(team),
          });
          const load = (inForce: FilesInForce, parsed?: ParsedFiles) =>
            loadConfig({
              ...{ paths: ['conf'], env: {}, cwd: '/home/ann', readFs, inForce },
              ...(parsed === undefined ? {} : { parsed }),
            });
          const [incremental, full] = [await load(forces[0], cache), await load(forces[1])];
          if (incremental.kind === 'usable' && full.kind === 'usable') {
            forces = [incremental.inForce, full.inForce];
            expect(incremental.config).toStrictEqual(full.config);
            expect(incremental.warnings).toStrictEqual(full.warnings);
          }
          expect([incremental.kind, incremental.problems]).toStrictEqual([full.kind, full.problems]);
        }
      }),
      { numRuns: Number(process.env.RUNS ?? 60) },
    );
  });
});

import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { watchedCredentialsIn } from '../../src/config/watch/credentials.ts';
import { HEAD, linesOf, load, loadText, memoryFs, VALID } from './memory-fs.ts';

async function usable(text: string) {
  const loaded = await loadText(text);
  if (loaded.kind !== 'usable') throw new Error(linesOf(loaded).join('\n'));
  return loaded.config;
}

describe('a valid configuration', () => {
  it('fills in defaults, durations in milliseconds and absolute paths', async () => {
    expect(await usable(VALID)).toMatchObject({
      instance: 'prod',
      formerInstances: [],
      cluster: { kind: 'kubernetes', scope: 'namespace' },
      engine: { kind: 'memory', concurrency: 16 },
      audit: { store: { kind: 'sqlite', path: '/home/ann/state/audit.db' }, stdout: false },
      keys: {
        fingerprint: [{ file: '/home/ann/state/fingerprint.key' }],
        checkpoint: { file: '/home/ann/state/checkpoint.key' },
      },
      log: { level: 'info', format: 'json' },
      brake: { share: 0.1, windowMs: 86_400_000 },
      absence: { readings: 3, overMs: 600_000 },
      restarts: { windowMs: 5_000, atOnce: 5 },
      stores: [
        { name: 'team-vault', limits: { requestsPerSecond: 1_000, concurrency: 16, timeoutMs: 15_000 } },
        { name: 'local', path: '/home/ann/secrets' },
      ],
      mappings: [
        {
          name: 'payments-db',
          target: { namespaces: ['payments'], secret: 'payments-db', type: 'Opaque', mode: 'own' },
          data: { DB_PASSWORD: { store: 'team-vault', optional: false } },
          refreshMs: 300_000,
          onConflict: 'refuse',
          onDrift: 'repair',
          onSourceMissing: 'keep',
        },
      ],
    });
  });

  it('keeps session tags unchanged, even if their names equal names of path or credential fields', async () => {
    const tags = "{ env: prod-eu, path: ./foo, file: bar, caFile: 'x' }";
    const store = `{ name: aws, kind: aws-secrets-manager, region: eu-west-1, auth: { method: default, assumeRole: [ { roleArn: 'arn:aws:iam::123456789012:role/a', tags: ${tags} } ] } }`;
    const { stores } = await usable(`${HEAD}stores: [ ${store} ]\n`);
    expect(stores).toMatchObject([
      { auth: { assumeRole: [{ tags: { env: 'prod-eu', path: './foo', file: 'bar', caFile: 'x' } }] } },
    ]);
    expect(stores.map(watchedCredentialsIn)).toEqual([[]]);
  });

  it.each([
    ['cluster', 'cluster: { kind: directory, path: "a\\0b" }'],
    ['audit.store', 'audit: { store: { kind: sqlite, path: "a\\0b" } }'],
    ['stores[0]', 'stores: [ { name: s, kind: files, path: "a\\0b" } ]'],
    ['keys.checkpoint', 'keys: { checkpoint: { file: "a\\0b" } }'],
  ])('rejects a zero byte in a path: %s', async (place, text) => {
    const [line, ...others] = linesOf(await loadText(`${HEAD}${text}\n`));
    expect(others).toEqual([]);
    expect(line).toContain(`${place}.`);
    expect(line).toContain('expected a path without zero bytes');
  });

  it('prefers the value in a mapping to `defaults`, and `defaults` to the built-in default', async () => {
    const config = await usable(
      `${VALID}  - { name: m2, target: { namespaces: [a, b], secret: s }, refresh: 1h30m, data: { A: { store: local, key: a } } }
defaults: { refresh: 10m, onDrift: report, maxAge: 90d }\n`,
    );
    expect(config.mappings[0]).toMatchObject({
      refreshMs: 600_000,
      onDrift: 'report',
      maxAgeMs: 90 * 86_400_000,
    });
    expect(config.mappings[1]).toMatchObject({ refreshMs: 5_400_000, onDrift: 'report' });
    expect(config.mappings[1]?.target).toMatchObject({ namespaces: ['a', 'b'], secret: 's' });
  });

  it('accepts zero as the delay before deletions and restarts', async () => {
    const config = await usable(`${VALID}absence: { readings: 1, over: 0s }\nrestarts: { window: 0ms }\n`);
    expect(config.absence).toEqual({ readings: 1, overMs: 0 });
    expect(config.restarts).toEqual({ windowMs: 0, atOnce: 5 });
    const tooLong = await loadText(`${VALID}absence: { over: 3651d }\n`);
    expect(linesOf(tooLong).join()).toContain(
      'absence.over CONFIG_INVALID: expected a duration of at most 3650d',
    );
  });

  it('raises a `refresh` below the minimum of the service to that minimum', async () => {
    for (const [refresh, refreshMs] of [
      ['1ms', 250],
      ['250ms', 250],
      ['1s', 1_000],
    ] as const) {
      const config = await usable(`${VALID}defaults: { refresh: ${refresh} }\n`);
      expect(config.mappings[0]?.refreshMs).toBe(refreshMs);
    }
  });

  it('the loader places key files in the folder of the audit database by default', async () => {
    const config = await usable(`${VALID}audit: { store: { kind: sqlite, path: /var/lib/bridge/a.db } }\n`);
    expect(config.keys.fingerprint).toEqual([{ file: '/var/lib/bridge/fingerprint.key' }]);
  });

  it('accepts a version that consists of digits', async () => {
    const config = await usable(VALID.replace('property: password', 'version: 3'));
    expect(config.mappings[0]?.data.DB_PASSWORD?.version).toBe('3');
  });

  it('keeps key names that look like numbers', async () => {
    const config = await usable(VALID.replace('DB_PASSWORD', '1e3'));
    expect(Object.keys(config.mappings[0]?.data ?? {})).toEqual(['1e3']);
  });
});

describe('a configuration of several files', () => {
  const MAIN = `${HEAD}stores: [ { name: local, kind: files, path: ./s } ]\n`;
  const MORE =
    'stores: [ { name: other, kind: files, path: ./s } ]\nmappings: [ { name: m, target: { namespace: a }, data: { A: { store: local, key: a } } } ]\n';

  it('combines several files, and resolves the paths in each file relative to that file', async () => {
    const loaded = await load(
      { '/home/ann/a.yaml': MAIN, '/home/ann/teams/b.yaml': MORE },
      'a.yaml',
      'teams/b.yaml',
    );
    expect(loaded).toMatchObject({
      kind: 'usable',
      config: { stores: [{ path: '/home/ann/s' }, { path: '/home/ann/teams/s' }], mappings: [{ name: 'm' }] },
    });
  });

  it('accepts several documents in one file', async () => {
    expect(await loadText(`${MAIN}---\n${MORE}---\n# nothing here\n`)).toMatchObject({ kind: 'usable' });
  });

  it('the loader reads the files of a folder in order, without hidden entries and subfolders, so that a mounted ConfigMap works', async () => {
    const files = {
      '/etc/secretbridge/b.yml': MORE,
      '/etc/secretbridge/a.yaml': MAIN,
      '/etc/secretbridge/notes.txt': ': no yaml',
      '/etc/secretbridge/..data/a.yaml': MAIN,
      '/etc/secretbridge/.hidden.yaml': ': no yaml',
      '/etc/secretbridge/deeper.yaml/c.yaml': ': no yaml',
    };
    expect(await load(files)).toMatchObject({
      kind: 'usable',
      config: { stores: [{ name: 'local' }, { name: 'other' }] },
    });
  });

  it.each([
    ['a.yaml', 'a.yaml'],
    ['/home/ann', './a.yaml'],
    ['a.yaml', '/home/ann'],
  ])('the loader reads a file once even if it is given twice (%s and %s)', async (...paths) => {
    const loaded = await load({ '/home/ann/a.yaml': MAIN, '/home/ann/b.yaml': MORE }, ...paths, 'b.yaml');
    expect(loaded).toMatchObject({
      kind: 'usable',
      config: { stores: [{ name: 'local' }, { name: 'other' }] },
      problems: [],
    });
  });

  it('the loader reports both positions if a name is used in two files', async () => {
    const loaded = await load(
      { '/home/ann/a.yaml': MAIN, '/home/ann/b.yaml': MAIN.replace(HEAD, '') },
      'a.yaml',
      'b.yaml',
    );
    expect(loaded.problems).toMatchObject([
      {
        file: 'b.yaml',
        line: 1,
        column: 19,
        path: 'stores[1].name',
        message: 'the name `local` is used twice, first at a.yaml:3:19',
      },
    ]);
  });

  it('the loader reports a section that is not a list, whatever the order of the files', async () => {
    const files = { '/home/ann/a.yaml': `${HEAD}stores: none\n`, '/home/ann/b.yaml': MORE };
    const one = await load(files, 'a.yaml', 'b.yaml');
    const other = await load(files, 'b.yaml', 'a.yaml');
    for (const loaded of [one, other])
      expect(loaded.problems.filter(({ path }) => path === 'stores')).toMatchObject([
        { file: 'a.yaml', line: 3, message: 'expected a list' },
      ]);
  });

  it('rejects a section that two files set, but accepts an `apiVersion` in each file', async () => {
    const loaded = await load({ '/home/ann/a.yaml': MAIN, '/home/ann/b.yaml': HEAD }, 'a.yaml', 'b.yaml');
    expect(loaded.problems).toMatchObject([
      {
        file: 'b.yaml',
        line: 2,
        path: 'instance',
        message: '`instance` is set twice, first at a.yaml:2:1',
      },
    ]);
  });

  it('the loader reports the problems of readable files together with the problems of unreadable files', async () => {
    const loaded = await load(
      { '/home/ann/a.yaml': `${MAIN}log: { levl: info }\n`, '/home/ann/b.yaml': 'a:\n\tb: 1\n' },
      'a.yaml',
      'b.yaml',
    );
    expect(loaded.problems.map(({ file, path }) => [file, path])).toEqual([
      ['a.yaml', 'log.levl'],
      ['b.yaml', ''],
    ]);
  });
});

describe('unsupported YAML', () => {
  const wrong = 'mappings: [ { name: m, target: { namespace: a }, data: { A: { store: s1, kye: k } } } ]\n';
  const stores = 'stores: [ { name: s, kind: files, path: x } ]\n';

  it.each([
    ['a duplicate key', 'log: { level: info, level: debug }\n', '5:21 '],
    ['an anchor', 'log: &log { level: info }\n', '5:6 '],
  ])('the loader reports all problems in a file that contains %s', async (_, text, place) => {
    const lines = linesOf(await loadText(HEAD + stores + wrong + text));
    expect(lines.map((line) => line.split(' CONFIG')[0])).toEqual([
      '4:61 mappings[0].data.A.key',
      '4:70 mappings[0].data.A.store',
      '4:74 mappings[0].data.A.kye',
      place,
    ]);
  });

  it.each([
    ['an alias', 'log: { level: *level }\n', '5:15 '],
    ['an alias of a section', 'log: *log\n', '5:6 '],
    ['a tag', 'log: { level: !env LEVEL }\n', '5:15 '],
    ['a merge key, which may define missing members', 'cluster: { <<: *c, scope: names }\n', '5:12 '],
    ['a name that is a list', 'http: { tokens: [ { ? [a] : b, role: viewer } ] }\n', '5:23 '],
  ])('the loader reports no false problems because of %s', async (_, text, place) => {
    const lines = linesOf(await loadText(HEAD + stores + wrong + text));
    // The unsupported part may define stores, so unknown stores are not reported.
    expect(lines.map((line) => line.split(' CONFIG')[0])).toEqual([
      '4:61 mappings[0].data.A.key',
      '4:74 mappings[0].data.A.kye',
      place,
    ]);
  });

  it.each([
    ['a merge key', '<<: { refresh: 5m }', '4:24 '],
    ['a name that is a list', '? [a] : b', '4:26 '],
  ])('the loader reports all problems in a mapping that contains %s', async (_, unread, place) => {
    const fields = `${unread}, refreshh: 5m, onDrift: foo, data: { A: { stor: s, key: a } }`;
    const lines = linesOf(await loadText(`${HEAD}${stores}mappings: [ { name: m, ${fields} } ]\n`));
    expect(lines.map((line) => line.split(' CONFIG')[0]?.replace(/^\S+ (?=m)/, ''))).toEqual([
      place,
      ...['refreshh', 'onDrift', 'data.A.store', 'data.A.stor'].map((path) => `mappings[0].${path}`),
    ]);
  });

  it.each([
    ['sources', 'data: *d'],
    ['template names', "data: { <<: *d }, template: { data: { t: '{{ A }}' } }"],
    ['the name of another target', 'target: { namespace: a, secret: *s }, data: { A: { store: s, key: k } }'],
  ])('the loader reports no duplicate if unsupported YAML may define %s', async (_, fields) => {
    const target = fields.startsWith('target') ? '' : 'target: { namespace: a }, ';
    const other = '{ name: x, target: { namespace: a, secret: m }, data: { A: { store: s, key: k } } }';
    const text = `mappings: [ { name: m, ${target}${fields} }, ${other.replace('secret: m', 'secret: other')} ]\n`;
    const found = linesOf(
      await loadText(HEAD + stores + (target === '' ? text.replace('other', 'm') : text)),
    );
    expect(found.map((line) => line.replace(/^\S+ +CONFIG_INVALID: /, ''))).toEqual([
      expect.stringMatching(/^(an alias|a merge key)/),
    ]);
  });

  it.each(['{ <<: *h }', '*h', '{ listen: !env X }'])(
    'never reads unsupported YAML as a listen address: %s',
    async (http) => {
      expect(await loadText(`${HEAD}http: ${http}\n`)).not.toHaveProperty('http');
    },
  );

  it('finds the store names in both copies of a `stores` section that is set twice', async () => {
    const more = 'stores: [ { name: s1, kind: files, path: x } ]\n';
    expect(linesOf(await loadText(HEAD + stores + wrong.replace('kye', 'key') + more))).toEqual([
      '5:1  CONFIG_INVALID: `stores` is set twice, first at secretbridge.yaml:3:1',
    ]);
  });

  it('the loader reports unsupported YAML at each position, but only the first problems of broken YAML', async () => {
    const twelve = Array.from({ length: 12 }, (_, index) => `a${index}: &x 1, a${index}: 2`).join(', ');
    const lines = linesOf(await loadText(`${HEAD}defaults: { ${twelve} }\n`));
    expect(lines.filter((line) => line.includes('an anchor'))).toHaveLength(12);
    expect(lines.filter((line) => line.includes('is set twice'))).toHaveLength(12);
    expect(linesOf(await loadText('a: "\\q"\n'.repeat(30)))).toHaveLength(10);
  });
});

describe('an unreadable file', () => {
  it('an unreadable file suppresses only problems that depend on its content', async () => {
    const text = `${HEAD}storess: []
engine: { kind: redis, url: { env: U } }
events: { vault: [ { name: e, store: s }, { name: e, store: s } ] }
mappings:
  - { name: m, target: { namespace: a }, data: { A: { store: s, key: k } } }
  - { name: m, target: { namespace: a }, data: { A: { store: s, key: k } }, template: { data: { t: '{{ a | zz }}' } } }
access: [ { namespaces: [b], stores: [s], keys: [k] } ]
`;
    const loaded = await load({ '/home/ann/a.yaml': text, '/home/ann/b.yaml': 'a: [' }, 'a.yaml', 'b.yaml');
    expect(loaded.problems.map(({ file, path }) => [file, path])).toEqual([
      ['a.yaml', 'storess'],
      ['a.yaml', 'events.vault[1].name'],
      ['a.yaml', 'mappings[1].name'],
      ['a.yaml', 'mappings[1].target'],
      ['a.yaml', 'mappings[1].template.data.t'],
      ['b.yaml', ''],
    ]);
  });

  it('an unreadable file does not hide suspected credentials in other files', async () => {
    const fields =
      'kind: vault, address: https://v, namespace: hvs.CAESIJlWCpkzyGkqIcwUTaALyXbJ5BXs7eSDEYHeCRuPqCbn';
    const text = `${HEAD}stores: [ { name: v, ${fields}, auth: { method: token, token: { env: T } } } ]\n`;
    const loaded = await load({ '/home/ann/a.yaml': text }, 'a.yaml', 'missing.yaml');
    expect(loaded.problems.map(({ file, path }) => [file, path])).toEqual([
      ['a.yaml', 'stores[0].namespace'],
      ['missing.yaml', ''],
    ]);
  });
});

describe('the configuration path', () => {
  const files = {
    '/home/ann/secretbridge.yaml': VALID,
    '/etc/secretbridge/a.yaml': VALID.replace('prod', 'etc'),
    '/x/a.yaml': VALID.replace('prod', 'x'),
  };
  const instanceWith = async (
    paths: readonly string[],
    env: Record<string, string>,
    fs = files as Record<string, string>,
  ) => {
    const loaded = await loadConfig({ paths, env, cwd: '/home/ann', readFs: memoryFs(fs) });
    return loaded.kind === 'usable' ? loaded.config.instance : loaded.problems[0]?.message;
  };

  it.each([
    ['--config first', ['/x/a.yaml'], { SECRETBRIDGE_CONFIG: '/etc/secretbridge' }, 'x'],
    ['then SECRETBRIDGE_CONFIG', [], { SECRETBRIDGE_CONFIG: '/etc/secretbridge' }, 'etc'],
    ['then the file in the working folder', [], { SECRETBRIDGE_CONFIG: '' }, 'prod'],
  ])(
    'takes the configuration path from the first place that contains a path: %s',
    async (_, paths, env, instance) => {
      expect(await instanceWith(paths, env)).toBe(instance);
    },
  );

  it('/etc/secretbridge/ is used if no other place has a configuration', async () => {
    expect(await instanceWith([], {}, { '/etc/secretbridge/a.yaml': VALID.replace('prod', 'etc') })).toBe(
      'etc',
    );
  });

  it('a list of several paths is accepted in SECRETBRIDGE_CONFIG', async () => {
    const fs = { '/x/a.yaml': HEAD, '/x/b.yaml': VALID.replace(HEAD, '') };
    expect(await instanceWith([], { SECRETBRIDGE_CONFIG: '/x/a.yaml:/x/b.yaml' }, fs)).toBe('prod');
  });

  it('a missing configuration is reported if none of the default locations has a file', async () => {
    expect(await instanceWith([], {}, {})).toMatch(/^no configuration found: .*--config/);
  });
});

import { describe, expect, it } from 'vitest';
import { VERSION } from '../../src/cli/context.ts';
import { openBench } from './harness.ts';

const COMMANDS = [
  ['validate'],
  ['plan'],
  ['sync'],
  ['serve'],
  ['status'],
  ['release'],
  ['doctor'],
  ['rbac'],
  ['audit'],
  ['audit', 'list'],
  ['audit', 'show'],
] as const;

const PRINT = `0123abcd:${'0'.repeat(64)}`;

describe('help', () => {
  it.each([[], ...COMMANDS].map((words) => [words.join(' '), words] as const))(
    'the help shows a working example for `%s`',
    async (_, words) => {
      await using bench = await openBench();
      const { code, stdout, stderr } = await bench.run(...words, '--help');
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(new RegExp(`Examples?:\n {2}secretbridge ${words.join(' ')}`));
    },
  );

  it('the help lists every command', async () => {
    await using bench = await openBench();
    const { stdout } = await bench.run('--help');
    for (const [name] of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
  });

  it('the help fits the width of the terminal', async () => {
    await using bench = await openBench();
    for (const width of [80, 120]) {
      const { stdout } = await bench.runWith({ width }, 'audit', 'list', '--help');
      const options = stdout.split('Examples')[0]?.split('Example:')[0] ?? '';
      expect(Math.max(...options.split('\n').map((line) => line.length))).toBeLessThanOrEqual(width);
    }
  });

  it('`--version` prints the version', async () => {
    await using bench = await openBench();
    const { code, stdout } = await bench.run('--version');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${VERSION}\n` });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('common options', () => {
  it.each([
    ['-o', 'json', 'audit', 'list', '--limit', '1'],
    ['audit', '--output=json', 'list', '--limit', '1'],
    ['--config', 'secretbridge.yaml', '-ojson', 'audit', '--log-level', 'error', 'list', '--limit', '1'],
  ])('the common options are accepted before the command: %s %s %s', async (...words) => {
    await using bench = await openBench();
    await bench.run('sync');
    const { code, stdout } = await bench.run(...words);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).records).toHaveLength(1);
  });

  it('the common options are merged if they are given both before and after the command', async () => {
    await using bench = await openBench();
    await bench.write('more.yaml', 'brake: { share: 2 }');
    const { code, stdout } = await bench.run('-c', 'more.yaml', 'validate', '-c', 'secretbridge.yaml');
    expect(code).toBe(3);
    expect(stdout).toContain('more.yaml:1:17');
  });

  it('common options before a command do not consume the arguments of that command', async () => {
    await using bench = await openBench();
    const { code, stdout } = await bench.run('--output', 'json', '--help');
    expect({ code, start: stdout.slice(0, 6) }).toEqual({ code: 0, start: 'Usage:' });
  });
});

describe('wrong usage', () => {
  it.each([
    [],
    ['nope'],
    ['sink'],
    ['plan', '--nope'],
    ['plan', 'extra'],
    ['plan', '--output', 'xml'],
    ['plan', '--config'],
    ['plan', '--config', ''],
    ['--config'],
    ['--config', 'secretbridge.yaml'],
    ['--config', 'plan'],
    ['--config', '', 'plan'],
    ['--output', 'xml', 'plan'],
    ['--output', 'json', 'nope'],
    ['--mapping', 'db', 'plan'],
    ['--config', 'secretbridge.yaml', 'audit'],
    ['-o', 'yaml', 'audit', 'list', '-o', 'json'],
    ['plan', '--log-level', 'loud'],
    ['plan', '--mapping', 'typo'],
    ['sync', '--mapping', 'typo', '--output', 'json'],
    ['rbac', '--service-account', 'nobody'],
    ['rbac', '--service-account', 'UPPER/case'],
    ['audit'],
    ['audit', 'nope'],
    ['audit', 'show'],
    ['audit', 'show', 'x'],
    ['audit', 'show', '0'],
    ['audit', 'show', '1.5'],
    ['audit', 'list', '--limit', '0'],
    ['audit', 'list', '--limit', '1e1'],
    ['audit', 'show', '0x5'],
    ['audit', 'list', '--cursor', 'x'],
    ['audit', 'list', '--since', 'yesterday'],
    ['audit', 'list', '--since', '2026-13-01'],
    ['audit', 'list', '--since', '2026-02-30'],
    ['audit', 'list', '--since', '2026-02-02', '--until', '2026-02-01'],
    ['audit', 'export', '--format', 'csv', '--since', '7d', '--until', '30d'],
    ['audit', 'report', '--until', '30d'],
    ['audit', 'list', '--until', '7w'],
    ['audit', 'list', '--action', 'drop'],
    ['audit', 'list', '--outcome', 'fine'],
    ...['actor', 'mapping', 'namespace', 'secret', 'store', 'key', 'request', 'audit'].map(
      (name) => ['audit', 'list', `--${name}`, ''] as const,
    ),
    ['audit', 'export', '--format', 'csv', '--mapping='],
    ['audit', 'show', '1', '--audit', ''],
    ['audit', 'verify', '--audit', ''],
    ['audit', 'verify', '--checkpoints', ''],
    ['audit', 'migrate', '--from', '', '--to', 'a.db'],
    ['unpin', 'db', '--namespace', ''],
    ['release', ''],
    ['sync', '--mapping', 'db', '-m', 'db'],
    ['plan', '--mapping', ''],
    ['audit', 'list', '--action', 'create', '--action', 'update'],
    ['audit', 'list', '--outcome', 'ok', '--outcome', 'failed'],
    ['audit', 'list', '--namespace', 'apps', '--namespace', 'web'],
    ['audit', 'list', '--since', '7d', '--since', '30d'],
    ['audit', 'list', '--until', '7d', '--until', '1d'],
    ['audit', 'list', '--code', 'TIMEOUT', '--code', 'THROTTLED'],
    ['audit', 'list', '--cursor', '5', '--cursor', '9'],
    ['audit', 'list', '--fingerprint', PRINT, '--fingerprint', PRINT],
    ['audit', 'review', '1', '--state', 'reviewed', '--state', 'flagged'],
    ['audit', 'review', '1', '--state', 'flagged', '--note', 'one', '--note', 'two'],
    ['rollback', 'db', '--to', '1', '--to', '2'],
    ...[
      'audit list --limit 5 --limit 9',
      'audit export --format csv --format jsonl',
      'audit report --since 7d --since 30d',
      'status --server http://127.0.0.1:1 --server http://127.0.0.1:2',
      'plan --output json -o yaml',
      'plan --log-level info --log-level info',
      'serve --grace 5s --grace 9s',
      'rbac --service-account a/b --service-account c/d',
      'init --out a.yaml --out b.yaml',
      'config-schema --out a.json --out b.json',
      'version --output json --output json',
      'import external-secrets --instance a --instance b -',
    ].map((line) => line.split(' ')),
  ])(
    'a wrong command line exits with 64 and prints one sentence on stderr and nothing on stdout: %s %s %s',
    async (...words) => {
      await using bench = await openBench();
      const { code, stdout, stderr } = await bench.run(...words.filter((word) => word !== undefined));
      expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
      expect(stderr).toMatch(/^(error: |Usage: )/);
      expect(stderr).not.toMatch(/^\s+at /m);
    },
  );

  it('the error about a repeated option contains the name of the option, but not the values', async () => {
    await using bench = await openBench();
    const { code, stderr } = await bench.run('audit', 'list', '--limit', '71', '--limit=72');
    expect({ code, stderr }).toEqual({ code: 64, stderr: 'error: --limit can be given only once\n' });
  });

  it('repeating a repeatable option or a switch is no error', async () => {
    await using bench = await openBench();
    await bench.write('more.yaml', 'apiVersion: secretbridge.dev/v1\n');
    const { code } = await bench.run(...['validate', '-c', 'secretbridge.yaml', '--config', 'more.yaml']);
    expect(code).toBe(0);
    expect((await bench.run('plan', '--all', '--all')).code).toBe(2);
  });

  it.each([
    ['audit', 'verify', '--audit', 'postgres://bob:hunter2@'],
    ['audit', 'verify', '--public-key', '--audit', 'postgres://bob:hunter2@'],
    ['audit', 'list', '--audit', 'postgres://bob:hunter2@db/x?sslmode=prefer'],
    ['audit', 'show', '1', '--audit', 'postgres://:hunter2@db/x'],
    ['audit', 'report', '--audit', 'postgres://bob:hunter2@one,two/x'],
    ['audit', 'export', '--format', 'csv', '--audit', 'postgresql://bob:hunter2%@db/x'],
    ['audit', 'migrate', '--from', 'postgres://bob:hunter2@', '--to', 'a.db'],
    ['audit', 'migrate', '--from', 'a.db', '--to', 'postgres://bob:hunter2@'],
    ['audit', 'list', '--audit', 'POSTGRES://bob:hunter2@'],
    ['audit', 'list', '--audit', 'pgsql://bob:hunter2@db/x'],
    ['audit', 'verify', '--audit', 'mysql://bob:hunter2@db/x'],
    ['audit', 'migrate', '--from', 'a.db', '--to', 'postgre://bob:hunter2@db/x'],
    ['audit', 'review', '1', '--state', 'flagged', '--note', 'x'.repeat(2_001)],
  ])(
    'wrong usage is reported before other errors, and without the values of arguments: %s %s',
    async (...words) => {
      await using bench = await openBench('broken');
      const { code, stdout, stderr } = await bench.run(...words);
      expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
      expect(stderr).toMatch(/^error: --(audit|from|to|note)\b/);
      expect(stderr).not.toMatch(/hunter2|bob|xxx|audit\.store/);
    },
  );

  it.each([
    ['audit', 'list', '--value', 'hunter2'],
    ['audit', 'list', '--value=hunter2'],
    ['audit', 'list', '--fingerprint', 'hunter2'],
    ['audit', 'list', '--nope=hunter2'],
    ['plan', 'hunter2'],
    ['plan', 'one', 'hunter2\nmore'],
    ['audit', 'verify', '--key', '-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n'],
    ['audit', 'verify', '--checkpoints', '-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n'],
  ])('wrong usage is reported without arguments that may be secret values: %s %s %s', async (...words) => {
    await using bench = await openBench();
    await bench.run('sync');
    const { code, stdout, stderr } = await bench.run(...words);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(/^error: /);
    expect(stderr).not.toContain('hunter2');
  });

  it('the error about wrong usage suggests the closest command, option or value', async () => {
    await using bench = await openBench();
    expect((await bench.run('sync', '--dry-run')).stderr).toContain('`secretbridge plan` shows what');
    expect((await bench.run('valdate')).stderr).toContain('validate');
    expect((await bench.run('plan', '--mapping', 'bd')).stderr).toBe('error: there is no mapping "bd"\n');
    await bench.write(
      'secretbridge.yaml',
      (await bench.read('secretbridge.yaml')).replace('db\n', 'payments\n'),
    );
    expect((await bench.run('plan', '--mapping', 'payment')).stderr).toBe(
      'error: there is no mapping "payment"; did you mean "payments"?\n',
    );
  });
});

describe('an invalid configuration', () => {
  const BAD = `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores: [ { name: local, kind: files, pth: ./store } ]
mappings:
  - name: db
    target: { namespace: Apps }
    data: { USER: { store: locl, key: db.json } }
`;

  it.each([['plan'], ['sync'], ['doctor'], ['rbac'], ['audit', 'list'], ['audit', 'show', '1']])(
    'an invalid configuration causes exit code 3 for `%s %s %s`, and every problem is printed on stderr',
    async (...words) => {
      await using bench = await openBench(BAD);
      const { code, stdout, stderr } = await bench.run(...words.filter((word) => word !== undefined));
      expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
      expect(stderr).toContain('secretbridge.yaml:4:39');
      expect(stderr).toContain('did you mean `path`?');
      expect(stderr).toContain('secretbridge.yaml:7:26');
      expect(stderr).toContain('did you mean `local`?');
    },
  );

  it('an invalid configuration is reported as one JSON object with the problems that `validate` finds', async () => {
    await using bench = await openBench(BAD);
    const { code, json } = await bench.run('sync', '--output', 'json');
    const validated = await bench.run('validate', '--output', 'json');
    const { problems } = validated.json as { problems: object[] };
    expect(code).toBe(3);
    expect(json).toEqual({ error: { code: 'CONFIG_INVALID', message: expect.any(String), problems } });
    expect(validated.code).toBe(3);
    expect(validated.json).toMatchObject({ valid: false });
    for (const problem of problems)
      expect(problem).toMatchObject({
        file: 'secretbridge.yaml',
        line: expect.any(Number),
        column: expect.any(Number),
        path: expect.any(String),
        code: expect.any(String),
        message: expect.any(String),
      });
  });

  it('a missing configuration file is reported like an invalid configuration', async () => {
    await using bench = await openBench();
    const { code, stderr } = await bench.run('sync', '--config', 'other.yaml');
    expect(code).toBe(3);
    expect(stderr).toContain('other.yaml');
  });
});

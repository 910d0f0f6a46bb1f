import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorPagePath } from '../../src/cli/texts/error-pages.ts';
import { ERRORS, type ErrorCode } from '../../src/core/error-codes.ts';
import { FOREIGN, HEAD, openBench } from './harness.ts';

const CODES = Object.keys(ERRORS) as ErrorCode[];
const ROOT = join(import.meta.dirname, '../..');

const HINT = 'Run "secretbridge explain-error';

describe('explain-error', () => {
  it('`explain-error` prints the meaning and the remedy of an error code, without a configuration', async () => {
    await using bench = await openBench();
    await bench.write('secretbridge.yaml', 'broken');
    const { code, stdout, stderr } = await bench.run('explain-error', 'NOT_OWNED');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('A Secret with this name exists and is not ours.');
    expect(stdout).toContain(ERRORS.NOT_OWNED.remedy);
    expect(stdout).toContain('docs/how-to/adopt-existing-secrets.md');
    expect(stdout).toContain('docs/reference/errors.md#not_owned');
    expect(stdout).not.toContain('](');
  });

  it.each(['not_owned', 'not-owned', 'Not_Owned'])('`explain-error` accepts %s', async (text) => {
    await using bench = await openBench();
    expect((await bench.run('explain-error', text)).stdout).toMatch(/^NOT_OWNED /);
  });

  it.each(CODES)(
    '`explain-error` prints %s as JSON, with the link to a section of the documentation',
    async (code) => {
      await using bench = await openBench();
      const { json } = await bench.run('explain-error', code, '--output', 'json');
      const { remedy } = ERRORS[code];
      expect(json).toMatchObject({
        code,
        remedy,
        message: expect.stringMatching(/\.$/),
        page: errorPagePath(code),
      });
      const [path = '', anchor = ''] = errorPagePath(code).split('#');
      const headings = [...readFileSync(join(ROOT, path), 'utf8').matchAll(/^### (.+)$/gm)];
      expect(headings.map(([, heading = '']) => heading.toLowerCase())).toContain(anchor);
    },
  );

  it('`explain-error` prints the explanation as YAML', async () => {
    await using bench = await openBench();
    expect((await bench.run('explain-error', 'HELD', '-o', 'yaml')).stdout).toMatch(/^code: HELD$/m);
  });

  it('`explain-error` prints two exit codes if a command and a target with this error have different exit codes', async () => {
    await using bench = await openBench();
    const { json } = await bench.run('explain-error', 'CONFIG_INVALID', '--output', 'json');
    expect(json).toMatchObject({ exitCode: 3, targetExitCode: 4 });
  });

  it('`explain-error` lists all codes if no argument is given', async () => {
    await using bench = await openBench();
    const { code, stdout } = await bench.run('explain-error');
    expect(code).toBe(0);
    for (const known of CODES) expect(stdout).toMatch(new RegExp(`^ {2}${known} `, 'm'));
    const { json } = await bench.run('explain-error', '--output', 'json');
    const { codes } = json as { readonly codes: readonly { code: string }[] };
    expect(codes.map((page) => page.code).toSorted()).toEqual(CODES.toSorted());
  });

  it.each([
    ['NOT_OWNDE', 'did you mean NOT_OWNED?'],
    ['missing', 'did you mean'],
    ['XYZZY', 'run `secretbridge explain-error` for a list'],
  ])('`explain-error` rejects the argument %s as a usage error', async (text, hint) => {
    await using bench = await openBench();
    const { code, stdout, stderr } = await bench.run('explain-error', text);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toContain(`there is no error code "${text}"; `);
    expect(stderr).toContain(hint);
  });

  it('`explain-error` describes only error codes that this version of the program uses', () => {
    const src = join(ROOT, 'src');
    const files = globSync('**/*.ts', { cwd: src }).filter(
      (path) => !path.startsWith(join('core', 'error-')) && !path.startsWith(join('cli', 'errors')),
    );
    const text = files.map((path) => readFileSync(join(src, path), 'utf8')).join('\n');
    expect(CODES.filter((code) => !text.includes(`'${code}'`))).toEqual([]);
  });
});

describe('hint to explain-error', () => {
  const hints = (text: string) => text.split(HINT).length - 1;

  it.each([['plan'], ['sync'], ['explain', 'theirs']])(
    'the hint to `explain-error` appears once in the output of `%s`',
    async (...args) => {
      await using bench = await openBench(`${HEAD}mappings:
  - name: theirs
    target: { namespace: apps }
    data: { KEY: { store: local, key: db.json, property: user } }
  - name: gone
    target: { namespace: apps }
    data: { KEY: { store: local, key: gone.json } }
`);
      await bench.write('cluster/apps/theirs.yaml', FOREIGN);
      const { stdout, stderr } = await bench.run(...args);
      expect(hints(stdout)).toBe(0);
      expect(hints(stderr)).toBe(1);
      const { stdout: json, stderr: messages } = await bench.run(...args, '--output', 'json');
      expect(hints(json) + hints(messages)).toBe(0);
    },
  );

  it('the hint to `explain-error` contains the code of the error that ended the command', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    const { stderr } = await bench.run('audit', 'show', '99');
    expect(stderr).toContain(`${HINT} RECORD_MISSING" for details.\n`);
    expect(hints(stderr)).toBe(1);
    const { stderr: machine } = await bench.run('audit', 'show', '99', '--output', 'json');
    expect(hints(machine)).toBe(0);
  });

  it('the hint to `explain-error` contains the code of the configuration problem', async () => {
    await using bench = await openBench('mappings: 1\n');
    for (const command of ['validate', 'sync']) {
      const { stderr } = await bench.run(command);
      expect(stderr).toContain(`${HINT} CONFIG_INVALID" for details.\n`);
      expect(hints(stderr)).toBe(1);
    }
  });

  it('the hint to `explain-error` does not appear if there is no error', async () => {
    await using bench = await openBench();
    for (const command of ['validate', 'sync', 'plan']) {
      const { stdout, stderr } = await bench.run(command);
      expect(hints(stdout + stderr)).toBe(0);
    }
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPTS = fileURLToPath(new URL('../../../scripts', import.meta.url));

// A separate npm project with a fake npm that only records its calls.
const NPM = `#!/bin/sh
echo "$@" >> npm-calls
if [ -n "$NPM_FAILS" ]; then echo "npm error code $NPM_FAILS" >&2; exit 1; fi
rm -rf node_modules && mkdir node_modules && cp package-lock.json node_modules/.package-lock.json
`;
const lock = (version: string) => ({
  packages: {
    '': { name: 'project' },
    'node_modules/a': { version, integrity: `sha512-${version}` },
    'node_modules/of-another-platform': { version: '1.0.0', integrity: 'sha512-x', optional: true },
  },
});

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'secretbridge-with-node-'));
  mkdirSync(join(root, 'bin'));
  writeFileSync(join(root, 'bin', 'npm'), NPM, { mode: 0o755 });
  mkdirSync(join(root, 'scripts', 'setup'), { recursive: true });
  for (const file of ['with-node.js', 'setup/cache.js', 'setup/npm.js']) {
    cpSync(join(SCRIPTS, file), join(root, 'scripts', file));
  }
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify(lock('1.0.0')));
  writeFileSync(
    join(root, 'script.ts'),
    'const args: string[] = process.argv.slice(2); console.log(args.join());',
  );
});
afterEach(() => rmSync(root, { recursive: true }));

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const { npm_execpath: _, ...inherited } = process.env;
  const PATH = [join(root, 'bin'), inherited.PATH].join(delimiter);
  return spawn(process.execPath, ['scripts/with-node.js', ...args], {
    cwd: root,
    env: { ...inherited, PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function run(args: readonly string[], env?: NodeJS.ProcessEnv) {
  const child = start(args, env);
  const [out, err, [status]] = await Promise.all([
    child.stdout ? text(child.stdout) : '',
    child.stderr ? text(child.stderr) : '',
    once(child, 'close'),
  ]);
  return { out, err, status };
}

const npmCalls = () => readFileSync(join(root, 'npm-calls'), 'utf8').trimEnd().split('\n');

describe('with-node.js', () => {
  it('installs missing packages first, with one line of output, and never installs twice', async () => {
    const first = await run(['script.ts', 'a', 'b']);
    expect(first).toEqual({
      out: 'a,b\n',
      err: expect.stringMatching(/^Installing the packages .*\n$/),
      status: 0,
    });
    expect(await run(['script.ts'])).toEqual({ out: '\n', err: '', status: 0 });
    expect(npmCalls()).toHaveLength(1);

    writeFileSync(join(root, 'package-lock.json'), JSON.stringify(lock('2.0.0')));
    await run(['script.ts']);
    expect(npmCalls()).toHaveLength(2);
  });

  it('treats packages of other platforms as installed', async () => {
    mkdirSync(join(root, 'node_modules'));
    const { 'node_modules/of-another-platform': _, ...installed } = lock('1.0.0').packages;
    writeFileSync(join(root, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: installed }));
    expect((await run(['script.ts'])).err).toBe('');
  });

  it('installs once for two simultaneous starts', async () => {
    const both = await Promise.all([run(['script.ts', 'one']), run(['script.ts', 'two'])]);
    expect(both.map(({ out, status }) => [out, status])).toEqual([
      ['one\n', 0],
      ['two\n', 0],
    ]);
    expect(npmCalls()).toHaveLength(1);
  });

  it('exits with the code of the script', async () => {
    expect((await run(['-e', 'process.exit(7)'])).status).toBe(7);
    expect((await run(['-e', 'process.kill(process.pid, "SIGKILL")'])).status).toBe(137);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('forwards %s to the script', async (signal) => {
    const child = start([
      '-e',
      `process.on('${signal}', () => process.exit(9)); setInterval(() => {}, 9e4); console.log(1)`,
    ]);
    if (child.stdout) await once(child.stdout, 'data');
    child.kill(signal);
    expect(await once(child, 'close')).toEqual([9, null]);
  });

  it.each([
    ['ENOTFOUND', /could not reach its registry \(ENOTFOUND\)\. Check the network/],
    ['E404', /does not find a package of package-lock\.json/],
    ['EUSAGE', /do not match\. Run npm install/],
    ['EACCES', /could not write its files \(EACCES\)/],
    ['EODD', /npm failed \(EODD\)/],
  ])('explains the npm error %s', async (code, sentence) => {
    const { out, err, status } = await run(['script.ts'], { NPM_FAILS: code, TMPDIR: root });
    expect({ out, status }).toEqual({ out: '', status: 1 });
    expect(err).toMatch(sentence);
    const log = /The output of npm is in (\S+)\.$/m.exec(err)?.[1] ?? '';
    expect(readFileSync(log, 'utf8')).toContain(`npm error code ${code}`);
  });

  it('explains a missing npm and a missing lock file', async () => {
    expect((await run(['script.ts'], { PATH: '' })).err).toMatch(/npm was not found/);
    rmSync(join(root, 'package-lock.json'));
    expect((await run(['script.ts'])).err).toMatch(/package-lock\.json is missing/);
  });
});

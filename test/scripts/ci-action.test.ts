import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Bench, DB, HEAD, openBench } from '../cli/harness.ts';
import { blocksOf } from '../docs/markdown.ts';

// Runs the steps of the GitHub action as a runner does: the same shell, the inputs as variables, and files for the
// summary and the outputs.

const ROOT = resolve(import.meta.dirname, '../..');
const MAIN = join(ROOT, 'src/main.ts');

interface Step {
  readonly name: string;
  readonly if?: string;
  readonly shell: string;
  readonly env: Readonly<Record<string, string>>;
  readonly run: string;
}

interface Action {
  readonly inputs: Readonly<Record<string, { readonly required?: boolean; readonly default?: string }>>;
  readonly runs: { readonly using: string; readonly steps: readonly Step[] };
}

const action = parse(await readFile(join(ROOT, 'deploy/ci/action.yml'), 'utf8')) as Action;

interface Result {
  readonly code: number;
  readonly summary: string;
  readonly outputs: string;
  readonly log: string;
}

/** Evaluates the only kinds of expressions that the action uses. */
function evaluate(expression: string, inputs: Readonly<Record<string, string>>): string {
  return expression.replace(/\$\{\{ inputs\.(\w+) \}\}/g, (_, name: string) => inputs[name] ?? '');
}

function isDue({ if: condition }: Step, inputs: Readonly<Record<string, string>>): boolean {
  if (condition === undefined) return true;
  const [, name = '', value] = /^inputs\.(\w+) == '(\w+)'$/.exec(condition) ?? [];
  expect(value, condition).toBeDefined();
  return inputs[name] === value;
}

async function runAction(bench: Bench, given: Readonly<Record<string, string>>): Promise<Result> {
  const defaults = Object.entries(action.inputs).map(([name, { default: value = '' }]) => [name, value]);
  const inputs = { ...Object.fromEntries(defaults), ...given };
  const [summary, outputs] = ['summary.md', 'outputs.txt'].map((name) => join(bench.folder, name));
  for (const file of [summary, outputs]) await writeFile(file ?? '', '');
  const bin = join(bench.folder, 'bin');
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, 'secretbridge'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
  await chmod(join(bin, 'secretbridge'), 0o755);
  let [code, log] = [0, ''];
  for (const step of action.runs.steps.filter((one) => isDue(one, inputs))) {
    const env = Object.entries(step.env).map(([name, value]) => [name, evaluate(value, inputs)]);
    const file = join(bench.folder, 'step.sh');
    await writeFile(file, step.run);
    const run = promisify(execFile)('bash', ['--noprofile', '--norc', '-eo', 'pipefail', file], {
      cwd: bench.folder,
      env: {
        PATH: `${bin}:${process.env.PATH}`,
        GITHUB_STEP_SUMMARY: summary,
        GITHUB_OUTPUT: outputs,
        ...Object.fromEntries(env),
      },
    });
    const [ended] = await Promise.allSettled([run]);
    const streams = ended.status === 'fulfilled' ? ended.value : ended.reason;
    log += `${streams.stdout}${streams.stderr}`;
    code = ended.status === 'fulfilled' ? 0 : Number(ended.reason.code);
    if (code !== 0) break;
  }
  const read = (file = '') => readFile(file, 'utf8');
  return { code, log, summary: await read(summary), outputs: await read(outputs) };
}

describe('the GitHub action', () => {
  it('plans on a pull request, and carries out exactly this plan', async () => {
    await using bench = await openBench(HEAD + DB);
    const planned = await runAction(bench, { mode: 'plan' });
    expect(planned).toMatchObject({ code: 0, outputs: 'changes=true\n' });
    expect(planned.summary).toContain('| create | `apps/db` | db | +`PASSWORD` +`USER` |');
    expect(await readdir(bench.folder)).not.toContain('cluster');
    expect(await runAction(bench, { mode: 'apply' })).toMatchObject({ code: 0 });
    expect(await readdir(join(bench.folder, 'cluster/apps'))).toEqual(['db.yaml']);
    const again = await runAction(bench, { mode: 'plan' });
    expect(again).toMatchObject({ code: 0, outputs: 'changes=false\n' });
  });

  it('carries out nothing if something has moved since the plan', async () => {
    await using bench = await openBench(HEAD + DB);
    await runAction(bench, { mode: 'plan', plan: 'my plan.json' });
    await bench.write('store/db.json', '{"user":"ann","password":"moved"}');
    const { code, log } = await runAction(bench, { mode: 'apply', plan: 'my plan.json' });
    expect(code).toBe(4);
    expect(log).toContain('store local, key db.json has version');
    expect(await readdir(bench.folder)).not.toContain('cluster');
  });

  it('fails on an invalid configuration, a failing target and a wrong mode', async () => {
    await using invalid = await openBench('mappings: 1\n');
    expect(await runAction(invalid, { mode: 'plan' })).toMatchObject({ code: 3, outputs: '' });
    await using failing = await openBench(HEAD + DB.replace('property: user', 'property: none'));
    const planned = await runAction(failing, { mode: 'plan' });
    expect(planned).toMatchObject({ code: 4, outputs: '' });
    expect(planned.summary).toContain('`PROPERTY_MISSING`');
    expect(await runAction(failing, { mode: 'destroy' })).toMatchObject({ code: 64 });
  });

  it('inserts no input into a script, so an input cannot become a command', async () => {
    expect(action.runs.using).toBe('composite');
    for (const { run, shell } of action.runs.steps) {
      expect(run).not.toContain('${{');
      expect(shell).toBe('bash');
    }
    await using bench = await openBench(HEAD + DB);
    const { code } = await runAction(bench, { mode: 'plan', config: '$(touch pwned); secretbridge.yaml' });
    expect(code).not.toBe(0);
    expect(await readdir(bench.folder)).not.toContain('pwned');
  });

  it('has inputs for everything that the workflow in the documentation sets', async () => {
    const path = 'docs/how-to/run-in-ci.md';
    const text = await readFile(join(ROOT, path), 'utf8');
    const [workflow] = blocksOf({ path, text }).filter(({ text: block }) => block.includes('deploy/ci'));
    const { jobs } = parse(workflow?.text ?? '') as {
      readonly jobs: Readonly<
        Record<string, { readonly steps: readonly { readonly uses?: string; readonly with?: object }[] }>
      >;
    };
    const uses = Object.values(jobs)
      .flatMap(({ steps }) => steps)
      .filter((step) => step.uses?.includes('deploy/ci'));
    expect(uses.map((step) => ({ ...step.with }))).toEqual([
      expect.objectContaining({ mode: 'plan' }),
      expect.objectContaining({ mode: 'apply' }),
    ]);
    for (const step of uses)
      expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(Object.keys(step.with ?? {})));
  });
});

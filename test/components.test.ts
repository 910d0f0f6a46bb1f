import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { COMPONENTS } from './components.ts';

it('the list of components has every server that the tests start', () => {
  const isServer = (path: string): boolean =>
    /^export (async )?function start[A-Z]/m.test(readFileSync(join(import.meta.dirname, path), 'utf8'));
  const servers = globSync(['integration/services/**/*.ts', 'fakes/**/*server.ts'], {
    cwd: import.meta.dirname,
  }).filter((path) => isServer(path) && !PARTS_OF_SERVERS.has(path));
  const listed = new Set(COMPONENTS.map(({ module }) => module));
  expect(servers.filter((path) => !listed.has(path))).toEqual([]);
});

/** Modules that start all servers, or a part of one. */
const PARTS_OF_SERVERS = new Set(['integration/services/all.ts', 'integration/services/guarded.ts']);

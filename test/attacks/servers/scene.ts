import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Entry, NO_KEYS } from '../../../src/audit/entry.ts';
import type { Run } from '../../integration/e2e/program.ts';
import { base64, openWorld, type World } from '../../integration/service/world.ts';

/** The databases in which an audit can be attacked. */
export const DATABASES = ['SQLite', 'PostgreSQL'] as const;
export type DatabaseName = (typeof DATABASES)[number];

export const MAPPING = ({ prefix, ns }: Pick<World, 'prefix' | 'ns'>): string => `mappings:
  - name: db
    target: { namespace: ${ns('apps')} }
    data: { PASSWORD: { store: vault, key: ${prefix}/db, property: password } }
`;

/** A service on real servers, with a Secret that was rotated twice, and its audit. */
export async function openAttacked(database: DatabaseName): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(
    await openWorld({ config: MAPPING, postgres: database === 'PostgreSQL', signed: true }),
  );
  for (const password of ['first', 'second']) {
    await world.vault.put('db', { password });
    await succeed(world, 'sync');
  }
  await expectPassword(world, 'second');
  stack.move();
  return world;
}

/** Runs a command that must succeed. */
export async function succeed(world: World, ...args: readonly string[]): Promise<Run> {
  const run = await world.cli(...args);
  expect(run.code, `${args.join(' ')}: ${run.stdout}${run.stderr}`).toBe(0);
  return run;
}

export async function verification(
  world: World,
): Promise<{ readonly code: number | null; readonly report: object }> {
  const { code, stdout } = await world.cli('audit', 'verify', '--output', 'json');
  return { code, report: JSON.parse(stdout) };
}

export async function expectPassword(world: World, password: string): Promise<void> {
  expect((await world.secret('db'))?.data?.PASSWORD).toBe(base64(password));
}

/** Returns the sequence of the record that created the Secret, with the first version. */
export async function firstVersion(world: World): Promise<number> {
  const created = (await world.records()).find(
    ({ action, phase }) => action === 'create' && phase === 'outcome',
  );
  return created?.sequence ?? expect.fail();
}

export function entryOf(world: World, part: Partial<Entry>): Entry {
  return {
    ...{ actor: { kind: 'cli', name: 'ann' }, requestId: 'forged', action: 'rollback', outcome: 'ok' },
    ...{ mapping: 'db', namespace: world.ns('apps'), secret: 'db', sources: [], keys: NO_KEYS },
    ...{ durationMs: 0, attempt: 1 },
    ...part,
  };
}

/** The record with which a person would pin the Secret to its first version. */
export async function rollbackEntry(world: World): Promise<Entry> {
  const source = { store: 'vault', key: `${world.prefix}/db`, property: 'password', version: '1' };
  return entryOf(world, { sources: [source], note: `to record ${await firstVersion(world)}` });
}

export function checkpointsOf(world: World): Promise<string> {
  return readFile(join(world.folder, 'state', 'checkpoints.jsonl'), 'utf8');
}

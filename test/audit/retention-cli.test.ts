import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { type Bench, DB, HEAD, openBench } from '../cli/harness.ts';

const DAY = 86_400_000;
const AUDIT = 'audit: { retention: 10d, archive: { path: ./state/archive } }\n';

async function synced(bench: Bench, days: number): Promise<void> {
  await bench.clock.advance(days * DAY);
  expect((await bench.run('sync')).code).toBe(0);
}

async function verified(bench: Bench, ...args: readonly string[]) {
  const { code, json } = await bench.run('audit', 'verify', '--output', 'json', ...args);
  return { code, ...(json as Record<string, unknown>) };
}

const archived = async (bench: Bench) => (await readdir(join(bench.folder, 'state/archive'))).toSorted();

it('one-shot runs prune old records before they exit, and verification still accepts the archives and the store', async () => {
  await using bench = await openBench(HEAD + AUDIT + DB);
  await synced(bench, 0);
  await synced(bench, 9);
  await expect(archived(bench)).rejects.toThrow('ENOENT');
  await synced(bench, 9);
  expect(await archived(bench)).toEqual(['audit-1-6.checkpoint', 'audit-1-6.jsonl']);
  expect(await verified(bench)).toMatchObject({ code: 0, ok: true, from: 7, cutProved: true });
  await synced(bench, 9);
  await synced(bench, 9);
  const files = await archived(bench);
  expect(files).toHaveLength(6);
  // Checkpoints of pruned records stay valid.
  expect((await bench.run('audit', 'verify')).stdout).toMatch(
    /\n3 signed checkpoints of 5 match; .*\n(.*\n)*The log begins at record \d+\. Its link to record \d+ is proved by a checkpoint\./,
  );

  // Each archive can be verified with the checkpoint next to it.
  for (const name of files.filter((file) => file.endsWith('.jsonl'))) {
    const path = join('state/archive', name);
    const proof = ['--checkpoints', path.replace('.jsonl', '.checkpoint'), '--key', 'state/checkpoint.pub'];
    expect(await verified(bench, '--audit', path, ...proof)).toMatchObject({
      code: 0,
      ok: true,
      checkpoints: 1,
    });
  }
  // All archives and the remaining log can be verified as one chain.
  expect((await bench.run('audit', 'export', '--format', 'jsonl', '--out', 'rest.jsonl')).code).toBe(0);
  const command = 'cat $(ls -v state/archive/audit-*.jsonl) rest.jsonl > whole.jsonl';
  await promisify(execFile)('bash', ['-c', command], { cwd: bench.folder });
  expect(await verified(bench, '--config', 'secretbridge.yaml', '--audit', 'whole.jsonl')).toMatchObject({
    code: 0,
    ok: true,
    from: 1,
    unchecked: 0,
  });
  // Only the first run wrote a target.
  const { json } = await bench.run('sync', '--output', 'json');
  expect(json).toMatchObject({ summary: { unchanged: 1, created: 0 } });
});

it('a run succeeds even if the retention archive cannot be written', async () => {
  await using bench = await openBench(HEAD + AUDIT + DB);
  await synced(bench, 0);
  await bench.write('state/archive', 'a file');
  await synced(bench, 20);
  expect(await verified(bench)).toMatchObject({ ok: true, from: 1 });
  const { stderr } = await bench.run('sync', '--log-level', 'warn');
  expect(stderr).toContain('old audit records could not be removed');
});

it('`audit verify` detects that somebody deleted the oldest records', async () => {
  await using bench = await openBench(HEAD + AUDIT + DB);
  await synced(bench, 0);
  await synced(bench, 9);
  await synced(bench, 9);
  const { DatabaseSync } = await import('node:sqlite');
  const db = new DatabaseSync(join(bench.folder, 'state/audit.db'));
  db.exec(`update base set sequence = 7, hash = (select hash from records where sequence = 7);
    delete from records where sequence <= 7`);
  db.close();
  expect(await verified(bench)).toMatchObject({
    code: 4,
    ok: false,
    problem: { kind: 'deleted', sequence: 1 },
  });
});

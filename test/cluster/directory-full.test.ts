import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { createDirectoryCluster } from '../../src/cluster/directory/directory.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { manifest } from '../conformance/cluster-harness.ts';

const SOURCE = join(import.meta.dirname, '../../src');
const id = { namespace: 'team', secret: 'app' };

/** Runs code for a directory cluster in a process that cannot write files above a size limit. */
async function within(limitKiB: number, path: string, code: string): Promise<string> {
  const script = `
    import { createDirectoryCluster } from ${JSON.stringify(join(SOURCE, 'cluster/directory/directory.ts'))};
    import { SecretValue } from ${JSON.stringify(join(SOURCE, 'core/secret-value.ts'))};
    const cluster = createDirectoryCluster({ path: ${JSON.stringify(path)}, clock: { now: () => 0 } });
    const live = await cluster.read(${JSON.stringify(id)});
    const dropped = { dropLabels: [], dropAnnotations: [], dropOwners: false };
    const said = await (async () => { ${code} })().catch(({ code, message }) => ({ code, message }));
    process.stdout.write(JSON.stringify(said));`;
  // The unit of `ulimit -f` in Bash is KiB. The process ignores SIGXFSZ, so a write beyond the limit fails as on a full
  // disk.
  const limited = `ulimit -f ${limitKiB}; trap '' XFSZ; exec "$@"`;
  const node = [process.execPath, '--input-type=module', '-e', script];
  const child = spawn('bash', ['-c', limited, 'bash', ...node], { stdio: ['ignore', 'pipe', 'inherit'] });
  return text(child.stdout);
}

async function open() {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-full-'));
  const cluster = createDirectoryCluster({ path, clock: { now: () => 0 } });
  await cluster.create(id, manifest({ data: new Map([['n', SecretValue.fromText('0')]]) }));
  const file = join(path, 'team', 'app.yaml');
  return {
    path,
    file,
    before: await readFile(file, 'utf8'),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

it('a write that fails on a full disk keeps the old file and leaves no temporary file', async () => {
  await using folder = await open();
  const change = `return await cluster.replace(live, {
    ...live, ...dropped, data: new Map([['n', SecretValue.fromText('x'.repeat(100_000))]]) });`;
  expect(JSON.parse(await within(16, folder.path, change))).toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
  expect(await readFile(folder.file, 'utf8')).toBe(folder.before);
  expect(await readdir(join(folder.path, 'team'))).toEqual(['app.yaml']);
});

it('a deletion succeeds on a full disk', async () => {
  await using folder = await open();
  expect(JSON.parse(await within(0, folder.path, 'return await cluster.remove(live);'))).toEqual({
    kind: 'removed',
  });
  expect(await readdir(join(folder.path, 'team'))).toEqual([]);
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { createDirectoryCluster } from '../../src/cluster/directory/directory.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { change, dataAsText, manifest, readNow } from '../conformance/cluster-harness.ts';

const id = { namespace: 'team', secret: 'app' };
const clock = { now: () => Date.parse('2026-11-25T10:00:00.123Z') };
const WRITER = fileURLToPath(new URL('./directory-writer.ts', import.meta.url));

it('a process that is killed at any moment leaves either the old or the new file, and no lock', async () => {
  await using stack = new AsyncDisposableStack();
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-files-'));
  stack.defer(() => rm(path, { recursive: true, force: true }));
  const cluster = createDirectoryCluster({ path, clock });
  await cluster.create(id, manifest({ data: new Map([['n', SecretValue.fromText('0')]]) }));
  for (const writes of [1, 2, 3, 5, 8, 13]) {
    const child = spawn(process.execPath, [WRITER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    let last = '';
    let count = 0;
    for await (const line of createInterface(child.stdout)) {
      last = line;
      count += 1;
      if (count === writes) child.kill('SIGKILL');
    }
    await exited;
    const live = await readNow(cluster, id);
    const n = Number(dataAsText(live.data).n);
    // The file contains the last write that the process printed, or the write after it.
    expect([Number(last), Number(last) + 1]).toContain(n);
    expect(
      (await cluster.replace(live, change({ data: live.data, labels: { writes: `${writes}` } }))).kind,
    ).toBe('written');
  }
});

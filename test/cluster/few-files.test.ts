import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('logins and reads of credentials fail with `too many open files` at the limit, and succeed after files are closed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'secretbridge-few-'));
  using _ = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
  const child = [process.execPath, join(import.meta.dirname, 'few-files-child.ts'), folder];
  const { stdout, stderr } = spawnSync('bash', ['-c', 'ulimit -n 64; exec "$@"', 'bash', ...child], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  const lines = stdout.trim().split('\n');
  // With free file descriptors, the plugin fails with its own error, and the connection to the server is refused.
  const otherwise = 'CLUSTER_FORBIDDEN, CLUSTER_UNAVAILABLE, CLUSTER_UNAVAILABLE, none';
  const lacking = ['CLUSTER', 'CLUSTER', 'CLUSTER', 'STORE'].map(
    (kind) => `${kind}_UNAVAILABLE (too many open files)`,
  );
  expect(lines).toEqual([otherwise, 'EMFILE', lacking.join(', '), otherwise]);
});

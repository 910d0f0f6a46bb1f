import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKubeClient, type KubeClient } from '../../src/cluster/client.ts';
import { toAppError } from '../../src/core/errors.ts';
import { codeOf } from '../../src/core/system-errors.ts';
import { resolveCredential } from '../../src/providers/credentials.ts';

// Prints the error codes of logins and of a read of a credential. Does this three times: at the start, when the process
// has reached its limit of open files, and after these files were closed.

const folder = process.argv[2] ?? '';
const token = join(folder, 'token');
writeFileSync(token, 'a-token');
const users = {
  'by-plugin': { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'false' } },
  'by-token': { tokenFile: token },
  'by-name': { username: 'ann', password: 'a-password' },
};

async function clientOf(user: keyof typeof users): Promise<KubeClient> {
  const kubeconfig = join(folder, `${user}.json`);
  const at = <T extends object>(name: string, kind: string, value: T) => [{ name, [kind]: value }];
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: at('it', 'cluster', { server: 'http://127.0.0.1:1' }),
    users: at(user, 'user', users[user]),
    contexts: at('it', 'context', { cluster: 'it', user }),
    'current-context': 'it',
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  // The time increases with each call, so that no login comes from the cache.
  let now = 0;
  const clock = { now: () => (now += 20_000) };
  return createKubeClient({ kubeconfig, env: {}, clock });
}

/** The detail of the error shows that the process could not open a socket. A refused connection has another detail. */
async function codeThrownBy(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'none';
  } catch (thrown) {
    const { code, detail = '' } = toAppError(thrown);
    return detail.includes('too many open files') ? `${code} (too many open files)` : code;
  }
}

const clients = await Promise.all((['by-plugin', 'by-token', 'by-name'] as const).map(clientOf));
async function printErrors(): Promise<void> {
  const codes: string[] = [];
  for (const client of clients)
    codes.push(await codeThrownBy(() => client.send({ method: 'GET', path: '/version' })));
  codes.push(await codeThrownBy(() => resolveCredential({ file: token }, { env: {} })));
  process.stdout.write(`${codes.join(', ')}\n`);
}

// This first call loads the lazily imported modules before the file limit is reached.
await printErrors();
const open: number[] = [];
try {
  for (;;) open.push(openSync('/dev/null', 'r'));
} catch (error) {
  process.stdout.write(`${codeOf(error)}\n`);
}
await printErrors();
for (const file of open) closeSync(file);
await printErrors();
await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));

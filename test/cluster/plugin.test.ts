import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it, vi } from 'vitest';
import { createKubeClient, type KubeClientOptions } from '../../src/cluster/client.ts';
import { codeOf } from '../../src/core/system-errors.ts';
import { DB, HEAD, openBench } from '../cli/harness.ts';
import { createAuthority } from '../fakes/certificates.ts';
import { type ApiServer, json, kubeconfigText, startApiServer } from './api-server.ts';

const get = { method: 'GET', path: '/version' } as const;
const V1 = 'client.authentication.k8s.io/v1';

const credential = (status: unknown) => JSON.stringify({ apiVersion: V1, kind: 'ExecCredential', status });

function open(server: ApiServer, options: Partial<KubeClientOptions> = {}) {
  return createKubeClient({ kubeconfig: server.kubeconfig, env: {}, clock: { now: () => 0 }, ...options });
}

/**
 * Starts an API server, and writes a kubeconfig with a plugin. The plugin writes its process id to a file in each run.
 */
async function withPlugin(script: string): Promise<ApiServer> {
  const exec = { apiVersion: V1, command: './plugin', interactiveMode: 'Never' };
  const server = await startApiServer({ exec });
  server.answer(json(200, {}));
  const path = join(server.folder, 'plugin');
  await writeFile(path, `#!/bin/sh\ncd ${server.folder}\necho $$ >> runs\n${script}\n`);
  await chmod(path, 0o755);
  return server;
}

async function runsOf(server: ApiServer): Promise<readonly number[]> {
  const text = await readFile(join(server.folder, 'runs'), 'utf8');
  return text.trim().split('\n').map(Number);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A killed process stays a zombie until its parent reaps it. In some containers no process reaps zombies.
    const stat = `/proc/${pid}/stat`;
    return !(existsSync(stat) && /\) Z /.test(readFileSync(stat, 'utf8')));
  } catch (error) {
    if (['ESRCH', 'ENOENT'].includes(codeOf(error) ?? '')) return false;
    throw error;
  }
}

const tokensSeen = (server: ApiServer) => server.seen.map(({ headers }) => headers.authorization);

describe('a credential plugin', () => {
  it('runs the plugin once for many requests', async () => {
    await using server = await withPlugin(
      `[ -n "$KUBERNETES_EXEC_INFO" ] || exit 1\necho '${credential({ token: 'from-plugin' })}'`,
    );
    await using client = await open(server);
    await Promise.all(Array.from({ length: 10 }, () => client.send(get)));
    expect(new Set(tokensSeen(server))).toEqual(new Set(['Bearer from-plugin']));
    expect(await runsOf(server)).toHaveLength(1);
  });

  it.each([
    ['does not exist', { command: './missing' }, 'CREDENTIAL_MISSING'],
    ['fails', { command: 'false' }, 'CLUSTER_FORBIDDEN'],
    ['prints other text', { command: 'echo', args: ['s3cret'] }, 'CLUSTER_FORBIDDEN'],
  ])('fails with a typed error if the plugin %s', async (_, exec, code) => {
    await using server = await startApiServer({ exec: { apiVersion: V1, ...exec } });
    await using client = await open(server);
    const thrown = await client.send(get).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code, subject: 'kubeconfig user u' });
    expect(String(thrown)).not.toContain('s3cret');
    // The remedy must not mention permissions, because the cluster has not accepted the identity at all.
    expect(thrown).not.toHaveProperty('remedy', expect.stringContaining('rbac'));
  });

  it.each([
    ['no credential', '{}'],
    ['null', 'null'],
    ['an empty status', credential({})],
    ['an empty token', credential({ token: '' })],
    ['a certificate without its key', credential({ clientCertificateData: 'x' })],
  ])(
    'runs the plugin again for a later request if the first run returned %s, and sends no anonymous request',
    async (_, first) => {
      await using server = await withPlugin(
        `[ "$(wc -l < runs)" = 1 ] && echo '${first}' || echo '${credential({ token: 'second' })}'`,
      );
      let now = 0;
      await using client = await open(server, { clock: { now: () => now } });
      await expect(client.send(get)).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
      now += 10_000;
      expect((await client.send(get)).status).toBe(200);
      expect(tokensSeen(server)).toEqual(['Bearer second']);
    },
  );

  it('ends the plugin when its parent process ends, even if that process receives several termination signals', async () => {
    await using server = await withPlugin('exec sleep 600');
    const cluster = `kind: kubernetes, kubeconfig: ${server.kubeconfig}`;
    await using bench = await openBench(HEAD.replace('kind: directory, path: ./cluster', cluster) + DB);
    const main = resolve(import.meta.dirname, '../../src/main.ts');
    const child = spawn(process.execPath, [main, 'sync'], { cwd: bench.folder, stdio: 'ignore' });
    const ended = once(child, 'exit');
    const [pid = 0] = await vi.waitFor(
      async () => {
        const runs = await runsOf(server);
        expect(runs).not.toEqual([0]);
        return runs;
      },
      { timeout: 30_000 },
    );
    // Repeat the signal. Signals that arrive before the first one is handled count as one signal.
    const telling = setInterval(() => child.kill(), 10);
    expect(await ended).toEqual([130, null]);
    clearInterval(telling);
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false));
  });

  it('stops the process without waiting for a hanging plugin', async () => {
    await using server = await withPlugin('exec sleep 600');
    const stop = new AbortController();
    const sent = await (async () => {
      await using client = await open(server, { timeoutMs: 600_000, stop: stop.signal });
      const sending = client.send(get).catch((error: unknown) => error);
      await vi.waitFor(() => runsOf(server), { timeout: 30_000 });
      stop.abort();
      return await sending;
    })();
    expect(sent).toMatchObject({ code: 'INTERRUPTED' });
    for (const pid of await runsOf(server)) await vi.waitFor(() => expect(isRunning(pid)).toBe(false));
  });

  it.each([
    ['sync', 'none processed. Stopped before all targets were processed'],
    // An interrupted prune must not report that there are no orphaned targets.
    ['prune', ''],
    ['prune --yes', ''],
  ])(
    'ends an interrupted `%s` without waiting for a hanging plugin, and reports no target as failed',
    async (command, says) => {
      await using server = await withPlugin('exec sleep 600');
      const cluster = `kind: kubernetes, kubeconfig: ${server.kubeconfig}`;
      await using bench = await openBench(HEAD.replace('kind: directory, path: ./cluster', cluster) + DB);
      const main = resolve(import.meta.dirname, '../../src/main.ts');
      const child = spawn(process.execPath, [main, ...command.split(' ')], {
        cwd: bench.folder,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const printed = text(child.stdout);
      const ended = once(child, 'exit');
      await vi.waitFor(() => runsOf(server), { timeout: 30_000 });
      child.kill('SIGINT');
      expect(await ended).toEqual([1, null]);
      if (says === '') expect(await printed).toBe('');
      else expect(await printed).toContain(says);
      for (const pid of await runsOf(server)) await vi.waitFor(() => expect(isRunning(pid)).toBe(false));
    },
  );

  it('runs a failing plugin once for each request', async () => {
    await using server = await withPlugin('exit 1');
    let now = 0;
    await using client = await open(server, { clock: { now: () => now } });
    for (let n = 0; n < 3; n++) {
      now += 15_000;
      await expect(client.send(get)).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
    }
    expect(await runsOf(server)).toHaveLength(3);
  });

  it('reports the install hint if the plugin cannot be started', async () => {
    const exec = { apiVersion: V1, command: 'no-such-plugin', installHint: 'curl s3cret | sh' };
    await using server = await startApiServer({ exec });
    await using client = await open(server);
    await expect(client.send(get)).rejects.toMatchObject({
      code: 'CREDENTIAL_MISSING',
      detail: 'cannot start the credential plugin no-such-plugin: ENOENT, no such file or folder',
      remedy: expect.stringMatching(/^Install it .*`installHint` in the kubeconfig says how/) as unknown,
    });
  });

  it('reports that the plugin needs a terminal', async () => {
    const exec = { apiVersion: V1, command: 'false', interactiveMode: 'Always' };
    await using server = await startApiServer({ exec });
    await using client = await open(server);
    const detail = expect.stringMatching(/requires a terminal .*Always/) as unknown;
    await expect(client.send(get)).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN', detail });
  });

  it.each([
    ['gets the cluster if the kubeconfig asks for it', true],
    ['gets no cluster by default', undefined],
  ])('the plugin %s', async (_, provideClusterInfo) => {
    await using server = await withPlugin(
      `printf %s "$KUBERNETES_EXEC_INFO" > info\necho '${credential({ token: 't' })}'`,
    );
    const { ca } = createAuthority('own');
    await writeFile(join(server.folder, 'ca.pem'), ca);
    const cluster = {
      server: server.address,
      'certificate-authority': 'ca.pem',
      'tls-server-name': 'api.example',
      extensions: [
        { name: 'client.authentication.k8s.io/exec', extension: { audience: 'a' } },
        { name: 'other', extension: { audience: 'b' } },
      ],
    };
    const exec = {
      apiVersion: V1,
      command: './plugin',
      env: [{ name: 'A', value: 'b' }],
      provideClusterInfo,
    };
    await writeFile(server.kubeconfig, kubeconfigText(cluster, { exec }));
    await using client = await open(server);
    expect((await client.send(get)).status).toBe(200);
    expect(JSON.parse(await readFile(join(server.folder, 'info'), 'utf8'))).toEqual({
      apiVersion: V1,
      kind: 'ExecCredential',
      spec: {
        interactive: false,
        ...(provideClusterInfo && {
          cluster: {
            server: server.address,
            'tls-server-name': 'api.example',
            'certificate-authority-data': Buffer.from(ca).toString('base64'),
            config: { audience: 'a' },
          },
        }),
      },
    });
  });

  it('gives an end of file to a plugin that prompts for input', async () => {
    await using server = await withPlugin(`cat\necho '${credential({ token: 'after all' })}'`);
    await using client = await open(server);
    expect((await client.send(get)).status).toBe(200);
  });

  it('waits for a hanging plugin until the request times out, and does not start the plugin a second time meanwhile', async () => {
    await using server = await withPlugin('exec sleep 600');
    let now = 0;
    await using client = await open(server, { timeoutMs: 300, clock: { now: () => now } });
    for (let n = 0; n < 3; n++) {
      await expect(client.send(get)).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
      now += 15_000;
    }
    expect(await runsOf(server)).toHaveLength(1);
  });

  it.each([
    ['itself', 'exec sleep 600'],
    ['in a child process', 'sh -c "echo \\$\\$ >> runs; exec sleep 600"'],
  ])(
    'kills a plugin that hangs (%s) at the time limit, and runs the plugin again for the next request',
    async (_, script) => {
      await using server = await withPlugin(
        `[ "$(wc -l < runs)" = 1 ] || exec echo '${credential({ token: 'second' })}'\n${script}\n:`,
      );
      let now = 0;
      await using client = await open(server, { timeoutMs: 2_000, loginMs: 300, clock: { now: () => now } });
      await expect(client.send(get)).rejects.toMatchObject({
        code: 'CLUSTER_UNAVAILABLE',
        detail: 'the credential plugin did not end within 0.3 s',
      });
      for (const pid of await runsOf(server)) await vi.waitFor(() => expect(isRunning(pid)).toBe(false));
      now += 10_000;
      expect((await client.send(get)).status).toBe(200);
    },
  );

  it('does not wait for a plugin after its exit, even if a child process keeps the output open', async () => {
    await using server = await withPlugin(`sleep 3 &\necho '${credential({ token: 'given' })}'`);
    await using client = await open(server, { timeoutMs: 2_000, loginMs: 300 });
    expect((await client.send(get)).status).toBe(200);
    expect(tokensSeen(server)).toEqual(['Bearer given']);
  });

  it('does not keep our process running while the plugin hangs', async () => {
    await using server = await withPlugin('exec sleep 600');
    const program = `
      import { createKubeClient } from ${JSON.stringify(join(import.meta.dirname, '../../src/cluster/client.ts'))};
      const client = await createKubeClient({ kubeconfig: ${JSON.stringify(server.kubeconfig)}, env: {}, clock: Date, timeoutMs: 300 });
      await client.send({ method: 'GET', path: '/version' }).catch(() => undefined);
      await client[Symbol.asyncDispose]();`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
    const ended = Promise.withResolvers<number | null>();
    child.once('close', ended.resolve);
    expect(await ended.promise).toBe(0);
    const [pid = 0] = await runsOf(server);
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false));
  });
});

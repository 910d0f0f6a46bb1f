import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { createAuthority } from '../fakes/certificates.ts';
import { closeServer, listen } from '../fakes/loopback.ts';
import { type Bench, DB, HEAD, openBench } from './harness.ts';

const MAIN = resolve(import.meta.dirname, '../../src/main.ts');
const ESCAPE = String.fromCharCode(27);

function start(bench: Bench, ...args: readonly string[]): ChildProcess {
  return startWith({}, bench, ...args);
}

function startWith(more: Record<string, string>, bench: Bench, ...args: readonly string[]): ChildProcess {
  const env = { PATH: process.env.PATH, TOKEN: 'a-token', ...more };
  return spawn(process.execPath, [MAIN, ...args], { cwd: bench.folder, env });
}

/**
 * Runs a process with a limit on file sizes, in KiB. The process ignores the signal SIGXFSZ, so a write beyond the
 * limit fails as on a full disk.
 */
function withFilesOf(limitKiB: number, bench: Bench, command: string) {
  const limited = `ulimit -f ${limitKiB}; trap '' XFSZ; exec "${process.execPath}" "${MAIN}" ${command}`;
  return spawnSync('bash', ['-c', limited], { cwd: bench.folder, encoding: 'utf8' });
}

/** Returns the exit code and the output. */
async function endOf(child: ChildProcess): Promise<readonly [number | null, string]> {
  return Promise.all([exitOf(child), text(child.stdout as NonNullable<ChildProcess['stdout']>)]);
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

describe('process', () => {
  it.each(['--help', '--version'])(
    "the process prints the same output for `%s` as a call of the program's main function in the test process",
    async (option) => {
      await using bench = await openBench();
      const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, option], { encoding: 'utf8' });
      expect({ status, stdout, stderr }).toEqual({
        status: 0,
        stdout: (await bench.runWith({ width: 80 }, option)).stdout,
        stderr: '',
      });
    },
  );

  it('the process sends nothing to an untrusted server, even if the environment turns off TLS verification', async () => {
    let [reached, requestCount] = [0, 0];
    const server = createTlsServer(createAuthority().issue({ names: ['127.0.0.1'] }), (_, response) => {
      requestCount += 1;
      response.end('{}');
    }).on('connection', () => {
      reached += 1;
    });
    // The variable NODE_TLS_REJECT_UNAUTHORIZED could affect packages for tracing, because these packages open
    // connections themselves.
    const tracing = `tracing: { otlp: { endpoint: 'https://127.0.0.1:${await listen(server)}', headers: { authorization: { env: TOKEN } } } }\n`;
    await using bench = await openBench(HEAD + DB + tracing);
    const child = startWith({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }, bench, 'sync');
    const [code] = await endOf(child);
    await closeServer(server);
    expect({ code, requestCount }).toEqual({ code: 0, requestCount: 0 });
    expect(reached).toBeGreaterThan(0);
  });

  it('the process reports that its working folder was deleted', async () => {
    await using bench = await openBench();
    const { status, stdout, stderr } = spawnSync(
      'sh',
      ['-c', `mkdir gone && cd gone && rmdir ../gone && "${process.execPath}" "${MAIN}" validate`],
      { cwd: bench.folder, encoding: 'utf8' },
    );
    expect({ status, stdout, stderr }).toEqual({
      status: 64,
      stdout: '',
      stderr: 'error: the working folder no longer exists: change to another folder\n',
    });
  });

  it('the process finishes its work and keeps its exit code even if the reader of its output closes the pipe', async () => {
    await using bench = await openBench();
    const child = start(bench, 'sync');
    child.stdout?.destroy();
    child.stderr?.destroy();
    expect(await exitOf(child)).toBe(0);
    const { json } = await bench.run('audit', 'list', '--limit', '1', '--output', 'json');
    expect(json).toMatchObject({ records: [{ action: 'sweep', outcome: 'ok' }] });
    const plan = start(bench, 'plan', '--mapping', 'nope');
    plan.stderr?.destroy();
    expect(await exitOf(plan)).toBe(64);
  });

  it
    .skipIf(!existsSync('/dev/full'))
    .each(['validate', 'plan', 'sync --output json', 'audit export --format csv'])(
    'the process prints one sentence if its output cannot be written: %s',
    async (command) => {
      await using bench = await openBench();
      await bench.run('sync');
      const { status, stderr } = spawnSync(
        'sh',
        ['-c', `"${process.execPath}" "${MAIN}" ${command} > /dev/full`],
        { cwd: bench.folder, encoding: 'utf8' },
      );
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: expect.stringMatching(/^(Syncing 1\/1\n)?error: the output could not be written: ENOSPC\n$/),
      });
    },
  );

  it.skipIf(!existsSync('/dev/full')).each([
    ['plan', 1],
    ['plan --mapping nope', 64],
    ['plan --config nowhere.yaml --output json', 3],
  ])(
    'the process exits with the code of the first error if its output cannot be written: %s',
    async (command, code) => {
      await using bench = await openBench();
      const line = `"${process.execPath}" "${MAIN}" ${command} > /dev/full`;
      expect(spawnSync('sh', ['-c', line], { cwd: bench.folder }).status).toBe(code);
    },
  );

  it.each([
    ['init --store files --at ./values --out new.yaml', 'secretbridge.schema.json'],
    ['config-schema --out schema.json', 'schema.json'],
    ['audit export --format jsonl --out records.jsonl', 'records.jsonl'],
  ])(
    'the process leaves no partial file on a full disk, and succeeds in the next run: %s',
    async (command, name) => {
      await using bench = await openBench();
      await bench.run('sync');
      const before = await readdir(bench.folder);
      const full = withFilesOf(1, bench, command);
      expect(full.stderr).toMatch(new RegExp(`error: ${name} cannot be written: EFBIG\n$`));
      expect(full.status).toBe(1);
      expect(await readdir(bench.folder)).toEqual(before);
      expect((await bench.run(...command.split(' '))).code).toBe(0);
    },
  );

  it('the process reports a full disk if the public key for checkpoints cannot be written', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    await writeFile(join(bench.folder, 'state/checkpoint.pub'), '\n'.repeat(2 ** 20));
    const { status, stderr } = withFilesOf(1_024, bench, 'sync');
    expect(stderr).toMatch(/^error AUDIT_UNAVAILABLE: file \S+checkpoint\.pub: .*EFBIG/);
    expect(status).toBe(1);
  });

  it.skipIf(!existsSync('/usr/bin/script'))(
    'the process prints colors on a terminal unless NO_COLOR is set',
    async () => {
      await using bench = await openBench();
      const onTerminal = (env: Record<string, string>) =>
        spawnSync('/usr/bin/script', ['-qec', `${process.execPath} ${MAIN} validate`, '/dev/null'], {
          cwd: bench.folder,
          encoding: 'utf8',
          env: { PATH: process.env.PATH, TERM: 'xterm', ...env },
        }).stdout;
      expect(onTerminal({})).toContain(`${ESCAPE}[32mThe configuration is valid`);
      expect(onTerminal({ NO_COLOR: '1' })).not.toContain(ESCAPE);
      expect(onTerminal({ TERM: 'dumb' })).not.toContain(ESCAPE);
    },
  );

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'the process shuts down cleanly on %s with exit code 1',
    async (signal) => {
      let child: ChildProcess | undefined;
      let requestCount = 0;
      const server = createServer((request, response) => {
        if (request.url?.startsWith('/v1/secret/data/')) {
          requestCount += 1;
          child?.kill(signal);
        }
        response
          .writeHead(403, { 'content-type': 'application/json' })
          .end('{"errors":["permission denied"]}');
      });
      const port = await listen(server);
      const mapping = (name: string) =>
        `  - { name: ${name}, target: { namespace: apps }, data: { A: { store: vault, key: ${name} } } }\n`;
      await using bench = await openBench(
        `${HEAD.replace(/stores: .*\n/, '')}engine: { kind: memory, concurrency: 1 }
stores:
  - name: vault
    kind: vault
    address: http://127.0.0.1:${port}
    auth: { method: token, token: { env: TOKEN } }
mappings:
${mapping('one')}${mapping('two')}`,
      );
      child = start(bench, 'sync', '--output', 'json');
      const [code, stdout] = await endOf(child);
      server.closeAllConnections();
      server.close();
      expect(code).toBe(1);
      expect(JSON.parse(stdout)).toMatchObject({
        ok: false,
        targets: [{ mapping: 'one', outcome: 'failed' }],
      });
      expect(requestCount).toBe(1);
    },
  );

  it('the process shuts down cleanly and reports its results even if a store does not answer', async () => {
    let child: ChildProcess | undefined;
    const server = createServer((request, response) => {
      if (request.url?.startsWith('/v1/secret/data/')) child?.kill('SIGINT');
      else response.writeHead(403, { 'content-type': 'application/json' }).end('{"errors":[]}');
    });
    const port = await listen(server);
    await using bench = await openBench(
      `${HEAD.replace(/stores: .*\n/, '')}stores:
  - name: vault
    kind: vault
    address: http://127.0.0.1:${port}
    auth: { method: token, token: { env: TOKEN } }
    limits: { timeout: 5m }
mappings:
  - { name: one, target: { namespace: apps }, data: { A: { store: vault, key: one } } }
`,
    );
    child = start(bench, 'sync', '--output', 'json');
    const [code, stdout] = await endOf(child);
    server.closeAllConnections();
    server.close();
    expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 1, ok: false, targets: [] });
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'undici';
import { vi } from 'vitest';
import type { Status, TargetStatus } from '../../../src/service/service.ts';
import { MAIN, type Run } from '../e2e/program.ts';

/** A running service as a separate process. */
export interface ServiceProcess extends AsyncDisposable {
  readonly pid: number;
  readonly address: string;
  /** The log lines up to now. */
  log(): string;
  logged(): readonly Readonly<Record<string, unknown>>[];
  get(path: string, token?: string): Promise<Answer>;
  send(method: string, path: string, token?: string): Promise<Answer>;
  status(): Promise<Status>;
  target(mapping: string): Promise<TargetStatus | undefined>;
  /** Returns the value of one series. The name has the form that `/metrics` uses. */
  metric(series: string): Promise<number | undefined>;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Run>;
  /** Sends SIGTERM and waits for the exit. */
  stop(): Promise<Run>;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Starts the service. By default, waits until `/readyz` succeeds. The wait is long, because the machine may be busy. */
export async function startServiceProcess({
  cwd,
  env,
  address,
  token,
  args = [],
  ready = true,
  main = MAIN,
}: {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly address: string;
  readonly token: string;
  readonly args?: readonly string[];
  readonly ready?: boolean;
  /** The file to run. Default: the sources of this checkout. */
  readonly main?: string;
}): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [main, 'serve', ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  let hasEnded = false;
  const ended = (async (): Promise<Run> => {
    const [code] = (await once(child, 'close')) as [number | null];
    hasEnded = true;
    return { code, stdout, stderr };
  })();
  const send = async (method: 'GET' | 'POST', path: string, bearer = token): Promise<Answer> => {
    const headers = bearer === '' ? {} : { authorization: `Bearer ${bearer}` };
    const {
      statusCode,
      headers: responseHeaders,
      body,
    } = await request(new URL(path, address), { method, headers });
    return { status: statusCode, text: await body.text(), headers: responseHeaders };
  };
  const served: ServiceProcess = {
    pid: child.pid ?? 0,
    address,
    log: () => stderr,
    logged: () =>
      stderr
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    get: (path, bearer) => send('GET', path, bearer),
    send: (method, path, bearer) => send(method as 'GET', path, bearer),
    async status() {
      const { status, text } = await send('GET', '/api/v1/status');
      if (status !== 200) throw new Error(`status gave ${status}: ${text}`);
      return JSON.parse(text) as Status;
    },
    async target(mapping) {
      return (await served.status()).targets.find((entry) => entry.mapping === mapping);
    },
    async metric(series) {
      const { text } = await send('GET', '/metrics');
      const line = text.split('\n').find((metricLine) => metricLine.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length + 1));
    },
    kill: (signal) => void child.kill(signal),
    ended,
    async stop() {
      child.kill('SIGTERM');
      return await ended;
    },
    async [Symbol.asyncDispose]() {
      if (!hasEnded) child.kill('SIGKILL');
      await ended;
    },
  };
  if (!ready) return served;
  try {
    await vi.waitFor(
      async () => {
        if (hasEnded) return;
        const { status } = await send('GET', '/readyz');
        if (status !== 200) throw new Error(`not ready: ${status}`);
      },
      { timeout: 120_000, interval: 100 },
    );
    if (hasEnded) throw new Error(`the process exited: ${stderr}`);
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`the service did not start: ${stderr}`, { cause: error });
  }
  return served;
}

/** Polls until a check passes. Returns the duration in milliseconds. */
export async function within(
  deadlineMs: number,
  check: () => Promise<void> | void,
  intervalMs = 60,
): Promise<number> {
  const began = performance.now();
  await vi.waitFor(check, { timeout: deadlineMs, interval: intervalMs });
  return Math.round(performance.now() - began);
}

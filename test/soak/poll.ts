import { setTimeout as sleep } from 'node:timers/promises';
import type { LeakScan } from './leaks.ts';
import type { Replica } from './replica.ts';

export interface PollResult {
  /**
   * The number of `/livez` answers that reported stalled loops. The key consists of the replica, the status and the
   * loops.
   */
  readonly notLive: ReadonlyMap<string, number>;
  readonly liveProbes: number;
  readonly httpAnswers: number;
  /** The number of answers that showed an open circuit breaker. */
  readonly breakerSeenOpen: number;
}

const PATHS = [
  '/metrics',
  '/api/v1/status',
  '/api/v1/mappings',
  '/api/v1/held',
  '/api/v1/audit/records?limit=200',
];

/** Sends requests like a kubelet, Prometheus and a user until the signal aborts. */
export function startPolling(replicas: readonly Replica[], scan: LeakScan, signal: AbortSignal): PollResult {
  const notLive = new Map<string, number>();
  const result = { notLive, liveProbes: 0, httpAnswers: 0, breakerSeenOpen: 0 };

  const probe = async (replica: Replica): Promise<void> => {
    const answer = replica.isRunning ? await replica.get('/livez') : undefined;
    if (answer === undefined) return;
    result.liveProbes += 1;
    if (answer.status === 200) return;
    const { stalled = [] } = answer.body as { stalled?: readonly string[] };
    const description = `${replica.name}: ${answer.status} ${stalled.slice(0, 3).join(', ')}`;
    notLive.set(description, (notLive.get(description) ?? 0) + 1);
  };
  const requestPages = async (replica: Replica): Promise<void> => {
    for (const path of replica.isRunning ? PATHS : []) {
      const answer = await replica.get(path);
      if (answer === undefined) continue;
      result.httpAnswers += 1;
      const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
      scan.search(`${path} of replica ${replica.name}`, text);
      if (/^secretbridge_breaker_open\{[^}]*\} 1/m.test(text)) result.breakerSeenOpen += 1;
    }
  };
  const every = async (ms: number, work: (replica: Replica) => Promise<void>): Promise<void> => {
    while (!signal.aborted) {
      await Promise.all(replicas.map(work));
      await sleep(ms);
    }
  };
  void every(2_000, probe);
  void every(15_000, requestPages);
  void every(5_000, (replica) => replica.sampleMemory());
  return result;
}

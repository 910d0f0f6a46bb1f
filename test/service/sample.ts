import type { SecretMeta } from '../../src/cluster/cluster.ts';
import type { Clock } from '../../src/core/clock.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Mapping } from '../../src/core/mapping.ts';
import { formatTarget } from '../../src/core/target.ts';
import {
  type AddOptions,
  type Broadcast,
  type Job,
  MAX_MESSAGE_LENGTH,
  type MessageListener,
  type Queue,
} from '../../src/queue/queue.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { Resync } from '../../src/service/resync.ts';
import { SourceTable } from '../../src/service/sweep/source-table.ts';
import type { TargetState } from '../../src/service/target-state.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { Triggers } from '../../src/service/triggers.ts';
import { ANNOTATION, configHash, LABEL } from '../../src/sync/ownership-metadata.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { mapping } from '../sync/sample.ts';

export const START = 1_800_000_000_000;
export const STORES = new Map([['vault', 'hash']]);

export function wanted(
  part: Parameters<typeof mapping>[0] & { readonly namespace?: string } = {},
): DesiredTarget {
  const { namespace = 'apps', ...rest } = part;
  const name = rest.name ?? 'app';
  const desired = mapping({ ...rest, name, target: { secret: name, ...rest.target } });
  return { mapping: desired, id: { namespace, secret: desired.target.secret } };
}

/** Returns the state of a target after a run. By default, the run succeeded. */
export function targetState(part: Partial<TargetState> = {}): TargetState {
  return {
    mapping: 'app',
    target: { namespace: 'apps', secret: 'app' },
    requestId: 'r1',
    startedAt: START,
    endedAt: START,
    kind: 'unchanged',
    person: false,
    failures: 0,
    okAt: START,
    alive: true,
    keys: [],
    ...part,
  };
}

export const failed = (
  code: ConstructorParameters<typeof AppError>[0],
): Pick<TargetState, 'kind' | 'error'> => ({
  kind: 'failed',
  error: new AppError(code).toJSON(),
});

/** Returns the metadata of a target after our write. The entries map each data key to its store key and version. */
export function meta(
  desiredTarget: DesiredTarget,
  sources: Readonly<Record<string, readonly [key: string, version: string]>> = {},
  part: Partial<SecretMeta> = {},
): SecretMeta {
  const written = Object.entries(sources).map(([name, [key, version]]) => [
    name,
    { store: 'vault', key, version },
  ]);
  return {
    id: desiredTarget.id,
    uid: 'u1',
    resourceVersion: '1',
    labels: marksOf(desiredTarget.mapping),
    annotations: {
      [ANNOTATION.sources]: JSON.stringify(Object.fromEntries(written)),
      [ANNOTATION.stores]: JSON.stringify(written.length === 0 ? {} : { vault: 'hash' }),
      [ANNOTATION.fingerprint]: 'f',
      [ANNOTATION.config]: configHash(desiredTarget.mapping),
      [ANNOTATION.onMappingRemoved]: desiredTarget.mapping.onMappingRemoved,
    },
    deleting: false,
    ours: {
      labels: Object.values(LABEL),
      annotations: Object.values(ANNOTATION),
      data: [...Object.keys(sources), ...Object.keys(desiredTarget.mapping.template?.data ?? {})],
    },
    foreign: false,
    ...part,
  };
}

function marksOf({ name }: Mapping): Record<string, string> {
  return { [LABEL.managedBy]: 'secretbridge', [LABEL.instance]: 'prod', [LABEL.mapping]: name };
}

export interface FakeNotices extends Broadcast {
  /** Whether messages wait until `deliver` is called. */
  late: boolean;
  deliver(): void;
  readonly posted: readonly (readonly [field: string, text: string | undefined])[];
  /** Delivers a message as if any sender that can reach Redis had sent it. */
  raw(field: string, text: string): void;
}

/** Creates an in-memory broadcast between several processes, with the message size limit of the real one. */
export function createFakeBroadcast(): FakeNotices {
  const fields = new Map<string, string>();
  const listeners = new Set<MessageListener>();
  const deliver = (field: string, text: string | undefined): void => {
    if (text === undefined) fields.delete(field);
    else fields.set(field, text);
    for (const listener of listeners) listener(field, text);
  };
  const posted: [string, string | undefined][] = [];
  let waiting: [string, string | undefined][] = [];
  return {
    late: false,
    posted,
    deliver() {
      const queued = waiting;
      waiting = [];
      for (const [field, text] of queued) deliver(field, text);
    },
    raw: deliver,
    send(field, text) {
      posted.push([field, text]);
      if (Math.max(field.length, text?.length ?? 0) > MAX_MESSAGE_LENGTH) return;
      if (this.late) waiting.push([field, text]);
      else deliver(field, text);
    },
    subscribe(listener) {
      const own: MessageListener = (field, text) => listener(field, text);
      listeners.add(own);
      for (const [field, text] of [...fields]) own(field, text);
      return () => void listeners.delete(own);
    },
  };
}

export interface FakeQueue extends Pick<Queue, 'add'> {
  /** Accepted jobs that were not lost. */
  readonly jobs: { job: Job; options: AddOptions }[];
  /** While set, the queue rejects jobs. */
  failure: AppError | undefined;
  attempts: number;
}

export function createFakeQueue(): FakeQueue {
  return {
    jobs: [],
    failure: undefined,
    attempts: 0,
    async add(jobs, options = {}) {
      this.attempts += 1;
      if (this.failure !== undefined) throw this.failure;
      for (const job of jobs) this.jobs.push({ job, options });
    },
  };
}

export const queueAway = () => new AppError('QUEUE_UNAVAILABLE');

export const asQueue = (fake: Pick<Queue, 'add'>): Queue => fake as Queue;

export interface FakeResync extends Pick<Resync, 'check'> {
  readonly list: { readonly target: string; readonly requestId: string }[];
  /** Returns and removes the targets checked since the previous call. */
  taken(): readonly string[];
}

/** Creates a resync that only collects the targets that it is told to check. */
export function createFakeResync(): FakeResync {
  const list: FakeResync['list'][number][] = [];
  return {
    list,
    check(targets, requestId = '') {
      const checked = [...targets];
      for (const target of checked) list.push({ target: formatTarget(target), requestId });
      return checked.length;
    },
    taken: () => list.splice(0).map(({ target }) => target),
  };
}

/** Creates the resync of these targets, with a queue that only collects jobs. */
export function openResync(all: readonly DesiredTarget[]) {
  const clock = createClock();
  const states = createTargetStates(createFakeBroadcast(), clock);
  const queue = createFakeQueue();
  const triggers = new Triggers({ queue, states, clock, logger: silentLogger });
  const sources = new SourceTable();
  const state = { snapshot: createConfigSnapshot([], all, () => false), isListed: true };
  const snapshot = () => state.snapshot;
  const unverified: DesiredTarget[] = [];
  const heldGone: number[] = [];
  const resync = new Resync({
    ...{ snapshot, states, sources, triggers, clock, instance: 'prod' },
    storeHashes: () => STORES,
    isListed: () => state.isListed,
    onUnverified: (desired) => void unverified.push(desired),
    onHeldGone: () => void heldGone.push(clock.now()),
  });
  /** Returns and removes all jobs since the previous call, as `<reason> <target>`. */
  const taken = () =>
    queue.jobs.splice(0).map(({ job }) => `${job.reason} ${job.subject.replace('target/', '')}`);
  return { clock, states, queue, triggers, sources, state, snapshot, resync, taken, unverified, heldGone };
}

export function createClock(): Clock & { time: number } {
  return {
    time: START,
    now() {
      return this.time;
    },
  };
}

/** Lets pending promise callbacks run. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

import { randomUUID } from 'node:crypto';
import type { Actor } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { Tracing } from '../core/tracer.ts';
import { createReader } from '../providers/reader.ts';
import { createRoom } from '../providers/shelf.ts';
import { isProvenAbsent } from '../reconcile/absence.ts';
import { isRemoved, isWrittenWithout } from '../reconcile/last-word.ts';
import type { LeftOpen } from '../reconcile/left-open.ts';
import { readPin } from '../reconcile/pins.ts';
import type { Readings } from '../reconcile/readings.ts';
import { recallVersion } from '../reconcile/recall.ts';
import { createRecorder } from '../reconcile/recorder.ts';
import type { Pass } from '../service/runs/pass.ts';
import { abilitiesOf } from './abilities.ts';
import { whileInForce } from './in-force.ts';
import type { InForceNow } from './in-force-now.ts';
import type { Stores } from './stores.ts';

export interface PassOptions {
  /** Ends its reads. */
  readonly signal?: AbortSignal | undefined;
  readonly requestId?: string;
  readonly actor?: Actor;
  /** Without a new look at the namespaces: the targets are those of the last one. */
  readonly asResolved?: boolean;
  /** What was read longer ago is read anew. Left out: the pass is over before anything is old. */
  readonly oldAfterMs?: number;
  /** It gives nothing any more once another configuration is in force: its calls are INTERRUPTED then. */
  readonly bound?: boolean;
}

export interface PassDeps {
  readonly audit: AuditStore;
  readonly clock: Clock;
  readonly cluster: Cluster;
  readonly fingerprints: Fingerprinter;
  readonly instances: readonly string[];
  readonly leftOpen: LeftOpen;
  readonly stores: Stores;
  readonly tracing: Tracing;
  /** Of whoever asks for nobody else. */
  readonly actor: Actor;
  readonly now: InForceNow;
  readonly readings: Readings;
}

/** How passes begin. All of a process share the room for what they have read. */
export function createBeginPass(deps: PassDeps): (options?: PassOptions) => Promise<Pass> {
  const { audit, clock, cluster, fingerprints, instances, leftOpen, now, readings, stores, tracing } = deps;
  const { instance, formerInstances } = now.config;
  const room = createRoom();

  return async ({
    signal,
    requestId = randomUUID(),
    actor = deps.actor,
    asResolved = false,
    oldAfterMs,
    bound = false,
  } = {}) => {
    if (!asResolved) await now.resolve();
    const recorder = createRecorder({
      audit,
      actor,
      requestId,
      fingerprints,
      stores: stores.definitions,
      instances,
      clock,
      leftOpen,
      readings,
    });
    const begun = now.config;
    const inForce = whileInForce(() => !bound || now.config === begun);
    const rules = () => {
      inForce.check();
      return now.access;
    };
    const reader = createReader({
      async open(store) {
        // One of the same name may be another by now.
        inForce.check();
        return stores.open(store);
      },
      onRead(source, result, tookMs) {
        inForce.check();
        return recorder.read(source, result, tookMs);
      },
      now: () => clock.now(),
      recall: (store, key) => recallVersion(audit, { store, key }, stores.definitions.get(store)),
      // Nothing is read ahead by rules that are in force no more.
      perCall: (store) => (now.config === begun ? (abilitiesOf(begun, store)?.readsPerCall ?? 1) : 1),
      signal,
      room,
      age: oldAfterMs === undefined ? undefined : { now: () => clock.now(), mostMs: oldAfterMs },
    });
    return {
      instance,
      formerInstances,
      cluster,
      fingerprints,
      stores: stores.definitions,
      clock,
      tracer: tracing.tracer,
      recorder,
      wants: now.wants,
      pin: (mapping, id) => readPin(audit, mapping, id, instances),
      isRemoved: (mapping, id) => isRemoved(audit, mapping, id, instances),
      isWrittenWithout: (mapping, id, source) => isWrittenWithout(audit, mapping, id, source, instances),
      provenAbsent: (source, { softDeletedIsMissing }) => {
        const codes = ['SOURCE_ABSENT', ...(softDeletedIsMissing ? ['SOURCE_DELETED'] : [])];
        const definition = stores.definitions.get(source.store);
        return isProvenAbsent(audit, source, definition, { codes, ...now.config.absence });
      },
      read: (refs) => inForce.found(reader.read(refs)),
      recorded: (refs) => reader.recorded(refs),
      expect: (refs) => reader.expect(refs),
      find: (store, query) => inForce.found(reader.find(store, query)),
      versions: (store, keys) => inForce.found(reader.versions(store, keys)),
      barred: ({ namespace }) => rules().barred(namespace),
      allows: (use) => rules().allows(use),
      allowsSearch: (use) => rules().allowsSearch(use),
    };
  };
}

import type { App } from '../../app/app.ts';
import type { AppDeps } from '../../app/deps.ts';
import type { Config } from '../../config/config.ts';
import { AppError } from '../../core/errors.ts';
import { instancesOf } from '../../core/target.ts';
import type { Queue } from '../../queue/queue.ts';
import { configDigest, Replicas } from '../../service/replicas.ts';

export interface PresenceDeps extends Pick<AppDeps, 'clock' | 'logger' | 'replica'> {
  readonly queue: Pick<Queue, 'broadcast'>;
  /** Called with the error that forces the service to stop. */
  readonly onFatal: (error: AppError) => void;
}

/** Announces this replica until the object is disposed. */
export type Presence = Pick<Replicas, 'announce' | 'differing'> & Disposable;

/**
 * The interval at which a replica announces itself. It is much shorter than the time after which other replicas count a
 * silent replica as ended.
 */
const INTERVAL_MS = 10_000;

/** Announces this replica to the other replicas, now and periodically. Also tracks the other replicas. */
export function announcePresence(app: App, deps: PresenceDeps): Presence {
  const { queue, replica, clock, logger, onFatal } = deps;
  const replicas = new Replicas({
    broadcast: queue.broadcast,
    replica,
    clock,
    currentDigest: createAppDigest(app),
    onOlderReplica(older) {
      logger.info('another replica is running', { replica: older });
      if (app.config.audit.store.kind !== 'sqlite') return;
      const detail = 'several replicas need a shared audit store: `audit.store.kind: postgres`';
      onFatal(new AppError('CONFIG_INVALID', { subject: 'audit.store', detail }));
    },
  });
  const timer = setInterval(() => replicas.announce(), INTERVAL_MS);
  return {
    announce: () => replicas.announce(),
    differing: () => replicas.differing(),
    [Symbol.dispose]() {
      clearInterval(timer);
      replicas[Symbol.dispose]();
    },
  };
}

/** Returns a function that computes the digest once per configuration, because there can be thousands of mappings. */
function createAppDigest(app: App): () => string {
  let last: { readonly of: Config; readonly text: string } | undefined;
  return () => {
    const { config } = app;
    if (last?.of !== config) last = { of: config, text: configDigest(instancesOf(config), config.mappings) };
    return last.text;
  };
}

/**
 * Requires that all replicas use this configuration. Otherwise the configuration of another replica may still contain
 * the targets that are orphaned here. @throws AppError REPLICAS_DIFFER
 */
export function requireAgreement({ differing }: Pick<Presence, 'differing'>): void {
  const [other] = differing();
  if (other !== undefined) throw new AppError('REPLICAS_DIFFER', { subject: `replica ${other}` });
}

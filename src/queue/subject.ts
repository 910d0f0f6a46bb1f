import type { TargetId } from '../core/target.ts';

/** The unit of work that a job runs. */
export type Subject =
  | ({ readonly kind: 'target' } & TargetId)
  /**
   * One shard of a store's periodic check, numbered `shard` of `shards`. Its sources must be checked every `refreshMs`.
   */
  | {
      readonly kind: 'sweep';
      readonly store: string;
      readonly refreshMs: number;
      readonly shard: number;
      readonly shards: number;
      /** Identifies the `include` whose sources are checked. `undefined`: those of the main files. */
      readonly include?: string;
    }
  /**
   * The deletion step of the instance. `left` also scans for orphans: targets that are no longer in the configuration.
   */
  | { readonly kind: 'destroy' | 'left' }
  /** The step of the instance that restarts workloads. */
  | { readonly kind: 'restart' }
  /** The messages of one channel of notifications. */
  | { readonly kind: 'notify'; readonly channel: string };

/** Names contain no `/`, so the parts are unambiguous. */
export function formatSubject(subject: Subject): string {
  switch (subject.kind) {
    case 'target':
      return `target/${subject.namespace}/${subject.secret}`;
    case 'sweep':
      return [
        ...['sweep', subject.store, subject.refreshMs, subject.shard, subject.shards],
        ...(subject.include === undefined ? [] : [subject.include]),
      ].join('/');
    case 'notify':
      return `notify/${subject.channel}`;
    default:
      return subject.kind;
  }
}

/** Returns `undefined` for an unknown subject, for example one of another release. */
export function parseSubject(text: string): Subject | undefined {
  const [kind, a = '', b = '', c = '', d = '', include] = text.split('/');
  if (kind === 'target' && b !== '') return { kind, namespace: a, secret: b };
  if (kind === 'sweep' && d !== '')
    return {
      ...{ kind, store: a, refreshMs: Number(b), shard: Number(c), shards: Number(d) },
      ...(include === undefined ? {} : { include }),
    };
  if (kind === 'notify' && a !== '') return { kind, channel: a };
  if (kind === 'destroy' || kind === 'left' || kind === 'restart') return { kind };
  return undefined;
}

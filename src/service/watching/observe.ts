import { randomUUID } from 'node:crypto';
import type { SecretMeta, WatchScope } from '../../cluster/cluster.ts';
import type { Clock } from '../../core/clock.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { Reason } from '../../queue/queue.ts';
import { LET_BE } from '../../reconcile/last-word.ts';
import { byMapping, type Wanted } from '../../reconcile/targets.ts';
import { LABEL } from '../../sync/marks.ts';
import type { Board } from '../board.ts';
import type { Generation } from '../generation.ts';
import type { Known } from '../known.ts';
import type { Ledger } from '../ledger.ts';
import { looksInStep } from '../sweep/judge.ts';
import { createKept } from './kept.ts';

export interface ObserveDeps {
  readonly generation: () => Generation;
  readonly board: Board;
  readonly ledger: Pick<Ledger, 'trigger'>;
  readonly clock: Clock;
  readonly instance: string;
  /** Store name to the hash of its definition. */
  readonly stores: () => ReadonlyMap<string, string>;
  /** One that is held is gone, by the destroying step or by hand: only that step knows, and decides anew. */
  readonly onHeldGone?: (() => void) | undefined;
  /** One looks in step that no run has looked at yet. */
  readonly onQuiet?: ((it: Wanted) => void) | undefined;
}

/** What the watches show, turned into work: a look at each target that is not as we would leave it. */
export interface Observer {
  meta(meta: SecretMeta): void;
  gone(target: TargetId): void;
  listed(scopes: readonly WatchScope[]): void;
  /** Looks at everything again: the configuration, or what it selects, has changed. */
  all(isListed: (target: TargetId) => boolean): void;
  /** Looks at the names that others had, and nobody has taken again since. */
  freed(): void;
}

/** Whoever had a name may be about to make its Secret anew, as controllers and `kubectl replace --force` do. */
const FREE_MS = 30_000;

export function createObserver({ generation, board, ledger, clock, ...deps }: ObserveDeps): Observer {
  const burst = createBursts(clock);
  const mayLook = createAllowance(clock);
  const kept = createKept();
  const free = new Map<string, { readonly target: TargetId; readonly since: number }>();

  const look = (target: TargetId, reason: Reason): void => ledger.trigger(target, reason, burst());
  /** Whoever owns a Secret may change it all the time. We look again anyway, at its retry or its sweep. */
  const lookAtForeign = (meta: SecretMeta): void => {
    if (mayLook(formatTarget(meta.id))) look(meta.id, 'drift');
  };
  const isForeign = ({ labels }: SecretMeta, wanted: readonly Wanted[]): boolean =>
    labels[LABEL.instance] !== deps.instance || wanted.some(({ mapping }) => mapping.target.mode === 'merge');

  const isInStep = (meta: SecretMeta, wanted: readonly Wanted[]): boolean =>
    wanted.every(({ mapping, id }) => {
      const known = board.known(mapping.name, id);
      const pin = known && { to: known.pinned };
      return looksInStep(meta, { mapping, instance: deps.instance, stores: deps.stores(), pin });
    });

  /** Whether a run has looked at exactly this object, or is not to look at it for now. */
  const isKnown = (meta: SecretMeta, wanted: readonly Wanted[]): boolean =>
    wanted.every(({ mapping, id }) => {
      const known = board.known(mapping.name, id);
      if ((known?.contestedUntil ?? 0) > clock.now()) return true;
      return known?.resourceVersion === meta.resourceVersion;
    });

  /** One that was refused for what it was and looks right now: somebody mended it. */
  const isMended = (meta: SecretMeta, wanted: readonly Wanted[]): boolean =>
    wanted.some(({ mapping, id }) => {
      const known = board.known(mapping.name, id);
      return known?.kind === 'refused' && known.resourceVersion !== meta.resourceVersion;
    });

  /** No run looks at what is in step when a process begins: what becomes of it since is drift nevertheless. */
  const wasInStep = (before: SecretMeta | undefined, wanted: readonly Wanted[]): boolean =>
    before !== undefined && isInStep(before, wanted);

  const judge = (meta: SecretMeta, wanted: readonly Wanted[], before?: SecretMeta): void => {
    const fresh = wanted.filter(({ mapping, id }) => board.known(mapping.name, id) === undefined);
    const isNew = fresh.length > 0 && !wasInStep(before, wanted);
    if (isInStep(meta, wanted)) {
      if (isMended(meta, wanted)) look(meta.id, 'drift');
      for (const it of fresh) deps.onQuiet?.(it);
    } else if (isKnown(meta, wanted)) return;
    else if (isNew) look(meta.id, 'first');
    else if (isForeign(meta, wanted)) lookAtForeign(meta);
    else look(meta.id, 'drift');
  };

  const missing = (wanted: Wanted, before?: SecretMeta): void => {
    const known = board.known(wanted.mapping.name, wanted.id);
    // One that could not be made is tried again in its own time.
    if (known === undefined) look(wanted.id, wasInStep(before, [wanted]) ? 'drift' : 'first');
    // What is held ends by the destroying step; a repair would run into it.
    else if (known.alive && known.kind === 'held') deps.onHeldGone?.();
    else if (known.alive && (known.contestedUntil ?? 0) <= clock.now()) look(wanted.id, 'drift');
    // Nobody is told of it who could ask.
    else if (isRefusedForOthers(known)) noteFree(wanted.id);
  };
  /** A list that finds it free again does not begin the time anew: a watch may be cut off every few seconds. */
  const noteFree = (target: TargetId): void => {
    const name = formatTarget(target);
    if (!free.has(name)) free.set(name, { target, since: clock.now() });
  };

  return {
    meta(meta) {
      free.delete(formatTarget(meta.id));
      const wanted = generation().at(meta.id);
      // Secrets of others are none of our business, and would fill the memory.
      if (wanted.length === 0) return;
      const before = board.meta(meta.id);
      board.setMeta(kept(meta, wanted));
      judge(meta, wanted, before);
    },
    gone(target) {
      const before = board.meta(target);
      board.dropMeta(target);
      for (const it of generation().at(target)) missing(it, before);
    },
    listed(scopes) {
      const here = generation();
      const wanted = scopes.flatMap(({ namespace, secret }) =>
        secret === undefined ? here.in(namespace) : here.at({ namespace, secret }),
      );
      for (const it of byMapping(wanted)) if (board.meta(it.id) === undefined) missing(it);
    },
    all(isListed) {
      for (const it of generation().wanted) {
        if (it.error !== undefined || !isListed(it.id)) continue;
        const meta = board.meta(it.id);
        if (meta === undefined) missing(it);
        else judge(meta, generation().at(it.id));
      }
    },
    freed() {
      for (const [name, { target, since }] of free) {
        if (Math.abs(clock.now() - since) < FREE_MS) continue;
        free.delete(name);
        if (generation().at(target).length > 0) look(target, 'drift');
      }
    },
  };
}

/** Whether a target was refused for what somebody else has there. */
function isRefusedForOthers({ kind, alive, error }: Known): boolean {
  return kind === 'refused' && !alive && LET_BE.includes(error?.code ?? '');
}

/** What is seen together gets one request id, so that what it needs is read once. */
const BURST_MS = 500;

function createBursts(clock: Clock): () => string {
  let id = '';
  let at = Number.NEGATIVE_INFINITY;
  return () => {
    if (Math.abs(clock.now() - at) > BURST_MS) {
      id = randomUUID();
      at = clock.now();
    }
    return id;
  };
}

const MOST_LOOKS = 5;
const LOOK_EACH_MS = 12_000;

/** Lets each name pass so often, and then once in a while. */
function createAllowance(clock: Clock): (name: string) => boolean {
  // In the order of their last use.
  const used = new Map<string, { readonly left: number; readonly at: number }>();
  return (name) => {
    const now = clock.now();
    const before = used.get(name);
    const gained = before === undefined ? MOST_LOOKS : Math.abs(now - before.at) / LOOK_EACH_MS;
    const left = Math.min(MOST_LOOKS, (before?.left ?? 0) + gained);
    used.delete(name);
    for (const [other, { at }] of used) {
      if (Math.abs(now - at) < MOST_LOOKS * LOOK_EACH_MS) break;
      used.delete(other);
    }
    const passes = left >= 1;
    used.set(name, { left: passes ? left - 1 : left, at: now });
    return passes;
  };
}

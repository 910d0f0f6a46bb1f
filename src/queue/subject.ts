import type { TargetId } from '../core/target.ts';

/** What a job can be about. */
export type Subject =
  | ({ readonly kind: 'target' } & TargetId)
  /** One part of a store's periodic check: part `slot` of `slots`, of what is to be fresh within `refreshMs`. */
  | {
      readonly kind: 'sweep';
      readonly store: string;
      readonly refreshMs: number;
      readonly slot: number;
      readonly slots: number;
    }
  /** The one destroying step of the instance; `left`: also for what left the configuration. */
  | { readonly kind: 'destroy' | 'left' }
  /** The one step of the instance that rolls workloads. */
  | { readonly kind: 'restart' };

/** Names hold no `/`, so that the parts can be told apart. */
export function formatSubject(subject: Subject): string {
  switch (subject.kind) {
    case 'target':
      return `target/${subject.namespace}/${subject.secret}`;
    case 'sweep':
      return `sweep/${subject.store}/${subject.refreshMs}/${subject.slot}/${subject.slots}`;
    default:
      return subject.kind;
  }
}

/** `undefined`: not a subject, as another release may have added. */
export function parseSubject(text: string): Subject | undefined {
  const [kind, a = '', b = '', c = '', d = ''] = text.split('/');
  if (kind === 'target' && b !== '') return { kind, namespace: a, secret: b };
  if (kind === 'sweep' && d !== '')
    return { kind, store: a, refreshMs: Number(b), slot: Number(c), slots: Number(d) };
  if (kind === 'destroy' || kind === 'left' || kind === 'restart') return { kind };
  return undefined;
}

import { isDeepStrictEqual } from 'node:util';
import type { Mapping } from '../core/mapping.ts';
import { refId, type StoreRef } from '../core/reading.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { formatSubject } from '../queue/subject.ts';
import type { Wanted } from '../reconcile/targets.ts';
import { refsOf } from './sweep/refs.ts';
import { type Slot, slotsOf } from './sweep/slots.ts';

/** What a configuration asks for in the namespaces that there are now: replaced as a whole, never changed. */
export interface Generation {
  readonly mappings: readonly Mapping[];
  readonly wanted: readonly Wanted[];
  /** Several mappings may merge into one Secret. */
  at(target: TargetId): readonly Wanted[];
  in(namespace: string): readonly Wanted[];
  /** Those that are made, among others, from a reference. */
  users(ref: StoreRef): readonly Wanted[];
  /** By subject. */
  readonly slots: ReadonlyMap<string, Slot>;
  /** The slots in which a mapping's sources are checked. */
  slotsOf(mapping: Mapping): readonly string[];
  /** The stores of a target's mappings, sorted. */
  storesOf(target: TargetId): readonly string[];
}

export function createGeneration(
  mappings: readonly Mapping[],
  wanted: readonly Wanted[],
  tellsVersions: (store: string) => boolean,
): Generation {
  const known = wanted.filter(({ error }) => error === undefined);
  const byTarget = Map.groupBy(known, ({ id }) => formatTarget(id));
  const byNamespace = Map.groupBy(known, ({ id }) => id.namespace);
  const byRef = new Map<string, Wanted[]>();
  for (const it of known)
    for (const id of refsOf(it.mapping).keys()) {
      const users = byRef.get(id);
      if (users === undefined) byRef.set(id, [it]);
      else users.push(it);
    }
  const slots = new Map(slotsOf(known, tellsVersions).map((slot) => [formatSubject(slot.sweep), slot]));
  const slotsByMapping = new Map<string, Set<string>>();
  const enter = (mapping: string, slot: string) =>
    slotsByMapping.set(mapping, (slotsByMapping.get(mapping) ?? new Set()).add(slot));
  for (const [name, { refs, whole }] of slots) {
    for (const ref of refs) for (const { mapping } of byRef.get(refId(ref)) ?? []) enter(mapping.name, name);
    for (const { mapping } of whole) enter(mapping.name, name);
  }
  return {
    mappings,
    wanted,
    at: (target) => byTarget.get(formatTarget(target)) ?? [],
    in: (namespace) => byNamespace.get(namespace) ?? [],
    users: (ref) => byRef.get(refId(ref)) ?? [],
    slots,
    slotsOf: ({ name }) => [...(slotsByMapping.get(name) ?? [])],
    storesOf: (target) =>
      storesOfMappings((byTarget.get(formatTarget(target)) ?? []).map((it) => it.mapping)),
  };
}

export function storesOfMappings(mappings: readonly Mapping[]): readonly string[] {
  const stores = mappings.flatMap((mapping) => [
    ...Object.values(mapping.data).map(({ store }) => store),
    ...mapping.dataFrom.map(({ store }) => store),
  ]);
  return [...new Set(stores)].sort();
}

/**
 * While the namespaces of a selector cannot be looked up, its targets are those of before: otherwise each answer
 * that fails would end them.
 */
export function withUnseen(now: readonly Wanted[], before: readonly Wanted[]): readonly Wanted[] {
  const kept = now.flatMap(({ mapping, error }) =>
    error === undefined
      ? []
      : before
          .filter(
            (it) =>
              it.error === undefined && it.mapping.name === mapping.name && asksAlike(it.mapping, mapping),
          )
          .map(({ id }) => ({ mapping, id })),
  );
  return [...now, ...kept];
}

function asksAlike({ target: before }: Mapping, { target: now }: Mapping): boolean {
  return before.secret === now.secret && isDeepStrictEqual(before.namespaceSelector, now.namespaceSelector);
}

/** A target as this mapping wants it, if it does. */
export function wantedIn(
  generation: Generation,
  { mapping, target }: { readonly mapping: string; readonly target: TargetId },
): Wanted | undefined {
  return generation.at(target).find((it) => it.mapping.name === mapping);
}

/** A configuration that was changed: mappings that are others, by name, or that all may be. */
export interface Change {
  readonly mappings: ReadonlySet<string>;
  readonly all: boolean;
}

/** The targets that are to be looked at after a change. */
export function newsIn(
  before: Generation,
  now: Generation,
  { mappings, all }: Change,
): readonly { readonly id: TargetId; readonly isNew: boolean }[] {
  const known = new Set(before.wanted.map(({ mapping, id }) => nameOf(mapping.name, id)));
  return now.wanted.flatMap(({ mapping, id, error }) => {
    const isNew = !known.has(nameOf(mapping.name, id));
    return error === undefined && (isNew || all || mappings.has(mapping.name)) ? [{ id, isNew }] : [];
  });
}

/** Whether a target left whose mapping wants it gone then. */
export function losesTargets(before: Generation, now: Generation): boolean {
  const kept = new Set(now.wanted.map(({ mapping, id }) => nameOf(mapping.name, id)));
  return before.wanted.some(
    ({ mapping, id, error }) =>
      error === undefined && mapping.onMappingRemoved === 'delete' && !kept.has(nameOf(mapping.name, id)),
  );
}

/** Of a target of a mapping: several mappings may merge into one Secret. */
export function nameOf(mapping: string, target: TargetId): string {
  return `${mapping} ${formatTarget(target)}`;
}

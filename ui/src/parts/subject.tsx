import type { VNode } from 'preact';
import { link } from '../router.ts';
import type { AuditRecord } from '../types.ts';

/** A link to the subject of a record. */
export function Subject({ record }: { readonly record: AuditRecord }): VNode | null {
  const { namespace, secret, store, key, sources, review } = record;
  if (namespace !== undefined && secret !== undefined)
    return <TargetLink namespace={namespace} secret={secret} />;
  if (store !== undefined) return <SourceLink store={store} source={key} />;
  if (review !== undefined) return <a href={link(['records', review.sequence])}>record {review.sequence}</a>;
  const [first] = sources;
  return first === undefined ? null : <SourceLink store={first.store} source={first.key} />;
}

export function TargetLink({
  namespace,
  secret,
}: {
  readonly namespace: string;
  readonly secret: string;
}): VNode {
  return (
    <a href={link(['targets', namespace, secret])} class="name">
      <span class="muted">{namespace}/</span>
      {secret}
    </a>
  );
}

/** @param source The key of the store. Without it, the link leads to the store. */
export function SourceLink({
  store,
  source,
}: {
  readonly store: string;
  readonly source?: string | undefined;
}): VNode {
  const address = source === undefined ? link(['graph'], { store }) : link(['sources', store, source]);
  return (
    <a href={address} class="name">
      <span class="muted">{`${store}: `}</span>
      {source ?? 'all keys'}
    </a>
  );
}

export function PersonLink({ name }: { readonly name: string }): VNode {
  return (
    <a href={link(['people', name])} class="name">
      {name}
    </a>
  );
}

export function MappingLink({ name }: { readonly name: string }): VNode {
  return (
    <a href={link(['mappings', name])} class="name">
      {name}
    </a>
  );
}

export function RecordLink({ sequence }: { readonly sequence: number }): VNode {
  return <a href={link(['records', sequence])} class="sequence">{`#${sequence}`}</a>;
}

const SIGNS = [
  { sign: '+', word: 'added' },
  { sign: '~', word: 'changed' },
  { sign: '−', word: 'removed' },
] as const;

/** The added, changed and removed keys, as `audit list` prints them. */
export function KeyChanges({ keys }: { readonly keys: AuditRecord['keys'] }): VNode {
  return (
    <>
      {SIGNS.filter(({ word }) => keys[word].length > 0).map(({ sign, word }) => {
        const names = keys[word];
        const all = names.join(', ');
        return (
          <span key={word} class={`keys ${word}`} title={`${word}: ${all}`}>
            <span class="visually-hidden">{`${word}: `}</span>
            <span aria-hidden="true">{sign}</span>
            {names.length > 3 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : all}
          </span>
        );
      })}
    </>
  );
}

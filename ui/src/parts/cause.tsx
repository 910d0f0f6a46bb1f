import type { VNode } from 'preact';
import { sentence } from '../format.tsx';
import { link, type Route } from '../router.ts';
import type { ReviewCause } from '../types.ts';
import { Code } from './badge.tsx';

/** What a person should look at, as a link to the changes, with the code that explains the problem. */
export function CauseTitle({ cause }: { readonly cause: ReviewCause }): VNode {
  const { title, code } = cause;
  return (
    <>
      <a href={link(['changes'], filtersOf(cause))}>{sentence(title)}</a>{' '}
      {code !== undefined && !title.includes(code) && <Code code={code} />}
    </>
  );
}

/** What distinguishes the changes of these kinds, besides the members of the cause. */
const FILTERS: Partial<Record<ReviewCause['kind'], Route['query']>> = {
  held: { outcome: 'held' },
  cluster: { code: 'CLUSTER_UNAVAILABLE' },
  configuration: { action: 'configure' },
  rollback: { action: 'rollback' },
  flagged: { review: 'flagged' },
};

/** Returns the filters that list the changes of a cause. */
function filtersOf({ kind, code, store, key, mapping, requestId }: ReviewCause): Route['query'] {
  const filters = { review: 'unreviewed', code, store, key, mapping, request: requestId, ...FILTERS[kind] };
  return Object.fromEntries(
    Object.entries(filters).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

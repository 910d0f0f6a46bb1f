import type { VNode } from 'preact';
import { duration, Time } from '../format.tsx';
import type { Target } from '../types.ts';
import { Badge } from './badge.tsx';
import { PinnedTo, UnpinButton } from './pins.tsx';
import { MappingLink } from './subject.tsx';
import { SyncButton } from './sync.tsx';
import { Facts } from './table.tsx';
import { freshness, trouble } from './target-table.tsx';

/** The present state of a target, as the service knows it. */
export function TargetState({ target }: { readonly target: Target }): VNode {
  const { mapping, state, pinned, staleSeconds, expiresAt } = target;
  const isStale = state === 'stale' && staleSeconds !== null;
  return (
    <section class="card now" aria-label="Present state">
      <div class="now-head">
        <h2>
          Now <Badge word={state} />
        </h2>
        <SyncButton mapping={mapping} />
      </div>
      {trouble(target)}
      <Facts
        pairs={[
          ['Mapping', <MappingLink name={mapping} />],
          ['Last synced', freshness(target)],
          ['Stale for', isStale ? duration(staleSeconds) : undefined],
          ['First value expires', expiresAt && <Time at={expiresAt} />],
        ]}
      />
      {pinned !== undefined && (
        <p class="notice plain">
          {'Pinned '}
          <PinnedTo pinned={pinned} />
          {'. The target keeps the source versions of this record. '}
          <UnpinButton target={target} />
        </p>
      )}
    </section>
  );
}

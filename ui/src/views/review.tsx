import type { VNode } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { get } from '../api.ts';
import { pluralize, sentence, Time } from '../format.tsx';
import { usePage } from '../page.ts';
import { useAttempt } from '../parts/attempt.ts';
import { Code } from '../parts/badge.tsx';
import { askToFlag, BulkReview, review } from '../parts/bulk-review.tsx';
import { Effects, What } from '../parts/change.tsx';
import { listKeys } from '../parts/list-keys.ts';
import { Empty, Problem } from '../parts/notice.tsx';
import { allHolds, confirmRelease } from '../parts/release.tsx';
import { ReviewableChanges } from '../parts/reviewable-changes.tsx';
import { Pages } from '../parts/timeline.tsx';
import { link, type Route } from '../router.ts';
import type { ChangeList, ReviewCause, ReviewQueue } from '../types.ts';
import { defineView } from '../view.ts';

type Data = { readonly queue: ReviewQueue } | { readonly flagged: ChangeList };

const PAGE = 50;

export const reviewView = defineView<Data>({
  title: () => 'Review',
  refresh: 'redraw',
  async load({ query: { show, cursor } }, signal) {
    const query = { cursor, limit: PAGE };
    if (show === 'flagged')
      return { flagged: await get('/api/v1/changes', { query: { ...query, review: 'flagged' }, signal }) };
    return { queue: await get('/api/v1/review', { query, signal }) };
  },
  Show: ({ data, route }) => (
    <>
      <nav class="segments" aria-label="Which changes">
        <a href={link(['review'])} aria-current={'queue' in data ? 'page' : undefined}>
          To review
        </a>
        <a href={link(['review'], { show: 'flagged' })} aria-current={'flagged' in data ? 'page' : undefined}>
          Flagged
        </a>
      </nav>
      {'queue' in data ? (
        <Queue queue={data.queue} route={route} />
      ) : (
        <Flagged list={data.flagged} route={route} />
      )}
    </>
  ),
});

interface QueueProps {
  readonly queue: ReviewQueue;
  readonly route: Route;
}

/** What needs eyes, by cause: one store that is down is one row. */
function Queue({ queue: { causes, next, more }, route }: QueueProps): VNode {
  const page = usePage();
  const attempt = useAttempt();
  const list = useRef<HTMLDivElement>(null);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const chosen = causes.filter(({ id }) => selected.has(id));
  const sequences = [...new Set(chosen.flatMap((cause) => cause.sequences))];
  const clear = (): void => setSelected(new Set());
  const toggle = (id: string): void =>
    setSelected((old) => {
      const ids = new Set(old);
      if (!ids.delete(id)) ids.add(id);
      return ids;
    });
  const mayReview = page.may('reviewer');
  const onKeyDown = listKeys(list, {
    toggle,
    toggleAll: () => setSelected(new Set(chosen.length === causes.length ? [] : causes.map(({ id }) => id))),
    reviewed: () => {
      if (sequences.length > 0) void attempt.run(() => review(page, sequences, { state: 'reviewed' }, clear));
    },
    flag: () => {
      if (sequences.length > 0) askToFlag(page, sequences, clear);
    },
    clear,
  });
  if (causes.length === 0)
    return (
      <Empty text="Everything has been reviewed. New failures, refusals, holds, deletions and changes by people appear here." />
    );
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys work on the check boxes and links inside
    <div ref={list} onKeyDown={mayReview ? onKeyDown : undefined}>
      {mayReview && (
        <p class="keys-hint muted">
          Keys in the list: <kbd>j</kbd> <kbd>k</kbd> move, <kbd>x</kbd> selects, <kbd>a</kbd> selects all,{' '}
          <kbd>r</kbd> marks as reviewed, <kbd>f</kbd> flags.
        </p>
      )}
      <ul class="causes" aria-label="Causes">
        {causes.map((cause) => (
          <Cause
            key={cause.id}
            cause={cause}
            isSelected={selected.has(cause.id)}
            toggle={mayReview ? toggle : undefined}
          />
        ))}
      </ul>
      {more && (
        <p class="muted after-list">
          Older changes were not read.{' '}
          <a href={link(['changes'], { review: 'unreviewed' })}>All unreviewed changes</a>
        </p>
      )}
      <Pages path={['review']} cursor={route.query.cursor} next={next} />
      {attempt.error !== undefined && <Problem error={attempt.error} />}
      <BulkReview sequences={sequences} done={clear} />
    </div>
  );
}

interface CauseProps {
  readonly cause: ReviewCause;
  readonly isSelected: boolean;
  /** Absent for people who may not review. */
  readonly toggle: ((id: string) => void) | undefined;
}

function Cause({ cause, isSelected, toggle }: CauseProps): VNode {
  const { id, title, code, count, first, last, namespaces, targets, example, sequences } = cause;
  const { followUp, isDue } = cause;
  return (
    <li class={`cause${isSelected ? ' selected' : ''}`} data-row={id}>
      {toggle !== undefined && (
        <input
          type="checkbox"
          aria-label={`Select ${title}`}
          checked={isSelected}
          onChange={() => toggle(id)}
        />
      )}
      <div class="cause-body">
        <h2>
          <a href={link(['changes'], filtersOfCause(cause))}>{sentence(title)}</a>{' '}
          {code !== undefined && !title.includes(code) && <Code code={code} />}{' '}
          {followUp !== undefined && (
            <span class={`badge ${isDue ? 'warn' : 'plain'}`}>{`follow up by ${followUp}`}</span>
          )}
        </h2>
        <p class="muted">
          {`${pluralize(count, 'change')}${namespaces === 0 ? '' : ` of ${pluralize(targets, 'target')} in ${pluralize(namespaces, 'namespace')}`}, `}
          {first === last ? <Time at={last} /> : <Span first={first} last={last} />}
        </p>
        <div class="example">
          <What change={example} />
          <Effects change={example} limit={3} />
        </div>
        <ReleaseButton cause={cause} />
        {count > sequences.length && (
          <p class="muted">{`A review covers the newest ${sequences.length} of them. The others then appear here.`}</p>
        )}
      </div>
    </li>
  );
}

function Span({ first, last }: { readonly first: string; readonly last: string }): VNode {
  return (
    <>
      {'from '}
      <Time at={first} />
      {' to '}
      <Time at={last} />
    </>
  );
}

/** Releases the held changes of a cause, after showing what would be lost. */
function ReleaseButton({ cause: { held = [], title } }: { readonly cause: ReviewCause }): VNode | null {
  const page = usePage();
  const attempt = useAttempt();
  if (held.length === 0 || !page.may('operator')) return null;
  const ask = (): Promise<void> =>
    attempt.run(async () =>
      confirmRelease(
        (await allHolds()).filter(({ id }) => held.includes(id)),
        page,
      ),
    );
  return (
    <div class="buttons">
      <button type="button" aria-label={`Release: ${title}`} aria-disabled={attempt.busy} onClick={ask}>
        {held.length === 1 ? 'Release…' : `Release all ${held.length}…`}
      </button>
      {attempt.error !== undefined && <Problem error={attempt.error} />}
    </div>
  );
}

/** Returns the filters that list the changes of a cause. */
function filtersOfCause({ kind, code, store, key, mapping, requestId }: ReviewCause): Route['query'] {
  const filters = {
    ...{ code, store, key, mapping, request: requestId },
    review: kind === 'flagged' ? 'flagged' : 'unreviewed',
  };
  return Object.fromEntries(
    Object.entries(filters).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function Flagged({ list, route }: { readonly list: ChangeList; readonly route: Route }): VNode {
  if (list.changes.length === 0)
    return (
      <Empty text="No change is flagged. A reviewer flags a change that needs another look, with a note and a date." />
    );
  return (
    <>
      <ReviewableChanges caption="Flagged changes, newest first" changes={list.changes} />
      <Pages path={['review']} query={{ show: 'flagged' }} cursor={route.query.cursor} next={list.next} />
    </>
  );
}

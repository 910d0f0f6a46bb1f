import type { VNode } from 'preact';
import { get } from '../api.ts';
import { pluralize, Time } from '../format.tsx';
import { usePage } from '../page.ts';
import { useAttempt } from '../parts/attempt.ts';
import { CauseTitle } from '../parts/cause.tsx';
import { Effects, What } from '../parts/change.tsx';
import { Empty, Problem } from '../parts/notice.tsx';
import { allHolds, confirmRelease } from '../parts/release.tsx';
import { ReviewableChanges } from '../parts/reviewable-changes.tsx';
import { ReviewableList, type SelectedRows } from '../parts/reviewable-list.tsx';
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

/** What a person should look at, by cause: one store that is down is one row. */
function Queue({ queue: { causes, next, more }, route }: QueueProps): VNode {
  if (causes.length === 0)
    return (
      <Empty text="Everything has been reviewed. New failures, refusals, holds, deletions and changes by people appear here." />
    );
  return (
    <ReviewableList
      ids={causes.map(({ id }) => id)}
      sequencesOf={(id) => causes.find((cause) => cause.id === id)?.sequences ?? []}
    >
      {(rows) => (
        <>
          <ul class="causes" aria-label="Causes">
            {causes.map((cause) => (
              <Cause key={cause.id} cause={cause} rows={rows} />
            ))}
          </ul>
          {more && (
            <p class="muted after-list">
              Older changes were not read.{' '}
              <a href={link(['changes'], { review: 'unreviewed' })}>All unreviewed changes</a>
            </p>
          )}
          <Pages path={['review']} cursor={route.query.cursor} next={next} />
        </>
      )}
    </ReviewableList>
  );
}

interface CauseProps {
  readonly cause: ReviewCause;
  /** Absent for people who may not review. */
  readonly rows: SelectedRows | undefined;
}

function Cause({ cause, rows }: CauseProps): VNode {
  const { id, title, count, first, last, namespaces, targets, example, sequences } = cause;
  const { followUp, isDue } = cause;
  const isSelected = rows?.selected.has(id) === true;
  return (
    <li class={`cause${isSelected ? ' selected' : ''}`} data-row={id}>
      {rows !== undefined && (
        <input
          type="checkbox"
          aria-label={`Select ${title}`}
          checked={isSelected}
          onChange={() => rows.toggle(id)}
        />
      )}
      <div class="cause-body">
        <h2>
          <CauseTitle cause={cause} />{' '}
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

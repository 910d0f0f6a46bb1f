import type { VNode } from 'preact';
import { milliseconds, Time } from '../format.tsx';
import { link } from '../router.ts';
import type { Change } from '../types.ts';
import { ChangeSubject, Effects, Outcome, reviewState, Why } from './change.tsx';
import { Empty } from './notice.tsx';

interface Props {
  readonly changes: readonly Change[];
  /** Whether each entry names its subject. The timeline of one Secret needs no names. */
  readonly hasSubjects?: boolean;
  /** What the view says when there is no change. */
  readonly empty: string;
}

/** Changes in the order of time, newest first. */
export function Timeline({ changes, hasSubjects = false, empty }: Props): VNode {
  if (changes.length === 0) return <Empty text={empty} />;
  return (
    <ol class="timeline card">
      {changes.map((change) => (
        <Entry key={change.sequence} change={change} hasSubject={hasSubjects} />
      ))}
    </ol>
  );
}

function Entry({ change, hasSubject }: { readonly change: Change; readonly hasSubject: boolean }): VNode {
  const { action, outcome, sequence, time, durationMs, count } = change;
  return (
    <li class={outcome}>
      <div class="event">
        <a href={link(['changes', sequence])} class="action">
          {action}
        </a>
        {hasSubject && <ChangeSubject change={change} />}
        {count > 1 && <span class="times">{`×${count}`}</span>}
        <Outcome change={change} />
      </div>
      <div class="muted">
        <Time at={time} />
        {outcome !== 'pending' && durationMs >= 1 && `, took ${milliseconds(durationMs)}`}
        {', '}
        <Why change={change} />
        {action !== 'review' && `, ${reviewState(change)}`}
      </div>
      <div class="effects">
        <Effects change={change} limit={6} />
      </div>
    </li>
  );
}

interface PagesProps {
  readonly path: readonly (string | number)[];
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly cursor: string | undefined;
  readonly next: string | undefined;
}

/** Links to the newest and the next older page. */
export function Pages({ path, query = {}, cursor, next }: PagesProps): VNode | null {
  if (cursor === undefined && next === undefined) return null;
  return (
    <nav class="pages" aria-label="Pages">
      {cursor !== undefined && (
        <a class="button" href={link(path, query)}>
          Newest
        </a>
      )}
      {next !== undefined && (
        <a class="button" rel="next" href={link(path, { ...query, cursor: next })}>
          Older
        </a>
      )}
    </nav>
  );
}

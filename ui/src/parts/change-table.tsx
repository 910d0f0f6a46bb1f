import type { VNode } from 'preact';
import { milliseconds, Time } from '../format.tsx';
import type { Change } from '../types.ts';
import { Badge } from './badge.tsx';
import { Effects, nameOfChange, Outcome, What, Why } from './change.tsx';
import { DataTable, type Selection, type SortableColumn } from './data-table.tsx';

const COLUMNS: readonly SortableColumn<Change>[] = [
  { title: 'Change', kind: 'head', cell: (change) => <What change={change} /> },
  { title: 'Effect', kind: 'wide', cell: (change) => <Effects change={change} /> },
  { title: 'Outcome', cell: (change) => <Outcome change={change} /> },
  { title: 'Why', cell: (change) => <Why change={change} /> },
  { title: 'Time', cell: ({ time }) => <Time at={time} />, sort: ({ time }) => time },
  {
    title: 'Took',
    kind: 'number',
    cell: ({ durationMs, outcome }) => (outcome === 'pending' ? '' : milliseconds(durationMs)),
    sort: ({ durationMs }) => durationMs,
  },
  { title: 'Review', cell: (change) => <ReviewState change={change} /> },
];

interface Props {
  readonly caption: string;
  readonly changes: readonly Change[];
  readonly selection?: Selection | undefined;
}

/** Changes as rows: one row is one change. */
export function ChangeTable({ caption, changes, selection }: Props): VNode {
  return (
    <DataTable
      class="changes"
      caption={caption}
      columns={COLUMNS}
      rows={changes}
      keyOf={({ sequence }) => sequence}
      nameOf={nameOfChange}
      kindOf={({ outcome }) => outcome}
      selection={selection}
    />
  );
}

export function ReviewState({ change }: { readonly change: Change }): VNode | string {
  const { review, action } = change;
  if (action === 'review') return '';
  return (
    <>
      {review === undefined ? (
        <span class="badge plain default">unreviewed</span>
      ) : (
        <Badge word={review.state} />
      )}
      {review?.state === 'flagged' && review.note !== undefined && <q class="note">{review.note}</q>}
      {review?.followUp !== undefined && (
        <span class="muted follow-up">
          by <time dateTime={review.followUp}>{review.followUp}</time>
        </span>
      )}
    </>
  );
}

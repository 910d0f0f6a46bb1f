import type { VNode } from 'preact';
import { actorText, Time } from '../format.tsx';
import type { AuditRecord } from '../types.ts';
import { Badge, State } from './badge.tsx';
import { details } from './record-details.tsx';
import { MappingLink, RecordLink, Subject } from './subject.tsx';
import { type Column, Table } from './table.tsx';

const COLUMNS: readonly Column<AuditRecord>[] = [
  { title: 'Record', kind: 'head', cell: ({ sequence }) => <RecordLink sequence={sequence} /> },
  { title: 'Time', cell: ({ time }) => <Time at={time} /> },
  { title: 'Action', cell: (record) => <Action {...record} /> },
  { title: 'Subject', kind: 'wide', cell: (record) => <SubjectCell record={record} /> },
  {
    title: 'Actor',
    kind: 'actor',
    cell: ({ actor }) => <span title={actor.address}>{actorText(actor)}</span>,
  },
  {
    title: 'Outcome',
    cell: ({ outcome, code, phase }) => (phase === 'intent' ? '' : <State word={outcome} code={code} />),
  },
  { title: 'Changes', kind: 'wide', cell: (record) => [...details(record)] },
  {
    title: 'Review',
    cell: (record) => (record.action === 'review' ? '' : <Badge word={reviewOf(record)} />),
  },
];

export function RecordTable({
  caption,
  records,
}: {
  readonly caption: string;
  readonly records: readonly AuditRecord[];
}): VNode {
  return (
    <Table
      caption={caption}
      isFlowing
      columns={COLUMNS}
      rows={records}
      keyOf={({ sequence }) => sequence}
      kindOf={({ phase }) => phase}
    />
  );
}

/** Shows the mapping only when its name differs from the name of the Secret. */
function SubjectCell({ record }: { readonly record: AuditRecord }): VNode {
  const { mapping, secret } = record;
  return (
    <>
      <Subject record={record} />
      {mapping !== undefined && mapping !== secret && (
        <div class="small">
          mapping <MappingLink name={mapping} />
        </div>
      )}
    </>
  );
}

/** One element for the action and its note, so that a card shows them on one line. */
function Action({ action, phase, review }: AuditRecord): VNode {
  const note = phase === 'intent' ? 'intent' : review?.state;
  return (
    <span>
      {action}
      {note !== undefined && <span class="phase">{` ${note}`}</span>}
    </span>
  );
}

export function reviewOf({ reviewed }: AuditRecord): string {
  return reviewed?.state ?? 'unreviewed';
}

import type { ComponentChildren, VNode } from 'preact';
import { SYNC_STATES } from '../../../src/core/words.ts';
import { duration, Time, WithCode } from '../format.tsx';
import type { Target } from '../types.ts';
import { Badge, Code } from './badge.tsx';
import type { SortableColumn } from './data-table.tsx';
import { PinnedTo } from './pins.tsx';
import { MappingLink, TargetLink } from './subject.tsx';
import { type Column, Table } from './table.tsx';

export const TARGET_COLUMNS: readonly SortableColumn<Target>[] = [
  {
    title: 'Target',
    kind: 'head',
    cell: ({ namespace, secret }) => <TargetLink namespace={namespace} secret={secret} />,
    sort: ({ namespace, secret }) => `${namespace}/${secret}`,
  },
  { title: 'Mapping', cell: ({ mapping }) => <MappingLink name={mapping} />, sort: ({ mapping }) => mapping },
  {
    title: 'State',
    cell: ({ state, pinned }) => (
      <span class="state">
        <Badge word={state} />
        <PinnedTo pinned={pinned} />
      </span>
    ),
    sort: ({ state }) => SYNC_STATES.indexOf(state),
  },
  {
    title: 'Last synced',
    cell: (target) => freshness(target),
    sort: ({ lastSuccess }) => lastSuccess ?? '',
  },
  { title: 'Problem and remedy', kind: 'wide', cell: (target) => trouble(target) },
];

export const targetKey = ({ mapping, namespace, secret }: Target): string =>
  JSON.stringify([mapping, namespace, secret]);

interface Props {
  readonly caption: string;
  readonly targets: readonly Target[];
  readonly actions?: Column<Target> | undefined;
  /** Whether all targets have the same mapping, which the page names already. */
  readonly isOneMapping?: boolean;
}

export function TargetTable({ caption, targets, actions, isOneMapping = false }: Props): VNode {
  const shown = TARGET_COLUMNS.filter(({ title }) => !(isOneMapping && title === 'Mapping'));
  const columns = actions === undefined ? shown : [...shown, actions];
  return <Table caption={caption} columns={columns} rows={targets} keyOf={targetKey} />;
}

export function freshness({ lastSuccess, staleSeconds }: Target): ComponentChildren {
  // After a restart, the time of the last sync is unknown until the target is synced again.
  if (!lastSuccess) return 'not since the service started';
  return (
    <>
      <Time at={lastSuccess} />
      {staleSeconds !== null && staleSeconds >= 60 && (
        <span class="muted">{` ${duration(staleSeconds)} ago`}</span>
      )}
    </>
  );
}

export function trouble({ code, message, remedy }: Target): ComponentChildren {
  if (code === undefined && message === undefined) return '';
  return (
    <div class="trouble">
      <p>
        <Code code={code} /> {message !== undefined && <WithCode text={message} />}
      </p>
      {remedy !== undefined && (
        <p class="muted">
          <WithCode text={remedy} />
        </p>
      )}
    </div>
  );
}

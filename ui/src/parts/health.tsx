import type { ComponentChildren, VNode } from 'preact';
import { Time } from '../format.tsx';
import type { Channel, Intake, Status, Store } from '../types.ts';
import { State } from './badge.tsx';
import { RecordLink } from './subject.tsx';
import { type Column, Table } from './table.tsx';

interface Row {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly code?: string | undefined;
  readonly activity?: ComponentChildren;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'Part', kind: 'head', cell: ({ name }) => name },
  { title: 'Kind', cell: ({ kind }) => kind },
  { title: 'State', cell: ({ state, code }) => <State word={state} code={code} /> },
  { title: 'Last activity', kind: 'wide', cell: ({ activity }) => activity },
];

export function Health({ status }: { readonly status: Status }): VNode {
  return (
    <Table caption="Health" isFlowing columns={COLUMNS} rows={rowsOf(status)} keyOf={({ name }) => name} />
  );
}

function rowsOf({
  engine,
  audit,
  warnings = [],
  cluster,
  config,
  stores,
  events = [],
  notify = [],
}: Status): readonly Row[] {
  return [
    { name: 'Engine', ...engine },
    { name: 'Audit', ...audit, ...auditDoubt(audit, warnings), activity: auditActivity(audit) },
    ...(cluster === undefined ? [] : [{ name: 'Cluster', ...cluster }]),
    ...(config === undefined
      ? []
      : [{ name: 'Configuration', kind: '', state: config.valid ? 'valid' : 'invalid' }]),
    ...stores.map((store) => ({ ...store, name: `Store ${store.name}`, activity: storeActivity(store) })),
    ...events.map((intake) => ({
      ...intake,
      name: `Events ${intake.name}`,
      activity: intakeActivity(intake),
    })),
    ...notify.map((channel) => ({
      ...channel,
      name: `Messages to ${channel.name}`,
      activity: channelActivity(channel),
    })),
  ];
}

const AUDIT_WARNINGS = ['CHECKPOINTS_MISSING', 'AUDIT_ALTERED', 'RECORDS_UNVERIFIABLE'];

/** An audit that works but is in doubt never gets a good mark. */
function auditDoubt({ state }: Status['audit'], warnings: Status['warnings']): Partial<Row> {
  const doubt = warnings.find(({ code }) => AUDIT_WARNINGS.includes(code));
  return state !== 'up' || doubt === undefined ? {} : { state: 'degraded', code: doubt.code };
}

/**
 * Shows the sequence number of the last record. It is not the number of records, because old records may have been
 * removed.
 */
function auditActivity({ sequence }: Status['audit']): ComponentChildren {
  if (sequence === 0) return 'no records yet';
  return (
    <span>
      last record <RecordLink sequence={sequence} />
    </span>
  );
}

function storeActivity({ lastSuccess, breakerOpen }: Store): VNode {
  return (
    <span>
      {breakerOpen && 'paused (circuit breaker open); '}
      {lastSuccess ? 'last read ' : 'not read yet'}
      {lastSuccess && <Time at={lastSuccess} />}
    </span>
  );
}

function intakeActivity({ lastEvent }: Intake): ComponentChildren {
  if (lastEvent === undefined) return 'no events yet';
  return (
    <span>
      last event <Time at={lastEvent} />
    </span>
  );
}

function channelActivity({ lastSuccess }: Channel): ComponentChildren {
  if (lastSuccess === undefined) return 'no messages yet';
  return (
    <span>
      last message <Time at={lastSuccess} />
    </span>
  );
}

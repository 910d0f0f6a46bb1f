import type { ComponentChildren, VNode } from 'preact';
import { number, pluralize, Time } from '../format.tsx';
import type { AuditRecord, FieldChange } from '../types.ts';
import { KeyChanges } from './subject.tsx';

/** The number of changed fields in a table cell. The record view shows all. */
const FIELDS_IN_CELL = 2;

/**
 * Describes what a record is about besides its subject: keys, changed fields, counts, failed reads and the note. Never
 * empty for a change.
 */
export function details(record: AuditRecord): readonly ComponentChildren[] {
  const { action, keys, note, counts = {}, phase, sources, outcome } = record;
  const words = Object.entries(counts)
    .filter(([name, count]) => name !== 'changesLeftOut' && (count > 0 || action === 'restart'))
    .map(([name, count]) => `${number(count)} ${name}`);
  const version = action === 'read' && outcome === 'ok' ? sources[0]?.version : undefined;
  const parts: ComponentChildren[] = [];
  if (Object.values(keys).some((names) => names.length > 0)) parts.push(<KeyChanges keys={keys} />);
  if (record.changes !== undefined || counts.changesLeftOut !== undefined)
    parts.push(<ChangedFields record={record} />);
  if (words.length > 0) parts.push(<span class="muted">{`${words.join(', ')} `}</span>);
  if (version !== undefined) parts.push(<Version text={version} />);
  if (record.count !== undefined && record.count >= 2 && record.since !== undefined)
    parts.push(
      <div class="muted">
        {`${pluralize(record.count, 'failed read')} since `}
        <Time at={record.since} />
      </div>,
    );
  // Omit the note of a `read` record, because such a note is written for programs.
  if (note !== undefined && action !== 'read') parts.push(<q class="note">{note}</q>);
  return parts.length === 0 && phase !== undefined ? [<span class="muted">no data changed</span>] : parts;
}

function Version({ text }: { readonly text: string }): VNode {
  return (
    <span class="muted">
      version <code class="hash">{text}</code>
    </span>
  );
}

function ChangedFields({ record }: { readonly record: AuditRecord }): VNode {
  const { changes: fields = [], counts = {} } = record;
  const shown = fields.slice(0, FIELDS_IN_CELL);
  const more = fields.length - shown.length + (counts.changesLeftOut ?? 0);
  return (
    <>
      {shown.map((field) => (
        <div key={field.path} class="field">
          <Field {...field} />
        </div>
      ))}
      {more > 0 && <div class="muted">{`and ${number(more)} more`}</div>}
    </>
  );
}

/** All changed fields of a configuration. */
export function FieldsCard({ record }: { readonly record: AuditRecord }): VNode | null {
  const { changes: fields = [], counts = {} } = record;
  if (fields.length === 0) return null;
  const { changesLeftOut = 0 } = counts;
  return (
    <section class="card" aria-labelledby="fields">
      <h2 id="fields">Changed fields</h2>
      <ul class="fields">
        {fields.map((field) => (
          <li key={field.path}>
            <Field {...field} />
          </li>
        ))}
      </ul>
      {changesLeftOut > 0 && (
        <p class="muted">{`${pluralize(changesLeftOut, 'other field')} changed too.`}</p>
      )}
    </section>
  );
}

export function Field({ path, before, after }: FieldChange): VNode {
  return (
    <>
      <code class="name">{path}</code>
      {': '}
      <FieldValue text={before} />
      {' → '}
      <FieldValue text={after} />
    </>
  );
}

function FieldValue({ text }: { readonly text?: string | undefined }): VNode {
  return text === undefined ? <span class="muted">none</span> : <code>{text}</code>;
}

/** The facts that only the records of reads and of configurations have. */
export function extraFacts({
  count,
  since,
  configHash,
  revision,
}: AuditRecord): readonly (readonly [string, ComponentChildren])[] {
  return [
    ['Failed reads', count === undefined ? undefined : number(count)],
    ['Failing since', since === undefined ? undefined : <Time at={since} long />],
    ['Revision', revision],
    ['Configuration hash', configHash === undefined ? undefined : <code class="hash">{configHash}</code>],
  ];
}

import type { ComponentChildren, VNode } from 'preact';
import { get } from '../api.ts';
import { actorText, BothTimes, milliseconds, number } from '../format.tsx';
import { Badge, State } from '../parts/badge.tsx';
import { RollBack } from '../parts/pins.tsx';
import { extraFacts, FieldsCard } from '../parts/record-details.tsx';
import { Review } from '../parts/review.tsx';
import { MappingLink, RecordLink, SourceLink, Subject, TargetLink } from '../parts/subject.tsx';
import { Facts, Table } from '../parts/table.tsx';
import { Verification } from '../parts/verification.tsx';
import { link } from '../router.ts';
import type { AuditRecord, RecordDetail } from '../types.ts';
import { defineView } from '../view.ts';

export const recordView = defineView<RecordDetail>({
  title: ({ path }) => `Record ${path[1] ?? ''}`,
  refresh: 'never',
  load: ({ path }, signal) =>
    get('/api/v1/audit/records/{sequence}', { path: { sequence: path[1] ?? '' }, signal }),
  Show: ({ data: record }) => (
    <>
      <Steps record={record} />
      <div class="halves">
        <Halves record={record} other={record.counterpart} />
      </div>
      <KeysCard keys={record.keys} />
      <FieldsCard record={record} />
      <ValuesCard values={record.values} />
      <SourcesCard sources={record.sources} />
      <RollBack record={record} />
      {record.action !== 'review' && <Review record={record} />}
      <ChainCard record={record} />
    </>
  ),
});

function Steps({ record }: { readonly record: RecordDetail }): VNode {
  const { previous, next } = record.chain;
  return (
    <nav class="steps" aria-label="Neighboring records">
      {previous !== undefined && <a href={link(['records', previous])}>← Record {previous}</a>}
      <a href={link(['records'])}>All records</a>
      {next !== undefined && <a href={link(['records', next])}>Record {next} →</a>}
    </nav>
  );
}

function Halves({
  record,
  other,
}: {
  readonly record: AuditRecord;
  readonly other: AuditRecord | undefined;
}): VNode {
  if (record.phase === undefined) return <Half title="Details" shown={record} current={record} />;
  const [intent, outcome] = record.phase === 'intent' ? [record, other] : [other, record];
  return (
    <>
      {intent === undefined ? (
        <Missing title="Intent" text="The intent record was removed by the retention." />
      ) : (
        <Half title="Intent" shown={intent} current={record} />
      )}
      {outcome === undefined ? (
        <Missing
          title="Outcome"
          text="There is no outcome yet: the change is running, or the cluster could not be read after a crash."
        />
      ) : (
        <Half title="Outcome" shown={outcome} current={record} />
      )}
    </>
  );
}

function Missing({ title, text }: { readonly title: string; readonly text: string }): VNode {
  return (
    <section class="card">
      <h2>{title}</h2>
      <p class="muted">{text}</p>
    </section>
  );
}

interface HalfProps {
  readonly title: string;
  readonly shown: AuditRecord;
  readonly current: AuditRecord;
}

function Half({ title, shown, current }: HalfProps): VNode {
  const isCurrent = shown === current;
  return (
    <section class={`card${isCurrent ? ' current' : ''}`}>
      <h2>
        {title}
        {!isCurrent && (
          <span class="aside">
            <RecordLink sequence={shown.sequence} />
          </span>
        )}
      </h2>
      <Facts pairs={[...subjectFacts(shown), ...runFacts(shown)]} />
    </section>
  );
}

type Pairs = readonly (readonly [string, ComponentChildren])[];

function subjectFacts(shown: AuditRecord): Pairs {
  const { actor, namespace, secret, mapping, store, review, note } = shown;
  return [
    ['Time', <BothTimes at={shown.time} />],
    ['Action', shown.action],
    ['Outcome', shown.phase === 'intent' ? undefined : <State word={shown.outcome} code={shown.code} />],
    [
      'Actor',
      <span>
        {actorText(actor)}
        {actor.address !== undefined && <span class="muted">{` from ${actor.address}`}</span>}
      </span>,
    ],
    ['Mapping', mapping && <MappingLink name={mapping} />],
    ['Target', namespace && secret && <TargetLink namespace={namespace} secret={secret} />],
    ['Source', store && <SourceLink store={store} source={shown.key} />],
    ['Review of', review && <Subject record={shown} />],
    ['New state', review && <Badge word={review.state} />],
    ['Note', note && <q class="note">{note}</q>],
  ];
}

function runFacts(shown: AuditRecord): Pairs {
  const { requestId } = shown;
  const { changesLeftOut: _, ...counts } = shown.counts ?? {};
  return [
    ...Object.entries(counts).map(([name, count]) => [name, number(count)] as const),
    ...extraFacts(shown),
    ['Before', shown.before && <Fingerprint text={shown.before} />],
    ['After', shown.after && <Fingerprint text={shown.after} />],
    ['Object version', shown.resourceVersion],
    [
      'Request',
      <a href={link(['records'], { request: requestId })}>
        <code>{requestId}</code>
      </a>,
    ],
    ['Attempt', String(shown.attempt)],
    ['Duration', shown.phase === 'intent' ? undefined : milliseconds(shown.durationMs)],
    ['Instance and replica', `${shown.instance}, ${shown.replica}`],
  ];
}

/** Links a fingerprint to the records that contain it. */
function Fingerprint({ text }: { readonly text: string }): VNode {
  return (
    <a href={link(['records'], { fingerprint: text })} title="Find records with this fingerprint">
      <code class="hash">{text}</code>
    </a>
  );
}

function KeysCard({ keys }: { readonly keys: AuditRecord['keys'] }): VNode | null {
  const pairs = Object.entries(keys).filter(([, names]) => names.length > 0);
  if (pairs.length === 0) return null;
  return (
    <section class="card" aria-labelledby="keys">
      <h2 id="keys">Keys</h2>
      <Facts
        pairs={pairs.map(([change, names]) => [
          change,
          <ul class="names">
            {names.map((name) => (
              <li key={name}>
                <code>{name}</code>
              </li>
            ))}
          </ul>,
        ])}
      />
    </section>
  );
}

function ValuesCard({ values = {} }: { readonly values: AuditRecord['values'] | undefined }): VNode | null {
  const pairs = Object.entries(values);
  if (pairs.length === 0) return null;
  return (
    <section class="card" aria-labelledby="values">
      <h2 id="values">Values</h2>
      <p class="muted">Keyed fingerprints. Follow one to find the records with the same value.</p>
      <Facts pairs={pairs.map(([key, text]) => [key, <Fingerprint text={text} />])} />
    </section>
  );
}

function SourcesCard({ sources }: Pick<AuditRecord, 'sources'>): VNode | null {
  if (sources.length === 0) return null;
  return (
    <section class="card" aria-labelledby="sources">
      <h2 id="sources">Sources</h2>
      <Table
        caption="Sources"
        columns={[
          {
            title: 'Source',
            kind: 'head',
            cell: ({ store, key }) => <SourceLink store={store} source={key} />,
          },
          { title: 'Property', cell: ({ property = '' }) => property },
          { title: 'Version', cell: ({ version = '' }) => <code class="hash">{version}</code> },
        ]}
        rows={sources}
        keyOf={(source) => JSON.stringify(source)}
      />
    </section>
  );
}

function ChainCard({ record }: { readonly record: RecordDetail }): VNode {
  const { sequence, hash, previousHash, chain } = record;
  return (
    <section class="card" aria-labelledby="chain">
      <h2 id="chain">
        Place in the chain <Badge word={chain.fits ? 'intact' : 'damaged'} />
      </h2>
      <p class="muted">
        {chain.fits
          ? 'The hash matches the content, and the records before and after link correctly.'
          : 'The hash, the content and the neighboring records do not match.'}
      </p>
      <Facts
        pairs={[
          ['Record', `${number(sequence)} of ${number(chain.head)}`],
          ['Hash', <code class="hash">{hash}</code>],
          ['Previous hash', <code class="hash">{previousHash}</code>],
        ]}
      />
      <Verification sequence={sequence} />
    </section>
  );
}

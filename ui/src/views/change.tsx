import type { ComponentChildren, VNode } from 'preact';
import { get } from '../api.ts';
import { actorText, BothTimes, milliseconds } from '../format.tsx';
import { State } from '../parts/badge.tsx';
import { ChangeSubject, Keys, Outcome, Versions, Why } from '../parts/change.tsx';
import { RollBack } from '../parts/pins.tsx';
import { FieldsCard } from '../parts/record-details.tsx';
import { Review } from '../parts/review.tsx';
import { MappingLink, RecordLink } from '../parts/subject.tsx';
import { Facts } from '../parts/table.tsx';
import { link } from '../router.ts';
import type { Change, ChangeDetail } from '../types.ts';
import { defineView } from '../view.ts';

export const changeView = defineView<ChangeDetail>({
  title: ({ path }) => `Change ${path[1] ?? ''}`,
  refresh: 'never',
  async load({ path }, signal) {
    const change = await changeAt(path[1] ?? '', signal);
    // A review and a rollback are about the record that stands for the change.
    return change.sequence === change.record.sequence ? change : changeAt(change.sequence, signal);
  },
  Show: ({ data: change }) => (
    <>
      <p class="lead headline">
        <strong>{change.action}</strong> <ChangeSubject change={change} /> <Outcome change={change} />
      </p>
      <div class="halves">
        <Circumstances change={change} />
        <Effect change={change} />
      </div>
      <FieldsCard record={change.record} />
      <Restarts restarts={change.restarts} />
      <RollBack record={change.record} />
      {change.action !== 'review' && <Review record={change.record} />}
    </>
  ),
});

function changeAt(sequence: string | number, signal: AbortSignal): Promise<ChangeDetail> {
  return get('/api/v1/changes/{sequence}', { path: { sequence }, signal });
}

function Circumstances({ change }: { readonly change: Change }): VNode {
  const { time, durationMs, outcome, actor, mapping, requestId, records, note } = change;
  const pairs: readonly (readonly [string, ComponentChildren])[] = [
    ['Time', <BothTimes at={time} />],
    ['Took', outcome === 'pending' ? 'not finished' : milliseconds(durationMs)],
    ['Why', <Why change={change} />],
    ['Actor', actorText(actor)],
    ['Mapping', mapping && <MappingLink name={mapping} />],
    ['Note', note && <q class="note">{note}</q>],
    [
      'Same request',
      <a href={link(['changes'], { request: requestId })}>
        <code>{requestId}</code>
      </a>,
    ],
    [
      'Records',
      <span class="record-links">
        {records.map((sequence) => (
          <RecordLink key={sequence} sequence={sequence} />
        ))}
      </span>,
    ],
  ];
  return (
    <section class="card" aria-labelledby="facts">
      <h2 id="facts">Who, when and why</h2>
      <Facts pairs={pairs} />
    </section>
  );
}

const EFFECT_TITLES: Readonly<Record<Change['outcome'], string>> = {
  ok: 'What changed',
  pending: 'What may have changed',
  held: 'What would change',
  failed: 'What would have changed',
  refused: 'What would have changed',
};

function Effect({ change }: { readonly change: Change }): VNode {
  const { keys, sources } = change;
  const kept = keys.filter((key) => key.change === 'kept');
  return (
    <section class="card" aria-labelledby="effect">
      <h2 id="effect">{EFFECT_TITLES[change.outcome]}</h2>
      {keys.length === kept.length ? (
        <p class="muted">
          {change.secret === undefined ? 'This changed no Secret.' : 'No data of the Secret changed.'}
        </p>
      ) : (
        <Keys change={change} />
      )}
      {kept.length > 0 && <p class="muted">{`Unchanged: ${kept.map(({ name }) => name).join(', ')}`}</p>}
      {sources.length > 0 && (
        <>
          <h3>From these versions</h3>
          <Versions change={change} />
        </>
      )}
      {keys.length + sources.length > 0 && (
        <p class="muted hint">
          A fingerprint leads to everything that had the same value. A version leads to what the version
          reached.
        </p>
      )}
    </section>
  );
}

function Restarts({ restarts }: Pick<Change, 'restarts'>): VNode | null {
  if (restarts.length === 0) return null;
  return (
    <section class="card" aria-labelledby="restarts">
      <h2 id="restarts">Restarted workloads</h2>
      <ul class="plain-list">
        {restarts.map(({ kind, name, outcome, code }) => (
          <li key={`${kind} ${name}`}>
            {`${kind} ${name} `}
            <State word={outcome} code={code} />
          </li>
        ))}
      </ul>
    </section>
  );
}

import type { ComponentChildren, VNode } from 'preact';
import { actorText, number, pluralize, Time } from '../format.tsx';
import { link } from '../router.ts';
import type { Change } from '../types.ts';
import { State } from './badge.tsx';
import { Field } from './record-details.tsx';
import { PersonLink, SourceLink, TargetLink } from './subject.tsx';

// The parts of a change, for rows, timelines and its own page.

/** What happened, as a link to the change: the action and its subject. */
export function What({ change }: { readonly change: Change }): VNode {
  const { action, sequence, count } = change;
  return (
    <span class="what">
      <a href={link(['changes', sequence])} class="action">
        {action}
      </a>{' '}
      <ChangeSubject change={change} />
      {count > 1 && (
        <span class="times" title="Equal facts that follow each other">{`×${number(count)}`}</span>
      )}
    </span>
  );
}

/** Returns the accessible name of a change. */
export function nameOfChange({ action, namespace, secret, store, key, sequence }: Change): string {
  if (namespace !== undefined && secret !== undefined)
    return `${action} ${namespace}/${secret}, #${sequence}`;
  return store === undefined
    ? `${action}, #${sequence}`
    : `${action} ${store}${key === undefined ? '' : `: ${key}`}, #${sequence}`;
}

export function ChangeSubject({ change }: { readonly change: Change }): VNode | null {
  const { namespace, secret, store, key, configuration, reviewOf } = change;
  if (namespace !== undefined && secret !== undefined)
    return <TargetLink namespace={namespace} secret={secret} />;
  if (store !== undefined) return <SourceLink store={store} source={key} />;
  if (reviewOf !== undefined)
    return (
      <a href={link(['changes', reviewOf])} class="name">
        <span class="muted">{'of '}</span>
        {`#${reviewOf}`}
      </a>
    );
  if (configuration?.revision !== undefined)
    return <span class="name">{`revision ${configuration.revision}`}</span>;
  return null;
}

export function Outcome({ change: { outcome, code } }: { readonly change: Change }): VNode {
  return <State word={outcome} code={code} />;
}

/** The part of a fingerprint that tells it apart from the others on the page. */
const SHORT = 8;

/** A keyed fingerprint, as a link to everything that had the same value. */
export function Print({ text }: { readonly text: string }): VNode {
  const short = text.slice(text.indexOf(':') + 1).slice(0, SHORT);
  return (
    <a href={link(['records'], { fingerprint: text })} class="print" title="Where has this value been?">
      <code>{short}</code>
    </a>
  );
}

const SIGNS = { added: '+', changed: '~', removed: '−', kept: '=' } as const;

interface KeysProps {
  readonly change: Change;
  /** Shows at most this number of keys. */
  readonly limit?: number;
}

/** The keys of a change, each with the fingerprint before and after. */
export function Keys({ change, limit = Number.POSITIVE_INFINITY }: KeysProps): VNode | null {
  const keys = change.keys.filter((key) => key.change !== 'kept');
  if (keys.length === 0) return null;
  const shown = keys.slice(0, limit);
  return (
    <ul class="diff">
      {shown.map((key) => (
        <li key={key.name} class={key.change}>
          <span class="visually-hidden">{`${key.change}: `}</span>
          <span aria-hidden="true">{SIGNS[key.change]}</span> <code>{key.name}</code>
          {(key.before !== undefined || key.after !== undefined) && (
            <span class="prints">
              {key.before === undefined ? '' : <Print text={key.before} />}
              {key.before !== undefined && key.after !== undefined && ' → '}
              {key.after === undefined ? '' : <Print text={key.after} />}
            </span>
          )}
        </li>
      ))}
      {keys.length > shown.length && (
        <li class="more">
          <a href={link(['changes', change.sequence])}>{`and ${number(keys.length - shown.length)} more`}</a>
        </li>
      )}
    </ul>
  );
}

/** The versions of the sources, before and after. Each source appears once. */
export function Versions({ change }: { readonly change: Change }): VNode | null {
  const sources = new Map(
    change.sources.map((source) => [JSON.stringify([source.store, source.key, source.version]), source]),
  );
  if (sources.size === 0) return null;
  return (
    <ul class="versions-line">
      {[...sources].map(([id, { store, key, version, previousVersion }]) => (
        <li key={id}>
          <SourceLink store={store} source={key} />{' '}
          {previousVersion !== undefined && (
            <>
              <Version store={store} source={key} version={previousVersion} />
              {' → '}
            </>
          )}
          <Version store={store} source={key} version={version} />
        </li>
      ))}
    </ul>
  );
}

interface VersionProps {
  readonly store: string;
  readonly source: string;
  readonly version: string;
}

/** A version of a source, as a link to what the version reached. */
export function Version({ store, source, version }: VersionProps): VNode {
  const short = version.length > 14 ? `${version.slice(0, 8)}…` : version;
  return (
    <a
      href={link(['sources', store, source], { version })}
      class="print"
      title={`What did version ${version} reach?`}
    >
      <code>{short}</code>
    </a>
  );
}

const CAUSES: Readonly<Record<Exclude<Change['cause']['kind'], 'unknown'>, string>> = {
  schedule: 'schedule',
  event: 'event of the store',
  drift: 'drift: changed by somebody else',
  person: 'a person',
  configuration: 'configuration',
  recovery: 'recovery after a crash',
};

/** Why a change was made, and who took part. */
export function Why({ change }: { readonly change: Change }): VNode {
  const { cause, actor, people = [] } = change;
  return (
    <span class="why">
      <Cause cause={cause} actor={actor} />
      {people.map(({ role, name, sequence }) => (
        <span key={sequence} class="muted">
          {`, ${role} by `}
          <PersonLink name={name} />
        </span>
      ))}
    </span>
  );
}

function Cause({ cause, actor }: Pick<Change, 'cause' | 'actor'>): ComponentChildren {
  const { kind, sequence, revision, changes = [] } = cause;
  if (kind === 'person')
    return actor.name === undefined ? actorText(actor) : <PersonLink name={actor.name} />;
  if (kind === 'configuration') {
    const text = `configuration${revision === undefined ? '' : ` ${revision}`}`;
    const fields = changes.length === 0 ? '' : ` (${pluralize(changes.length, 'field')})`;
    return (
      <>
        {sequence === undefined ? text : <a href={link(['changes', sequence])}>{text}</a>}
        <span class="muted" title={changes.map(({ path }) => path).join(', ')}>
          {fields}
        </span>
      </>
    );
  }
  const by = actor.name === undefined ? '' : ` from ${actor.name}`;
  if (kind === 'unknown') return actorText(actor);
  return kind === 'event' ? `event${by}` : CAUSES[kind];
}

const FIELDS_IN_ROW = 2;

/** What changed: keys, fields of the configuration, counts, the note. */
export function Effects({ change, limit = 3 }: KeysProps): VNode {
  const { configuration, counts = {}, note, action, restarts, since, count } = change;
  const fields = configuration?.changes ?? [];
  const words = Object.entries(counts)
    .filter(([name, amount]) => name !== 'changesLeftOut' && amount > 0)
    .map(([name, amount]) => `${number(amount)} ${name}`);
  return (
    <>
      <Keys change={change} limit={limit} />
      {fields.slice(0, FIELDS_IN_ROW).map((field) => (
        <div key={field.path} class="field">
          <Field {...field} />
        </div>
      ))}
      {fields.length > FIELDS_IN_ROW && (
        <a href={link(['changes', change.sequence])}>{`and ${number(fields.length - FIELDS_IN_ROW)} more`}</a>
      )}
      <Versions change={change} />
      {restarts.length > 0 && <span class="muted">{restartText(restarts)}</span>}
      {words.length > 0 && <span class="muted">{words.join(', ')}</span>}
      {count > 1 && since !== undefined && (
        <span class="muted">
          since <Time at={since} />
        </span>
      )}
      {note !== undefined && action !== 'read' && <q class="note">{note}</q>}
      {!hasEffect(change) && WRITES.includes(action) && <span class="muted">no data changed</span>}
    </>
  );
}

function restartText(restarts: Change['restarts']): string {
  const [first] = restarts;
  if (restarts.length === 1 && first !== undefined) return `restarted ${first.kind} ${first.name}`;
  return `restarted ${pluralize(restarts.length, 'workload')}`;
}

export function reviewState({ review }: Change): string {
  return review?.state ?? 'unreviewed';
}

/** The actions that write a Secret. */
const WRITES: readonly string[] = ['create', 'update', 'repair', 'adopt', 'delete'];

function hasEffect({ keys, configuration, note, restarts, sources }: Change): boolean {
  const isChanged = keys.some(({ change }) => change !== 'kept');
  return (
    isChanged || configuration !== undefined || note !== undefined || restarts.length + sources.length > 0
  );
}

import { isLoopback } from '../../core/loopback.ts';
import { entriesOf, listOf, memberOf, storeNamesIn, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import { didYouMean, type Finding, type Path, quoted } from '../problem.ts';
import { findDuplicateNames } from './names.ts';

/** The store kinds that each kind of event source supports. `undefined`: any kind. */
const STORE_KINDS_OF: Readonly<Record<string, readonly string[] | undefined>> = {
  sqs: ['aws-secrets-manager', 'aws-parameter-store'],
  eventGrid: ['azure-key-vault'],
  vault: ['vault'],
  webhooks: undefined,
};

interface Entry {
  readonly kind: string;
  readonly value: unknown;
  readonly path: Path;
}

/** Checks the names of event sources, and the authentication of their events. */
export function checkEvents(root: Located): readonly Finding[] {
  const entries = entriesIn(root);
  return [...findDuplicateNames(root, entries), ...entries.flatMap(checkProof)];
}

/** Checks the store names and the queue addresses of event sources. */
export function checkEventStores(root: Located): readonly Finding[] {
  return entriesIn(root).flatMap((entry) => [
    ...storesIn(entry).flatMap(([name, path]) => checkStore(root, entry, name, path)),
    ...checkQueue(root, entry),
  ]);
}

function entriesIn(root: Located): readonly Entry[] {
  const events = memberOf(root.value, 'events');
  return Object.keys(STORE_KINDS_OF).flatMap((kind) =>
    entriesOf(memberOf(events, kind)).map(
      ([index, value]): Entry => ({ kind, value, path: ['events', kind, index] }),
    ),
  );
}

function storesIn({ value, path }: Entry): readonly (readonly [string, Path])[] {
  const single = textOf(value, 'store');
  const several = entriesOf(memberOf(value, 'stores')).flatMap(([at, name]): [string, Path][] =>
    typeof name === 'string' ? [[name, [...path, 'stores', at]]] : [],
  );
  return [...(single === undefined ? [] : [[single, [...path, 'store']] as const]), ...several];
}

function checkStore(root: Located, { kind }: Entry, name: string, path: Path): readonly Finding[] {
  if (name === '') return []; // The schema already reports an empty or missing name.
  const stores = listOf(root, 'stores');
  const store = stores.find((candidate) => textOf(candidate, 'name') === name);
  if (store === undefined) {
    const names = storeNamesIn(root);
    if (names === undefined) return [];
    return [{ ...invalid(path, `there is no store ${quoted(name)}`), ...didYouMean(name, names) }];
  }
  const expectedKinds = STORE_KINDS_OF[kind];
  const actualKind = textOf(store, 'kind');
  if (expectedKinds === undefined || actualKind === undefined || expectedKinds.includes(actualKind))
    return [];
  const kinds = expectedKinds.map((one) => quoted(one)).join(' or ');
  return [invalid(path, `expected a store of kind ${kinds}, but ${quoted(name)} has another kind`)];
}

/** Checks the queue address, because requests to the queue carry the session token of the store's login. */
function checkQueue(root: Located, { kind, value, path: entry }: Entry): readonly Finding[] {
  const queueUrl = textOf(value, 'queueUrl');
  if (kind !== 'sqs' || queueUrl === undefined) return [];
  const path = [...entry, 'queueUrl'];
  const url = URL.parse(queueUrl);
  if (url === null) return []; // The schema already reports an invalid URL.
  const store = listOf(root, 'stores').find(
    (candidate) => textOf(candidate, 'name') === textOf(value, 'store'),
  );
  if (url.protocol === 'http:' && !isLoopback(queueUrl) && memberOf(store, 'allowHttp') !== true)
    return [
      invalid(
        path,
        'expected https; http is allowed on loopback only, or with `allowHttp: true` in its store',
      ),
    ];
  if (!/^\/[^/]+\/[^/]+$/.test(url.pathname) || url.search !== '' || url.hash !== '')
    return [
      invalid(
        path,
        'expected the URL of a queue, such as https://sqs.eu-west-1.amazonaws.com/123456789012/name',
      ),
    ];
  return [];
}

/**
 * Checks that an Event Grid source sets exactly one of `key` and `entra`. Without both, anyone could send events. With
 * both, it is unclear which one applies.
 */
function checkProof({ kind, value, path }: Entry): readonly Finding[] {
  if (kind !== 'eventGrid' || typeof value !== 'object' || value === null) return [];
  const proofs = ['key', 'entra'].filter((name) => memberOf(value, name) !== undefined);
  return proofs.length === 1 ? [] : [invalid(path, 'expected either `key` or `entra`')];
}

function invalid(path: Path, message: string): Finding {
  return { path, code: 'CONFIG_INVALID', message };
}

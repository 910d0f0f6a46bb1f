import { isLoopback } from '../../core/loopback.ts';
import { entriesOf, listOf, memberOf, storeNamesIn, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import { didYouMean } from '../nearest.ts';
import { type Finding, type Path, quoted } from '../problem.ts';
import { namedTwice } from './named-twice.ts';

/** Of which kind the store of an intake must be; any where nothing is said. */
const STORE_OF: Readonly<Record<string, string | undefined>> = {
  sqs: 'aws-secrets-manager',
  eventGrid: 'azure-key-vault',
  vault: 'vault',
  webhooks: undefined,
};

interface Entry {
  readonly kind: string;
  readonly value: unknown;
  readonly path: Path;
}

/** Names of intakes, and what proves an event. */
export function checkEvents(root: Located): readonly Finding[] {
  const entries = entriesIn(root);
  return [...namedTwice(root, entries), ...entries.flatMap(checkProof)];
}

/** The stores that intakes speak of, and where queues are. */
export function checkEventStores(root: Located): readonly Finding[] {
  return entriesIn(root).flatMap((entry) => [
    ...storesIn(entry).flatMap(([name, path]) => checkStore(root, entry, name, path)),
    ...checkQueue(root, entry),
  ]);
}

function entriesIn(root: Located): readonly Entry[] {
  const events = memberOf(root.value, 'events');
  return Object.keys(STORE_OF).flatMap((kind) =>
    entriesOf(memberOf(events, kind)).map(
      ([index, value]): Entry => ({ kind, value, path: ['events', kind, index] }),
    ),
  );
}

function storesIn({ value, path }: Entry): readonly (readonly [string, Path])[] {
  const one = textOf(value, 'store');
  const several = entriesOf(memberOf(value, 'stores')).flatMap(([at, name]): [string, Path][] =>
    typeof name === 'string' ? [[name, [...path, 'stores', at]]] : [],
  );
  return [...(one === undefined ? [] : [[one, [...path, 'store']] as const]), ...several];
}

function checkStore(root: Located, { kind }: Entry, name: string, path: Path): readonly Finding[] {
  if (name === '') return []; // said by the schema
  const stores = listOf(root, 'stores');
  const store = stores.find((it) => textOf(it, 'name') === name);
  if (store === undefined) {
    const names = storeNamesIn(root);
    if (names === undefined) return [];
    return [{ ...invalid(path, `there is no store ${quoted(name)}`), ...didYouMean(name, names) }];
  }
  const wanted = STORE_OF[kind];
  const is = textOf(store, 'kind');
  if (wanted === undefined || is === undefined || is === wanted) return [];
  return [invalid(path, `expected a store of kind ${quoted(wanted)}; ${quoted(name)} is of another kind`)];
}

/** The session token of the store's login travels there. */
function checkQueue(root: Located, { kind, value, path: entry }: Entry): readonly Finding[] {
  const queueUrl = textOf(value, 'queueUrl');
  if (kind !== 'sqs' || queueUrl === undefined) return [];
  const path = [...entry, 'queueUrl'];
  const url = URL.parse(queueUrl);
  if (url === null) return []; // said by the schema
  const store = listOf(root, 'stores').find((it) => textOf(it, 'name') === textOf(value, 'store'));
  if (url.protocol === 'http:' && !isLoopback(queueUrl) && memberOf(store, 'allowHttp') !== true)
    return [
      invalid(path, 'expected https; http is for loopback only, or with `allowHttp: true` of its store'),
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

/** Without either of them anybody could send events, and with both it is not clear which one counts. */
function checkProof({ kind, value, path }: Entry): readonly Finding[] {
  if (kind !== 'eventGrid' || typeof value !== 'object' || value === null) return [];
  const given = ['key', 'entra'].filter((name) => memberOf(value, name) !== undefined);
  return given.length === 1 ? [] : [invalid(path, 'expected either `key` or `entra`')];
}

function invalid(path: Path, message: string): Finding {
  return { path, code: 'CONFIG_INVALID', message };
}

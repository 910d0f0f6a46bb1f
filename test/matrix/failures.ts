import type { ErrorCode } from '../../src/core/error-codes.ts';
import type { Deadline } from '../../src/providers/timing.ts';
import type { Fault as AzureFault } from '../fakes/azure-server/faults.ts';
import type { Fault as ProxyFault } from '../fakes/fault-proxy.ts';

/** What every store is put through, unless its kind cannot have it. */
export const FAILURES = [
  '401',
  '403',
  'wrong mount',
  'absent',
  'absence that cannot be confirmed',
  'disabled',
  'deleted, recoverable',
  '429',
  '429 with Retry-After',
  '500',
  '503',
  'timeout',
  'reset',
  'reset in the body',
  'cut JSON',
  'HTML or wrong content type',
  'another answer',
  'TLS of another name',
  'expired certificate',
  'DNS',
] as const;
export type Failure = (typeof FAILURES)[number];

export interface Fault<Store> {
  readonly failure: Failure;
  readonly title: string;
  /** The whole store, or the keys whose name has `gone` in it. */
  readonly scope: 'store' | 'key';
  /** What each target that reads from there must report. */
  readonly code: ErrorCode;
  begin(store: Store): void | Promise<void>;
}

/** A store as the matrix uses it: its keys hold text, and behind its address all can go wrong. */
export interface MatrixStore extends AsyncDisposable {
  readonly config: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
  readonly deadline?: (ms: number) => Deadline;
  /** A name with `/`, as this kind of store may have it. */
  key(name: string): string;
  put(key: string, text: string): void | Promise<void>;
  /** Nothing is wrong from now on. What was done to keys is mended by putting them again. */
  heal(): void | Promise<void>;
}

export interface MatrixKind<Store extends MatrixStore = MatrixStore> {
  readonly title: string;
  readonly faults: readonly Fault<Store>[];
  /** The failures that this kind of store cannot have, each with its reason. */
  readonly never: Partial<Readonly<Record<Failure, string>>>;
  open(): Promise<Store>;
}

/** Keeps the faults and the store of a kind together, so that a list of kinds has one type. */
export function defineKind<Store extends MatrixStore>(kind: MatrixKind<Store>): MatrixKind {
  return kind as unknown as MatrixKind;
}

const HTML = 'HTML or wrong content type';
const OTHER = 'another answer';

type Canned = Exclude<ProxyFault | AzureFault, 'endless' | 'unavailable, endless'>;

/** Which failure each canned fault is. The endless ones take long, and the conformance suite has them. */
export const CANNED: Readonly<Record<Canned, Failure>> = {
  'bad request': OTHER,
  unauthorized: '401',
  forbidden: '403',
  'forbidden by the firewall': '403',
  'forbidden, in HTML': HTML,
  'wrong mount': 'wrong mount',
  'not found, in HTML': HTML,
  'not found, elsewhere': OTHER,
  'no such vault': OTHER,
  'no such resource': OTHER,
  'being deleted': OTHER,
  'not allowed': OTHER,
  'not up to date': OTHER,
  throttled: '429',
  'throttled, for 2 seconds': '429 with Retry-After',
  'throttled, until a date': '429 with Retry-After',
  'throttled, for an hour': '429 with Retry-After',
  'throttled, in Latin-1': '429 with Retry-After',
  standby: OTHER,
  'server error': '500',
  'bad gateway, in HTML': HTML,
  unavailable: '503',
  'unavailable, for 2 seconds': '503',
  sealed: '503',
  'sealed, as its health says': '503',
  hang: 'timeout',
  'hang in the body': 'timeout',
  reset: 'reset',
  'reset in the body': 'reset in the body',
  cut: 'cut JSON',
  'cut, without a length': 'cut JSON',
  'not HTTP': OTHER,
  redirect: OTHER,
  html: HTML,
  'wrong content type': HTML,
  'invalid JSON': 'cut JSON',
  'another JSON': OTHER,
  'not UTF-8': OTHER,
  empty: OTHER,
};

/** The faults of a list of codes, for the whole store or for the keys with `gone` in their name. */
export function canned<Name extends string, Store>(
  codes: Readonly<Record<Name, ErrorCode>>,
  scope: 'store' | 'key',
  begin: (store: Store, fault: Name) => void,
): readonly Fault<Store>[] {
  return (Object.keys(codes) as Name[])
    .filter((name): name is Name & Canned => Object.hasOwn(CANNED, name))
    .map((name) => ({
      failure: CANNED[name],
      title: name,
      scope,
      code: codes[name],
      begin: (store: Store) => begin(store, name),
    }));
}

/** How the way to a store can fail, the same for all that are reached over the network. */
export function onTheWay<Store>(
  show: (store: Store, face: 'another name' | 'expired') => void,
  loseName: (store: Store) => void,
): readonly Fault<Store>[] {
  return [
    {
      failure: 'TLS of another name',
      title: 'a certificate of another name',
      scope: 'store',
      code: 'TLS_FAILED',
      begin: (store) => show(store, 'another name'),
    },
    {
      failure: 'expired certificate',
      title: 'a certificate that has expired',
      scope: 'store',
      code: 'TLS_FAILED',
      begin: (store) => show(store, 'expired'),
    },
    {
      failure: 'DNS',
      title: 'a name that cannot be resolved',
      scope: 'store',
      code: 'STORE_UNAVAILABLE',
      begin: loseName,
    },
  ];
}

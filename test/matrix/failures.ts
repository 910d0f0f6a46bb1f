import type { ErrorCode } from '../../src/core/error-codes.ts';
import type { Deadline } from '../../src/providers/timing.ts';
import type { Fault as AzureFault } from '../fakes/azure-server/faults.ts';
import type { Fault as ProxyFault } from '../fakes/fault-proxy.ts';

/** The failures with which each store is tested, except failures that its kind cannot have. */
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
  'connection reset in the body',
  'truncated JSON',
  'HTML or wrong content type',
  'unexpected response',
  'certificate for another name',
  'expired certificate',
  'DNS',
] as const;
export type Failure = (typeof FAILURES)[number];

export interface Fault<Store> {
  readonly failure: Failure;
  readonly title: string;
  /** The affected part: the whole store, or the keys with `gone` in their name. */
  readonly scope: 'store' | 'key';
  /** The code that each affected target must report. */
  readonly code: ErrorCode;
  begin(store: Store): void | Promise<void>;
}

/** A store for the matrix. It contains text values, and the test can set any fault on it. */
export interface MatrixStore extends AsyncDisposable {
  readonly config: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
  readonly deadline?: (ms: number) => Deadline;
  /** A key that contains `/` if this kind of store allows it. */
  key(name: string): string;
  put(key: string, text: string): void | Promise<void>;
  /** Removes all faults and restores changed keys. */
  heal(): void | Promise<void>;
}

export interface MatrixKind<Store extends MatrixStore = MatrixStore> {
  readonly title: string;
  readonly faults: readonly Fault<Store>[];
  /** The failures that this kind of store cannot have, each with the reason. */
  readonly never: Partial<Readonly<Record<Failure, string>>>;
  open(): Promise<Store>;
}

/** Hides the concrete store type of a kind, so that all kinds fit into one list. */
export function defineKind<Store extends MatrixStore>(kind: MatrixKind<Store>): MatrixKind {
  return kind as unknown as MatrixKind;
}

const HTML = 'HTML or wrong content type';
const OTHER = 'unexpected response';

type Canned = Exclude<ProxyFault | AzureFault, 'endless' | 'unavailable, endless'>;

/**
 * The failure that each predefined fault represents. Endless responses are missing, because they take long and the
 * conformance suite tests them.
 */
export const CANNED: Readonly<Record<Canned, Failure>> = {
  'bad request': OTHER,
  unauthorized: '401',
  forbidden: '403',
  'blocked by the firewall': '403',
  'forbidden, in HTML': HTML,
  'wrong mount': 'wrong mount',
  'not found, in HTML': HTML,
  'not found at another host': OTHER,
  'no such vault': OTHER,
  'no such resource': OTHER,
  'being deleted': OTHER,
  'not allowed': OTHER,
  'not up to date': OTHER,
  throttled: '429',
  'throttled, for 2 seconds': '429 with Retry-After',
  'throttled until a date': '429 with Retry-After',
  'throttled for an hour': '429 with Retry-After',
  'throttled, in Latin-1': '429 with Retry-After',
  standby: OTHER,
  'server error': '500',
  'bad gateway, in HTML': HTML,
  unavailable: '503',
  'unavailable, for 2 seconds': '503',
  sealed: '503',
  'sealed according to its health': '503',
  hang: 'timeout',
  'hang in the body': 'timeout',
  reset: 'reset',
  'connection reset in the body': 'connection reset in the body',
  cut: 'truncated JSON',
  'truncated without a length': 'truncated JSON',
  'not HTTP': OTHER,
  redirect: OTHER,
  html: HTML,
  'wrong content type': HTML,
  'invalid JSON': 'truncated JSON',
  'another JSON': OTHER,
  'not UTF-8': OTHER,
  empty: OTHER,
};

/**
 * Creates one fault for each code in a list. The faults affect the whole store, or the keys with `gone` in their name.
 */
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

/** Creates the connection faults, which every store that uses the network can have. */
export function onTheWay<Store>(
  show: (store: Store, face: 'another name' | 'expired') => Promise<void>,
  loseName: (store: Store) => void,
): readonly Fault<Store>[] {
  return [
    {
      failure: 'certificate for another name',
      title: 'a certificate for another name',
      scope: 'store',
      code: 'TLS_FAILED',
      begin: (store) => show(store, 'another name'),
    },
    {
      failure: 'expired certificate',
      title: 'an expired certificate',
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

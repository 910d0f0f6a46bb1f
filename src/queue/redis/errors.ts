import { AppError } from '../../core/errors.ts';
import type { QueueHealth } from '../queue.ts';

export interface Trouble {
  readonly state: 'degraded' | 'down';
  readonly detail: string;
  /** Only a person can mend it. */
  readonly person?: true;
}

const UNREACHABLE: Trouble = { state: 'down', detail: 'nothing answers at the address of Redis' };
export const SILENT: Trouble = { state: 'down', detail: 'Redis does not answer in time' };
const UNTRUSTED: Trouble = {
  state: 'down',
  detail: 'the TLS connection to Redis fails: check `engine.tls` and the certificate of the server',
  person: true,
};
const NO_SENTINEL: Trouble = { state: 'down', detail: 'no sentinel answers, or none knows the master' };
const BARRED_BY_SENTINELS: Trouble = {
  state: 'down',
  detail: 'no sentinel accepts `engine.sentinel.password`, or one is wanted and there is none',
  person: true,
};
export const LOST: Trouble = { state: 'down', detail: 'the connection to Redis was lost' };
export const EMPTIED: Trouble = { state: 'down', detail: 'Redis lost its data' };
export const EVICTS: Trouble = {
  state: 'degraded',
  detail: 'Redis may drop jobs when its memory is full: set its `maxmemory-policy` to `noeviction`',
  person: true,
};

export const READONLY: Trouble = {
  state: 'down',
  detail: 'this Redis is a replica, which takes no changes',
};
export const PAUSED: Trouble = {
  state: 'down',
  detail: 'the queue is paused: resume it with the program that has paused it',
  person: true,
};
const BUSY: Trouble = { state: 'down', detail: 'Redis is busy with a script' };
const CLUSTERDOWN: Trouble = { state: 'down', detail: 'the Redis Cluster does not serve all of its slots' };

/** By the word with which Redis begins its error (redis.io, "RESP protocol: simple errors"). */
const REPLIES: Readonly<Record<string, Trouble>> = {
  NOAUTH: {
    state: 'down',
    detail: 'Redis wants user and password, and `engine.url` has none',
    person: true,
  },
  WRONGPASS: {
    state: 'down',
    detail: 'Redis does not accept the user and password of `engine.url`',
    person: true,
  },
  NOPERM: {
    state: 'down',
    detail: 'Redis does not allow the user of `engine.url` what the queue needs: look at its ACL',
    person: true,
  },
  OOM: { state: 'degraded', detail: 'the memory of Redis is full: raise its `maxmemory`' },
  MISCONF: { state: 'degraded', detail: 'Redis cannot write to its disk, and so refuses changes' },
  NOREPLICAS: { state: 'degraded', detail: 'Redis has too few replicas, and so refuses changes' },
  READONLY,
  LOADING: { state: 'down', detail: 'Redis is still reading its data' },
  BUSY,
  MASTERDOWN: { state: 'down', detail: 'this Redis is a replica without its master' },
  CLUSTERDOWN,
};

/** What begins with a mere `ERR`, as an error within a script does, and is over by itself. */
const PASSING: readonly (readonly [part: string, Trouble])[] = [
  ['non local key', { state: 'down', detail: 'the Redis Cluster moves the slot of the queue' }],
  ['the cluster is down', CLUSTERDOWN],
  ['killed by user', BUSY],
  [
    'max number of clients',
    { state: 'down', detail: 'Redis takes no more connections: raise its `maxclients`' },
  ],
];
const UNUSABLE: Trouble = {
  state: 'down',
  detail:
    'Redis refuses a command that the queue needs: it has to be 6.2 or newer, with scripts, and nobody else may ' +
    'write under `engine.prefix`',
  person: true,
};

const CODES: Readonly<Record<string, Trouble>> = {
  ENOTFOUND: { state: 'down', detail: 'the name of the Redis server cannot be resolved' },
  EAI_AGAIN: { state: 'down', detail: 'the name of the Redis server cannot be resolved' },
  ECONNREFUSED: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ETIMEDOUT: SILENT,
};

/** How Node names what OpenSSL does not accept (Node.js, "TLS: X509 certificate error codes"). */
const OF_TLS =
  /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_(TLS|SSL|OSSL)_|EPROTO$|HOSTNAME_MISMATCH$|INVALID_|PATH_LENGTH_)/;

/** What Redis itself said, in words of ours. */
export function refusalOf(thrown: unknown): Trouble | undefined {
  if (!(thrown instanceof Error)) return undefined;
  // A script ends with the reply to one of its commands somewhere in its own.
  const word = /^(?:ERR .*? -)?([A-Z]+)\b/.exec(thrown.message)?.[1];
  const known = REPLIES[word ?? ''];
  if (known !== undefined || thrown.name !== 'ReplyError') return known;
  const passing = PASSING.find(([part]) => thrown.message.includes(part));
  if (passing !== undefined) return passing[1];
  // Whatever else it has against a command, it will have against the next one.
  return word === 'ERR' || word === 'WRONGTYPE' ? UNUSABLE : undefined;
}

/** What a client threw, in words of ours. */
export function troubleOf(thrown: unknown): Trouble {
  if (!(thrown instanceof Error)) return LOST;
  const refusal = refusalOf(thrown);
  if (refusal !== undefined) return refusal;
  const code = 'code' in thrown ? String(thrown.code) : '';
  const known = CODES[code];
  if (known !== undefined) return known;
  if (OF_TLS.test(code)) return UNTRUSTED;
  if (/timed? ?out/i.test(thrown.message)) return SILENT;
  if (thrown.message.includes('ECONNREFUSED')) return UNREACHABLE;
  if (thrown.message.startsWith('All sentinels are unreachable')) return NO_SENTINEL;
  if (thrown.message === ALL_REFUSE) return barOf(thrown.cause) ?? NO_SENTINEL;
  if ('lastNodeError' in thrown && thrown.lastNodeError !== thrown) return troubleOf(thrown.lastNodeError);
  return LOST;
}

/** What was thrown by the last of the sentinels, each of which bars us, is its cause. */
export const ALL_REFUSE = 'All sentinels refuse';

/** Why a sentinel will not have us, or we not it, until a person mends that. */
export function barOf(thrown: unknown): Trouble | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if (/^(NOAUTH|WRONGPASS)\b/.test(thrown.message)) return BARRED_BY_SENTINELS;
  return 'code' in thrown && OF_TLS.test(String(thrown.code)) ? UNTRUSTED : undefined;
}

/** That it says no more than that there is no connection. */
export function saysLittle(trouble: Trouble): boolean {
  return trouble === LOST || trouble === NO_SENTINEL;
}

/** That a right or a command is missing is found when it is used, and not by looking whether Redis answers. */
export function showsInUse(trouble: Trouble): boolean {
  return trouble === REPLIES.NOPERM || trouble === UNUSABLE;
}

export function healthOf({ state, detail, person }: Trouble, cause?: unknown): QueueHealth {
  const code = person ? 'QUEUE_MISCONFIGURED' : 'QUEUE_UNAVAILABLE';
  return { state, error: new AppError(code, { detail, cause }) };
}

export function unavailable(detail: string, cause?: unknown): AppError {
  return new AppError('QUEUE_UNAVAILABLE', { detail, cause });
}

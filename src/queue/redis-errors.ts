/** A failure of Redis. */
export interface QueueFailure {
  readonly state: 'degraded' | 'down';
  readonly detail: string;
  /** An operator must fix the configuration. */
  readonly needsOperator?: true;
  /** The failure only reports a missing connection, without its cause. */
  readonly isUnspecific?: true;
  /** Redis accepts a connection but does not answer. */
  readonly isSilent?: true;
  /**
   * Only normal use of the queue reveals such a failure, for example a missing permission or command. Probes do not
   * reveal it.
   */
  readonly isSeenOnlyInUse?: true;
}

const UNREACHABLE: QueueFailure = { state: 'down', detail: 'no server answers at the address of Redis' };
const SILENT: QueueFailure = {
  state: 'down',
  detail: 'Redis does not answer in time',
  isSilent: true,
};
const UNTRUSTED: QueueFailure = {
  state: 'down',
  detail: 'the TLS connection to Redis fails: check `engine.tls` and the server certificate',
  needsOperator: true,
};
const NO_SENTINEL: QueueFailure = {
  state: 'down',
  detail: 'no sentinel answers, or none knows the master',
  isUnspecific: true,
};
const REFUSED_BY_SENTINELS: QueueFailure = {
  state: 'down',
  detail:
    'no sentinel accepts `engine.sentinel.password`, or the sentinels require a password that is not set',
  needsOperator: true,
};
const LOST: QueueFailure = {
  state: 'down',
  detail: 'the connection to Redis was lost',
  isUnspecific: true,
};
export const EVICTS: QueueFailure = {
  state: 'degraded',
  detail: 'Redis may evict jobs when its memory is full: set its `maxmemory-policy` to `noeviction`',
  needsOperator: true,
};

export const READONLY: QueueFailure = {
  state: 'down',
  detail: 'this Redis is a replica and accepts no writes',
};
const BUSY: QueueFailure = { state: 'down', detail: 'Redis is busy with a script' };
const CLUSTERDOWN: QueueFailure = {
  state: 'down',
  detail: 'the Redis Cluster does not serve all of its slots',
};

/** Redis error codes, the first word of an error reply (redis.io, "RESP protocol: simple errors"). */
const REPLIES: Readonly<Record<string, QueueFailure>> = {
  NOAUTH: {
    state: 'down',
    detail: 'Redis requires a user and password, and `engine.url` contains none',
    needsOperator: true,
  },
  WRONGPASS: {
    state: 'down',
    detail: 'Redis rejects the user and password of `engine.url`',
    needsOperator: true,
  },
  NOPERM: {
    state: 'down',
    detail: 'Redis denies the user of `engine.url` a command or key that the queue needs: check its ACL',
    needsOperator: true,
    isSeenOnlyInUse: true,
  },
  OOM: { state: 'degraded', detail: 'the memory of Redis is full: raise its `maxmemory`' },
  MISCONF: { state: 'degraded', detail: 'Redis cannot write to its disk and rejects writes' },
  NOREPLICAS: { state: 'degraded', detail: 'Redis has too few replicas and rejects writes' },
  READONLY,
  LOADING: { state: 'down', detail: 'Redis is still loading its data' },
  BUSY,
  MASTERDOWN: { state: 'down', detail: 'this Redis is a replica without its master' },
  CLUSTERDOWN,
};

/** Parts of transient error replies that have only the generic code `ERR`, for example errors inside a script. */
const TRANSIENT_REPLIES: readonly (readonly [part: string, QueueFailure])[] = [
  ['non local key', { state: 'down', detail: 'the Redis Cluster is moving the slot of the queue' }],
  ['the cluster is down', CLUSTERDOWN],
  ['killed by user', BUSY],
  [
    'max number of clients',
    { state: 'down', detail: 'Redis accepts no more connections: raise its `maxclients`' },
  ],
];
const UNUSABLE: QueueFailure = {
  state: 'down',
  detail:
    'Redis refuses a command that the queue needs: it must be 6.2 or newer with scripts enabled, and no other program may ' +
    'write under `engine.prefix`',
  needsOperator: true,
  isSeenOnlyInUse: true,
};

const CODES: Readonly<Record<string, QueueFailure>> = {
  ENOTFOUND: { state: 'down', detail: 'the name of the Redis server cannot be resolved' },
  EAI_AGAIN: { state: 'down', detail: 'the name of the Redis server cannot be resolved' },
  ECONNREFUSED: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ETIMEDOUT: SILENT,
};

/** Node.js error codes of OpenSSL failures (Node.js, "TLS: X509 certificate error codes"). */
const TLS_ERROR_CODE =
  /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_(TLS|SSL|OSSL)_|EPROTO$|HOSTNAME_MISMATCH$|INVALID_|PATH_LENGTH_)/;

/** Maps an error reply from Redis to a failure. Returns `undefined` for other errors. */
export function replyFailureOf(thrown: unknown): QueueFailure | undefined {
  if (!(thrown instanceof Error)) return undefined;
  // A script error contains the error reply of the failed command.
  const word = /^(?:ERR .*? -)?([A-Z]+)\b/.exec(thrown.message)?.[1];
  const failure = REPLIES[word ?? ''];
  if (failure !== undefined || thrown.name !== 'ReplyError') return failure;
  const transient = TRANSIENT_REPLIES.find(([part]) => thrown.message.includes(part));
  if (transient !== undefined) return transient[1];
  // Redis would reject the command again.
  return word === 'ERR' || word === 'WRONGTYPE' ? UNUSABLE : undefined;
}

/** Maps any error that a Redis client throws to a failure. */
export function failureOf(thrown: unknown): QueueFailure {
  if (!(thrown instanceof Error)) return LOST;
  const refusal = replyFailureOf(thrown);
  if (refusal !== undefined) return refusal;
  const code = 'code' in thrown ? String(thrown.code) : '';
  const failure = CODES[code];
  if (failure !== undefined) return failure;
  if (TLS_ERROR_CODE.test(code)) return UNTRUSTED;
  if (/timed? ?out/i.test(thrown.message)) return SILENT;
  if (thrown.message.includes('ECONNREFUSED')) return UNREACHABLE;
  if (thrown.message.startsWith('All sentinels are unreachable')) return NO_SENTINEL;
  if (thrown.message === ALL_SENTINELS_REFUSE) return sentinelRefusalOf(thrown.cause) ?? NO_SENTINEL;
  if ('lastNodeError' in thrown && thrown.lastNodeError !== thrown) return failureOf(thrown.lastNodeError);
  return LOST;
}

/**
 * Message of the error that reports that every sentinel refuses the connection. The `cause` of that error is the last
 * sentinel's error.
 */
export const ALL_SENTINELS_REFUSE = 'All sentinels refuse';

/**
 * Maps the error of a sentinel connection to a failure that needs an operator. Returns `undefined` for other errors.
 */
export function sentinelRefusalOf(thrown: unknown): QueueFailure | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if (/^(NOAUTH|WRONGPASS)\b/.test(thrown.message)) return REFUSED_BY_SENTINELS;
  return 'code' in thrown && TLS_ERROR_CODE.test(String(thrown.code)) ? UNTRUSTED : undefined;
}

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { member, parseIfJsonBytes, textOf } from '../core/json.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';
import type { Hint, Origin, SubmitHints, WebhookIntake } from './hint.ts';
import { createRotatingKey, type RotatingKeyDeps } from './rotating-key.ts';

/**
 * A parsed signature header, `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`. There may be several `v1` parts
 * during a key rotation.
 */
interface Signature {
  /** Kept as text, because the signature covers its exact bytes. */
  readonly time: string;
  readonly digests: readonly Buffer[];
}

/** The maximum number of signatures in a header. This limits the number of comparisons. */
const MAX_DIGESTS = 8;

/**
 * Returns undefined if the header is malformed. Ignores unknown parts, because future signature schemes may add them.
 */
export function parseSignature(header: string): Signature | undefined {
  const times: string[] = [];
  const digests: Buffer[] = [];
  for (const part of header.split(',')) {
    const [name = '', value = ''] = part.trim().split('=', 2);
    if (name === 't') times.push(value);
    if (name === 'v1' && /^[0-9a-f]{64}$/i.test(value)) digests.push(Buffer.from(value, 'hex'));
  }
  const [time, duplicateTime] = times;
  if (time === undefined || duplicateTime !== undefined || !/^\d{1,12}$/.test(time)) return undefined;
  return digests.length === 0 || digests.length > MAX_DIGESTS ? undefined : { time, digests };
}

/** Returns the HMAC-SHA-256 (RFC 2104) of the time, a dot and the body. */
export function digestOf(key: SecretValue, time: string, body: Uint8Array): Buffer {
  return createHmac('sha256', key.reveal()).update(`${time}.`).update(body).digest();
}

/** Compares all digests in constant time. So the timing reveals neither the matching digest nor a matching prefix. */
export function matchesDigest({ digests }: Signature, digest: Buffer): boolean {
  return digests.filter((candidate) => timingSafeEqual(candidate, digest)).length > 0;
}

/**
 * The maximum number of remembered contents. The server's rate limit allows fewer requests than this from one address
 * in ten minutes.
 */
const MAX_ENTRIES = 20_000;

/** Remembers the signed contents that were accepted, until they are too old to be accepted again. */
interface ReplayCache {
  has(digest: string): boolean;
  /** @param until Milliseconds since 1970. */
  add(digest: string, until: number): void;
}

/**
 * Creates a cache that evicts its oldest entry when it is full. The content of an evicted entry could be replayed, but
 * that would only cause one unnecessary hint.
 */
export function createReplayCache(clock: Clock, maxEntries = MAX_ENTRIES): ReplayCache {
  const digests = new LRUCache<string, true>({ max: maxEntries, ttl: 1, ttlResolution: 0, perf: clock });
  return {
    has: (digest) => digests.has(digest),
    add: (digest, until) => void digests.set(digest, true, { ttl: Math.max(1, until - clock.now()) }),
  };
}

/** In lower case, because Node reports header names in lower case. */
const HEADER = 'x-secretbridge-signature';
/** The maximum difference between the time in the signature and our clock, in either direction. */
const MAX_CLOCK_DIFFERENCE_MS = 5 * 60_000;
const MAX_KEY_LENGTH = 2_048;

interface WebhookConfig {
  readonly name: string;
  /** The stores for which this webhook may report changes. */
  readonly stores: readonly string[];
  readonly secret: Reference;
}

interface WebhookDeps extends RotatingKeyDeps {
  readonly config: WebhookConfig;
  readonly submit: SubmitHints;
}

/**
 * Runs the cheap checks first: format, time, signature, replay, and finally the content. Each replica has its own
 * replay cache. So a replay to another replica is accepted, but it only causes a duplicate hint, which costs one read.
 */
export function createWebhookIntake({ config, credential, clock, submit }: WebhookDeps): WebhookIntake {
  const origin: Origin = { kind: 'webhook', name: config.name };
  const key = createRotatingKey(config.secret, { credential, clock });
  const replayCache = createReplayCache(clock);
  return {
    origin,
    async accept({ header, body, requestId }) {
      const signature = parseSignature(header(HEADER) ?? '');
      if (signature === undefined)
        throw refused('the header X-Secretbridge-Signature is missing or malformed');
      const signedAt = Number(signature.time) * 1_000;
      if (Math.abs(clock.now() - signedAt) > MAX_CLOCK_DIFFERENCE_MS)
        throw refused('the signature is more than five minutes old or in the future');
      const isSigned = await key.check((secret) =>
        matchesDigest(signature, digestOf(secret, signature.time, body)),
      );
      if (!isSigned) throw refused('the signature is wrong');
      const digest = contentDigest(signature.time, body);
      if (replayCache.has(digest)) throw refused('the request is a replay');
      const hint = hintOf(body);
      if (!config.stores.includes(hint.store)) throw invalid('the webhook may not report about this store');
      replayCache.add(digest, signedAt + MAX_CLOCK_DIFFERENCE_MS);
      return submit([hint], origin, requestId);
    },
  };
}

/**
 * Returns a digest of the signed content. A signature cannot serve as the digest, because one event may have two
 * signatures during a key rotation.
 */
function contentDigest(time: string, body: Buffer): string {
  return createHash('sha256').update(`${time}.`).update(body).digest('base64');
}

/** @throws AppError INVALID_REQUEST if the body is not `{ store, key }`. */
function hintOf(body: Buffer): Hint {
  const node = parseIfJsonBytes(body);
  if (node === undefined) throw invalid('the body is not JSON');
  const store = textOf(member(node, 'store'));
  const key = textOf(member(node, 'key'));
  const hasTwoMembers = node.kind === 'object' && node.members.length === 2;
  if (!hasTwoMembers || store === undefined || key === undefined || key === '' || key.length > MAX_KEY_LENGTH)
    throw invalid('the body must be an object with exactly `store` and `key`, both non-empty strings');
  return { store, keys: [key] };
}

function refused(detail: string): AppError {
  return new AppError('EVENT_REFUSED', { detail });
}

function invalid(detail: string): AppError {
  return new AppError('INVALID_REQUEST', { detail });
}

import { createHash } from 'node:crypto';
import { AppError } from '../core/errors.ts';
import { member, textOf } from '../core/json.ts';
import type { Reference } from '../providers/credentials.ts';
import type { Hint, Origin, SubmitHints } from './hint.ts';
import type { WebhookIntake } from './http-intakes.ts';
import { parseJsonBody } from './json-body.ts';
import { createReplayCache } from './replay-cache.ts';
import { createRotatingKey, type RotatingKeyDeps } from './rotating-key.ts';
import { digestOf, matchesDigest, parseSignature } from './signature.ts';

/** In lower case, because Node reports header names in lower case. */
const HEADER = 'x-secretbridge-signature';
/** The maximum difference between the time in the signature and our clock, in either direction. */
const MAX_CLOCK_DIFFERENCE_MS = 5 * 60_000;
const MAX_KEY_LENGTH = 2_048;

export interface WebhookConfig {
  readonly name: string;
  /** The stores that this webhook may report about. */
  readonly stores: readonly string[];
  readonly secret: Reference;
}

export interface WebhookDeps extends RotatingKeyDeps {
  readonly config: WebhookConfig;
  readonly submit: SubmitHints;
}

/**
 * Runs cheap checks first: format, time, signature, replay, and finally the content. Each replica has its own replay
 * cache. A replay to another replica only causes a duplicate hint, which costs one read.
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
 * A digest of the signed content. Signatures cannot be used, because during a key rotation one event may have two of
 * them.
 */
function contentDigest(time: string, body: Buffer): string {
  return createHash('sha256').update(`${time}.`).update(body).digest('base64');
}

/** @throws AppError INVALID_REQUEST if the body is not `{ store, key }`. */
function hintOf(body: Buffer): Hint {
  const node = parseJsonBody(body);
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

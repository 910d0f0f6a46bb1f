import { createHash } from 'node:crypto';
import { AppError } from '../core/errors.ts';
import { member, textOf } from '../core/json.ts';
import type { Reference } from '../providers/credentials.ts';
import type { Hint, Origin, TakeHints } from './hint.ts';
import { jsonOf } from './json-body.ts';
import type { WebhookIntake } from './posted.ts';
import { digestOf, holds, parseSignature } from './signature.ts';
import { createHeldKey, type HeldKeyDeps } from './webhook-key.ts';
import { createSeen } from './webhook-seen.ts';

/** In lower case, as Node gives it. */
const HEADER = 'x-secretbridge-signature';
/** How far its time may be from ours, in either direction. */
const WINDOW_MS = 5 * 60_000;
const LONGEST_KEY = 2_048;

export interface WebhookConfig {
  readonly name: string;
  /** The stores that it may speak about. */
  readonly stores: readonly string[];
  readonly secret: Reference;
}

export interface WebhookDeps extends HeldKeyDeps {
  readonly config: WebhookConfig;
  readonly take: TakeHints;
}

/**
 * Cheap questions first: form, time, signature, then whether it was seen before, and only then what it says. Each
 * replica remembers what it saw itself: one that comes to another replica is a second hint for the same key, and
 * costs a look.
 */
export function createWebhookIntake({ config, credential, clock, take }: WebhookDeps): WebhookIntake {
  const origin: Origin = { kind: 'webhook', name: config.name };
  const key = createHeldKey(config.secret, { credential, clock });
  const seen = createSeen(clock);
  return {
    origin,
    async accept({ header, body, requestId }) {
      const signature = parseSignature(header(HEADER) ?? '');
      if (signature === undefined)
        throw refused('the header X-Secretbridge-Signature is not there or not valid');
      const signedAt = Number(signature.time) * 1_000;
      if (Math.abs(clock.now() - signedAt) > WINDOW_MS)
        throw refused('its time is more than five minutes from ours');
      const isSigned = await key.check((secret) => holds(signature, digestOf(secret, signature.time, body)));
      if (!isSigned) throw refused('its signature does not fit');
      const mark = markOf(signature.time, body);
      if (seen.has(mark)) throw refused('it came before');
      const hint = hintOf(body);
      if (!config.stores.includes(hint.store)) throw invalid('it may not speak about this store');
      seen.add(mark, signedAt + WINDOW_MS);
      return take([hint], origin, requestId);
    },
  };
}

/** Of what was signed and not of a signature: while a key is rotated, one event may have two of them. */
function markOf(time: string, body: Buffer): string {
  return createHash('sha256').update(`${time}.`).update(body).digest('base64');
}

/** @throws AppError INVALID_REQUEST for anything but `{ store, key }`. */
function hintOf(body: Buffer): Hint {
  const node = jsonOf(body);
  if (node === undefined) throw invalid('the body is not JSON');
  const store = textOf(member(node, 'store'));
  const key = textOf(member(node, 'key'));
  const isWhole = node.kind === 'object' && node.members.length === 2;
  if (!isWhole || store === undefined || key === undefined || key === '' || key.length > LONGEST_KEY)
    throw invalid('the body must be an object of `store` and `key`, both texts, and nothing else');
  return { store, keys: [key] };
}

function refused(detail: string): AppError {
  return new AppError('EVENT_REFUSED', { detail });
}

function invalid(detail: string): AppError {
  return new AppError('INVALID_REQUEST', { detail });
}

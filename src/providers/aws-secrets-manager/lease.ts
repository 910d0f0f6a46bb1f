import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError, healsItself } from '../../core/errors.ts';
import { asDate } from '../created-at.ts';
import { createRefusals } from '../refusals.ts';

/** What signs a request: the SDK's own form, which holds secrets as plain text and so never leaves this folder. */
export interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Undefined: it does not end. */
  readonly expiration?: Date | undefined;
}

export interface Lease {
  /** The identity of now, shared by all callers and renewed before it ends. @throws AppError */
  current(signal?: AbortSignal): Promise<Identity>;
  /**
   * Another one than `refused`, which AWS did not accept; undefined when there is none for now, and then this one is
   * left alone for a while.
   * @param why What AWS said.
   * @throws AppError for what kept us from getting one.
   */
  replace(refused: Identity, why: AppError, signal?: AbortSignal): Promise<Identity | undefined>;
}

/** An identity is not replaced for each of a thousand reads. */
const REPLACED_MS = 10_000;
/** An early renewal that failed is tried again after this; until then the old identity serves. */
const RENEW_AGAIN_MS = 30_000;
/** Requests wait for their turn after they were signed, so an identity is left well before its end. */
const EARLY_MS = 300_000;
/** Too little for a request to arrive with it. */
const LAST_MS = 5_000;

interface Held {
  readonly identity: Identity;
  readonly endsAt: number;
  renewAt: number;
}

/**
 * None → logging in (shared by all callers) → held → renewed five minutes before its end, while the old one still
 * serves if that fails → ended. Without a timer: whoever needs it first renews it.
 */
export function createLease(logIn: () => Promise<Identity>, clock: Clock): Lease {
  let held: Held | undefined;
  let running: Promise<Identity> | undefined;
  /** Of logins. */
  const refusals = createRefusals(clock);
  /** Of the identity that a login gave. */
  const rejections = createRefusals(clock);
  let rejected: Identity | undefined;
  let replacedAt = Number.NEGATIVE_INFINITY;
  // By distance: a clock that was set back must not keep us from logging in for hours.
  const isWithin = (at: number, ms: number) => Math.abs(clock.now() - at) < ms;

  const open = async (): Promise<Identity> => {
    try {
      const identity = await logIn();
      held = hold(identity, clock.now());
      refusals.clear();
      if (rejected !== undefined && !isSame(identity, rejected)) {
        rejected = undefined;
        rejections.clear();
      }
      return identity;
    } catch (error) {
      if (error instanceof AppError && !healsItself(error.code)) refusals.note(error);
      throw error;
    }
  };
  const renew = (signal: AbortSignal | undefined): Promise<Identity> => {
    refusals.check();
    // It belongs to all callers: the signal of one of them does not end it.
    running ??= open().finally(() => {
      running = undefined;
    });
    return unlessAborted(running, signal);
  };

  const reject = (identity: Identity, why: AppError): undefined => {
    rejected = identity;
    rejections.note(why);
  };

  return {
    async current(signal) {
      signal?.throwIfAborted();
      if (rejected !== undefined) rejections.check();
      const now = clock.now();
      if (held !== undefined && now < held.renewAt) return held.identity;
      if (held === undefined || now >= held.endsAt - LAST_MS) return renew(signal);
      const old = held;
      try {
        return await renew(signal);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        old.renewAt = clock.now() + RENEW_AGAIN_MS;
        return old.identity;
      }
    },
    async replace(refused, why, signal) {
      signal?.throwIfAborted();
      if (held !== undefined && held.identity !== refused) return held.identity;
      if (running === undefined) {
        if (isWithin(replacedAt, REPLACED_MS)) return reject(refused, why);
        replacedAt = clock.now();
      }
      const identity = await renew(signal);
      return isSame(identity, refused) ? reject(identity, why) : identity;
    },
  };
}

/** What has ended by our clock is used for a while all the same: asked again, whoever gave it gives the same. */
function hold(identity: Identity, now: number): Held {
  const given = asDate(identity.expiration)?.getTime() ?? Number.POSITIVE_INFINITY;
  const endsAt = Math.max(given, now + REPLACED_MS);
  return { identity, endsAt, renewAt: endsAt - Math.min(EARLY_MS, Math.max(0, endsAt - now) / 3) };
}

function isSame(a: Identity, b: Identity): boolean {
  return (
    a.accessKeyId === b.accessKeyId &&
    a.secretAccessKey === b.secretAccessKey &&
    a.sessionToken === b.sessionToken
  );
}

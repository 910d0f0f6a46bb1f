import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError, isTransient } from '../../core/errors.ts';
import { createLoginBackoff, type LoginBackoff } from '../login-backoff.ts';
import { validDate } from '../results.ts';

/**
 * The credentials that sign requests, in the form that the SDK uses. They contain secrets as plain text, so they are
 * only used in this folder.
 */
export interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Undefined if the credentials do not expire. */
  readonly expiration?: Date | undefined;
}

/** The minimum time between two replacements. Otherwise each read could replace the identity. */
const MIN_REPLACE_INTERVAL_MS = 10_000;
/** The wait after a failed early renewal. The old identity stays in use meanwhile. */
const RENEW_RETRY_MS = 30_000;
/** A signed request may wait for a permit, so an identity is renewed well before it expires. */
const RENEW_BEFORE_END_MS = 300_000;
/** With less remaining time, a request could arrive after the expiry. */
const MIN_REMAINING_MS = 5_000;

interface HeldIdentity {
  readonly identity: Identity;
  readonly endsAt: number;
  renewAt: number;
}

/**
 * States: none → logging in (shared by all callers) → held → renewed five minutes before expiry → expired. If a renewal
 * fails, the old identity is used until it expires. There is no timer: the first caller that finds the renewal due
 * starts it.
 */
export class Lease {
  readonly #logIn: () => Promise<Identity>;
  readonly #clock: Clock;
  /** The backoff after refused logins. */
  readonly #loginBackoff: LoginBackoff;
  /** The backoff after a successful login whose identity AWS refused. */
  readonly #identityBackoff: LoginBackoff;
  #held: HeldIdentity | undefined;
  #running: Promise<Identity> | undefined;
  #rejected: Identity | undefined;
  #replacedAt = Number.NEGATIVE_INFINITY;

  constructor(logIn: () => Promise<Identity>, clock: Clock) {
    this.#logIn = logIn;
    this.#clock = clock;
    this.#loginBackoff = createLoginBackoff(clock);
    this.#identityBackoff = createLoginBackoff(clock);
  }

  /** Returns the current identity, which all callers share. Renews it before it expires. @throws AppError */
  async current(signal?: AbortSignal): Promise<Identity> {
    signal?.throwIfAborted();
    if (this.#rejected !== undefined) this.#identityBackoff.check();
    const now = this.#clock.now();
    const held = this.#held;
    if (held !== undefined && now < held.renewAt) return held.identity;
    if (held === undefined || now >= held.endsAt - MIN_REMAINING_MS) return this.#renew(signal);
    try {
      return await this.#renew(signal);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      held.renewAt = this.#clock.now() + RENEW_RETRY_MS;
      return held.identity;
    }
  }

  /**
   * Gets another identity after AWS refused this one. Returns undefined if no other identity is available yet. The
   * refused identity is then not used for a while.
   * @param why The error that AWS returned.
   * @throws AppError if the login failed.
   */
  async replace(refused: Identity, why: AppError, signal?: AbortSignal): Promise<Identity | undefined> {
    signal?.throwIfAborted();
    if (this.#held !== undefined && this.#held.identity !== refused) return this.#held.identity;
    if (this.#running === undefined) {
      // Compare the absolute difference. Otherwise a clock that was set back could block logins for hours.
      if (Math.abs(this.#clock.now() - this.#replacedAt) < MIN_REPLACE_INTERVAL_MS)
        return this.#reject(refused, why);
      this.#replacedAt = this.#clock.now();
    }
    const identity = await this.#renew(signal);
    return isSame(identity, refused) ? this.#reject(identity, why) : identity;
  }

  #renew(signal: AbortSignal | undefined): Promise<Identity> {
    this.#loginBackoff.check();
    // All callers share the login, so it ignores the signal of a single caller.
    this.#running ??= this.#open().finally(() => {
      this.#running = undefined;
    });
    return unlessAborted(this.#running, signal);
  }

  async #open(): Promise<Identity> {
    try {
      const identity = await this.#logIn();
      this.#held = toHeldIdentity(identity, this.#clock.now());
      this.#loginBackoff.clear();
      if (this.#rejected !== undefined && !isSame(identity, this.#rejected)) {
        this.#rejected = undefined;
        this.#identityBackoff.clear();
      }
      return identity;
    } catch (error) {
      if (error instanceof AppError && !isTransient(error.code)) this.#loginBackoff.record(error);
      throw error;
    }
  }

  #reject(identity: Identity, why: AppError): undefined {
    this.#rejected = identity;
    this.#identityBackoff.record(why);
  }
}

/**
 * Credentials that are already expired by our clock are still used for a while, because another login would return the
 * same credentials.
 */
function toHeldIdentity(identity: Identity, now: number): HeldIdentity {
  const expiresAt = validDate(identity.expiration)?.getTime() ?? Number.POSITIVE_INFINITY;
  const endsAt = Math.max(expiresAt, now + MIN_REPLACE_INTERVAL_MS);
  return { identity, endsAt, renewAt: endsAt - Math.min(RENEW_BEFORE_END_MS, Math.max(0, endsAt - now) / 3) };
}

function isSame(a: Identity, b: Identity): boolean {
  return (
    a.accessKeyId === b.accessKeyId &&
    a.secretAccessKey === b.secretAccessKey &&
    a.sessionToken === b.sessionToken
  );
}

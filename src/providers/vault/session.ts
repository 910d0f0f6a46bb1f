import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError, isTransient } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { MAX_TIMER_MS, type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import type { Answer } from '../answer.ts';
import { loginWaitAfter } from '../login-backoff.ts';
import type { Operation } from '../provider.ts';
import type { Command, VaultClient } from './client.ts';
import { fromStatus } from './errors.ts';
import { type Grant, grantOf, isInconclusive, lookUp, revoke } from './grant.ts';
import { endUse, hasUnusedUses, type Lease, takeUse } from './lease.ts';
import type { Login } from './login.ts';

export interface Session extends AsyncDisposable {
  /**
   * Runs one command with the identity of the store. Logs in if needed. Logs in again if the token has expired. Returns
   * responses with status 200, 204 and 404.
   * @param isCounted Whether the request counts as a use of a token with limited uses. The mount query does not.
   * @throws AppError for every other status and for connection errors.
   */
  call(
    operation: Operation,
    command: Command,
    signal: AbortSignal | undefined,
    isCounted?: boolean,
  ): Promise<Answer>;
  /** Logs in if needed. @throws AppError */
  ensure(signal: AbortSignal | undefined): Promise<void>;
  /** Returns the current token, for a request that is not a node-vault command. @throws AppError */
  token(signal: AbortSignal | undefined): Promise<SecretValue>;
}

export interface SessionDeps {
  readonly client: VaultClient;
  readonly login: Login;
  /** A command that every useful token may run. Its success proves that a token is valid. */
  readonly proof: Command;
  readonly clock: Clock;
  readonly wake?: StartTimer;
  readonly onRenewal?: ((error?: AppError) => void) | undefined;
}

export function createSession(deps: SessionDeps): Session {
  return new VaultSession(deps);
}

/** The interval of checks for new credentials after a refused login. */
const CREDENTIAL_CHECK_MS = 10_000;
/**
 * A limit for login attempts, because Vault locks an account after five wrong attempts that are each less than 15
 * minutes apart, and directories have their own rules. After two refused attempts, the next attempt waits for new
 * credentials, or for 45 minutes. Each replica has its own count.
 */
const LOCKOUT = { attempts: 2, waitMs: 45 * 60_000 };
/** The result of a token check is used for this long. */
const VERDICT_MS = 5_000;
/** A new token counts as valid for this long if it has no permission that would prove its validity. */
const UNPROVABLE_VERDICT_MS = 60_000;
const MIN_RENEWAL_MS = 1_000;

interface RefusedLogin {
  readonly error: AppError;
  readonly at: number;
  /** The number of times in a row that the server refused these credentials. */
  readonly times: number;
  /** The time when the credentials were last checked for changes. */
  checkedAt: number;
}

/**
 * The login of a store. States: none → logging in (shared by all callers) → leased → renewed after two thirds of its
 * lifetime → expired. The timer for renewals does not keep the process alive. A token counts as expired at its expiry
 * time, and after its last use. It also counts as expired after a 403, if `lookup-self` and the mount query return 403
 * too.
 */
class VaultSession implements Session {
  readonly #client: VaultClient;
  readonly #login: Login;
  readonly #proof: Command;
  readonly #clock: Clock;
  readonly #wake: StartTimer;
  readonly #onRenewal: (error?: AppError) => void;
  readonly #closing = new AbortController();
  #lease: Lease | undefined;
  #loggingIn: Promise<Lease> | undefined;
  #pendingCheck: { readonly lease: Lease; readonly answer: Promise<boolean> } | undefined;
  #refusedLogin: RefusedLogin | undefined;
  #cancelRenewal: () => void = () => undefined;

  constructor(deps: SessionDeps) {
    this.#client = deps.client;
    this.#login = deps.login;
    this.#proof = deps.proof;
    this.#clock = deps.clock;
    this.#wake = deps.wake ?? startBackgroundTimer;
    this.#onRenewal = deps.onRenewal ?? (() => undefined);
  }

  async ensure(signal: AbortSignal | undefined): Promise<void> {
    await this.#end(await this.#current(signal), false);
  }

  async token(signal: AbortSignal | undefined): Promise<SecretValue> {
    const lease = await this.#current(signal);
    await this.#end(lease, true);
    return lease.token;
  }

  async call(
    operation: Operation,
    command: Command,
    signal: AbortSignal | undefined,
    isCounted = true,
  ): Promise<Answer> {
    const ask = async (lease: Lease): Promise<Answer> => {
      let isSent = false;
      const sent: Command = (vault, options) => {
        isSent = true;
        return command(vault, options);
      };
      try {
        return await this.#client.call(sent, { token: lease.token, signal, operation });
      } finally {
        await this.#end(lease, isCounted && isSent);
      }
    };
    const lease = await this.#current(signal);
    const answer = await ask(lease);
    if (answer.status !== 403) return expectSuccess(answer);
    if (await this.#isAccepted(lease, signal)) throw fromStatus(answer);

    const next = await this.#replace(lease, signal);
    const secondAnswer = await ask(next);
    if (secondAnswer.status !== 403) return expectSuccess(secondAnswer);
    if (next.isOwn) next.verdict ??= { accepted: true, at: this.#clock.now(), ms: UNPROVABLE_VERDICT_MS };
    throw (await this.#isAccepted(next, signal)) ? fromStatus(secondAnswer) : new AppError('AUTH_FAILED');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelRenewal();
    this.#closing.abort(new AppError('INTERRUPTED', { detail: 'the store was closed' }));
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease !== undefined) await this.#revoke(lease);
  }

  async #revoke({ token, isOwn, usesLeft }: Lease): Promise<void> {
    if (isOwn && usesLeft !== 0) await revoke(this.#client, token);
  }

  async #end(lease: Lease, isCounted: boolean): Promise<void> {
    endUse(lease, isCounted);
    if (this.#lease !== lease && hasUnusedUses(lease)) await this.#revoke(lease);
  }

  async #current(signal: AbortSignal | undefined): Promise<Lease> {
    for (;;) {
      const held = this.#lease;
      const lease = held !== undefined && !this.#hasEnded(held) ? held : await this.#logIn(signal);
      if (takeUse(lease)) return lease;
      // All callers share the login, so other callers may have taken all its uses.
      if (this.#lease === lease) this.#lease = undefined;
    }
  }

  /** Whether the lease has ended. A lease ends slightly before its token expires. */
  #hasEnded({ expiresAt, ttlMs = 0 }: Lease): boolean {
    return expiresAt !== undefined && this.#clock.now() >= expiresAt - Math.min(5_000, ttlMs / 10);
  }

  /** Returns another lease after the server refused this one: a newer lease of another caller, or a new login. */
  async #replace(lease: Lease, signal: AbortSignal | undefined): Promise<Lease> {
    if (this.#lease === undefined || this.#lease === lease) {
      // Keep a configured token, because it may still read other keys and nothing can replace it.
      if (lease.isOwn) this.#lease = undefined;
      const next = await this.#logIn(signal, lease.token);
      if (takeUse(next)) return next;
    }
    return this.#current(signal);
  }

  async #logIn(signal: AbortSignal | undefined, refused?: SecretValue): Promise<Lease> {
    signal?.throwIfAborted();
    // All callers share the login, so an abort of one caller must not end it.
    this.#loggingIn ??= this.#open(refused).finally(() => {
      this.#loggingIn = undefined;
    });
    return unlessAborted(this.#loggingIn, signal);
  }

  async #open(refused: SecretValue | undefined): Promise<Lease> {
    const before = await this.#timesRefused();
    try {
      const grant = await this.#login.attempt(this.#closing.signal, refused);
      this.#refusedLogin = undefined;
      return this.#hold(grant);
    } catch (error) {
      if (error instanceof AppError && !isTransient(error.code)) {
        const at = this.#clock.now();
        const times = error.code === 'AUTH_FAILED' ? before + 1 : before;
        this.#refusedLogin = { error, at, times, checkedAt: at };
      }
      throw error;
    }
  }

  /** Returns how often in a row the server refused the credentials. @throws AppError If a login must wait. */
  async #timesRefused(): Promise<number> {
    const last = this.#refusedLogin;
    if (last === undefined) return 0;
    if (this.#isWithin(last.checkedAt, CREDENTIAL_CHECK_MS)) throw last.error;
    last.checkedAt = this.#clock.now();
    if (await this.#login.hasNewCredentials()) return 0;
    const mustWait = this.#login.mayLock && last.times >= LOCKOUT.attempts;
    const waitMs = mustWait ? LOCKOUT.waitMs : loginWaitAfter(last.times);
    if (this.#isWithin(last.at, waitMs)) throw last.error;
    return last.times;
  }

  #hold(grant: Grant, verdict?: Lease['verdict']): Lease {
    const expiresAt = grant.ttlMs === undefined ? undefined : this.#clock.now() + grant.ttlMs;
    const lease = { ...grant, expiresAt, usesLeft: grant.uses, underWay: 0, verdict };
    this.#lease = lease;
    if (grant.renewable && grant.ttlMs !== undefined) this.#renewLater(lease, (grant.ttlMs * 2) / 3);
    return lease;
  }

  /** Compares the absolute difference. Otherwise a clock that was set back could block logins for hours. */
  #isWithin(at: number, ms: number): boolean {
    return Math.abs(this.#clock.now() - at) < ms;
  }

  /** Whether the server still accepts the token. If it does, a denied request only lacks a permission. */
  async #isAccepted(lease: Lease, signal: AbortSignal | undefined): Promise<boolean> {
    signal?.throwIfAborted();
    const { verdict } = lease;
    if (verdict !== undefined && this.#isWithin(verdict.at, verdict.ms)) return verdict.accepted;
    if (this.#pendingCheck?.lease !== lease) {
      const answer = this.#ask(lease).finally(() => {
        this.#pendingCheck = undefined;
      });
      this.#pendingCheck = { lease, answer };
    }
    return unlessAborted(this.#pendingCheck.answer, signal);
  }

  async #ask(lease: Lease): Promise<boolean> {
    const { token } = lease;
    const { signal } = this.#closing;
    // No use is left, so the token is no longer valid. A running request may have taken the last use.
    if (!takeUse(lease)) return false;
    let answer = await lookUp(this.#client, token, signal).finally(() => endUse(lease, true));
    // A token without the `default` policy cannot look itself up, so prove with another command that it is valid.
    // Otherwise each denied key would cause a new login and leave an unused token on the server.
    if (isInconclusive(answer))
      answer = await this.#client.call(this.#proof, { token, signal, operation: 'describe' });
    const accepted = answer.status !== 403;
    if (accepted) expectSuccess(answer);
    lease.verdict = { accepted, at: this.#clock.now(), ms: VERDICT_MS };
    return accepted;
  }

  #renewLater(lease: Lease, ms: number): void {
    this.#cancelRenewal();
    const delay = Math.min(Math.max(ms, MIN_RENEWAL_MS), MAX_TIMER_MS);
    this.#cancelRenewal = this.#wake(() => {
      if (this.#lease !== lease || this.#closing.signal.aborted) return;
      if (ms > delay) this.#renewLater(lease, ms - delay);
      else void this.#renew(lease);
    }, delay);
  }

  /** Renews the lease. If the renewal fails for good, the first call after the expiry logs in again. */
  async #renew(lease: Lease): Promise<void> {
    const { token, expiresAt = 0 } = lease;
    const { signal } = this.#closing;
    const renewal: Command = (vault, requestOptions) => vault.tokenRenewSelf({ requestOptions });
    try {
      const answer = await this.#client.call(renewal, { token, signal, operation: 'login' });
      const renewed = { ...grantOf(answer, 'token'), isOwn: lease.isOwn };
      this.#onRenewal();
      if (this.#lease !== lease) return;
      // If the renewal did not extend the token, the token has reached its maximum lifetime. Do not renew it further,
      // because the renewals would follow each other faster and faster.
      const gained = this.#clock.now() + (renewed.ttlMs ?? 0) - expiresAt;
      this.#hold(gained > MIN_RENEWAL_MS ? renewed : { ...renewed, renewable: false }, lease.verdict);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#onRenewal(error);
      const remainingMs = expiresAt - this.#clock.now();
      if (isTransient(error.code) && remainingMs > MIN_RENEWAL_MS) this.#renewLater(lease, remainingMs / 3);
    }
  }
}

function expectSuccess(answer: Answer): Answer {
  if (answer.status === 200 || answer.status === 204 || answer.status === 404) return answer;
  throw fromStatus(answer);
}

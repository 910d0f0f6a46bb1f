import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError, healsItself } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { LONGEST_WAKE_MS, type Wake, wakeLater } from '../../core/wake.ts';
import type { Answer } from '../answer.ts';
import type { Operation } from '../provider.ts';
import { patienceAfter } from '../refusals.ts';
import type { Command, VaultClient } from './client.ts';
import { fromStatus } from './errors.ts';
import { type Grant, grantOf, lookUp, revoke, tellsNothing } from './grant.ts';
import { endUse, isLeftOver, type Lease, takeUse } from './lease.ts';
import type { Login } from './login.ts';

export interface Session extends AsyncDisposable {
  /**
   * One command as the identity of the store: logs in when needed, and once more when the token has ended.
   * Gives answers of status 200, 204 and 404.
   * @param isCounted Where a token is good for a number of requests: false for a question that anybody may ask, such
   * as the one about the mount.
   * @throws AppError for every other status and for what the connection did.
   */
  call(
    operation: Operation,
    command: Command,
    signal: AbortSignal | undefined,
    isCounted?: boolean,
  ): Promise<Answer>;
  /** Logs in, or has done so. @throws AppError */
  ensure(signal: AbortSignal | undefined): Promise<void>;
  /** The token in use, for what is no command. @throws AppError */
  token(signal: AbortSignal | undefined): Promise<SecretValue>;
}

export interface SessionDeps {
  readonly client: VaultClient;
  readonly login: Login;
  /** What a token may ask that may do anything of use, also where it may not look itself up. */
  readonly proof: Command;
  readonly clock: Clock;
  readonly wake?: Wake;
  readonly onRenewal?: ((error?: AppError) => void) | undefined;
}

export function createSession(deps: SessionDeps): Session {
  return new VaultSession(deps);
}

/** How often a refused login looks whether there are other credentials. */
const LOOK_MS = 10_000;
/**
 * Vault locks an account after five wrong attempts with less than 15 minutes between them, and directories do so by
 * rules of their own. So what was refused this often waits for other credentials, or this long. Each replica counts for
 * itself: two make four attempts, and in 45 minutes no two others of one of them fill the gaps of the other.
 */
const LOCK = { attempts: 2, waitMs: 45 * 60_000 };
/** How long an answer to "is this token valid?" is believed. */
const VERDICT_MS = 5_000;
/** The same, for a token that was valid at its login and may do nothing that would show it. */
const BLIND_MS = 60_000;
const MIN_WAKE_MS = 1_000;

interface Refusal {
  readonly error: AppError;
  readonly at: number;
  /** How often the server refused these credentials. */
  readonly times: number;
  /** When the credentials were last compared with those of the attempt. */
  lookedAt: number;
}

/**
 * The one login of a store. None → logging in (shared by all callers) → leased → renewed at two thirds of its
 * time, by a timer that keeps no process alive → logged in anew when it has ended, by the clock, by its last use or by
 * a 403 that `lookup-self` confirms, and the question about the mount.
 */
class VaultSession implements Session {
  readonly #client: VaultClient;
  readonly #login: Login;
  readonly #proof: Command;
  readonly #clock: Clock;
  readonly #wake: Wake;
  readonly #onRenewal: (error?: AppError) => void;
  readonly #closing = new AbortController();
  #lease: Lease | undefined;
  #loggingIn: Promise<Lease> | undefined;
  #asking: { readonly lease: Lease; readonly answer: Promise<boolean> } | undefined;
  #refused: Refusal | undefined;
  #callOff: () => void = () => undefined;

  constructor({ client, login, proof, clock, wake = wakeLater, onRenewal = () => undefined }: SessionDeps) {
    this.#client = client;
    this.#login = login;
    this.#proof = proof;
    this.#clock = clock;
    this.#wake = wake;
    this.#onRenewal = onRenewal;
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
    if (answer.status !== 403) return expected(answer);
    if (await this.#isAccepted(lease, signal)) throw fromStatus(answer);

    const next = await this.#replace(lease, signal);
    const again = await ask(next);
    if (again.status !== 403) return expected(again);
    if (next.own) next.verdict ??= { accepted: true, at: this.#clock.now(), ms: BLIND_MS };
    throw (await this.#isAccepted(next, signal)) ? fromStatus(again) : new AppError('AUTH_FAILED');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#callOff();
    this.#closing.abort(new AppError('INTERRUPTED', { detail: 'the store was closed' }));
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease !== undefined) await this.#revoke(lease);
  }

  async #revoke({ token, own, usesLeft }: Lease): Promise<void> {
    if (own && usesLeft !== 0) await revoke(this.#client, token);
  }

  async #end(lease: Lease, isCounted: boolean): Promise<void> {
    endUse(lease, isCounted);
    if (this.#lease !== lease && isLeftOver(lease)) await this.#revoke(lease);
  }

  async #current(signal: AbortSignal | undefined): Promise<Lease> {
    for (;;) {
      const held = this.#lease;
      const lease = held !== undefined && !this.#hasEnded(held) ? held : await this.#logIn(signal);
      if (takeUse(lease)) return lease;
      // Perhaps by those who waited for the same login.
      if (this.#lease === lease) this.#lease = undefined;
    }
  }

  /** A little before its time, so that no request is under way when it ends. */
  #hasEnded({ expiresAt, ttlMs = 0 }: Lease): boolean {
    return expiresAt !== undefined && this.#clock.now() >= expiresAt - Math.min(5_000, ttlMs / 10);
  }

  /** A login after the server refused `lease`: a new one, or the one that another caller has just made. */
  async #replace(lease: Lease, signal: AbortSignal | undefined): Promise<Lease> {
    if (this.#lease === undefined || this.#lease === lease) {
      // A token that was given to us stays in use: it may read other keys, and there is no other.
      if (lease.own) this.#lease = undefined;
      const next = await this.#logIn(signal, lease.token);
      if (takeUse(next)) return next;
    }
    return this.#current(signal);
  }

  async #logIn(signal: AbortSignal | undefined, refused?: SecretValue): Promise<Lease> {
    signal?.throwIfAborted();
    // It belongs to all callers: the signal of one of them does not end it.
    this.#loggingIn ??= this.#open(refused).finally(() => {
      this.#loggingIn = undefined;
    });
    return unlessAborted(this.#loggingIn, signal);
  }

  async #open(refused: SecretValue | undefined): Promise<Lease> {
    const before = await this.#timesRefused();
    try {
      const grant = await this.#login.attempt(this.#closing.signal, refused);
      this.#refused = undefined;
      return this.#hold(grant);
    } catch (error) {
      if (error instanceof AppError && !healsItself(error.code)) {
        const at = this.#clock.now();
        const times = error.code === 'AUTH_FAILED' ? before + 1 : before;
        this.#refused = { error, at, times, lookedAt: at };
      }
      throw error;
    }
  }

  /** @throws AppError of the last attempt, while it is not to be made again. */
  async #timesRefused(): Promise<number> {
    const last = this.#refused;
    if (last === undefined) return 0;
    if (this.#isWithin(last.lookedAt, LOOK_MS)) throw last.error;
    last.lookedAt = this.#clock.now();
    if (await this.#login.hasNewCredentials()) return 0;
    const mustWait = this.#login.mayLock && last.times >= LOCK.attempts;
    const waitMs = mustWait ? LOCK.waitMs : patienceAfter(last.times);
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

  /** By distance: a clock that was set back must not keep a login from being tried for hours. */
  #isWithin(at: number, ms: number): boolean {
    return Math.abs(this.#clock.now() - at) < ms;
  }

  /** Tells a token that has ended from one that may not do this. One question for all who wonder. */
  async #isAccepted(lease: Lease, signal: AbortSignal | undefined): Promise<boolean> {
    signal?.throwIfAborted();
    const { verdict } = lease;
    if (verdict !== undefined && this.#isWithin(verdict.at, verdict.ms)) return verdict.accepted;
    if (this.#asking?.lease !== lease) {
      const answer = this.#ask(lease).finally(() => {
        this.#asking = undefined;
      });
      this.#asking = { lease, answer };
    }
    return unlessAborted(this.#asking.answer, signal);
  }

  async #ask(lease: Lease): Promise<boolean> {
    const { token } = lease;
    const { signal } = this.#closing;
    // Its last use may be that of a request that is still under way.
    if (!takeUse(lease)) return false;
    let answer = await lookUp(this.#client, token, signal).finally(() => endUse(lease, true));
    // Without the `default` policy it may not look itself up: each denied key would be a new login, and leave a token.
    if (tellsNothing(answer))
      answer = await this.#client.call(this.#proof, { token, signal, operation: 'describe' });
    const accepted = answer.status !== 403;
    if (accepted) expected(answer);
    lease.verdict = { accepted, at: this.#clock.now(), ms: VERDICT_MS };
    return accepted;
  }

  #renewLater(lease: Lease, ms: number): void {
    this.#callOff();
    const nap = Math.min(Math.max(ms, MIN_WAKE_MS), LONGEST_WAKE_MS);
    this.#callOff = this.#wake(() => {
      if (this.#lease !== lease || this.#closing.signal.aborted) return;
      if (ms > nap) this.#renewLater(lease, ms - nap);
      else void this.#renew(lease);
    }, nap);
  }

  /** A renewal that cannot succeed is given up: the next call after the end logs in anew. */
  async #renew(lease: Lease): Promise<void> {
    const { token, expiresAt = 0 } = lease;
    const { signal } = this.#closing;
    const renewal: Command = (vault, requestOptions) => vault.tokenRenewSelf({ requestOptions });
    try {
      const answer = await this.#client.call(renewal, { token, signal, operation: 'login' });
      const renewed = { ...grantOf(answer, 'token'), own: lease.own };
      this.#onRenewal();
      if (this.#lease !== lease) return;
      // At its greatest age the server renews by nothing; without this, ever shorter renewals would follow.
      const gained = this.#clock.now() + (renewed.ttlMs ?? 0) - expiresAt;
      this.#hold(gained > MIN_WAKE_MS ? renewed : { ...renewed, renewable: false }, lease.verdict);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#onRenewal(error);
      const left = expiresAt - this.#clock.now();
      if (healsItself(error.code) && left > MIN_WAKE_MS) this.#renewLater(lease, left / 3);
    }
  }
}

function expected(answer: Answer): Answer {
  if (answer.status === 200 || answer.status === 204 || answer.status === 404) return answer;
  throw fromStatus(answer);
}

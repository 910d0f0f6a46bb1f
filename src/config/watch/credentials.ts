import { AppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { type StartTimer, startTimer } from '../../core/timer.ts';
import { Reference, readCredentialFile } from '../../providers/credentials.ts';
import { isFreeForm } from '../files/raw.ts';
import { type LoopContext, startLoop } from './loop.ts';

/** A credential reference, or the path of a file that a client reads: a token, a certificate, a key. */
export type WatchedCredential = Exclude<Reference, { env: string }> | { readonly path: string };

/**
 * Returns the credentials of a configuration section. Omits environment variables, because they cannot change while the
 * process runs.
 */
export function watchedCredentialsIn(section: object): readonly WatchedCredential[] {
  const credentials = new Map<string, WatchedCredential>();
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const reference = Reference.safeParse(node).data;
    if (reference !== undefined) {
      if (!('env' in reference)) credentials.set(JSON.stringify(reference), reference);
      return;
    }
    for (const [name, member] of Object.entries(node)) {
      if (typeof member === 'string' && /^[a-z]+File$/.test(name))
        credentials.set(JSON.stringify({ path: member }), { path: member });
      else if (!isFreeForm(name)) visit(member);
    }
  };
  visit(section);
  return [...credentials.values()];
}

export interface CredentialWatchOptions {
  /**
   * Returns the credentials by owner, for example by store name. Called at each check, because the configuration may
   * change.
   */
  readonly references: () => ReadonlyMap<string, readonly WatchedCredential[]>;
  /**
   * @throws AppError CREDENTIAL_MISSING if the credential does not exist. After any other error its state is unknown.
   */
  readonly resolve: (reference: Reference) => Promise<SecretValue>;
  /** Computes a keyed digest, so that the watch stores no credentials for comparison. */
  readonly fingerprint: (value: SecretValue) => string;
  /** Called if a credential of this owner changed or reappeared, at most once per check and owner. */
  readonly onChange: (owner: string) => void | Promise<void>;
  /** Called after each check, with an error if a credential could not be read. */
  readonly onProgress?: (error?: unknown) => void;
  readonly wake?: StartTimer;
  readonly settleMs?: number;
}

export interface CredentialWatch extends AsyncDisposable {
  /** Checks all credentials now. Resolves after `onChange` has run. Never rejects. */
  check(): Promise<void>;
}

/**
 * The digest of the content, or `missing` if the credential certainly does not exist. After other errors the previous
 * state stays.
 */
type State = string | 'missing';

const INTERVAL_MS = 5_000;
/** Secrets are checked only at every third check, because reading them needs the API server. */
const CHECKS_PER_SECRET = 3;

/** Watches the content of credentials for changes. The first check only records the current state. */
export function watchCredentials(options: CredentialWatchOptions): CredentialWatch {
  const { onProgress = () => undefined, wake = startTimer } = options;
  const checker = new CredentialChecker(options);
  const check = (context: LoopContext, all: boolean) => checker.check(context, all);
  const loop = startLoop({ check, everyMs: INTERVAL_MS, wake, onProgress });
  loop.trigger();
  const immediateContext: LoopContext = { pause: async () => undefined, ending: false };
  return {
    check: () => loop.runExclusively(() => check(immediateContext, true)),
    [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose](),
  };
}

class CredentialChecker {
  readonly #options: CredentialWatchOptions;
  readonly #states = new Map<string, State>();
  #checks = 0;

  constructor(options: CredentialWatchOptions) {
    this.#options = options;
  }

  /** @param all Whether to check the credentials in Secrets too. */
  async check(context: LoopContext, all: boolean): Promise<void> {
    const withSecrets = all || this.#checks % CHECKS_PER_SECRET === 0;
    this.#checks += 1;
    const byOwner = this.#options.references();
    const watchedById = new Map(
      [...byOwner.values()].flat().map((watched) => [JSON.stringify(watched), watched]),
    );
    for (const id of this.#states.keys()) if (!watchedById.has(id)) this.#states.delete(id);
    const failures: unknown[] = [];
    const due = [...watchedById].filter(([, watched]) => withSecrets || !('secretRef' in watched));
    const changed = new Set<string>();
    await Promise.all(
      due.map(async ([id, watched]) => {
        if (await this.#hasChanged(watched, context, failures)) changed.add(id);
      }),
    );
    for (const [owner, ownCredentials] of byOwner)
      if (ownCredentials.some((watched) => changed.has(JSON.stringify(watched))))
        await this.#options.onChange(owner);
    if (failures.length > 0) throw failures[0];
  }

  /**
   * Whether the content changed and then stayed the same for a moment. The wait is needed because a file may be
   * half-written.
   */
  async #hasChanged(watched: WatchedCredential, context: LoopContext, failures: unknown[]): Promise<boolean> {
    const id = JSON.stringify(watched);
    const before = this.#states.get(id);
    let now = await this.#stateOf(watched, failures);
    if (now === undefined || now === before) return false;
    if (before !== undefined && now !== 'missing') {
      await context.pause(this.#options.settleMs ?? 300);
      const confirmed = await this.#stateOf(watched, failures);
      if (context.ending || confirmed !== now) return false; // The next check sees the change.
      now = confirmed;
    }
    this.#states.set(id, now);
    return before !== undefined && now !== 'missing';
  }

  /** Returns `undefined` if the state is unknown. */
  async #stateOf(watched: WatchedCredential, failures: unknown[]): Promise<State | undefined> {
    const { resolve, fingerprint } = this.#options;
    try {
      const value = 'path' in watched ? await readCredentialFile(watched.path) : await resolve(watched);
      return fingerprint(value);
    } catch (error) {
      if (error instanceof AppError && error.code === 'CREDENTIAL_MISSING') return 'missing';
      failures.push(error);
      return undefined;
    }
  }
}

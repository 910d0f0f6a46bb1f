import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';

/** The provider's document is read again after this time. */
const MAX_AGE_MS = 3_600_000;
/**
 * While the document cannot be read, the last one is used for this time. It only names addresses. The keys of the provider
 * change more often, and have a shorter limit (`token-verifier.ts`).
 */
const MAX_STALE_MS = 24 * 3_600_000;
/** The minimum time between two attempts to read the document while reading fails, without and with an older document. */
const COOLDOWN_MS = 1_000;
const STALE_COOLDOWN_MS = 30_000;
/** A failure is reported for this time. The document is read only if somebody signs in. */
const REPORTED_MS = 15 * 60_000;

export interface DocumentCache<T> {
  /** Returns the current document, or the last one while the provider is away. @throws the error of the last attempt */
  get(): Promise<T>;
  /** Returns why the last attempt failed, if it was recent. */
  problem(): AppError | undefined;
}

export interface DocumentCacheDeps<T> {
  readonly read: () => Promise<T>;
  readonly clock: Clock;
  /** Called when reading begins to fail, and with `undefined` when it works again. */
  readonly onChange: (error: AppError | undefined) => void;
}

export function createDocumentCache<T>(deps: DocumentCacheDeps<T>): DocumentCache<T> {
  return new KeptDocument(deps);
}

interface Dated<T> {
  readonly value: T;
  readonly at: number;
}

class KeptDocument<T> implements DocumentCache<T> {
  readonly #deps: DocumentCacheDeps<T>;
  #last: Dated<T> | undefined;
  #failure: Dated<AppError> | undefined;
  #attempt: Promise<T> | undefined;

  constructor(deps: DocumentCacheDeps<T>) {
    this.#deps = deps;
  }

  async get(): Promise<T> {
    if (this.#last !== undefined && this.#ageOf(this.#last) < MAX_AGE_MS) return this.#last.value;
    const stale = this.#usable();
    const cooldownMs = stale === undefined ? COOLDOWN_MS : STALE_COOLDOWN_MS;
    if (this.#failure !== undefined && this.#ageOf(this.#failure) < cooldownMs) {
      if (stale === undefined) throw this.#failure.value;
      return stale.value;
    }
    this.#attempt ??= this.#read();
    try {
      return await this.#attempt;
    } catch (error) {
      if (stale === undefined || !(error instanceof AppError)) throw error;
      return stale.value;
    }
  }

  problem(): AppError | undefined {
    const failure = this.#failure;
    return failure === undefined || this.#ageOf(failure) >= REPORTED_MS ? undefined : failure.value;
  }

  async #read(): Promise<T> {
    const { clock, read, onChange } = this.#deps;
    try {
      const value = await read();
      this.#last = { value, at: clock.now() };
      if (this.#failure !== undefined) onChange(undefined);
      this.#failure = undefined;
      return value;
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      const error = this.#withAge(thrown);
      if (this.#failure === undefined) onChange(error);
      this.#failure = { value: error, at: clock.now() };
      throw error;
    } finally {
      this.#attempt = undefined;
    }
  }

  /** Says until when the last document is used. */
  #withAge(error: AppError): AppError {
    const stale = this.#usable();
    if (stale === undefined) return error;
    const until = new Date(stale.at + MAX_STALE_MS).toISOString();
    const { code, detail = 'it is away', remedy } = error;
    return new AppError(code, {
      detail: `${detail}; its last document is used until ${until}`,
      ...{ remedy, cause: error.cause },
    });
  }

  #usable(): Dated<T> | undefined {
    return this.#last !== undefined && this.#ageOf(this.#last) < MAX_STALE_MS ? this.#last : undefined;
  }

  /** The clock may be set back. */
  #ageOf({ at }: Dated<unknown>): number {
    return Math.abs(this.#deps.clock.now() - at);
  }
}

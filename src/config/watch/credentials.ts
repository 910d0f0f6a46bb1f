import { AppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { systemWake, type Wake } from '../../core/wake.ts';
import { contentOf, Reference } from '../../providers/credentials.ts';
import { isFreeForm } from '../files/raw.ts';
import { type Rounds, startLoop } from './loop.ts';

/** A credential by reference, or a file that a client reads by its path: a token, a certificate, a key. */
export type Watched = Exclude<Reference, { env: string }> | { readonly path: string };

/**
 * What a section of the configuration takes from elsewhere and that can change while the process runs. The
 * environment cannot.
 */
export function watchedIn(section: object): readonly Watched[] {
  const found = new Map<string, Watched>();
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const reference = Reference.safeParse(node).data;
    if (reference !== undefined) {
      if (!('env' in reference)) found.set(JSON.stringify(reference), reference);
      return;
    }
    for (const [name, member] of Object.entries(node)) {
      if (typeof member === 'string' && /^[a-z]+File$/.test(name))
        found.set(JSON.stringify({ path: member }), { path: member });
      else if (!isFreeForm(name)) visit(member);
    }
  };
  visit(section);
  return [...found.values()];
}

export interface CredentialWatchOptions {
  /** By their owner, for example a store's name; asked at each look, since the configuration may change. */
  readonly references: () => ReadonlyMap<string, readonly Watched[]>;
  /** @throws AppError CREDENTIAL_MISSING when it is not there; anything else says nothing about it. */
  readonly resolve: (reference: Reference) => Promise<SecretValue>;
  /** A keyed digest, so that no credential is kept for comparing. */
  readonly fingerprint: (value: SecretValue) => string;
  /** Something of this owner has other content, or is there again; told once a look, however much changed. */
  readonly onChange: (owner: string) => void | Promise<void>;
  /** Told after each look, with what could not be looked at. */
  readonly onProgress?: (error?: unknown) => void;
  readonly wake?: Wake;
  readonly settleMs?: number;
}

export interface CredentialWatch extends AsyncDisposable {
  /** Looks at everything now; resolves when `onChange` was told. Never rejects. */
  look(): Promise<void>;
}

/** `missing` counts once it is said for certain; until then what was known stays. */
type State = string | 'missing';

const EVERY_MS = 5_000;
/** Secrets are asked of the API server, and less often. */
const TURNS_PER_SECRET = 3;

/** Notices that the content behind references changed. The first look only learns what is there. */
export function watchCredentials(options: CredentialWatchOptions): CredentialWatch {
  const {
    references,
    fingerprint,
    onChange,
    onProgress = () => undefined,
    wake = systemWake,
    settleMs = 300,
  } = options;
  const known = new Map<string, State>();
  let turns = 0;

  const resolve = (watched: Watched): Promise<SecretValue> =>
    'path' in watched ? contentOf(watched.path) : options.resolve(watched);

  /** `undefined`: it cannot be said. */
  const stateOf = async (watched: Watched, failures: unknown[]): Promise<State | undefined> => {
    try {
      return fingerprint(await resolve(watched));
    } catch (error) {
      if (error instanceof AppError && error.code === 'CREDENTIAL_MISSING') return 'missing';
      failures.push(error);
      return undefined;
    }
  };

  /** What changed and stays so for a moment: a file may be half written. */
  const changedOf = async (watched: Watched, rounds: Rounds, failures: unknown[]): Promise<boolean> => {
    const id = JSON.stringify(watched);
    const before = known.get(id);
    let now = await stateOf(watched, failures);
    if (now === undefined || now === before) return false;
    if (before !== undefined && now !== 'missing') {
      await rounds.pause(settleMs);
      const again = await stateOf(watched, failures);
      if (rounds.ending || again !== now) return false; // the next look sees it
      now = again;
    }
    known.set(id, now);
    return before !== undefined && now !== 'missing';
  };

  const look = async (rounds: Rounds, all: boolean): Promise<void> => {
    const secretsToo = all || turns % TURNS_PER_SECRET === 0;
    turns += 1;
    const byOwner = references();
    const wanted = new Map([...byOwner.values()].flat().map((watched) => [JSON.stringify(watched), watched]));
    for (const id of known.keys()) if (!wanted.has(id)) known.delete(id);
    const failures: unknown[] = [];
    const due = [...wanted].filter(([, watched]) => secretsToo || !('secretRef' in watched));
    const changed = new Set<string>();
    await Promise.all(
      due.map(async ([id, watched]) => {
        if (await changedOf(watched, rounds, failures)) changed.add(id);
      }),
    );
    for (const [owner, its] of byOwner)
      if (its.some((watched) => changed.has(JSON.stringify(watched)))) await onChange(owner);
    if (failures.length > 0) throw failures[0];
  };

  const loop = startLoop({ look, everyMs: EVERY_MS, wake, onProgress });
  loop.rouse();
  const atOnce: Rounds = { pause: async () => undefined, ending: false };
  return {
    look: () => loop.between(() => look(atOnce, true)),
    [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose](),
  };
}

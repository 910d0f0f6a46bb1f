import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Sealer } from '../core/sealer.ts';
import type { SignedIn } from './claims.ts';

/** A session of a browser, or of the command line on one machine. Times are in milliseconds since 1970. */
export interface Session extends SignedIn {
  readonly id: string;
  readonly kind: 'browser' | 'cli';
  readonly startedAt: number;
  /** When the session ends unless it is renewed. */
  readonly endsAt: number;
}

export interface SessionTimes {
  readonly idle: number;
  readonly absolute: number;
}

/**
 * Sessions whose state is with the client, encrypted. So they hold in every replica and after a restart. The service
 * keeps only the ids of the sessions that people have ended.
 */
export interface Sessions {
  start(kind: Session['kind'], signedIn: SignedIn): Session;
  /** Returns the session with a later end. The end is never later than `absolute` after the start. */
  renew(session: Session, signedIn?: SignedIn): Session;
  /** Returns the session with a later end, if this is worth a new cookie. */
  renewIfDue(session: Session): Session | undefined;
  /** Returns when the command line should renew the session if it is used. */
  renewAfter(session: Session): number;
  seal(session: Session): string;
  /** @throws AppError SESSION_ENDED */
  open(text: string): Promise<Session>;
  /** Call this when the end of the session is recorded. */
  ended(id: string): void;
}

export interface SessionsDeps {
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly times: SessionTimes;
  /** Whether it is recorded that a person has ended the session. */
  readonly isEnded: (id: string) => Promise<boolean>;
}

const Content = z.object({
  id: z.string(),
  kind: z.enum(['browser', 'cli']),
  person: z.object({ name: z.string(), subject: z.string(), aliases: z.array(z.string()) }),
  groups: z.array(z.string()),
  startedAt: z.number(),
  endsAt: z.number(),
});

const PURPOSE = 'session';
const MAX_CACHED = 10_000;
/** The end of a session in another replica is noticed after this time. */
const RECHECK_MS = 10_000;
/** A session is renewed when this part of its idle time has passed, so that not every answer sets a cookie. */
const MIN_RENEWAL = 1 / 30;
/** The same for the command line, which renews its session with the provider. */
const MIN_CLI_RENEWAL = 1 / 6;

export function createSessions({ sealer, clock, times, isEnded }: SessionsDeps): Sessions {
  const checked = new LRUCache<string, { readonly isEnded: boolean; readonly at: number }>({
    max: MAX_CACHED,
  });

  const endOf = (startedAt: number): number => Math.min(clock.now() + times.idle, startedAt + times.absolute);

  async function wasEnded(id: string): Promise<boolean> {
    const last = checked.get(id);
    if (last !== undefined && (last.isEnded || Math.abs(clock.now() - last.at) < RECHECK_MS))
      return last.isEnded;
    const result = { isEnded: await isEnded(id), at: clock.now() };
    checked.set(id, result);
    return result.isEnded;
  }

  const renew = (session: Session, signedIn: SignedIn = session): Session => ({
    ...session,
    ...{ person: signedIn.person, groups: signedIn.groups, endsAt: endOf(session.startedAt) },
  });

  return {
    start(kind, signedIn) {
      const now = clock.now();
      return { ...signedIn, id: randomUUID(), kind, startedAt: now, endsAt: endOf(now) };
    },
    renew,
    renewIfDue(session) {
      const renewed = renew(session);
      return renewed.endsAt - session.endsAt >= times.idle * MIN_RENEWAL ? renewed : undefined;
    },
    renewAfter: ({ endsAt }) => Math.min(endsAt, clock.now() + times.idle * MIN_CLI_RENEWAL),
    seal: (session) => sealer.seal(PURPOSE, session),
    async open(text) {
      const session = Content.safeParse(sealer.open(PURPOSE, text)).data;
      if (session === undefined)
        throw ended('it belongs to another service, or to a key that is not known any more');
      const now = clock.now();
      if (now >= session.startedAt + times.absolute) throw ended('it has reached its longest time');
      if (now >= session.endsAt) throw ended('it was not used for too long');
      if (await wasEnded(session.id)) throw ended('the person has signed out');
      return session;
    },
    ended(id) {
      checked.set(id, { isEnded: true, at: clock.now() });
    },
  };
}

function ended(detail: string): AppError {
  return new AppError('SESSION_ENDED', { detail });
}

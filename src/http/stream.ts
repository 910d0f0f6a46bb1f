import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Clock } from '../core/clock.ts';
import { AppError, toAppError } from '../core/errors.ts';
import type { StartTimer } from '../core/timer.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ServiceView, View } from './deps.ts';

// Server-sent events: a page learns that something is new, and asks for it. The events contain no names, so a stream
// shows nothing that other routes would not show.

const MAX_STREAMS = 50;
const MAX_STREAMS_OF_PERSON = 4;
const RECORDS_MS = 1_000;
const STATE_MS = 5_000;
const PING_MS = 15_000;
/** A client that does not read is disconnected when this much waits for it. */
const MAX_WAITING_BYTES = 64 * 1_024;

/** A person who follows the stream. */
export interface Follower {
  readonly name: string;
  readonly view: View;
  /** Identifies the person again. Undefined, or an error: the stream ends. */
  identifyAgain(): Promise<View | undefined>;
}

export interface Streams {
  /** @throws AppError RATE_LIMITED if there are too many streams. */
  open(follower: Follower): Promise<Readable>;
}

interface StreamsDeps {
  readonly clock: Clock;
  readonly wake: StartTimer;
  /** Ends all streams when the server closes. */
  readonly closing: AbortSignal;
  readonly logger: Logger;
}

export function createStreams(deps: StreamsDeps): Streams {
  const streams = new Set<EventStream>();
  const digestOf = createDigests(deps.clock);
  deps.closing.addEventListener('abort', () => {
    for (const stream of streams) stream.end();
  });

  return {
    async open(follower) {
      const own = [...streams].filter(({ name }) => name === follower.name);
      if (streams.size >= MAX_STREAMS || own.length >= MAX_STREAMS_OF_PERSON || deps.closing.aborted)
        throw new AppError('RATE_LIMITED', { retryAfterMs: PING_MS });
      const stream = new EventStream(follower, digestOf, deps);
      streams.add(stream);
      stream.readable.once('close', () => {
        streams.delete(stream);
        stream.end();
      });
      await stream.start();
      return stream.readable;
    },
  };
}

class EventStream {
  readonly name: string;
  readonly readable = new Readable({ read: () => undefined });
  readonly #follower: Follower;
  readonly #deps: StreamsDeps;
  readonly #cancels = new Map<string, () => void>();
  readonly #digestOf: (service: ServiceView) => string;
  #view: View;
  /** The newest record of the log when this stream last looked. */
  #seen = 0;
  #state: string | undefined;
  #hasEnded = false;

  constructor(follower: Follower, digestOf: (service: ServiceView) => string, deps: StreamsDeps) {
    this.#digestOf = digestOf;
    this.name = follower.name;
    this.#follower = follower;
    this.#view = follower.view;
    this.#deps = deps;
  }

  async start(): Promise<void> {
    this.#seen = (await this.#view.audit.head()).sequence;
    this.#state = this.#digestOf(this.#view.service);
    // The client reconnects after this time.
    this.#send(`retry: ${STATE_MS}\n\n`);
    this.#repeat('records', RECORDS_MS, () => this.#sendRecords());
    this.#repeat('state', STATE_MS, () => this.#sendState());
    this.#repeat('ping', PING_MS, () => this.#checkAndPing());
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    for (const cancel of this.#cancels.values()) cancel();
    this.readable.push(null);
  }

  /** Repeats work. An outage of the audit or the cluster delays the next event, and does not end the stream. */
  #repeat(name: string, ms: number, work: () => void | Promise<void>): void {
    const run = async (): Promise<void> => {
      try {
        await work();
      } catch (thrown) {
        this.#deps.logger.debug('an event could not be sent', { error: toAppError(thrown) });
      }
      if (!this.#hasEnded) this.#repeat(name, ms, work);
    };
    this.#cancels.set(
      name,
      this.#deps.wake(() => void run(), ms),
    );
  }

  /** A limited person gets an event only for a visible record. */
  async #sendRecords(): Promise<void> {
    const { audit } = this.#view;
    const { sequence } = await audit.head();
    if (sequence === this.#seen) return;
    const [visible] = await audit.list({}, { limit: 1, after: Math.min(this.#seen, sequence) });
    this.#seen = sequence;
    if (visible !== undefined) this.#sendEvent('change', { head: visible.sequence });
  }

  #sendState(): void {
    const state = this.#digestOf(this.#view.service);
    if (state === this.#state) return;
    this.#state = state;
    this.#sendEvent('state', {});
  }

  /** The rights of the person may have changed since the stream began. */
  async #checkAndPing(): Promise<void> {
    const view = await this.#identifyAgain();
    if (view === undefined) return this.end();
    this.#view = view;
    this.#send(': ping\n\n');
  }

  async #identifyAgain(): Promise<View | undefined> {
    try {
      return await this.#follower.identifyAgain();
    } catch (thrown) {
      const error = toAppError(thrown);
      // If the identity cannot be checked now, the stream goes on until it can.
      if (error.isTransient) return this.#view;
      return undefined;
    }
  }

  #sendEvent(name: string, data: object): void {
    this.#send(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  #send(text: string): void {
    if (this.#hasEnded) return;
    if (this.readable.readableLength > MAX_WAITING_BYTES) this.end();
    else this.readable.push(text);
  }
}

/** Returns digests of the states of all targets. All people with access to all namespaces share a digest. */
function createDigests(clock: Clock): (service: ServiceView) => string {
  const known = new WeakMap<ServiceView, { readonly digest: string; readonly at: number }>();
  return (service) => {
    const last = known.get(service);
    if (last !== undefined && Math.abs(clock.now() - last.at) < STATE_MS / 2) return last.digest;
    const digest = digestOfStates(service);
    known.set(service, { digest, at: clock.now() });
    return digest;
  };
}

function digestOfStates(service: ServiceView): string {
  const hash = createHash('sha256');
  for (const { targets } of service.mappings())
    for (const { namespace, secret, state, code = '', pinned = '' } of targets)
      hash.update(`${namespace}/${secret} ${state} ${code} ${pinned}\n`);
  for (const { id } of service.held()) hash.update(`held ${id}\n`);
  return hash.digest('hex');
}

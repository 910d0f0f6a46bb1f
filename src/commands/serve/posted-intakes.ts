import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../../config/config.ts';
import type { Clock } from '../../core/clock.ts';
import { toAppError } from '../../core/errors.ts';
import { createEventGridIntake } from '../../events/event-grid.ts';
import type { EventGridIntake, HttpIntakes, Origin, SubmitHints, WebhookIntake } from '../../events/hint.ts';
import { createWebhookIntake } from '../../events/webhook.ts';
import type { ReadCredential, Reference } from '../../providers/credentials.ts';
import type { IntakeHealth } from './intake-health.ts';

export interface PostedDeps {
  readonly clock: Clock;
  readonly credential: ReadCredential;
  readonly take: SubmitHints;
  readonly health: Pick<IntakeHealth, 'attempted'>;
}

/** An intake and its configuration. */
interface ConfiguredIntake<Intake> {
  readonly config: object;
  readonly intake: Intake;
}

/** The intakes that receive HTTP requests. */
export class PostedIntakes implements Pick<HttpIntakes, 'webhook' | 'eventGrid'> {
  readonly #deps: PostedDeps;
  #webhooks: ReadonlyMap<string, ConfiguredIntake<WebhookIntake>> = new Map();
  #grids: ReadonlyMap<string, ConfiguredIntake<EventGridIntake>> = new Map();

  constructor(deps: PostedDeps) {
    this.#deps = deps;
  }

  /** Applies a configuration. Unchanged intakes keep running, because they remember which events they have received. */
  refresh({ events, stores }: Pick<Config, 'events' | 'stores'>): void {
    const { clock, take } = this.#deps;
    this.#webhooks = renewed(this.#webhooks, events?.webhooks ?? [], (config) => {
      const credential = this.#keyReader({ kind: 'webhook', name: config.name }, config.secret);
      return createWebhookIntake({ config, credential, clock, submit: take });
    });
    const withUrl = (events?.eventGrid ?? []).flatMap((config) => {
      const store = stores.find((candidate) => candidate.name === config.store);
      return store?.kind === 'azure-key-vault' ? [{ ...config, vaultUrl: store.vaultUrl }] : [];
    });
    this.#grids = renewed(this.#grids, withUrl, ({ vaultUrl, ...config }) => {
      const credential = this.#keyReader({ kind: 'eventGrid', name: config.name }, config.key);
      return this.#reportHealth(createEventGridIntake({ config, vaultUrl, credential, clock, submit: take }));
    });
  }

  origins(): readonly Origin[] {
    return [...this.#webhooks.values(), ...this.#grids.values()].map(({ intake }) => intake.origin);
  }

  webhook(name: string): WebhookIntake | undefined {
    return this.#webhooks.get(name)?.intake;
  }

  eventGrid(name: string): EventGridIntake | undefined {
    return this.#grids.get(name)?.intake;
  }

  /**
   * Returns a function that reads the key of an intake. The key is also read once immediately, so that `status` reports
   * a missing key before the first event.
   */
  #keyReader(origin: Origin, key: Reference | undefined): ReadCredential {
    const { credential, health } = this.#deps;
    const read: ReadCredential = async (reference) => {
      try {
        const value = await credential(reference);
        health.attempted(origin);
        return value;
      } catch (thrown) {
        health.attempted(origin, toAppError(thrown));
        throw thrown;
      }
    };
    if (key !== undefined) void Promise.allSettled([read(key)]);
    return read;
  }

  /**
   * Wraps an intake so that its requests update its health. A failure to fetch the external keys becomes known only
   * when a request arrives.
   */
  #reportHealth(intake: EventGridIntake): EventGridIntake {
    const { health } = this.#deps;
    return {
      ...intake,
      async authenticate(head) {
        try {
          await intake.authenticate(head);
          health.attempted(intake.origin);
        } catch (thrown) {
          const error = toAppError(thrown);
          if (error.code !== 'EVENT_REFUSED') health.attempted(intake.origin, error);
          throw thrown;
        }
      },
    };
  }
}

function renewed<Entry extends { readonly name: string }, Intake>(
  before: ReadonlyMap<string, ConfiguredIntake<Intake>>,
  entries: readonly Entry[],
  create: (entry: Entry) => Intake,
): ReadonlyMap<string, ConfiguredIntake<Intake>> {
  return new Map(
    entries.map((config) => {
      const existing = before.get(config.name);
      const isSame = existing !== undefined && isDeepStrictEqual(existing.config, config);
      return [config.name, isSame ? existing : { config, intake: create(config) }];
    }),
  );
}

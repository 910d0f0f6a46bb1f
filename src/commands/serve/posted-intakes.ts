import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../../config/config.ts';
import type { Clock } from '../../core/clock.ts';
import { toAppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { createEventGridIntake } from '../../events/event-grid.ts';
import type { EventGridIntake, HttpIntakes, Origin, SubmitHints, WebhookIntake } from '../../events/hint.ts';
import { createWebhookIntake } from '../../events/webhook.ts';
import type { Reference } from '../../providers/credentials.ts';
import type { IntakeHealth } from './intake-health.ts';

export interface PostedDeps {
  readonly clock: Clock;
  readonly credential: (reference: Reference) => Promise<SecretValue>;
  readonly take: SubmitHints;
  readonly health: Pick<IntakeHealth, 'attempted'>;
}

/** Manages the intakes that receive HTTP requests. */
export interface ConfiguredPostedIntakes extends Pick<HttpIntakes, 'webhook' | 'eventGrid'> {
  /** Applies a configuration. Unchanged intakes keep running, because they remember which events they have received. */
  refresh(config: Pick<Config, 'events' | 'stores'>): void;
  origins(): readonly Origin[];
}

/** An intake and its configuration. */
interface ConfiguredIntake<Intake> {
  readonly config: object;
  readonly intake: Intake;
}

export function createPostedIntakes({
  clock,
  credential,
  take,
  health,
}: PostedDeps): ConfiguredPostedIntakes {
  let webhooks: ReadonlyMap<string, ConfiguredIntake<WebhookIntake>> = new Map();
  let grids: ReadonlyMap<string, ConfiguredIntake<EventGridIntake>> = new Map();

  /**
   * Returns a function that reads the key of an intake. The key is also read once immediately, so that `status` reports
   * a missing key before the first event.
   */
  const keyOf = (origin: Origin, own: Reference | undefined): PostedDeps['credential'] => {
    const read: PostedDeps['credential'] = async (reference) => {
      try {
        const value = await credential(reference);
        health.attempted(origin);
        return value;
      } catch (thrown) {
        health.attempted(origin, toAppError(thrown));
        throw thrown;
      }
    };
    if (own !== undefined) void Promise.allSettled([read(own)]);
    return read;
  };
  /** Wraps the intake to report its health. Failures to fetch external keys occur only when a request arrives. */
  const reportHealth = (intake: EventGridIntake): EventGridIntake => ({
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
  });

  return {
    refresh({ events, stores }) {
      webhooks = renewed(webhooks, events?.webhooks ?? [], (config) => {
        const read = keyOf({ kind: 'webhook', name: config.name }, config.secret);
        return createWebhookIntake({ config, credential: read, clock, submit: take });
      });
      const withUrl = (events?.eventGrid ?? []).flatMap((config) => {
        const store = stores.find((candidate) => candidate.name === config.store);
        return store?.kind === 'azure-key-vault' ? [{ ...config, vaultUrl: store.vaultUrl }] : [];
      });
      grids = renewed(grids, withUrl, ({ vaultUrl, ...config }) => {
        const read = keyOf({ kind: 'eventGrid', name: config.name }, config.key);
        return reportHealth(
          createEventGridIntake({ config, vaultUrl, credential: read, clock, submit: take }),
        );
      });
    },
    origins: () => [...webhooks.values(), ...grids.values()].map(({ intake }) => intake.origin),
    webhook: (name) => webhooks.get(name)?.intake,
    eventGrid: (name) => grids.get(name)?.intake,
  };
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

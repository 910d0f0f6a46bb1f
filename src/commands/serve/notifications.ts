import type { App } from '../../app/app.ts';
import { findDisabled } from '../../app/current-config.ts';
import { AppError } from '../../core/errors.ts';
import type { Channel } from '../../notify/channel.ts';
import type { AuditFact, Facts } from '../../notify/facts.ts';
import { Notifier } from '../../notify/notifier.ts';
import { send } from '../../notify/send.ts';
import type { ReadCredential } from '../../providers/credentials.ts';
import type { NotifyInput } from '../../service/notify-input.ts';
import type { Status } from '../../service/service.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { ChainState } from './audit-warnings.ts';

/** What the running service knows besides the audit. */
interface Known extends NotifyInput {
  /** The verification of the audit log in the background. */
  readonly chain: ChainState | undefined;
}

/** Sends the messages of the channels in `notify`. */
export interface Notifications extends Pick<Notifier, 'statuses'> {
  /** Sends what a channel has to be told. Returns the delay until the next attempt after a failure. */
  run(channel: string, known: Known, signal: AbortSignal): Promise<number | undefined>;
  /** Tells all channels that the service does not start, because the audit log cannot be trusted. */
  doubt(error: AppError, signal: AbortSignal): Promise<void>;
}

export interface NotificationsDeps {
  readonly credential: ReadCredential;
  readonly metrics: Pick<Metrics, 'notification'>;
}

export function createNotifications(app: App, { credential, metrics }: NotificationsDeps): Notifications {
  const { audit, clock, logger, instances } = app;
  const channels = (): readonly Channel[] => app.config.notify;
  const notifier = new Notifier({
    ...{ audit, clock, logger, instances, channels },
    delivery: {
      send: (channel, message, signal) =>
        send(channel, message, { credential, now: () => clock.now(), signal }),
      onResult: (channel, error) => metrics.notification(channel, error === undefined ? 'ok' : 'failed'),
    },
  });
  return {
    statuses: () => notifier.statuses(),
    run(channel, { chain, expiries, ...known }, signal) {
      // The mappings of a disabled file are unknown, so its targets stay as they are.
      const disabledAt = findDisabled(app.config);
      const isConfigured: Facts['isConfigured'] = (mapping, target) =>
        disabledAt?.(target.namespace) !== undefined || known.isConfigured(mapping, target);
      return notifier.run(channel, { expiries, isConfigured, audit: auditFacts(chain) }, signal);
    },
    async doubt({ code }, signal) {
      const facts: Facts = { expiries: [], audit: [{ code, isPresent: true }], isConfigured: () => true };
      for (const { name } of channels())
        try {
          await notifier.run(name, facts, signal);
        } catch (thrown) {
          if (!(thrown instanceof AppError)) throw thrown;
          logger.warn('a notification about the audit log could not be sent', { name, error: thrown });
        }
    },
  };
}

/** The service runs only while the audit log is not truncated. Before the first verification, nothing else is known. */
function auditFacts(chain: ChainState | undefined): readonly AuditFact[] {
  const known = (isPresent: boolean) => (isPresent || chain?.hasRun?.() === true ? isPresent : undefined);
  return [
    { code: 'AUDIT_TRUNCATED', isPresent: false },
    { code: 'AUDIT_ALTERED', isPresent: known(chain?.problem() !== undefined) },
    { code: 'RECORDS_UNVERIFIABLE', isPresent: known((chain?.unverifiable() ?? 0) > 0) },
  ];
}

export function notifyStatus(notifications: Notifications | undefined): Pick<Status, 'notify'> {
  const statuses = notifications?.statuses() ?? [];
  return statuses.length === 0 ? {} : { notify: statuses };
}

import type { App } from '../../app/app.ts';
import type { AuditRecord } from '../../audit/entry.ts';
import type { ObjectEvents } from '../../cluster/team-ports.ts';
import type { Config, IncludeState } from '../../config/config.ts';
import { parseShown } from '../../config/files/config-maps.ts';
import { formatPlace } from '../../config/problem.ts';
import { AppError } from '../../core/errors.ts';
import { EventWriter } from '../../service/event-writer.ts';
import { type EventText, eventOf } from '../../service/events-of-records.ts';

export interface TeamEventsDeps {
  readonly writer: Pick<EventWriter, 'write'>;
  readonly events: Pick<ObjectEvents, 'exists'>;
  readonly config: () => Pick<Config, 'configMapOf'>;
}

/** Returns undefined if the cluster has no events. */
export function openTeamEvents(app: App): TeamEvents | undefined {
  const { objectEvents: events } = app.cluster;
  if (events === undefined) return undefined;
  return new TeamEvents({
    writer: new EventWriter({ events, clock: app.clock, logger: app.logger }),
    events,
    config: () => app.config,
  });
}

/** Effects of a broken ConfigMap. */
const EFFECTS = {
  outdated: 'the last valid version stays in force',
  disabled: 'its mappings are not in force, and the Secrets of the namespace are kept',
  valid: 'its mappings are in force',
} as const;

/**
 * Writes events to the ConfigMaps of teams, and to the Secrets of their mappings. So teams see answers with `kubectl
 * describe`, without a right to anything of secretbridge.
 */
export class TeamEvents {
  readonly #deps: TeamEventsDeps;

  constructor(deps: TeamEventsDeps) {
    this.#deps = deps;
  }

  /** Reports what happened to the Secrets of teams. */
  recorded(records: readonly AuditRecord[]): void {
    for (const record of records) void this.#report(record);
  }

  /** Reports that a ConfigMap has become valid or broken. */
  changed({ path, state, problems }: IncludeState): void {
    const place = parseShown(path);
    if (place === undefined) return;
    const [first] = problems;
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    const why = first === undefined ? '' : `: ${formatPlace(first)} ${first.code}: ${first.message}${more}`;
    const text: EventText =
      state === 'valid'
        ? { type: 'Normal', reason: 'Valid', message: `the ConfigMap is valid again; ${EFFECTS.valid}` }
        : { type: 'Warning', reason: 'Invalid', message: `${EFFECTS[state]}${why}` };
    this.#deps.writer.write({ object: { kind: 'ConfigMap', ...place }, ...text });
  }

  /** Reports that the mappings of a ConfigMap end, because it no longer has the labels. */
  lostLabels(place: { readonly namespace: string; readonly name: string }): void {
    const message = 'the ConfigMap no longer has the labels of the `include`, so its mappings end';
    const text = { type: 'Normal', reason: 'MappingsEnded', message } as const;
    this.#deps.writer.write({ object: { kind: 'ConfigMap', ...place }, ...text });
  }

  async #report(record: AuditRecord): Promise<void> {
    const { mapping, namespace, secret } = record;
    if (mapping === undefined || namespace === undefined || secret === undefined) return;
    const place = parseShown(this.#deps.config().configMapOf?.get(mapping) ?? '');
    // Only the Secrets of teams. Others have no ConfigMap where people would look.
    if (place === undefined || eventOf(record, true) === undefined) return;
    const object = { kind: 'Secret', namespace, name: secret } as const;
    const exists = record.outcome === 'ok' || (await this.#exists(object));
    const text = eventOf(record, exists);
    if (text === undefined) return;
    if (exists && record.action !== 'delete') this.#deps.writer.write({ object, ...text });
    const message = `${secret}: ${text.message}`;
    this.#deps.writer.write({ object: { kind: 'ConfigMap', ...place }, ...text, message });
  }

  async #exists(object: Parameters<ObjectEvents['exists']>[0]): Promise<boolean> {
    try {
      return await this.#deps.events.exists(object);
    } catch (error) {
      // The event goes to the ConfigMap. Its writer reports the failure of the cluster.
      if (error instanceof AppError) return false;
      throw error;
    }
  }
}

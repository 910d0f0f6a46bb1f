import type { App } from '../app/app.ts';
import { findDisabled } from '../app/current-config.ts';
import type { Config, IncludeState } from '../config/config.ts';
import { formatPlace } from '../config/problem.ts';
import { AppError } from '../core/errors.ts';
import { mapConcurrently } from '../core/semaphore.ts';
import { createCoalescer } from '../core/serial-executor.ts';
import type { TargetId } from '../core/target.ts';
import { isOurs } from '../reconcile/orphans.ts';
import { desiredByAny } from '../reconcile/targets.ts';
import type { Status, TargetStatus } from '../service/service.ts';
import { LABEL } from '../sync/ownership-metadata.ts';

/** How often the targets are looked up again. Nothing changes them while their file is disabled. */
const MAX_AGE_MS = 60_000;
const CONCURRENCY = 8;
/** More problems would make the message hard to read. `status` lists all of them under `includes`. */
const MAX_PROBLEMS = 3;

/**
 * Finds the targets of disabled files. The audit says which targets were ever written, and the labels and the field
 * manager of a Secret prove that it is still ours. The file itself proves nothing, because it may be unreadable.
 */
export class KeptTargets {
  readonly #app: App;
  #rows: readonly TargetStatus[] = [];
  #of: Config | undefined;
  #at = Number.NEGATIVE_INFINITY;

  constructor(app: App) {
    this.#app = app;
  }

  /** Returns the targets that are known now. If they may be out of date, a new search starts. */
  rows(): readonly TargetStatus[] {
    const { config, clock, targets } = this.#app;
    const isSame = this.#of === config && Math.abs(clock.now() - this.#at) < MAX_AGE_MS;
    if (!isSame) {
      if (this.#of !== config) this.#rows = [];
      this.#of = config;
      this.#at = clock.now();
      void this.#search();
    }
    if (this.#rows.length === 0) return [];
    // A selector may have found a namespace since the search.
    const isWanted = desiredByAny(targets);
    return this.#rows.filter((row) => !isWanted(row));
  }

  /** @throws AppError CONFIG_INVALID if only disabled files have targets of this mapping. */
  refuse(mapping: string): void {
    if (!this.rows().some((row) => row.mapping === mapping)) return;
    const detail = 'its file is invalid and not in force; `status` lists the problems of the file';
    throw new AppError('CONFIG_INVALID', { subject: `mapping ${mapping}`, detail });
  }

  readonly #search = createCoalescer(async (): Promise<void> => {
    const { config } = this.#app;
    try {
      const rows = await this.#find();
      if (this.#of === config) this.#rows = rows;
    } catch (error) {
      this.#app.logger.warn('the targets of disabled files could not be found', { error });
    }
  });

  async #find(): Promise<readonly TargetStatus[]> {
    const { config, audit, targets } = this.#app;
    const disabledAt = findDisabled(config);
    if (disabledAt === undefined) return [];
    const isWanted = desiredByAny(targets);
    const candidates = (await audit.targets()).flatMap((id) => {
      const include = isWanted(id) ? undefined : disabledAt(id.namespace);
      return include === undefined ? [] : [{ id, include }];
    });
    const rows = await mapConcurrently(candidates, CONCURRENCY, ({ id, include }) =>
      this.#rowOf(id, include),
    );
    return rows.flat();
  }

  async #rowOf(id: TargetId, include: IncludeState): Promise<readonly TargetStatus[]> {
    const { cluster, instances } = this.#app;
    try {
      const live = await cluster.read(id);
      if (live === undefined || !isOurs(live, instances)) return [];
      const mapping = live.labels[LABEL.mapping] ?? '';
      const error = includeError(include).toJSON();
      return [{ mapping, ...id, state: 'stale', lastSuccess: null, staleSeconds: null, ...error }];
    } catch (error) {
      if (error instanceof AppError) return [];
      throw error;
    }
  }
}

/** Returns the included files as `status` shows them. */
export function includeStatuses({ includes }: Pick<Config, 'includes'>): Status['includes'] {
  return includes.map(({ path, namespaces, state, problems }) => ({ path, namespaces, state, problems }));
}

/** The codes of ConfigMaps that cannot be listed. Their files may be valid. */
const UNLISTED_CODES: readonly string[] = ['CLUSTER_FORBIDDEN', 'CLUSTER_UNAVAILABLE', 'NAMESPACE_MISSING'];

/** Returns the error of a file whose newest version is not in force. */
export function includeError({ path, problems }: IncludeState): AppError {
  const [first] = problems;
  if (first !== undefined && UNLISTED_CODES.includes(first.code))
    return new AppError(first.code, {
      subject: path,
      detail: first.message,
      ...(first.suggestion === undefined ? {} : { remedy: first.suggestion }),
    });
  const shown = problems
    .slice(0, MAX_PROBLEMS)
    .map((problem) => `${formatPlace(problem)} ${problem.message}`);
  const more = problems.length - shown.length;
  return new AppError('CONFIG_INVALID', {
    subject: path,
    detail: [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; '),
  });
}

import type { AuditStore } from '../audit/store.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import type { NamespaceSet } from '../core/roles.ts';
import type { TargetId } from '../core/target.ts';
import type {
  ApprovingRequester,
  MappingStatus,
  OrphansAnswer,
  PlanAnswer,
  Requester,
  Service,
  SkippedTargets,
  Status,
  StatusWarning,
  SyncAnswer,
} from '../service/service.ts';
import type { ServiceView } from './deps.ts';
import { withoutDetails } from './errors.ts';

/**
 * Returns the service as a person sees it who may see only some namespaces. Targets in other namespaces do not exist for
 * this person, and neither do mappings without another target.
 */
export function limitService(
  service: Service,
  namespaces: NamespaceSet,
  audit: Pick<AuditStore, 'get'>,
): ServiceView {
  const limits = new Limits(namespaces);
  const limitedBy = (by: Requester): Requester => ({ ...by, mayUse: namespaces.has });
  const limitedApprover = (by: ApprovingRequester): ApprovingRequester => ({ ...by, mayUse: namespaces.has });
  const mapping = (name: string): MappingStatus | undefined => {
    const found = service.mapping(name);
    return found && limits.mappings([found])[0];
  };
  /** Runs a command only if the person may see the mapping. */
  async function onMapping(
    name: string,
    command: () => Promise<SyncAnswer | undefined>,
  ): Promise<SyncAnswer | undefined> {
    if (mapping(name) === undefined) return undefined;
    const answer = await command();
    return answer && limits.syncAnswer(answer);
  }

  return {
    status: async () => limits.status(await service.status(), () => service.mappings()),
    mappings: () => limits.mappings(service.mappings()),
    mapping,
    held: () => limits.targets(service.held()),
    sync: (name, by, requestId, override) =>
      onMapping(name, () => service.sync(name, limitedBy(by), requestId, override)),
    rollback: (name, request, by, requestId) =>
      onMapping(name, async () => {
        if ((await audit.get(request.to)) === undefined)
          throw new AppError('RECORD_MISSING', { subject: `record ${request.to}` });
        return service.rollback(name, request, limitedBy(by), requestId);
      }),
    unpin: (name, request, by, requestId) =>
      onMapping(name, () => service.unpin(name, request, limitedBy(by), requestId)),
    release: async (id, by, requestId) =>
      limits.syncAnswer(await onAll(() => service.release(id, limitedBy(by), requestId))),
    plan: async (namespace, by, requestId) =>
      limits.plan(namespaces.has(namespace) && (await service.plan(namespace, by, requestId))),
    orphans: async (by, requestId) =>
      limits.orphans(await onAll(() => service.orphans(limitedBy(by), requestId))),
    approvals: async () => limits.targets(await service.approvals()),
    approve: async (id, by, requestId, note) => {
      const { approval, ...answer } = await onAll(
        () => service.approve(id, limitedApprover(by), requestId, note),
        ABOUT_THE_REQUEST,
      );
      return { ...limits.syncAnswer(answer), approval };
    },
    reject: (id, by, requestId, note) => service.reject(id, limitedApprover(by), requestId, note),
    async prune(by, requestId) {
      const answer = await onAll(() => service.prune(limitedBy(by), requestId));
      const { waiting: _, unseen: __, ...rest } = answer;
      return { ...limits.syncAnswer(rest), ...limits.skipped(answer) };
    },
  };
}

/** The errors of an approval that name nothing but the request itself. */
const ABOUT_THE_REQUEST: readonly ErrorCode[] = ['FORBIDDEN', 'APPROVAL_CLOSED'];

/**
 * Runs a command that also reads targets in other namespaces, which its errors may name.
 * @param harmless The errors that keep their details.
 */
async function onAll<T>(command: () => Promise<T>, harmless: readonly ErrorCode[] = []): Promise<T> {
  try {
    return await command();
  } catch (error) {
    throw error instanceof AppError && !harmless.includes(error.code) ? withoutDetails(error) : error;
  }
}

/** Removes from answers what is in other namespaces. */
class Limits {
  readonly #namespaces: NamespaceSet;

  constructor(namespaces: NamespaceSet) {
    this.#namespaces = namespaces;
  }

  targets<T extends Pick<TargetId, 'namespace'>>(targets: readonly T[]): readonly T[] {
    return targets.filter(({ namespace }) => this.#namespaces.has(namespace));
  }

  /** Warnings without a namespace are about the whole service. */
  warnings(warnings: readonly StatusWarning[]): readonly StatusWarning[] {
    return warnings.filter(({ namespace }) => namespace !== undefined && this.#namespaces.has(namespace));
  }

  mappings(mappings: readonly MappingStatus[]): readonly MappingStatus[] {
    return mappings
      .map((mapping) => ({ ...mapping, targets: this.targets(mapping.targets) }))
      .filter(({ targets }) => targets.length > 0);
  }

  syncAnswer(answer: SyncAnswer): SyncAnswer {
    const { targets, held, warnings } = answer;
    return {
      ...answer,
      ...{ targets: this.targets(targets), held: this.targets(held), warnings: this.warnings(warnings) },
    };
  }

  /** @param answer False for a namespace that does not exist for this person. */
  plan(answer: PlanAnswer | false): PlanAnswer {
    if (answer === false) return { changes: 0, targets: [] };
    return { ...answer, targets: this.targets(answer.targets) };
  }

  orphans(answer: OrphansAnswer): OrphansAnswer {
    const targets = this.targets(answer.targets);
    const held = this.targets(answer.held);
    return { changes: targets.length, targets, held, ...this.skipped(answer) };
  }

  skipped({ waiting = [], unseen = [] }: SkippedTargets): SkippedTargets {
    const ownWaiting = this.targets(waiting).filter(({ until }) => this.#namespaces.has(until.namespace));
    const ownUnseen = unseen.filter(({ what }) => {
      const [namespace = ''] = what.replace(/^namespace /, '').split('/');
      return this.#namespaces.has(namespace);
    });
    return {
      ...(ownWaiting.length === 0 ? {} : { waiting: ownWaiting }),
      ...(ownUnseen.length === 0 ? {} : { unseen: ownUnseen }),
    };
  }

  /**
   * Names each member, so that a new member of the status is not shown before somebody has thought about it. The
   * problems of the configuration and the sources of events can concern all namespaces.
   */
  status(status: Status, mappings: () => readonly MappingStatus[]): Status {
    const { instance, version, replica, engine, audit, cluster, config } = status;
    const targets = this.targets(status.targets);
    // Before the service has started, there are no mappings.
    const used = targets.length === 0 ? [] : this.mappings(mappings());
    const stores = new Set(
      used.flatMap(({ sources, searches }) => [...sources, ...searches]).map(({ store }) => store),
    );
    return {
      ...{ instance, version, replica, engine, audit, cluster },
      config: { valid: config.valid, problems: [], differing: config.differing },
      stores: status.stores
        .filter(({ name }) => stores.has(name))
        // Omit the numbers of calls, because they include the calls for other namespaces.
        .map(({ way: _, callsPerHour: __, expectedCallsPerHour: ___, ...store }) => store),
      events: [],
      // A glob that covers another one matches its text too.
      includes: status.includes.filter(({ namespaces }) =>
        namespaces.every((glob) => this.#namespaces.has(glob)),
      ),
      warnings: this.warnings(status.warnings),
      targets,
      held: this.targets(status.held),
    };
  }
}

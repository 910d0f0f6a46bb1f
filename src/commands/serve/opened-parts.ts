import type { AuditStore } from '../../audit/store.ts';
import type { ChainWatch } from '../../audit/verify/chain-watch.ts';
import { AppError } from '../../core/errors.ts';
import type { HttpIntakes } from '../../events/hint.ts';
import type { Authenticator } from '../../http/auth.ts';
import type { Backend } from '../../http/deps.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Controller } from '../../service/controller.ts';
import type { Service } from '../../service/service.ts';
import type { SignIn } from '../../sign-in/sign-in.ts';

export interface Parts {
  readonly auth: Authenticator;
  readonly signIn: SignIn;
  readonly audit: AuditStore;
  readonly evidence: NonNullable<Backend['evidence']>;
  readonly chain: ChainWatch;
  readonly queue: Queue;
  readonly service: Service;
  readonly controller: Pick<Controller, 'snapshot' | 'ages' | 'states'>;
  readonly events: HttpIntakes;
  /** The reason why the service has not started yet. */
  readonly waitingFor: AppError;
  /** The status to report before the service has started. */
  readonly startupStatus: Pick<Service, 'status'>;
}

/** The parts that are open so far. The HTTP server needs them, but it listens before they are open. */
export class OpenedParts {
  #parts: Partial<Parts> = {};

  add(more: Partial<Parts>): void {
    this.#parts = { ...this.#parts, ...more };
  }

  get now(): Partial<Parts> {
    return this.#parts;
  }

  /** @throws AppError with the reason why the part is not open yet */
  require<Name extends keyof Parts>(name: Name): Parts[Name] {
    const part = this.#parts[name];
    if (part === undefined) throw this.startupError();
    return part;
  }

  startupError(): AppError {
    return this.#parts.waitingFor ?? new AppError('STARTING');
  }
}

/** Returns a stand-in for the service. Its methods fail until the service is open. */
export function serviceOf(opened: OpenedParts): Service {
  const service = (): Service => opened.require('service');
  return {
    status: async () => (opened.now.service ?? opened.now.startupStatus ?? service()).status(),
    mappings: () => service().mappings(),
    mapping: (name) => service().mapping(name),
    held: () => service().held(),
    sync: async (...args) => service().sync(...args),
    rollback: async (...args) => service().rollback(...args),
    unpin: async (...args) => service().unpin(...args),
    release: async (...args) => service().release(...args),
    plan: async (...args) => service().plan(...args),
    orphans: async (...args) => service().orphans(...args),
    prune: async (...args) => service().prune(...args),
    approvals: async () => service().approvals(),
    approve: async (...args) => service().approve(...args),
    reject: async (...args) => service().reject(...args),
    loops: () => opened.now.service?.loops() ?? [],
    notReady: async () => {
      if (opened.now.service === undefined) return opened.startupError();
      return opened.now.service.notReady();
    },
  };
}

/** Returns a stand-in for the audit store. Its methods fail until the audit store is open. */
export function auditOf(opened: OpenedParts): Backend['audit'] {
  const audit = (): AuditStore => opened.require('audit');
  return {
    list: async (...args) => audit().list(...args),
    get: async (...args) => audit().get(...args),
    storedRecords: (from) => audit().storedRecords(from),
    head: async () => audit().head(),
    reviews: async (...args) => audit().reviews(...args),
    append: async (...args) => audit().append(...args),
    base: async () => audit().base(),
    targets: async () => audit().targets(),
    index: {
      openIntents: async (...args) => audit().index.openIntents(...args),
      targetNeighbors: async (...args) => audit().index.targetNeighbors(...args),
      nearestUse: async (...args) => audit().index.nearestUse(...args),
      configurations: async (...args) => audit().index.configurations(...args),
    },
    summaries: {
      counts: async (...args) => audit().summaries.counts(...args),
      sourceVersions: async () => audit().summaries.sourceVersions(),
      targetsOfSource: async (...args) => audit().summaries.targetsOfSource(...args),
      findNames: async (...args) => audit().summaries.findNames(...args),
      findNotes: async (...args) => audit().summaries.findNotes(...args),
    },
  };
}

import { limitToNamespaces } from '../audit/query/limited.ts';
import { positionOf } from '../audit/query/record-detail.ts';
import { AppError } from '../core/errors.ts';
import type { NamespaceSet, Namespaces } from '../core/roles.ts';
import type { AuditView, Backend, ServiceView, View } from './deps.ts';
import { limitService } from './limited-service.ts';
import { createVerification } from './verification.ts';

/** Creates the view of each caller. */
export interface Views {
  of(namespaces: Namespaces): View;
  /** Returns the namespaces of all targets, present and former. */
  namespaces(): Promise<readonly string[]>;
}

/** @param closing Ends a verification when the server closes. */
export function createViews(
  { service, audit, metrics, evidence }: Omit<Backend, 'events' | 'signIn'>,
  closing: AbortSignal,
): Views {
  const verification = createVerification(audit, closing, evidence);
  const complete: View = {
    service,
    audit: {
      list: (filter, page) => audit.list(filter, page),
      get: (sequence) => audit.get(sequence),
      storedRecords: (from) => audit.storedRecords(from),
      head: () => audit.head(),
      base: () => audit.base(),
      reviews: (sequences) => audit.reviews(sequences),
      index: audit.index,
      summaries: audit.summaries,
      append: (entries) => audit.append(entries),
      position: (sequence) => positionOf(audit, sequence),
      verify: () => verification.run(),
    },
    metrics: { render: () => metrics.render() },
  };
  return {
    of: (namespaces) => (namespaces === 'all' ? complete : limit(complete, namespaces, { service, metrics })),
    async namespaces() {
      const present = service
        .mappings()
        .flatMap(({ targets }) => targets)
        .filter(({ namespace }) => namespace !== UNRESOLVED);
      return [...new Set([...present, ...(await audit.targets())].map(({ namespace }) => namespace))];
    },
  };
}

/** The namespace of a target whose selector could not be resolved. */
const UNRESOLVED = '*';

function limit(
  { audit }: View,
  namespaces: NamespaceSet,
  { service, metrics }: Pick<Backend, 'service' | 'metrics'>,
): View {
  const limited = limitAudit(audit, namespaces);
  const limitedService = limitService(service, namespaces, limited);
  return {
    service: limitedService,
    audit: { ...limited, summaries: withOwnSources(limited, audit, limitedService) },
    metrics: { render: () => metrics.render(namespaces.has) },
  };
}

/** Adds the versions of the sources that the mappings of this person name. */
function withOwnSources(
  limited: AuditView,
  { summaries }: AuditView,
  service: Pick<ServiceView, 'mappings'>,
): AuditView['summaries'] {
  return {
    ...limited.summaries,
    async sourceVersions() {
      const sources = service.mappings().flatMap((mapping) => mapping.sources);
      const own = new Set(sources.map(({ store, key }) => JSON.stringify([store, key])));
      const all = await summaries.sourceVersions();
      return all.filter(({ store, key }) => own.has(JSON.stringify([store, key])));
    },
  };
}

function limitAudit(audit: AuditView, { globs }: NamespaceSet): AuditView {
  const limited = limitToNamespaces(audit, globs);
  const isVisible = async (sequence: number | undefined): Promise<boolean> =>
    sequence !== undefined && (await limited.get(sequence)) !== undefined;
  return {
    ...limited,
    head: () => audit.head(),
    base: () => audit.base(),
    append: (entries) => audit.append(entries),
    async position(sequence) {
      const { previous, next, head, fits } = await audit.position(sequence);
      return {
        ...(previous !== undefined && (await isVisible(previous)) ? { previous } : {}),
        ...(next !== undefined && (await isVisible(next)) ? { next } : {}),
        head,
        fits,
      };
    },
    async verify() {
      throw new AppError('FORBIDDEN', {
        detail: 'a verification reads the records of all namespaces',
        remedy:
          'Use a token with access to all namespaces, or run `secretbridge audit verify` beside the audit.',
      });
    },
  };
}

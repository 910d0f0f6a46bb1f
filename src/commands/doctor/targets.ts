import type { Connections } from '../../app/connections.ts';
import type { CurrentConfig } from '../../app/current-config.ts';
import type { InstallationKeys } from '../../app/keys.ts';
import { absenceRuleOf } from '../../app/stores.ts';
import { authenticAudit } from '../../audit/authentic-audit.ts';
import { createLastPins } from '../../audit/last-pins.ts';
import { formatTarget, instancesOf } from '../../core/target.ts';
import type { SourceReader } from '../../providers/source-reader.ts';
import { NO_APPROVALS } from '../../reconcile/approvals.ts';
import { NO_WINDOWS } from '../../reconcile/guard.ts';
import { createRecordLookup } from '../../reconcile/record-lookup.ts';
import { planInContext } from '../plan.ts';
import type { PlannedTarget } from '../planned-targets.ts';
import type { Finding } from './sources.ts';

export interface TargetCheckDeps extends Pick<Connections, 'audit' | 'clock' | 'cluster' | 'stores'> {
  readonly current: CurrentConfig;
  readonly keys: InstallationKeys;
  readonly reader: Pick<SourceReader, 'read' | 'find'>;
}

/**
 * Makes the plan that `secretbridge plan` prints, and returns a finding for each target. So a target that a sync would
 * refuse fails a check, for whatever reason. Records no reads, because nothing is decided.
 */
export async function checkTargets(
  { clock, cluster, current, keys, reader, stores, ...deps }: TargetCheckDeps,
  signal: AbortSignal | undefined,
): Promise<readonly Finding[]> {
  const { config, access, targets } = current;
  const { instance, formerInstances } = config;
  const { fingerprints, records } = keys;
  const instances = instancesOf(config);
  const audit = authenticAudit(deps.audit, records, () => undefined);
  const pins = createLastPins({
    audit: deps.audit,
    keys: records,
    instances,
    checkStore: async () => undefined,
  });
  const context = {
    ...{ instance, formerInstances, cluster, fingerprints, clock },
    // A target that waits for a window or an approval needs no correction.
    ...{ approvals: NO_APPROVALS, windows: NO_WINDOWS },
    stores: stores.definitions,
    isDesired: current.claims,
    records: createRecordLookup(audit, {
      ...{ instances, pins, stores: stores.definitions },
      absence: (store) => absenceRuleOf(config, store),
    }),
    read: reader.read,
    find: reader.find,
    whenRecorded: async () => undefined,
    allows: access.allows,
    allowsSearch: access.allowsSearch,
    forbiddenTarget: current.forbiddenTarget,
  };
  const app = { audit, clock, cluster, config, fingerprints, instances, targets };
  const plan = await planInContext(app, context, undefined, { signal });
  return plan.targets.map(toFinding);
}

function toFinding({ mapping, target, error, warnings }: PlannedTarget): Finding {
  return {
    name: `target: sync ${formatTarget(target)} (mapping ${mapping})`,
    about: { mapping, ...target },
    ...(error === undefined ? {} : { error }),
    ...(warnings === undefined ? {} : { warnings }),
  };
}

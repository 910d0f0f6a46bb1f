import { MappingConfig } from '../config/shape/mapping.ts';
import { createChecks, type Refused } from './checks.ts';
import { type Finding, type Json, type Notes, nameOf } from './node.ts';
import { labelOf, type ToolObject } from './objects.ts';
import type { ObjectReport, Outcome, Output } from './result.ts';
import type { Collector } from './tool.ts';

/** The collected mappings and reports of all objects. */
export interface Collected extends Collector {
  readonly mappings: readonly Json[];
  readonly drafts: Output['drafts'];
  reports(): readonly ObjectReport[];
}

/** @param own The namespace in which secretbridge itself runs. */
export function createCollector(own: string, refused: Refused): Collected {
  const checks = createChecks(MappingConfig, own);
  const mappings: Json[] = [];
  const drafts: Output['drafts'][number][] = [];
  const reports: ObjectReport[] = [];

  const addReport = (
    object: ToolObject,
    findings: readonly Finding[],
    { becomes, skipped }: { readonly becomes: readonly string[]; readonly skipped?: true },
  ) => {
    const { kind, namespace, name } = object;
    const outcome = skipped ? 'skipped' : outcomeOf(findings);
    reports.push({
      kind,
      ...(namespace === undefined ? {} : { namespace }),
      name,
      outcome,
      becomes,
      findings,
    });
  };
  const refuse = (mapping: Json, notes: Notes) => {
    const refusal = refused.mappings.get(nameOf(mapping));
    if (refusal !== undefined)
      notes.lost(refusal.at, refusal.what, refusal.todo ?? 'Write the mapping by hand.');
  };

  return {
    mappings,
    drafts,
    add(object, notes, parts) {
      const all = parts.map((part) => ({ ...part, notes: part.notes ?? notes }));
      for (const part of all) {
        checks.check(part.mapping, object, part.notes);
        refuse(part.mapping, part.notes);
      }
      const becomes: string[] = [];
      for (const part of all) {
        const { mapping, isProposed } = part;
        // Leave out a partly converted mapping, because it would remove the keys of its missing parts from the Secret.
        if (part.notes.incomplete || notes.incomplete) drafts.push({ of: labelOf(object), mapping });
        else if (isProposed) drafts.push({ of: labelOf(object), mapping, isProposed });
        else {
          mappings.push(mapping);
          becomes.push(nameOf(mapping));
        }
      }
      const findings = [notes, ...all.map((part) => part.notes)].flatMap((own) => own.findings);
      addReport(object, [...new Set(findings)], { becomes });
    },
    report: (object, findings, becomes) => addReport(object, findings, { becomes }),
    skip: (object) => addReport(object, [], { becomes: [], skipped: true }),
    reports: () => reports.toSorted((a, b) => (textOf(a) < textOf(b) ? -1 : 1)),
  };
}

function textOf({ kind, namespace, name }: ObjectReport): string {
  return labelOf({ kind, namespace, name });
}

function outcomeOf(findings: readonly Finding[]): Outcome {
  if (findings.some(({ level }) => level === 'lost')) return 'notCarried';
  return findings.length > 0 ? 'changed' : 'carried';
}

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { FieldCase, FieldGroup, FieldOutcome } from './fields/case.ts';
import { DOCUMENTED } from './fields/documented.ts';
import { FIELD_TABLES } from './fields/tables.ts';
import { importedWith } from './harness.ts';

/** The share of the documented fields that must reach the configuration. */
const LEAST_CARRIED = 0.9;

/** Returns what the import says about the field: the findings that the objects without the field do not cause. */
async function outcomeOf(
  table: (typeof FIELD_TABLES)[number],
  { base: groupBase }: FieldGroup,
  { objects, base = groupBase, noEffect, defaults }: FieldCase,
): Promise<{ readonly outcome: FieldOutcome; readonly hasEffect: boolean; readonly isNoEffect: boolean }> {
  const [before, after] = [
    await importedWith(table.tool, base, defaults),
    await importedWith(table.tool, objects, defaults),
  ];
  const known = new Set(findingsOf(before).map((finding) => JSON.stringify(finding)));
  const fresh = findingsOf(after).filter((finding) => !known.has(JSON.stringify(finding)));
  const isLost = fresh.some(({ level }) => level === 'lost');
  return {
    outcome: isLost ? 'notCarried' : fresh.length > 0 ? 'changed' : 'carried',
    hasEffect: withoutHead(before.result.config) !== withoutHead(after.result.config),
    isNoEffect: noEffect === true,
  };
}

function findingsOf({ result }: Awaited<ReturnType<typeof importedWith>>) {
  return result.objects.flatMap(({ kind, name, findings }) =>
    findings.map((finding) => ({ kind, name, ...finding })),
  );
}

/** Whether a field is the other one, or a part of it. */
function isWithin(field: string, other: string): boolean {
  return field === other || (field.startsWith(other) && /^(?:\.|\[\])/.test(field.slice(other.length)));
}

/** Returns the paths that a row names. */
function pathsIn({ field }: FieldCase): readonly string[] {
  return field.split(/[\s:,]+/).filter((word) => /^[\w.[\]*]+$/.test(word));
}

function withoutHead(config: string): string {
  return JSON.stringify(parse(config));
}

describe.each(FIELD_TABLES.map((table) => [table.tool.name, table] as const))(
  'the fields of %s',
  (_, table) => {
    const cases = table.groups.flatMap((group) =>
      group.cases.map((one) => [group.title, one, group] as const),
    );

    it.each(cases.map(([title, one, group]) => [title, one.field, one, group] as const))(
      'the field of %s, %s, has the outcome that the page documents',
      async (_title, _name, one, group) => {
        const { outcome, hasEffect, isNoEffect } = await outcomeOf(table, group, one);
        expect(outcome).toBe(one.outcome);
        // A field that is carried over is visible in the configuration, unless it has no effect on a Secret.
        if (outcome === 'carried') expect(hasEffect).toBe(!isNoEffect);
      },
    );

    it('the table has each documented field of the tool', () => {
      const missing = Object.entries(DOCUMENTED[table.tool.name] ?? {}).flatMap(([title, fields]) => {
        const rows = cases
          .filter(([own]) => title === '' || own === title)
          .flatMap(([, one]) => pathsIn(one));
        const isListed = (field: string) => rows.some((row) => isWithin(field, row) || isWithin(row, field));
        return fields
          .split(/\s+/)
          .filter((field) => field !== '' && !isListed(field))
          .map((field) => `${title}: ${field}`);
      });
      expect(missing).toEqual([]);
    });

    it('at least nine of ten fields are carried over', () => {
      // A field may have values of both outcomes. It is carried over if at least one of its values is.
      const counted = cases.filter(([, , group]) => group.isListed !== true);
      const byField = Map.groupBy(counted, ([title, { field }]) => `${title} ${field.split(/[:,]/)[0]}`);
      const kept = [...byField.values()].filter((all) =>
        all.some(([, { outcome }]) => outcome !== 'notCarried'),
      );
      expect(kept.length / byField.size).toBeGreaterThan(LEAST_CARRIED);
    });

    it('at least nine of ten rows of the table are carried over', () => {
      const rows = cases.filter(([, , group]) => group.isListed !== true);
      const kept = rows.filter(([, { outcome }]) => outcome !== 'notCarried');
      expect(kept.length / rows.length).toBeGreaterThanOrEqual(LEAST_CARRIED);
    });

    it('the page has the table of the fields', () => {
      const page = readFileSync(resolve(import.meta.dirname, '../..', table.page), 'utf8');
      for (const [, { becomes }] of cases) expect(page).toContain(becomes);
    });
  },
);

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canonical, hashOf } from '../../src/audit/chain.ts';
import type { AuditRecord } from '../../src/audit/entry.ts';
import {
  type ExportRequest,
  exportRecords,
  jsonLine,
  type Progress,
  recordedExport,
  recordLine,
} from '../../src/audit/export/export.ts';
import { recordReview } from '../../src/audit/query/review.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { AppError } from '../../src/core/errors.ts';
import { EXPORT_FORMATS } from '../../src/core/words.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { temporaryFolder } from './folder.ts';
import { bare, entry } from './sample.ts';

type RequestPart = Partial<ExportRequest>;
const exportRequest = (part: RequestPart = {}): ExportRequest => ({
  format: 'jsonl',
  filter: {},
  version: '1.2.3',
  ...part,
});

async function textOf(chunks: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const chunk of chunks) text += chunk;
  return text;
}

async function recordsOf(audit: AuditStore, part: RequestPart = {}): Promise<readonly AuditRecord[]> {
  const text = await textOf(exportRecords(audit, exportRequest(part)));
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AuditRecord);
}

/** More records than two pages can contain. */
async function fill(audit: AuditStore): Promise<void> {
  await audit.append(
    Array.from({ length: 1_203 }, (_, n) => (n % 3 === 0 ? entry({ mapping: `m${n % 2}` }) : bare())),
  );
}

async function openFilled(): Promise<AuditStore & AsyncDisposable> {
  const folder = await temporaryFolder();
  const clock = { now: () => Date.UTC(2027, 0, 1) };
  const audit = await openSqliteAudit({
    path: join(folder.path, 'a.db'),
    instance: 'i',
    replica: 'r',
    clock,
  });
  await fill(audit);
  return {
    ...audit,
    async [Symbol.asyncDispose]() {
      await audit[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe('JSON lines export', () => {
  it('a JSON lines export contains each stored text with its hash, oldest first and without gaps', async () => {
    await using audit = await openFilled();
    const text = await textOf(exportRecords(audit, exportRequest()));
    const lines = text.split('\n').slice(0, -1);
    expect(lines).toHaveLength(1_203);
    let at = 0;
    for await (const stored of audit.storedRecords(1)) {
      expect(lines[at]).toBe(`${stored.text.slice(0, -1)},"hash":"${stored.hash}"}`);
      at += 1;
    }
    for (const line of lines) {
      const { hash, ...rest } = JSON.parse(line) as AuditRecord;
      expect(hashOf(canonical(rest))).toBe(hash);
    }
  });

  it('a JSON lines export contains every record that matches a filter, oldest first', async () => {
    await using audit = await openFilled();
    const found = await recordsOf(audit, { filter: { mapping: 'm1' } });
    const listed = await audit.list({ mapping: 'm1' }, { limit: 1_000 });
    expect(found.map(({ sequence }) => sequence)).toEqual(listed.map(({ sequence }) => sequence).reverse());
    expect(found.length).toBeGreaterThan(150);
    expect(await recordsOf(audit, { filter: { mapping: 'nobody' } })).toEqual([]);
  });

  it('a JSON lines export ends even if new records are appended while it runs', async () => {
    for (const filter of [{}, { action: 'sweep' }] as const) {
      await using audit = await openFilled();
      const before = (await audit.list(filter, { limit: 10_000 })).length;
      let lines = 0;
      for await (const chunk of exportRecords(audit, exportRequest({ filter }))) {
        lines += chunk.split('\n').length - 1;
        await audit.append(Array.from({ length: 500 }, () => bare()));
      }
      expect(lines).toBe(before);
    }
  });

  it('a JSON lines export contains a damaged record as a line that fails verification', () => {
    expect(jsonLine({ text: 'nonsense\nmore', hash: 'ab', columnsMatch: false })).toBe(
      '{"damaged":"nonsense\\nmore","hash":"ab"}\n',
    );
    expect(jsonLine({ text: '{}', hash: '', columnsMatch: false })).toBe('{"damaged":"{}","hash":""}\n');
  });

  it('a JSON lines export has the same line format as the records on standard output', async () => {
    await using audit = createMemoryAudit();
    const [record] = await audit.append([entry()]);
    if (record === undefined) throw new Error('nothing was recorded');
    expect(`${recordLine(record)}\n`).toBe(await textOf(exportRecords(audit, exportRequest())));
  });

  it('a JSON lines export reports its progress once per page', async () => {
    await using audit = await openFilled();
    const steps: Progress[] = [];
    await textOf(exportRecords(audit, exportRequest({ onProgress: (step) => void steps.push(step) })));
    expect(steps).toEqual([
      { records: 500, sequence: 500, head: 1_203 },
      { records: 1_000, sequence: 1_000, head: 1_203 },
      { records: 1_203, sequence: 1_203, head: 1_203 },
    ]);
  });

  it('a JSON lines export stops when its abort signal fires', async () => {
    await using audit = await openFilled();
    const stop = new AbortController();
    const chunks = exportRecords(audit, exportRequest({ signal: stop.signal }));
    await chunks.next();
    stop.abort(new AppError('INTERRUPTED'));
    await expect(chunks.next()).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('CSV and OCSF exports', () => {
  it('CSV and OCSF exports include the review state of each record', async () => {
    await using audit = createMemoryAudit();
    await audit.append([entry(), bare()]);
    const context = { actor: { kind: 'operator', name: 'ann' }, requestId: 'r' } as const;
    await recordReview(audit, { sequence: 1, state: 'flagged', note: 'why?', ...context });
    const csv = await textOf(exportRecords(audit, exportRequest({ format: 'csv' })));
    const lines = csv.split('\r\n');
    expect(lines).toHaveLength(5);
    expect(lines[1]).toMatch(/,flagged,ann,2027-\S+,why\?,"\{""DB_PASSWORD"":""0badcafe:0+c""\}",,,,,,,,,$/);
    expect(lines[2]).toMatch(/,unreviewed,{13}$/);
    expect(lines[3]).toMatch(/,1,flagged,{14}$/);
    const events = await recordsOf(audit, { format: 'ocsf' });
    expect(events[0]).toMatchObject({ unmapped: { review: { state: 'flagged', by: 'ann' } } });
  });

  it('a CSV export without records consists of only a header, and an OCSF export without records is empty', async () => {
    await using audit = createMemoryAudit();
    expect(await textOf(exportRecords(audit, exportRequest({ format: 'csv' })))).toMatch(
      /^sequence,time,.*\r\n$/,
    );
    expect(await textOf(exportRecords(audit, exportRequest({ format: 'ocsf' })))).toBe('');
  });
});

describe('export that is itself recorded', () => {
  const context = {
    actor: { kind: 'operator', name: 'ann', address: '::1' },
    requestId: 'r1',
    now: () => 5,
  } as const;

  it.each(EXPORT_FORMATS)(
    'the start and the end of an export are recorded in the audit log, but not contained in the export (format: %s)',
    async (format) => {
      await using audit = createMemoryAudit();
      await audit.append([entry(), bare()]);
      const text = await textOf(
        recordedExport(audit, exportRequest({ format, filter: { action: 'update' } }), context),
      );
      expect(text).not.toContain('begins');
      expect(audit.records.slice(2)).toMatchObject([
        { action: 'export', outcome: 'ok', note: `begins: ${format} action=update`, actor: context.actor },
        { action: 'export', outcome: 'ok', note: `${format} action=update`, counts: { records: 1 } },
      ]);
    },
  );

  it('an export returns no data if its start cannot be recorded', async () => {
    await using audit = createMemoryAudit();
    await audit.append([entry()]);
    audit.failure = new AppError('AUDIT_UNAVAILABLE');
    await expect(recordedExport(audit, exportRequest(), context).next()).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
    });
  });

  it('an export records the number of sent records if the receiver disconnects', async () => {
    await using audit = createMemoryAudit();
    await fill(audit);
    const chunks = recordedExport(audit, exportRequest(), context);
    await chunks.next();
    await chunks.next();
    await chunks.return();
    expect(audit.records.at(-1)).toMatchObject({
      action: 'export',
      outcome: 'failed',
      code: 'INTERRUPTED',
      counts: { records: 500 },
    });
  });
});

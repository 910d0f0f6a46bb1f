import { describe, expect, it } from 'vitest';
import { printReport } from '../../src/cli/sync-report.ts';
import type { SyncReport } from '../../src/commands/sync.ts';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import { Collector, quietContext } from './harness.ts';

function printed(report: Partial<SyncReport>) {
  const stdout = new Collector();
  const stderr = new Collector();
  const context = quietContext({ stdout, stderr });
  const summary = { created: 0, updated: 1, deleted: 0, unchanged: 0, refused: 0, held: 0, failed: 0 };
  const targets: SyncReport['targets'] = [];
  const none = { held: [], unseen: [], waiting: [], unrestarted: [], interrupted: false };
  const whole: SyncReport = { ok: true, requestId: 'r', summary, targets, ...none, ...report };
  const code = printReport(context, { output: 'json' }, whole);
  return { code, answer: JSON.parse(stdout.text), stderr: stderr.text };
}

const unrestarted = (code: ErrorCode) => [
  {
    mapping: 'db',
    namespace: 'apps',
    secret: 'db',
    workload: 'Deployment/web',
    error: new AppError(code, { subject: 'deployment apps/web' }),
  },
];

describe('a run without failed targets', () => {
  it('a run without failed targets exits with 0 if no restart failed', () => {
    expect(printed({})).toMatchObject({ code: 0, answer: { ok: true }, stderr: '' });
  });

  it.each([
    ['CLUSTER_UNAVAILABLE', 1],
    ['CLUSTER_FORBIDDEN', 4],
    ['WORKLOAD_MISSING', 4],
  ] as const)(
    'a run without failed targets exits with a code for the failed restart %s: code %i',
    (code, expected) => {
      const run = printed({ unrestarted: unrestarted(code), ok: false });
      expect(run.code).toBe(expected);
      const about = { workload: 'Deployment/web', code, remedy: expect.any(String) };
      expect(run.answer).toMatchObject({ ok: false, unrestarted: [about] });
      expect(run.stderr).toContain(`not restarted after the change of apps/db: Deployment/web: ${code}`);
      expect(run.stderr).toContain(`\n  ${run.answer.unrestarted[0].remedy}\n`);
    },
  );

  it('a run without failed targets reports an abort', () => {
    const run = { unrestarted: unrestarted('CLUSTER_FORBIDDEN'), interrupted: true, ok: false };
    expect(printed(run).code).toBe(1);
  });
});

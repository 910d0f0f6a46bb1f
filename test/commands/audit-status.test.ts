import { describe, expect, it } from 'vitest';
import type { Head } from '../../src/audit/chain.ts';
import { createAuditStatus } from '../../src/commands/serve/audit-trust.ts';
import { AppError } from '../../src/core/errors.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';

/** Creates an audit status. Its audit store answers a query only when the test allows the answer. */
function open(askMs = 20) {
  const questions: PromiseWithResolvers<Head>[] = [];
  const audit = {
    ...createMemoryAudit(),
    head: () => {
      const question = Promise.withResolvers<Head>();
      questions.push(question);
      return question.promise;
    },
  };
  const config = { audit: { store: { kind: 'postgres' } } };
  const app = { audit, checkpoints: undefined, config } as unknown as Parameters<typeof createAuditStatus>[0];
  let trouble: AppError | undefined;
  const engine = { auditHealth: { error: () => trouble } } as Parameters<typeof createAuditStatus>[1];
  return {
    ask: createAuditStatus(app, engine, askMs),
    questions,
    doubt: (error?: AppError) => (trouble = error),
  };
}

const head = (sequence: number): Head => ({ sequence, hash: 'a'.repeat(64) });
const AWAY = { kind: 'postgres', state: 'down', code: 'AUDIT_UNAVAILABLE' };

describe('audit status', () => {
  it('the audit status sends only one query for concurrent callers', async () => {
    const { ask, questions } = open(10_000);
    const answers = Promise.all([ask(), ask(), ask()]);
    questions[0]?.resolve(head(7));
    expect(await answers).toEqual(Array(3).fill({ kind: 'postgres', state: 'up', sequence: 7 }));
    expect(questions).toHaveLength(1);
  });

  it('the audit status reports the audit store as down immediately while a query hangs', async () => {
    const { ask, questions } = open();
    const first = ask();
    questions[0]?.resolve(head(7));
    await first;
    expect(await ask()).toEqual({ ...AWAY, sequence: 7 });
    expect(await Promise.all(Array.from({ length: 50 }, ask))).toEqual(
      Array(50).fill({ ...AWAY, sequence: 7 }),
    );
    expect(questions).toHaveLength(2);
    questions[1]?.resolve(head(8));
    await questions[1]?.promise;
    const again = ask();
    questions[2]?.resolve(head(9));
    expect(await again).toEqual({ kind: 'postgres', state: 'up', sequence: 9 });
  });

  it('the audit status queries again after a failed query', async () => {
    const { ask, questions, doubt } = open();
    const late = ask();
    expect(await late).toEqual({ ...AWAY, sequence: 0 });
    questions[0]?.reject(new AppError('AUDIT_UNAVAILABLE'));
    await Promise.allSettled([questions[0]?.promise]);
    const failing = ask();
    questions[1]?.reject(new AppError('AUDIT_UNAVAILABLE'));
    expect(await failing).toEqual({ ...AWAY, sequence: 0 });
    doubt(new AppError('AUDIT_UNAVAILABLE'));
    const doubted = ask();
    questions[2]?.resolve(head(3));
    expect(await doubted).toEqual({ ...AWAY, sequence: 3 });
  });
});

import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { LogFields } from '../../src/telemetry/log-fields.ts';
import { createLogger, type LogFormat, type LogLevel } from '../../src/telemetry/logger.ts';
import { createScrubber } from '../../src/telemetry/scrub.ts';

function capture({ level = 'debug', format = 'json' }: { level?: LogLevel; format?: LogFormat } = {}) {
  const lines: string[] = [];
  const scrubber = createScrubber();
  const logger = createLogger({
    level,
    format,
    scrubber,
    clock: { now: () => Date.parse('2026-11-25T12:00:00Z') },
    stream: { write: (text: string) => lines.push(text) },
  });
  return { logger, scrubber, lines, objects: () => lines.map((line) => JSON.parse(line)) };
}

describe('the logger', () => {
  it('the logger writes each line as one JSON object with a constant message and fields', () => {
    const { logger, lines, objects } = capture();
    logger.info('target written', { mapping: 'a', namespace: 'n', secret: 's', durationMs: 3 });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.endsWith('}\n')).toBe(true);
    expect(objects()).toEqual([
      {
        level: 'info',
        time: '2026-11-25T12:00:00.000Z',
        message: 'target written',
        mapping: 'a',
        namespace: 'n',
        secret: 's',
        durationMs: 3,
      },
    ]);
  });

  it.each([
    ['debug', 4],
    ['info', 3],
    ['warn', 2],
    ['error', 1],
  ] as const)('the logger with the level %s writes only %i of four lines', (level, count) => {
    const { logger, lines } = capture({ level });
    logger.debug('one');
    logger.info('two');
    logger.warn('three');
    logger.error('four');
    expect(lines).toHaveLength(count);
  });

  it('the logger drops unknown fields and fields of the wrong type', () => {
    const { logger, lines, objects } = capture();
    const fields = {
      mapping: 'a',
      ...{ password: 'hunter2', value: 'hunter2', headers: { authorization: 'hunter2' } },
      ...{ store: { toString: () => 'hunter2' }, count: 'hunter2', key: SecretValue.fromText('hunter2') },
    } as unknown as LogFields;
    logger.info('read', fields);
    expect(lines.join()).not.toContain('hunter2');
    expect(Object.keys(objects()[0])).toEqual(['level', 'time', 'mapping', 'message']);
  });

  it('the logger rejects at compile time a message that is built at run time', () => {
    const { logger } = capture();
    const text: string = ['put', 'together'].join(' ');
    // @ts-expect-error a message is a constant
    logger.info(text);
    // @ts-expect-error a message is a constant
    logger.info(`read ${text}`);
    logger.info('constant');
  });

  it('the logger logs the code and message of an error without its cause', () => {
    const { logger, lines, objects } = capture();
    const cause = Object.assign(new Error('hunter2'), {
      token: 'hunter2',
      config: { headers: { 'x-vault-token': 'hunter2' } },
    });
    logger.warn('store failed', {
      store: 'v',
      error: new AppError('THROTTLED', { subject: 'store v', cause }),
    });
    expect(objects()).toMatchObject([
      { code: 'THROTTLED', error: 'store v: the store asked us to slow down' },
    ]);
    expect(objects()[0]).not.toHaveProperty('at');
    expect(lines.join()).not.toContain('hunter2');
  });

  it('the logger logs the stack locations of an internal error without its message', () => {
    const { logger, lines, objects } = capture();
    logger.error('failed', { error: new TypeError('hunter2\n    at hunter2 (/hunter2.ts:1:1)\n    at x') });
    expect(objects()[0]).toMatchObject({ code: 'INTERNAL', error: 'an unexpected internal error occurred' });
    expect(objects()[0].at[0]).toMatch(/^logger\.test\.ts:\d+:\d+$/);
    expect(lines.join()).not.toContain('hunter2');
  });

  it.each([['a text'], [undefined], [null], [{ message: 'hunter2' }]])(
    'the logger accepts %j as a thrown value',
    (thrown) => {
      const { logger, lines } = capture();
      logger.error('failed', { error: thrown });
      expect(lines.join()).not.toContain('hunter2');
      expect(lines).toHaveLength(1);
    },
  );

  it('the logger hides registered credentials in every field', () => {
    const { logger, scrubber, lines } = capture();
    scrubber.register(SecretValue.fromText('hun"ter\n2'));
    logger.info('read', { mapping: 'hun"ter\n2', key: `x/${encodeURIComponent('hun"ter\n2')}` });
    expect(lines[0]).toContain('"mapping":"[secret]"');
    expect(lines[0]).toContain('"key":"x/[secret]"');
  });

  it('the logger truncates long values', () => {
    const { logger, lines } = capture();
    logger.info('read', { key: 'x'.repeat(1_000_000) });
    expect(lines[0]?.length).toBeLessThan(5000);
  });

  it('the logger writes text lines in which a value cannot imitate another field', () => {
    const { logger, lines } = capture({ format: 'text' });
    logger.warn('read', { mapping: 'a-b.c', key: 'x y\n\u001b[31m\u009b\u202e"', count: 3 });
    expect(lines).toEqual([
      '2026-11-25T12:00:00.000Z WARN  read mapping=a-b.c key="x y\\n\\u001b[31m\\u009b\\u202e\\"" count=3\n',
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createLogger, type LogFields, type LogFormat, type LogLevel } from '../../src/log/logger.ts';
import { createScrubber } from '../../src/log/scrub.ts';

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

describe('the log', () => {
  it('is one JSON object a line, with a constant message and fields', () => {
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
  ] as const)('at level %s has %i of four lines', (level, count) => {
    const { logger, lines } = capture({ level });
    logger.debug('one');
    logger.info('two');
    logger.warn('three');
    logger.error('four');
    expect(lines).toHaveLength(count);
  });

  it('drops fields that are not on the list, and those of another type', () => {
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

  it('takes no message that is put together at run time', () => {
    const { logger } = capture();
    const text: string = ['put', 'together'].join(' ');
    // @ts-expect-error a message is a constant
    logger.info(text);
    // @ts-expect-error a message is a constant
    logger.info(`read ${text}`);
    logger.info('constant');
  });

  it('says of an error its code and our sentence, and nothing of its cause', () => {
    const { logger, lines, objects } = capture();
    const cause = Object.assign(new Error('hunter2'), {
      token: 'hunter2',
      config: { headers: { 'x-vault-token': 'hunter2' } },
    });
    logger.warn('store failed', {
      store: 'v',
      error: new AppError('THROTTLED', { about: 'store v', cause }),
    });
    expect(objects()).toMatchObject([
      { code: 'THROTTLED', error: 'store v: the store asked us to slow down' },
    ]);
    expect(objects()[0]).not.toHaveProperty('at');
    expect(lines.join()).not.toContain('hunter2');
  });

  it('says of a fault of ours where it happened, and nothing of its text', () => {
    const { logger, lines, objects } = capture();
    logger.error('failed', { error: new TypeError('hunter2\n    at hunter2 (/hunter2.ts:1:1)\n    at x') });
    expect(objects()[0]).toMatchObject({ code: 'INTERNAL', error: 'something went wrong that should not' });
    expect(objects()[0].at[0]).toMatch(/^logger\.test\.ts:\d+:\d+$/);
    expect(lines.join()).not.toContain('hunter2');
  });

  it.each([['a text'], [undefined], [null], [{ message: 'hunter2' }]])(
    'bears that %j is thrown',
    (thrown) => {
      const { logger, lines } = capture();
      logger.error('failed', { error: thrown });
      expect(lines.join()).not.toContain('hunter2');
      expect(lines).toHaveLength(1);
    },
  );

  it('shows no registered credential, however it got there', () => {
    const { logger, scrubber, lines } = capture();
    scrubber.register(SecretValue.fromText('hun"ter\n2'));
    logger.info('read', { mapping: 'hun"ter\n2', key: `x/${encodeURIComponent('hun"ter\n2')}` });
    expect(lines[0]).toContain('"mapping":"[secret]"');
    expect(lines[0]).toContain('"key":"x/[secret]"');
  });

  it('cuts what is too long', () => {
    const { logger, lines } = capture();
    logger.info('read', { key: 'x'.repeat(1_000_000) });
    expect(lines[0]?.length).toBeLessThan(5000);
  });

  it('may be a line for people, in which no name can pass for anything else', () => {
    const { logger, lines } = capture({ format: 'text' });
    logger.warn('read', { mapping: 'a-b.c', key: 'x y\n\u001b[31m\u009b\u202e"', count: 3 });
    expect(lines).toEqual([
      '2026-11-25T12:00:00.000Z WARN  read mapping=a-b.c key="x y\\n\\u001b[31m\\u009b\\u202e\\"" count=3\n',
    ]);
  });
});

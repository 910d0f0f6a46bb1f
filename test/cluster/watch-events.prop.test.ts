import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linesOf } from '../../src/cluster/watch-events.ts';

async function* inPieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const at = Math.min(cut, bytes.byteLength);
    yield bytes.subarray(from, Math.max(from, at));
    from = Math.max(from, at);
  }
  yield bytes.subarray(from);
}

const collect = (bytes: Buffer, cuts: readonly number[] = [], longest?: number) =>
  Array.fromAsync(linesOf(inPieces(bytes, cuts), longest));

describe('the lines of a stream', () => {
  it('returns the same lines for any division of the stream into chunks', async () => {
    const line = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\n'));
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.array(fc.nat(200)), async (lines, cuts) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        expect(await collect(bytes, cuts)).toEqual(lines);
      }),
    );
  });

  it('returns each line when the line is complete', async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('first\nsec');
      await new Promise(() => undefined);
    }
    expect(await linesOf(endless()).next()).toMatchObject({ value: 'first' });
  });

  it('fails if the last line is incomplete', async () => {
    await expect(collect(Buffer.from('{"a":1}\n{"b'))).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      detail: 'the connection was cut in the middle of an event',
    });
  });

  it('fails if a line exceeds the size limit', async () => {
    expect(await collect(Buffer.from('12345\n12345\n'), [3, 7], 5)).toEqual(['12345', '12345']);
    await expect(collect(Buffer.from('123456'), [3], 5)).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
    });
  });

  it('fails if a line is not UTF-8', async () => {
    await expect(collect(Buffer.from([0xff, 0x0a]))).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
  });

  it('skips empty lines', async () => {
    expect(await collect(Buffer.from('\n\na\n\n'))).toEqual(['a']);
  });
});

import type { StoredRecord } from '../chain.ts';

/** The number of records between two pauses. Hashing this many takes a few milliseconds. */
const RECORDS_PER_PAUSE = 200;

/** Yields the records, and pauses regularly so that other work can run. */
export async function* withPauses(
  records: AsyncIterable<StoredRecord>,
  pause: () => Promise<void>,
): AsyncGenerator<StoredRecord, void, undefined> {
  let count = 0;
  for await (const record of records) {
    yield record;
    count += 1;
    if (count % RECORDS_PER_PAUSE === 0) await pause();
  }
}

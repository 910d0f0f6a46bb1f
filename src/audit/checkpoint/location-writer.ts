import { type AppError, toAppError } from '../../core/errors.ts';
import type { Head } from '../chain.ts';
import type { Checkpoint, CheckpointLocation } from './checkpoint.ts';

/** Called when a checkpoint cannot be written. `place` is the location that failed, or the audit store. */
export type OnWriteFailure = (place: string, error: AppError) => void;

/** Writes checkpoints to the locations, and remembers the last checkpoint at each location. */
export class LocationWriter {
  readonly lastWritten = new Map<string, Head>();
  readonly errors = new Map<string, AppError>();
  readonly #onFailure: OnWriteFailure;

  constructor(onFailure: OnWriteFailure) {
    this.#onFailure = onFailure;
  }

  async write(checkpoint: Checkpoint, to: readonly CheckpointLocation[]): Promise<void> {
    await Promise.all(
      to.map(async (place) => {
        try {
          await place.write(checkpoint);
          this.lastWritten.set(place.name, checkpoint);
          this.errors.delete(place.name);
        } catch (thrown) {
          this.report(place.name, toAppError(thrown));
        }
      }),
    );
  }

  /** Reports an error, unless the last error at this place had the same code. */
  report(place: string, error: AppError): void {
    const before = this.errors.get(place);
    this.errors.set(place, error);
    if (before?.code !== error.code) this.#onFailure(place, error);
  }
}
